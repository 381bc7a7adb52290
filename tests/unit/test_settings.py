"""Settings come from a file, the environment and flags; later sources win; nothing unknown passes."""

from pathlib import Path

import pytest

from phonoloop.app.settings import Settings, describe, load_settings
from phonoloop.core.errors import ConfigError


@pytest.fixture(autouse=True)
def data_dir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults_hold_without_any_source():
    assert load_settings(environ={}) == Settings()


def test_the_names_of_the_contract_are_read_from_the_environment():
    environ = {
        "INGEST_SCAN_INTERVAL_SEC": "5",
        "TRAIN_HOURS_THRESHOLD": "0.5",
        "TRAIN_DAILY_CRON": "30 3 * * *",
    }
    settings = load_settings(environ=environ)
    assert (settings.scan_interval_s, settings.train_hours_threshold, settings.train_daily_cron) == (
        5.0,
        0.5,
        "30 3 * * *",
    )


def test_flags_win_over_environment_over_file(tmp_path):
    (tmp_path / "phonoloop.toml").write_text('port = 1\nhost = "file"\nlanguage = "en"\n')
    settings = load_settings(
        {"data_dir": tmp_path, "port": 3, "host": None}, {"PHONOLOOP_PORT": "2", "PHONOLOOP_HOST": "env"}
    )
    assert (settings.port, settings.host, settings.language) == (3, "env", "en")


def test_an_unknown_key_names_the_nearest_known_one(tmp_path):
    (tmp_path / "phonoloop.toml").write_text("train_hours_treshold = 1\n")
    with pytest.raises(ConfigError) as caught:
        load_settings({"data_dir": tmp_path}, {})
    assert caught.value.code == "config.unknown_key"
    assert "train_hours_threshold" in str(caught.value)


@pytest.mark.parametrize("text", ["port = ", "\xff"])
def test_a_broken_file_is_named(tmp_path, text):
    (tmp_path / "phonoloop.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        load_settings({"data_dir": tmp_path}, {})
    assert caught.value.code == "config.unreadable"
    assert "phonoloop.toml" in str(caught.value)


def test_a_value_of_the_wrong_type_says_which_and_what_it_is_for():
    with pytest.raises(ConfigError) as caught:
        load_settings(environ={"PHONOLOOP_PORT": "eighty"})
    assert caught.value.code == "config.bad_value"
    assert "PHONOLOOP_PORT" in str(caught.value)


def test_every_setting_is_described_and_has_its_own_variable():
    rows = describe()
    assert len({env for _, env, _, _ in rows}) == len(rows)
    assert all(doc for *_, doc in rows)
    assert Path({name: default for name, _, default, _ in rows}["data_dir"]) == Path("data")
