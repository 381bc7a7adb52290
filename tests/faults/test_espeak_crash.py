"""espeak-ng crashes on some words in some voices; that ends in an error, and the next call works."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

from phonoloop.adapters.espeak import EspeakSynthesizer
from phonoloop.core.errors import InputError, ResourceError

pytest.importorskip("espeakng_loader", reason="the espeak extra is not installed")

SENTENCE = "nhắc anh nam tưới cây thứ bảy"
#: a segmentation fault in espeak-ng 1.52, each time
CRASHING = {"voice": "vi+Andrea", "speed": 1.05, "pitch": 0.96}


@pytest.fixture
def espeak():
    with EspeakSynthesizer() as espeak:
        yield espeak


def pid(espeak):
    return espeak._child.pid


def stop_child(espeak):
    """A child that is there and does not answer."""
    espeak.voices("vi")
    os.kill(pid(espeak), signal.SIGSTOP)
    return pid(espeak)


def later(action):
    threading.Timer(0.2, action).start()


def gone(process):
    deadline = time.monotonic() + 5
    while os.path.exists(f"/proc/{process}") and time.monotonic() < deadline:
        time.sleep(0.02)
    return not os.path.exists(f"/proc/{process}")


class TestCrash:
    def test_it_is_told_with_everything_that_led_to_it(self, espeak):
        with pytest.raises(InputError) as caught:
            espeak.synthesize(SENTENCE, **CRASHING)
        assert caught.value.code == "espeak.crashed"
        assert all(str(part) in caught.value.subject for part in (*CRASHING.values(), SENTENCE))
        assert f"signal {signal.SIGSEGV.value}" in caught.value.message
        assert "another voice or speed" in caught.value.hint

    def test_the_next_call_works_and_says_the_same(self, espeak):
        before = espeak.synthesize(SENTENCE, voice="vi")
        with pytest.raises(InputError):
            espeak.synthesize(SENTENCE, **CRASHING)
        assert np.array_equal(espeak.synthesize(SENTENCE, voice="vi"), before)

    def test_phonemes_after_a_crash(self, espeak):
        with pytest.raises(InputError):
            espeak.synthesize(SENTENCE, **CRASHING)
        assert len(espeak.phonemise(SENTENCE, "vi")) == len(SENTENCE.split())

    def test_phonemes_from_a_child_that_died_of_something_else(self, espeak):
        before = espeak.phonemise(SENTENCE, "vi")
        os.kill(pid(espeak), signal.SIGKILL)
        assert espeak.phonemise(SENTENCE, "vi") == before

    def test_a_child_that_died_of_something_else_is_replaced_unnoticed(self, espeak):
        before = espeak.synthesize(SENTENCE, voice="vi")
        first = pid(espeak)
        os.kill(first, signal.SIGKILL)
        assert np.array_equal(espeak.synthesize(SENTENCE, voice="vi"), before)
        assert pid(espeak) != first

    def test_words_that_meet_a_damaged_child_are_said_by_a_fresh_one(self, espeak):
        before = espeak.synthesize(SENTENCE, voice="vi")
        stopped = stop_child(espeak)
        later(lambda: (os.kill(stopped, signal.SIGSEGV), os.kill(stopped, signal.SIGCONT)))
        assert np.array_equal(espeak.synthesize(SENTENCE, voice="vi"), before)
        assert pid(espeak) != stopped

    def test_killed_each_time_it_is_not_the_words_that_are_to_blame(self, espeak, monkeypatch):
        espeak.voices("vi")
        running = type(espeak._child._running)
        ask = running.ask

        def shot(child, request):
            child.process.kill()
            ask(child, request)

        monkeypatch.setattr(running, "ask", shot)
        with pytest.raises(ResourceError) as caught:
            espeak.synthesize(SENTENCE, voice="vi")
        assert caught.value.code == "espeak.memory"

    def test_threads_beside_a_crash_are_served(self, espeak):
        alone = espeak.synthesize(SENTENCE, voice="vi")
        said = []
        threads = [
            threading.Thread(target=lambda: said.append(espeak.synthesize(SENTENCE, voice="vi")))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        with pytest.raises(InputError):
            espeak.synthesize(SENTENCE, **CRASHING)
        for thread in threads:
            thread.join()
        assert len(said) == 4
        assert all(np.array_equal(one, alone) for one in said)


def test_a_hang_ends_and_the_next_call_works():
    with EspeakSynthesizer(timeout_s=1.0) as espeak:
        stopped = stop_child(espeak)
        with pytest.raises(ResourceError) as caught:
            espeak.synthesize(SENTENCE, voice="vi", speed=1.2)
        assert caught.value.code == "espeak.timeout"
        assert "vi, speed 1.2" in caught.value.subject
        assert gone(stopped)
        assert espeak.synthesize(SENTENCE, voice="vi").size


def test_a_hang_over_phonemes_ends_too():
    with EspeakSynthesizer(timeout_s=1.0) as espeak:
        stop_child(espeak)
        with pytest.raises(ResourceError) as caught:
            espeak.phonemise(SENTENCE, "vi")
        assert caught.value.code == "espeak.timeout"
        assert "phonemes, vi" in caught.value.subject
        assert espeak.phonemise(SENTENCE, "vi")


class TestEnd:
    def test_closing_ends_it_and_a_later_call_starts_another(self):
        with EspeakSynthesizer() as espeak:
            espeak.voices("vi")
            first = pid(espeak)
        assert gone(first)
        assert "vi" in espeak.voices("vi")
        assert espeak.synthesize(SENTENCE, voice="vi").size
        espeak.close()

    def test_left_unclosed_it_ends_with_the_object_and_without_a_warning(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            espeak = EspeakSynthesizer()
            espeak.voices("vi")
            first = pid(espeak)
            del espeak
            gc.collect()
        assert gone(first)

    def test_left_unclosed_it_ends_with_the_program_and_without_a_warning(self):
        script = (
            "from phonoloop.adapters.espeak import EspeakSynthesizer; e = EspeakSynthesizer();"
            "e.voices('vi'); print(e._child.pid)"
        )
        ran = subprocess.run(
            [sys.executable, "-X", "dev", "-c", script], capture_output=True, text=True, check=True
        )
        assert ran.stderr == ""
        assert gone(int(ran.stdout))

    def test_it_outlives_the_thread_that_used_it_first(self, espeak):
        thread = threading.Thread(target=espeak.voices, args=("vi",))
        thread.start()
        thread.join()
        first = pid(espeak)
        time.sleep(0.1)
        assert espeak.synthesize(SENTENCE, voice="vi").size
        assert pid(espeak) == first


def test_its_process_loads_nothing_heavy():
    script = "import sys, phonoloop.adapters.espeak_worker; print(*sorted(sys.modules))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    tops = {name.split(".")[0] for name in found.stdout.split()}
    assert not tops & {"numpy", "scipy", "torch", "soxr", "sqlalchemy", "av"}
