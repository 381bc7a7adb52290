"""Why a build stops: what it found, how often, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from phonoloop.core.errors import AudioError, InputError, PhonoloopError
from phonoloop.voice.data import Source, VoiceClip
from phonoloop.voice.gates import ADVICE, REASONS

_USUAL = "Record one speaker near the microphone, without music"


def copy_of(first: Source, path: Path) -> AudioError:
    """A recording with the samples of another one."""
    return AudioError(
        f"it sounds exactly as {first.name} does",
        code="voice.copy",
        subject=path.name,
        hint="Nothing is lost: the other one is used",
    )


def nothing_usable(refused: Mapping[str, PhonoloopError], log: Path) -> InputError:
    """No recording can be taken in.

    Args:
        refused: name of a recording → why.
        log: names each.
    """
    if len(refused) == 1:
        ((name, error),) = refused.items()
        message, hint = f"it cannot be used: {_told(error)}", error.hint
        return InputError(message, code="voice.nothing_usable", subject=name, hint=hint)
    counts = Counter(map(_told, refused.values()))
    told = "; ".join(f"{count} of them: {why}" for why, count in counts.most_common(3))
    return InputError(
        f"none of {len(refused)} recordings can be used. {told}",
        code="voice.nothing_usable",
        subject=", ".join(sorted(refused)[:3]),
        hint=f"{log} names each; they lie where they were",
    )


def _told(error: PhonoloopError) -> str:
    return f"{error.message} [{error.code}]"


def no_clips(clips: Sequence[VoiceClip]) -> InputError:
    """No clip passes the gates."""
    if not clips:
        return InputError("nobody speaks in the recordings", code="voice.no_clips", hint=_USUAL)
    counts = Counter(why for clip in clips for why in clip.refused)
    told = "; ".join(f"{count} [{why}]: {REASONS.get(why, why)}" for why, count in counts.most_common(4))
    most = max(ADVICE, key=lambda why: counts[why])
    advice = ADVICE[most] if counts[most] else _USUAL
    return InputError(
        f"none of {len(clips)} clips can be used. {told}",
        code="voice.no_clips",
        hint=f"{advice}; or loosen `gates` in the recipe",
    )


def no_texts(clips: int, sources: Iterable[Source], *, heard: bool) -> InputError:
    """No clip has a text.

    Args:
        clips: how many could have one.
        heard: a recogniser was there.
    """
    message = f"there is no transcript of any of the {clips} clips, and no recogniser to write one"
    hint = "Lay NAME.txt or NAME.json beside each recording, train or name a recogniser (ASR_TEACHER)"
    if heard:
        message = f"the recogniser heard no words in any of the {clips} clips"
        hint = "What it heard is in transcripts/; is the language right?"
    elif any(one.text and not one.timed for one in sources):
        message = f"there is no recogniser to tell which words of a text are in which of the {clips} clips"
        hint = "Give the texts times (`segments` in NAME.json), train or name a recogniser (ASR_TEACHER)"
    return InputError(message, code="voice.no_texts", hint=hint)
