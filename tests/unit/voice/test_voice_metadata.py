"""metadata.csv is read alike by everybody, whatever a transcript holds, and a kill loses no line."""

import csv
import errno
import json
import os
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.core.errors import IntegrityError, ManifestError, NotFoundError, ResourceError
from phonoloop.testing.voice_texts import text
from phonoloop.voice import metadata
from phonoloop.voice.metadata import (
    METADATA,
    TRANSCRIPTS,
    Appender,
    Row,
    made_safe,
    parse_row,
    read_rows,
    read_texts,
    write_texts,
)

ANY_TEXT = st.text(
    alphabet=st.one_of(
        st.characters(), st.sampled_from('|"\n\r\0\x0b\x1c\x85\u2028\u2029\ufeff\ud800\u0323\\, ')
    ),
    max_size=40,
)


@pytest.mark.parametrize(
    ("given_text", "safe", "changed"),
    [
        ("xin chào", "xin chào", ()),
        ("một | hai", "một, hai", ("pipe",)),
        ("||một||", "một", ("pipe",)),
        ('anh nói "đi đi"', "anh nói “đi đi”", ("quote",)),
        ('mở ngoặc " rồi thôi', "mở ngoặc ” rồi thôi", ("quote",)),
        ('"chào" ("em")', "“chào” (“em”)", ("quote",)),
        ("dòng một\r\ndòng hai", "dòng một dòng hai", ("newline",)),
        ("không\0gì", "không gì", ("control",)),
        ("trang\u2029sau", "trang sau", ("newline",)),
        ("  hai   dấu\tcách ", "hai dấu cách", ()),
        ("nửa \ud83d chữ", "nửa chữ", ("control",)),
        ("e\u0323\u0302", "ệ", ()),
    ],
)
def test_what_readers_stumble_over_is_replaced_and_told(given_text, safe, changed):
    assert (made_safe(given_text).text, made_safe(given_text).changed) == (safe, changed)


@given(ANY_TEXT)
@settings(deadline=None)
def test_safe_text_is_safe_already(any_text):
    once = made_safe(any_text).text
    assert made_safe(once).text == once
    assert not set(once) & set('|"\n\r\0')
    assert len(once.splitlines()) <= 1


@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_all_readers_read_the_same_rows(tmp_path_factory, said):
    out = tmp_path_factory.mktemp("rows")
    texts = [
        text(f"clip{number}", words or "x", start_s=number, text=made_safe(words).text, speaker=speaker)
        for number, (words, speaker) in enumerate(said)
    ]
    write_texts(out, texts)
    wanted = [
        [one.clip_id, one.text, "1.000", made_safe(one.speaker).text, "1.000"] for one in texts if one.text
    ]
    plain = (out / METADATA).read_text("utf-8")
    assert [line.split("|") for line in plain.splitlines()] == wanted
    with (out / METADATA).open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file, delimiter="|")) == wanted  # as Piper reads it
    assert [[row.clip, row.transcript] for row in read_rows(out / METADATA)] == [row[:2] for row in wanted]


@given(ANY_TEXT, ANY_TEXT)
@settings(max_examples=60, deadline=None)
def test_the_json_beside_it_keeps_what_was_heard_as_it_was(tmp_path_factory, heard, second):
    out = tmp_path_factory.mktemp("json")
    one = text("c", heard, heard_second=second, text=made_safe(heard).text, changed=made_safe(heard).changed)
    write_texts(out, [one])
    assert read_texts(out) == [one]


def test_the_json_has_confidence_and_language(tmp_path):
    write_texts(tmp_path, [text("c", heard_confidence=0.75)])
    kept = json.loads((tmp_path / TRANSCRIPTS / "c.json").read_text("utf-8"))
    assert (kept["confidence"], kept["language"], kept["text"]) == (0.75, "vi", "xin chào các bạn")
    assert kept["duration_s"] == 1.0


def test_a_clip_that_says_nothing_or_was_rejected_has_a_json_and_no_line(tmp_path):
    write_texts(tmp_path, [text("a", ""), text("b", rejected=True), text("c")])
    assert [row.clip for row in read_rows(tmp_path / METADATA)] == ["c"]
    assert len(read_texts(tmp_path)) == 3


def test_rows_stand_by_source_and_time_and_others_go(tmp_path):
    write_texts(tmp_path, [text("gone", start_s=9.0)])
    late, early = text("a", start_s=5.0), text("b", start_s=1.0)
    assert write_texts(tmp_path, [late, early]) == [early, late]
    assert [row.clip for row in read_rows(tmp_path / METADATA)] == ["b", "a"]
    assert sorted(path.name for path in (tmp_path / TRANSCRIPTS).iterdir()) == ["a.json", "b.json"]


