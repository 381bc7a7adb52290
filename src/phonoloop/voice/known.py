"""Texts that came along with a recording, clip by clip.

A sidecar tells what is said in [start_ms, end_ms) of the recording, and clips are cut elsewhere. A text is
given to a clip only where it is sure to be in it: whole, or up to a punctuation mark where the cut is.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from phonoloop.core.units import ms_to_samples
from phonoloop.data.sidecar import TimedText
from phonoloop.text.alignment import Edit, align
from phonoloop.text.normalise import for_scoring
from phonoloop.voice.data import RATE_HZ, Source, VoiceClip

#: a text belongs to a clip that holds this share of its time, or all but this much of it
_WHOLE_SHARE, _SPILL = 0.9, round(0.15 * RATE_HZ)
#: the rest of a text's time may be silence that was dropped, up to this share
_LEAST_KEPT = 0.5
#: how far from where the cut is expected a punctuation mark may be, and how much farther the next nearest one
#: has to be, as shares of the text
_NEAR, _FARTHER = 0.12, 0.05
_MARK = re.compile(r"[,.;:!?…]+[”’\")\]]*\s+|\s+[–—]\s+")
#: a text without times is laid over what was heard where this share of its words are the same
_LEAST_ALIKE, _MOST_WORDS = 0.5, 12_000


@dataclass(frozen=True, slots=True)
class Known:
    """`split`: it is a part of a given text, cut at a punctuation mark."""

    text: str
    split: bool = False


def known_texts(source: Source, clips: Sequence[VoiceClip]) -> dict[str, Known]:
    """What the source's sidecar says of each clip; clips that it is not sure of are missing.

    Args:
        clips: all of the source, those that are refused too.
    """
    if source.timed:
        return _timed_texts(source.timed, clips)
    if source.text and len(clips) == 1:
        return {clips[0].clip_id: Known(source.text)}
    return {}


def _timed_texts(timed: Sequence[TimedText], clips: Sequence[VoiceClip]) -> dict[str, Known]:
    parts: dict[str, list[Known]] = {}
    unsure: set[str] = set()
    for segment in filter(lambda one: one.text.strip(), timed):
        shares = _shares(segment, clips)
        found = _parts(segment, shares)
        if found is None:
            unsure.update(shares)
            continue
        for clip_id, known in found:
            parts.setdefault(clip_id, []).append(known)
    return {
        clip_id: Known(" ".join(one.text for one in known), any(one.split for one in known))
        for clip_id, known in parts.items()
        if clip_id not in unsure
    }


def _shares(segment: TimedText, clips: Sequence[VoiceClip]) -> dict[str, int]:
    """Clip → how many samples of the segment it holds, in the order of time."""
    start, end = ms_to_samples(segment.start_ms, RATE_HZ), ms_to_samples(segment.end_ms, RATE_HZ)
    held = {
        clip.clip_id: sum(max(0, min(end, span.end) - max(start, span.start)) for span in clip.spans)
        for clip in sorted(clips, key=lambda clip: clip.spans[0].start)
    }
    return {clip_id: samples for clip_id, samples in held.items() if samples}


def _parts(segment: TimedText, shares: Mapping[str, int]) -> list[tuple[str, Known]] | None:
    """Whose the text is; None where that is not sure. Nobody's where it lies in no clip."""
    if not shares:
        return []
    kept, (best, most) = sum(shares.values()), max(shares.items(), key=lambda item: item[1])
    if kept < _LEAST_KEPT * ms_to_samples(segment.end_ms - segment.start_ms, RATE_HZ):
        return None
    if most >= _WHOLE_SHARE * kept or kept - most <= _SPILL:
        return [(best, Known(segment.text))]
    heard_in = {clip_id: samples for clip_id, samples in shares.items() if samples > _SPILL}
    texts = _split(segment.text, list(heard_in.values()))
    if texts is None:
        return None
    return [(clip_id, Known(text, split=True)) for clip_id, text in zip(heard_in, texts, strict=True)]


