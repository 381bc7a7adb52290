"""A recogniser that teaches: a sherpa-onnx model (offline CTC or transducer) in a local directory.

sherpa-onnx ends the whole process when a model is not what it expects. So a directory is looked at
first: which files there are, whether they are ONNX, and whether they say what sherpa will ask for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.adapters.teacher_files import existing_directory, incomplete, installed
from phonoloop.core.errors import ConfigError, IntegrityError
from phonoloop.core.speech import Segment, Transcription, Word
from phonoloop.core.units import CANONICAL_RATE_HZ, samples_to_ms

#: a pause between two tokens that ends a segment
_PAUSE_MS = 800
#: sherpa gives the start of a token only; the last one of a word is taken to be this long
_TOKEN_MS = 80
#: BPE pieces begin a word with this mark or with a space
_WORD_STARTS = ("\u2581", " ")

#: `model_type` in a CTC model's metadata → sherpa's factory, and the other keys it will ask for
_CTC_FACTORIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "zipformer2_ctc": ("from_zipformer_ctc", ()),
    "wenet_ctc": ("from_wenet_ctc", ("vocab_size", "subsampling_factor")),
    "EncDecCTCModelBPE": ("from_nemo_ctc", ("vocab_size", "subsampling_factor", "normalize_type")),
    "EncDecCTCModel": ("from_nemo_ctc", ("vocab_size", "subsampling_factor", "normalize_type")),
    "EncDecHybridRNNTCTCBPEModel": ("from_nemo_ctc", ("vocab_size", "subsampling_factor", "normalize_type")),
}
_NEMO_TRANSDUCER_KEYS = (
    "vocab_size",
    "subsampling_factor",
    "normalize_type",
    "pred_rnn_layers",
    "pred_hidden",
)


@dataclass(frozen=True, slots=True)
class SherpaModel:
    """Which model a directory holds.

    Attributes:
        factory: the method of `sherpa_onnx.OfflineRecognizer` that loads it.
        arguments: what it is given.
    """

    factory: str
    arguments: Mapping[str, str]


def find_model(directory: Path) -> SherpaModel:
    """Looks at a directory: `tokens.txt` and either encoder, decoder and joiner or one CTC model.

    Full precision is taken before int8, because labels are made once.

    Raises:
        ConfigError: `teacher.no_directory`; `teacher.incomplete`, naming the files missing;
            `teacher.unknown_model`, where the model does not say that it is one of these kinds.
        IntegrityError: `teacher.corrupt`, where a file cannot be read as what it should be.
    """
    directory = existing_directory(directory)
    parts = {name: _onnx_file(directory, name) for name in ("encoder", "decoder", "joiner")}
    is_transducer = any(parts.values())
    ctc = None if is_transducer else _ctc_file(directory)
    _check_present(directory, parts if is_transducer else {"model": ctc})
    tokens = _check_tokens(directory / "tokens.txt")
    files = {name: str(path) for name, path in parts.items() if path is not None}
    if is_transducer:
        return SherpaModel("from_transducer", {**files, "tokens": tokens, "model_type": _transducer(parts)})
    return SherpaModel(_ctc_factory(ctc), {"model": str(ctc), "tokens": tokens})


class SherpaTeacher:
    """Transcribes with a sherpa-onnx model. A `Transcriber`.

    Args:
        directory: as sherpa-onnx models are unpacked.
        language: what the model hears, as told by whoever configures it; sherpa's models do not say.
        threads: of the runtime.

    Raises:
        UnavailableError: `teacher.not_installed`.
        ConfigError, IntegrityError: as `find_model`.
    """

    def __init__(self, directory: str | Path, *, language: str = "vi", threads: int = 1) -> None:
        sherpa = installed("sherpa_onnx")
        model = find_model(Path(directory))
        factory = getattr(sherpa.OfflineRecognizer, model.factory)
        self.model_version = f"sherpa-onnx:{Path(directory).resolve().name}"
        self._language = language
        self._recogniser = factory(**model.arguments, num_threads=threads)

    def transcribe(self, samples: np.ndarray) -> Transcription:
        """`samples`: (n,) float32 mono in [-1, 1] at 16,000 Hz.

        The confidence is the geometric mean of the tokens' probabilities; None where the model's kind
        gives none.
        """
        stream = self._recogniser.create_stream()
        stream.accept_waveform(CANONICAL_RATE_HZ, np.ascontiguousarray(samples, dtype=np.float32))
        self._recogniser.decode_stream(stream)
        return self._transcription(stream.result, samples_to_ms(len(samples)))

    def _transcription(self, result: Any, end_ms: int) -> Transcription:
        tokens = _tokens(result.tokens, result.timestamps, result.ys_log_probs)
        words = words_of(tokens, end_ms)
        return Transcription(
            text=result.text.strip(),
            confidence=_confidence(token.log_prob for token in tokens),
            segments=tuple(segments_of(words)),
            words=tuple(words),
            language=self._language,
            model_version=self.model_version,
        )


# ---------------------------------------------------------------- what was heard


@dataclass(frozen=True, slots=True)
class Token:
    """`log_prob`: None where the model's kind gives none."""

    text: str
    start_ms: int
    log_prob: float | None


