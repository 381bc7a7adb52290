"""What lies beside an audio file is taken along, or refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from phonoloop.core.errors import ManifestError
from phonoloop.data.sidecar import Sidecar, TimedText, find_sidecars, parse_sidecar, read_sidecars


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    return tmp_path / "x.mp3"


def test_nothing_beside_it(audio):
    assert read_sidecars(audio) == Sidecar()


@pytest.mark.parametrize("name", ["x.txt", "x.mp3.txt"])
def test_a_text_beside_it_trimmed_and_composed(audio, name):
    audio.with_name(name).write_bytes(b"\xef\xbb\xbf" + " xin cha\u0300o\n".encode())
    assert read_sidecars(audio) == Sidecar(text="xin chào")


@pytest.mark.parametrize("name", ["x.json", "x.mp3.json"])
def test_an_object_beside_it(audio, name):
    body = {
        "text": "xin chào bạn",
        "speaker": "An",
        "language": "vi",
        "dialect": "bắc",
        "device": "phone",
        "environment": "street",
        "licence": "CC0",
        "consent": "yes",
        "segments": [
            {"start_ms": 1000, "end_ms": 2000, "text": "bạn"},
            {"start_ms": 0, "end_ms": 900.0, "text": "xin chào"},
        ],
        "age": 31,
    }
    audio.with_name(name).write_text(json.dumps(body))
    assert read_sidecars(audio) == Sidecar(
        text="xin chào bạn",
        speaker="An",
        language="vi",
        dialect="bắc",
        device="phone",
        environment="street",
        licence="CC0",
        consent="yes",
        segments=(TimedText(0, 900, "xin chào"), TimedText(1000, 2000, "bạn")),
        attributes={"age": 31},
    )


def test_the_texts_of_segments_are_the_text_where_there_is_no_other():
    segments = (TimedText(0, 1, "a"), TimedText(1, 2, ""), TimedText(2, 3, "b"))
    assert Sidecar(segments=segments).full_text == "a b"
    assert Sidecar(text="c", segments=segments).full_text == "c"


def test_both_kinds_together_and_the_object_counts_for_the_text(audio):
    audio.with_name("x.txt").write_text("one")
    audio.with_name("x.json").write_text('{"speaker": "An", "text": null}')
    assert read_sidecars(audio) == Sidecar(text="one", speaker="An")
    audio.with_name("x.json").write_text('{"text": "two"}')
    assert read_sidecars(audio).text == "two"
    assert [path.name for path in find_sidecars(audio)] == ["x.txt", "x.json"]


def test_links_are_not_followed(audio, tmp_path):
    (tmp_path / "secret").write_text("secret")
    audio.with_name("x.txt").symlink_to(tmp_path / "secret")
    assert read_sidecars(audio) == Sidecar()


SEGMENT = {"start_ms": 0, "end_ms": 10, "text": "a"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "sidecar.not_json"),
        (b"[" * 100_000, "sidecar.not_json"),
        (b'{"a": NaN}', "sidecar.not_json"),
        (b"[]", "sidecar.wrong_type"),
        (b'{"text": 7}', "sidecar.wrong_type"),
        (b'{"speaker": ["An"]}', "sidecar.wrong_type"),
        (b'{"text": "\\ud800"}', "sidecar.wrong_type"),
        (b'{"text": "\\u0000"}', "sidecar.wrong_type"),
        (b'{"age": "\\u0000"}', "sidecar.wrong_type"),
        (b'{"age": "\\udc00"}', "sidecar.wrong_type"),
        (b'{"segments": 7}', "sidecar.wrong_type"),
        (b'{"segments": [7]}', "sidecar.wrong_type"),
        (json.dumps({"segments": [SEGMENT | {"end_ms": "10"}]}).encode(), "sidecar.wrong_type"),
        (json.dumps({"segments": [SEGMENT | {"end_ms": 0}]}).encode(), "sidecar.segments"),
        (json.dumps({"segments": [SEGMENT | {"start_ms": -5}]}).encode(), "sidecar.segments"),
        (json.dumps({"segments": [SEGMENT, SEGMENT]}).encode(), "sidecar.segments"),
        (b"\xff\xfe", "sidecar.not_utf8"),
        (b"{" + b" " * 5_000_000 + b"}", "sidecar.too_large"),
    ],
)
def test_a_bad_object_says_what_is_wrong(audio, body, code):
    audio.with_name("x.json").write_bytes(body)
    with pytest.raises(ManifestError) as caught:
        read_sidecars(audio)
    assert caught.value.code == code
    assert caught.value.subject.endswith("x.json")
    assert caught.value.hint


def test_a_text_that_spells_out_an_escape_is_just_a_text(audio):
    audio.with_name("x.json").write_text(json.dumps({"text": "\\u0000", "note": "\\u0000"}))
    assert read_sidecars(audio).text == "\\u0000"


@pytest.mark.parametrize("body", [b"\xff\xfea\x00", b"a\x00b"])
def test_a_text_that_is_not_utf8_or_holds_zero_bytes_is_refused(audio, body):
    audio.with_name("x.txt").write_bytes(body)
    with pytest.raises(ManifestError):
        read_sidecars(audio)


class TestConsent:
    def test_a_record_is_kept_as_it_is_and_as_text(self):
        record = {"who": "Lan", "purpose": "a voice", "date": "2026-11-20"}
        sidecar = parse_sidecar(json.dumps({"consent": record}), "a.json")
        assert sidecar.consent_record == record
        assert sidecar.consent == "Lan: a voice (2026-11-20)"

    def test_plain_words_are_text_only(self):
        sidecar = parse_sidecar('{"consent": "yes"}', "a.json")
        assert (sidecar.consent, sidecar.consent_record) == ("yes", {})

    @pytest.mark.parametrize("missing", ["who", "purpose", "date"])
    def test_a_record_that_lacks_a_part_is_refused_and_says_which(self, missing):
        record = {"who": "Lan", "purpose": "a voice", "date": "2026-11-20"}
        del record[missing]
        with pytest.raises(ManifestError, match=missing) as error:
            parse_sidecar(json.dumps({"consent": record}), "a.json")
        assert error.value.code == "sidecar.consent"