def _split(text: str, samples: Sequence[int]) -> list[str] | None:
    """At the punctuation marks nearest to where the clips end; None where that is not clear."""
    marks = [match.end() for match in _MARK.finditer(text)]
    cuts = [0]
    for ended in itertools.islice(itertools.accumulate(samples), len(samples) - 1):
        nearest = _nearest(marks, ended / sum(samples) * len(text), len(text))
        if nearest <= cuts[-1]:
            return None
        cuts.append(nearest)
    return [text[a:b].strip() for a, b in itertools.pairwise([*cuts, len(text)])]


def _nearest(marks: Sequence[int], wanted: float, length: int) -> int:
    """0 where no mark is near, or two are about as near as each other."""
    ways = sorted((abs(mark - wanted) / length, mark) for mark in marks if mark < length)
    if not ways or ways[0][0] > _NEAR:
        return 0
    return 0 if len(ways) > 1 and ways[1][0] < ways[0][0] + _FARTHER else ways[0][1]


def laid_over(text: str, heard: Sequence[str], language: str) -> list[str | None]:
    """A text without times, divided among clips by what a recogniser heard in each.

    The words are aligned in the form that errors are counted in. A clip gets no text where fewer than half
    of its words are the text's, or where words next to its end were not heard, so that nobody knows on which
    side of the cut they are; none does where the text has more than 12,000 words.

    Args:
        heard: of every clip of the recording, in order.
    """
    words = text.split()
    tokens = [(at, token) for at, word in enumerate(words) for token in for_scoring(word, language).split()]
    spoken = [(clip, word) for clip, one in enumerate(heard) for word in for_scoring(one, language).split()]
    if not tokens or not spoken or max(len(tokens), len(spoken)) > _MOST_WORDS:
        return [None] * len(heard)
    holders, alike = _holders([token for _, token in tokens], spoken)
    unsure = _unsure(holders) | {clip for clip in range(len(heard)) if alike[clip] < _LEAST_ALIKE}
    taken: list[dict[int, str]] = [{} for _ in heard]
    for (at, _), clip in zip(tokens, _filled(holders), strict=True):
        if clip is not None:
            taken[clip][at] = words[at]
    return [
        " ".join(of_clip.values()) if of_clip and clip not in unsure else None
        for clip, of_clip in enumerate(taken)
    ]


def _holders(
    tokens: Sequence[str], spoken: Sequence[tuple[int, str]]
) -> tuple[list[int | None], dict[int, float]]:
    """For each token the clip that it was heard in, or None; for each clip the share of its words that are
    the text's."""
    holders: list[int | None] = []
    same, words = Counter(), Counter(clip for clip, _ in spoken)
    left = iter(spoken)
    for op in align(tokens, [word for _, word in spoken]):
        clip = None if op.edit is Edit.DELETE else next(left)[0]
        same[clip] += op.edit is Edit.MATCH
        holders += [clip] if op.edit is not Edit.INSERT else []
    return holders, defaultdict(float, {clip: same[clip] / words[clip] for clip in words})


def _filled(holders: Sequence[int | None]) -> list[int | None]:
    """Words that were not heard belong to the clip of the words on both sides."""
    before = _last_seen(holders)
    after = _last_seen(holders[::-1])[::-1]
    return [a if a == b else None for a, b in zip(before, after, strict=True)]


def _last_seen(holders: Sequence[int | None]) -> list[int | None]:
    return list(itertools.accumulate(holders, lambda last, now: last if now is None else now))


def _unsure(holders: Sequence[int | None]) -> set[int]:
    """Clips next to a run of words that could be in either of two."""
    before, after = _last_seen(holders), _last_seen(holders[::-1])[::-1]
    doubtful = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    return {clip for pair in doubtful for clip in pair if clip is not None}
