"""Canonical WAV files."""

import struct

import numpy as np
import pytest
import soundfile

from phonoloop.audio.wav import WavWriter, read_wav, to_float, to_int16, wav_bytes, wav_info
from phonoloop.core.errors import AudioError, ResourceError

PCM = np.arange(-500, 500, dtype=np.int16)


@pytest.fixture
def canonical(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(PCM))
    return path


def test_other_programs_read_what_was_written(canonical):
    samples, rate_hz = soundfile.read(canonical, dtype="int16")
    assert rate_hz == 16_000
    assert np.array_equal(samples, PCM)


def test_equal_samples_are_equal_bytes():
    assert wav_bytes(PCM) == wav_bytes(PCM.copy()) == wav_bytes(np.repeat(PCM, 2)[::2])


def test_the_whole_file_is_read(canonical):
    samples = read_wav(canonical)
    assert samples.dtype == np.float32
    assert np.array_equal(to_int16(samples), PCM)


def test_only_a_span_is_read(canonical):
    canonical.write_bytes(canonical.read_bytes()[: 44 + 2 * 300])  # what follows is not there to be read
    assert np.array_equal(to_int16(read_wav(canonical, 100, 300)), PCM[100:300])
    assert read_wav(canonical, 7, 7).size == 0


def test_the_header_says_rate_and_length(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav_bytes(PCM, 8000))
    info = wav_info(tmp_path / "a.wav")
    assert (info.rate_hz, info.samples, info.data_offset) == (8000, 1000, 44)


def test_other_chunks_before_the_samples_are_stepped_over(tmp_path):
    content = wav_bytes(PCM)
    note = b"LIST" + struct.pack("<I", 5) + b"notes\0"
    (tmp_path / "a.wav").write_bytes(content[:36] + note + content[36:])
    assert np.array_equal(to_int16(read_wav(tmp_path / "a.wav")), PCM)


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (6, 5), (0, 1001), (1001, None)])
def test_a_span_outside_the_recording_is_refused(canonical, start, end):
    with pytest.raises(AudioError) as caught:
        read_wav(canonical, start, end)
    assert caught.value.code == "audio.bad_span"


def test_a_cut_file_is_told(canonical):
    canonical.write_bytes(canonical.read_bytes()[:-10])
    with pytest.raises(AudioError) as caught:
        read_wav(canonical)
    assert caught.value.code == "audio.truncated"


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"no wav at all, by far", wav_bytes(PCM)[:30], wav_bytes(PCM)[:40]]
)
def test_what_is_not_a_canonical_file_is_refused(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(AudioError) as caught:
        read_wav(tmp_path / "a.wav")
    assert caught.value.code == "audio.not_canonical"


@pytest.mark.parametrize(("channels", "subtype"), [(2, "PCM_16"), (1, "PCM_24"), (1, "FLOAT")])
def test_other_wav_files_are_not_canonical(tmp_path, channels, subtype):
    soundfile.write(tmp_path / "a.wav", np.zeros((100, channels)), 16_000, subtype=subtype)
    with pytest.raises(AudioError) as caught:
        read_wav(tmp_path / "a.wav")
    assert caught.value.code == "audio.not_canonical"


def test_a_missing_file(tmp_path):
    with pytest.raises(AudioError) as caught:
        read_wav(tmp_path / "a.wav")
    assert (caught.value.code, caught.value.subject) == ("audio.missing", str(tmp_path / "a.wav"))


def test_float_and_back_is_exact_for_every_sample():
    every = np.arange(-32768, 32768).astype(np.int16)
    assert np.array_equal(to_int16(to_float(every)), every)


def test_louder_than_full_scale_is_clipped():
    assert to_int16(np.array([1.0, 1.5, -1.0, -7.0])).tolist() == [32767, 32767, -32768, -32768]


class TestInBlocks:
    @pytest.mark.parametrize("block", [1, 7, 333, 1000, 5000])
    def test_the_bytes_are_those_of_the_whole(self, tmp_path, block):
        with WavWriter(tmp_path / "a.wav", 22_050) as writer:
            for start in range(0, PCM.size, block):
                writer.write(PCM[start : start + block])
        assert writer.samples == PCM.size
        assert (tmp_path / "a.wav").read_bytes() == wav_bytes(PCM, 22_050)

    def test_a_file_without_samples_is_one(self, tmp_path):
        WavWriter(tmp_path / "a.wav").close()
        assert wav_info(tmp_path / "a.wav").samples == 0

    def test_a_folder_that_is_not_there_is_said(self, tmp_path):
        with pytest.raises(ResourceError) as error:
            WavWriter(tmp_path / "none" / "a.wav")
        assert error.value.code == "resource.disk"

    def test_a_full_disk_is_said(self):
        with pytest.raises(ResourceError, match="No space left"), WavWriter("/dev/full") as writer:
            writer.write(np.zeros(1 << 20, np.int16))

    def test_an_error_of_the_caller_is_the_one_that_is_seen(self, tmp_path):
        with pytest.raises(ZeroDivisionError), WavWriter(tmp_path / "a.wav") as writer:
            writer.write(PCM[: 1 // 0])
