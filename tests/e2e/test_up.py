"""`phonoloop up`: drop a file, send a file, swap the model, stop."""

import shutil
import signal
import threading

import pytest
from end_to_end import files_in, phonoloop, wait_for

pytestmark = pytest.mark.xdist_group("e2e")


def test_a_file_dropped_into_the_inbox_is_carried_to_the_dataset(own_world, recordings, up):
    before = phonoloop("status", "--json", data=own_world).json
    server = up(own_world)
    new = own_world / "inbox" / "newcomer" / "hello.wav"
    new.parent.mkdir(parents=True)
    (new.with_suffix(".txt")).write_text("mở cửa sổ")
    lengthen(recordings / "an" / "an-3.wav", new)
    (own_world / "inbox" / "broken.mp3").write_text("no sound")
    (own_world / "inbox" / "notes.pdf").write_text("not audio")
    (own_world / "inbox" / "loop").symlink_to(own_world / "inbox")
    wait_for(lambda: accepted(server.client.get("/v1/status").json()) > accepted(before))
    wait_for((own_world / "rejected" / "broken.mp3.reason.json").exists)
    assert (own_world / "processed" / "newcomer" / "hello.wav").exists()
    assert (own_world / "inbox" / "notes.pdf").exists()
    assert server.client.get("/v1/status").json()["intake"]["skipped"] >= 1
    assert server.stop() == 0


def accepted(status):
    return status["clips"]["accepted"]


def ended_job(client, job_id):
    """The job once it has ended."""
    view = client.get(f"/v1/jobs/{job_id}").json()
    return view if view["ended_at"] else None


def lengthen(source, target):
    """The same speech with a pause behind it: other audio, so another recording."""
    import numpy as np
    import soundfile

    samples, rate = soundfile.read(source, dtype="float32")
    soundfile.write(target, np.concatenate([samples, np.zeros(4000, np.float32)]), rate)


def test_ingest_correct_and_transcribe_over_http(own_world, recordings, tmp_path, up):
    client = up(own_world).client
    lengthen(recordings / "an" / "an-1.wav", tmp_path / "new.wav")
    with (tmp_path / "new.wav").open("rb") as file:
        answer = client.post("/v1/ingest", files={"file": ("../../new.wav", file)}, data={"speaker": "web"})
    assert answer.status_code == 201
    audio_id = answer.json()["audio_id"]
    assert (own_world / "audio" / "raw" / f"{audio_id}.wav").exists()
    body = {"text": "tắt quạt đi", "author": "lan"}
    assert client.put(f"/v1/transcripts/{audio_id}", json=body).json()["provenance"] == "human"
    kept = client.get(f"/v1/transcripts/{audio_id}").json()
    assert (kept["text"], kept["text_clean"], kept["author"]) == ("tắt quạt đi", "tắt quạt đi", "lan")
    with (tmp_path / "new.wav").open("rb") as file:
        assert "text" in client.post("/v1/transcribe", files={"file": file}).json()


def test_an_upload_that_is_refused_says_why_and_is_kept(own_world, up):
    client = up(own_world).client
    answer = client.post("/v1/ingest", files={"file": ("note.wav", b"not a sound at all")})
    assert (answer.status_code, answer.json()["code"]) == (422, "audio.not_audio")
    assert any(name.endswith("note.wav") for name in files_in(own_world / "rejected"))
    assert files_in(own_world / "work") == []


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/transcripts/none", 404, "recording.missing"),
        ("GET", "/v1/jobs/none", 404, "job.missing"),
        ("GET", "/v1/models/none", 404, "model.missing"),
        ("POST", "/v1/models/rollback", 404, "model.no_previous"),
        ("POST", "/v1/events/dead/none/replay", 404, "event.no_dead_letter"),
    ],
)
def test_what_is_not_there_is_a_404_with_a_code(world_up, method, path, status, code):
    answer = world_up.client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.fixture(scope="module")
def world_up(world, tmp_path_factory):
    from end_to_end import Up

    folder = tmp_path_factory.mktemp("world_up")
    shutil.copytree(world, folder / "data")
    server = Up(folder / "data", folder / "log")
    yield server
    server.stop()


def test_health_names_the_champion(world_up, world):
    (model,) = phonoloop("models", "list", "--json", data=world).json
    health = world_up.client.get("/health").json()
    assert (health["status"], health["champion"]) == ("ok", model["model_id"])


def test_a_training_started_over_http_ends_with_a_verdict(own_world, up):
    client = up(own_world).client
    job = client.post("/v1/train/now", json={"recipe": "debug", "seed": 9})
    assert job.status_code == 202
    ended = wait_for(lambda: ended_job(client, job.json()["job_id"]), 240)
    assert ended["state"] == "succeeded", ended["error"]
    assert ended["epochs"][0]["epoch"] == 1
    assert client.get(f"/v1/models/{ended['result']['model_id']}").json()["verdicts"][0]["decision"]


def test_the_champion_is_swapped_without_dropping_a_request(own_world, recordings, up):
    second = phonoloop("train", "asr", "--recipe", "debug", "--seed", 3, "--json", data=own_world).json[
        "result"
    ]
    server = up(own_world)
    first = server.client.get("/health").json()["champion"]
    sound = (recordings / "an" / "an-0.wav").read_bytes()
    answers, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            answers.append(server.client.post("/v1/transcribe", files={"file": ("a.wav", sound)}))

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    for model in (second["model_id"], first, second["model_id"]):
        seen = len(answers)
        server.client.post(f"/v1/models/{model}/promote")
        wait_for(lambda m=model, n=seen: any(a.json()["model_version"] == m for a in answers[n:]))
    stop.set()
    for thread in asking:
        thread.join()
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["model_version"] for answer in answers} == {first, second["model_id"]}


def test_a_training_survives_sigkill_of_everything(own_world, up):
    server = up(own_world, JOB_LEASE_SEC="4")
    wish = {"recipe": "debug", "seed": 7, "epochs": 12}
    job_id = server.client.post("/v1/train/now", json=wish).json()["job_id"]
    wait_for(lambda: list(own_world.glob("runs/*/checkpoints/*.ckpt")), 120)
    server.stop(signal.SIGKILL)
    again = up(own_world, JOB_LEASE_SEC="4")
    ended = wait_for(lambda: ended_job(again.client, job_id), 240)
    assert (ended["state"], ended["attempt"]) == ("succeeded", 2)
    assert len(ended["runs"]) == 1
    assert [epoch["epoch"] for epoch in ended["epochs"]] == list(range(1, 13))
