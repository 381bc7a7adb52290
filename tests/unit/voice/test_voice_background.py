"""Music and second voices behind a speaker are marked; a clean recording is not.

The speech is synthesised, and so is the music: what real recordings do is not tested here.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import soxr

from phonoloop.adapters.espeak import EspeakSynthesizer
from phonoloop.audio.wav import to_int16
from phonoloop.testing.music import STYLES, music
from phonoloop.testing.sounds import noise, silence, tone, write_wav
from phonoloop.voice.background import BackgroundSettings, find_stretches, stretches_of_wav, united
from phonoloop.voice.data import RATE_HZ, Stretch

SENTENCES = (
    "Hôm nay trời đẹp, chúng tôi đi dạo quanh hồ và nói chuyện về những ngày đã qua.",
    "Bạn có thể cho tôi biết đường ra ga không?",
    "Cuốn sách này kể về một người đánh cá già và biển cả.",
    "Mỗi buổi sáng, bà tôi pha trà rồi ngồi bên cửa sổ đọc báo.",
    "Nếu mưa to, chúng ta sẽ ở nhà nấu cơm.",
    "Thành phố lên đèn, xe cộ nối nhau trên đường, ai cũng vội về nhà.",
    "Em bé đang ngủ, xin nói khẽ thôi.",
)
#: low, high, and one whose pitch hardly moves, which is the hardest to tell from music
VOICES = ("vi", "vi+f2", "vi-vn-x-south+m3", "vi+Alex")


def spoken(espeak, voice: str, duration_s: float, seed: int = 0) -> np.ndarray:
    """Talk with pauses, at -20 dBFS where somebody speaks, over the noise of a quiet room."""
    rng = np.random.default_rng(seed)
    parts, samples = [], 0
    while samples < duration_s * RATE_HZ:
        text = SENTENCES[rng.integers(len(SENTENCES))]
        said = espeak.synthesize(
            text, voice=voice, speed=rng.uniform(0.9, 1.2), pitch=rng.uniform(0.95, 1.05)
        )
        pause = silence(rng.uniform(0.2, 1.0), RATE_HZ)
        parts += [soxr.resample(said, 16_000, RATE_HZ), pause]
        samples += parts[-2].size + pause.size
    talk = np.concatenate(parts)[: round(duration_s * RATE_HZ)]
    return talk * np.float32(0.1 / active_rms(talk)) + noise(duration_s, rate_hz=RATE_HZ, level_dbfs=-65.0)


def active_rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples[np.abs(samples) > 0.02]))))


def behind(talk: np.ndarray, other: np.ndarray, snr_db: float, start_s: float) -> np.ndarray:
    """`other` under the talk from `start_s` on, so much quieter."""
    mixed = talk.copy()
    start = round(start_s * RATE_HZ)
    gain = 0.1 * 10 ** (-snr_db / 20) / np.sqrt(np.mean(np.square(other)))
    mixed[start : start + other.size] += other * np.float32(gain)
    return mixed


def seconds(stretches: list[Stretch]) -> list[tuple[int, int, str]]:
    return [(round(one.start / RATE_HZ), round(one.end / RATE_HZ), one.kind) for one in stretches]


@pytest.fixture(scope="module")
def espeak() -> Iterator[EspeakSynthesizer]:
    with EspeakSynthesizer() as synthesizer:
        yield synthesizer


@pytest.fixture(scope="module")
def talks(espeak) -> dict[str, np.ndarray]:
    return {voice: spoken(espeak, voice, 45.0, seed) for seed, voice in enumerate(VOICES)}


class TestCleanSpeech:
    @pytest.mark.parametrize("voice", VOICES)
    def test_nothing_is_marked(self, talks, voice):
        assert find_stretches([talks[voice]]) == []

    def test_hiss_is_no_music(self, talks):
        assert find_stretches([talks["vi"] + noise(45.0, rate_hz=RATE_HZ, level_dbfs=-35.0)]) == []

    def test_hum_of_the_mains_is_no_music(self, talks):
        hum = sum(tone(50 * k, 45.0, rate_hz=RATE_HZ, level_dbfs=-45.0 - k) for k in range(1, 16))
        assert find_stretches([talks["vi"] + hum.astype(np.float32)]) == []

    def test_speakers_who_take_turns_are_left_to_the_gates(self, talks):
        turns = [
            talks[voice][at * RATE_HZ : (at + 8) * RATE_HZ] for at in range(0, 40, 8) for voice in VOICES[:2]
        ]
        assert find_stretches(turns) == []

    @pytest.mark.long
    def test_nothing_is_marked_in_twenty_minutes(self, espeak):
        for seed, voice in enumerate(VOICES):
            assert find_stretches([spoken(espeak, voice, 1200.0, seed)]) == []


class TestMusic:
    @pytest.mark.parametrize("style", STYLES)
    def test_a_recording_of_music_is_marked_whole(self, style):
        whole = music(style, 30.4, seed=1, rate_hz=RATE_HZ)
        (one,) = find_stretches([whole])
        assert (one.start, one.end, one.kind) == (0, whole.size, "music")
        assert 0.5 <= one.certainty < 1

    @pytest.mark.parametrize("style", ["pads", "plucked", "band"])
    @pytest.mark.parametrize(("voice", "snr_db"), [("vi", 0), ("vi+f2", 10)])
    def test_what_has_notes_is_found_under_speech_and_little_around_it(self, talks, style, voice, snr_db):
        mixed = behind(talks[voice], music(style, 15.0, seed=2, rate_hz=RATE_HZ), snr_db, 15.0)
        (one,) = seconds(find_stretches([mixed]))
        assert one[2] == "music"
        assert 12 <= one[0] <= 17
        assert 28 <= one[1] <= 33

    @pytest.mark.parametrize("style", ["pads", "plucked", "band"])
    def test_faint_music_is_found_in_part(self, talks, style):
        mixed = behind(talks["vi"], music(style, 20.0, seed=2, rate_hz=RATE_HZ), 20, 15.0)
        found = seconds(find_stretches([mixed]))
        inside = sum(max(0, min(end, 35) - max(start, 15)) for start, end, _ in found)
        assert "music" in {kind for _, _, kind in found}
        assert inside >= 12
        assert sum(end - start for start, end, _ in found) - inside <= 6

    @pytest.mark.parametrize("voice", ["vi", "vi+f2"])
    def test_drums_are_found_by_their_beat(self, talks, voice):
        mixed = behind(talks[voice], music("drums", 25.0, seed=4, rate_hz=RATE_HZ), 5, 10.0)
        (one,) = seconds(find_stretches([mixed]))
        assert one[2] == "music"
        assert 6 <= one[0] <= 20
        assert 25 <= one[1] <= 39


class TestTwoVoices:
    @pytest.mark.parametrize(
        ("voice", "other"), [p for p in itertools.permutations(VOICES[:3], 2) if p[0] < p[1]]
    )
    @pytest.mark.parametrize("snr_db", [0, 6])
    def test_they_are_found_where_they_speak_at_once(self, talks, voice, other, snr_db):
        mixed = behind(talks[voice], talks[other][: 25 * RATE_HZ], snr_db, 10.0)
        found = seconds(find_stretches([mixed]))
        assert {kind for _, _, kind in found} == {"speakers"}
        marked = sum(min(end, 35) - max(start, 10) for start, end, _ in found)
        assert marked >= 12
        assert sum(end - start for start, end, _ in found) - marked <= 10

    def test_music_is_not_called_voices(self, talks):
        mixed = behind(talks["vi"], music("plucked", 45.0, seed=4, rate_hz=RATE_HZ), 10, 0.0)
        assert {one.kind for one in find_stretches([mixed])} == {"music"}


class TestBlocks:
    def test_their_length_does_not_matter(self, talks):
        mixed = behind(talks["vi"], music("pads", 20.0, seed=2, rate_hz=RATE_HZ), 10, 20.0)
        long = np.concatenate([mixed] * 3)  # more than a chapter
        found = find_stretches([long])
        assert len(found) == 3
        assert find_stretches(np.array_split(long, 37)) == found

    def test_the_seam_of_two_chapters_leaves_nothing_out(self):
        whole = music("plucked", 130.0, seed=5, rate_hz=RATE_HZ)
        assert seconds(find_stretches([whole])) == [(0, 130, "music")]

    def test_a_file_is_read_as_it_is(self, talks, tmp_path):
        mixed = behind(talks["vi"], music("pads", 20.0, seed=2, rate_hz=RATE_HZ), 10, 20.0)
        path = write_wav(tmp_path / "a.wav", to_int16(mixed), RATE_HZ)
        assert seconds(stretches_of_wav(path)) == seconds(find_stretches([mixed]))

    @pytest.mark.parametrize("duration_s", [0.0, 0.1, 2.0, 3.5, 9.9, 10.0])
    def test_short_recordings_are_no_trouble(self, talks, duration_s):
        assert find_stretches([talks["vi"][: round(duration_s * RATE_HZ)]]) == []

    def test_nothing_at_all_and_silence_have_nothing(self):
        assert find_stretches([]) == []
        assert find_stretches([silence(20.0, RATE_HZ)]) == []


class TestSettings:
    def test_less_sensitive_marks_less(self, talks):
        mixed = behind(talks["vi"], music("pads", 20.0, seed=2, rate_hz=RATE_HZ), 20, 20.0)
        assert find_stretches([mixed])
        assert find_stretches([mixed], BackgroundSettings(sensitivity=0.1)) == []

    def test_what_is_near_becomes_one_where_that_is_wished(self, talks):
        part = music("pads", 8.0, seed=2, rate_hz=RATE_HZ)
        mixed = behind(behind(talks["vi"], part, 5, 10.0), part, 5, 30.0)
        assert len(find_stretches([mixed])) == 2
        assert len(find_stretches([mixed], BackgroundSettings(join_s=20.0))) == 1


class TestUnited:
    def test_music_counts_before_voices_and_what_touches_is_one(self):
        first = [Stretch(0, 100, "music", 0.6), Stretch(300, 400, "speakers", 0.7)]
        second = [Stretch(100, 200, "music", 0.9), Stretch(150, 350, "speakers", 0.5)]
        assert united(first, second) == [Stretch(0, 200, "music", 0.9), Stretch(200, 400, "speakers", 0.7)]

    def test_music_in_the_middle_leaves_two_parts(self):
        music_, voices = Stretch(40, 60, "music", 0.6), Stretch(0, 100, "speakers", 0.6)
        assert united([voices], [music_]) == [
            Stretch(0, 40, "speakers", 0.6),
            music_,
            Stretch(60, 100, "speakers", 0.6),
        ]
