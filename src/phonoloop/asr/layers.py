"""The parts of the encoders. Each gives the same result on a whole utterance under a chunk mask as
on its chunks one after the other with a cache; that is what makes one model stream and batch.

Shapes: B utterances, T frames (40 ms after subsampling), D = d_model, H heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Context:
    """What a frame may see.

    Attributes:
        attend: (B, 1, T, T), added to the scores of queries (rows) and keys: 0 or minus infinity.
        valid: (B, T, 1), 1 for frames of the utterance and 0 for padding; None without padding.
        rotation: (T, D/H) cosines and sines of the rotary position encoding, see `rotary`.
        chunk: frames in a chunk, 0 for the whole utterance.
        lengths: (B,) frames of each utterance.
    """

    attend: Tensor
    valid: Tensor | None
    rotation: Tensor
    chunk: int
    lengths: Tensor


def chunk_attention(frames: int, chunk: int, left: int, device: torch.device) -> Tensor:
    """(T, T) bool: a frame sees its own chunk and the chunks before it, `left` frames at most.

    Whole chunks are seen or not, so that a cache can be cut at chunk borders.
    """
    index = torch.arange(frames, device=device) // chunk
    back = index[:, None] - index[None, :]
    return (back >= 0) & (back <= left // chunk)


def rotary(frames: int | Tensor, width: int, device: torch.device) -> Tensor:
    """(T, width): cosines then sines of RoPE (Su et al., arXiv 2104.09864) for positions 0 to T - 1."""
    rates = 10000.0 ** (-torch.arange(0, width, 2, device=device, dtype=torch.float32) / width)
    angles = torch.arange(frames, device=device, dtype=torch.float32)[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Turns (B, H, T, W) by the positions' angles (T, W)."""
    cosine, sine = rotation.to(x.dtype).chunk(2, dim=-1)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


class Dropout(nn.Module):
    """Dropout from random bytes: on a CPU four times as fast as `nn.Dropout`.

    The share is rounded to whole 256ths.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.dropped = round(share * 256)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.dropped:
            return x
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self.dropped
        return x * (kept.to(x.dtype) * (256 / (256 - self.dropped)))


def keep_variance(model: nn.Module) -> None:
    """Weights for a start from which CTC learns: what comes out of a layer varies as much as what went in.

    With torch's own start the subsampling shrinks its input to a sixtieth, less than its biases. The
    next norm blows these up, every frame looks the same, and for thousands of steps the model writes
    blanks or the commonest token: 300 clips of ten words were learned in 200 steps with this start
    (loss 0.3 a token), hardly begun without it (3.2).
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


