"""The log-mel module is the front end of `audio.features`, inside the graph."""

import dataclasses

import numpy as np
import pytest
import torch

from phonoloop.audio.features import FrontEnd
from phonoloop.testing import sounds
from phonoloop.wakeword.frontend import LogMel
from phonoloop.wakeword.model_config import ModelRecipe

SETTINGS = {
    "default": FrontEnd(n_mels=40),
    "30 ms": FrontEnd(n_mels=40, frame_ms=30),
    "80 bands": FrontEnd(n_mels=80),
    "narrow": FrontEnd(n_mels=32, low_hz=60, high_hz=3800),
    "below Nyquist": FrontEnd(n_mels=40, high_hz=-400),
}


@pytest.fixture(scope="module")
def audio():
    """Speech-like, with an offset, a stretch of digital silence and a very quiet one."""
    samples = sounds.speech_like(2.0, seed=1).samples[:30_720] + np.float32(0.02)
    samples[8000:12000] = 0
    samples[16000:20000] *= 1e-3
    return samples


@pytest.mark.parametrize("name", SETTINGS)
def test_it_gives_what_kaldi_gives(name, audio):
    settings = SETTINGS[name]
    before = np.zeros(settings.frame_samples - settings.hop_samples, np.float32)
    expected = settings.compute(np.concatenate([before, audio]))
    ours = LogMel(settings)(torch.from_numpy(audio)[None])[0].numpy()
    assert ours.shape == expected.shape == (audio.size // 160, settings.n_mels)
    np.testing.assert_allclose(ours, expected, atol=1e-3)


def test_digital_silence_is_a_quiet_room():
    front = LogMel(ModelRecipe().front_end)
    quiet = front(torch.zeros(1, 1280))
    torch.testing.assert_close(quiet, torch.full_like(quiet, front.silence))
    rounding = (np.random.default_rng(0).random(12_800, np.float32) - 0.5) / 32768
    near = front(torch.from_numpy(rounding)[None])
    assert (near - front.silence).max() < 1.0


def test_a_stream_gives_what_a_file_gives(audio):
    front, x = LogMel(FrontEnd(n_mels=40)), torch.from_numpy(audio)[None]
    state, parts = front.initial_state(1), []
    for piece in x.split(1280, dim=1):
        y, state = front.step(piece, state)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts, 1), front(x), atol=1e-5, rtol=0)


def test_features_of_many_recordings_are_computed_a_few_at_a_time():
    front, x = LogMel(FrontEnd(n_mels=40)), 0.1 * torch.randn(19, 2560)
    at_once = front(x)
    with torch.no_grad():
        torch.testing.assert_close(front(x), at_once)


def test_mixed_precision_does_not_reach_the_energies():
    front, x = LogMel(FrontEnd(n_mels=40)), 0.1 * torch.randn(1, 2560)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = front(x)
    torch.testing.assert_close(mixed, front(x))


def test_other_settings_are_another_front_end():
    settings = [*SETTINGS.values(), FrontEnd(n_mels=40, mean=13.0)]
    hashes = [LogMel(one).hash for one in settings] + [LogMel(settings[0], hann=True).hash]
    assert len(set(hashes)) == len(hashes)
    assert LogMel(settings[0]).hash == LogMel(dataclasses.replace(settings[0])).hash