def words_of(tokens: Sequence[Token], end_ms: int) -> list[Word]:
    """Tokens put together to words; a model of characters marks words by tokens that are spaces.
    A word ends before the next one begins, the last one at `end_ms` at the latest."""
    groups: list[list[Token]] = []
    for token in tokens:
        if not groups or token.text.startswith(_WORD_STARTS):
            groups.append([])
        groups[-1].append(token)
    ends = [*(group[0].start_ms for group in groups[1:]), end_ms][: len(groups)]
    return [word for group, end in zip(groups, ends, strict=True) if (word := _word(group, end)).text]


def segments_of(words: Sequence[Word]) -> list[Segment]:
    """Words put together up to a pause."""
    groups: list[list[Word]] = [[word] for word in words[:1]]
    for before, word in pairwise(words):
        if word.start_ms - before.end_ms >= _PAUSE_MS:
            groups.append([])
        groups[-1].append(word)
    return [_segment(group) for group in groups]


def _tokens(texts: Sequence[str], starts_s: Sequence[float], log_probs: Sequence[float]) -> list[Token]:
    known: Sequence[float | None] = log_probs if len(log_probs) == len(texts) else [None] * len(texts)
    return [
        Token(text, round(start_s * 1000), log_prob)
        for text, start_s, log_prob in zip(texts, starts_s, known, strict=True)
    ]


def _word(tokens: Sequence[Token], end_ms: int) -> Word:
    text = "".join(token.text for token in tokens).replace(_WORD_STARTS[0], " ").strip()
    return Word(
        text=text,
        start_ms=min(tokens[0].start_ms, end_ms),
        end_ms=min(tokens[-1].start_ms + _TOKEN_MS, end_ms),
        confidence=_confidence(token.log_prob for token in tokens),
    )


def _segment(words: Sequence[Word]) -> Segment:
    return Segment(
        text=" ".join(word.text for word in words),
        start_ms=words[0].start_ms,
        end_ms=words[-1].end_ms,
        confidence=_mean([word.confidence for word in words]),
    )


def _mean(confidences: Sequence[float | None]) -> float | None:
    return None if None in confidences else sum(confidences) / len(confidences)


def _confidence(log_probs: Iterable[float | None]) -> float | None:
    known = list(log_probs)
    if not known or None in known:
        return None
    return min(1.0, math.exp(sum(known) / len(known)))


# ---------------------------------------------------------------- the directory


def _onnx_file(directory: Path, prefix: str) -> Path | None:
    found = sorted(directory.glob(f"{prefix}*.onnx"), key=lambda path: (".int8." in path.name, path.name))
    return found[0] if found else None


def _ctc_file(directory: Path) -> Path | None:
    return _onnx_file(directory, "model") or _onnx_file(directory, "ctc") or _onnx_file(directory, "")


def _check_present(directory: Path, models: Mapping[str, Path | None]) -> None:
    missing = [f"{name}.onnx" for name, path in models.items() if path is None]
    if not (directory / "tokens.txt").is_file():
        missing.append("tokens.txt")
    if missing:
        raise incomplete(directory, missing)


def _check_tokens(path: Path) -> str:
    """A token and its id a line; a line with the id alone is the token of a space."""
    try:
        ids = [line.split()[-1] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise _corrupt(path, "it is not UTF-8 text") from error
    if not ids or not all(token_id.isdecimal() for token_id in ids):
        raise _corrupt(path, "its lines are not a token and its number each")
    return str(path)


def _metadata(path: Path) -> Mapping[str, str]:
    """The metadata of an ONNX file, after loading it with a runtime that raises where sherpa exits."""
    runtime = installed("onnxruntime")
    try:
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise _corrupt(path, "onnxruntime cannot load it") from error
    return session.get_modelmeta().custom_metadata_map


def _ctc_factory(path: Path) -> str:
    metadata = _metadata(path)
    factory, keys = _CTC_FACTORIES.get(metadata.get("model_type", ""), ("", ()))
    if not factory:
        raise _unknown(path, metadata)
    _check_keys(path, metadata, keys)
    return factory


def _transducer(parts: Mapping[str, Path | None]) -> str:
    """sherpa's name of the kind of transducer: NeMo's are decoded in another way."""
    metadata = {name: _metadata(path) for name, path in parts.items() if path is not None}
    kind = metadata["encoder"].get("model_type", "")
    if kind.startswith("EncDec"):
        _check_keys(parts["encoder"], metadata["encoder"], _NEMO_TRANSDUCER_KEYS)
        return "nemo_transducer"
    _check_keys(parts["decoder"], metadata["decoder"], ("vocab_size", "context_size"))
    return "transducer"


def _check_keys(path: Path, metadata: Mapping[str, str], keys: Sequence[str]) -> None:
    missing = [key for key in keys if key not in metadata]
    if missing:
        raise _corrupt(path, f"its metadata lacks {', '.join(missing)}")


def _corrupt(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"the model cannot be used: {why}",
        code="teacher.corrupt",
        subject=str(path),
        hint="Download the model again",
    )


def _unknown(path: Path, metadata: Mapping[str, str]) -> ConfigError:
    told = metadata.get("model_type")
    return ConfigError(
        f"it is a model of the kind {told!r}" if told else "the model does not say of which kind it is",
        code="teacher.unknown_model",
        subject=str(path),
        hint=f"Use an offline transducer or one of {', '.join(_CTC_FACTORIES)}",
    )
