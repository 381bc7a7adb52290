"""Wake words over `phonoloop up`: clips sent, changes watched, a training killed and gone on with."""

import json
import os
import signal

import pytest
from end_to_end import phonoloop, wait_for

from phonoloop.testing.sounds import utterance, write_media

pytestmark = pytest.mark.xdist_group("e2e")
websockets = pytest.importorskip("websockets.sync.client", reason="websockets is not installed")


def watching(server, path="/v1/status"):
    address = str(server.client.base_url).rstrip("/").replace("http", "ws", 1)
    return websockets.connect(address + path)


def test_a_clip_that_is_sent_is_told_to_who_watches_and_the_server_still_stops(tmp_path, up):
    server = up(tmp_path / "data")
    with watching(server) as watcher:
        assert json.loads(watcher.recv(timeout=10))["kind"] == "hello"
        server.client.post("/v1/datasets", json={"phrase": "Computer"})
        path = write_media(tmp_path / "clip.mp3", utterance(1))
        with path.open("rb") as file:
            sent = server.client.post(
                "/v1/datasets/computer/recordings",
                files={"file": ("clip.mp3", file, "audio/mpeg")},
                data={"label": "positive", "speaker": "An"},
            )
        assert sent.status_code == 201
        told = [json.loads(watcher.recv(timeout=10))["event"]["data"]["actions"] for _ in range(2)]
        assert told == [["dataset.created"], ["clip.added"]]
        assert server.stop() == 0
    shown = phonoloop("wakeword", "dataset", "show", "computer", "--clips", "--json", data=tmp_path / "data")
    assert [clip["speaker"] for clip in shown.json["clips"]] == ["An"]


@pytest.fixture
def said(tmp_path):
    """Clips of synthesised speech, sorted into folders: a phrase, and other words."""
    import soundfile

    from phonoloop.adapters.espeak import EspeakSynthesizer

    root = tmp_path / "said"
    with EspeakSynthesizer() as speak:
        for number in range(24):
            voice = f"en+{'mf'[number % 2]}{1 + number % 4}"
            words = ("hey computer", ("good morning", "what is the time", "play a song")[number % 3])
            for label, text in zip(("positive", "negative"), words, strict=True):
                folder = root / label / voice
                folder.mkdir(parents=True, exist_ok=True)
                speed = 0.8 + 0.02 * number
                soundfile.write(
                    folder / f"{number}.wav", speak.synthesize(text, voice=voice, speed=speed), 16_000
                )
    return root


@pytest.mark.long
def test_a_training_on_a_dataset_survives_sigkill_of_everything(tmp_path, said, up):
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    data = tmp_path / "data"
    env = {"WAKEWORD_MIN_POSITIVES": "10", "WAKEWORD_MIN_NEGATIVES": "10", "JOB_LEASE_SEC": "4"}
    phonoloop("wakeword", "dataset", "create", "hey computer", "--language", "en", data=data)
    phonoloop("wakeword", "dataset", "import", "hey-computer", said, data=data)
    server = up(data, **env)
    wish = {"dataset_id": "hey-computer", "recipe": "debug"}
    job = server.client.post("/v1/train", json=wish)
    assert job.status_code == 202, job.text
    at = f"/v1/jobs/{job.json()['job_id']}"
    wait_for(lambda: server.client.get(at).json()["stage"] in ("synthesise", "features", "train"), 120)
    server.stop(signal.SIGKILL)
    again = up(data, **env)
    ended = wait_for(lambda: (view := again.client.get(at).json())["ended_at"] and view, 600)
    assert (ended["state"], ended["attempt"], len(ended["runs"])) == ("succeeded", 2, 1), ended["error"]
    result = ended["result"]
    installed = data / "models" / "wakeword" / result["run_id"]
    assert json.loads((installed / "artifacts.json").read_text())["dataset"]["dataset_id"] == "hey-computer"
    assert not (data / "runs" / result["run_id"] / "dataset").exists()
    phonoloop("wakeword", "promote", result["run_id"], "--force", data=data)
    assert os.readlink(data / "models" / "wakeword" / "current") == result["run_id"]
    clip = next((said / "positive").rglob("*.wav"))
    assert "hours" in phonoloop("wakeword", "scan", "--model", "current", clip, "--json", data=data).json
