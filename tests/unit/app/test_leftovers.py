"""What a killed process leaves: put right by the first that comes when nobody else is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from phonoloop.app.bootstrap import open_app
from phonoloop.app.leftovers import end_dead_leases, sweep
from phonoloop.app.settings import Settings
from phonoloop.core.errors import UnavailableError
from phonoloop.core.events import Event


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def leave_files(data: Path) -> list[Path]:
    made = [
        data / "work" / "upload-x" / "upload.wav",
        data / "audio" / "raw" / ".tmp-0123",
        data / "processed" / "an" / ".a.txt.part",
        data / "rejected" / ".a.wav.reason.json.part",
    ]
    for path in made:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    return made


def test_unfinished_files_go_and_whole_ones_stay(settings):
    with open_app(settings) as app:
        made = leave_files(app.data_dir)
        whole = app.data_dir / "processed" / "an" / "a.part.txt"
        whole.write_text("whole")
        assert sweep(app) == len(made)
        assert whole.exists()
        assert not [path for path in made if path.exists()]
        assert list((app.data_dir / "work").iterdir()) == []


def test_nothing_goes_while_somebody_else_may_be_writing(settings):
    with open_app(settings) as app, open_app(settings):
        made = leave_files(app.data_dir)
        assert sweep(app) == 0
        assert all(path.exists() for path in made)


def leased_once(app) -> None:
    app.bus.publish([Event("a", "s", {})])
    assert app.bus.receive("c", ["a"], lease_s=3600)


def test_events_that_a_dead_process_had_in_hand_are_due_at_once(settings):
    with open_app(settings) as app:
        leased_once(app)
    with open_app(settings) as app:
        assert app.bus.receive("c", ["a"]) == []
        end_dead_leases(app)
        assert [delivery.attempt for delivery in app.bus.receive("c", ["a"])] == [2]


def test_leases_of_the_living_stay(settings):
    with open_app(settings) as app, open_app(settings) as other:
        leased_once(other)
        end_dead_leases(app)
        assert app.bus.receive("c", ["a"]) == []


def test_records_elsewhere_may_have_other_users(settings, tmp_path):
    with open_app(replace(settings, records_url=f"sqlite:///{tmp_path / 'shared.sqlite'}")) as app:
        leased_once(app)
        end_dead_leases(app)
        assert app.bus.receive("c", ["a"]) == []


def test_a_folder_that_cannot_be_one(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError) as raised, open_app(Settings(data_dir=tmp_path / "file")):
        pass
    assert raised.value.code == "data.unwritable"
    assert raised.value.hint
