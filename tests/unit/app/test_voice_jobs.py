"""Voices in the data folder: begun, given recordings, built as a job, installed, exported."""

from __future__ import annotations

import json

import pytest
from voice_trainer import stand_in

from phonoloop.app import voice_jobs, voice_models, voice_tools, voice_workshops
from phonoloop.app.bootstrap import open_app
from phonoloop.app.forgetting import forget
from phonoloop.app.http.server import create_api
from phonoloop.app.settings import Settings
from phonoloop.app.views import job_view
from phonoloop.app.work import runner_of
from phonoloop.core.errors import InputError, IntegrityError, NotFoundError, UnavailableError
from phonoloop.data.model import AuditEntry, Snapshot
from phonoloop.jobs import queue
from phonoloop.jobs.model import Job
from phonoloop.registry.model import EpochMetric, Model, TrainingRun
from phonoloop.testing.sounds import write_media
from phonoloop.testing.voice_material import RECIPE, Parrot, talk

testclient = pytest.importorskip("fastapi.testclient", reason="httpx is not installed")

ABOUT = {"name": "lan", "language": "vi", "speaker": "Lan", "licence": "CC0-1.0"}
CONSENT = {"who": "Lan", "purpose": "a voice for her reader", "date": "2026-11-20"}


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setattr(voice_tools, "recognisers", lambda settings, language, app: [Parrot()])
    monkeypatch.setattr("phonoloop.voice.train.require_piper", lambda: None)
    with open_app(Settings(data_dir=tmp_path / "data", threads=1)) as opened:
        yield opened


@pytest.fixture
def client(app):
    with testclient.TestClient(create_api(app)) as opened:
        yield opened


@pytest.fixture
def recording(tmp_path):
    return write_media(tmp_path / "talk.wav", talk(4, 1))


def send(client, path, *, name="talk.wav", **metadata):
    with path.open("rb") as file:
        return client.post(
            "/v1/voices/lan/recordings",
            files={"file": (name, file, "audio/wav")},
            data={"metadata": json.dumps(metadata)},
        )


def begin(client, recording, **about):
    assert client.post("/v1/voices", json=ABOUT | about).status_code == 201
    assert send(client, recording).status_code == 201


def build(app, client, **wish):
    wish.setdefault("config_overrides", RECIPE)
    answer = client.post("/v1/voices/lan/build", json=wish)
    assert answer.status_code == 202, answer.text
    with app.records.transaction() as tx:
        job = queue.get(tx, answer.json()["job_id"])
    told = []
    result = runner_of(job)(app, job, lambda *report: told.append(report), lambda: False)
    return job, result, told


def code_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_from_recordings_to_an_installed_voice(app, client, recording, monkeypatch):
    asked = stand_in(monkeypatch)
    begin(client, recording, consent=CONSENT)
    job, result, told = build(app, client)
    assert len(asked) == 1
    assert result["training"]["best_epoch"] == 1
    assert [stage for stage, *_ in told][-1] == "train"
    view = client.get("/v1/voices").json()
    assert [one["model_id"] for one in view["installed"]] == [result["model_id"]]
    (state,) = view["begun"][0]["jobs"]
    assert state["job_id"] == job.job_id
    assert state["training"]["epoch"] == 1
    assert (app.data_dir / "voices/lan/work" / state["training"]["last_checkpoint"]).is_file()
    folder = app.data_dir / "models/voice/lan"
    assert {"lan.onnx", "lan.onnx.json", "card.md"} <= {p.name for p in folder.iterdir()}


def test_the_card_and_the_lineage_know_consent_clips_speaker_and_licence(app, client, recording, monkeypatch):
    stand_in(monkeypatch)
    begin(client, recording, consent=CONSENT)
    _, result, _ = build(app, client)
    card = client.get("/v1/voices/lan/card").json()["card"]
    assert "Lan agreed on 2026-11-20 to: a voice for her reader" in card
    assert "CC0-1.0" in card
    with app.records.transaction() as tx:
        model = tx.get(Model, result["model_id"])
        run, snapshot = tx.get(TrainingRun, model.run_id), tx.get(Snapshot, model.snapshot_id)
    assert (run.state, run.kind) == ("succeeded", "voice")
    assert snapshot.speakers == {"train": 1}
    assert b'"speaker": "Lan"' in app.blobs.get(snapshot.manifests["train"])


