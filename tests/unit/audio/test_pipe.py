"""Audio from a pipe: any rate, raw or WAV, in whatever pieces the pipe gives."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.audio.pipe import PipeFormat, heard
from phonoloop.audio.wav import to_int16, wav_bytes
from phonoloop.core.errors import AudioError
from phonoloop.testing import sounds

TONE = sounds.tone(440, 0.5)


class Pipe:
    """Gives at most so many bytes at a time, as pipes do."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._file, self._sizes = io.BytesIO(data), sizes * 10_000

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, self._sizes.pop()))

    read1 = read


def all_of(data: bytes, given: PipeFormat | None = None, sizes: list[int] | None = None) -> np.ndarray:
    blocks = list(heard(Pipe(data, sizes or [1 << 14]), given or PipeFormat()))
    assert all(block.dtype == np.float32 for block in blocks)
    return np.concatenate(blocks)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=5))
def test_raw_samples_come_through_in_any_pieces(sizes):
    pcm = to_int16(TONE[:900])
    np.testing.assert_allclose(all_of(pcm.tobytes(), sizes=sizes), pcm / 32768, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("s16le", to_int16(TONE).astype("<i2")),
        ("s32le", (TONE.astype(np.float64) * 2**31).astype("<i4")),
        ("f32le", TONE.astype("<f4")),
    ],
)
def test_every_format(name, data):
    np.testing.assert_allclose(all_of(data.tobytes(), PipeFormat(16_000, name)), TONE, atol=1e-4)


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
def test_other_rates_become_16_khz(rate_hz):
    there = all_of(to_int16(sounds.tone(440, 1.0, rate_hz=rate_hz)).tobytes(), PipeFormat(rate_hz))
    assert len(there) == 16_000
    inside = slice(2_000, -2_000)
    np.testing.assert_allclose(there[inside], sounds.tone(440, 1.0)[inside], atol=2e-3)


@pytest.mark.parametrize(
    ("subtype", "channels", "rate_hz"),
    [("PCM_16", 1, 16_000), ("PCM_16", 2, 16_000), ("PCM_32", 1, 16_000), ("FLOAT", 1, 16_000)],
)
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
def test_a_wav_file_is_read_as_one(subtype, channels, rate_hz, container):
    file = io.BytesIO()
    soundfile.write(file, np.tile(TONE[:, None], channels), rate_hz, subtype=subtype, format=container)
    there = all_of(file.getvalue(), PipeFormat(8_000, "f32le"), sizes=[11, 500])
    np.testing.assert_allclose(there[: len(TONE)], TONE, atol=1e-4)


def test_a_wav_file_that_does_not_know_its_length_is_heard_to_its_end():
    data = bytearray(wav_bytes(to_int16(TONE)))
    data[40:44] = struct.pack("<I", 0xFFFFFFFF)
    assert len(all_of(bytes(data))) == len(TONE)


def test_a_cut_frame_at_the_end_is_left_out():
    pcm = to_int16(TONE).tobytes()
    assert len(all_of(pcm[:-1])) == len(TONE) - 1


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0"])
def test_next_to_nothing(data):
    assert len(all_of(data)) <= 1


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"RIFF\0\0\0\0WAVE", "audio.corrupt"),
        (b"RIFF\0\0\0\0WAVEfmt \4\0\0\0\1\0\1\0data\0\0\0\0", "audio.corrupt"),
        (
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 7, 1, 8_000, 8_000, 1, 8) + b"data",
            "audio.not_pcm",
        ),
    ],
    ids=["no samples", "cut head", "mu-law"],
)
def test_a_wav_file_that_cannot_be_used_is_refused(data, code):
    with pytest.raises(AudioError) as caught:
        all_of(data)
    assert caught.value.code == code
    assert caught.value.hint


@pytest.mark.parametrize("wrong", [{"rate_hz": 0}, {"sample_format": "u8"}, {"channels": 0}])
def test_a_format_that_cannot_be_is_refused(wrong):
    with pytest.raises(AudioError):
        PipeFormat(**wrong)
