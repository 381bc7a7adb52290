"""Who is trained on, who chooses the threshold, and who the report is about: never the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from phonoloop.core.ids import sha256_hex
from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.data.model import Split
from phonoloop.data.split import SplitRule, speaker_id_of
from phonoloop.wakeword.clips import WakeClip
from phonoloop.wakeword.fingerprint import copies, fingerprint

#: with fewer clips than this on a side, speakers are too few to be kept apart
LEAST_CLIPS = 4
#: a recording that has to be shared out is cut into so much
_PIECE = 30 * CANONICAL_RATE_HZ


@dataclass(frozen=True, slots=True)
class Division:
    """Clips in three sides, each in the order they came.

    Attributes:
        train, tune, report: to learn from; to choose weights and threshold on; for the figures.
        by: what never is on two sides: `speaker` (a person or a synthesiser's voice), `clip` or `piece`.
        warnings: what that means for the figures, a sentence each.
    """

    train: tuple[WakeClip, ...] = ()
    tune: tuple[WakeClip, ...] = ()
    report: tuple[WakeClip, ...] = ()
    by: str = "speaker"
    warnings: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[WakeClip, ...]:
        return (*self.train, *self.tune, *self.report)

    def folds(self, count: int) -> list[list[WakeClip]]:
        """The side to learn from in so many parts, which share no speaker; some may be empty."""
        parts: list[list[WakeClip]] = [[] for _ in range(count)]
        for clip in self.train:
            name = f"fold {_speaker_of(clip) or clip.clip_id}"
            parts[int(sha256_hex(name.encode()), 16) % count].append(clip)
        return parts


def side_of(name: str, rule: SplitRule) -> Split:
    """Of a voice or a clip, for ever: VAL is the tune side, TEST the report's."""
    return rule.split_of(name)


def divide(clips: Sequence[WakeClip], rule: SplitRule, *, what: str, groups: Sequence[str] = ()) -> Division:
    """By speaker where that leaves clips on all sides, else by clip.

    Args:
        what: the clips' name in warnings.
        groups: for each clip, a name that it shares with its copies (`copies_among`): they stay together.
    """
    names, split_copies = _names(clips, rule, groups, what)
    by_speaker = _sides(
        clips, rule, [_speaker_of(clip) or name for clip, name in zip(clips, names, strict=True)]
    )
    speakers = {_speaker_of(clip) for clip in clips} - {""}
    if not speakers:
        return replace(by_speaker, by="clip", warnings=(_unknown(what), *split_copies) if clips else ())
    if _enough(by_speaker):
        unknown = sum(not _speaker_of(clip) for clip in clips)
        return replace(by_speaker, warnings=(_unknown(what, unknown),) if unknown else ())
    told = f"{what}: {_people(len(speakers))}, too few to be kept apart: the figures hold for them alone"
    return replace(_sides(clips, rule, names), by="clip", warnings=(told, *split_copies))


def _names(
    clips: Sequence[WakeClip], rule: SplitRule, groups: Sequence[str], what: str
) -> tuple[Sequence[str], tuple[str, ...]]:
    """What clips are divided by where nobody says who speaks, and what is to be said of that."""
    alone = [clip.clip_id for clip in clips]
    if not groups or _enough(_sides(clips, rule, groups), least=1):
        return groups or alone, ()
    more = len(groups) - len(set(groups))
    told = f"{what}: {more} are copies of others, too many to keep copies on one side; the figures flatter"
    return alone, (told,) if more else ()


def copies_among(clips: Sequence[WakeClip]) -> list[str]:
    """For each clip the id of the first that has nearly the same audio, whatever was done to the file.

    Collections hold the same recording several times, cut or coded anew; divided by clip, one copy would be
    learned from and another reported about.
    """
    return [clips[first].clip_id for first in copies([fingerprint(clip.samples) for clip in clips])]


def divide_recordings(clips: Sequence[WakeClip], rule: SplitRule, *, what: str) -> Division:
    """As `divide`; where a few long recordings leave a side empty, by stretches of 30 s of them."""
    whole = divide(clips, rule, what=what)
    if _enough(whole, least=1) or not clips:
        return whole
    pieces = [piece for clip in clips for piece in _pieces(clip)]
    cut = _sides(pieces, rule, [piece.clip_id for piece in pieces])
    told = f"{what}: so few recordings that stretches of one are on both sides; the figures flatter"
    return replace(cut, by="piece", warnings=(*whole.warnings, told))


def _speaker_of(clip: WakeClip) -> str:
    return speaker_id_of(clip.speaker) if clip.speaker.strip() else clip.voice


def _sides(clips: Sequence[WakeClip], rule: SplitRule, names: Sequence[str]) -> Division:
    sides: dict[Split, list[WakeClip]] = {split: [] for split in Split}
    for clip, name in zip(clips, names, strict=True):
        sides[side_of(name, rule)].append(clip)
    return Division(tuple(sides[Split.TRAIN]), tuple(sides[Split.VAL]), tuple(sides[Split.TEST]))


def _enough(division: Division, least: int = LEAST_CLIPS) -> bool:
    return min(len(division.train), len(division.tune), len(division.report)) >= least


def _pieces(clip: WakeClip) -> list[WakeClip]:
    kept = {name: getattr(clip, name) for name in ("path", "speaker", "voice", "source", "licence")}
    return [
        WakeClip.of(
            clip.pcm[start : start + _PIECE],
            clip.label,
            name=f"{clip.name}@{start // CANONICAL_RATE_HZ}s",
            **kept,
        )
        for start in range(0, max(1, len(clip.pcm)), _PIECE)
    ]


def _unknown(what: str, count: int | None = None) -> str:
    some = "the clips do not" if count is None else f"{count} clips do not"
    return f"{what}: {some} say who speaks, so the same people may be on both sides; the figures may flatter"


def _people(count: int) -> str:
    return "one speaker only" if count == 1 else f"{count} speakers only"