def test_a_page_can_draw_the_epochs_while_it_trains_and_the_report_has_all(
    app, client, recording, monkeypatch
):
    seen = []

    def look():
        with app.records.transaction() as tx:
            seen.extend((run.state, tx.find(EpochMetric, run_id=run.run_id)) for run in tx.find(TrainingRun))

    stand_in(monkeypatch, then=look)
    begin(client, recording)
    job, _, _ = build(app, client)
    ((state, (metric,)),) = seen
    assert (state, metric.epoch, metric.values) == ("running", 1, {"loss_g": 1.5, "score": 0.3})
    view = job_view(app, job.job_id)
    assert [run["state"] for run in view["runs"]] == ["succeeded"]
    assert view["epochs"] == [{"epoch": 1, "loss_g": 1.5, "score": 0.3}]
    report = client.get("/v1/voices/lan").json()["report"]
    assert report["sentences"] == ["xin chào"]
    assert [(one["epoch"], one["sentences"]) for one in report["epochs"]] == [(1, [{"cer": 0.25}])]
    (listed,) = client.get("/v1/voices").json()["begun"]
    assert "epochs" not in listed["report"]


def test_a_job_whose_training_fails_leaves_a_run_that_can_be_closed_and_is_taken_up_again(
    app, client, recording, monkeypatch
):
    def fail():
        raise UnavailableError("gone", code="voice.training")

    stand_in(monkeypatch, then=fail)
    begin(client, recording)
    with pytest.raises(UnavailableError):
        build(app, client)
    with app.records.transaction() as tx:
        (run,) = tx.find(TrainingRun)
        (job,) = tx.find(Job)
    assert run.state == "running"
    stand_in(monkeypatch)
    runner_of(job)(app, job, lambda *report: None, lambda: False)
    with app.records.transaction() as tx:
        (again,) = tx.find(TrainingRun)
    assert (again.run_id, again.state) == (run.run_id, "succeeded")


def test_installing_again_changes_nothing_and_another_network_is_another_version(
    app, client, recording, monkeypatch
):
    stand_in(monkeypatch)
    begin(client, recording)
    _, first, _ = build(app, client)
    _, again, _ = build(app, client)
    assert again["model_id"] == first["model_id"]
    stand_in(monkeypatch, sound=b"another")
    _, other, _ = build(app, client, config_overrides=RECIPE | {"train": {"seed": 2}})
    assert other["model_id"] != first["model_id"]
    assert len(voice_models.voices_view(app)) == 2
    link = app.data_dir / "models/voice/lan"
    assert link.resolve().name == other["run_id"]
    with app.records.transaction() as tx:
        assert voice_models.find_voice(tx, "lan").model_id == other["model_id"]
        assert voice_models.find_voice(tx, first["run_id"]).model_id == first["model_id"]


def test_what_was_changed_after_the_build_is_not_installed(app, client, recording, monkeypatch):
    stand_in(monkeypatch)
    begin(client, recording)
    build(app, client)
    work = app.data_dir / "voices/lan/work"
    (work / "voice" / "lan.onnx").unlink()
    (work / "voice" / "lan.onnx").write_bytes(b"other")
    with pytest.raises(IntegrityError) as caught:
        voice_models.install(app, work)
    assert caught.value.code == "voice.changed"


def test_an_export_without_consent_asks(app, client, recording, monkeypatch, tmp_path):
    stand_in(monkeypatch)
    begin(client, recording)
    build(app, client)
    with pytest.raises(InputError) as caught:
        voice_models.export(app, "lan", tmp_path / "out", actor="An")
    assert caught.value.code == "voice.no_consent"
    assert "--without-consent" in caught.value.hint
    made = voice_models.export(app, "lan", tmp_path / "out", actor="An", anyway=True)
    assert {"lan.onnx", "card.md"} <= {path.name for path in made}
    with app.records.transaction() as tx:
        (entry,) = tx.find(AuditEntry, action="voice.exported")
    assert (entry.actor, entry.detail["without_consent"]) == ("An", ["talk.wav"])


def test_an_export_with_consent_does_not_ask(app, client, recording, monkeypatch, tmp_path):
    stand_in(monkeypatch)
    begin(client, recording, consent=CONSENT)
    build(app, client)
    assert voice_models.export(app, "lan", tmp_path / "out", actor="An")


