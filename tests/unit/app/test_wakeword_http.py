"""Datasets of clips over HTTP: what is taken, what is refused, what comes back."""

import json

import numpy as np
import pytest

from phonoloop.app.bootstrap import open_app
from phonoloop.app.http.server import create_api
from phonoloop.app.settings import Settings
from phonoloop.data.model import AuditEntry
from phonoloop.testing.sounds import utterance, write_media

testclient = pytest.importorskip("fastapi.testclient", reason="httpx is not installed")


@pytest.fixture
def app(tmp_path):
    settings = Settings(
        data_dir=tmp_path / "data",
        wakeword_min_positives=2,
        wakeword_min_negatives=1,
        wakeword_max_upload_mb=1,
    )
    with open_app(settings) as opened:
        yield opened


@pytest.fixture
def client(app):
    with testclient.TestClient(create_api(app)) as opened:
        yield opened


@pytest.fixture
def computer(client):
    made = client.post("/v1/datasets", json={"phrase": "Computer", "language": "en"})
    assert (made.status_code, made.json()["dataset_id"]) == (201, "computer")
    return "/v1/datasets/computer"


@pytest.fixture
def sound(tmp_path):
    """A file in the format of its suffix, with another utterance for every seed."""

    def made(seed, suffix=".wav", change=lambda x: x):
        return write_media(tmp_path / f"{seed}{suffix}", change(utterance(seed)))

    return made


def send(client, dataset, path, *, label="positive", kind="audio/wav", **form):
    with path.open("rb") as file:
        return client.post(
            f"{dataset}/recordings", files={"file": (path.name, file, kind)}, data={"label": label, **form}
        )


def code_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".flac", ".ogg", ".opus"])
def test_a_clip_of_any_of_the_formats_is_taken_with_its_metadata(client, computer, sound, suffix):
    metadata = json.dumps({"speaker": "An", "distance_m": 3, "device": "phone", "environment": "kitchen"})
    answer = send(client, computer, sound(1, suffix), metadata=metadata, notes="tired")
    clip = answer.json()
    assert (answer.status_code, clip["created"], clip["dataset_id"]) == (201, True, "computer")
    assert (clip["speaker"], clip["distance_m"], clip["notes"]) == ("An", 3, "tired")
    assert clip["speech_s"] == pytest.approx(1.0, abs=0.35)
    audio = client.get(f"/v1/recordings/{clip['clip_id']}/audio")
    assert (audio.headers["content-type"], audio.content[:4]) == ("audio/wav", b"RIFF")


def test_the_same_file_again_is_200_and_the_same_clip(client, computer, sound):
    first = send(client, computer, sound(1)).json()
    again = send(client, computer, sound(1))
    assert (again.status_code, again.json()["clip_id"]) == (200, first["clip_id"])
    assert again.json()["created"] is False
    assert code_of(send(client, computer, sound(1), label="negative")) == (409, "clip.other_label")


def test_a_lossy_copy_is_listed_as_a_duplicate(client, computer, sound):
    first = send(client, computer, sound(1)).json()
    copy = send(client, computer, sound(1, ".mp3", lambda x: 0.5 * x), label="negative").json()
    assert copy["twin_of"] == first["clip_id"]
    assert "other_label" in copy["flags"]
    (group,) = client.get(f"{computer}/duplicates").json()
    assert group["labels_disagree"] is True
    assert {clip["clip_id"] for clip in group["clips"]} == {first["clip_id"], copy["clip_id"]}


