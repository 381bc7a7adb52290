"""What people should listen to first, and what they said.

A correction is a small file of its own, kept under the passage it is about (source and spans) and not under
the clip: a clip that is processed in another way keeps it, and no other clip is touched. Nobody says anything
while somebody else does, or while a build writes the texts.

    OUT/corrections/<passage_id>.json
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from phonoloop.core.errors import InputError, IntegrityError, NotFoundError
from phonoloop.core.files import write_whole
from phonoloop.core.ids import canonical_json
from phonoloop.core.speech import Span
from phonoloop.voice.metadata import made_safe, read_texts, require_texts, write_texts
from phonoloop.voice.store import texts_alone
from phonoloop.voice.texts import ClipText, Origin, passage_id
from phonoloop.voice.trust import corpus_of, judged

CORRECTIONS = "corrections"
#: a clip without any text is speech this often
_SPEECH_CHANCE = 0.3


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What a person said of a passage.

    Attributes:
        text: what is said there; empty where it is not to be used.
        was: the text that the person saw. by: who. at: when, as ISO 8601.
    """

    source_id: str
    spans: tuple[Span, ...]
    verdict: Verdict
    text: str
    was: str
    by: str
    at: str

    @property
    def passage_id(self) -> str:
        return passage_id(self.source_id, self.spans)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"spans": [[span.start, span.end] for span in self.spans]}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        spans = tuple(Span(start, end) for start, end in raw["spans"])
        return cls(**{**raw, "spans": spans, "verdict": Verdict(raw["verdict"])})


@dataclass(frozen=True, slots=True)
class Waiting:
    """A clip worth a look.

    Attributes:
        gain_s: seconds of right speech that looking at it should bring to the training.
    """

    text: ClipText
    gain_s: float


def settled(texts: Iterable[ClipText], corrections: Mapping[str, Correction]) -> list[ClipText]:
    """What counts: the text as it was heard or given, made safe, or a person's; with trust and quality.

    The order of the clips changes nothing, nor does it matter whether they were settled before.
    """
    texts = [_with_text(text, corrections.get(text.passage_id)) for text in texts]
    corpus = corpus_of(texts)
    return [judged(text, corpus) for text in texts]


def _with_text(text: ClipText, correction: Correction | None) -> ClipText:
    rejected = correction is not None and correction.verdict is Verdict.REJECTED
    by_person = correction is not None and not rejected
    safe = made_safe(correction.text if by_person else text.heard.text)
    origin = Origin.HUMAN if by_person else text.heard.origin
    return replace(text, text=safe.text, changed=safe.changed, origin=origin, rejected=rejected)


def review_queue(
    texts: Iterable[ClipText], *, min_trust: float, rarity: Mapping[str, float] | None = None
) -> list[Waiting]:
    """Clips that nobody has looked at, those first that would gain most.

    A clip that is trained on gains as many of its seconds as are doubted; one that is left out gains all of
    them, if there is speech in it. Sounds that the rest of the voice lacks count more.

    Args:
        min_trust: what is trusted less is left out of the training.
        rarity: clip → 0 to 1, see `coverage.rarity`.
    """
    unseen = [text for text in texts if text.origin is not Origin.HUMAN and not text.rejected]
    waiting = [Waiting(text, round(_gain_s(text, min_trust, rarity or {}), 3)) for text in unseen]
    found = [one for one in waiting if one.gain_s > 0]
    return sorted(found, key=lambda one: (-one.gain_s, one.text.clip_id))


def _gain_s(text: ClipText, min_trust: float, rarity: Mapping[str, float]) -> float:
    score = text.trust.score
    chance = 1.0 - score if score >= min_trust else 1.0 if text.text else _SPEECH_CHANCE
    return text.duration_s * chance * (1.0 + rarity.get(text.clip_id, 0.0))


def read_corrections(out: Path) -> dict[str, Correction]:
    """By passage. Corrections of passages that no clip has any more are kept, and come back with their clip.

    Raises:
        IntegrityError: `voice.correction`, a file that is none.
    """
    found = [_read_correction(path) for path in sorted((out / CORRECTIONS).glob("[!.]*.json"))]
    return {correction.passage_id: correction for correction in found}


