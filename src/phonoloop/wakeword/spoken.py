"""The synthesised part of a training's material: spoken once, kept, divided by voice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phonoloop.core.speech import Phonemiser
from phonoloop.data.model import Split
from phonoloop.wakeword.clips import Label, WakeClip
from phonoloop.wakeword.config import WakeRecipe
from phonoloop.wakeword.confusables import find_confusables
from phonoloop.wakeword.data import Said, Spoken
from phonoloop.wakeword.division import side_of
from phonoloop.wakeword.inputs import split_rule
from phonoloop.wakeword.phrase import Phrase
from phonoloop.wakeword.pool import SpokenPool, fill_pool
from phonoloop.wakeword.synthesis import (
    Utterance,
    VoicedSynthesizer,
    plan_negatives,
    plan_positives,
    voice_person,
)

_SIDES = {Split.TRAIN: "train", Split.VAL: "tune", Split.TEST: "report"}
#: each text is said by about so many voices
_VOICES_A_TEXT = 3
#: what people say all day: what a threshold may be chosen on beside recordings
ORDINARY = frozenset({"sentence", "word"})


@dataclass(frozen=True, slots=True, eq=False)
class Synthesised:
    """What was spoken, and what to tell of it.

    Attributes:
        ordinary: of what is not the phrase, what people say all day.
        licences: of the speech, by synthesiser.
    """

    spoken: Spoken = field(default_factory=Spoken)
    ordinary: dict[str, tuple[Said, ...]] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    licences: dict[str, str] = field(default_factory=dict)


def synthesise(
    phrase: Phrase,
    recipe: WakeRecipe,
    *,
    synthesizers: Sequence[VoicedSynthesizer],
    phonemiser: Phonemiser,
    folder: Path,
    reject_texts: Sequence[str] = (),
    on_share: Callable[[float], None],
    should_stop: Callable[[], bool],
) -> Synthesised:
    """Has the phrase and what is near it spoken; what an earlier process said is not said again.

    Raises:
        UnavailableError: `wakeword.no_voice`. CancelledError: `wakeword.cancelled`.
    """
    positives = _plan_positives(phrase, recipe, synthesizers)
    negatives, source, doubtful = _plan_negatives(phrase, recipe, synthesizers, phonemiser, reject_texts)
    total = len(positives) + len(negatives)

    def fill(name: str, plan: Sequence[Utterance], before: int) -> SpokenPool:
        return fill_pool(
            folder / name,
            plan,
            synthesizers,
            workers=recipe.workers,
            on_progress=lambda done, _: on_share((before + done) / max(1, total)),
            should_stop=should_stop,
        )

    said, other = fill("positives", positives, 0), fill("negatives", negatives, len(positives))
    counts = {
        "positives": len(said),
        "negatives": len(other),
        "voices": len({row.voice for row in said.rows}),
        "kinds": dict(Counter(row.kind for row in other.rows)),
        "words_from": source,
        "doubtful": doubtful,
    }
    spoken = Spoken(_by_side(said, recipe), _by_side(other, recipe))
    names = sorted({row.voice.partition(":")[0] for row in (*said.rows, *other.rows)})
    return Synthesised(
        spoken=spoken,
        ordinary=_by_side(other, recipe, only=ORDINARY),
        counts=counts,
        warnings=tuple(_warnings(said, other, source)),
        licences={f"speech of {name}": "as its voices' makers say; none is claimed here" for name in names},
    )


def _plan_positives(
    phrase: Phrase, recipe: WakeRecipe, synthesizers: Sequence[VoicedSynthesizer]
) -> list[Utterance]:
    count = recipe.synthesis.positives
    return plan_positives(phrase, synthesizers, count=count, seed=recipe.seed) if count else []


def _plan_negatives(
    phrase: Phrase,
    recipe: WakeRecipe,
    synthesizers: Sequence[VoicedSynthesizer],
    phonemiser: Phonemiser,
    rejects: Sequence[str],
) -> tuple[list[Utterance], str, list[str]]:
    """The plan, where its words come from, and what was too near to be used."""
    count = recipe.synthesis.negatives
    if not count:
        return [], "", []
    texts = max(1, count // _VOICES_A_TEXT)
    found = find_confusables(phrase, phonemiser, count=texts, seed=recipe.seed, reject_texts=rejects)
    plan = plan_negatives(phrase, found.used, synthesizers, count=count, seed=recipe.seed)
    return plan, found.source, [one.text for one in found.doubtful[:20]]


def _by_side(
    pool: SpokenPool, recipe: WakeRecipe, only: Iterable[str] | None = None
) -> dict[str, tuple[Said, ...]]:
    """By whose voice it is, whatever language that speaks."""
    rule = split_rule(recipe)
    sides: dict[str, list[Said]] = {name: [] for name in _SIDES.values()}
    for at, row in enumerate(pool.rows):
        if only is None or row.kind in only:
            side = _SIDES[side_of(voice_person(row.voice), rule)]
            sides[side].append(Said(pool.pcm(at), row.voice, row.text))
    return {name: tuple(said) for name, said in sides.items()}


def _warnings(said: SpokenPool, other: SpokenPool, source: str) -> Iterable[str]:
    refused = len(said.refused) + len(other.refused)
    if refused:
        yield f"{refused} of {refused + len(said) + len(other)} utterances could not be synthesised"
    if len(other) and not source:
        yield "there is no list of words of this language here: the negatives are near the phrase alone"


def as_clips(said: Iterable[Said], label: Label, *, most: int) -> list[WakeClip]:
    """Up to so many utterances as clips to be judged on, spread over all of them."""
    listed = list(said)
    stride = max(1, len(listed) // most) if most else 1
    return [
        WakeClip.of(one.pcm, label, name=f"{one.text} ({one.voice})", voice=one.voice, source="synthesised")
        for one in listed[::stride][:most]
    ]
