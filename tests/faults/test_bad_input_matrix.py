"""Bad input in the inbox of a running `phonoloop up`: a counted outcome, a code and something to do; the file
is kept, and a good one beside it goes through."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from up_process import Up, run, wait_for

from phonoloop.testing.sounds import noise, silence, speech_like, write_media, write_wav

pytestmark = pytest.mark.xdist_group("bad_input_matrix")


def speech(seed: int) -> np.ndarray:
    return speech_like(2.0, seed=seed, pause_s=0.2).samples + noise(2.0, level_dbfs=-60)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated_in_its_header(path: Path) -> None:
    write_wav(path, speech(1))
    path.write_bytes(path.read_bytes()[:30])


def without_samples(path: Path) -> None:
    write_wav(path, silence(0.0))


def silent(path: Path) -> None:
    write_wav(path, silence(2.0))


def text_called_wav(path: Path) -> None:
    path.write_text("this is a text\n" * 100)


def sidecar_no_json(path: Path) -> None:
    path.with_suffix(".json").write_text('{"text": ')
    write_wav(path, speech(2))


REFUSED = {
    empty: "audio.empty",
    truncated_in_its_header: "audio.truncated",
    without_samples: "audio.too_short",
    silent: "audio.silent",
    text_called_wav: "audio.not_audio",
    sidecar_no_json: "sidecar.not_json",
}


def eight_bit(folder: Path) -> Path:
    return write_wav(folder / "8bit.wav", speech(10), subtype="PCM_U8")


def surround(folder: Path) -> Path:
    return write_wav(folder / "surround.wav", np.tile(speech(11)[:, None], 6))


def fast(folder: Path) -> Path:
    return write_wav(folder / "96k.wav", np.repeat(speech(12), 6), 96_000)


def wrong_extension(folder: Path) -> Path:
    return write_media(folder / "x.flac", speech(13)).rename(folder / "really flac.mp3")


def newlines_in_its_name(folder: Path) -> Path:
    return write_wav(folder / "two\nlines\n.wav", speech(14))


def cut_off(folder: Path) -> Path:
    path = write_wav(folder / "cut off.wav", speech(15))
    path.write_bytes(path.read_bytes()[:40_000])
    return path


def good(folder: Path) -> Path:
    return write_media(folder / "zz good.mp3", speech(16))


TAKEN = (eight_bit, surround, fast, wrong_extension, newlines_in_its_name, cut_off, good)


@pytest.fixture(scope="module")
def up(tmp_path_factory) -> Iterator[Up]:
    """With everything dropped at once, and looked at."""
    data = tmp_path_factory.mktemp("matrix") / "data"
    inbox = data / "inbox"
    inbox.mkdir(parents=True)
    for make in REFUSED:
        make(inbox / f"{make.__name__}.wav")
    for make in TAKEN:
        make(inbox)
    (inbox / "notes.pdf").write_text("notes")
    (inbox / "round").symlink_to(inbox)
    (inbox / "itself.wav").symlink_to("itself.wav")
    server = Up(data)
    try:
        wait_for(lambda: len(outcomes(data)) == len(REFUSED) + len(TAKEN) + 3)
        yield server
    finally:
        assert server.stop() == 0


def outcomes(data: Path) -> dict[str, dict[str, Any]]:
    """By name, as recorded."""
    connection = sqlite3.connect(data / "records.sqlite", timeout=20)
    connection.row_factory = sqlite3.Row
    try:
        return {row["name"]: dict(row) for row in connection.execute("select * from intake_outcomes")}
    finally:
        connection.close()


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_what_cannot_be_used_is_refused_kept_and_explained(up, make):
    name = f"{make.__name__}.wav"
    outcome = outcomes(up.data)[name]
    assert (outcome["status"], outcome["code"]) == ("refused", REFUSED[make])
    assert outcome["message"]
    assert outcome["hint"]
    wait_for((up.data / "rejected" / name).exists)
    reason = json.loads((up.data / "rejected" / f"{name}.reason.json").read_bytes())
    assert (reason["code"], reason["hint"]) == (outcome["code"], outcome["hint"])
    assert outcome["kept_at"] == str(up.data / "rejected" / name)


@pytest.mark.parametrize("make", TAKEN, ids=lambda make: make.__name__)
def test_what_is_only_unusual_is_taken_in(up, make, tmp_path):
    name = make(tmp_path).name
    assert (outcomes(up.data)[name]["status"], outcomes(up.data)[name]["code"]) == ("ingested", "")
    wait_for((up.data / "processed" / name).exists)


@pytest.mark.parametrize("name", ["notes.pdf", "round", "itself.wav"])
def test_links_and_other_files_are_counted_and_left(up, name):
    outcome = outcomes(up.data)[name]
    assert (outcome["status"], outcome["code"]) == ("skipped", "inbox.not_audio")
    assert outcome["hint"]
    assert (up.data / "inbox" / name).is_symlink() or (up.data / "inbox" / name).exists()


def test_the_counts_are_in_the_status(up):
    intake = up.get("/v1/status")["intake"]
    assert (intake["refused"], intake["skipped"]) == (len(REFUSED), 3)
    assert intake["ingested"] >= len(TAKEN)


def test_files_taken_back_while_they_are_read_stop_nothing(up):
    chance = random.Random(5)
    inbox = up.data / "inbox" / "hesitant"
    inbox.mkdir()
    for number in range(15):
        path = write_wav(inbox / f"{number}.wav", speech(100 + number))
        time.sleep(0.2 + chance.uniform(0, 0.3))
        path.unlink(missing_ok=True)  # settled by now, and looked at or not
    write_wav(inbox / "last.wav", speech(99))
    wait_for((up.data / "processed" / "hesitant" / "last.wav").exists)
    assert outcomes(up.data)["hesitant/last.wav"]["status"] == "ingested"
    assert not [message for message in up.messages() if "went wrong" in message]
    statuses = {row["status"] for name, row in outcomes(up.data).items() if name.startswith("hesitant")}
    assert statuses <= {"ingested", "refused"}
    refused = [
        r for n, r in outcomes(up.data).items() if n.startswith("hesitant") and r["status"] == "refused"
    ]
    assert {row["code"] for row in refused} <= {"audio.missing"}


def test_the_same_files_by_command_end_the_same(tmp_path):
    for make in REFUSED:
        make(tmp_path / f"{make.__name__}.wav")
    good(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    code, answer = run("ingest", *sorted(tmp_path.glob("*.[wm]*")), data=tmp_path / "data")
    assert code == 2
    assert answer["counts"] == {"refused": len(REFUSED), "ingested": 1}
    found = {outcome["name"]: outcome["code"] for outcome in answer["outcomes"]}
    assert found == {f"{make.__name__}.wav": REFUSED[make] for make in REFUSED} | {"zz good.mp3": ""}
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("train", "asr", "--recipe", "{folder}/wrong.yaml"), "config.unknown_key"),
        (("train", "asr", "--manifest", "{folder}/wrong.jsonl"), "manifest.not_json"),
        (("evaluate", "asr", "champion", "--manifest", "{folder}/wrong.jsonl"), "model.no_champion"),
        (("train", "asr", "--recipe", "debug"), "training.no_data"),
    ],
    ids=["recipe key", "manifest line", "no champion", "no data"],
)
def test_a_command_that_cannot_be_done_says_why(tmp_path, args, code):
    (tmp_path / "wrong.yaml").write_text("name: debug\nepochz: 3\n")
    row = {"audio_filepath": "a.wav", "text": "a", "duration": 1.0, "speaker": "an"}
    (tmp_path / "wrong.jsonl").write_text(f"{json.dumps(row)}\nnot json\n")
    exit_code, answer = run(*(arg.format(folder=tmp_path) for arg in args), data=tmp_path / "data")
    assert exit_code != 0
    assert answer["error"]["code"] == code
    assert answer["error"]["hint"]


def test_three_hours_are_cut_into_clips(tmp_path):
    piece = (speech_like(60.0, seed=1, rate_hz=8000).samples * 127 + 128).astype(np.uint8)
    path = tmp_path / "three hours.wav"
    with soundfile.SoundFile(path, "w", 8000, 1, subtype="PCM_U8") as file:
        for _ in range(180):
            file.write(((piece.astype(np.int16) - 128) << 8).astype(np.int16))
    code, answer = run("ingest", path, data=tmp_path / "data")
    assert (code, answer["counts"]) == (0, {"ingested": 1})
    connection = sqlite3.connect(tmp_path / "data" / "records.sqlite")
    clips, longest_s = connection.execute("select count(*), max(duration_s) from clips").fetchone()
    connection.close()
    assert clips >= 360
    assert longest_s <= 30.0
