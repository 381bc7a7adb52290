"""Opening and decoding one media file, inside the decoding child.

Decoders in order: PyAV (ffmpeg's libraries), then soundfile (libsndfile), which
is asked only when PyAV got no sample out of the file.

What the file is called plays no part: the container is told from its bytes. A
container that names other files or addresses (playlists) is never opened.
"""

from __future__ import annotations

import dataclasses
import errno
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import av
import numpy as np

from phonoloop.audio.pcm import PcmSink, mean_of_columns, mean_of_planes, too_long
from phonoloop.core.errors import AudioError

#: demuxers that only ever read the bytes they are given
_CONTAINERS = (
    "wav,w64,aiff,au,caf,voc,nistsphere,sox,mp3,aac,loas,ac3,eac3,flac,ogg,amr,amrnb,amrwb,gsm,ape,wv,tta,tak,"
    "mpc,mpc8,dts,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,avi,flv,mpegts,mpeg,rm,qcp,dsf,iff,xwma"
)
#: containers whose header states how long the audio is, so that less of it means a cut file
_STATES_ITS_LENGTH = frozenset(
    {"wav", "w64", "aiff", "au", "caf", "flac", "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
)
_DTYPES = {
    "u8": (np.uint8, 1 / 128),
    "s16": (np.int16, 1 / 32768),
    "s32": (np.int32, 1 / 2147483648),
    "s64": (np.int64, 1 / 9223372036854775808),
    "flt": (np.float32, 1.0),
    "dbl": (np.float64, 1.0),
}
_STARTS = (
    b"RIFF",
    b"RF64",
    b"fLaC",
    b"OggS",
    b"ID3",
    b"\x1a\x45\xdf\xa3",
    b"FORM",
    b"caff",
    b".snd",
    b"\xff\xfb",
)
_HEAD_BYTES = 8192
#: a shorter stretch than this may be missing: encoder padding, edit lists, rounded durations
_LENGTH_TOLERANCE_S = 0.25
_MAX_BAD_SHARE = 0.1
_READ_BLOCK_FRAMES = 65536
#: who writes a WAV file into a pipe gives it a length like this
_RIFF_SIZE_UNKNOWN = 0x7FFF0000
_OGG_PAGE_BYTES, _OGG_LAST_PAGE = 65307, 4


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found beside the samples; field names are those of `decode.Decoded`."""

    source_rate_hz: int
    channels: int
    container: str
    codec: str
    truncated: bool
    damaged_packets: int


class _Nameless:
    """A file without its name, so that the name cannot decide how it is read."""

    def __init__(self, file: io.BufferedReader) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def memory_error() -> dict[str, Any]:
    return {
        "code": "audio.memory",
        "message": "decoding it took more memory than is allowed",
        "hint": "The file may be malformed; convert it again from the original, or raise the limit",
    }


def decode_file(
    path: str, *, rate_hz: int, max_duration_s: float, emit: Callable[[np.ndarray], None]
) -> dict[str, Any]:
    """Decode the first audio track of `path`, block by block, into `emit`.

    Raises:
        AudioError: audio.missing, audio.not_audio, audio.no_audio_track, audio.truncated,
            audio.too_short, audio.too_long, audio.corrupt.
        MemoryError: the limit was met.
    """
    sink = PcmSink(rate_hz, max_duration_s, emit)
    with _opened(path) as file:
        try:
            facts = _by_pyav(file, sink, max_duration_s)
        except AudioError as error:
            if sink.emitted or error.code == "audio.too_long":
                raise
            facts = _by_soundfile(file, sink, after=error)
    return dataclasses.asdict(facts)


def _opened(path: str) -> io.BufferedReader:
    try:
        # no waiting on what is not a plain file; the parent has looked, but files change
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        return os.fdopen(fd, "rb", buffering=1 << 16)
    except OSError as error:
        raise _unreadable(error) from None


def _unreadable(error: OSError) -> AudioError:
    gone = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
    return AudioError(
        f"it cannot be opened ({error.strerror})",
        code="audio.missing" if gone else "audio.unreadable",
        hint="It may have been moved while it was being read" if gone else "Check its permissions",
    )


# PyAV


def _by_pyav(file: io.BufferedReader, sink: PcmSink, max_duration_s: float) -> Facts:
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    try:
        container = av.open(
            _Nameless(file), options={"format_whitelist": _CONTAINERS}, metadata_errors="replace"
        )
    except MemoryError:
        raise
    except (av.error.FFmpegError, ValueError, EOFError) as error:
        raise _cannot_open(head, error) from None
    with container:
        facts = _decode_track(container, head, sink=sink, max_duration_s=max_duration_s)
    return dataclasses.replace(facts, truncated=facts.truncated or _is_cut(file, head))


def _decode_track(container: Any, head: bytes, *, sink: PcmSink, max_duration_s: float) -> Facts:
    stream = _audio_track(container)
    declared_s = _declared_s(container, stream, head)
    if declared_s > max_duration_s:
        raise too_long(max_duration_s)
    reader = _Reader(container, stream)
    for mono, rate in reader.blocks():
        sink.push(mono, rate)
    sink.finish()
    if not sink.emitted:
        _raise_no_samples(declared_s, reader)
    if reader.bad_packets > max(2, _MAX_BAD_SHARE * reader.packets):
        raise _corrupt(f"{reader.bad_packets} of its {reader.packets} packets cannot be decoded")
    return Facts(
        source_rate_hz=sink.source_rate_hz,
        channels=reader.channels,
        container=container.format.name,
        codec=stream.codec_context.name,
        truncated=reader.broke_off or sink.taken_s < declared_s - _LENGTH_TOLERANCE_S,
        damaged_packets=reader.bad_packets,
    )


def _audio_track(container: Any) -> Any:
    if not container.streams.audio:
        raise AudioError(
            "there is no audio track in it", code="audio.no_audio_track", hint="Check that sound was recorded"
        )
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise AudioError(
            "its audio codec is not known", code="audio.not_audio", hint="Convert it to FLAC, WAV or MP3"
        )
    stream.codec_context.thread_count = 1  # threads cost more than they bring at one stream a process
    return stream


class _Reader:
    """Goes through the packets of one track, steps over damaged ones and counts them."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream = container, stream
        self.packets = 0
        self.bad_packets = 0
        self.broke_off = False
        self.channels = 0

    def blocks(self) -> Iterator[tuple[np.ndarray, int]]:
        """Mono float32 (n,) with its rate, in order."""
        for packet in self._demux():
            self.packets += 1
            for frame in self._decode(packet):
                self.channels = self.channels or frame.layout.nb_channels
                yield _mono(frame), frame.sample_rate

    def _demux(self) -> Iterator[Any]:
        try:
            yield from self._container.demux(self._stream)
        except MemoryError:
            raise
        except (av.error.FFmpegError, EOFError):
            self.broke_off = True  # what came before it counts

    def _decode(self, packet: Any) -> list[Any]:
        try:
            frames = packet.decode()
        except MemoryError:
            raise
        except EOFError:
            return []
        except av.error.FFmpegError:
            self.bad_packets += 1
            self.broke_off = True  # unless a good one follows
            return []
        self.broke_off = self.broke_off and not frames
        return frames


def _mono(frame: Any) -> np.ndarray:
    name = (
        frame.format.name
    )  # the planar ones end in p; asking the format itself makes objects, frame by frame
    dtype, scale = _DTYPES[name.removesuffix("p")]
    samples, channels = frame.samples, frame.layout.nb_channels
    if channels == 1 or name[-1] == "p":
        mixed = mean_of_planes([np.frombuffer(plane, dtype, samples) for plane in frame.planes], scale)
    else:
        packed = np.frombuffer(frame.planes[0], dtype, samples * channels)
        mixed = mean_of_columns(packed.reshape(samples, channels), scale)
    if dtype is np.uint8:
        mixed -= 1.0
    return mixed


def _declared_s(container: Any, stream: Any, head: bytes) -> float:
    """The length that the header states, in seconds; 0 where it states none or only a guess is known."""
    name = container.format.name
    if name not in _STATES_ITS_LENGTH and not (name == "mp3" and _mp3_states_length(head)):
        return 0.0
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / av.time_base
    return 0.0


def _mp3_states_length(head: bytes) -> bool:
    """Whether the first frame is a Xing, Info or VBRI header (a large ID3 tag hides it: then no)."""
    return any(mark in head for mark in (b"Xing", b"Info", b"VBRI"))


def _is_cut(file: io.BufferedReader, head: bytes) -> bool:
    """Whether the file itself says that there should be more of it, where ffmpeg takes what there is."""
    size = file.seek(0, os.SEEK_END)
    if head.startswith(b"RIFF"):
        stated = int.from_bytes(head[4:8], "little")
        return size - 8 < stated < _RIFF_SIZE_UNKNOWN
    if head.startswith(b"OggS"):
        file.seek(max(0, size - _OGG_PAGE_BYTES))
        tail = file.read()
        last_page = tail.rfind(b"OggS")
        flags = tail[last_page + 5 : last_page + 6]
        return last_page < 0 or not flags or not flags[0] & _OGG_LAST_PAGE
    return False


# what went wrong


def _cannot_open(head: bytes, error: Exception) -> AudioError:
    if head.startswith(_STARTS) or head[4:8] == b"ftyp":
        return AudioError(
            "it begins like a media file but ends before any audio",
            code="audio.truncated",
            hint="Copy it again; the transfer may have broken off",
        )
    return AudioError(
        f"it is not a media file ({type(error).__name__})",
        code="audio.not_audio",
        hint="Give a sound or video file (WAV, MP3, M4A, FLAC, Ogg, Opus, MP4, WebM ...)",
    )


def _raise_no_samples(declared_s: float, reader: _Reader) -> NoReturn:
    if reader.bad_packets:
        raise _corrupt("none of its packets can be decoded")
    if declared_s > 0 or reader.broke_off:
        raise AudioError(
            "it ends before its first sample",
            code="audio.truncated",
            hint="Copy it again; the transfer may have broken off",
        )
    raise AudioError(
        "it holds no samples", code="audio.too_short", hint="Check that the recording was not empty"
    )


def _corrupt(message: str) -> AudioError:
    return AudioError(message, code="audio.corrupt", hint="Copy or convert it again from the original")


# soundfile


def _by_soundfile(file: io.BufferedReader, sink: PcmSink, *, after: AudioError) -> Facts:
    """Decode with libsndfile what PyAV could not; where it cannot either, PyAV's error stands."""
    import soundfile  # here, not above: few files come this way, and it takes a while to load

    file.seek(0)
    try:
        with soundfile.SoundFile(file) as sound:
            for block in sound.blocks(_READ_BLOCK_FRAMES, dtype="float32", always_2d=True):
                sink.push(mean_of_columns(block, 1.0), sound.samplerate)
            sink.finish()
            facts = _soundfile_facts(sound, sink)
    except soundfile.LibsndfileError:
        raise after from None
    if not sink.emitted:
        raise after
    return facts


def _soundfile_facts(sound: Any, sink: PcmSink) -> Facts:
    return Facts(
        source_rate_hz=sound.samplerate,
        channels=sound.channels,
        container=sound.format.lower(),
        codec=sound.subtype.lower(),
        truncated=sink.taken_s < sound.frames / sound.samplerate - _LENGTH_TOLERANCE_S,
        damaged_packets=0,
    )
