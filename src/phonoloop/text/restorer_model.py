"""The restorer's model: what it holds and its file.

A file is one line of JSON (format version, metadata, where each array lies, the SHA-256 of what follows)
and then the arrays, little-endian, one after the other. Nothing in it is code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.core.errors import IntegrityError, NotFoundError
from phonoloop.text.restorer_evidence import Counts, Evidence, from_stored, look_up, stored
from phonoloop.text.restorer_fit import Potentials, Scales
from phonoloop.text.restorer_scores import Tables, tables_of
from phonoloop.text.restorer_words import SPECIAL, Vocabulary

#: changes whenever an older program would read a file wrongly
FORMAT = 2
_KIND = "phonoloop-restorer"
_DTYPES = frozenset(("<f4", "<f2", "<u4", "<i4", "|u1"))


@dataclass(frozen=True)
class RestorerModel:
    """Attributes:
    vocabulary: the forms it knows.
    pair_keys: (p,) sorted `left * forms + right` of the pairs that were seen.
    tables: the scores.
    steps: (4, 3, p) how often each source saw each pair, and its left and right form with a capital, as
        stored; totals: (4, forms) each form; capital: (4, forms) each form with a capital.
    members, scales: how scores are made of the evidence; the members' scores are averaged.
    metadata: what it was trained on, licences, figures, and the settings of its decisions.
    """

    vocabulary: Vocabulary
    pair_keys: np.ndarray
    tables: Tables
    steps: np.ndarray
    totals: np.ndarray
    capital: np.ndarray
    members: tuple[Potentials, ...]
    scales: Scales
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def evidence(self) -> Evidence:
        """The counts, as exact as they are stored."""
        return Evidence(
            tuple(self._counts(source) for source in range(len(self.steps))),  # type: ignore[arg-type]
            self.vocabulary.keys,
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
    vocabulary: Vocabulary,
    evidence: Evidence,
    members: Sequence[Potentials],
    scales: Scales,
    metadata: Mapping[str, Any],
) -> RestorerModel:
    """A model with its scores computed from the evidence as it will be stored."""
    keys = evidence.pair_keys()
    nothing = np.zeros(0, np.float32)
    model = RestorerModel(
        vocabulary,
        keys,
        Tables(nothing, nothing, nothing, nothing),
        np.stack([_steps(counts, keys) for counts in evidence.counts]),
        np.stack([counts.forms for counts in evidence.counts]).astype(np.float32),
        np.stack([counts.capital for counts in evidence.counts]).astype(np.float32),
        tuple(members),
        scales,
        metadata,
    )
    return replace(model, tables=tables_of(members, scales, model.evidence, vocabulary))


def _steps(counts: Counts, keys: np.ndarray) -> np.ndarray:
    capitals = look_up(counts.keys, counts.capitals, keys)
    return stored(np.stack([counts.of(keys), capitals[:, 0], capitals[:, 1]]))


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
    tables, scales = model.tables, model.scales
    arrays = {
        "forms": np.frombuffer(words, "|u1"),
        "pair_keys": model.pair_keys.astype("<u4"),
        "pair_scores": tables.pairs.astype("<f2"),
        "case_scores": tables.cases[..., :2].astype("<f2"),
        "unseen_scores": tables.unseen.astype("<f2"),
        "form_scores": tables.forms.astype("<f4"),
        "steps": model.steps,
        "totals": model.totals.astype("<f4"),
        "capital": model.capital.astype("<f4"),
        "scale.pair": scales.pair.astype("<f4"),
        "scale.form": scales.form.astype("<f4"),
        "scale.side": scales.side.astype("<f4"),
    }
    for number, member in enumerate(model.members):
        arrays |= {f"{number}.{name}": w.astype("<f4") for name, w in member.weights().items()}
    return arrays


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
    cases = np.pad(arrays["case_scores"].astype(np.float32), ((0, 0), (0, 0), (0, 1)))
    pairs, unseen = (arrays[name].astype(np.float32) for name in ("pair_scores", "unseen_scores"))
    model = RestorerModel(
        Vocabulary((*SPECIAL, *words)),
        arrays["pair_keys"].astype(np.int64),
        Tables(pairs, cases, unseen, arrays["form_scores"]),
        arrays["steps"],
        arrays["totals"],
        arrays["capital"],
        tuple(_members(arrays)),
        Scales(*(arrays[f"scale.{name}"] for name in ("pair", "form", "side"))),
        metadata,
    )
    _check_lengths(model)
    return model


def _check_lengths(model: RestorerModel) -> None:
    forms, pairs, tables = len(model.vocabulary), len(model.pair_keys), model.tables
    of_forms = (len(tables.forms), tables.unseen.shape[1], model.totals.shape[1], model.capital.shape[1])
    of_pairs = (len(tables.pairs), len(tables.cases), model.steps.shape[2])
    if {forms} != set(of_forms) or {pairs} != set(of_pairs):
        raise ValueError("arrays of different lengths")


def _members(arrays: Mapping[str, np.ndarray]) -> Iterator[Potentials]:
    number = 0
    while f"{number}.case_weight" in arrays:
        prefix = f"{number}."
        yield Potentials.of({n.removeprefix(prefix): w for n, w in arrays.items() if n.startswith(prefix)})
        number += 1


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
