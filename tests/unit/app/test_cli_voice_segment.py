"""`phonoloop voice segment`."""

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from phonoloop.app.cli.main import cli
from phonoloop.audio.wav import read_wav, wav_info
from phonoloop.testing.sounds import silence, tone, write_media, write_wav

RATE_HZ = 44_100


def sentence(duration_s):
    return tone(220, duration_s, rate_hz=RATE_HZ)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Two sentences and four seconds of silence between them."""
    audio = np.concatenate([sentence(3), silence(4, RATE_HZ), sentence(2)])
    return write_media(tmp_path_factory.mktemp("films") / "talk.mp4", audio, RATE_HZ)


def run(*arguments):
    return CliRunner().invoke(cli, ["voice", "segment", *map(str, arguments)])


def told(*arguments):
    ran = run(*arguments, "--json")
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.output)


def test_it_says_where_each_segment_was_in_seconds_and_in_samples(film):
    answer = told(film)
    assert [(round(one["start_s"]), round(one["end_s"])) for one in answer["segments"]] == [(0, 3), (7, 9)]
    for one in answer["segments"]:
        assert one["file"] == str(film)
        assert one["start"] == pytest.approx(one["start_s"] * 22_050, abs=0.1)
        assert one["forced_cut"] is False
        assert "clip" not in one


def test_what_is_kept_and_what_is_dropped_is_the_recording(film):
    answer = told(film)
    spans = sorted((one["start"], one["end"]) for one in [*answer["segments"], *answer["dropped"]])
    assert spans[0][0] == 0
    assert spans[-1][1] == answer["files"][0]["samples"]
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]


def test_the_longest_can_be_set(tmp_path):
    path = write_wav(tmp_path / "long.wav", sentence(9), RATE_HZ)
    answer = told(path, "--max-s", 3)
    assert max(one["end_s"] - one["start_s"] for one in answer["segments"]) <= 3
    assert all(one["forced_cut"] for one in answer["segments"])


def test_segments_are_written_as_wav_with_the_list_of_them(film, tmp_path):
    answer = told(film, "--out", tmp_path / "out")
    assert json.loads((tmp_path / "out/segments.json").read_text("utf-8")) == answer
    for one in answer["segments"]:
        info = wav_info(tmp_path / "out" / one["clip"])
        assert (info.rate_hz, info.samples) == (22_050, one["end"] - one["start"])
    assert np.abs(read_wav(tmp_path / "out" / answer["segments"][0]["clip"])).max() > 0.1
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_clips_of_several_files_do_not_mix(film, tmp_path):
    (tmp_path / "films").mkdir()
    for name in ("a", "b"):
        (tmp_path / "films" / f"{name}.mp4").write_bytes(film.read_bytes())
    answer = told(tmp_path / "films", "--out", tmp_path / "out")
    assert [one["file"][-5:] for one in answer["segments"]] == ["a.mp4", "a.mp4", "b.mp4", "b.mp4"]
    assert len({one["clip"] for one in answer["segments"]}) == 4


def test_a_folder_that_holds_something_is_left_alone(film, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    ran = run(film, "--out", tmp_path)
    assert ran.exception.code == "export.not_empty"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_that_cannot_be_used_is_listed_and_the_others_are_cut(film, tmp_path):
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"no sound" * 99)
    ran = run(film, broken, "--json")
    answer = json.loads(ran.output)
    assert ran.exit_code == 2
    assert len(answer["segments"]) == 2
    assert [(one["file"], one["code"]) for one in answer["refused"]] == [(str(broken), "audio.not_audio")]
    assert answer["refused"][0]["hint"]


def test_a_person_gets_a_table(film, tmp_path):
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"no sound" * 99)
    ran = run(film, broken, "--max-s", 1.5)
    assert "segments (" in ran.output
    assert "cut where nobody pauses" in ran.output
    assert "1 cannot be used:" in ran.output


def test_silence_has_no_segments(tmp_path):
    path = write_wav(tmp_path / "nothing.wav", silence(3, RATE_HZ), RATE_HZ)
    answer = told(path)
    assert answer["segments"] == []
    assert [(one["start"], one["end"]) for one in answer["dropped"]] == [(0, 66_150)]


def test_a_length_that_makes_no_sense_is_refused(film):
    assert run(film, "--max-s", 0.01).exception.code == "voice.segment_settings"
    assert run(film, "--min-s", 20).exception.code == "voice.segment_settings"


def test_it_needs_neither_torch_nor_records():
    import subprocess

    code = "import sys, phonoloop.app.voice_segments; print({'torch', 'sqlalchemy'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "set()"
