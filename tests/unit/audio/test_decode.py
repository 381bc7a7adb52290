"""Decoding: any format in, mono int16 at one rate out."""

import concurrent.futures
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from phonoloop.audio.decode import DecodeLimits, Decoder
from phonoloop.core.errors import AudioError
from phonoloop.testing.sounds import CODECS, noise, silence, speech_like, tone, write_media, write_wav


@pytest.fixture(scope="module")
def decoder():
    with Decoder() as decoder:
        yield decoder


def level_of(pcm, frequency_hz, rate_hz=16_000):
    """Amplitude of one frequency, 1 for a full-scale sine."""
    time_s = np.arange(pcm.size) / rate_hz
    return 2 * abs(np.mean(pcm / 32768 * np.exp(-2j * np.pi * frequency_hz * time_s)))


class TestFormats:
    @pytest.mark.parametrize("suffix", [".wav", ".ogg", *CODECS])
    @pytest.mark.parametrize("channels", [1, 2])
    def test_every_container_gives_the_sound_that_was_written(self, decoder, tmp_path, suffix, channels):
        sound = tone(440, 1.0, rate_hz=48_000)
        path = write_media(tmp_path / f"a{suffix}", np.stack([sound] * channels, axis=1), 48_000)
        decoded = decoder.decode(path)
        assert decoded.pcm.dtype == np.int16
        assert decoded.duration_s == pytest.approx(1.0, abs=0.06)
        assert level_of(decoded.pcm[1600:14400], 440) == pytest.approx(0.1414, rel=0.1)
        assert (decoded.rate_hz, decoded.source_rate_hz, decoded.channels) == (16_000, 48_000, channels)
        assert not decoded.truncated
        assert decoded.damaged_packets == 0

    def test_it_says_what_it_read(self, decoder, tmp_path):
        decoded = decoder.decode(write_media(tmp_path / "a.mp3", tone(440, 0.5, rate_hz=44_100), 44_100))
        assert (decoded.container, decoded.codec, decoded.source_rate_hz) == ("mp3", "mp3float", 44_100)

    @pytest.mark.parametrize(
        ("subtype", "tolerance"),
        [("PCM_16", 0), ("PCM_24", 1), ("PCM_32", 1), ("FLOAT", 1), ("DOUBLE", 1), ("PCM_U8", 260)],
    )
    def test_every_sample_format_gives_the_same_samples(self, decoder, tmp_path, subtype, tolerance):
        sound = speech_like(0.5, seed=1, pause_s=0.1).samples
        expected = decoder.decode(write_wav(tmp_path / "expected.wav", sound)).pcm.astype(int)
        decoded = decoder.decode(write_wav(tmp_path / "a.wav", sound, subtype=subtype)).pcm.astype(int)
        assert abs(decoded - expected).max() <= tolerance

    def test_16_bit_at_the_wanted_rate_is_handed_through_bit_by_bit(self, decoder, tmp_path):
        samples = np.arange(-32768, 32768, 7, dtype=np.int16)
        assert np.array_equal(decoder.decode(write_wav(tmp_path / "a.wav", samples)).pcm, samples)

    def test_many_channels_are_averaged(self, decoder, tmp_path):
        columns = np.stack([tone(440, 0.5, rate_hz=96_000), *[silence(0.5, 96_000)] * 5], axis=1)
        decoded = decoder.decode(write_wav(tmp_path / "a.wav", columns, 96_000, subtype="PCM_24"))
        assert decoded.channels == 6
        assert level_of(decoded.pcm[800:7200], 440) == pytest.approx(0.1414 / 6, rel=0.02)

    def test_the_track_of_a_video_is_found(self, decoder, tmp_path):
        path = tmp_path / "a.mp4"
        _write_video(path, with_sound=True)
        assert decoder.decode(path).duration_s == pytest.approx(1.0, abs=0.1)

    def test_the_name_plays_no_part(self, decoder, tmp_path):
        path = write_media(tmp_path / "a.mp3", tone(440, 0.5, rate_hz=44_100), 44_100)
        expected = decoder.decode(path).pcm
        for name in ("a.wav", "a", "a.txt", "a\nb\x1b.mp3", "đọc.flac"):
            renamed = path.rename(tmp_path / name)
            assert np.array_equal(decoder.decode(renamed).pcm, expected)
            path = renamed
        odd = path.rename(
            os.path.join(os.fsencode(tmp_path), b"\xff\xfe.mp3").decode(errors="surrogateescape")
        )
        assert np.array_equal(decoder.decode(odd).pcm, expected)

    def test_not_a_number_is_silence_and_too_loud_is_clipped(self, decoder, tmp_path):
        samples = np.array([0.5, np.nan, 4.0, -4.0, 0.25] * 100, np.float32)
        decoded = decoder.decode(write_wav(tmp_path / "a.wav", samples, subtype="FLOAT"))
        assert decoded.pcm[:5].tolist() == [16384, 0, 32767, -32768, 8192]


