"""`phonoloop text …`: line in, line out, and nothing changed that was not understood."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "phonoloop.app.cli.main", "text"]


def run(*arguments: str, given: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *arguments], input=given, capture_output=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("form", "given", "expected"),
    [
        ("normalise", "Hoà 10h", "Hòa 10h"),
        ("spoken", "họp lúc 10h30", "họp lúc mười giờ ba mươi"),
        ("written", "ờ họp lúc mười giờ ba mươi", "họp lúc 10h30"),
    ],
)
def test_each_form_is_a_filter_with_a_line_for_a_line(form, given, expected):
    done = run(form, given=f"{given}\n\n{given}\r\n{given}".encode())
    assert done.stdout.decode() == f"{expected}\n\n{expected}\r\n{expected}"
    assert (done.returncode, done.stderr) == (0, b"")


def test_json_tells_every_change_of_a_line():
    done = run("spoken", "--json", given="5 kg gạo\nrau\n".encode())
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["text"] == "năm ki lô gam gạo"
    assert first["corrections"] == [
        {
            "start": 0,
            "end": 4,
            "before": "5 kg",
            "after": "năm ki lô gam",
            "rule": "unit.measure",
            "confidence": 1.0,
        }
    ]
    assert second == {"text": "rau", "corrections": []}


def test_lines_that_are_not_utf8_go_through_as_they_are_and_are_counted():
    done = run("spoken", given=b"5\n\xff\xfe 5\nTi\xd5ng Vi\xd6t 5\n6\n")
    assert done.stdout == "năm\n".encode() + b"\xff\xfe 5\nTi\xd5ng Vi\xd6t 5\n" + "sáu\n".encode()
    assert b"2 lines are not UTF-8 and left as they came: 2, 3" in done.stderr
    assert done.returncode == 2


def test_as_json_a_line_that_is_not_utf8_is_an_error_that_programs_can_read():
    done = run("normalise", "--json", given=b"a\n\xff\n")
    assert json.loads(done.stdout.splitlines()[1])["error"]["code"] == "text.not_utf8"
    assert done.returncode == 2


@pytest.mark.parametrize(("form", "line"), [("spoken", "năm 2020 hoà bình, "), ("written", "mười năm, ")])
def test_a_line_of_a_megabyte_goes_through(form, line):
    given = (line * (1_000_000 // len(line.encode()))).encode()
    done = run(form, given=given + b"\n")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 1


def test_no_character_breaks_the_lines():
    done = run("spoken", given="a\u2028b\u0085c\x0cd\x1ce\n5\n".encode())
    assert done.stdout.decode() == "a b c d e\nnăm\n"


def test_a_reader_that_goes_away_is_no_error_to_read_about():
    many = b"10h30\n" * 200_000
    shell = f"{' '.join(COMMAND)} spoken | head -1"
    done = subprocess.run(shell, shell=True, input=many, capture_output=True, timeout=60, check=False)
    assert done.stdout.decode() == "mười giờ ba mươi\n"
    assert b"Traceback" not in done.stderr


def test_the_filters_start_without_the_parts_they_do_not_need():
    code = "import sys, phonoloop.app.cli.text_forms, phonoloop.text.normalise as n; n.to_spoken('5'); "
    code += "print([m for m in ('torch', 'sqlalchemy', 'onnxruntime', 'fastapi') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    assert done.stdout.decode().strip() == "[]"
