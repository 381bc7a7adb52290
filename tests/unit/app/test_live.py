"""What is told while it happens: `WS /v1/status`, and logs that are followed."""

import threading

import pytest

from phonoloop.app.bootstrap import open_app
from phonoloop.app.http.server import create_api
from phonoloop.app.live import Feed, end_of
from phonoloop.app.settings import Settings
from phonoloop.core.errors import UnavailableError
from phonoloop.core.events import DATASET_CHANGED, RECORDING_INGESTED, Event
from phonoloop.jobs import queue
from phonoloop.wakeword import datasets

testclient = pytest.importorskip("fastapi.testclient", reason="httpx is not installed")


@pytest.fixture
def app(tmp_path):
    with open_app(Settings(data_dir=tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
def client(app):
    with testclient.TestClient(create_api(app)) as opened:
        yield opened


def make(app, dataset_id):
    new = datasets.NewDataset(phrase=dataset_id)
    datasets.create(app.wake_datasets, dataset_id, new, actor="an")
    app.records.drain_outbox(app.bus)  # as `phonoloop up` does


def submit(app):
    with app.records.transaction() as tx:
        return queue.submit(tx, kind="train.test", slot="trainer")


def test_who_watches_is_told_of_datasets_and_of_the_steps_of_jobs(app, client):
    job = submit(app)
    with client.websocket_connect("/v1/status") as watching:
        hello = watching.receive_json()
        assert (hello["kind"], [one["job_id"] for one in hello["jobs"]]) == ("hello", [job.job_id])
        make(app, "computer")
        told = watching.receive_json()
        assert told["event"]["type"] == DATASET_CHANGED
        assert told["event"]["data"]["actions"] == ["dataset.created"]
        with app.records.transaction() as tx:
            queue.claim(tx, worker="w", slots=["trainer"], lease_s=60)
            queue.heartbeat(tx, job.job_id, 1, lease_s=60, stage="train", progress=0.25, eta_s=30.0)
        step = watching.receive_json()["job"]
        assert (step["state"], step["stage"], step["progress"]) == ("running", "train", 0.25)


def test_who_comes_back_with_the_cursor_misses_nothing_and_hears_nothing_twice(app, client):
    make(app, "one")
    with client.websocket_connect("/v1/status?after=0") as watching:
        watching.receive_json()
        seen = watching.receive_json()
    for name in ("two", "three"):
        make(app, name)
    with client.websocket_connect(f"/v1/status?after={seen['cursor']}") as watching:
        watching.receive_json()
        told = [watching.receive_json() for _ in range(2)]
    assert [one["event"]["subject"] for one in told] == ["two", "three"]
    assert told[0]["cursor"] < told[1]["cursor"]


def test_without_a_cursor_nothing_of_the_past_is_told(app):
    for name in ("one", "two", "three"):
        make(app, name)
    feed = Feed(app)
    feed.hello()
    assert feed.look() == []
    make(app, "four")
    assert [message["event"]["subject"] for message in feed.look()] == ["four"]


def test_the_end_of_the_log_is_found_at_any_length(app):
    for number in range(9):
        assert end_of(app.bus) == len(app.bus.tail())
        app.bus.publish([Event(RECORDING_INGESTED, str(number), {})])


def test_a_look_that_fails_passes_nothing_over(app, monkeypatch):
    feed = Feed(app, 0)
    feed.hello()
    make(app, "one")
    job = submit(app)

    def busy(*_, **__):
        raise UnavailableError("busy", code="records.conflict")

    with monkeypatch.context() as patch:
        patch.setattr(type(app.records), "transaction", busy)
        with pytest.raises(UnavailableError):
            feed.look()
    event, step = feed.look()
    assert event["event"]["subject"] == "one"
    assert step["job"]["job_id"] == job.job_id


def test_events_that_nobody_watches_move_the_cursor_on(app):
    feed = Feed(app, 0)
    feed.hello()
    app.bus.publish([Event(RECORDING_INGESTED, str(number), {}) for number in range(3)])
    assert feed.look() == []
    assert feed.cursor == 3


def test_a_page_of_another_site_is_turned_away(client):
    from starlette.websockets import WebSocketDisconnect

    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/v1/status", headers={"origin": "https://elsewhere.example"}),
    ):
        pass
    with client.websocket_connect("/v1/status", headers={"origin": "http://testserver"}) as watching:
        assert watching.receive_json()["kind"] == "hello"


def test_a_log_is_followed_until_the_job_has_ended(app, client):
    job = submit(app)
    path = app.job_log(job.job_id)
    path.parent.mkdir(parents=True)
    path.write_text("one\ntwo\nthree\n")

    def go_on():
        with path.open("a") as file:
            file.write("four\n")
        with app.records.transaction() as tx:
            queue.request_cancel(tx, job.job_id)

    assert client.get(f"/v1/jobs/{job.job_id}/logs", params={"tail": 2}).text == "two\nthree"
    later = threading.Timer(0.7, go_on)
    later.start()
    answer = client.get(f"/v1/jobs/{job.job_id}/logs", params={"tail": 2, "follow": 1})
    later.join()
    assert answer.text == "two\nthree\nfour\n"
    assert client.get("/v1/jobs/none/logs", params={"follow": 1}).status_code == 404
