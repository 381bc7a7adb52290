"""Which clips are not trained on, and why. Judged by what was measured, so other gates need no audio."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from phonoloop.core.errors import ConfigError
from phonoloop.voice.data import VoiceClip
from phonoloop.voice.speakers import SpeakerSettings, others

#: what each reason says to people
REASONS: Mapping[str, str] = {
    "forced_cut": "it was cut where nobody paused, so a word may be cut through",
    "too_short": "it is shorter than what can be learnt from",
    "too_long": "it is longer than what fits into training",
    "no_speech": "nobody speaks in it",
    "clipped": "it was recorded too loud: the tops of its waves are cut off",
    "noisy": "there is too much noise in it, even for taking it out",
    "narrow_band": "it has no high frequencies, as over a telephone",
    "reverberant": "the room is heard too much",
    "music": "there is music in it",
    "speakers": "somebody else speaks in it, too",
    "noise": "something else is heard in it",
    "loudness": "it is much louder or much quieter than the rest of its recording",
    "other_speaker": "somebody else speaks it, by its pitch and timbre",
}

#: what can be done about it where it refuses most; of reasons that refuse as many the first
ADVICE: Mapping[str, str] = {
    "music": "Give recordings without music, or separate it first (`separate` in the recipe)",
    "speakers": "Give recordings in which one person speaks alone",
    "other_speaker": "Give recordings of one person",
    "narrow_band": "Record with a microphone at 22,050 Hz or more: what a telephone drops cannot be had back",
    "clipped": "Record again at a lower level",
    "forced_cut": "Speak with pauses between sentences, or raise `segment.max_s`",
    "reverberant": "Record nearer to the microphone, in a room with carpets and curtains",
    "noisy": "Record in a quiet room, near the microphone",
    "too_short": "Give longer recordings",
}

#: comparing loudness needs so many clips
_FEWEST_COMPARED = 5
#: the room is that of a clip and its neighbours, as many as this before and after it
_ROOM_NEIGHBOURS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """What a clip must be to be trained on. `None` turns a gate off.

    Attributes:
        min_s, max_s: its length.
        least_voiced_share: of its speech; less is no speech.
        max_clipped_share: of its samples.
        min_snr_db: as it was recorded.
        min_bandwidth_hz: as it was recorded. A telephone has 4,000.
        min_decay_db_s: how fast speech falls. 130 is a reverberation time of about 0.65 s.
        max_marked_s: how long music, other speakers or noise may be heard in it, counting certainty.
        max_loudness_db: away from the middle of its recording.
        other_speakers: when it is somebody else.

    Raises:
        ConfigError: `voice.gates`.
    """

    min_s: float | None = 1.0
    max_s: float | None = 12.0
    least_voiced_share: float | None = 0.1
    max_clipped_share: float | None = 0.001
    min_snr_db: float | None = 8.0
    min_bandwidth_hz: float | None = 5_000.0
    min_decay_db_s: float | None = 130.0
    max_marked_s: float | None = 0.25
    max_loudness_db: float | None = 10.0
    other_speakers: SpeakerSettings | None = field(default_factory=SpeakerSettings)

    def __post_init__(self) -> None:
        if self.min_s is not None and self.max_s is not None and self.min_s >= self.max_s:
            raise ConfigError(
                f"clips of {self.min_s:g} to {self.max_s:g} s cannot be",
                code="voice.gates",
                hint="Raise max_s",
            )


def judge_clips(clips: Sequence[VoiceClip], settings: GateSettings | None = None) -> list[VoiceClip]:
    """The same clips in the same order, each with why it is refused, or with nothing.

    What a clip was refused for before is forgotten: it is judged by its facts alone, and by the other clips,
    so the same clips have the same verdicts.

    Args:
        clips: of one speaker, of all recordings, as `process_source` gives them.
    """
    rules = settings or GateSettings()
    decays = _decays_around(clips)
    alone = [replace(clip, refused=tuple(_alone(clip, decays, rules))) for clip in clips]
    good = [clip for clip in alone if not clip.refused]  # what is refused anyway says nothing of the rest
    found = {"loudness": _loudness_outliers(good, rules), "other_speaker": _other_speakers(good, rules)}
    return [_refused_too(clip, found) for clip in alone]


def _refused_too(clip: VoiceClip, found: Mapping[str, set[str]]) -> VoiceClip:
    return replace(clip, refused=(*clip.refused, *(why for why, ids in found.items() if clip.clip_id in ids)))


def count_refused(clips: Sequence[VoiceClip]) -> dict[str, int]:
    """How many clips each reason refused; a clip may have several."""
    return dict(sorted(Counter(why for clip in clips for why in clip.refused).items()))


def _alone(clip: VoiceClip, decays: Mapping[str, float], rules: GateSettings) -> Iterator[str]:
    facts = clip.facts
    if facts["forced_cut"]:
        yield "forced_cut"
    if _below(clip.duration_s, rules.min_s):
        yield "too_short"
    if _above(clip.duration_s, rules.max_s):
        yield "too_long"
    if _no_speech(facts, rules):
        yield "no_speech"
    if _above(facts["clipped_share"], rules.max_clipped_share):
        yield "clipped"
    if _below(facts["snr_db"], rules.min_snr_db):
        yield "noisy"
    if _below(facts["bandwidth_hz"], rules.min_bandwidth_hz):
        yield "narrow_band"
    if _below(decays.get(clip.clip_id), rules.min_decay_db_s):
        yield "reverberant"
    yield from (kind for kind, marked_s in facts["marked_s"].items() if _above(marked_s, rules.max_marked_s))


def _below(value: float | None, least: float | None) -> bool:
    return value is not None and least is not None and value < least


def _above(value: float, most: float | None) -> bool:
    return most is not None and value > most


def _no_speech(facts: Mapping[str, Any], rules: GateSettings) -> bool:
    if rules.least_voiced_share is None:
        return False
    return facts["voiced_s"] <= rules.least_voiced_share * facts["speech_s"] or facts["speech_s"] <= 0


def _of_each_source(clips: Sequence[VoiceClip]) -> Iterator[list[VoiceClip]]:
    for source_id in sorted({clip.source_id for clip in clips}):
        yield [clip for clip in clips if clip.source_id == source_id]


def _decays_around(clips: Sequence[VoiceClip]) -> dict[str, float]:
    """Of each clip, the median of its own and its neighbours': one clip alone tells little of a room."""
    found: dict[str, float] = {}
    for own in _of_each_source(clips):
        told = sorted(
            (clip for clip in own if clip.facts["decay_db_s"] is not None),
            key=lambda clip: clip.spans[0].start,
        )
        decays = np.array([clip.facts["decay_db_s"] for clip in told], float)
        for at, clip in enumerate(told):
            around = decays[max(at - _ROOM_NEIGHBOURS, 0) : at + _ROOM_NEIGHBOURS + 1]
            found[clip.clip_id] = float(np.median(around))
    return found


def _loudness_outliers(clips: Sequence[VoiceClip], rules: GateSettings) -> set[str]:
    found: set[str] = set()
    for own in _of_each_source(clips):
        if len(own) < _FEWEST_COMPARED or rules.max_loudness_db is None:
            continue
        middle = float(np.median([clip.facts["loudness_lufs"] for clip in own]))
        far = (clip for clip in own if abs(clip.facts["loudness_lufs"] - middle) > rules.max_loudness_db)
        found.update(clip.clip_id for clip in far)
    return found


def _other_speakers(clips: Sequence[VoiceClip], rules: GateSettings) -> set[str]:
    return set() if rules.other_speakers is None else others(clips, rules.other_speakers)
