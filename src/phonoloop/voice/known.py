"""Texts that came along with a recording, clip by clip.

A sidecar tells what is said in [start_ms, end_ms) of the recording, and clips are cut elsewhere. A text is
given to a clip only where it is sure to be in it: whole, or up to a punctuation mark where the cut is.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from phonoloop.core.units import ms_to_samples
from phonoloop.data.sidecar import TimedText
from phonoloop.text.error_rates import Edit, Op, align, char_errors
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
#: so many words at a cut may have been misheard, with so many of their letters wrong
_MISHEARD, _MOST_MISHEARD = 2, 0.5


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
    of its words are the text's, or where words next to its ends were left out or misheard so that nobody
    knows on which side of the cut they are; none does where the text has more than 12,000 words.

    Args:
        heard: of every clip of the recording, in order.
    """
    words = text.split()
    tokens = [(at, token) for at, word in enumerate(words) for token in for_scoring(word, language).split()]
    spoken = [(clip, word) for clip, one in enumerate(heard) for word in for_scoring(one, language).split()]
    if not tokens or not spoken or max(len(tokens), len(spoken)) > _MOST_WORDS:
        return [None] * len(heard)
    steps = _steps([token for _, token in tokens], spoken)
    unsure = _unlike(steps, len(heard)) | _torn(steps)
    taken: list[dict[int, str]] = [{} for _ in heard]
    for (at, _), clip in zip(tokens, _holders(steps), strict=True):
        if clip is not None:
            taken[clip][at] = words[at]
    return [
        " ".join(of_clip.values()) if of_clip and clip not in unsure else None
        for clip, of_clip in enumerate(taken)
    ]


#: a step of the alignment, and the clip of its heard word; -1 where there is none
_Step = tuple[Edit, int]


def _steps(tokens: Sequence[str], spoken: Sequence[tuple[int, str]]) -> list[_Step]:
    left = iter(spoken)
    ops = align(tokens, [word for _, word in spoken])
    return [(_edit(op), -1 if op.edit is Edit.DELETE else next(left)[0]) for op in ops]


def _edit(op: Op) -> Edit:
    """A word in place of one that it is not like was not misheard: one was left out, another put in."""
    unlike = op.edit is Edit.SUBSTITUTE and char_errors(op.reference, op.hypothesis).rate > _MOST_MISHEARD
    return Edit.DELETE if unlike else op.edit


def _unlike(steps: Sequence[_Step], clips: int) -> set[int]:
    """Clips that say something else."""
    words = Counter(clip for _, clip in steps)
    same = Counter(clip for edit, clip in steps if edit is Edit.MATCH)
    return {clip for clip in range(clips) if same[clip] < _LEAST_ALIKE * words[clip]}


def _torn(steps: Sequence[_Step]) -> set[int]:
    """Clips with an end at which nobody knows whose the words of the text are."""
    torn: set[int] = set()
    before, between = -1, []
    for edit, clip in [*steps, (Edit.MATCH, -1)]:
        if edit is not Edit.MATCH:
            between.append(edit)
            continue
        if (clip != before or clip == -1) and not _is_clear(between):
            torn |= {before, clip}
        before, between = clip, []
    return torn


def _is_clear(between: Sequence[Edit]) -> bool:
    """Whether it is told whose the text's words in a gap are: none, or a few, each misheard for one word."""
    own = [edit for edit in between if edit is not Edit.INSERT]
    return not own or (len(between) <= _MISHEARD and set(between) == {Edit.SUBSTITUTE})


def _holders(steps: Sequence[_Step]) -> list[int | None]:
    """The clip of each of the text's words; one that was not heard is in the clip of those on both sides."""
    own = [None if clip == -1 else clip for edit, clip in steps if edit is not Edit.INSERT]
    before, after = _last_seen(own), _last_seen(own[::-1])[::-1]
    return [a if a == b else None for a, b in zip(before, after, strict=True)]


def _last_seen(clips: Sequence[int | None]) -> list[int | None]:
    return list(itertools.accumulate(clips, lambda last, now: last if now is None else now))
