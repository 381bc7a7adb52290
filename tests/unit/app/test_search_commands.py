"""`phonoloop search` and `GET /v1/search` on a data folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from phonoloop.app.bootstrap import open_app
from phonoloop.app.cli.search import search
from phonoloop.app.http.server import create_api
from phonoloop.app.loop import pump
from phonoloop.app.searching import query_of
from phonoloop.app.settings import Settings
from phonoloop.core.errors import ConfigError, InputError, UnavailableError
from phonoloop.data.model import Provenance, Split, Transcript
from phonoloop.data.revisions import postprocessed
from phonoloop.testing.entities import a_clip, a_recording, a_speaker

SAID = {"a": "Luật đất đai năm nay", "b": "Hôm nay trời đẹp", "c": "Bà ấy mua rau ở chợ"}


def fill(app) -> None:
    """Transcripts as the stages before leave them: recorded, and told of."""
    with app.records.transaction() as tx:
        tx.put(a_speaker("lan", name="Lan Anh"), a_speaker("mai", Split.TEST, name="Mai"))
        for name, text in SAID.items():
            who = ("mai", Split.TEST) if name == "c" else ("lan", Split.TRAIN)
            tx.put(a_recording(name, *who), a_clip(name, 16_000, speaker_id=who[0], split=who[1]))
            made = Transcript(
                audio_id=name, revision=1, text=text, text_clean=text, provenance=Provenance.HUMAN
            )
            tx.put(made)
            tx.emit(postprocessed(made))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with open_app(Settings(data_dir=tmp_path)) as app:
        fill(app)
        pump(app)
        assert app.bus.dead() == []
    return tmp_path


def run(data: Path, *words: str):
    return CliRunner().invoke(search, [*words, "--data", str(data)], catch_exceptions=False)


def test_the_loop_indexes_what_comes_and_tells_it(data: Path):
    with open_app(Settings(data_dir=data)) as app:
        told = [entry.event for entry in app.bus.tail() if entry.event.type == "embeddings.indexed"]
    assert sorted(event.subject for event in told) == ["a", "b", "c"]


def test_the_command_prints_span_speaker_and_text_with_what_matched(data: Path):
    lines = run(data, "luat", "dat").output.splitlines()
    assert "0:00:01.0-0:00:02.0  Lan Anh  (train, human, 25 dB)  a.flac" in lines[0]
    assert "[Luật] [đất] đai năm nay" in lines[1]


def test_the_command_as_json_with_filters(data: Path):
    asked = ["năm nay chợ", "--json", "--min-score", "-1"]
    found = json.loads(run(data, *asked).output)
    assert {hit["audio_id"] for hit in found["hits"]} == {"a", "b", "c"}
    only = json.loads(run(data, *asked, "--split", "test", "--speaker", "mai", "--from", "2026-01-01").output)
    assert [hit["audio_id"] for hit in only["hits"]] == ["c"]
    assert json.loads(run(data, *asked, "--to", "2026-01-01").output)["count"] == 0


def test_nothing_found_is_said(data: Path):
    assert run(data, "kỹ thuật số").output == "Nothing found.\n"
    assert run(data).exit_code == 2


def test_rebuilding_and_retraining_say_what_they_did(data: Path):
    assert json.loads(run(data, "--rebuild", "--retrain", "--json").output) == {"indexed": 3, "trained_on": 3}
    assert "3 texts indexed" in run(data, "--rebuild").stderr
    assert "a.flac" in run(data, "luật đất").output


def test_http_gives_the_same_hits_and_says_what_is_wrong(data: Path):
    testclient = pytest.importorskip("fastapi.testclient", reason="httpx is not installed")
    with open_app(Settings(data_dir=data)) as app, testclient.TestClient(create_api(app)) as client:
        found = client.get("/v1/search", params={"q": "luat dat dai", "top_k": 5, "min_score": 0.3}).json()
        assert (
            found["hits"]
            == json.loads(run(data, "luat dat dai", "--min-score", "0.3", "--json").output)["hits"]
        )
        hit = found["hits"][0]
        assert (hit["audio_id"], hit["start_ms"], hit["end_ms"]) == ("a", 1000, 2000)
        for wrong, code in (
            ({"q": ""}, "search.empty"),
            ({"q": "🙂"}, "search.empty"),
            ({"q": "a", "split": "all"}, "search.filter"),
            ({"q": "a", "provenance": "me"}, "search.filter"),
            ({"q": "a", "date_from": "yesterday"}, "search.filter"),
            ({"q": "a", "top_k": 0}, "search.query"),
            ({"q": "a", "min_score": 2}, "search.query"),
        ):
            answer = client.get("/v1/search", params=wrong)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
        assert client.get("/v1/search").status_code == 422
        assert client.get("/v1/search", params={"q": "đất " * 2_500}).status_code == 200


def test_several_processes_search_while_another_one_writes(data: Path):
    with open_app(Settings(data_dir=data)) as one, open_app(Settings(data_dir=data)) as other:
        assert one.search.search(query_of("trời đẹp"))
        with other.records.transaction() as tx:
            tx.put(a_recording("d"), a_clip("d"))
            tx.put(Transcript(audio_id="d", revision=1, text="sầu riêng", provenance=Provenance.HUMAN))
        other.search.index("d")
        assert one.search.search(query_of("sau rieng"))[0].found.text.audio_id == "d"


class TestQdrantEdge:
    @pytest.fixture
    def settings(self, data: Path) -> Settings:
        pytest.importorskip("qdrant_edge", reason="qdrant-edge-py is not installed")
        return Settings(data_dir=data, vector_index="qdrant-edge")

    def names(self, app) -> list[str]:
        return [hit.found.text.audio_id for hit in app.search.search(query_of("luat dat dai"))]

    def test_it_follows_the_records_from_where_it_was(self, settings: Settings):
        with open_app(settings) as app:
            assert self.names(app) == ["a"]
        mark = int((settings.data_dir / "index/texts/followed-to").read_text())
        assert mark > 0
        with open_app(settings) as app:
            assert self.names(app) == ["a"]

    def test_a_second_opener_is_told_so_and_gets_no_other_index(self, settings: Settings):
        with open_app(settings) as one, open_app(settings) as other:
            assert self.names(one) == ["a"]
            with pytest.raises(UnavailableError) as refusal:
                self.names(other)
        assert refusal.value.code == "vector.unavailable"


@pytest.mark.parametrize("settings", [{"vector_index": "cloud"}, {"embedder": "/no/such/folder"}])
def test_a_setting_that_names_nothing_is_refused(data: Path, settings: dict):
    if "embedder" in settings:
        pytest.importorskip("transformers", reason="transformers is not installed")
        (data / "empty").mkdir()
        settings = {"embedder": str(data / "empty")}
    with open_app(Settings(data_dir=data, **settings)) as app, pytest.raises(ConfigError):
        app.search.search(query_of("xin chào"))


def test_a_day_ends_at_its_end():
    query = query_of("x", date_from="2026-11-20", date_to="2026-11-20")
    assert (query.filters.date_to - query.filters.date_from).days == 1
    moment = query_of("x", date_from="2026-11-20T08:00:00+07:00").filters.date_from
    assert (moment.hour, moment.utcoffset().total_seconds()) == (1, 0)
    for wrong in ("20", "2026-13-01", "9999-12-31", "tomorrow" * 100):
        with pytest.raises(InputError):
            query_of("x", date_to=wrong)
