"""What must hold of splits, ids and manifests, whatever comes in whichever order."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.adapters.blobs_memory import MemoryBlobStore
from phonoloop.adapters.records_memory import MemoryRecords
from phonoloop.audio.vad import EnergyDetector
from phonoloop.core.errors import SplitConflictError
from phonoloop.core.ids import audio_id, clip_id
from phonoloop.data.correct import correct_transcript
from phonoloop.data.curate import CurateRules, curate
from phonoloop.data.ingest import Hints, IngestContext, IngestRules, ingest_file
from phonoloop.data.manifest import ManifestRow, parse_manifest, write_manifest
from phonoloop.data.model import Clip, Recording, Split
from phonoloop.data.sidecar import Sidecar
from phonoloop.data.snapshot import current_manifest, freeze
from phonoloop.data.split import SplitRule, pin_speaker
from phonoloop.data.transcribe import transcribe_recording
from phonoloop.testing.intake import PlainDecoder, babble, write_sound

SOUNDS = [babble(seed, 0.6) for seed in range(8)]
RULES = CurateRules(min_snr_db=-10)
speakers = st.sampled_from(["An", " An ", "Bình", "Chi", "Du", ""])


def new_context(rule: SplitRule | None = None) -> IngestContext:
    rules = IngestRules(split=rule or SplitRule())
    return IngestContext(MemoryRecords(), MemoryBlobStore(), PlainDecoder(), EnergyDetector(), rules)


offers = st.tuples(st.just("offer"), st.integers(0, 7), speakers, st.sampled_from(["wav", "flac"]))
pins = st.tuples(st.just("pin"), speakers.filter(bool), st.sampled_from(Split))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(offers, pins), max_size=14), st.sampled_from([(92, 4), (0, 0), (34, 33)]))
def test_a_speaker_is_never_in_two_splits(steps, shares):
    context = new_context(SplitRule(*shares))
    with tempfile.TemporaryDirectory() as folder:
        for step in steps:
            if step[0] == "pin":
                _pin(context, step[1], step[2])
            else:
                _, sound, speaker, container = step
                path = write_sound(Path(folder) / f"{sound}.{container}", SOUNDS[sound], container=container)
                ingest_file(context, path, Hints(speaker=speaker))
    homes = defaultdict(set)
    with context.records.transaction() as tx:
        for entity in (*tx.find(Recording), *tx.find(Clip)):
            homes[entity.speaker_id].add(entity.split)
        assert tx.total(Recording) == len({step[1] for step in steps if step[0] == "offer"})
    assert all(len(splits) == 1 for splits in homes.values())


def _pin(context, name, split) -> None:
    """A pin is kept, or refused because there is audio in another split."""
    with context.records.transaction() as tx:
        heard = tx.find(Recording, speaker_id=name.strip())
        try:
            assert pin_speaker(tx, name, split).split == split
        except SplitConflictError:
            assert {recording.split for recording in heard} - {split}


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(8)))
def test_the_order_of_arrival_does_not_show_in_the_manifests(order):
    assert _manifests(order) == _expected()


def _manifests(order) -> list[bytes]:
    context = new_context(SplitRule(34, 33))
    with tempfile.TemporaryDirectory() as folder:
        for number in order:
            path = write_sound(Path(folder) / f"{number}.wav", SOUNDS[number])
            hints = Hints(speaker=f"speaker {number % 5}", sidecar=Sidecar(text=f"câu số {number}"))
            name = ingest_file(context, path, hints).audio_id
            transcribe_recording(context, name, None)
            correct_transcript(context, name)
            curate(context, name, RULES)
    freeze(context, {})
    return [context.blobs.get(current_manifest(split)) for split in Split]


@cache
def _expected() -> list[bytes]:
    return _manifests(range(8))


def test_the_manifests_compared_above_are_not_empty():
    assert sum(manifest.count(b"\n") for manifest in _expected()) == 8


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
seconds = st.floats(0, 1e6, allow_nan=False)
values = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), seconds, texts)
names = texts.filter(
    lambda name: name not in {"audio_filepath", "text", "duration", "speaker", "clip_id", "offset"}
)
rows = st.builds(
    ManifestRow,
    audio_filepath=texts.filter(bool),
    text=texts,
    duration=seconds.filter(bool),
    speaker=texts,
    clip_id=texts,
    offset=seconds,
    extras=st.dictionaries(names, values, max_size=3),
)


@given(st.lists(rows, max_size=8))
def test_manifests_are_read_as_they_were_written(written):
    data = write_manifest(written)
    read = parse_manifest(data)
    assert sorted(map(repr, map(_plain, read))) == sorted(map(repr, map(_plain, written)))
    assert write_manifest(read) == data


def _plain(row: ManifestRow) -> list:
    return sorted(row.to_dict().items())


@given(st.lists(rows, max_size=5, unique_by=lambda row: row.clip_id), st.randoms())
def test_the_order_of_rows_does_not_show(written, random):
    shuffled = random.sample(written, len(written))
    assert write_manifest(shuffled) == write_manifest(written)


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_equal_audio_and_only_equal_audio_has_an_equal_id(one, other):
    assert (audio_id(one) == audio_id(other)) == (one == other)


@given(st.tuples(st.integers(0, 10**9 - 1), st.integers(0, 10**9 - 1)), st.integers(0, 10**9 - 1))
def test_clip_ids_sort_by_time(first, later):
    start, end = first
    if later > start:
        assert clip_id("a", start, end) < clip_id("a", later, end)
