"""From a dataset to an installed detector: the job around the build, which is a stand-in here."""

import json
import os
import shutil

import pytest
from click.testing import CliRunner
from wakeword_builder import Builder, measured

from phonoloop.app import triggers, wakeword_models
from phonoloop.app.bootstrap import open_app
from phonoloop.app.forgetting import forget
from phonoloop.app.http.server import create_api
from phonoloop.app.settings import Settings
from phonoloop.app.wakeword_training import WakeWish, run_wakeword, submit_wakeword
from phonoloop.app.work import close_run
from phonoloop.audio.wav import to_int16, wav_bytes
from phonoloop.core.errors import (
    CancelledError,
    ConfigError,
    ConflictError,
    InputError,
    IntegrityError,
    NotFoundError,
)
from phonoloop.data.model import AuditEntry, Snapshot
from phonoloop.jobs import queue
from phonoloop.jobs.model import Job
from phonoloop.registry.lineage import lineage_of
from phonoloop.registry.model import Decision, EpochMetric, Model, TrainingRun, Verdict
from phonoloop.testing.sounds import utterance
from phonoloop.wakeword import datasets
from phonoloop.wakeword.datasets_add import add_file
from phonoloop.wakeword.datasets_said import About, Label, Wish

pytest.importorskip("torch", reason="the extra `train` is not installed")