class TestResampling:
    def test_the_same_file_gives_the_same_samples(self, tmp_path):
        path = write_media(tmp_path / "a.m4a", speech_like(3, seed=2, rate_hz=44_100).samples, 44_100)
        with Decoder() as one, Decoder() as other:
            first, again, elsewhere = one.decode(path).pcm, one.decode(path).pcm, other.decode(path).pcm
        assert np.array_equal(first, again)
        assert np.array_equal(first, elsewhere)

    @pytest.mark.parametrize("frequency_hz", [8_500, 10_000, 20_000])
    def test_what_is_above_half_the_rate_does_not_alias(self, decoder, tmp_path, frequency_hz):
        path = write_wav(tmp_path / "a.wav", tone(frequency_hz, 0.5, rate_hz=48_000, level_dbfs=-6), 48_000)
        assert abs(decoder.decode(path).pcm[1600:-1600]).max() <= 1

    @pytest.mark.parametrize("rate_hz", [8_000, 22_050, 24_000, 48_000])
    def test_any_rate_can_be_asked_for(self, decoder, tmp_path, rate_hz):
        decoded = decoder.decode(write_wav(tmp_path / "a.wav", tone(440, 0.5)), rate_hz=rate_hz)
        assert decoded.pcm.size == pytest.approx(rate_hz / 2, abs=2)
        assert level_of(decoded.pcm[200:-200], 440, rate_hz) == pytest.approx(0.1414, rel=0.02)

    def test_blocks_leave_no_seams(self, decoder, tmp_path):
        """20 s at 48 kHz are several blocks inside the child."""
        sound = tone(1000, 20.0, rate_hz=48_000, level_dbfs=-6)
        pcm = decoder.decode(write_wav(tmp_path / "a.wav", sound, 48_000)).pcm
        expected = np.sin(2 * np.pi * 1000 * np.arange(pcm.size) / 16_000) * 10 ** (-6 / 20) * 2**0.5 * 32768
        assert pcm.size == 320_000
        assert abs(pcm[2000:-2000] - expected[2000:-2000]).max() < 40


class TestLimits:
    def test_a_file_that_says_it_is_too_long_is_refused_at_once(self, tmp_path):
        path = write_wav(tmp_path / "a.wav", noise(5))
        with Decoder(DecodeLimits(max_duration_s=4.9)) as decoder, pytest.raises(AudioError) as caught:
            decoder.decode(path)
        assert caught.value.code == "audio.too_long"

    def test_a_file_that_does_not_say_how_long_it_is_is_decoded_only_up_to_the_limit(self, tmp_path):
        path = write_media(tmp_path / "a.aac", noise(5, rate_hz=44_100), 44_100)
        with Decoder(DecodeLimits(max_duration_s=2)) as decoder:
            with pytest.raises(AudioError) as caught:
                decoder.decode(path)
            assert caught.value.code == "audio.too_long"
            assert decoder.decode(write_wav(tmp_path / "b.wav", noise(1))).pcm.size == 16_000

    def test_a_large_file_is_not_opened(self, tmp_path):
        path = write_wav(tmp_path / "a.wav", noise(1))
        with Decoder(DecodeLimits(max_input_bytes=10_000)) as decoder, pytest.raises(AudioError) as caught:
            decoder.decode(path)
        assert caught.value.code == "audio.too_large"

    def test_the_child_takes_no_more_memory_for_more_minutes(self, tmp_path):
        short = write_wav(tmp_path / "short.wav", noise(20))
        long = write_wav(tmp_path / "long.wav", np.tile(noise(60), 20), 16_000)
        with Decoder() as decoder:
            decoder.decode(short)
            before = peak_bytes(decoder)
            assert decoder.decode(long).duration_s == 1200
            assert peak_bytes(decoder) - before < 4 << 20


