"""The restorer's model: what it holds and its file.

A file is one line of JSON (format version, metadata, where each array lies, the SHA-256 of what follows)
and then the arrays, little-endian, one after the other. Nothing in it is code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.core.errors import IntegrityError, NotFoundError
from phonoloop.text.restorer_evidence import Counts, Evidence, from_stored, look_up, stored
from phonoloop.text.restorer_fit import Potentials
from phonoloop.text.restorer_layers import Perceptron
from phonoloop.text.restorer_words import SPECIAL, Vocabulary

#: changes whenever an older program would read a file wrongly
FORMAT = 1
_KIND = "phonoloop-restorer"
_DTYPES = frozenset(("<f4", "<f2", "<u4", "<i4", "|u1"))


@dataclass(frozen=True)
class RestorerModel:
    """Attributes:
    vocabulary: the forms it knows.
    pair_keys: (p,) sorted `left * forms + right`; pair_scores: (p,) float32.
    case_scores: (p, 2, 3) what the case of the left and of the right form adds.
    form_scores: (forms, 3) by case.
    steps: (4, 3, p) how often each source saw each pair, and its left and right form with a capital, as
    stored; totals: (4, forms) each form;
    capital: (4, forms) each form with a capital; frequency: (forms,) in mixed text.
    potentials: how scores were made of the evidence.
    metadata: what it was trained on, licences, figures, and the settings of its decisions.
    """

    vocabulary: Vocabulary
    pair_keys: np.ndarray
    pair_scores: np.ndarray
    case_scores: np.ndarray
    form_scores: np.ndarray
    steps: np.ndarray
    totals: np.ndarray
    capital: np.ndarray
    frequency: np.ndarray
    potentials: Potentials
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def evidence(self) -> Evidence:
        """The counts, as exact as they are stored."""
        return Evidence(
            tuple(self._counts(source) for source in range(len(self.steps))),  # type: ignore[arg-type]
            self.frequency,
        )

    def _counts(self, source: int) -> Counts:
        kept = self.steps[source, 0] > 0
        values, *capitals = from_stored(self.steps[source][:, kept])
        both = np.stack(capitals, 1)
        return Counts(self.pair_keys[kept], values, both, self.totals[source], self.capital[source])

    @property
    def hash(self) -> str:
        """SHA-256 of the file it is saved as."""
        return hashlib.sha256(to_bytes(self)).hexdigest()


def build(
    vocabulary: Vocabulary, evidence: Evidence, potentials: Potentials, metadata: Mapping[str, Any]
) -> RestorerModel:
    """A model with its scores computed from the evidence as it will be stored."""
    keys = evidence.pair_keys()
    model = RestorerModel(
        vocabulary,
        keys,
        np.zeros(len(keys), np.float32),
        np.zeros((len(keys), 2, 3), np.float32),
        np.zeros((len(vocabulary), 3), np.float32),
        np.stack([_steps(counts, keys) for counts in evidence.counts]),
        np.stack([counts.forms for counts in evidence.counts]).astype(np.float32),
        np.stack([counts.capital for counts in evidence.counts]).astype(np.float32),
        evidence.frequency.astype(np.float32),
        potentials,
        metadata,
    )
    return replace(
        model,
        pair_scores=_half(potentials.pair_scores(model.evidence, keys)),
        case_scores=_half(model.evidence.case_features(keys) * potentials.case_weight[:, None]),
        form_scores=potentials.form_scores(model.evidence, vocabulary),
    )


def _steps(counts: Counts, keys: np.ndarray) -> np.ndarray:
    capitals = look_up(counts.keys, counts.capitals, keys)
    return stored(np.stack([counts.of(keys), capitals[:, 0], capitals[:, 1]]))


def _half(scores: np.ndarray) -> np.ndarray:
    """As exact as they are stored."""
    return scores.astype(np.float16).astype(np.float32)


def to_bytes(model: RestorerModel) -> bytes:
    """The file's content: the same for the same model."""
    arrays = _arrays(model)
    body = b"".join(array.tobytes() for array in arrays.values())
    head = {
        "kind": _KIND,
        "format": FORMAT,
        "sha256": hashlib.sha256(body).hexdigest(),
        "arrays": [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()],
        "metadata": model.metadata,
    }
    line = json.dumps(head, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return line.encode() + b"\n" + body


def _arrays(model: RestorerModel) -> dict[str, np.ndarray]:
    words = "\n".join(model.vocabulary.forms[len(SPECIAL) :]).encode()
    arrays = {
        "forms": np.frombuffer(words, "|u1"),
        "pair_keys": model.pair_keys.astype("<u4"),
        "pair_scores": model.pair_scores.astype("<f2"),
        "case_scores": model.case_scores[..., :2].astype("<f2"),
        "form_scores": model.form_scores.astype("<f4"),
        "steps": model.steps,
        "totals": model.totals.astype("<f4"),
        "capital": model.capital.astype("<f4"),
        "frequency": model.frequency.astype("<f4"),
        "pair_scale": model.potentials.pair_scale.astype("<f4"),
        "form_scale": model.potentials.form_scale.astype("<f4"),
    }
    return arrays | {f"weights.{name}": w.astype("<f4") for name, w in model.potentials.weights().items()}


def from_bytes(data: bytes, subject: str) -> RestorerModel:
    """The model that a file holds.

    Raises:
        IntegrityError: `restorer.not_a_model`, `restorer.wrong_version`, `restorer.corrupt`.
    """
    line, _, body = data.partition(b"\n")
    head = _head(line, subject)
    if hashlib.sha256(body).hexdigest() != head["sha256"]:
        raise _refusal("corrupt", "the restorer's file is not what it was when it was written", subject)
    try:
        return _assembled(_read_arrays(head["arrays"], body), head["metadata"])
    except (KeyError, ValueError, TypeError) as error:
        raise _refusal(
            "corrupt", f"the restorer's file does not hold what it should ({error})", subject
        ) from None


def _head(line: bytes, subject: str) -> dict[str, Any]:
    try:
        head = json.loads(line)
    except ValueError:
        head = None
    if not isinstance(head, dict) or head.get("kind") != _KIND:
        raise _refusal("not_a_model", "this is no restorer model", subject)
    if head.get("format") != FORMAT:
        raise _refusal(
            "wrong_version", f"a restorer model of format {head.get('format')}, not {FORMAT}", subject
        )
    if not {"sha256", "arrays", "metadata"} <= head.keys():
        raise _refusal("corrupt", "the restorer's file has lost a part of its first line", subject)
    return head


def _refusal(code: str, message: str, subject: str) -> IntegrityError:
    return IntegrityError(
        message,
        code=f"restorer.{code}",
        subject=subject,
        hint="Remove the file: the shipped model is used where there is no other, "
        "or train again with `phonoloop text train-restorer`",
    )


def _read_arrays(described: list[Any], body: bytes) -> dict[str, np.ndarray]:
    arrays, at = {}, 0
    for name, dtype, shape in described:
        if dtype not in _DTYPES:
            raise ValueError(f"array {name} is of type {dtype}")
        many = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(body, dtype, many, at).reshape(shape)
        at += arrays[name].nbytes
    return arrays


def _assembled(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> RestorerModel:
    words = arrays["forms"].tobytes().decode().split("\n")
    potentials = Potentials(
        _perceptron(arrays, "weights.pair"),
        _perceptron(arrays, "weights.form"),
        arrays["pair_scale"],
        arrays["form_scale"],
        arrays["weights.case_weight"].copy(),
    )
    model = RestorerModel(
        Vocabulary((*SPECIAL, *words)),
        arrays["pair_keys"].astype(np.int64),
        arrays["pair_scores"].astype(np.float32),
        np.pad(arrays["case_scores"].astype(np.float32), ((0, 0), (0, 0), (0, 1))),
        arrays["form_scores"],
        arrays["steps"],
        arrays["totals"],
        arrays["capital"],
        arrays["frequency"],
        potentials,
        metadata,
    )
    if len(model.form_scores) != len(model.vocabulary) or len(model.pair_keys) != len(model.pair_scores):
        raise ValueError("arrays of different lengths")
    return model


def _perceptron(arrays: Mapping[str, np.ndarray], prefix: str) -> Perceptron:
    found = [arrays[name].copy() for name in sorted(arrays) if name.startswith(prefix)]
    if not found:
        raise KeyError(prefix)
    return Perceptron(found)


def load(path: Path) -> RestorerModel:
    """The model of a file.

    Raises:
        NotFoundError: `restorer.missing`.
        IntegrityError: as `from_bytes`.
    """
    try:
        return from_bytes(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise NotFoundError(
            "there is no restorer model here",
            code="restorer.missing",
            subject=str(path),
            hint="Reinstall phonoloop, or give the path of a model",
        ) from None
