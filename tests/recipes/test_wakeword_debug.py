"""The debug recipe goes the whole way: from folders to an exported, judged detector."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from phonoloop.audio.decode import Decoder
from phonoloop.core.errors import CancelledError, ConfigError, ConflictError, InputError
from phonoloop.testing.sounds import noise, silence, tone, write_wav
from phonoloop.testing.wake_material import PHRASE, Folders, ToneSynthesizer, make_folders
from phonoloop.training.metrics import read_metrics
from phonoloop.wakeword.build import BuildRequest, build
from phonoloop.wakeword.config import load_recipe
from phonoloop.wakeword.infer import WakeModel
from phonoloop.wakeword.inputs import Sources

SMALL = replace(
    load_recipe("debug"),
    synthesis=replace(load_recipe("debug").synthesis, positives=40, negatives=40),
    optim=replace(load_recipe("debug").optim, steps=4),
    judge=replace(load_recipe("debug").judge, at_snr_db=()),
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Folders:
    return make_folders(tmp_path_factory.mktemp("toys"))


@pytest.fixture(scope="module")
def decoder():
    with Decoder() as one:
        yield one


def request(folders: Folders, out: Path, **changes) -> BuildRequest:
    sources = Sources((folders.positives,), (folders.negatives,), (folders.noise,))
    return replace(BuildRequest(PHRASE, "en", out, SMALL, sources), **changes)


def run(wanted: BuildRequest, decoder: Decoder, **more):
    tones = ToneSynthesizer()
    return build(wanted, synthesizers=[tones], phonemiser=tones, decoder=decoder, **more)


@pytest.fixture(scope="module")
def made(folders, decoder, tmp_path_factory):
    told = []
    out = tmp_path_factory.mktemp("jobs") / "job"
    return run(request(folders, out), decoder, on_progress=told.append), told, out


def test_every_stage_is_told_in_order_and_progress_never_goes_back(made):
    _, told, _ = made
    stages = list(dict.fromkeys(progress.stage for progress in told))
    assert stages == ["check", "synthesise", "features", "train", "cross", "export", "judge"]
    shares = [progress.fraction for progress in told]
    assert shares == sorted(shares)


def test_the_export_loads_and_says_what_it_is(made):
    result, _, out = made
    model = WakeModel.load(result.export_dir)
    assert (model.phrase, model.model_id) == (PHRASE, result.model_id)
    assert model.metadata["network"]["kind"] == "bcresnet"
    assert result.export_dir == out / "export"


def test_the_report_has_figures_with_what_they_were_counted_on(made):
    result, _, out = made
    report = json.loads((out / "report.json").read_text())
    assert report == result.report
    misses, accepts = report["evaluation"]["misses"], report["evaluation"]["false_accepts"]
    assert misses["clips"] >= 4
    assert accepts["hours"] > 0
    assert report["verdict"] in ("good", "misses too much", "accepts too much", "not enough audio")


def test_nobody_who_was_trained_on_is_in_the_report(made, folders):
    result, _, _ = made
    counts = result.report["provenance"]["counts"]["positives"]
    assert counts["split_by"] == "speaker"
    assert min(counts["train"], counts["tune"], counts["report"]) >= 4
    assert counts["train"] + counts["tune"] + counts["report"] == 40


def test_the_job_folder_has_its_log_and_epochs_and_no_leftovers(made):
    _, _, out = made
    assert [line["epoch"] for line in read_metrics(out)] == [1, 2]
    assert "stage judge" in (out / "log.txt").read_text()
    assert not (out / "features").exists()
    assert not (out / "draft").exists()
    assert {
        "config.json",
        "log.txt",
        "metrics.jsonl",
        "checkpoints",
        "synthetic",
        "export",
        "report.json",
    } <= {path.name for path in out.iterdir()}


def test_asked_again_it_gives_the_same_at_once(made, folders, decoder):
    result, _, out = made
    assert run(request(folders, out), decoder) == result


def test_another_job_is_not_written_over_it(made, folders, decoder):
    _, _, out = made
    with pytest.raises(ConflictError) as caught:
        run(request(folders, out, phrase="lira"), decoder)
    assert caught.value.code == "training.other_recipe"


def test_it_goes_on_from_an_earlier_detector_and_says_where_no_person_was_heard(
    made, folders, decoder, tmp_path
):
    result, _, _ = made
    wanted = request(folders, tmp_path / "more", continue_from=result.export_dir)
    more = run(replace(wanted, sources=replace(wanted.sources, positives=())), decoder)
    assert more.report["provenance"]["continued_from"] == str(result.export_dir)
    assert WakeModel.load(more.export_dir).phrase == PHRASE
    warnings = " ".join(more.report["warnings"])
    assert "synthesised speech alone" in warnings
    assert "no person says the phrase" in warnings


def test_another_network_cannot_be_gone_on_from(made, folders, decoder, tmp_path):
    result, _, _ = made
    wider = replace(SMALL, model=replace(SMALL.model, width=2.0))
    with pytest.raises(ConfigError) as caught:
        run(request(folders, tmp_path / "job", recipe=wider, continue_from=result.export_dir), decoder)
    assert caught.value.code == "training.initial_model"


def test_stopped_it_says_so_and_leaves_no_export(folders, decoder, tmp_path):
    calls = iter(range(10_000))
    with pytest.raises(CancelledError):
        run(request(folders, tmp_path / "job"), decoder, should_stop=lambda: next(calls) > 60)
    assert not (tmp_path / "job" / "report.json").exists()
    assert not (tmp_path / "job" / "export").exists()


class TestBadInput:
    """What is refused or warned about, always with names."""

    def refused(self, folders, decoder, tmp_path, **sources) -> InputError:
        wanted = request(folders, tmp_path / "job")
        with pytest.raises(InputError) as caught:
            run(replace(wanted, sources=replace(wanted.sources, **sources)), decoder)
        assert not (tmp_path / "job" / "export").exists()
        return caught.value

    def test_without_negatives(self, folders, decoder, tmp_path):
        assert self.refused(folders, decoder, tmp_path, negatives=(), noise=()).code == "wakeword.gate"

    def test_with_too_few_clips(self, folders, decoder, tmp_path):
        (tmp_path / "few").mkdir()
        for name in ("000.wav", "001.wav"):
            shutil.copy(folders.positives / name, tmp_path / "few" / name)
        error = self.refused(folders, decoder, tmp_path, positives=(tmp_path / "few",))
        assert error.code == "wakeword.gate"
        assert "2 clips of the phrase" in error.message

    @pytest.mark.parametrize(
        ("kind", "samples"),
        [
            ("silent", silence(1.0)),
            ("silent", noise(1.0, level_dbfs=-80.0)),
            ("too short", tone(500, 0.05)),
            ("too long", tone(500, 6.0)),
        ],
    )
    def test_clips_that_cannot_be_the_phrase(self, folders, decoder, tmp_path, kind, samples):
        (tmp_path / "bad").mkdir()
        for number in range(6):
            write_wav(tmp_path / "bad" / f"bad{number}.wav", samples + 1e-5 * number)
        error = self.refused(folders, decoder, tmp_path, positives=(tmp_path / "bad",))
        assert error.code == "wakeword.gate"
        assert f"bad0.wav: {kind}" in error.message

    @pytest.mark.parametrize("phrase", ["", "?!", "x" * 200])
    def test_a_phrase_that_cannot_be_said(self, folders, decoder, tmp_path, phrase):
        with pytest.raises(InputError) as caught:
            run(request(folders, tmp_path / "job", phrase=phrase), decoder)
        assert caught.value.code == "wakeword.phrase"

    def test_a_language_that_nobody_speaks(self, folders, decoder, tmp_path):
        with pytest.raises(InputError) as caught:
            run(request(folders, tmp_path / "job", language="tlh"), decoder)
        assert caught.value.code == "wakeword.language"
