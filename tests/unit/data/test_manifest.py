"""A manifest is read as it is written, byte for byte, and a bad line is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from phonoloop.core.errors import ManifestError, NotFoundError
from phonoloop.data.manifest import (
    ManifestRow,
    parse_manifest,
    read_manifest,
    resolve_audio,
    write_manifest,
)

ROW = ManifestRow("audio/raw/a.wav", "xin chào", 2.5, "s1", "a-0", 1.25, {"snr_db": 31.5, "dialect": "bac"})


def test_one_object_a_line_with_named_fields_first():
    assert write_manifest([ROW]).decode() == (
        '{"audio_filepath": "audio/raw/a.wav", "text": "xin chào", "duration": 2.5, "speaker": "s1", '
        '"clip_id": "a-0", "offset": 1.25, "dialect": "bac", "snr_db": 31.5}\n'
    )


def test_rows_are_sorted_by_clip_id_whatever_the_order_they_come_in():
    other = ManifestRow("audio/raw/b.wav", "một", 1.0, "s2", "b-0")
    assert write_manifest([other, ROW]) == write_manifest([ROW, other])


def test_written_rows_are_read_back(tmp_path: Path):
    path = tmp_path / "train.jsonl"
    path.write_bytes(write_manifest([ROW]))
    assert read_manifest(path) == [ROW]


def test_an_empty_manifest_has_no_rows():
    assert parse_manifest(b"") == []


def test_a_foreign_manifest_needs_only_path_text_and_duration():
    (row,) = parse_manifest(b'{"audio_filepath": "x.wav", "text": "a", "duration": 1, "lang": "vi"}')
    assert row == ManifestRow("x.wav", "a", 1.0, extras={"lang": "vi"})


def test_empty_lines_carriage_returns_and_a_byte_order_mark_are_passed_over():
    line = b'{"audio_filepath": "x.wav", "text": "a", "duration": 1}'
    assert len(parse_manifest(b"\xef\xbb\xbf" + line + b"\r\n\r\n\n" + line)) == 2


def test_a_line_separator_inside_a_text_does_not_end_the_line():
    row = ManifestRow("x.wav", "a\u2028b\nc", 1.0)
    assert parse_manifest(write_manifest([row])) == [row]


GOOD = {"audio_filepath": "x.wav", "text": "a", "duration": 1}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("nonsense", "manifest.not_json"),
        ('{"audio_filepath": "x.wav"', "manifest.not_json"),
        ('{"audio_filepath": "x.wav", "text": "a", "duration": NaN}', "manifest.not_json"),
        ("[" * 100_000, "manifest.not_json"),
        ("[]", "manifest.wrong_type"),
        (json.dumps({"text": "a", "duration": 1}), "manifest.missing_field"),
        (json.dumps({"audio_filepath": "x.wav", "duration": 1}), "manifest.missing_field"),
        (json.dumps({"audio_filepath": "x.wav", "text": "a"}), "manifest.missing_field"),
        (json.dumps(GOOD | {"audio_filepath": ""}), "manifest.wrong_type"),
        (json.dumps(GOOD | {"text": None}), "manifest.wrong_type"),
        (json.dumps(GOOD | {"speaker": 7}), "manifest.wrong_type"),
        (json.dumps(GOOD | {"duration": "1"}), "manifest.wrong_type"),
        (json.dumps(GOOD | {"duration": True}), "manifest.wrong_type"),
        (json.dumps(GOOD | {"duration": 0}), "manifest.wrong_type"),
        (json.dumps(GOOD | {"duration": 1}).replace("1}", "1e999}"), "manifest.wrong_type"),
        (json.dumps(GOOD | {"duration": 10**400}), "manifest.wrong_type"),
        (json.dumps(GOOD | {"text": "\ud800"}), "manifest.wrong_type"),
        (json.dumps(GOOD | {"offset": -1}), "manifest.wrong_type"),
    ],
)
def test_a_bad_line_is_named_by_file_and_number(line: str, code: str):
    data = (json.dumps(GOOD) + "\n\n" + line + "\n").encode()
    with pytest.raises(ManifestError) as caught:
        parse_manifest(data, name="mine.jsonl")
    assert (caught.value.code, caught.value.subject) == (code, "mine.jsonl:3")
    assert caught.value.hint


def test_a_line_that_is_not_utf8_is_named():
    with pytest.raises(ManifestError) as caught:
        parse_manifest(b'{"audio_filepath": "\xff"}')
    assert caught.value.code == "manifest.not_utf8"


def test_a_missing_manifest_is_not_found(tmp_path: Path):
    with pytest.raises(NotFoundError) as caught:
        read_manifest(tmp_path / "none.jsonl")
    assert caught.value.code == "manifest.missing"


def test_numbers_that_json_cannot_hold_are_refused_on_writing():
    with pytest.raises(ManifestError) as caught:
        write_manifest([ManifestRow("x.wav", "a", 1.0, extras={"snr_db": float("inf")})])
    assert caught.value.code == "manifest.not_finite"


def test_an_extra_does_not_replace_a_field():
    with pytest.raises(ManifestError) as caught:
        write_manifest([ManifestRow("x.wav", "a", 1.0, extras={"text": "b"})])
    assert caught.value.code == "manifest.extra_name"


def test_audio_is_looked_for_under_each_root_in_turn(tmp_path: Path):
    beside, data = tmp_path / "beside", tmp_path / "data"
    for folder in (beside, data):
        folder.mkdir()
    (data / "x.wav").write_bytes(b"1")
    row = ManifestRow("x.wav", "a", 1.0)
    assert resolve_audio(row, beside, data) == data / "x.wav"
    (beside / "x.wav").write_bytes(b"2")
    assert resolve_audio(row, beside, data) == beside / "x.wav"


def test_an_absolute_path_stands_as_it_is(tmp_path: Path):
    (tmp_path / "x.wav").write_bytes(b"1")
    row = ManifestRow(str(tmp_path / "x.wav"), "a", 1.0)
    assert resolve_audio(row, tmp_path / "elsewhere") == tmp_path / "x.wav"


def test_missing_audio_names_every_place(tmp_path: Path):
    with pytest.raises(NotFoundError) as caught:
        resolve_audio(ManifestRow("x.wav", "a", 1.0), tmp_path / "a", tmp_path / "b")
    assert caught.value.code == "manifest.audio_missing"
    assert str(tmp_path / "a" / "x.wav") in str(caught.value)
    assert str(tmp_path / "b" / "x.wav") in str(caught.value)
