"""Hearing while somebody speaks: chunks through a model with a cache.

The result equals that of the batch under the same chunk mask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from phonoloop.asr.config import AsrRecipe
from phonoloop.core.errors import ConfigError

if TYPE_CHECKING:  # torch stays out of processes that only run ONNX
    import onnxruntime

    from phonoloop.asr.model import CtcModel

_SUBSAMPLING = 4
_FRAME_MS = 40


class _Stepper(Protocol):
    """One chunk (1, 4 C, mels) to (C, vocab) log-probabilities; keeps its own cache."""

    def __call__(self, features: np.ndarray) -> np.ndarray: ...

    def restart(self) -> None:
        """Forgets everything heard."""
        ...


class FeatureStream:
    """Takes features in pieces of any size and hears them in chunks of `chunk_ms`.

    Where the pieces are cut changes nothing: the result equals `CtcModel.forward` with the same
    `chunk` and `left`.
    """

    def __init__(self, step: _Stepper, *, chunk_ms: int, n_mels: int, vocab_size: int) -> None:
        if chunk_ms < _FRAME_MS or chunk_ms % _FRAME_MS:
            raise ConfigError(f"a chunk of {chunk_ms} ms is no multiple of 40 ms", code="streaming.chunk")
        self._step = step
        self._chunk = chunk_ms // _FRAME_MS * _SUBSAMPLING
        self._waiting = np.zeros((0, n_mels), np.float32)
        self._nothing = np.zeros((0, vocab_size), np.float32)

    def push(self, features: np.ndarray) -> np.ndarray:
        """(T, mels) frames to the (T', vocab) log-probabilities of the chunks that are now whole."""
        self._waiting = np.concatenate([self._waiting, features])
        whole = len(self._waiting) // self._chunk * self._chunk
        ready, self._waiting = self._waiting[:whole], self._waiting[whole:]
        heard = [self._step(ready[None, i : i + self._chunk]) for i in range(0, whole, self._chunk)]
        return np.concatenate(heard) if heard else self._nothing

    def flush(self) -> np.ndarray:
        """Ends the utterance: what is left, less than a chunk; the next push begins another one.

        Frames over a multiple of 4 are not heard.
        """
        rest = self._waiting[: len(self._waiting) // _SUBSAMPLING * _SUBSAMPLING]
        self._waiting = self._waiting[:0]
        heard = self._step(rest[None]) if len(rest) else self._nothing
        self._step.restart()
        return heard


class TorchStream(FeatureStream):
    """The reference: a stream through the torch model."""

    def __init__(self, model: CtcModel, recipe: AsrRecipe, *, chunk_ms: int | None = None) -> None:
        if recipe.model.bidirectional:
            raise ConfigError(
                "a bidirectional model needs the whole utterance",
                code="streaming.bidirectional",
                subject="model.bidirectional",
                hint="Train a Conformer, a Transformer or an LSTM in one direction",
            )
        chunk_ms = chunk_ms or recipe.stream.serve_chunk_ms
        step = _TorchStep(model, left_frames(recipe.stream.left_ms, chunk_ms))
        n_mels, vocab = recipe.front_end.n_mels, model.head.out_features
        super().__init__(step, chunk_ms=chunk_ms, n_mels=n_mels, vocab_size=vocab)


class OnnxStream(FeatureStream):
    """The same through `model_stream.onnx`. Streams may share the session, also from several threads."""

    def __init__(self, session: onnxruntime.InferenceSession, *, chunk_ms: int, left_ms: int) -> None:
        step = OnnxStep(session, left_frames(left_ms, chunk_ms))
        n_mels, vocab = session.get_inputs()[0].shape[2], session.get_outputs()[0].shape[2]
        super().__init__(step, chunk_ms=chunk_ms, n_mels=n_mels, vocab_size=vocab)


def left_frames(left_ms: int, chunk_ms: int) -> int:
    """Frames of left context, in whole chunks, as the mask in training has it."""
    chunk = max(1, chunk_ms // _FRAME_MS)
    return left_ms // _FRAME_MS // chunk * chunk


class _TorchStep:
    def __init__(self, model: CtcModel, left: int) -> None:
        self._model, self._left = model.eval(), left
        self.restart()

    def restart(self) -> None:
        self._cache: Any = None

    def __call__(self, features: np.ndarray) -> np.ndarray:
        import torch  # only whoever has a torch model comes here

        with torch.no_grad():
            frames = torch.from_numpy(features)
            cache = self._cache if self._cache is not None else self._model.empty_cache(frames)
            log_probs, cache = self._model.step(frames, cache)
            self._cache = self._model.trim(cache, self._left)
        return log_probs[0].numpy()


class OnnxStep:
    """One chunk through the exported stream model; keys and values are cut to `left` frames."""

    def __init__(self, session: onnxruntime.InferenceSession, left: int) -> None:
        self._session, self._left = session, left
        self._names = [node.name for node in session.get_inputs()][1:]
        self.restart()

    def restart(self) -> None:
        self._cache = [
            np.zeros([size if isinstance(size, int) else 0 for size in node.shape], np.float32)
            for node in self._session.get_inputs()[1:]
        ]

    def __call__(self, features: np.ndarray) -> np.ndarray:
        fed = {"features": features} | dict(zip(self._names, self._cache, strict=True))
        log_probs, *kept = self._session.run(None, fed)
        self._cache = [self._trimmed(array) for array in kept]
        return log_probs[0]

    def _trimmed(self, array: np.ndarray) -> np.ndarray:
        if array.ndim != 5:  # keys and values are (layers, B, H, S, W)
            return array
        return np.ascontiguousarray(array[:, :, :, max(0, array.shape[3] - self._left) :])
