"""Language models from the command line and over HTTP."""

import json

import pytest
from end_to_end import phonoloop


def current_id(data):
    return json.loads((data / "models" / "lm" / "current.json").read_text())["lm_id"]


def some_wav(recordings):
    return next(recordings.glob("mai/*.wav"))


@pytest.fixture(scope="module")
def with_lm(world, tmp_path_factory):
    """The world with a language model; do not change it."""
    import shutil

    data = tmp_path_factory.mktemp("lm") / "data"
    shutil.copytree(world, data)
    return data, phonoloop("train", "lm", "--json", data=data).json


def test_a_language_model_is_trained_on_the_accepted_transcripts(with_lm):
    data, told = with_lm
    folder = data / "models" / "lm" / told["lm_id"]
    assert {path.name for path in folder.iterdir()} >= {"model.arpa", "model.npz", "metadata.json"}
    assert told["current"]
    assert told["metadata"]["sources"][0]["sentences"] == 18
    assert told["metadata"]["val"]["sentences"] == 6
    assert json.loads((folder / "tuning.json").read_text())
    assert json.loads((data / "models" / "lm" / "current.json").read_text()) == {"lm_id": told["lm_id"]}


def test_transcribing_with_it_tells_readings_and_who_heard(with_lm, recordings):
    data, told = with_lm
    view = phonoloop(
        "transcribe", some_wav(recordings), "--lm", "current", "--nbest", 3, "--json", data=data
    ).json
    assert view["model_version"].endswith(f"+lm-{told['lm_id']}")
    assert 1 <= len(view["alternatives"]) <= 3
    assert view["alternatives"][0]["text"] == view["text"]


@pytest.mark.parametrize(
    ("options", "code", "exit_code"),
    [
        (["--lm", "none"], "lm.missing", 3),
        (["--lm", "../records"], "lm.missing", 3),
        (["--hotword", ":"], "hotword.invalid", 2),
        (["--lexicon"], "beam.no_words", 2),
        (["--beam", "4", "--alpha", "-1"], "beam.config", 2),
    ],
)
def test_wishes_that_cannot_be_granted_are_refused(with_lm, recordings, options, code, exit_code):
    data, _ = with_lm
    ran = phonoloop("transcribe", some_wav(recordings), *options, "--json", data=data, code=exit_code)
    assert ran.json["error"]["code"] == code


def test_an_arpa_file_from_elsewhere_is_taken_and_a_damaged_one_named(with_lm, recordings, tmp_path):
    data, told = with_lm
    arpa = data / "models" / "lm" / told["lm_id"] / "model.arpa"
    view = phonoloop("transcribe", some_wav(recordings), "--lm", arpa, "--json", data=data).json
    assert view["model_version"].endswith("+lm-model.arpa")
    damaged = tmp_path / "cut.arpa"
    damaged.write_text(arpa.read_text("utf-8").replace("\\2-grams:", ""), "utf-8")
    ran = phonoloop("transcribe", some_wav(recordings), "--lm", damaged, "--json", data=data, code=2)
    assert ran.json["error"]["code"] == "lm.damaged"
    assert "in the section of 1-grams" in ran.json["error"]["message"]


def test_a_worse_one_does_not_become_current(with_lm, tmp_path):
    data, told = with_lm
    text = tmp_path / "other.txt"
    text.write_bytes("những câu hoàn toàn khác\n".encode() * 3 + b"\xff\xfe\n")
    other = phonoloop("train", "lm", text, "--order", 2, "--json", data=data).json
    assert other["metadata"]["sources"][0] | {"name": "", "sha256": ""} == {
        "name": "",
        "sha256": "",
        "sentences": 3,
        "words": 15,
        "skipped": 1,
        "first_skipped": 4,
    }
    assert other["current"] == (current_id(data) == other["lm_id"])
    assert other["current"] or current_id(data) == told["lm_id"]
    assert "WER on" in other["reason"]


@pytest.mark.parametrize(("content", "code"), [(b"", "lm.no_text"), (b"\xff\n", "lm.no_text")])
def test_texts_without_a_word_are_refused(tmp_path, content, code):
    (tmp_path / "empty.txt").write_bytes(content)
    ran = phonoloop("train", "lm", tmp_path / "empty.txt", "--json", data=tmp_path / "data", code=2)
    assert ran.json["error"]["code"] == code
    ran = phonoloop("train", "lm", tmp_path / "none.txt", "--json", data=tmp_path / "data", code=3)
    assert ran.json["error"]["code"] == "lm.no_file"


def test_without_recordings_texts_are_enough(tmp_path):
    (tmp_path / "t.txt").write_text("Bật đèn phòng khách. Tắt quạt!\nTP. Huế hôm nay mưa\n", "utf-8")
    told = phonoloop("train", "lm", tmp_path / "t.txt", "--json", data=tmp_path / "data").json
    assert told["current"]
    assert told["tuned"] is None
    assert told["metadata"]["sources"][0]["sentences"] == 3


def test_over_http_paths_are_no_names(with_lm, recordings, up):
    data, _ = with_lm
    client = up(data).client
    files = {"file": some_wav(recordings).read_bytes()}
    ok = client.post(
        "/v1/transcribe", params={"lm": "current", "nbest": 2, "hotword": ["mở cửa:3", "mẹ"]}, files=files
    )
    assert ok.status_code == 200
    assert len(ok.json()["alternatives"]) in (1, 2)
    assert ok.json()["model_version"].endswith(f"+lm-{current_id(data)}")
    assert client.post("/v1/transcribe", params={"lm": "/etc/passwd"}, files=files).status_code == 422
    wrong = client.post("/v1/transcribe", params={"lm": "none"}, files=files)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (404, "lm.missing")


def test_the_loop_may_hear_with_it_and_ask_twice(with_lm, recordings, tmp_path):
    import shutil

    data = tmp_path / "data"
    shutil.copytree(with_lm[0], data)
    wav = shutil.copy(some_wav(recordings), tmp_path / "neu.wav")
    _change_last_sample(wav)
    environ = {"ASR_DECODING": "beam", "ASR_SECOND_OPINION": "decoding"}
    phonoloop("ingest", wav, "--speaker", "an", "--json", data=data, env=environ)
    newest = max((data / "transcripts").glob("*.json"), key=lambda path: path.stat().st_mtime)
    body = json.loads(newest.read_text("utf-8"))
    assert body["provenance"] == "machine"
    assert "+lm-" in body["model_version"]
    if body["segments"]:
        assert body["segments"][0]["second"]["model_version"] == body["model_version"].partition("+")[0]


def _change_last_sample(path):
    """Other audio, so another recording."""
    import soundfile

    samples, rate = soundfile.read(path)
    samples[-1] += 0.01
    soundfile.write(path, samples, rate)