def test_what_cannot_be_used_is_refused_with_a_reason_and_nothing_is_kept(
    client, computer, sound, app, tmp_path
):
    text = tmp_path / "x.wav"
    text.write_text("no sound")
    silent = write_media(tmp_path / "silent.wav", np.zeros(16_000, np.float32))
    short = write_media(tmp_path / "short.wav", utterance(1, 0.2))
    long = write_media(tmp_path / "long.wav", utterance(2, 4.0))
    large = write_media(tmp_path / "large.wav", np.zeros(1_200_000, np.float32))
    video = write_media(tmp_path / "clip.mkv", utterance(3))
    assert code_of(send(client, computer, text)) == (422, "audio.not_audio")
    assert code_of(send(client, computer, silent)) == (422, "clip.silent")
    assert code_of(send(client, computer, short)) == (422, "clip.short_speech")
    assert code_of(send(client, computer, long)) == (422, "clip.long_speech")
    assert code_of(send(client, computer, large)) == (413, "upload.too_large")
    assert code_of(send(client, computer, video)) == (422, "clip.container")
    assert code_of(send(client, computer, sound(4), kind="text/html")) == (415, "upload.media_type")
    assert code_of(send(client, computer, sound(4), label="maybe")) == (400, "clip.metadata")
    assert code_of(send(client, computer, sound(4), metadata='{"size": 1}')) == (400, "clip.metadata")
    assert code_of(send(client, computer, sound(4), metadata="[")) == (400, "clip.metadata")
    assert code_of(send(client, "/v1/datasets/none", sound(4))) == (404, "dataset.missing")
    assert client.get(f"{computer}/clips").json()["total"] == 0
    assert list((app.data_dir / "work").iterdir()) == []


def test_clips_are_filtered_sorted_and_paged(client, computer, sound):
    for seed, label, speaker in ((1, "positive", "An"), (2, "positive", "Binh"), (3, "negative", "An")):
        send(client, computer, sound(seed), label=label, speaker=speaker)

    def names(**query):
        found = client.get(f"{computer}/clips", params=query).json()
        return [clip["source_name"] for clip in found["clips"]], found["total"]

    assert names() == (["1.wav", "2.wav", "3.wav"], 3)
    assert names(sort="source_name", descending=True, limit=1, offset=1) == (["2.wav"], 3)
    assert names(label="positive", speaker="An") == (["1.wav"], 1)
    assert names(text="3.WAV") == (["3.wav"], 1)
    assert code_of(client.get(f"{computer}/clips", params={"sort": "size"})) == (400, "clip.query")


def test_a_clip_is_relabelled_deleted_restored_and_the_log_says_by_whom(client, computer, sound, app):
    clip = send(client, computer, sound(1)).json()
    at = f"/v1/recordings/{clip['clip_id']}"
    changed = client.patch(at, json={"label": "negative", "notes": "tv"}, headers={"X-Actor": "lan"}).json()
    assert (changed["label"], changed["notes"], changed["reviewed_by"]) == ("negative", "tv", "lan")
    assert client.delete(at).json()["deleted_by"] == "http"
    assert client.get(f"{computer}/clips").json()["total"] == 0
    assert client.get(f"{computer}/clips", params={"shown": "deleted"}).json()["total"] == 1
    assert client.get(f"{at}/audio").status_code == 200
    assert code_of(client.patch(at, json={"notes": ""})) == (409, "clip.is_deleted")
    assert client.post(f"{at}/restore").json()["deleted_at"] == ""
    with app.records.transaction() as tx:
        log = [(e.action, e.actor) for e in tx.find(AuditEntry, order_by="created_at")]
    assert log[2:] == [("clip.changed", "lan"), ("clip.deleted", "http"), ("clip.restored", "http")]
    client.delete(at)
    assert client.post(f"{computer}/purge", json={"older_than_days": 0}).json()["purged"] == [clip["clip_id"]]
    assert code_of(client.get(at)) == (404, "clip.missing")


def test_a_dataset_tells_what_it_has_and_what_is_missing(client, computer, sound):
    send(client, computer, sound(1), speaker="An")
    (listed,) = client.get("/v1/datasets").json()
    assert listed == client.get(computer).json()
    assert listed["metrics"]["gate"]["missing"] == {"positive": 1, "negative": 1}
    assert code_of(client.post("/v1/datasets", json={"phrase": "computer"})) == (409, "dataset.exists")
    assert code_of(client.post("/v1/datasets", json={"phrase": "?"})) == (400, "dataset.id")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/recordings/none"),
        ("GET", "/v1/recordings/none/audio"),
        ("DELETE", "/v1/recordings/00000000-0000-0000-0000-000000000000"),
        ("PATCH", "/v1/recordings/none"),
        ("POST", "/v1/recordings/none/restore"),
    ],
)
def test_clips_that_are_not_there_are_404(client, computer, method, path):
    assert code_of(client.request(method, path, json={})) == (404, "clip.missing")