@pytest.fixture(scope="module")
def draft(tmp_path_factory):
    """The graphs of a detector, exported once."""
    from phonoloop.testing.wake import export_beep_detector

    folder = tmp_path_factory.mktemp("draft") / "draft"
    export_beep_detector(folder)
    return folder


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Twelve clips as files."""
    folder = tmp_path_factory.mktemp("sounds")
    for seed in range(12):
        (folder / f"{seed}.wav").write_bytes(wav_bytes(to_int16(utterance(seed))))
    return folder


def opened(data):
    return open_app(Settings(data_dir=data, wakeword_min_positives=3, wakeword_min_negatives=2))


@pytest.fixture(scope="module")
def filled(tmp_path_factory, sounds):
    """A data folder with a dataset: four positives of two speakers, two negatives; copied, not changed."""
    data = tmp_path_factory.mktemp("filled") / "data"
    with opened(data) as app:
        fill(app, sounds, "computer", {0: "An", 1: "An", 2: "Binh", 3: "Binh"}, {4: "Chi", 5: ""})
    return data


@pytest.fixture
def app(filled, tmp_path):
    shutil.copytree(filled, tmp_path / "data")
    with opened(tmp_path / "data") as app:
        yield app


@pytest.fixture
def computer(app):
    return "computer"


def fill(app, sounds, name, positives, negatives=()):
    context = app.wake_datasets
    new = datasets.NewDataset(phrase=name, language="en", licence="CC0-1.0")
    datasets.create(context, name, new, actor="an")
    for label, clips in ((Label.POSITIVE, positives), (Label.NEGATIVE, negatives)):
        for seed in clips:
            about = About(label=label, speaker=clips[seed])
            add_file(context, name, sounds / f"{seed}.wav", about, actor="an")


@pytest.fixture
def builder(draft, monkeypatch):
    from contextlib import contextmanager

    @contextmanager
    def nobody(piper=(), *, workers=1):
        yield None, []

    found = Builder(draft)
    monkeypatch.setattr("phonoloop.wakeword.build.build", found)
    monkeypatch.setattr("phonoloop.app.voices.voices_at_hand", nobody)
    return found


def run(app, job, told=None):
    def report(stage, share, metrics, eta_s):
        if told is not None:
            told.append((stage, share, eta_s))

    return run_wakeword(app, job, report, lambda: False)


def train(app, dataset="computer", **wish):
    return run(app, submit_wakeword(app, WakeWish(dataset_id=dataset, recipe="debug", **wish)))


def model(app, name):
    with app.records.transaction() as tx:
        return wakeword_models.find_detector(tx, name)


# ---------------------------------------------------------------- asking for it


def test_below_the_gate_nothing_is_queued_and_what_is_missing_is_counted(app, sounds):
    fill(app, sounds, "jarvis", {0: "An"})
    with pytest.raises(InputError) as refused:
        submit_wakeword(app, WakeWish(dataset_id="jarvis", recipe="debug"))
    assert refused.value.code == "dataset.gate"
    assert "1 of 3 positive clips and 0 of 2 negative" in refused.value.message
    with app.records.transaction() as tx:
        assert tx.find(Job) == []


def test_values_of_the_recipe_can_be_set_and_are_checked_at_once(app, computer):
    overrides = {"optim": {"epochs": 7}, "optim.batch": 8, "seed": 5}
    job = submit_wakeword(app, WakeWish(dataset_id=computer, recipe="debug", overrides=overrides))
    recipe = job.params["recipe"]
    assert (recipe["optim"]["epochs"], recipe["optim"]["batch"], recipe["seed"]) == (7, 8, 5)
    assert recipe["gate"] == {"min_positives": 3, "min_negatives": 2}
    with pytest.raises(ConfigError) as refused:
        submit_wakeword(app, WakeWish(dataset_id=computer, recipe="debug", overrides={"optim.epoch": 7}))
    assert refused.value.code == "config.unknown_key"


def test_what_is_trained_on_is_what_was_there_when_it_was_asked_for(app, computer, sounds, builder):
    job = submit_wakeword(app, WakeWish(dataset_id=computer, recipe="debug"))
    first, second, *_ = datasets.get(app.wake_datasets, computer).active(Label.POSITIVE)
    datasets.change_clip(app.wake_datasets, first.clip_id, Wish(label=Label.NEGATIVE), actor="an")
    datasets.delete_clips(app.wake_datasets, [second.clip_id], actor="an")
    run(app, job)
    assert sorted(builder.heard[0].values()) == ["negative"] * 2 + ["positive"] * 4


def test_copies_are_left_out_and_other_datasets_are_negatives(app, computer, sounds, builder, tmp_path):
    fill(app, sounds, "jarvis", {6: "An", 7: "Dung"})
    louder = tmp_path / "louder.wav"
    louder.write_bytes(wav_bytes(to_int16(1.8 * utterance(0))))
    add_file(app.wake_datasets, computer, louder, About(label=Label.POSITIVE), actor="an")
    result = train(app, negative_datasets=("jarvis",))
    assert sorted(builder.heard[0].values()) == ["negative"] * 4 + ["positive"] * 4
    assert "copies of others" in result["warnings"][0]


# ---------------------------------------------------------------- what comes out


def test_a_detector_is_installed_whole_with_its_lineage(app, computer, builder):
    told = []
    job = submit_wakeword(app, WakeWish(dataset_id=computer, recipe="debug"))
    result = run(app, job, told)
    texts = measured()["misses"]["text"], measured()["false_accepts"]["text"]
    assert result["measured"] == [f"misses {texts[0]}", f"false accepts {texts[1]}"]
    found = model(app, result["run_id"])
    folder = app.data_dir / "models" / "wakeword" / result["run_id"]
    assert {"wake_model.onnx", "wake_stream.onnx", "metadata.json", "report.json", "card.md"} <= {
        path.name for path in folder.iterdir()
    }
    artifacts = json.loads((folder / "artifacts.json").read_text())
    assert artifacts["speakers"] == ["An", "Binh", "Chi"]
    assert len(artifacts["clips"]) == 6
    assert artifacts["dataset"]["dataset_id"] == "computer"
    assert artifacts["files"] == found.files
    with app.records.transaction() as tx:
        assert lineage_of(tx, app.blobs, found.model_id).speakers == {n: n for n in ("An", "Binh", "Chi", "")}
        assert tx.get(Snapshot, found.snapshot_id).clips == 6
        (epoch,) = tx.find(EpochMetric, run_id=result["run_id"])
    assert epoch.values == {"loss": 0.25}
    assert [stage for stage, _, _ in told] == ["prepare", "train", "compare"]
    assert told[1][2] == 30.0
    run_folder = app.run_dir(result["run_id"])
    assert {path.name for path in run_folder.iterdir()} == {"export", "artifacts.json"}


def test_a_good_first_detector_serves_and_the_runtime_finds_it(app, computer, builder):
    from phonoloop.wakeword.artefact import model_folder
    from phonoloop.wakeword.infer import WakeModel

    result = train(app)
    assert result["promoted"] is True
    link = app.data_dir / "models" / "wakeword" / "current"
    assert os.readlink(link) == result["run_id"]
    assert WakeModel.load(model_folder("current", app.data_dir)).model_id == result["model_id"]


@pytest.mark.parametrize("verdict", ["not enough audio", "misses too much", "accepts too much"])
def test_what_was_not_shown_to_be_good_does_not_serve_unless_somebody_insists(
    app, computer, builder, verdict
):
    builder.verdict = verdict
    result = train(app)
    assert result["promoted"] is False
    assert not (app.data_dir / "models" / "wakeword" / "current").exists()
    with pytest.raises(NotFoundError):
        wakeword_models.current_view(app)
    with pytest.raises(ConflictError) as refused:
        wakeword_models.promote(app, result["run_id"], actor="an")
    assert refused.value.code == "wakeword.not_shown"
    wakeword_models.promote(app, result["run_id"], actor="an", force=True)
    assert wakeword_models.current_view(app)["model_id"] == result["model_id"]
    with app.records.transaction() as tx:
        (entry,) = tx.find(AuditEntry, action="model.promoted")
    assert (entry.actor, entry.detail["reason"]) == ("an", "forced")


def test_the_one_before_comes_back_and_a_lost_link_is_made_again(app, computer, builder):
    runs = [train(app)["run_id"] for _ in range(2)]
    wakeword_models.promote(app, runs[1], actor="an")
    link = app.data_dir / "models" / "wakeword" / "current"
    assert os.readlink(link) == runs[1]
    wakeword_models.rollback(app, actor="an")
    assert os.readlink(link) == runs[0]
    link.unlink()
    assert wakeword_models.current_view(app)["run_id"] == runs[0]
    assert os.readlink(link) == runs[0]
    assert [one["serves"] for one in wakeword_models.detectors_view(app)] == [False, True]


def test_a_damaged_detector_is_not_promoted(app, computer, builder):
    result = train(app)
    (app.data_dir / "models" / "wakeword" / result["run_id"] / "wake_model.onnx").write_bytes(b"x")
    with pytest.raises(IntegrityError):
        wakeword_models.promote(app, result["run_id"], actor="an", force=True)


def test_a_detector_of_another_phrase_does_not_take_the_place(app, computer, sounds, builder):
    train(app)
    fill(app, sounds, "jarvis", {6: "An", 7: "Binh", 8: "Chi"}, {9: "An", 10: "Chi"})
    result = train(app, "jarvis")
    assert result["promoted"] is False
    assert "another phrase" in result["reason"]


def test_a_second_detector_has_to_be_better_on_the_same_recordings(app, computer, builder, monkeypatch):
    from phonoloop.app import wakeword_judging

    train(app)
    asked = []

    def compared(app, run, model, champion):
        asked.append((model.model_id, champion.model_id))
        return Decision.BETTER, "fewer misses", {"hours": 1.0}

    monkeypatch.setattr(wakeword_judging, "_compared", compared)
    assert train(app)["promoted"] is True
    monkeypatch.setattr(
        wakeword_judging, "_compared", lambda *_: (Decision.NOT_ENOUGH_EVIDENCE, "chance", {})
    )
    assert train(app)["promoted"] is False
    assert asked == [("computer-2", "computer-1")]
    with app.records.transaction() as tx:
        assert tx.get(Model, "computer-2").status == "champion"
        assert [v.reason for v in tx.find(Verdict, candidate_id="computer-2")] == ["fewer misses"]


def test_two_detectors_hear_the_same_and_the_better_one_serves(app, computer, builder, monkeypatch):
    from phonoloop.app import wakeword_judging
    from phonoloop.testing.wake import with_beeps
    from phonoloop.wakeword.clips import WakeClip

    beeps = [WakeClip.of(with_beeps(2.0, [0.8], seed=i), Label.POSITIVE) for i in range(8)]
    others = [WakeClip.of(with_beeps(4.0, [], seed=50 + i), Label.NEGATIVE) for i in range(3)]
    monkeypatch.setattr(wakeword_judging, "report_clips", lambda app, run: (beeps, others))
    builder.threshold = 0.9999999
    deaf = train(app)
    builder.threshold = 0.5
    hearing = train(app)
    assert (deaf["promoted"], hearing["promoted"]) == (True, True)
    assert "the present one alone 8" in hearing["reason"]
    again = train(app)
    assert (again["promoted"], "may be chance" in again["reason"]) == (False, True)
    builder.threshold = 0.9999999
    assert train(app)["promoted"] is False
    with app.records.transaction() as tx:
        assert [v.decision.value for v in tx.find(Verdict, order_by="created_at")] == [
            "better",
            "better",
            "not_enough_evidence",
            "worse",
        ]


def test_it_can_begin_with_an_earlier_detector(app, computer, builder):
    first = train(app)
    train(app, initial="current")
    assert builder.requests[1].continue_from == app.data_dir / "models" / "wakeword" / first["run_id"]
    with pytest.raises(NotFoundError):
        submit_wakeword(app, WakeWish(dataset_id=computer, recipe="debug", initial="none"))


# ---------------------------------------------------------------- interrupted


def test_an_attempt_that_was_killed_is_gone_on_with(app, computer, builder):
    job = submit_wakeword(app, WakeWish(dataset_id=computer, recipe="debug"))
    builder.crash = CancelledError("stopped")
    with pytest.raises(CancelledError):
        run(app, job)
    builder.crash = None
    result = run(app, job)
    assert builder.requests[0] == builder.requests[1]
    with app.records.transaction() as tx:
        (one,) = tx.find(TrainingRun, job_id=job.job_id)
    assert (one.run_id, one.state) == (result["run_id"], "succeeded")
    assert run(app, job)["model_id"] == result["model_id"]
    assert len(builder.requests) == 2


def test_killed_before_it_was_judged_it_is_judged(app, computer, builder, monkeypatch):
    job = submit_wakeword(app, WakeWish(dataset_id=computer, recipe="debug"))
    with monkeypatch.context() as patch:
        patch.setattr("phonoloop.app.wakeword_judging.judge_detector", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(app, job)
    assert run(app, job)["promoted"] is True
    assert len(builder.requests) == 1


def stopped(*_):
    raise KeyboardInterrupt


def test_a_job_that_ended_leaves_no_clips_behind(app, computer, builder):
    job = submit_wakeword(app, WakeWish(dataset_id=computer, recipe="debug"))
    builder.crash = InputError("bad")
    with pytest.raises(InputError):
        run(app, job)
    (folder,) = (app.data_dir / "runs").iterdir()
    assert (folder / "dataset" / "clips").exists()
    with app.records.transaction() as tx:
        ended = queue.request_cancel(tx, job.job_id)
        close_run(app, tx, ended)
        (one,) = tx.find(TrainingRun, job_id=job.job_id)
    assert one.state == "cancelled"
    assert not (folder / "dataset").exists()


# ---------------------------------------------------------------- forgetting, triggers


def test_forgetting_a_speaker_reaches_clips_models_and_unfinished_trainings(app, computer, builder):
    done = train(app)
    builder.crash = CancelledError("stopped")
    job = submit_wakeword(app, WakeWish(dataset_id=computer, recipe="debug"))
    with pytest.raises(CancelledError):
        run(app, job)
    forgotten = forget(app, "An", actor="an")
    assert (forgotten.wake_clips, forgotten.models) == (2, (done["model_id"],))
    left = {clip.speaker for clip in datasets.get(app.wake_datasets, computer).clips.values()}
    assert left == {"Binh", "Chi", ""}
    assert "speaker/An" in model(app, done["model_id"]).marks
    card = app.blobs.get(f"models/wakeword/{done['run_id']}/card.md").decode()
    assert "**Marked** speaker/An" in card
    assert [path.name for path in (app.data_dir / "runs").iterdir()] == [done["run_id"]]
    with app.records.transaction() as tx:
        assert queue.get(tx, job.job_id).state == "cancelled"
    assert forget(app, "An", actor="an").wake_clips == 0


def test_trainings_of_wake_words_do_not_count_as_trainings_of_a_recogniser(app, computer, builder):
    train(app)
    with app.records.transaction() as tx:
        assert triggers.trained_hours(tx) == 0.0


# ---------------------------------------------------------------- from the shell


def test_the_command_queues_a_training_on_a_dataset(filled, tmp_path, monkeypatch):
    from phonoloop.app.cli.wakeword_train import train as command

    monkeypatch.setenv("WAKEWORD_MIN_POSITIVES", "3")
    monkeypatch.setenv("WAKEWORD_MIN_NEGATIVES", "2")
    shutil.copytree(filled, tmp_path / "data")

    def run_command(*words):
        where = ["--data", str(tmp_path / "data")]
        return CliRunner().invoke(command, [*words, *where], catch_exceptions=False)

    done = run_command("--dataset", "computer", "--recipe", "debug", "--seed", "4", "--detach", "--json")
    job = json.loads(done.stdout)
    assert (job["kind"], job["state"], job["params"]["recipe"]["seed"]) == ("train.wakeword", "queued", 4)
    assert "does not go with --dataset" in run_command("--dataset", "computer", "--phrase", "x").output
    assert "--phrase and --out, or --dataset" in run_command("--phrase", "x").output


def test_the_commands_show_promote_and_roll_back(app, computer, builder):
    from phonoloop.app.cli.wakeword_current import current
    from phonoloop.app.cli.wakeword_current import promote as promote_command

    builder.verdict = "not enough audio"
    runs = [train(app)["run_id"] for _ in range(2)]

    def run_command(command, *words):
        where = ["--data", str(app.data_dir)]
        return CliRunner().invoke(command, [*words, *where], catch_exceptions=False).output

    for name in runs:
        assert "serves now" in run_command(promote_command, name, "--force")
    assert f"current -> {runs[1]}" in run_command(current)
    assert "because" not in run_command(current, "--all")
    assert f"current -> {runs[0]}" in run_command(current, "--rollback")


# ---------------------------------------------------------------- over HTTP


def test_over_http_a_training_is_queued_or_refused_with_what_is_missing(app, computer, sounds):
    testclient = pytest.importorskip("fastapi.testclient", reason="httpx is not installed")
    fill(app, sounds, "jarvis", {6: "An"})
    with testclient.TestClient(create_api(app)) as client:
        wish = {"dataset_id": computer, "recipe": "debug", "config_overrides": {"optim": {"epochs": 3}}}
        job = client.post("/v1/train", json=wish)
        assert (job.status_code, job.json()["kind"]) == (202, "train.wakeword")
        assert client.get(f"/v1/jobs/{job.json()['job_id']}").json()["state"] == "queued"
        assert client.post(f"/v1/jobs/{job.json()['job_id']}/cancel").json()["state"] == "cancelled"

        def refused(**changes):
            answer = client.post("/v1/train", json=wish | changes)
            return answer.status_code, answer.json().get("error", {}).get("code")

        assert refused(dataset_id="jarvis") == (400, "dataset.gate")
        assert refused(dataset_id="none") == (404, "dataset.missing")
        assert refused(config_overrides={"optim": {"epoch": 1}}) == (400, "config.unknown_key")
        assert refused(config_overrides={"model.backbone": "/etc"}) == (400, "train.no_paths")
        assert refused(config_overrides={"teacher": {"model": {"backbone": "x"}}}) == (400, "train.no_paths")
        assert refused(recipe="../secret") == (422, None)


def test_over_http_detectors_are_listed_promoted_and_rolled_back(app, computer, builder):
    testclient = pytest.importorskip("fastapi.testclient", reason="httpx is not installed")
    builder.verdict = "not enough audio"
    first, second = (train(app)["model_id"] for _ in range(2))
    with testclient.TestClient(create_api(app)) as client:
        listed = client.get("/v1/models", params={"kind": "wakeword"}).json()
        assert [one["model_id"] for one in listed] == [second, first]
        assert client.get("/v1/models").json() == []
        assert client.post(f"/v1/models/{first}/promote").status_code == 409
        for name in (first, second):
            assert client.post(f"/v1/models/{name}/promote", params={"force": True}).status_code == 200
        back = client.post("/v1/models/rollback", params={"kind": "wakeword"}).json()
        assert back["model_id"] == first