def test_what_has_not_changed_is_not_written_again(tmp_path):
    write_texts(tmp_path, [text("a")])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    write_texts(tmp_path, [text("a")])
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("line", ["", "a|b|c", "a|b|x|d|1", "a|b|1|d|e|1"])
def test_a_line_that_is_none_is_refused_with_its_place(line):
    with pytest.raises(ManifestError) as caught:
        parse_row(line, "metadata.csv:7")
    assert (caught.value.code, caught.value.subject) == ("voice.metadata", "metadata.csv:7")


def test_missing_and_broken_files_are_told(tmp_path):
    with pytest.raises(NotFoundError) as no_rows:
        read_rows(tmp_path / METADATA)
    with pytest.raises(NotFoundError) as no_texts:
        read_texts(tmp_path)
    assert (no_rows.value.code, no_texts.value.code) == ("voice.no_metadata", "voice.no_transcripts")
    (tmp_path / TRANSCRIPTS).mkdir()
    (tmp_path / TRANSCRIPTS / "x.json").write_text("{}")
    with pytest.raises(IntegrityError) as broken:
        read_texts(tmp_path)
    assert broken.value.code == "voice.transcript"


# ---------------------------------------------------------------- appended atomically


def test_each_line_is_there_as_soon_as_it_was_added_and_only_once(tmp_path):
    appender = Appender(tmp_path)
    for number in range(3):
        appender.add(text(f"c{number}"))
        assert len(read_rows(tmp_path / METADATA)) == number + 1
    Appender(tmp_path).add(text("c1"))
    assert len(read_rows(tmp_path / METADATA)) == 3


def test_a_line_torn_at_any_byte_is_taken_away_and_added_again(tmp_path):
    for number in range(2):
        Appender(tmp_path).add(text(f"c{number}", start_s=number))
    whole = (tmp_path / METADATA).read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole)):
        (tmp_path / METADATA).write_bytes(whole[:end])
        appender = Appender(tmp_path)
        assert (tmp_path / METADATA).read_bytes() == whole[:first]
        appender.add(text("c1", start_s=1))
        assert (tmp_path / METADATA).read_bytes() == whole


@pytest.mark.parametrize("call", range(10))
def test_killed_at_any_step_the_same_files_come_out(tmp_path, call):
    texts = [text(f"c{number}", start_s=number) for number in range(3)]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    _add_all(whole, texts)
    _killed(lambda: _add_all(killed, texts), call)
    for path in killed.rglob("*.json"):  # a JSON is whole or not there
        assert (
            path.name.startswith(".") or path.read_bytes() == (whole / TRANSCRIPTS / path.name).read_bytes()
        )
    _add_all(killed, texts)
    for path in killed.rglob(".*"):
        path.unlink()  # the store's to remove
    assert _content(killed) == _content(whole)


def _add_all(out, texts):
    appender = Appender(out)
    for one in texts:
        appender.add(one)
    write_texts(out, texts)


def _killed(act, call):
    """Acts in a child that dies before its `call`th fsync or write to the file."""
    child = os.fork()
    if child == 0:
        left = iter(range(call))
        for name in ("fsync", "write"):
            real = getattr(os, name)

            def dying(*args, real=real):
                if next(left, None) is None:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args)

            setattr(os, name, dying)
        act()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


def _content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_full_disk_is_told_and_leaves_no_half_line(tmp_path, monkeypatch):
    appender = Appender(tmp_path)
    appender.add(text("c0"))
    before = (tmp_path / METADATA).read_bytes()
    real = os.write

    def full(handle, data):
        real(handle, data[:7])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(metadata.os, "write", full)
    with pytest.raises(ResourceError) as caught:
        appender.add(text("c1"))
    monkeypatch.undo()
    assert caught.value.code == "resource.disk"
    assert (tmp_path / METADATA).read_bytes() == before
    appender.add(text("c1"))
    assert [row.clip for row in read_rows(tmp_path / METADATA)] == ["c0", "c1"]


def test_a_row_has_three_decimals():
    row = Row("c", "xin chào", 1.23456, "Lan", 0.98765)
    assert row.line() == "c|xin chào|1.235|Lan|0.988\n"
    assert parse_row(row.line()) == Row("c", "xin chào", 1.235, "Lan", 0.988)


def test_a_text_that_a_build_takes_away_while_texts_are_read_is_not_there(tmp_path):
    write_texts(tmp_path, [text("a"), text("b")])
    (tmp_path / TRANSCRIPTS / "gone.json").symlink_to(tmp_path / "nowhere")
    assert [one.clip_id for one in read_texts(tmp_path)] == ["a", "b"]
