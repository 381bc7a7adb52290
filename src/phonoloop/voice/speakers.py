"""Which clips are spoken by somebody else, told by pitch and by timbre, without a model.

Most of what there is to hear is the speaker's. Who speaks much higher or lower is somebody else; so is who
differs a little in pitch and much in timbre. Two people with the same pitch are not told apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from phonoloop.voice.data import VoiceClip

#: the speaker's pitch is where most of the voice is, within so much to both sides
_MAIN_SEMITONES = 2.5
#: less voice than this says nothing of who it is
_LEAST_VOICED_S = 0.5
#: what the timbres in `audio.timbre` vary by is for clips of so much voice
_USUAL_VOICED_S = 3.0
#: spreads are larger than in the recordings that they were measured on, by so much in square
_CAUTION = 3.0
_MOST_SPLITS = 12
#: a group with less voice is told apart by pitch alone: a few words may sound like anybody
_LEAST_GROUP_S = 4.0
_ROUNDS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Voice:
    """What a clip's facts tell of who speaks.

    Attributes:
        semitones: of the median pitch over 1 Hz. parts: of each 0.6 s of voice.
        timbre: (12,), in units of what one speaker varies by; None where there was too little.
    """

    clip_id: str
    source_id: str
    voiced_s: float
    semitones: float
    parts: np.ndarray
    timbre: np.ndarray | None

    @classmethod
    def of(cls, clip: VoiceClip) -> Self | None:
        """None for too little voice to tell."""
        facts = clip.facts
        if facts["voiced_s"] < _LEAST_VOICED_S or facts["pitch_hz"] <= 0:
            return None
        return cls(
            clip.clip_id,
            clip.source_id,
            facts["voiced_s"],
            _semitones(facts["pitch_hz"]),
            _semitones(np.array(facts["pitches_hz"])),
            None if facts["timbre"] is None else np.array(facts["timbre"]),
        )


def _semitones(frequency_hz):
    return 12 * np.log2(frequency_hz)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerSettings:
    """When it is somebody else.

    Attributes:
        semitones: how far a clip's pitch is from the speaker's.
        part_semitones: how far it is for 0.6 s of voice inside of a clip; two such parts count.
        timbre: how far a group of clips differs in timbre, in units of what one speaker's clips vary by.
        timbre_semitones: how far such a group has to differ in pitch as well.
    """

    semitones: float = 5.0
    part_semitones: float = 7.0
    timbre: float = 1.3
    timbre_semitones: float = 1.0


def others(clips: Sequence[VoiceClip], settings: SpeakerSettings | None = None) -> set[str]:
    """The ids of the clips that are not, or not only, of the speaker that most of the voice is of."""
    rules = settings or SpeakerSettings()
    voices = [voice for clip in clips if (voice := Voice.of(clip))]
    if not voices:
        return set()
    middle = main_semitones(voices)
    found = {voice.clip_id for voice in voices if _is_other(voice, middle, rules)}
    rest = [voice for voice in voices if voice.clip_id not in found and voice.timbre is not None]
    for source_id in sorted({voice.source_id for voice in rest}):
        found |= _other_timbres([voice for voice in rest if voice.source_id == source_id], rules)
    return found


def main_semitones(voices: Sequence[Voice]) -> float:
    """The pitch of the speaker: the middle of where most voice is, whoever else is in the same clips."""
    told = [voice.parts if voice.parts.size else np.array([voice.semitones]) for voice in voices]
    semitones = np.sort(np.concatenate(told))
    first = np.searchsorted(semitones, semitones - _MAIN_SEMITONES)
    last = np.searchsorted(semitones, semitones + _MAIN_SEMITONES, side="right")
    most = int((last - first).argmax())
    return float(np.median(semitones[first[most] : last[most]]))


def _is_other(voice: Voice, middle: float, rules: SpeakerSettings) -> bool:
    far_parts = int((np.abs(voice.parts - middle) > rules.part_semitones).sum())
    return abs(voice.semitones - middle) > rules.semitones or far_parts >= 2


def _other_timbres(voices: Sequence[Voice], rules: SpeakerSettings) -> set[str]:
    """Of one recording: groups that split off, the one with less voice each time. One with too little voice
    to tell is left where it is, and the rest is looked at without it."""
    found: set[str] = set()
    for _ in range(_MOST_SPLITS):
        group, is_other = _split_off(voices, rules) if len(voices) > 1 else ([], False)
        if not (is_other or 0 < _voiced_s(group) < _LEAST_GROUP_S):
            break
        found.update(voice.clip_id for voice in group if is_other)
        apart = {voice.clip_id for voice in group}
        voices = [voice for voice in voices if voice.clip_id not in apart]
    return found


def _voiced_s(group: Sequence[Voice]) -> float:
    return sum(voice.voiced_s for voice in group)


def _split_off(voices: Sequence[Voice], rules: SpeakerSettings) -> tuple[list[Voice], bool]:
    """The smaller of two groups, and whether it differs like another person."""
    points = np.array([np.append(voice.timbre, voice.semitones) for voice in voices])
    weights = np.array([voice.voiced_s for voice in voices])
    inside = _two_groups(points, weights)
    if not inside.any() or inside.all():
        return [], False
    smaller = inside if weights[inside].sum() < weights[~inside].sum() else ~inside
    group = [voice for voice, out in zip(voices, smaller, strict=True) if out]
    return group, _voiced_s(group) >= _LEAST_GROUP_S and _two_people(points, weights, inside, rules)


def _two_groups(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """bool (clips,): in the second group, by two means (Lloyd), that start at the middle and farthest off."""
    middle = np.median(points, axis=0)
    means = np.stack((middle, points[int(np.square(points - middle).sum(axis=1).argmax())]))
    inside = np.zeros(len(points), bool)
    for _ in range(_ROUNDS):
        distances = np.square(points[:, None] - means).sum(axis=2)
        now = distances[:, 1] < distances[:, 0]
        if (now == inside).all() or now.all() or not now.any():
            return now
        inside = now
        means = np.stack(
            [np.average(points[part], axis=0, weights=weights[part]) for part in (~inside, inside)]
        )
    return inside


def _two_people(points: np.ndarray, weights: np.ndarray, inside: np.ndarray, rules: SpeakerSettings) -> bool:
    """Whether two groups are farther apart than the clips of one person would be by chance."""
    one, other = (np.average(points[part], axis=0, weights=weights[part]) for part in (~inside, inside))
    chance = _CAUTION * sum(_USUAL_VOICED_S / weights[part].sum() for part in (~inside, inside))
    apart = float(np.square(one - other)[:-1].mean()) - chance
    return apart > rules.timbre**2 and abs(one[-1] - other[-1]) > rules.timbre_semitones
