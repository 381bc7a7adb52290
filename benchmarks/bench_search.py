"""Search over 100,000 transcripts: how fast, how true to the exact index, and what wrong queries still find.

The transcripts are sentences of Vietnamese statutes, newspapers, an encyclopedia and VIVOS, cut to what one
says in a breath, each once; split, speaker, SNR and date are made up. The sentences that are looked for again
are of the half (by hash) on which no weight was chosen. They are looked for without any marks, with one tone
wrong, and with one onset wrong.

    PHONOLOOP_REAL_DATA=… python benchmarks/bench_search.py [--texts 100000] [--known 1000] [--seed 1]

Prints one JSON line; skips, saying so, where the texts are absent.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import platform
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.adapters.blobs_local import LocalBlobStore
from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.adapters.texts_sql import SqlTexts
from phonoloop.adapters.vectors_coded import CodedVectorIndex
from phonoloop.adapters.vectors_exact import ExactVectorIndex
from phonoloop.core.ports import VectorPoint
from phonoloop.data.model import IndexedText, Provenance, Split, Transcript
from phonoloop.data.stores import Stores
from phonoloop.search import index
from phonoloop.search.own import SoundEmbedder
from phonoloop.search.ports import Filters
from phonoloop.search.searcher import FILTERABLE, Query, Searcher
from phonoloop.search.source import EmbedderSource
from phonoloop.testing.entities import NOON, a_recording, a_speaker
from phonoloop.text.syllables import TONES, Syllable, all_syllables, compose, onsets, parse, strip_marks

VARIABLE = "PHONOLOOP_REAL_DATA"
SOURCES = ("vtb_train.txt", "xquad.txt", "vivos_train.txt", "laws.txt.xz")
LONGEST_WORDS, SHORTEST_WORDS = 28, 4
SPEAKERS = 100
FILTERS = {
    "split": Filters(split=Split.TEST),
    "speaker": Filters(speaker_id="s007"),
    "snr": Filters(min_snr_db=20.0),
    "dates": Filters(date_from=NOON + timedelta(days=10), date_to=NOON + timedelta(days=40)),
    "provenance and snr": Filters(provenance=Provenance.MACHINE, min_snr_db=10.0),
}


def sentences(folder: Path) -> Iterator[str]:
    for name in SOURCES:
        for line in _text(folder / name).splitlines():
            yield from _cut(line)


def _text(path: Path) -> str:
    data = path.read_bytes()
    return (lzma.decompress(data) if path.suffix == ".xz" else data).decode()


def _cut(line: str) -> Iterator[str]:
    for sentence in re.split(r"(?<=[.;:?!])\s+", line):
        words = sentence.split()
        for start in range(0, len(words), LONGEST_WORDS):
            if len(part := words[start : start + LONGEST_WORDS]) >= SHORTEST_WORDS:
                yield " ".join(part)


def corpus(folder: Path, wanted: int, seed: int) -> list[str]:
    """Distinct sentences: all that are no statutes, then statutes, in a random order."""
    found = {sentence.lower().strip(" .;:"): sentence for sentence in sentences(folder)}
    taken = list(found.values())[:30_000]
    rest = list(found.values())[30_000:]
    random.Random(seed).shuffle(rest)
    taken = (taken + rest)[:wanted]
    random.Random(seed).shuffle(taken)
    return taken


def is_measured(sentence: str) -> bool:
    return md5(sentence.encode(), usedforsecurity=False).digest()[0] % 2 == 1


# ---------------------------------------------------------------- wrong queries


def with_one_wrong(sentence: str, what: str, rng: random.Random) -> str:
    """Another tone or onset on one syllable, such that it is a syllable still."""
    words = sentence.split()
    places = [at for at, word in enumerate(words) if parse(word.strip(".,;:?!()\"'"))]
    rng.shuffle(places)
    for at in places:
        word = words[at].strip(".,;:?!()\"'")
        if other := _another(parse(word), what, rng):
            return " ".join([*words[:at], words[at].replace(word, other), *words[at + 1 :]])
    return sentence


def _another(syllable: Syllable, what: str, rng: random.Random) -> str | None:
    if what == "tone":
        others = [Syllable(syllable.onset, syllable.rime, tone) for tone in TONES]
    else:
        others = [Syllable(onset, syllable.rime, syllable.tone) for onset in onsets()]
    others = [other for other in others if other != syllable and other in _KNOWN]
    return compose(rng.choice(others)) if others else None


_KNOWN = frozenset(all_syllables())


# ---------------------------------------------------------------- the site


class Site:
    """Records with transcripts, indexed as the loop does it."""

    def __init__(self, folder: Path, texts: Sequence[str]) -> None:
        records = SqlRecords(f"sqlite:///{folder}/records.sqlite")
        self.stores = Stores(records, LocalBlobStore(folder))
        self.texts = SqlTexts(records.database)
        self.source = EmbedderSource(self.stores, self.texts, SoundEmbedder)
        self._fill(texts)

    def _fill(self, texts: Sequence[str]) -> None:
        with self.stores.records.transaction() as tx:
            tx.put(*(a_speaker(f"s{i:03d}", _split(i)) for i in range(SPEAKERS)))
        for start in range(0, len(texts), 2_000):
            with self.stores.records.transaction() as tx:
                numbers = range(start, min(start + 2_000, len(texts)))
                tx.put(*(_recording(number) for number in numbers))
                tx.put(*(_transcript(number, texts[number]) for number in numbers))

    def build(self) -> dict[str, float]:
        spent = {}
        for name, step in (
            ("index_s", lambda: index.rebuild(self.stores, self.source.for_indexing)),
            ("train_s", lambda: index.train(self.stores, self.source.make)),
            ("reembed_s", lambda: index.refresh(self.stores, self.source.for_indexing)),
        ):
            began_s = time.process_time()
            step()
            spent[name] = round(time.process_time() - began_s, 1)
            print(f"{name} {spent[name]}", file=sys.stderr, flush=True)
        return spent


def _split(speaker: int) -> Split:
    return Split.TEST if speaker % 10 == 0 else Split.TRAIN


def _recording(number: int) -> Any:
    speaker = number % SPEAKERS
    return a_recording(
        f"r{number:06d}",
        f"s{speaker:03d}",
        _split(speaker),
        snr_db=float(number % 41),
        created_at=NOON + timedelta(minutes=number),
    )


def _transcript(number: int, text: str) -> Transcript:
    provenance = Provenance.MACHINE if number % 3 else Provenance.SIDECAR
    return Transcript(
        audio_id=f"r{number:06d}", revision=1, text=text, text_clean=text, provenance=provenance
    )


# ---------------------------------------------------------------- measuring


def timed(searcher: Searcher, queries: Sequence[str], filters: Sequence[Filters]) -> dict[str, float]:
    """Milliseconds a query at k = 20: by the clock, and of processor time."""
    clock, cpu = [], []
    for at, text in enumerate(queries):
        query = Query(text=text, k=20, filters=filters[at % len(filters)])
        began_s, began_cpu_s = time.perf_counter(), time.thread_time()
        searcher.search(query)
        clock.append((time.perf_counter() - began_s) * 1e3)
        cpu.append((time.thread_time() - began_cpu_s) * 1e3)
    return {
        "p50_ms": round(float(np.median(clock)), 2),
        "p95_ms": round(float(np.quantile(clock, 0.95)), 2),
        "cpu_p50_ms": round(float(np.median(cpu)), 2),
        "cpu_p95_ms": round(float(np.quantile(cpu, 0.95)), 2),
    }


def found_in_top(searcher: Searcher, wrong: Sequence[tuple[str, str]], top: int) -> float:
    hits = 0
    for query, right in wrong:
        hits += any(hit.found.text.text == right for hit in searcher.search(Query(text=query, k=top)))
    return hits / len(wrong)


def recall(site: Site, queries: Sequence[str], k: int = 10) -> dict[str, float]:
    """Of the k nearest by the exact index, the share that the index in use finds; alone and filtered."""
    coded, exact = CodedVectorIndex(filterable=("snr_db",)), ExactVectorIndex()
    for index_ in (coded, exact):
        site.texts.changes(
            0, lambda changes, index_=index_: index_.upsert([_point(t) for t in changes.changed if t.vector])
        )
    vectors = site.source.for_searching().embed(queries)
    asked = {"all": None, "filtered": {"snr_db": (20.0, None)}}
    return {
        name: round(float(np.mean([_share(exact, coded, v, k, ranges) for v in vectors])), 4)
        for name, ranges in asked.items()
    }


def _point(text: IndexedText) -> VectorPoint:
    return VectorPoint(text.text_id, index.as_vector(text.vector), {"snr_db": text.snr_db})


def _share(exact: Any, coded: Any, vector: np.ndarray, k: int, ranges: Any) -> float:
    true, found = ({hit.point_id for hit in one.search(vector, k=k, ranges=ranges)} for one in (exact, coded))
    return len(true & found) / k


def measure(site: Site, texts: Sequence[str], args: argparse.Namespace) -> dict[str, Any]:
    rng = random.Random(args.seed)
    known = rng.sample([text for text in texts if is_measured(text)], args.known)
    began_s = time.process_time()
    searcher = Searcher(site.texts, CodedVectorIndex(filterable=FILTERABLE), site.source)
    searcher.search(Query(text=known[0]))
    opened_s = time.process_time() - began_s
    wrong = {
        "no marks": [(strip_marks(text), text) for text in known],
        "one tone wrong": [(with_one_wrong(text, "tone", rng), text) for text in known],
        "one onset wrong": [(with_one_wrong(text, "onset", rng), text) for text in known],
    }
    mixed = [pairs[at % len(known)][0] for at in range(args.timed) for pairs in wrong.values()][: args.timed]
    short = [" ".join(text.split()[1:4]) for text in known[: args.timed]]
    figures = {
        "open_s": round(opened_s, 2),
        "sentences": timed(searcher, mixed, [Filters()]),
        "filtered": timed(searcher, mixed, list(FILTERS.values())),
        "three words": timed(searcher, short, [Filters()]),
        "three words, filtered": timed(searcher, short, list(FILTERS.values())),
        "in_top_5": {kind: round(found_in_top(searcher, pairs, 5), 4) for kind, pairs in wrong.items()},
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    return figures | {"recall_at_10": recall(site, mixed[: args.recalled])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--known", type=int, default=1_000)
    parser.add_argument("--timed", type=int, default=400)
    parser.add_argument("--recalled", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    folder = Path(os.environ.get(VARIABLE, ""), "text", "vi")
    missing = [name for name in SOURCES if not (folder / name).is_file()]
    if missing or not os.environ.get(VARIABLE):
        why = f"{len(missing)} of {len(SOURCES)} texts are not there; {VARIABLE} names a folder with text/vi/"
        print(json.dumps({"bench": "search", "skipped": why}))
        return
    texts = corpus(folder, args.texts, args.seed)
    with tempfile.TemporaryDirectory() as scratch:
        site = Site(Path(scratch), texts)
        figures = {"build": site.build(), **measure(site, texts, args)}
    print(json.dumps(report(texts, args, figures), ensure_ascii=False))


def report(texts: Sequence[str], args: argparse.Namespace, figures: dict[str, Any]) -> dict[str, Any]:
    return {
        "bench": "search",
        "texts": len(texts),
        "known": args.known,
        **figures,
        "bars": {"p95_ms": 20, "recall_at_10": 0.95, "in_top_5": 0.95},
        "measured_on": "sentences of statutes, VTB, XQuAD and VIVOS, one process, SQLite",
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


if __name__ == "__main__":
    main()