class TestChild:
    def test_one_child_serves_file_after_file(self, decoder, tmp_path):
        path = write_wav(tmp_path / "a.wav", noise(0.2))
        decoder.decode(path)
        first = child_pid(decoder)
        decoder.decode(path)
        assert child_pid(decoder) == first

    def test_threads_take_turns(self, decoder, tmp_path):
        paths = [write_wav(tmp_path / f"{k}.wav", np.full(1000 + k, k, np.int16)) for k in range(20)]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            sizes = list(pool.map(lambda path: decoder.decode(path).pcm, paths))
        assert [(pcm.size, pcm[0]) for pcm in sizes] == [(1000 + k, k) for k in range(20)]

    def test_it_outlives_the_thread_that_used_it_first(self, tmp_path):
        path = write_wav(tmp_path / "a.wav", noise(0.2))
        with Decoder() as decoder:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                pool.submit(decoder.decode, path).result()
            first = child_pid(decoder)
            time.sleep(0.1)
            decoder.decode(path)
            assert child_pid(decoder) == first

    def test_closing_ends_it(self, tmp_path):
        with Decoder() as decoder:
            decoder.decode(write_wav(tmp_path / "a.wav", noise(0.2)))
            pid = child_pid(decoder)
        assert not os.path.exists(f"/proc/{pid}")

    def test_it_dies_with_its_parent(self, tmp_path):
        path = write_wav(tmp_path / "a.wav", noise(0.2))
        script = (
            "import sys, time; from phonoloop.audio.decode import Decoder; d = Decoder();"
            "d.decode(sys.argv[1]); print(d._child.pid, flush=True); time.sleep(60)"
        )
        with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE) as parent:
            child = int(parent.stdout.readline())
            os.kill(child, signal.SIGSTOP)  # even one that cannot notice anything
            parent.kill()
        deadline = time.monotonic() + 5
        while os.path.exists(f"/proc/{child}") and _state(child) != "Z" and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not os.path.exists(f"/proc/{child}") or _state(child) == "Z"

    def test_it_may_write_no_file(self, decoder, tmp_path):
        decoder.decode(write_wav(tmp_path / "a.wav", noise(0.2)))
        with open(f"/proc/{child_pid(decoder)}/limits") as limits:
            sizes = [line.split() for line in limits if line.startswith("Max file size")]
        assert sizes[0][3:5] == ["0", "0"]

    def test_it_loads_the_decoders_and_nothing_heavy(self):
        script = "import sys, phonoloop.audio.decode_worker; print(*sorted(sys.modules))"
        found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        tops = {name.split(".")[0] for name in found.stdout.split()}
        assert {"av", "soxr", "numpy"} <= tops
        assert not tops & {"torch", "onnxruntime", "sqlalchemy", "soundfile", "kaldi_native_fbank", "scipy"}


def child_pid(decoder):
    return decoder._child.pid


def peak_bytes(decoder):
    with open(f"/proc/{child_pid(decoder)}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def _state(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def _write_video(path, *, with_sound):
    import av

    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=10, options={})
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=48_000, layout="mono") if with_sound else None
        for _ in range(10):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        if sound:
            pcm = (tone(440, 1.0, rate_hz=48_000) * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
            frame.sample_rate = 48_000
            container.mux(sound.encode(frame))
            container.mux(sound.encode(None))


class TestInBlocks:
    @pytest.mark.parametrize("rate_hz", [16_000, 22_050])
    def test_the_blocks_together_are_the_whole(self, decoder, tmp_path, rate_hz):
        path = write_media(tmp_path / "a.mp4", speech_like(20.0, seed=2, rate_hz=44_100).samples, 44_100)
        blocks = []
        facts = decoder.decode_in_blocks(path, blocks.append, rate_hz)
        whole = decoder.decode(path, rate_hz)
        assert len(blocks) > 2
        assert np.array_equal(np.concatenate(blocks), whole.pcm)
        assert (facts.samples, facts.rate_hz) == (whole.pcm.size, rate_hz)
        assert (facts.container, facts.codec, facts.channels) == (whole.container, "aac", 1)
        assert facts.duration_s == whole.duration_s

    def test_what_the_taker_raises_ends_it_and_the_next_file_is_decoded(self, decoder, tmp_path):
        path = write_wav(tmp_path / "a.wav", tone(440, 20.0))

        def refuse(_block):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            decoder.decode_in_blocks(path, refuse)
        assert decoder.decode(path).pcm.size == 320_000

    def test_a_file_that_cannot_be_decoded_is_refused_as_ever(self, decoder, tmp_path):
        (tmp_path / "a.mp3").write_bytes(b"no sound" * 100)
        with pytest.raises(AudioError) as error:
            decoder.decode_in_blocks(tmp_path / "a.mp3", print)
        assert error.value.code == "audio.not_audio"
