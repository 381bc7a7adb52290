"""Bad files are outcomes with a code and something to do; they stay, and nothing else stops."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from phonoloop.adapters.blobs_local import LocalBlobStore
from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.audio.decode import DecodeLimits, Decoder
from phonoloop.audio.vad import EnergyDetector
from phonoloop.core.ids import audio_id
from phonoloop.data.inbox import InboxFolders, InboxState, scan_inbox
from phonoloop.data.ingest import IngestContext, ingest_file
from phonoloop.data.model import IntakeOutcome, Recording
from phonoloop.testing.intake import aged
from phonoloop.testing.sounds import noise, silence, speech_like, write_media, write_wav

SPEECH = speech_like(2.0, seed=1).samples + noise(2.0, level_dbfs=-60)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(DecodeLimits(max_duration_s=60)) as decoder:
        yield decoder


@pytest.fixture
def context(tmp_path: Path, decoder: Decoder) -> Iterator[IngestContext]:
    records = SqlRecords(f"sqlite:///{tmp_path / 'phonoloop.db'}")
    yield IngestContext(records, LocalBlobStore(tmp_path / "data"), decoder, EnergyDetector())
    records.close()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    write_wav(path, SPEECH)
    path.write_bytes(path.read_bytes()[:30])


def no_samples(path: Path) -> None:
    write_wav(path, np.zeros(0, np.float32))


def too_short(path: Path) -> None:
    write_wav(path, SPEECH[:3200])


def silent(path: Path) -> None:
    write_wav(path, silence(2.0))


def text_as_wav(path: Path) -> None:
    path.write_text("this is a text\n" * 100)


def too_long(path: Path) -> None:
    write_wav(path, np.tile(SPEECH, 31))


def bad_sidecar(path: Path) -> None:
    write_wav(path, SPEECH)
    path.with_suffix(".json").write_text("{")


BAD = {
    empty: "audio.empty",
    truncated: "audio.",
    no_samples: "audio.",
    too_short: "audio.too_short",
    silent: "audio.silent",
    text_as_wav: "audio.not_audio",
    too_long: "audio.too_long",
    bad_sidecar: "sidecar.not_json",
}


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_a_bad_file_is_refused_with_something_to_do_and_stays(context, tmp_path, make):
    path = tmp_path / "bad.wav"
    make(path)
    before = path.read_bytes()
    outcome = ingest_file(context, path)
    assert outcome.status == "refused"
    assert outcome.code.startswith(BAD[make])
    assert outcome.message
    assert outcome.hint
    assert path.read_bytes() == before
    with context.records.transaction() as tx:
        assert [o.code for o in tx.find(IntakeOutcome)] == [outcome.code]
        assert tx.find(Recording) == []


def test_a_file_that_is_not_there(context, tmp_path):
    assert ingest_file(context, tmp_path / "none.wav").code == "audio.missing"


def test_what_is_not_a_file(context, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    assert ingest_file(context, tmp_path / "pipe.wav").code == "audio.not_a_file"
    assert ingest_file(context, tmp_path).code == "audio.not_a_file"


def test_a_link_to_itself(context, tmp_path):
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    assert ingest_file(context, tmp_path / "loop.wav").status == "refused"


def unusual(path: Path) -> dict[str, Path]:
    return {
        "8 bit": write_wav(path / "a.wav", SPEECH, subtype="PCM_U8"),
        "96 kHz": write_wav(path / "b.wav", np.repeat(SPEECH, 6), 96_000),
        "5.1": write_wav(path / "c.wav", np.tile(SPEECH[:, None], 6)),
        "wrong ending": write_media(path / "d.flac", SPEECH).rename(path / "d.mp3"),
        "newline": write_wav(path / "two\nlines.wav", SPEECH[100:]),
    }


def test_what_is_only_unusual_is_taken_in(context, tmp_path):
    for what, path in unusual(tmp_path).items():
        outcome = ingest_file(context, path)
        assert outcome.status in ("ingested", "duplicate"), (what, outcome)


def test_wav_and_flac_of_the_same_sound_are_one_recording(context, tmp_path):
    first = ingest_file(context, write_wav(tmp_path / "a.wav", SPEECH))
    second = ingest_file(context, write_media(tmp_path / "b.flac", _as_kept(tmp_path / "a.wav")))
    assert (second.status, second.audio_id) == ("duplicate", first.audio_id)


def _as_kept(path: Path) -> np.ndarray:
    """The samples that a 16-bit file holds, scaled as `write_media` scales them back."""
    pcm = np.frombuffer(path.read_bytes()[44:], "<i2")
    assert len(audio_id(pcm.tobytes())) == 32
    return pcm.astype(np.float64) / 32767


def test_one_good_file_among_bad_ones_gets_through_the_inbox(context, tmp_path):
    inbox = tmp_path / "in" / "inbox"
    inbox.mkdir(parents=True)
    for make in BAD:
        make(inbox / f"{make.__name__}.wav")
    write_media(inbox / "good.mp3", SPEECH)
    (inbox / "notes.pdf").write_text("notes")
    (inbox / "loop").symlink_to(inbox)
    for path in inbox.iterdir():
        if not path.is_symlink():
            aged(path)
    counts = scan_inbox(context, InboxFolders.beside(inbox), InboxState())
    assert (counts.ingested, counts.refused, counts.skipped, counts.later) == (1, len(BAD), 2, 0)
    rejected = {path.name for path in (tmp_path / "in" / "rejected").iterdir()}
    assert {f"{make.__name__}.wav.reason.json" for make in BAD} <= rejected
    assert {f"{make.__name__}.wav" for make in BAD} <= rejected
    assert "bad_sidecar.json" in rejected
