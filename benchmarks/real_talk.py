"""Talk of minutes put together out of recordings of people, of which it is known where a word's energy lies.

The recordings hold a word or a short phrase each, and become phrases of words with gaps of 20 to 150 ms,
pauses of 0.25 to 1.2 s between phrases, and the noise of the recordings under all of it: where a recording
goes on before and after the word, up to 0.3 s of that stay there (rooms that ring, breath); the rest of a
pause is noise with the spectrum and the level of the quietest that is in the recordings.

Where a word lies is found in its own recording, before anything is added, and nothing of the segmenter takes
part: its 5 ms are less than 40 dB under the loudest 5 ms of it and more than 6 dB over its quietest 30 ms;
from the first to the last of them, dips of up to 0.15 s (closures) included, clicks of less than 30 ms left
out. A recording in which that cannot be told (a gated line, a loud room) is not used.

Two halves that share no recording, and no speaker where speakers are known (`digits`): what is tuned is tuned
on `dev`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from talk import Talk, with_rising_noise

from phonoloop.voice.data import RATE_HZ

SPEECH_DBFS = -23.0
QUIET_DBFS = -70.0
NOISES = ("rain", "fire_crackling", "clock_tick")
NOISE_SNR_DB = (15.0, 20.0)

_FRAME = 110  # 5 ms
_RANGE_DB, _OVER_FLOOR_DB = 40.0, 6.0
#: what is that loud is no fading; and where a word seems to fade for longer, it is the noise of a line
#: (gated in between) or of a room, and nobody can tell where the word ends: left out
_CORE_DB, _FADING_S = 20.0, 0.25
#: a longer dip is a pause between two words of a recording
_CLOSURE_S = 0.15
_CLICK_S = 0.06
_RELEASE_DB, _RELEASE_S = 30.0, 0.03
_MARGIN_S = 0.3
_GAPS_S = (0.02, 0.15)
#: noisier than three quarters of its source by more than this is left out: noise would come and go with it
_FLOORS_DB = 3.0
_WORD_S = (0.15, 3.0)


@dataclass(frozen=True, slots=True)
class Manner:
    """How somebody talks: seconds a phrase at least, pauses between phrases, one in `long_in` of 2 to 5 s."""

    phrases_s: tuple[float, float]
    pauses_s: tuple[float, float] = (0.25, 1.2)
    long_in: int = 15


CALM = Manner((0.5, 7.0))
#: most phrases are longer than a clip may be: it has to be cut between two words
BREATHLESS = Manner((8.0, 26.0))


@dataclass(frozen=True, slots=True, eq=False)
class Word:
    """float32 (n,) at 22,050 Hz; its speech is [start, end), and `spoken` (n,) says where in that."""

    samples: np.ndarray
    spoken: np.ndarray
    start: int
    end: int
    floor_db: float


@dataclass(frozen=True, slots=True)
class Source:
    """Recordings of one talk.

    Attributes:
        least_snr_db: with less between a word and its noise it is not known where the word ends. Digits are
            cut to the word already, and their noise is steady.
        is_wanted: of the number in a file's name.
    """

    folders: tuple[str, ...]
    least_snr_db: float = 25.0
    is_wanted: Callable[[int], bool] = lambda _: True


SOURCES: dict[str, dict[str, Source]] = {
    "dev": {
        "george": Source(("digits/george",), 15.0),
        "lucas": Source(("digits/lucas",), 15.0),
        "computer": Source(("wake/computer",)),
        "english": Source(("speech/athena", "speech/other_en")),
        "telephone": Source(("vi_commands",), is_wanted=lambda number: number % 20 < 10),
    },
    "test": {
        "jackson": Source(("digits/jackson",), 15.0),
        "nicolas": Source(("digits/nicolas",), 15.0),
        "jarvis": Source(("wake/jarvis",)),
        "smart mirror": Source(("wake/smart_mirror",)),
        "telephone": Source(("vi_commands",), is_wanted=lambda number: number % 20 >= 10),
    },
}


def _number(path: Path) -> int:
    return int(re.sub(r"\D", "", path.stem))


def talks(root: Path, half: str, duration_s: float) -> Iterator[tuple[str, str, Talk]]:
    """(kind, source, talk of so long), every source in every kind."""
    for seed, (source, given) in enumerate(SOURCES[half].items()):
        words = words_of(root, given)
        calm = put_together(words, duration_s, CALM, seed=seed)
        breathless = put_together(words, duration_s, BREATHLESS, seed=seed + 100)
        yield "people", source, calm
        yield "people, rising floor", source, _rising(calm, seed)
        for noise in NOISES:
            yield f"people, {noise.replace('_', ' ')}", source, _with_noise(calm, root, half, noise, seed)
        yield "people, breathless", source, breathless
        yield "people, breathless, rising floor", source, _rising(breathless, seed)


def words_of(root: Path, source: Source) -> list[Word]:
    paths = itertools.chain.from_iterable(_recordings(root / folder) for folder in source.folders)
    wanted = (path for path in paths if source.is_wanted(_number(path)))
    return [word for path in wanted for word in _word(path, source.least_snr_db)]


def _recordings(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix in {".flac", ".wav", ".ogg"})
    if not found:
        raise SystemExit(f"{folder} holds no recordings")
    return found


def _read(path: Path) -> np.ndarray:
    """Without what is below a voice, and its ends faded over 5 ms: where a recording was cut out of another
    one there is a click."""
    stereo, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    samples = _above_60_hz(stereo.mean(axis=1), rate_hz)
    ends = rate_hz // 200
    samples[:ends] *= np.linspace(0, 1, ends, dtype=np.float32)
    samples[-ends:] *= np.linspace(1, 0, ends, dtype=np.float32)
    return soxr.resample(samples, rate_hz, RATE_HZ).astype(np.float32)


def _above_60_hz(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Mirrored at both ends, for there is no telling what went on there."""
    padded = np.pad(samples, rate_hz // 10, mode="reflect", reflect_type="odd")
    at_hz = np.fft.rfftfreq(padded.size, 1 / rate_hz)
    gain = np.clip((at_hz - 40) / 40, 0, 1)
    filtered = np.fft.irfft(np.fft.rfft(padded) * gain, padded.size)[rate_hz // 10 :]
    return filtered[: samples.size].astype(np.float32)


# ---------------------------------------------------------------- where a word lies


def _word(path: Path, least_snr_db: float) -> list[Word]:
    """None where there is none, or where its end is lost in noise."""
    samples = _read(path)
    frames = _frame_powers(samples)
    if frames.size < 10:
        return []
    around = np.convolve(frames, np.full(6, 1 / 6), "valid")
    floor, peak = max(float(around.min()), 1e-10), float(frames.max())
    over = max(peak * 10 ** (-_RANGE_DB / 10), floor * 10 ** (_OVER_FLOOR_DB / 10))
    runs = _around_the_loudest(_closed(frames, over), frames)
    core = _around_the_loudest(_closed(frames, max(peak * 10 ** (-_CORE_DB / 10), over)), frames)
    if not runs or not core or _reach_s(runs, core) > _FADING_S:
        return []
    spoken = np.zeros(samples.size, bool)
    for a, b in runs:
        spoken[a * _FRAME : b * _FRAME] = True
    start, end = runs[0][0] * _FRAME, runs[-1][1] * _FRAME
    power = float(np.mean(samples[spoken] ** 2))
    snr_db = 10 * np.log10(power / floor)
    if snr_db < least_snr_db or not _WORD_S[0] <= (end - start) / RATE_HZ <= _WORD_S[1]:
        return []
    gain = np.float32(10 ** (SPEECH_DBFS / 20) / np.sqrt(power))
    return [Word(samples * gain, spoken, start, end, SPEECH_DBFS - snr_db)]


def _frame_powers(samples: np.ndarray) -> np.ndarray:
    frames = samples[: samples.size // _FRAME * _FRAME].reshape(-1, _FRAME)
    return np.mean(np.square(frames, dtype=np.float64), axis=1)


def _closed(frames: np.ndarray, over: float) -> list[tuple[int, int]]:
    """Runs that are louder, those with a closure between them as one. A short one counts only where it is as
    loud as the release of a t: else it is a click, of the line or of lips."""
    is_loud = np.concatenate(([False], frames > over, [False]))
    edges = np.flatnonzero(np.diff(is_loud)).reshape(-1, 2).tolist()
    release = float(frames.max()) * 10 ** (-_RELEASE_DB / 10)
    joined: list[tuple[int, int]] = []
    for a, b in edges:
        if (b - a) * _FRAME < _RELEASE_S * RATE_HZ and frames[a:b].max() < release:
            continue
        if joined and (a - joined[-1][1]) * _FRAME < _CLOSURE_S * RATE_HZ:
            joined[-1] = (joined[-1][0], b)
        else:
            joined.append((a, b))
    return joined


def _around_the_loudest(runs: list[tuple[int, int]], frames: np.ndarray) -> list[tuple[int, int]]:
    """Clicks left out, and what is further from it than a margin reaches: that is something else."""
    sounds = [(a, b) for a, b in runs if (b - a) * _FRAME >= _CLICK_S * RATE_HZ]
    if not sounds:
        return []
    far = _MARGIN_S * RATE_HZ / _FRAME
    first = last = max(range(len(sounds)), key=lambda i: frames[slice(*sounds[i])].sum())
    while first > 0 and sounds[first][0] - sounds[first - 1][1] < far:
        first -= 1
    while last < len(sounds) - 1 and sounds[last + 1][0] - sounds[last][1] < far:
        last += 1
    return sounds[first : last + 1]


def _reach_s(runs: list[tuple[int, int]], core: list[tuple[int, int]]) -> float:
    """How far the quieter part of a word reaches beyond the louder, on the side where it is further."""
    return max(core[0][0] - runs[0][0], runs[-1][1] - core[-1][1]) * _FRAME / RATE_HZ


# ---------------------------------------------------------------- words become talk


def put_together(words: Sequence[Word], duration_s: float, manner: Manner, *, seed: int) -> Talk:
    """Recordings that have about the same noise, in random order, over and over. The noise of the loudest is
    under all of it: in a quieter recording there is more of it."""
    rng = np.random.default_rng(seed)
    floor_db = float(np.quantile([word.floor_db for word in words], 0.75))
    alike = [word for word in words if word.floor_db <= floor_db + _FLOORS_DB]
    wanted = round(duration_s * RATE_HZ)
    samples, spoken = np.zeros(wanted, np.float32), np.zeros(wanted, bool)
    noise_there = np.zeros(wanted, np.float32)  # share of the amplitude that recordings have of their own
    for word, at, before, after in _placed(alike, wanted, manner, rng):
        gain_db = rng.uniform(-3, 3)
        own = min(10 ** ((word.floor_db + gain_db - floor_db) / 20), 1)
        _put(word, 10 ** (gain_db / 20), own, at, (before, after), (samples, spoken, noise_there))
    room = _room(alike, wanted, rng) * 10 ** (floor_db / 20)
    return Talk(np.clip(samples + room * np.sqrt(1 - noise_there**2), -1, 1).astype(np.float32), spoken)


def _placed(
    words: Sequence[Word], wanted: int, manner: Manner, rng: np.random.Generator
) -> Iterator[tuple[Word, int, int, int]]:
    """(word, where its speech begins, silence before it and after it)."""
    order = itertools.chain.from_iterable(rng.permutation(len(words)) for _ in itertools.count())
    at = before = round(rng.uniform(*manner.pauses_s) * RATE_HZ)
    left = rng.uniform(*manner.phrases_s) * RATE_HZ
    for index in order:
        word = words[index]
        left -= word.end - word.start
        after = round(_silence_s(manner, rng, ends=left <= 0) * RATE_HZ)
        if at + word.end - word.start + after > wanted:
            return
        yield word, at, before, after
        left = rng.uniform(*manner.phrases_s) * RATE_HZ if left <= 0 else left - after
        at += word.end - word.start + after
        before = after


def _silence_s(manner: Manner, rng: np.random.Generator, *, ends: bool) -> float:
    if not ends:
        return float(rng.uniform(*_GAPS_S))
    is_long = rng.random() < 1 / manner.long_in
    return float(rng.uniform(2, 5) if is_long else rng.uniform(*manner.pauses_s))


def _put(
    word: Word,
    gain: float,
    own: float,
    at: int,
    around: tuple[int, int],
    onto: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Word and what its recording has around it, for at most half of the silence there."""
    samples, spoken, noise_there = onto
    most = round(_MARGIN_S * RATE_HZ)
    before = min(word.start, around[0] // 2, most)
    after = min(word.samples.size - word.end, around[1] // 2, most)
    part = slice(word.start - before, word.end + after)
    place = slice(at - before, at + word.end - word.start + after)
    fade = _faded(place.stop - place.start, before, after)
    samples[place] += word.samples[part] * np.float32(gain) * fade
    noise_there[place] = np.maximum(noise_there[place], np.float32(own) * fade)
    spoken[place] |= word.spoken[part]


def _faded(size: int, before: int, after: int) -> np.ndarray:
    """Ones that rise from zero and fall to it, in the silence, or where there is none in 2 ms."""
    least, most = RATE_HZ // 500, RATE_HZ // 100
    fade = np.ones(size, np.float32)
    rise, fall = (min(max(margin, least), most) for margin in (before, after))
    fade[:rise] = np.sin(np.linspace(0, np.pi / 2, rise))
    fade[size - fall :] = np.cos(np.linspace(0, np.pi / 2, fall))
    return fade


def _room(words: Sequence[Word], samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise with the spectrum that is usual for the quietest 30 ms of a recording, of power 1."""
    size = 660
    quietest = np.stack([_quietest(word.samples, size) for word in words])
    window = np.hanning(size)
    powers = np.median(np.abs(np.fft.rfft(quietest * window, axis=1)) ** 2, axis=0)
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    at = np.linspace(0, 1, spectrum.size)
    shaped = np.fft.irfft(spectrum * np.sqrt(np.interp(at, np.linspace(0, 1, powers.size), powers)), samples)
    return shaped / np.sqrt(np.mean(shaped**2))


def _quietest(samples: np.ndarray, size: int) -> np.ndarray:
    if samples.size < size:
        return np.pad(samples, (0, size - samples.size))
    sums = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64))))
    first = int((sums[size:] - sums[:-size]).argmin())
    return samples[first : first + size]