def test_segments_review_and_clips_over_http(app, client, recording):
    begin(client, recording)
    assert code_of(client.get("/v1/voices/lan/segments")) == (404, "voice.no_segments")
    build(app, client, until="transcribe")
    (cut,) = client.get("/v1/voices/lan/segments").json()
    assert cut["name"] == "talk.wav"
    assert len(cut["segments"]) >= 3
    queue_view = client.get("/v1/voices/lan/review").json()
    clip = queue_view["listed"][0]["clip"]
    audio = client.get(f"/v1/voices/lan/clips/{clip}/audio")
    assert (audio.headers["content-type"], audio.content[:4]) == ("audio/wav", b"RIFF")
    said = {"action": "correct", "text": "xin chào"}
    answer = client.post(f"/v1/voices/lan/review/{clip}", json=said, headers={"X-Actor": "An"})
    assert (answer.json()["text"], answer.json()["origin"]) == ("xin chào", "human")
    assert client.get("/v1/voices/lan/review").json()["waiting"] == queue_view["waiting"] - 1
    assert code_of(client.post(f"/v1/voices/lan/review/{clip}", json={"action": "x"})) == (
        400,
        "voice.review",
    )
    assert code_of(client.get("/v1/voices/lan/clips/none/audio")) == (404, "voice.no_clip")


def test_a_recording_is_cut_without_a_voice(client, recording):
    with recording.open("rb") as file:
        answer = client.post("/v1/voices/segment", files={"file": ("x.wav", file)}, data={"max_s": "6"})
    assert answer.status_code == 200
    assert len(answer.json()["segments"]) >= 3


def test_a_recording_of_the_same_name_is_replaced_and_names_are_looked_at(app, client, recording):
    begin(client, recording)
    assert send(client, recording, speaker="Mai").status_code == 201
    kept = app.data_dir / "voices/lan/recordings"
    assert sorted(path.name for path in kept.iterdir()) == ["talk.wav", "talk.wav.json"]
    assert send(client, recording, name="../../x.wav").json()["name"] == "x.wav"
    for name in (".hidden.wav", "x.json", "noending"):
        assert code_of(send(client, recording, name=name)) == (400, "voice.file_name")
    assert list((app.data_dir / "work").iterdir()) == []


def test_a_speaker_who_is_forgotten_is_in_no_voice_any_more(app, client, recording, monkeypatch):
    stand_in(monkeypatch)
    begin(client, recording)
    _, result, _ = build(app, client)
    done = forget(app, "Lan", actor="An")
    assert done.models == (result["model_id"],)
    folder = app.data_dir / "voices/lan"
    assert list((folder / "recordings").iterdir()) == []
    assert not (folder / "work").exists()
    card = client.get("/v1/voices/lan/card").json()
    assert "speaker/Lan" in card["marks"]
    assert "**Marked** speaker/Lan" in card["card"]
    assert code_of(client.post("/v1/voices", json=ABOUT | {"name": "again"})) == (400, "speaker.forgotten")


@pytest.mark.parametrize("name", ["../x", "", "a b", "x" * 65, ".x"])
def test_a_name_that_is_no_file_name_is_refused(client, name):
    assert code_of(client.post("/v1/voices", json=ABOUT | {"name": name})) == (400, "voice.name")


def test_what_is_missing_is_said(app, client, recording):
    assert code_of(client.get("/v1/voices/none")) == (404, "voice.not_begun")
    client.post("/v1/voices", json=ABOUT)
    assert code_of(client.post("/v1/voices/lan/build", json={})) == (400, "voice.no_recordings")
    send(client, recording)
    assert code_of(client.post("/v1/voices/lan/build", json={"until": "x"})) == (400, "voice.until")
    assert code_of(client.post("/v1/voices", json=ABOUT | {"speaker": "Mai"})) == (409, "voice.exists")
    assert code_of(client.post("/v1/voices", json=ABOUT | {"name": "m", "consent": {"who": "x"}})) == (
        400,
        "voice.consent",
    )
    assert code_of(client.get("/v1/voices/lan/card")) == (404, "voice.missing")
    assert code_of(client.post("/v1/voices/lan/say", json={"text": "xin chào"})) == (404, "voice.missing")
    with pytest.raises(NotFoundError):
        voice_models.install(app, voice_workshops.work_dir(app, "lan"))


@pytest.mark.parametrize("override", [{"train": {"warm_start": "/x"}}, {"separate_model": "/x"}])
def test_files_on_the_server_cannot_be_named(client, recording, override):
    begin(client, recording)
    answer = client.post("/v1/voices/lan/build", json={"config_overrides": override})
    assert code_of(answer) == (400, "train.no_paths")


def test_a_missing_extra_is_said_when_the_job_is_asked_for(client, recording, monkeypatch):
    def missing():
        raise UnavailableError("x", code="voice.no_piper", hint="pip install 'phonoloop[piper]'")

    begin(client, recording)
    monkeypatch.setattr("phonoloop.voice.train.require_piper", missing)
    answer = client.post("/v1/voices/lan/build", json={})
    assert code_of(answer) == (503, "voice.no_piper")
    assert "phonoloop[piper]" in answer.json()["error"]["hint"]


def test_the_kind_of_job_is_known():
    assert voice_jobs.KIND == "train.voice"
