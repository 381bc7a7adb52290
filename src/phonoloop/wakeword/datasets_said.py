"""What people say of clips: checked before it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from phonoloop.core.errors import InputError
from phonoloop.data.split import speaker_id_of
from phonoloop.wakeword.clips import Label

MOST_TEXT = 200
MOST_NOTES = 2_000
#: what is said of a clip
SAID = ("label", "speaker", "notes", "device", "environment", "licence", "distance_m")


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What somebody says of a clip that comes in."""

    label: Label
    speaker: str = ""
    notes: str = ""
    device: str = ""
    environment: str = ""
    licence: str = ""
    distance_m: float | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to become of a clip; None leaves it as it is."""

    label: Label | None = None
    speaker: str | None = None
    notes: str | None = None
    device: str | None = None
    environment: str | None = None
    licence: str | None = None
    distance_m: float | None = None


def checked(about: About) -> About:
    """With the speaker's name as it is written everywhere."""
    return replace(
        about,
        speaker=speaker_id_of(about.speaker) if about.speaker.strip() else "",
        notes=short("notes", about.notes, MOST_NOTES),
        name=short("name", about.name[-MOST_TEXT:]),
        distance_m=_distance(about.distance_m),
        **{name: short(name, getattr(about, name)) for name in ("device", "environment", "licence")},
    )


def short(name: str, text: str, most: int = MOST_TEXT) -> str:
    """Text that a line of JSON and a terminal can hold."""
    clean = text.strip()
    if len(clean) > most or any("\ud800" <= letter <= "\udfff" or letter == "\0" for letter in clean):
        raise InputError(
            f"the {name} cannot be kept",
            code="dataset.text",
            subject=repr(clean[:40]),
            hint=f"Give at most {most} characters of text",
        )
    return clean


def _distance(distance_m: float | None) -> float | None:
    if distance_m is not None and not 0 <= distance_m <= 100:
        raise InputError(
            f"{distance_m} is no distance from a microphone",
            code="clip.distance",
            subject="distance_m",
            hint="Give metres, 0 to 100",
        )
    return distance_m


def about_of(raw: Mapping[str, Any], *, subject: str) -> About:
    """What somebody wrote of a clip as JSON: `label` and whatever else `About` has.

    Raises:
        InputError: `clip.metadata`, naming what is wrong.
    """
    known = (*SAID, "name")
    if unknown := sorted(set(raw) - set(known)):
        raise _metadata(subject, f"there is no field {unknown[0]!r}", f"Known are {', '.join(known)}")
    for name, value in raw.items():
        wanted = (int, float) if name == "distance_m" else str
        if value is not None and (isinstance(value, bool) or not isinstance(value, wanted)):
            kind = "a number of metres" if name == "distance_m" else "a text"
            raise _metadata(subject, f"{name} is not {kind}", "Mend it")
    return About(
        **{**{name: value for name, value in raw.items() if value is not None}, **_label(raw, subject)}
    )


def _label(raw: Mapping[str, Any], subject: str) -> dict[str, Label]:
    names = [label.value for label in Label]
    if raw.get("label") not in names:
        given = repr(raw["label"]) if raw.get("label") else "no label"
        raise _metadata(subject, f"{given} was given", f"Label it {', '.join(names)}")
    return {"label": Label(raw["label"])}


def _metadata(subject: str, message: str, hint: str) -> InputError:
    return InputError(message, code="clip.metadata", subject=subject, hint=hint)
