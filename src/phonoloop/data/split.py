"""Which split a speaker is in: decided once, by the name, for ever."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from phonoloop.core.errors import ConfigError, InputError, SplitConflictError
from phonoloop.core.ids import content_id
from phonoloop.core.ports import Transaction
from phonoloop.data.model import Recording, Speaker, Split

MAX_NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class SplitRule:
    """Shares of speakers, in percent; what is left over is the test split.

    Raises:
        ConfigError: `split.shares`.
    """

    train_pct: int = 92
    val_pct: int = 4

    def __post_init__(self) -> None:
        if self.train_pct < 0 or self.val_pct < 0 or self.train_pct + self.val_pct > 100:
            raise ConfigError(
                f"{self.train_pct} % train and {self.val_pct} % val are not shares of one whole",
                code="split.shares",
                hint="Give two whole numbers from 0 that add up to at most 100",
            )

    def split_of(self, speaker_id: str) -> Split:
        """MD5 of the id, modulo 100: below `train_pct` train, then val, then test."""
        bucket = int(hashlib.md5(speaker_id.encode(), usedforsecurity=False).hexdigest(), 16) % 100
        if bucket < self.train_pct:
            return Split.TRAIN
        return Split.VAL if bucket < self.train_pct + self.val_pct else Split.TEST


@dataclass(frozen=True, slots=True)
class SpeakerClaim:
    """Who somebody says is speaking, before it is recorded."""

    name: str
    weak: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def speaker_id(self) -> str:
        return speaker_id_of(self.name)


def speaker_id_of(name: str) -> str:
    """The name in NFC, trimmed, one space between words: the same person however it was typed.

    Raises:
        InputError: `speaker.name` where nothing is left, it is too long or holds control characters.
    """
    speaker_id = " ".join(unicodedata.normalize("NFC", name).split())
    if not speaker_id or len(speaker_id) > MAX_NAME_LENGTH or not speaker_id.isprintable():
        raise InputError(
            "this cannot be a speaker's name",
            code="speaker.name",
            subject=repr(name[:40]),
            hint=f"Give 1 to {MAX_NAME_LENGTH} printable characters",
        )
    return speaker_id


def is_forgotten(speaker: Speaker) -> bool:
    """Whether only the name is left, so that nobody takes it for somebody new."""
    return bool(speaker.attributes.get("forgotten", False))


def forgotten_key(audio_id: str) -> str:
    """Of the `AuditEntry` which says that this audio was forgotten."""
    return content_id(["recording.forgotten", audio_id])


def forgotten_error(subject: str, what: str) -> InputError:
    """`speaker.forgotten`."""
    return InputError(
        f"{what} was forgotten, and is not taken in again",
        code="speaker.forgotten",
        subject=subject,
        hint="Delete your copy of the file; where it is somebody else, give them another name",
    )


def enrol(tx: Transaction, claim: SpeakerClaim, rule: SplitRule) -> Speaker:
    """The speaker as recorded; a new one is put in the split of the rule. A later rule moves nobody.

    Raises:
        InputError: `speaker.forgotten`.
    """
    known = tx.get(Speaker, claim.speaker_id)
    if known is not None and is_forgotten(known):
        raise forgotten_error(known.speaker_id, "this speaker")
    if known is not None:
        return known
    speaker = Speaker(
        speaker_id=claim.speaker_id,
        name=claim.name.strip(),
        split=rule.split_of(claim.speaker_id),
        weak=claim.weak,
        attributes=claim.attributes,
    )
    tx.put(speaker)
    return speaker


def pin_speaker(tx: Transaction, name: str, split: Split) -> Speaker:
    """Puts a speaker in a split by hand.

    Raises:
        InputError: `speaker.name`, `speaker.forgotten`.
        SplitConflictError: `split.speaker_has_audio` where the speaker is heard in another split already.
    """
    speaker_id = speaker_id_of(name)
    known = tx.get(Speaker, speaker_id)
    if known is not None and is_forgotten(known):
        raise forgotten_error(speaker_id, "this speaker")
    if known is not None and known.split != split and tx.find(Recording, speaker_id=speaker_id, limit=1):
        raise SplitConflictError(
            f"this speaker has recordings in {known.split} and cannot move to {split}",
            code="split.speaker_has_audio",
            subject=speaker_id,
            hint="Pin a speaker before the first recording; a model may have heard these",
        )
    speaker = (
        Speaker(speaker_id=speaker_id, name=name.strip(), split=split, pinned=True)
        if known is None
        else replace(known, split=split, pinned=True)
    )
    tx.put(speaker)
    return speaker
