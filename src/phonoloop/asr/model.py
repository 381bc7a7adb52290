"""The recogniser's network: subsampling, an encoder, a CTC head. Sizes come from the recipe."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from phonoloop.asr.config import ModelRecipe
from phonoloop.asr.layers import Block, Context, Subsampling, chunk_attention, keep_variance, rotary

#: feature frames in a frame of the encoder
SUBSAMPLING = 4

Cache = tuple[Tensor, ...]


class AttentionEncoder(nn.Module):
    """Conformer or Transformer blocks.

    The cache of a stream is (keys, values, conv): (layers, B, H, S, W) twice and
    (layers, B, D, kernel // 2), S frames of left context.
    """

    def __init__(self, recipe: ModelRecipe) -> None:
        super().__init__()
        kernel = recipe.conv_kernel if recipe.encoder == "conformer" else 0
        self.heads, self.side = recipe.heads, kernel // 2
        self.blocks = nn.ModuleList(
            Block(
                d_model=recipe.d_model,
                heads=recipe.heads,
                inner=recipe.d_model * recipe.ff_factor,
                kernel=kernel,
                dropout=recipe.dropout,
            )
            for _ in range(recipe.layers)
        )
        self.norm = nn.LayerNorm(recipe.d_model)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        for block in self.blocks:
            x = block(x, context)
        return self.norm(x)

    def empty(self, x: Tensor) -> Cache:
        batch, _, width = x.shape
        layers = len(self.blocks)
        past = x.new_zeros(layers, batch, self.heads, 0, width // self.heads)
        return past, past.clone(), x.new_zeros(layers, batch, width, self.side)

    def step(self, x: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        kept = []
        past, width = cache[0].shape[3:]
        rotation = rotary(past + x.shape[1], width, x.device)
        rotations = rotation, rotation[past:]
        for block, keys, values, conv in zip(self.blocks, *cache, strict=True):
            x, one = block.step(x, (keys, values, conv), rotations)
            kept.append(one)
        return self.norm(x), tuple(torch.stack(parts) for parts in zip(*kept, strict=True))

    @staticmethod
    def trim(cache: Cache, left: int) -> Cache:
        """Forgets keys and values that lie more than `left` frames back."""
        keys, values, conv = cache
        drop = max(0, keys.shape[3] - left)
        return keys[:, :, :, drop:], values[:, :, :, drop:], conv


class LstmEncoder(nn.Module):
    """Stacked LSTM layers; the cache of a stream is its (hidden, cell), each (layers, B, D)."""

    def __init__(self, recipe: ModelRecipe) -> None:
        super().__init__()
        width = recipe.d_model // 2 if recipe.bidirectional else recipe.d_model
        self.layers = nn.LSTM(
            recipe.d_model,
            width,
            recipe.layers,
            batch_first=True,
            dropout=recipe.dropout if recipe.layers > 1 else 0.0,
            bidirectional=recipe.bidirectional,
        )
        self.norm = nn.LayerNorm(recipe.d_model)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        if not self.layers.bidirectional:  # padding lies to the right, where nothing looks
            return self.norm(self.layers(x)[0])
        lengths = context.lengths.clamp(min=1).cpu()
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        heard, _ = pad_packed_sequence(self.layers(packed)[0], batch_first=True, total_length=x.shape[1])
        return self.norm(heard)

    def empty(self, x: Tensor) -> Cache:
        state = x.new_zeros(self.layers.num_layers, x.shape[0], self.layers.hidden_size)
        return state, state.clone()

    def step(self, x: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        heard, kept = self.layers(x, (cache[0], cache[1]))
        return self.norm(heard), kept

    @staticmethod
    def trim(cache: Cache, left: int) -> Cache:
        return cache


class CtcModel(nn.Module):
    """Log-mel features to log-probabilities of tokens, blank first."""

    def __init__(self, recipe: ModelRecipe, *, n_mels: int, vocab_size: int) -> None:
        super().__init__()
        self.head_width = recipe.d_model // recipe.heads
        self.subsampling = Subsampling(n_mels, recipe.conv_channels, recipe.d_model, recipe.dropout)
        self.encoder = LstmEncoder(recipe) if recipe.encoder == "lstm" else AttentionEncoder(recipe)
        self.head = nn.Linear(recipe.d_model, vocab_size)
        keep_variance(self)
        self.to(memory_format=torch.channels_last)

    def forward(
        self, features: Tensor, lengths: Tensor, *, chunk: int = 0, left: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Whole utterances.

        Args:
            features: (B, T, mels), padded at the end; frames over a multiple of 4 are not heard.
            lengths: (B,) frames of each utterance.
            chunk: frames of 40 ms in a chunk; 0 hears whole utterances.
            left: how many frames before its chunk a frame sees at most.

        Returns:
            (B, T // 4, vocab) log-probabilities in float32 and (B,) their lengths.
        """
        x = self.subsampling(features)
        lengths = lengths // SUBSAMPLING
        x = self.encoder(x, self._context(x, lengths, chunk, left))
        return self.head(x).float().log_softmax(-1), lengths

    def _context(self, x: Tensor, lengths: Tensor, chunk: int, left: int) -> Context:
        frames = x.shape[1]
        index = torch.arange(frames, device=x.device)
        inside = index[None, :] < lengths[:, None]
        attend = inside[:, None, None, :]
        if chunk:
            attend = attend & chunk_attention(frames, chunk, left, x.device)
            # a padded frame far from any other still needs something to see, or softmax gives NaN
            attend = attend | torch.eye(frames, dtype=torch.bool, device=x.device)
        hidden = torch.zeros_like(attend, dtype=_score_dtype(x)).masked_fill(~attend, float("-inf"))
        hidden = hidden.expand(-1, 1, frames, frames)
        return Context(hidden, inside[:, :, None], rotary(frames, self.head_width, x.device), chunk, lengths)

    def empty_cache(self, features: Tensor) -> Cache:
        """Where a stream begins."""
        outer, inner = self.subsampling.empty(features)
        width = self.head.in_features
        return outer, inner, *self.encoder.empty(features.new_zeros(features.shape[0], 0, width))

    def step(self, features: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """One chunk (B, 4 C, mels) of a stream, to (B, C, vocab) log-probabilities and what to keep."""
        x, (outer, inner) = self.subsampling.step(features, (cache[0], cache[1]))
        x, kept = self.encoder.step(x, cache[2:])
        return self.head(x).float().log_softmax(-1), (outer, inner, *kept)

    def trim(self, cache: Cache, left: int) -> Cache:
        """The cache without what no later chunk may see."""
        return *cache[:2], *self.encoder.trim(cache[2:], left)


def _score_dtype(x: Tensor) -> torch.dtype:
    """What attention scores will be computed in."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def parameter_count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
