"""`phonoloop wakeword advise|negatives`."""

import json

import pytest
from click.testing import CliRunner

from phonoloop.app.cli.main import cli
from phonoloop.app.voices import voices_at_hand
from phonoloop.audio.wav import read_wav
from phonoloop.core.errors import InputError, NotFoundError
from phonoloop.wakeword.rejects import rejected_texts

pytest.importorskip("espeakng_loader", reason="the espeak extra is not installed")


def run(*arguments):
    ran = CliRunner().invoke(cli, ["wakeword", *map(str, arguments)])
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    return ran.stdout


def test_the_menu_names_every_command():
    shown = run("--help")
    names = ["advise", "negatives", "train", "evaluate", "scan", "listen", "dataset", "current", "promote"]
    assert all(f"  {name} " in shown for name in names)
    assert all("Usage" in run(name, "--help") for name in names)


def test_advice_for_a_person():
    shown = run("advise", "cà phê", "--language", "vi")
    assert shown.startswith("cà phê  /kaː˨˩ fe˧˧/  vi\n2 syllables, 4 sounds\nVerdict: poor\n")
    assert "In other tones" in shown
    assert "Better:\n" in shown


def test_advice_for_a_program():
    told = json.loads(run("advise", "smart mirror", "--json"))
    assert (told["verdict"], told["syllables"], told["language"]) == ("good", 3, "en")
    assert told["near"][0].keys() == {"text", "ipa", "distance", "rank"}
    assert [len(word) for word in told["words"]] == [4, 4]


def test_words_of_ones_own_come_first(tmp_path):
    (tmp_path / "names.txt").write_text(
        "# at our house\nhabari jaku\n\nhabari yake # the cat\n", encoding="utf-8"
    )
    told = json.loads(
        run("advise", "habari yako", "--language", "sw", "--words", tmp_path / "names.txt", "--json")
    )
    assert told["compared_with"] == "2 words of names.txt"
    assert {"habari jaku", "habari yake"} <= {one["text"] for one in told["near"]}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("advise", ""), "wakeword.phrase"),
        (("advise", "…"), "wakeword.phrase"),
        (("advise", "hello", "--language", "klingon"), "wakeword.language"),
        (("negatives", "--phrase", "!", "--out", "out"), "wakeword.phrase"),
    ],
)
def test_what_cannot_be_said_is_refused(arguments, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        run(*arguments)
    assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"# only this\n", b"\xff\xfe\xfa"])
def test_a_file_that_holds_no_words_is_refused(tmp_path, content):
    (tmp_path / "words.txt").write_bytes(content)
    with pytest.raises(InputError) as caught:
        run("advise", "hello", "--words", tmp_path / "words.txt")
    assert caught.value.code == "wakeword.words"


def test_negatives_to_listen_to(tmp_path):
    out = tmp_path / "near"
    told = json.loads(
        run("negatives", "--phrase", "cà phê", "--language", "vi", "--out", out, "--count", 20, "--json")
    )
    rows = told["negatives"]
    assert len(rows) == 20
    assert {"tone", "similar"} <= {row["kind"] for row in rows}
    assert "cà phê" not in {row["text"] for row in rows}
    assert all(0.1 < len(read_wav(out / row["file"])) / 16_000 < 6 for row in rows)
    assert rejected_texts(out / "negatives.tsv") == []


def test_every_synthesiser_at_hand_has_voices_and_a_name_of_its_own():
    with voices_at_hand(workers=1) as (espeak, synthesizers):
        names = [one.name for one in synthesizers]
        assert names[0] == "espeak-ng"
        assert len(names) == len(set(names))
        assert all(one.voices("en") for one in synthesizers)
        assert "vi" in espeak.languages()


def test_a_piper_voice_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFoundError) as caught, voices_at_hand([tmp_path]):
        pass
    assert caught.value.subject == str(tmp_path)