class Subsampling(nn.Module):
    """Log-mel frames (B, 4 T, mels) to (B, T, D): a strided and a depthwise-separable convolution.

    A frame out sees its own four frames in and three before them: nothing ahead, so chunks need no
    look-ahead. Dense 3 x 3 convolutions at D channels would cost as much as the encoder.
    """

    def __init__(self, n_mels: int, channels: int, d_model: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, 3, stride=2, padding=(0, 1))
        self.depthwise = nn.Conv2d(channels, channels, 3, stride=2, padding=(0, 1), groups=channels)
        self.pointwise = nn.Conv2d(channels, channels, 1)
        bands = (n_mels + 3) // 4
        self.project = nn.Linear(channels * bands, d_model)
        self.dropout = Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        frames, _ = self.step(features, self.empty(features))
        return self.dropout(frames)

    def empty(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """What lies before the first chunk: one frame of zeros at each of the two levels."""
        batch, _, bands = features.shape
        inner = features.new_zeros(batch, self.first.out_channels, 1, (bands + 1) // 2)
        return features.new_zeros(batch, 1, bands), inner

    def step(self, features: Tensor, cache: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        x, kept = self._convolved(features, cache)
        batch, channels, frames, bands = x.shape
        return self.project(x.permute(0, 2, 3, 1).reshape(batch, frames, bands * channels)), kept

    def _convolved(
        self, features: Tensor, cache: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if torch.is_autocast_enabled("cpu") and features.device.type == "cpu":
            # a CPU's strided depthwise convolution is ten times slower in bf16 than in float32
            with torch.autocast("cpu", enabled=False):
                return self._convolve(features, cache)
        return self._convolve(features, cache)

    def _convolve(
        self, features: Tensor, cache: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        outer, inner = cache
        x = torch.cat([outer, features], dim=1).unsqueeze(1)
        x = F.silu(self.first(x.contiguous(memory_format=torch.channels_last)))
        x = torch.cat([inner.to(x.dtype), x], dim=2)
        # clones: a view would keep the whole chunk alive, and the exporter refuses aliases
        kept = features[:, -1:].clone(), x[:, :, -1:].clone()
        return F.silu(self.pointwise(self.depthwise(x))), kept


class FeedForward(nn.Module):
    def __init__(self, d_model: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.up = nn.Linear(d_model, inner)
        self.down = nn.Linear(inner, d_model)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.down(F.silu(self.up(self.norm(x)))))


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Scaled dot-product attention of (B, H, T, W). In bf16 on a CPU plain products are three times as
    fast as torch's fused kernel; everywhere else the fused one is taken."""
    if mask is None or query.dtype != torch.bfloat16 or query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    batch, heads, frames, width = query.shape
    scores = torch.baddbmm(
        mask.expand(batch, heads, frames, frames).reshape(batch * heads, frames, frames),
        query.flatten(0, 1),
        key.flatten(0, 1).transpose(1, 2),
        alpha=width**-0.5,
    )
    return torch.bmm(scores.softmax(-1), value.flatten(0, 1)).view(batch, heads, frames, width)


class Attention(nn.Module):
    """Multi-head self-attention with rotary positions."""

    def __init__(self, d_model: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(d_model)
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        query, key, value = self._project(x)
        query, key = rotate(query, context.rotation), rotate(key, context.rotation)
        return self._attend(query, key, value, context.attend)

    def step(
        self, x: Tensor, keys: Tensor, values: Tensor, rotations: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One chunk; the cache holds unturned keys, so that positions stay small for ever.

        `rotations` are those of the cache with the chunk, and of the chunk alone.
        """
        query, key, value = self._project(x)
        keys, values = torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2)
        query, turned = rotate(query, rotations[1]), rotate(keys, rotations[0])
        return self._attend(query, turned, values, None), keys, values

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, frames, width = x.shape
        shaped = self.qkv(self.norm(x)).view(batch, frames, 3, self.heads, width // self.heads)
        query, key, value = shaped.permute(2, 0, 3, 1, 4).unbind(0)
        return query, key, value

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        heard = attention(query, key, value, mask)
        batch, heads, frames, width = heard.shape
        return self.dropout(self.out(heard.transpose(1, 2).reshape(batch, frames, heads * width)))


class ChunkConvolution(nn.Module):
    """The Conformer's convolution, which sees to the right only as far as the chunk goes.

    Dynamic chunk convolution (Li et al., arXiv 2304.09325); over a whole utterance it is the usual
    symmetric one.
    """

    def __init__(self, d_model: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.side = kernel // 2
        self.norm = nn.LayerNorm(d_model)
        self.gate = nn.Linear(d_model, 2 * d_model)
        self.depthwise = nn.Conv2d(d_model, d_model, (1, kernel), groups=d_model)
        self.inner_norm = nn.LayerNorm(d_model)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        x = self._gated(x)
        if context.valid is not None:
            x = x * context.valid.to(x.dtype)
        return self._finish(self._convolved(x.transpose(1, 2), context.chunk))

    def step(self, x: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        """One chunk (B, C, D); the cache is the (B, D, kernel // 2) frames before it."""
        x = torch.cat([cache, self._gated(x).transpose(1, 2)], dim=2)
        kept = x[:, :, x.shape[2] - self.side :].clone()
        x = self.depthwise(F.pad(x, (0, self.side)).unsqueeze(2)).squeeze(2)
        return self._finish(x.transpose(1, 2)), kept

    def _gated(self, x: Tensor) -> Tensor:
        return F.glu(self.gate(self.norm(x)), dim=-1)

    def _finish(self, x: Tensor) -> Tensor:
        return self.dropout(self.out(F.silu(self.inner_norm(x))))

    def _convolved(self, x: Tensor, chunk: int) -> Tensor:
        if torch.is_autocast_enabled("cpu") and x.device.type == "cpu":
            # on two threads a CPU's depthwise convolution in bf16 does not end at some lengths
            # (torch 2.13, seven utterances of 84 frames); in float32 it is as fast
            with torch.autocast("cpu", enabled=False):
                return self._chunked(x.float(), chunk)
        return self._chunked(x, chunk)

    def _chunked(self, x: Tensor, chunk: int) -> Tensor:
        """(B, D, T) channels-last to (B, T, D): what is behind over everything, what is ahead by chunks."""
        if not chunk:
            return self.depthwise(F.pad(x, (self.side, self.side)).unsqueeze(2)).squeeze(2).transpose(1, 2)
        seen, ahead = self.depthwise.weight.split([self.side + 1, self.side], dim=3)
        groups = self.depthwise.groups
        past = F.conv2d(F.pad(x, (self.side, 0)).unsqueeze(2), seen, self.depthwise.bias, groups=groups)
        reach = min(self.side, chunk - 1)
        if not reach:
            return past.squeeze(2).transpose(1, 2)
        frames = x.shape[2]
        pieces = F.pad(x, (0, -frames % chunk)).unflatten(2, (-1, chunk))  # (B, D, chunks, chunk)
        later = F.pad(pieces[..., 1:], (0, reach)).contiguous(memory_format=torch.channels_last)
        future = F.conv2d(later, ahead[..., :reach], groups=groups)
        return (past.squeeze(2) + future.flatten(2)[:, :, :frames]).transpose(1, 2)


class Block(nn.Module):
    """A Conformer block (Gulati et al., arXiv 2005.08100) without its closing norm; with `kernel=0` a
    pre-norm Transformer layer.

    The closing norm makes the residual path post-norm: on five minutes of speech the loss stood at 2.1 after
    260 steps with it and at 0.08 without. One norm after the last block takes its place.
    """

    def __init__(self, *, d_model: int, heads: int, inner: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.before = FeedForward(d_model, inner, dropout) if kernel else None
        self.attention = Attention(d_model, heads, dropout)
        self.convolution = ChunkConvolution(d_model, kernel, dropout) if kernel else None
        self.after = FeedForward(d_model, inner, dropout)
        self.ff_scale = 0.5 if kernel else 1.0

    def forward(self, x: Tensor, context: Context) -> Tensor:
        if self.before is not None:
            x = x + self.ff_scale * self.before(x)
        x = x + self.attention(x, context)
        if self.convolution is not None:
            x = x + self.convolution(x, context)
        return x + self.ff_scale * self.after(x)

    def step(
        self, x: Tensor, cache: tuple[Tensor, ...], rotations: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        keys, values, conv = cache
        if self.before is not None:
            x = x + self.ff_scale * self.before(x)
        heard, keys, values = self.attention.step(x, keys, values, rotations)
        x = x + heard
        if self.convolution is not None:
            shaped, conv = self.convolution.step(x, conv)
            x = x + shaped
        return x + self.ff_scale * self.after(x), (keys, values, conv)
