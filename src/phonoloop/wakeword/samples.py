"""Some of the hard negatives as WAV files, for a person to listen to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from phonoloop.audio.wav import to_int16, wav_bytes
from phonoloop.wakeword.confusables import Confusable, Confusables
from phonoloop.wakeword.phrase import Phrase
from phonoloop.wakeword.rejects import HeardNegative, write_table
from phonoloop.wakeword.synthesis import OnSkip, VoicedSynthesizer, plan_negatives, speak

TABLE = "negatives.tsv"
#: of what is written, how much is doubtful already and shown to be checked
_DOUBTFUL_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, the nearest first."""

    table: Path
    rows: tuple[HeardNegative, ...]


def write_samples(
    folder: Path,
    phrase: Phrase,
    found: Confusables,
    synthesizers: Sequence[VoicedSynthesizer],
    *,
    count: int,
    seed: int,
    workers: int = 2,
    on_skip: OnSkip = lambda utterance, error: None,
) -> Written:
    """Up to `count` WAVs, the nearest of each kind, a fifth of them doubtful ones, and the table.

    Raises:
        UnavailableError, InputError: as `plan_negatives`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    others = (one for one in found.doubtful if one.text.lower() != phrase.text.lower())
    doubtful = list(islice(others, round(_DOUBTFUL_SHARE * count)))
    chosen = [*doubtful, *nearest_of_each_kind(found.used, count - len(doubtful))]
    by_text = {one.text: one for one in chosen}
    plan = [
        replace(utterance, speed=1.0, pitch=1.0, tract=1.0, level_dbfs=-20.0)
        for at, one in enumerate(chosen)
        for utterance in plan_negatives(phrase, [one], synthesizers, count=1, seed=seed + at)
    ]
    rows = []
    for number, spoken in enumerate(speak(plan, synthesizers, workers=workers, on_skip=on_skip), start=1):
        one = by_text.get(spoken.text) or by_text[spoken.text.rstrip(".?!")]
        name = f"{number:03d}-{one.kind}.wav"
        (folder / name).write_bytes(wav_bytes(to_int16(spoken.samples)))
        rows.append(
            HeardNegative(name, one.text, one.kind, one.distance, spoken.voice, one.ipa, used=not one.reason)
        )
    write_table(folder / TABLE, rows)
    return Written(folder / TABLE, tuple(rows))


def nearest_of_each_kind(found: Sequence[Confusable], count: int) -> list[Confusable]:
    """The kinds in turn, each from its nearest on, until there are `count`; nearest first."""
    kinds = dict.fromkeys(one.kind for one in found)
    queues = [
        sorted((one for one in found if one.kind == kind), key=lambda one: one.distance) for kind in kinds
    ]
    longest = max(map(len, queues), default=0)
    turns = [queue[at] for at in range(longest) for queue in queues if at < len(queue)]
    return sorted(turns[:count], key=lambda one: one.distance)
