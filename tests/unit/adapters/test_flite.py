import numpy as np
import pytest

from phonoloop.adapters.flite import FliteSynthesizer, find_flite
from phonoloop.core.errors import InputError, NotFoundError, ResourceError, UnavailableError


@pytest.fixture(scope="module")
def flite():
    program = find_flite()
    if program is None:
        pytest.skip("the program flite is not installed (scripts/system_packages.sh does it)")
    return FliteSynthesizer(program)


def program(folder, script):
    path = folder / "flite"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_it_speaks_english_only(flite):
    assert {"awb", "rms", "slt"} <= set(flite.voices("en"))
    assert "awb" not in flite.voices("en-us")
    assert flite.voices("en-gb-scotland") == ["awb"]
    assert flite.voices("vi") == flite.voices("e") == []


def test_speech_is_16_khz_float_of_a_plausible_length(flite):
    for voice in flite.voices("en"):
        speech = flite.synthesize("hey computer", voice=voice)
        assert speech.dtype == np.float32
        assert 0.4 < len(speech) / 16_000 < 2.0
        assert 0.02 < np.abs(speech).max() <= 1.0


def test_the_same_words_are_the_same_samples(flite):
    one, other = (flite.synthesize("smart mirror", voice="slt", speed=1.2, pitch=0.9) for _ in range(2))
    assert np.array_equal(one, other)


def test_speed_is_a_factor_and_pitch_changes_something(flite):
    plain, fast = (flite.synthesize("turn on the light", voice="slt", speed=speed) for speed in (1.0, 1.5))
    assert len(plain) / len(fast) == pytest.approx(1.5, abs=0.25)
    high = flite.synthesize("turn on the light", voice="slt", pitch=1.3)
    assert not np.array_equal(high[:8000], plain[:8000])


def test_a_text_is_no_option(flite, tmp_path):
    speech = flite.synthesize(f"-o {tmp_path}/x.wav; touch {tmp_path}/y `ls`", voice="slt")
    assert len(speech) > 8000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "...", "a\0b", "x" * 3000])
def test_a_text_that_cannot_be_said_is_refused(flite, text):
    with pytest.raises(InputError) as caught:
        flite.synthesize(text, voice="slt")
    assert caught.value.code == "flite.text"


def test_a_voice_or_factor_that_is_not_there_is_refused(flite):
    with pytest.raises(NotFoundError):
        flite.synthesize("hello", voice="/etc/passwd")
    for name in ("speed", "pitch"):
        with pytest.raises(InputError) as caught:
            flite.synthesize("hello", voice="slt", **{name: 9.0})
        assert caught.value.code == f"flite.{name}"


def test_a_program_that_fails_hangs_or_is_gone_is_an_error(tmp_path):
    listing = 'if [ "$1" = -lv ]; then echo "Voices available: slt"; exit 0; fi'
    failing = FliteSynthesizer(program(tmp_path, f"{listing}\nexit 3"))
    with pytest.raises(InputError) as caught:
        failing.synthesize("hello", voice="slt")
    assert caught.value.code == "flite.failed"
    hanging = FliteSynthesizer(program(tmp_path, f"{listing}\nexec sleep 60"), timeout_s=0.3)
    with pytest.raises(ResourceError):
        hanging.synthesize("hello", voice="slt")
    silent = FliteSynthesizer(program(tmp_path, f"{listing}\nexit 0"))
    with pytest.raises(InputError) as caught:
        silent.synthesize("hello", voice="slt")
    assert caught.value.code == "flite.text"
    with pytest.raises(UnavailableError):
        FliteSynthesizer(tmp_path / "nothing").voices("en")
