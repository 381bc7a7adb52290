"""What a training is given: gates, sides, what is left out, and that clips are named."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from phonoloop.audio.decode import Decoder
from phonoloop.core.errors import InputError
from phonoloop.testing.sounds import noise, silence, write_wav
from phonoloop.testing.wake_material import make_folders, recording
from phonoloop.wakeword.clips import Label, WakeClip
from phonoloop.wakeword.config import GateRecipe, load_recipe
from phonoloop.wakeword.inputs import Sources, count_clips, read_inputs
from phonoloop.wakeword.workshop import claim

RECIPE = load_recipe("debug")


@pytest.fixture(scope="module")
def decoder():
    with Decoder() as one:
        yield one


@pytest.fixture
def folders(tmp_path):
    return make_folders(tmp_path, positives=30, negatives=40)


def read(folders, decoder, recipe=RECIPE):
    return read_inputs(Sources((folders.positives,), (folders.negatives,), (folders.noise,)), recipe, decoder)


def test_the_same_clips_have_the_same_name_and_others_another(folders, decoder):
    first = read(folders, decoder).material_id
    assert read(folders, decoder).material_id == first
    (folders.negatives / "000.wav").unlink()
    assert read(folders, decoder).material_id != first


def test_bad_clips_are_left_out_by_name_and_the_rest_is_used(folders, decoder):
    write_wav(folders.positives / "mute.wav", silence(1.0))
    write_wav(folders.positives / "long.wav", noise(6.0, level_dbfs=-20.0))
    (folders.positives / "broken.wav").write_bytes(b"no audio at all")
    inputs = read(folders, decoder)
    assert len(inputs.material.phrase.all) == 30
    left_out = {one["name"].rsplit("/", 1)[-1] for one in inputs.counts["left_out"]}
    assert left_out == {"mute.wav", "long.wav", "broken.wav"}
    warnings = " ".join(inputs.warnings)
    assert "mute.wav" in warnings
    assert "broken.wav" in warnings


def test_clipped_and_zero_padded_clips_are_used_and_named(folders, decoder):
    loud = np.clip(20 * recording("moka"), -1, 1)
    write_wav(folders.positives / "clipped.wav", loud)
    write_wav(folders.positives / "padded.wav", np.concatenate([silence(6.0), recording("moka", seed=77)]))
    inputs = read(folders, decoder)
    assert len(inputs.material.phrase.all) == 32
    warnings = " ".join(inputs.warnings)
    assert "clipped (clipped.wav)" in warnings
    assert "mostly digital zeros (padded.wav)" in warnings


def test_a_clip_given_as_both_is_the_phrase_and_said(folders, decoder):
    (folders.negatives / "twin.wav").write_bytes((folders.positives / "003.wav").read_bytes())
    inputs = read(folders, decoder)
    assert len(inputs.material.negatives.all) == 40
    assert any("as the phrase and as something else" in told for told in inputs.warnings)


def test_a_label_counts_for_more_than_the_folder(folders, decoder):
    labels = json.loads((folders.positives / "labels.json").read_text())
    labels["000.wav"]["label"] = "negative"
    (folders.positives / "labels.json").write_text(json.dumps(labels))
    inputs = read(folders, decoder)
    assert len(inputs.material.phrase.all) == 29
    assert len(inputs.material.negatives.all) == 41


def test_recordings_without_the_phrase_have_shares_of_their_own(folders, decoder):
    mostly_tuned_on = replace(RECIPE.material, negative_train_pct=10, negative_tune_pct=80)
    material = read(folders, decoder, replace(RECIPE, material=mostly_tuned_on)).material
    assert len(material.negatives.tune) > len(material.negatives.train)
    assert len(material.phrase.train) > len(material.phrase.tune)


def test_one_speaker_only_is_said(folders, decoder, tmp_path):
    alone = make_folders(tmp_path / "alone", positives=30, negatives=40, speakers=1)
    inputs = read(replace(folders, positives=alone.positives), decoder)
    assert inputs.material.phrase.by == "clip"
    assert any("one speaker only" in told for told in inputs.warnings)


def test_below_the_gate_it_is_refused_with_what_is_there_and_what_is_needed(folders, decoder):
    strict = replace(RECIPE, gate=GateRecipe(50, 50))
    with pytest.raises(InputError, match="30 clips of the phrase can be used, and 50 are needed") as caught:
        read(folders, decoder, strict)
    assert caught.value.code == "wakeword.gate"


def test_a_long_recording_counts_by_its_length():
    long = WakeClip.of(noise(31.0), Label.NEGATIVE)
    short = WakeClip.of(noise(0.5), Label.NEGATIVE)
    assert count_clips([long, short]) == 11


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [("Hey TARS!", "hey-tars"), ("cà phê", "ca-phe"), ("Đi thôi", "di-thoi"), ("你好", "wake")],
)
def test_a_model_is_named_after_its_phrase(tmp_path, phrase, expected):
    assert claim(tmp_path, {}, name=phrase)["model_id"].startswith(f"{expected}-2")


def test_a_folder_keeps_the_name_that_its_job_began_with(tmp_path):
    first = claim(tmp_path / "job", {"phrase": "moka"}, name="moka")
    assert claim(tmp_path / "job", {"phrase": "moka"}, name="moka") == first
    assert first["model_id"].startswith("moka-")