# ---------------------------------------------------------------- noise


def _rising(one: Talk, seed: int, floor_dbfs: float = -35.0) -> Talk:
    noisy = with_rising_noise(one.samples, first_dbfs=QUIET_DBFS, last_dbfs=floor_dbfs, seed=seed)
    return Talk(noisy, one.spoken)


def _with_noise(one: Talk, root: Path, half: str, name: str, seed: int) -> Talk:
    """Its level against that of the words, both as a mean of power, somewhere in `NOISE_SNR_DB`; another
    recording every minute."""
    rng = np.random.default_rng(seed)
    minutes = -(-one.samples.size // (60 * RATE_HZ))
    recorded = _recorded_noises(root / "noise" / name, half)
    picked = rng.choice(len(recorded), minutes, replace=minutes > len(recorded))
    noise = np.concatenate([np.resize(recorded[i], 60 * RATE_HZ) for i in picked])[: one.samples.size]
    ratio = np.mean(one.samples[one.spoken] ** 2) / np.mean(noise**2)
    gain = np.sqrt(ratio / 10 ** (rng.uniform(*NOISE_SNR_DB) / 10))
    return Talk((one.samples + noise * gain).astype(np.float32), one.spoken)


@cache
def _recorded_noises(folder: Path, half: str) -> list[np.ndarray]:
    """Every other recording, equally loud, digital zeros left out; the end fades into the beginning."""
    paths = _recordings(folder)[0 if half == "dev" else 1 :: 2]
    heard = [_without_zeros(_read(path)) for path in paths]
    return [_loop(one / np.sqrt(np.mean(one**2))) for one in heard if one.size > RATE_HZ]


def _without_zeros(samples: np.ndarray) -> np.ndarray:
    frames = samples[: samples.size // 2205 * 2205].reshape(-1, 2205)
    return frames[np.abs(frames).max(axis=1) > 1e-4].ravel()


def _loop(samples: np.ndarray) -> np.ndarray:
    over = RATE_HZ // 5
    fade = np.sin(np.linspace(0, np.pi / 2, over)).astype(np.float32)
    begun = samples[:over] * fade + samples[-over:] * fade[::-1]
    return np.concatenate([begun, samples[over:-over]])