def _read_correction(path: Path) -> Correction:
    try:
        return Correction.from_dict(json.loads(path.read_text("utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"this is no correction ({error})",
            code="voice.correction",
            subject=str(path),
            hint="Mend it or move it away; the clip then has its heard text again",
        ) from error


@dataclass(frozen=True, slots=True)
class Reviewer:
    """`by`: who says it. `at`: when, as ISO 8601."""

    by: str
    at: str


def accept(out: Path, clip_ids: Sequence[str], reviewer: Reviewer) -> list[ClipText]:
    """The texts of these clips are right as they are; they stay so whatever a later recogniser hears.

    Raises:
        NotFoundError: `voice.no_clip`, `voice.no_transcripts`. InputError: `voice.no_text`, where there is
        nothing to accept. ConflictError: `voice.busy`. ResourceError: `resource.disk`.
    """
    with _found(out, clip_ids) as found:
        for text in found:
            if not text.text:
                raise _no_text(text.clip_id)
        for text in found:
            _keep(out, text, Verdict.ACCEPTED, said=text.text, reviewer=reviewer)
        return _again(out, clip_ids)


def correct(out: Path, clip_id: str, said: str, reviewer: Reviewer) -> ClipText:
    """What is said in a clip. Raises as `accept`."""
    with _found(out, [clip_id]) as (text,):
        safe = made_safe(said).text
        if not safe:
            raise _no_text(clip_id)
        _keep(out, text, Verdict.CORRECTED, said=safe, reviewer=reviewer)
        return _again(out, [clip_id])[0]


def reject(out: Path, clip_ids: Sequence[str], reviewer: Reviewer) -> list[ClipText]:
    """These clips are not to be used. Raises as `accept`."""
    with _found(out, clip_ids) as found:
        for text in found:
            _keep(out, text, Verdict.REJECTED, said="", reviewer=reviewer)
        return _again(out, clip_ids)


def undo(out: Path, clip_ids: Sequence[str]) -> list[ClipText]:
    """Takes back what was said of these clips. Raises as `accept`."""
    with _found(out, clip_ids) as found:
        for text in found:
            (out / CORRECTIONS / f"{text.passage_id}.json").unlink(missing_ok=True)
        return _again(out, clip_ids)


@contextmanager
def _found(out: Path, clip_ids: Sequence[str]) -> Iterator[list[ClipText]]:
    """By id, or by the beginning of one that no other clip has; nobody else writes texts meanwhile."""
    require_texts(out)
    with texts_alone(out):
        texts = read_texts(out)
        yield [_one(texts, clip_id) for clip_id in clip_ids]


def _one(texts: Sequence[ClipText], clip_id: str) -> ClipText:
    found = [text for text in texts if clip_id and text.clip_id.startswith(clip_id)]
    if len(found) != 1:
        message = f"{len(found)} clips have ids that begin so" if found else "there is no such clip"
        raise NotFoundError(
            message, code="voice.no_clip", subject=clip_id, hint="`phonoloop voice review DIR` lists them"
        )
    return found[0]


def _no_text(clip_id: str) -> InputError:
    return InputError(
        "there is no text",
        code="voice.no_text",
        subject=clip_id,
        hint="Write what is said with `correct`, or `reject` the clip",
    )


def _keep(out: Path, text: ClipText, verdict: Verdict, *, said: str, reviewer: Reviewer) -> None:
    correction = Correction(
        source_id=text.source_id,
        spans=text.spans,
        verdict=verdict,
        text=said,
        was=text.text,
        by=reviewer.by,
        at=reviewer.at,
    )
    path = out / CORRECTIONS / f"{correction.passage_id}.json"
    write_whole(path, (canonical_json(correction.to_dict()) + "\n").encode())


def _again(out: Path, clip_ids: Sequence[str]) -> list[ClipText]:
    """Settles the folder anew: only what the corrections changed is written."""
    texts = settled(read_texts(out), read_corrections(out))
    write_texts(out, texts)
    return [_one(texts, clip_id) for clip_id in clip_ids]
