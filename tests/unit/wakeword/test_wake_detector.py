"""The streaming detector: how soon it tells, what it does between events, several models, bad input."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.core.errors import AudioError, ConfigError
from phonoloop.core.speech import WakeDetector
from phonoloop.testing import sounds
from phonoloop.testing.wake import BEEP_S, beep_facts, export_beep_detector, with_beeps
from phonoloop.wakeword.export import conclude
from phonoloop.wakeword.infer import Detector, WakeModel
from phonoloop.wakeword.streams import Scorer, StreamScorer, lay_out_positives, score
from phonoloop.wakeword.trigger import TriggerSettings

STEP = 1_280
RATE = 16_000


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    export_beep_detector(folder / "quick", beep_facts("quick", cooldown_s=0.4))
    conclude(folder / "quick", folder / "slow", facts=beep_facts("slow", cooldown_s=3.0))
    return [WakeModel.load(folder / name) for name in ("quick", "slow")]


@pytest.fixture(scope="module")
def model(models):
    return models[0]


def times(detector: WakeDetector, audio: np.ndarray, piece: int = STEP) -> list[float]:
    starts = range(0, len(audio), piece)
    return [one.at_s for start in starts for one in detector.push(audio[start : start + piece])]


def test_a_detector_is_a_wake_detector(model):
    detector: WakeDetector = Detector(model)
    (found,) = detector.push(with_beeps(3.0, [1.0]))
    assert found.model == "quick"
    assert 0.5 <= found.score <= 1.0


def test_a_model_is_what_the_judge_takes(model):
    scorer: Scorer = model
    assert isinstance(scorer, StreamScorer)
    assert scorer.step_samples == STEP
    assert len(score(scorer, lay_out_positives([])).scores) == 0


@settings(max_examples=20, deadline=None)
@given(start_ms=st.integers(300, 1_500), piece=st.sampled_from([160, 320, 1_280, 777]))
def test_from_the_end_of_the_phrase_to_the_event_in_250_ms(model, start_ms, piece):
    """Counted in samples that had been pushed when the event came out, not in what it says of itself."""
    start_s = start_ms / 1000
    audio, end = with_beeps(3.0, [start_s]), round((start_s + BEEP_S) * RATE)
    detector, pushed, told_at = Detector(model), 0, None
    while told_at is None and pushed < len(audio):
        found = detector.push(audio[pushed : pushed + piece])
        pushed += piece
        told_at = pushed if found else None
    assert told_at is not None
    assert 0 < told_at - end <= 0.25 * RATE


@pytest.mark.parametrize("piece", [160, 1_280, 2_560, 16_000, 333])
def test_events_do_not_depend_on_the_pieces(model, piece):
    audio = with_beeps(9.0, [1.0, 2.5, 6.0])
    expected = times(Detector(model), audio, len(audio))
    assert len(expected) == 3
    assert times(Detector(model), audio, piece) == expected


def test_nothing_is_heard_in_noise_silence_and_other_sounds(model):
    for audio in (
        sounds.noise(20.0, level_dbfs=-30.0),
        sounds.silence(5.0),
        sounds.speech_like(30.0, seed=4).samples,
        sounds.tone(1_000, 2.0),
    ):
        assert times(Detector(model), audio) == []


def test_there_is_one_event_within_the_cool_down(models):
    audio = with_beeps(6.0, [0.5, 1.5, 4.5])
    quick, slow = (times(Detector(one), audio) for one in models)
    assert len(quick) == 3
    assert len(slow) == 2
    assert slow == [quick[0], quick[2]]


def test_several_models_hear_at_once_and_are_named(models):
    found = Detector(models).push(with_beeps(6.0, [0.5, 1.5, 4.5]))
    assert [one.model for one in found] == ["quick", "slow", "quick", "quick", "slow"]
    assert [one.at_s for one in found] == sorted(one.at_s for one in found)


def test_a_trigger_may_be_given_in_the_place_of_the_models(model):
    never = Detector(model, triggers={"quick": TriggerSettings(1.5)})
    assert times(never, with_beeps(3.0, [1.0])) == []


def test_after_a_reset_a_stream_begins_at_zero(model):
    detector, audio = Detector(model), with_beeps(3.0, [1.0])
    first = times(detector, audio, 500)
    detector.reset()
    assert times(detector, audio, 500) == first


def test_two_streams_of_one_model_do_not_hear_each_other(model):
    one, other = model.stream(), model.stream()
    audio, noise = with_beeps(2.0, [0.5]), sounds.noise(2.0, seed=9)
    heard = []
    for start in range(0, len(audio), STEP):
        heard.append(one.push(audio[start : start + STEP]))
        other.push(noise[start : start + STEP])
    np.testing.assert_array_equal(np.concatenate(heard), np.concatenate(by_steps(model, audio)))


def by_steps(model: WakeModel, audio: np.ndarray) -> list[np.ndarray]:
    stream = model.stream()
    return [stream.push(audio[start : start + STEP]) for start in range(0, len(audio), STEP)]


def test_audio_shorter_than_a_step_gives_no_score(model):
    stream = model.stream()
    assert stream.push(np.zeros(0, np.float32)).shape == (0,)
    assert stream.push(np.zeros(STEP - 1, np.float32)).shape == (0,)
    assert stream.push(np.zeros(1, np.float32)).shape == (1,)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(10, np.int16),
        np.zeros((10, 2), np.float32),
        np.array([0.0, np.nan], np.float32),
        np.array([0.0, np.inf], np.float32),
    ],
    ids=["int16", "stereo", "nan", "infinite"],
)
def test_what_are_no_samples_is_refused_and_leaves_the_stream_as_it_was(model, samples):
    stream, audio = model.stream(), with_beeps(2.0, [0.5])
    before = stream.push(audio[:9_000])
    with pytest.raises(AudioError) as caught:
        stream.push(samples)
    assert caught.value.code == "audio.not_samples"
    heard = np.concatenate([before, stream.push(audio[9_000:])])
    np.testing.assert_allclose(heard, model.scores(audio), atol=1e-4)


@pytest.mark.parametrize("wrong", [[], [0, 0]])
def test_detectors_need_models_with_different_names(models, wrong):
    with pytest.raises(ConfigError) as caught:
        Detector([models[i] for i in wrong])
    assert caught.value.code == "wakeword.models"


def test_detecting_imports_no_torch_and_no_onnx(model):
    code = (
        "import sys, numpy as np; from phonoloop.wakeword.infer import Detector, WakeModel;"
        f"d = Detector(WakeModel.load({str(model.folder)!r})); d.push(np.zeros(16000, np.float32));"
        "assert not {'torch', 'onnx'} & set(sys.modules), 'torch or onnx was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
