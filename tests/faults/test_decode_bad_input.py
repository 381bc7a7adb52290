"""What cannot be decoded ends in an error with a stable code and a hint, and the next file works."""

import os
import signal
import struct
import threading
import time

import av
import numpy as np
import pytest

from phonoloop.audio.decode import DecodeLimits, Decoder
from phonoloop.core.errors import AudioError, ResourceError
from phonoloop.testing.sounds import noise, speech_like, write_media, write_wav


@pytest.fixture(scope="module")
def decoder():
    with Decoder() as decoder:
        yield decoder


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Files of 2 s, by suffix."""
    folder = tmp_path_factory.mktemp("good")
    sound = speech_like(2, seed=4, rate_hz=48_000).samples
    suffixes = (".wav", ".mp3", ".m4a", ".flac", ".ogg", ".opus", ".webm", ".aac")
    return {suffix: write_media(folder / f"good{suffix}", sound, 48_000) for suffix in suffixes}


def code_of(decoder, path):
    """The code of the error that `path` ends in, after a look at the rest of the error."""
    with pytest.raises(AudioError) as caught:
        decoder.decode(path)
    assert caught.value.message
    assert caught.value.hint
    assert caught.value.subject
    assert caught.value.subject.isprintable()
    return caught.value.code


class TestNotAFile:
    def test_missing(self, decoder, tmp_path):
        assert code_of(decoder, tmp_path / "no\nsuch\x1b[31m.wav") == "audio.missing"

    def test_a_folder(self, decoder, tmp_path):
        assert code_of(decoder, tmp_path) == "audio.not_a_file"

    def test_a_pipe_is_not_waited_on(self, decoder, tmp_path):
        os.mkfifo(tmp_path / "pipe.wav")
        assert code_of(decoder, tmp_path / "pipe.wav") == "audio.not_a_file"

    def test_a_loop_of_links(self, decoder, tmp_path):
        (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
        assert code_of(decoder, tmp_path / "loop.wav") == "audio.missing"

    def test_a_name_that_cannot_be(self, decoder):
        assert code_of(decoder, "a\0b.wav") == "audio.missing"

    def test_an_address_is_not_fetched(self, decoder):
        assert code_of(decoder, "http://127.0.0.1:9/a.mp3") == "audio.missing"

    def test_deleted_between_the_look_and_the_opening(self, decoder, good, tmp_path, monkeypatch):
        path = tmp_path / "a.wav"
        path.write_bytes(good[".wav"].read_bytes())
        monkeypatch.setattr(decoder, "_look_at", os.unlink)
        assert code_of(decoder, path) == "audio.missing"


class TestContent:
    def test_no_bytes(self, decoder, tmp_path):
        (tmp_path / "a.wav").touch()
        assert code_of(decoder, tmp_path / "a.wav") == "audio.empty"

    def test_no_samples(self, decoder, tmp_path):
        assert code_of(decoder, write_wav(tmp_path / "a.wav", np.zeros(0, np.int16))) == "audio.too_short"

    @pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.flac", "a.txt"])
    def test_text_under_any_name(self, decoder, tmp_path, name):
        (tmp_path / name).write_text("Xin chào.\n" * 500, encoding="utf-8")
        assert code_of(decoder, tmp_path / name) == "audio.not_audio"

    @pytest.mark.parametrize("content", [bytes(100_000), np.random.default_rng(0).bytes(100_000)])
    def test_zeros_and_random_bytes(self, decoder, tmp_path, content):
        (tmp_path / "a.wav").write_bytes(content)
        assert code_of(decoder, tmp_path / "a.wav") == "audio.not_audio"

    def test_a_playlist_does_not_open_what_it_names(self, decoder, good):
        folder = good[".wav"].parent
        playlist, concat = folder / "a.m3u8", folder / "a.ffconcat"
        playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ngood.aac\n#EXT-X-ENDLIST\n")
        concat.write_text("ffconcat version 1.0\nfile 'good.wav'\n")
        assert code_of(decoder, playlist) == "audio.not_audio"
        assert code_of(decoder, concat) == "audio.not_audio"

    def test_a_video_without_sound(self, decoder, tmp_path):
        with av.open(str(tmp_path / "a.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        assert code_of(decoder, tmp_path / "a.mp4") == "audio.no_audio_track"

    def test_no_channels(self, decoder, good, tmp_path):
        path = _changed(good[".wav"], tmp_path, at=22, content=b"\0\0")
        assert code_of(decoder, path) in ("audio.corrupt", "audio.truncated")

    def test_one_sample_a_second(self, decoder, good, tmp_path):
        path = _changed(good[".wav"], tmp_path, at=24, content=struct.pack("<I", 1))
        assert code_of(decoder, path) == "audio.too_long"

    def test_mostly_damaged(self, decoder, good, tmp_path):
        content = bytearray(good[".aac"].read_bytes())
        rng = np.random.default_rng(0)
        for position in rng.integers(0, len(content), len(content) // 30):
            content[position] = rng.integers(256)
        (tmp_path / "a.aac").write_bytes(content)
        assert code_of(decoder, tmp_path / "a.aac") == "audio.corrupt"


class TestCutFiles:
    @pytest.mark.parametrize("suffix", [".wav", ".mp3", ".flac", ".ogg", ".opus", ".webm"])
    def test_what_is_there_is_decoded_and_marked(self, decoder, good, tmp_path, suffix):
        decoded = decoder.decode(_cut(good[suffix], tmp_path, share=0.6))
        assert decoded.truncated
        assert 0.3 < decoded.duration_s < 1.9

    @pytest.mark.parametrize("suffix", [".wav", ".mp3", ".flac", ".ogg", ".opus", ".webm"])
    def test_a_whole_file_is_not_marked(self, decoder, good, suffix):
        assert not decoder.decode(good[suffix]).truncated

    def test_a_wav_written_into_a_pipe_has_no_length_and_is_not_marked(self, decoder, good, tmp_path):
        content = bytearray(good[".wav"].read_bytes())
        content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
        (tmp_path / "a.wav").write_bytes(content)
        decoded = decoder.decode(tmp_path / "a.wav")
        assert (decoded.duration_s, decoded.truncated) == (2.0, False)

    @pytest.mark.parametrize("suffix", [".wav", ".mp3", ".flac", ".ogg", ".opus", ".webm", ".m4a"])
    def test_nothing_usable(self, decoder, good, tmp_path, suffix):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(good[suffix].read_bytes()[:36])
        assert code_of(decoder, path) == "audio.truncated"

    def test_an_index_at_the_end_is_lost_with_it(self, decoder, good, tmp_path):
        assert code_of(decoder, _cut(good[".m4a"], tmp_path, share=0.9)) == "audio.truncated"

    def test_a_few_damaged_packets_are_left_out_and_counted(self, decoder, good, tmp_path):
        path = _changed(good[".mp3"], tmp_path, at=8000, content=bytes(600))
        decoded = decoder.decode(path)
        assert 0 < decoded.damaged_packets < 5
        assert decoded.duration_s == pytest.approx(2.0, abs=0.3)


class TestChild:
    def test_time_runs_out(self, good):
        with Decoder(DecodeLimits(timeout_s=1.0)) as decoder:
            stopped = _stop_child(decoder, good)
            assert code_of(decoder, good[".wav"]) == "audio.timeout"
            assert _works(decoder, good)
            assert _pid(decoder) != stopped

    def test_one_that_cannot_start_is_not_the_fault_of_the_file(self, good, monkeypatch):
        monkeypatch.setenv("PYTHONHOME", "/nowhere")
        with Decoder() as decoder, pytest.raises(ResourceError) as caught:
            decoder.decode(good[".wav"])
        assert caught.value.code == "resource.no_process"

    def test_a_crash_is_told_and_the_child_replaced(self, decoder, good):
        stopped = _stop_child(decoder, good)
        _later(lambda: (os.kill(stopped, signal.SIGSEGV), os.kill(stopped, signal.SIGCONT)))
        assert code_of(decoder, good[".wav"]) == "audio.corrupt"
        assert _works(decoder, good)

    def test_a_kill_from_outside_means_memory(self, decoder, good):
        stopped = _stop_child(decoder, good)
        _later(lambda: os.kill(stopped, signal.SIGKILL))
        assert code_of(decoder, good[".wav"]) == "audio.memory"
        assert _works(decoder, good)

    def test_a_child_that_died_between_files_is_replaced_unnoticed(self, decoder, good):
        assert _works(decoder, good)
        os.kill(_pid(decoder), signal.SIGKILL)
        time.sleep(0.1)
        assert _works(decoder, good)

    def test_memory_runs_out_and_the_next_file_works(self, decoder, tmp_path):
        small = write_wav(tmp_path / "small.wav", noise(0.2))
        large = write_wav(tmp_path / "large.wav", noise(60, rate_hz=48_000), 48_000)
        with Decoder() as measured:
            measured.decode(small)
            with open(f"/proc/{_pid(measured)}/status") as status:
                base = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmSize"))
        with Decoder(DecodeLimits(memory_bytes=base + (1 << 20))) as tight:
            assert tight.decode(small).pcm.size == 3200
            assert code_of(tight, large) == "audio.memory"
            assert tight.decode(small).pcm.size == 3200

    def test_an_interrupted_answer_is_not_taken_for_the_next_file(self, good, monkeypatch):
        with Decoder() as decoder:
            assert _works(decoder, good)
            running = type(decoder._child._running)
            answer = running.answer

            def interrupted(child, *given):
                answer(child, *given)
                raise KeyboardInterrupt

            monkeypatch.setattr(running, "answer", interrupted)
            with pytest.raises(KeyboardInterrupt):
                decoder.decode(good[".wav"])
            monkeypatch.undo()
            assert _works(decoder, good)


def _cut(path, folder, *, share):
    content = path.read_bytes()
    (folder / path.name).write_bytes(content[: int(len(content) * share)])
    return folder / path.name


def _changed(path, folder, *, at, content):
    whole = bytearray(path.read_bytes())
    whole[at : at + len(content)] = content
    (folder / path.name).write_bytes(whole)
    return folder / path.name


def _pid(decoder):
    return decoder._child.pid


def _stop_child(decoder, good):
    """A child that is there and does not answer."""
    assert _works(decoder, good)
    os.kill(_pid(decoder), signal.SIGSTOP)
    return _pid(decoder)


def _works(decoder, good):
    return decoder.decode(good[".wav"]).pcm.size == 32_000


def _later(action):
    threading.Timer(0.2, action).start()
