"""From clips to texts: what came along with the recording, or what a recogniser hears, by a pool of workers.

What a clip says is kept by what it was made of (clip, recognisers, settings), so that a run that was killed
goes on where it was, and other settings of earlier stages repeat only the clips that they change. Which
worker hears a clip, and in which order they finish, changes nothing; nor does when it is asked for: the clips
of a recording are heard while the ones after it are still cut.

    CACHE/<key>.json      a `Heard`, written once
    OUT/…                 see `metadata`: a line and a JSON file appear as clips finish
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Literal, Self

import numpy as np
import soxr

from phonoloop.audio.tempo import change_tempo
from phonoloop.audio.vad import frame_levels_db
from phonoloop.core.errors import AudioError, CancelledError, ConfigError, InputError, IntegrityError
from phonoloop.core.files import write_whole
from phonoloop.core.ids import canonical_json, content_id
from phonoloop.core.speech import Phonemiser, Transcriber, Transcription
from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.text.normalise import is_vietnamese
from phonoloop.text.syllable_errors import split_syllables
from phonoloop.voice.data import RATE_HZ, Source, VoiceClip
from phonoloop.voice.known import Known, known_texts, laid_over
from phonoloop.voice.metadata import Appender, made_safe, write_texts
from phonoloop.voice.review import read_corrections, settled
from phonoloop.voice.texts import ClipText, Heard, Origin, snr_of

#: raise it when the same clip would be heard another way
VERSION = 1
#: the second decode of the same recogniser is of slower, quieter speech
_SLOWER, _QUIETER = 0.9, 0.5
#: a clip's ends, after its fades
_EDGE_FRAME, _EDGE_FRAMES = RATE_HZ // 100, slice(1, 4)


@dataclass(frozen=True, slots=True)
class TranscribeSettings:
    """How texts are made.

    Attributes:
        second: where only one recogniser is there, it hears a clip a second time, `slower`; or `none`.
        check_given: a recogniser, where there is one, also hears the clips whose text came along.
        min_trust: what is trusted less, 0 to 1, is not trained on until a person has accepted it.
    """

    second: Literal["slower", "none"] = "slower"
    check_given: bool = True
    min_trust: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ears:
    """Who hears. None at all is possible: then only texts that came along count.

    Attributes:
        first: one recogniser a worker, all of the same model. A recogniser that may be called from several
            threads can be named several times.
        second: another model for the second opinion, as many of it; empty for none.
        phonemiser: counts what a text has to say; syllables or letters are counted without it.
    """

    first: Sequence[Transcriber] = ()
    second: Sequence[Transcriber] = ()
    phonemiser: Phonemiser | None = None

    def __post_init__(self) -> None:
        if (
            len({one.model_version for one in self.first}) > 1
            or len({o.model_version for o in self.second}) > 1
        ):
            raise ConfigError(
                "the workers have different recognisers, so that chance would decide which one hears a clip",
                code="voice.mixed_recognisers",
                hint="Give all workers the same model",
            )
        if self.second and len(self.second) != len(self.first):
            raise ConfigError(
                f"there are {len(self.first)} recognisers, and {len(self.second)} for the second opinion",
                code="voice.mixed_recognisers",
                hint="Give each worker both",
            )

    @property
    def versions(self) -> tuple[str, str]:
        """Of both models; empty for none."""
        return tuple(ears[0].model_version if ears else "" for ears in (self.first, self.second))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """What a transcription works with.

    Attributes:
        read: a clip's samples, float32 (n,) in [-1, 1] at 22,050 Hz; called from several threads.
        cache: the folder of what was heard.
        language: of recordings that do not say theirs.
    """

    read: Callable[[VoiceClip], np.ndarray]
    cache: Path
    language: str
    ears: Ears = Ears()
    settings: TranscribeSettings = TranscribeSettings()


def _nothing(clip: VoiceClip) -> None:
    return None


def _never() -> bool:
    return False


def transcribe(
    clips: Sequence[VoiceClip],
    sources: Mapping[str, Source],
    hearing: Hearing,
    *,
    out: Path,
    on_clip: Callable[[VoiceClip], None] = _nothing,
    should_stop: Callable[[], bool] = _never,
) -> list[ClipText]:
    """The stage with workers of its own; see `transcribe_by`."""
    with Workers(hearing) as workers:
        return transcribe_by(workers, clips, sources, out=out, on_clip=on_clip, should_stop=should_stop)


def transcribe_by(
    workers: Workers,
    clips: Sequence[VoiceClip],
    sources: Mapping[str, Source],
    *,
    out: Path,
    on_clip: Callable[[VoiceClip], None] = _nothing,
    should_stop: Callable[[], bool] = _never,
) -> list[ClipText]:
    """The stage: texts of all clips that are not refused, in `out` and as they come back, by source and time.

    A line of `metadata.csv` and a JSON file appear as each clip is heard. At the end both are written as they
    stay: with what people corrected, the trust that comparing all clips gives, and nothing of other clips.

    Args:
        workers: who may have heard some of the clips already.
        clips: of all sources; the refused ones help to tell what was said in the others.
        on_clip: called for each clip, in the order given, once its text is on the disk.

    Raises:
        CancelledError: `voice.cancelled`. ResourceError: `resource.disk`.
        NotFoundError: `espeak.voice`, the phonemiser does not know the language.
        IntegrityError: `voice.heard`, `voice.correction`. What the recognisers raise, but for InputErrors
            about one clip: those are counted (`Heard.refused`).
    """
    asked = [workers.ask_all(sources[source_id], group) for source_id, group in _by_source(clips).items()]
    futures = {clip_id: future for one in asked for clip_id, future in one.items()}
    corrections = read_corrections(out)
    appender = Appender(out)
    texts = []
    for clip in (clip for clip in clips if not clip.refused):
        texts.append(_text(clip, sources[clip.source_id], futures[clip.clip_id].result()))
        appender.add(settled(texts[-1:], corrections)[0])
        on_clip(clip)
        if should_stop():
            raise CancelledError(
                "it was asked to stop", code="voice.cancelled", hint="The same command goes on from here"
            )
    done = settled(_with_whole_texts(texts, sources, workers.hearing), corrections)
    return write_texts(out, done)


def _by_source(clips: Iterable[VoiceClip]) -> dict[str, list[VoiceClip]]:
    found: dict[str, list[VoiceClip]] = {}
    for clip in clips:
        found.setdefault(clip.source_id, []).append(clip)
    return found


def _text(clip: VoiceClip, source: Source, heard: Heard) -> ClipText:
    return ClipText(
        clip_id=clip.clip_id,
        source_id=clip.source_id,
        spans=clip.spans,
        samples=clip.samples,
        speaker=source.speaker,
        language=heard.language,
        heard=heard,
        snr_db=snr_of(clip),
    )


# ---------------------------------------------------------------- the pool


class Workers:
    """Hear clips in the order in which they are asked for, each clip once however often that is.

    A context manager; when it is left, clips that nobody has begun with are not heard any more.
    """

    def __init__(self, hearing: Hearing) -> None:
        self.hearing = hearing
        workers = max(1, len(hearing.ears.first))
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="transcribe")
        self._free: SimpleQueue[int] = SimpleQueue()
        for number in range(workers):
            self._free.put(number)
        self._asked: dict[str, Future[Heard]] = {}
        self._under_way: deque[Future[Heard]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def ask_all(self, source: Source, clips: Sequence[VoiceClip]) -> dict[str, Future[Heard]]:
        """By clip, what those of a recording say that are not refused.

        Args:
            clips: all of the source; the refused ones help to tell what was said in the others.
        """
        known = known_texts(source, clips)
        return {
            clip.clip_id: self._ask(clip, known.get(clip.clip_id), source.language or self.hearing.language)
            for clip in clips
            if not clip.refused
        }

    def _ask(self, clip: VoiceClip, known: Known | None, language: str) -> Future[Heard]:
        key = _key(clip, known, self.hearing, language)
        if key not in self._asked:
            self._asked[key] = self._threads.submit(self._work, clip, known, key, language)
            self._under_way.append(self._asked[key])
        return self._asked[key]

    def _work(self, clip: VoiceClip, known: Known | None, key: str, language: str) -> Heard:
        number = self._free.get()
        try:
            return _hear(clip, known, self.hearing, key=key, language=language, worker=number)
        finally:
            self._free.put(number)

    def done(self) -> int:
        """How many clips were heard; it waits for none. Raises what a worker has raised."""
        while self._under_way and self._under_way[0].done():
            self._under_way.popleft().result()
        return len(self._asked) - len(self._under_way)

    def kept(self) -> Iterator[Path]:
        """The files in the cache that they wrote or read; waits for each. Raises what a worker has raised."""
        for key, future in self._asked.items():
            future.result()
            if (path := self.hearing.cache / f"{key}.json").exists():
                yield path


def _hear(
    clip: VoiceClip, known: Known | None, hearing: Hearing, *, key: str, language: str, worker: int
) -> Heard:
    path = hearing.cache / f"{key}.json"
    if path.exists():
        return _read_heard(path)
    samples = hearing.read(clip)
    heard = Heard(
        key=key,
        text=known.text if known else "",
        origin=Origin.SIDECAR if known else Origin.MACHINE,
        split=bool(known and known.split),
        language=language,
        edges_db=edges_db(samples),
    )
    if not hearing.ears.first or (known and not hearing.settings.check_given):
        return _counted(heard, hearing.ears.phonemiser)  # at once, so that keeping it would take longer
    heard = _counted(_asked(heard, samples, hearing, worker), hearing.ears.phonemiser)
    write_whole(path, (canonical_json(heard.to_dict()) + "\n").encode("utf-8", "surrogatepass"))
    return heard


def _key(clip: VoiceClip, known: Known | None, hearing: Hearing, language: str) -> str:
    said = None if known is None else [ascii(known.text), known.split]
    settings, ears = hearing.settings, hearing.ears
    made_of = [settings.second, settings.check_given, *ears.versions, ears.phonemiser is not None]
    return content_id([VERSION, clip.clip_id, said, language, made_of])


def _read_heard(path: Path) -> Heard:
    try:
        return Heard.from_dict(json.loads(path.read_bytes().decode("utf-8", "surrogatepass")))
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"this is not what was heard in a clip ({error})",
            code="voice.heard",
            subject=str(path),
            hint="Remove the file and start again: the clip is heard anew",
        ) from error


def _asked(heard: Heard, samples: np.ndarray, hearing: Hearing, worker: int) -> Heard:
    """What the recognisers say; a clip that they refuse is told, and keeps a text that was given."""
    speech = soxr.resample(samples, RATE_HZ, CANONICAL_RATE_HZ).astype(np.float32)
    first, version = hearing.ears.first[worker], hearing.ears.versions[0]
    try:
        once = first.transcribe(speech)
        if heard.origin is Origin.SIDECAR:
            return replace(heard, second=once.text, model_version=version)
        heard = _machine(heard, once, version)
        return replace(heard, second=_second_text(speech, hearing, worker))
    except (AudioError, InputError) as error:
        return replace(heard, model_version=version, refused=f"[{error.code}] {error}")


def _machine(heard: Heard, once: Transcription, version: str) -> Heard:
    return replace(
        heard,
        text=once.text,
        confidence=once.confidence,
        words=tuple(once.words),
        language=once.language or heard.language,
        model_version=version,
    )


def _second_text(speech: np.ndarray, hearing: Hearing, worker: int) -> str | None:
    if hearing.ears.second:
        return hearing.ears.second[worker].transcribe(speech).text
    if hearing.settings.second == "none":
        return None
    other = change_tempo(speech, _SLOWER) * np.float32(_QUIETER)
    return hearing.ears.first[worker].transcribe(other).text


def edges_db(samples: np.ndarray) -> tuple[float, float]:
    """How loud 30 ms at each end are (after 10 ms of fade), in dB against the loudest twentieth.

    Args:
        samples: float32 (n,) at 22,050 Hz; of less than 80 ms the ends are taken for speech (0 dB).
    """
    levels = frame_levels_db(samples, _EDGE_FRAME)
    if levels.size < 2 * _EDGE_FRAMES.stop:
        return (0.0, 0.0)
    speech = float(np.percentile(levels, 95))
    ends = (levels[_EDGE_FRAMES], levels[::-1][_EDGE_FRAMES])
    start, end = (round(float(part.max()) - speech, 1) for part in ends)
    return start, end


def _counted(heard: Heard, phonemiser: Phonemiser | None) -> Heard:
    """How much there is to say; nothing where the phonemiser cannot read it."""
    if not heard.text:
        return heard
    if phonemiser is None:
        return _counted_letters(heard)
    try:
        words = phonemiser.phonemise(_readable(heard.text), heard.language)
    except InputError:
        words = []
    return replace(heard, sounds=sum(map(len, words)), sound_unit="phonemes")


def _readable(text: str) -> str:
    return made_safe(text).text


def _counted_letters(heard: Heard) -> Heard:
    text = _readable(heard.text)
    if is_vietnamese(heard.language):
        return replace(heard, sounds=len(split_syllables(text)), sound_unit="syllables")
    return replace(heard, sounds=sum(map(str.isalnum, text)), sound_unit="letters")


# ---------------------------------------------------------------- texts of whole recordings


def _with_whole_texts(
    texts: Sequence[ClipText], sources: Mapping[str, Source], hearing: Hearing
) -> list[ClipText]:
    """The text of a recording without times, laid over what was heard in its clips."""
    of_source: dict[str, list[ClipText]] = {}
    for text in texts:
        of_source.setdefault(text.source_id, []).append(text)
    lay = partial(_laid, phonemiser=hearing.ears.phonemiser)
    return [one for source_id, group in of_source.items() for one in lay(sources[source_id], group)]


def _laid(source: Source, texts: Sequence[ClipText], *, phonemiser: Phonemiser | None) -> list[ClipText]:
    unknown = [text for text in texts if text.heard.origin is Origin.MACHINE]
    if source.timed or not source.text or not any(text.heard.text for text in unknown):
        return list(texts)
    ordered = sorted(texts, key=lambda text: text.spans[0].start)
    laid = laid_over(source.text, [text.heard.text for text in ordered], ordered[0].language)
    return [
        text if given is None else replace(text, heard=_given(text.heard, given, phonemiser))
        for text, given in zip(ordered, laid, strict=True)
    ]


def _given(heard: Heard, text: str, phonemiser: Phonemiser | None) -> Heard:
    given = replace(heard, text=text, origin=Origin.SIDECAR, second=heard.text, confidence=None, words=())
    return _counted(given, phonemiser)
