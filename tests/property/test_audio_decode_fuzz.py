"""Whatever bytes a file holds, decoding it gives samples or an `AudioError`, and the parent lives."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phonoloop.audio.decode import DecodeLimits, Decoder
from phonoloop.core.errors import AudioError
from phonoloop.testing.sounds import speech_like, write_media

SUFFIXES = (".wav", ".mp3", ".m4a", ".flac", ".ogg", ".opus", ".webm", ".aac")
CODES = {
    f"audio.{what}"
    for what in (
        *("empty", "not_audio", "no_audio_track", "truncated", "too_long", "too_short"),
        *("corrupt", "memory"),
    )
}


@pytest.fixture(scope="module")
def decoder():
    with Decoder(DecodeLimits(max_duration_s=600, timeout_s=30)) as decoder:
        yield decoder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    sound = speech_like(0.7, seed=1, rate_hz=48_000, pause_s=0.1).samples
    return {suffix: write_media(folder / f"a{suffix}", sound, 48_000).read_bytes() for suffix in SUFFIXES}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "a"


def outcome(decoder, path, content):
    """The code of the error, or "decoded"."""
    path.write_bytes(content)
    try:
        decoded = decoder.decode(path)
    except AudioError as error:
        return error.code
    assert decoded.pcm.dtype == np.int16
    assert 0 < decoded.duration_s <= 601
    return "decoded"


fuzz = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzz
@given(
    suffix=st.sampled_from(SUFFIXES),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), max_size=10),
    in_header=st.booleans(),
    share=st.floats(0, 1),
)
def test_changed_and_cut_files(decoder, path, whole, suffix, changes, in_header, share):
    content = bytearray(whole[suffix])
    reach = 200 if in_header else len(content)
    for where, replacement in changes:
        position = int(where * (reach - len(replacement)))
        content[position : position + len(replacement)] = replacement
    assert outcome(decoder, path, content[: int(share * len(content))]) in {"decoded", *CODES}


@fuzz
@given(
    start=st.sampled_from([b"", b"RIFF", b"fLaC", b"OggS", b"ID3\x04", b"\xff\xfb\x90", b"\x1a\x45\xdf\xa3"]),
    content=st.binary(max_size=2000),
)
def test_any_bytes(decoder, path, start, content):
    assert outcome(decoder, path, start + content) in {"decoded", *CODES}
