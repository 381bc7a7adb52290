"""Where language models of a data folder are kept, and which one is current."""

from __future__ import annotations

import json

import pytest

from phonoloop.adapters.blobs_local import LocalBlobStore
from phonoloop.app import lm_training
from phonoloop.app.bootstrap import open_app
from phonoloop.app.decoding import DecodingWish, decoding, with_current
from phonoloop.app.language_models import LanguageModels, language_model
from phonoloop.app.lm_training import LmWish, train_lm
from phonoloop.app.loop import Ears
from phonoloop.app.settings import load_settings
from phonoloop.asr.beam import DEFAULT
from phonoloop.core.errors import ConfigError, IntegrityError, NotFoundError
from phonoloop.data.manifest import ManifestRow
from phonoloop.text.ngram import NgramModel

MODEL = NgramModel.train(["bật đèn", "tắt đèn"], 2)


@pytest.fixture
def models(tmp_path):
    return LanguageModels(LocalBlobStore(tmp_path / "data"))


@pytest.fixture
def kept(models):
    models.keep("one", MODEL, {"about": 1})
    models.make_current("one")
    return models


def test_before_the_first_there_is_none(models):
    assert models.current_id() == ""
    with pytest.raises(NotFoundError) as caught:
        models.named("current")
    assert caught.value.code == "lm.no_current"


@pytest.mark.parametrize("name", ["current", "one"])
def test_it_is_found_by_name(kept, name):
    found = kept.named(name)
    assert (found.lm_id, found.metadata["about"]) == ("one", 1)
    assert found.model.score("bật đèn") == MODEL.score("bật đèn")
    assert kept.named(name) is found, "it stays loaded"


@pytest.mark.parametrize("name", ["two", "../one", "", "a b", "one/../one"])
def test_what_is_not_there(kept, name):
    with pytest.raises(NotFoundError):
        kept.named(name)


def test_one_of_which_a_byte_changed_is_refused(kept, tmp_path):
    path = tmp_path / "data/models/lm/one/model.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError) as caught:
        kept.named("one")
    assert caught.value.code == "lm.damaged"


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_a_pointer_that_is_damaged_is_named(kept, tmp_path, content):
    (tmp_path / "data/models/lm/current.json").write_text(content)
    with pytest.raises(IntegrityError) as caught:
        kept.current_id()
    assert caught.value.subject == "models/lm/current.json"


def test_what_was_tuned_is_used_for_that_recogniser_and_seen_at_once(kept):
    assert kept.named("one").config_for("asr-1") == DEFAULT
    calibration = {"slope": 0.8, "intercept": 0.1, "words": 300, "measured_on": "x"}
    kept.keep_tuning("one", "asr-1", {"alpha": 0.9, "beta": 2.0, "calibration": calibration})
    found = kept.named("one")
    assert (found.config_for("asr-1").alpha, found.config_for("asr-1").beta) == (0.9, 2.0)
    assert found.calibration_for("asr-1").slope == 0.8
    assert found.config_for("asr-2") == DEFAULT
    assert found.calibration_for("asr-2") is None


def test_an_arpa_file_or_a_folder_with_one_is_taken(kept, tmp_path):
    for name in (tmp_path / "data/models/lm/one", tmp_path / "data/models/lm/one/model.arpa"):
        assert language_model(kept, str(name)).model.score("bật đèn") == pytest.approx(
            MODEL.score("bật đèn"), abs=1e-4
        )
    with pytest.raises(NotFoundError):
        language_model(kept, str(tmp_path / "none.arpa"))


class Deaf:
    model_version = "teacher"

    def transcribe(self, samples):
        raise NotImplementedError


class TestTraining:
    @pytest.fixture
    def app(self, tmp_path):
        with open_app(load_settings({"data_dir": tmp_path / "data"}, {})) as app:
            yield app

    def test_texts_alone_are_enough_and_each_training_is_kept(self, app, tmp_path):
        (tmp_path / "t.txt").write_text("Bật đèn phòng khách.\nTắt quạt.\n" * 3, "utf-8")
        first = train_lm(app, LmWish((tmp_path / "t.txt",), order=3))
        assert (first.current, first.tuned, first.metadata["order"]) == (True, None, 3)
        second = train_lm(app, LmWish((tmp_path / "t.txt",), order=2))
        assert second.lm_id != first.lm_id
        assert app.language_models.named(first.lm_id).model.order == 3
        stored = json.loads((tmp_path / f"data/models/lm/{first.lm_id}/metadata.json").read_text("utf-8"))
        assert stored["sources"][0]["sentences"] == 6
        assert stored["normaliser_version"]

    def test_one_that_foresees_less_does_not_become_current(self, app, tmp_path, monkeypatch):
        (tmp_path / "good.txt").write_text("Bật đèn phòng khách.\n" * 3, "utf-8")
        (tmp_path / "bad.txt").write_text("Điều này khác hẳn.\n" * 3, "utf-8")
        row = ManifestRow("a.wav", "bật đèn phòng khách", 1.0)
        monkeypatch.setattr(lm_training, "_rows", lambda app, split: [row] if split == "val" else [])
        monkeypatch.setattr(lm_training, "without_held_out", lambda texts, held_out: (texts, 0))
        first = train_lm(app, LmWish((tmp_path / "good.txt",)))
        second = train_lm(app, LmWish((tmp_path / "bad.txt",)))
        assert (second.current, app.language_models.current_id()) == (False, first.lm_id)
        assert "perplexity" in second.reason
        assert train_lm(app, LmWish((tmp_path / "good.txt",))).current, "as good is good enough"

    def test_one_that_is_damaged_is_replaced(self, app, tmp_path):
        (tmp_path / "t.txt").write_text("Bật đèn.\n" * 3, "utf-8")
        first = train_lm(app, LmWish((tmp_path / "t.txt",)))
        (tmp_path / f"data/models/lm/{first.lm_id}/model.npz").write_bytes(b"")
        second = train_lm(app, LmWish((tmp_path / "t.txt",)))
        assert second.current
        assert "lm.damaged" in second.reason

    def test_only_models_that_give_probabilities_can_be_searched(self, app):
        assert decoding(app, Deaf(), DecodingWish()).model_version == "teacher"
        with pytest.raises(ConfigError) as caught:
            decoding(app, Deaf(), DecodingWish(beam=8))
        assert caught.value.code == "beam.not_possible"
        assert with_current(app, Deaf()) is None


@pytest.mark.parametrize("name", ["ASR_DECODING", "ASR_SECOND_OPINION"])
def test_a_setting_that_names_no_way_of_hearing_is_refused(tmp_path, name):
    with open_app(load_settings({"data_dir": tmp_path / "data"}, {name: "louder"})) as app:
        with pytest.raises(ConfigError) as caught:
            Ears(app)
        assert caught.value.subject == name
