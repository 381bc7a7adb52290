"""The queue puts first what gains most; what a person says comes back without anything else changing."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.app.cli.voice_review import review
from phonoloop.core.errors import ConflictError, InputError, IntegrityError, NotFoundError
from phonoloop.testing.voice_texts import text
from phonoloop.voice import store
from phonoloop.voice.metadata import METADATA, read_rows, read_texts, write_texts
from phonoloop.voice.review import (
    CORRECTIONS,
    Reviewer,
    Verdict,
    accept,
    correct,
    read_corrections,
    reject,
    review_queue,
    settled,
    undo,
)
from phonoloop.voice.store import texts_alone
from phonoloop.voice.texts import Origin

LAN = Reviewer("Lan", "2026-11-21T00:00:00+00:00")
SAID = ["xin chào các bạn", "hôm nay trời đẹp", "chúng ta đi chơi"]


@pytest.fixture
def out(tmp_path):
    """Three clips; the decodes of the second differ."""
    texts = [text(f"c{number}a", said, start_s=number) for number, said in enumerate(SAID)]
    texts[1] = text("c1a", SAID[1], start_s=1, heard_second="hôm qua giời xấu")
    write_texts(tmp_path, settled(texts, {}))
    return tmp_path


def queue(*texts, **options):
    return [one.text.clip_id for one in review_queue(settled(texts, {}), min_trust=0.5, **options)]


def test_what_is_trusted_gains_nothing_and_is_not_listed():
    assert queue(text("good")) == []


def test_clips_that_are_left_out_gain_more_than_those_that_are_doubted():
    doubted = text("doubted", "một hai ba bốn năm", heard_second="một hai ba bốn nam")
    left_out = text("left_out", "một hai ba bốn năm", heard_second="sáu bảy")
    silent = text("silent", "")
    assert queue(silent, doubted, left_out) == ["left_out", "silent", "doubted"]


def test_longer_clips_gain_more():
    short = text("short", "một hai ba bốn", heard_second="khác")
    long = text("long", "một hai ba bốn", heard_second="khác", duration_s=1.3)
    assert queue(short, long) == ["long", "short"]


def test_clips_with_rare_sounds_gain_more():
    clips = [text(name, "một hai ba bốn", heard_second="khác") for name in ("a", "b")]
    assert queue(*clips, rarity={"b": 0.5}) == ["b", "a"]


def test_the_queue_says_the_seconds():
    (one,) = review_queue(settled([text("c", "một hai", heard_second="khác")], {}), min_trust=0.5)
    assert one.gain_s == 1.0


@given(st.permutations([text(f"c{n}", "một hai", heard_second="khác " * n, start_s=n) for n in range(5)]))
@settings(max_examples=30, deadline=None)
def test_the_order_of_the_clips_changes_nothing(clips):
    assert queue(*clips) == queue(*sorted(clips, key=lambda one: one.clip_id))


# ---------------------------------------------------------------- what a person says


def test_a_correction_changes_its_clip_and_nothing_else(out):
    before = {path: path.stat().st_mtime_ns for path in (out / "transcripts").iterdir()}
    changed = correct(out, "c1a", "hôm nay trời xấu", LAN)
    assert (changed.text, changed.origin, changed.trust.score) == ("hôm nay trời xấu", Origin.HUMAN, 1.0)
    written = {path.name for path in before if path.stat().st_mtime_ns != before[path]}
    assert written == {"c1a.json"}
    assert [row.transcript for row in read_rows(out / METADATA)] == [SAID[0], "hôm nay trời xấu", SAID[2]]
    assert changed.heard.text == SAID[1]


def test_what_was_said_is_kept_with_who_and_what_was_there(out):
    correct(out, "c1a", "khác", LAN)
    (kept,) = read_corrections(out).values()
    assert (kept.verdict, kept.text, kept.was, kept.by, kept.at) == (
        Verdict.CORRECTED, "khác", SAID[1], "Lan", LAN.at,
    )  # fmt: skip


def test_an_accepted_text_is_the_persons(out):
    (done,) = accept(out, ["c1a"], LAN)
    assert (done.text, done.origin, done.trust.score) == (SAID[1], Origin.HUMAN, 1.0)
    assert review_queue(read_texts(out), min_trust=0.5) == []


def test_a_rejected_clip_has_no_line_and_does_not_come_back(out):
    reject(out, ["c1a"], LAN)
    assert [row.clip for row in read_rows(out / METADATA)] == ["c0a", "c2a"]
    assert review_queue(read_texts(out), min_trust=0.5) == []


def test_everything_can_be_taken_back(out):
    def files():
        return {path.name: path.read_bytes() for path in out.rglob("[!.]*") if path.is_file()}

    before = files()
    correct(out, "c1a", "khác", LAN)
    reject(out, ["c0a"], LAN)
    undo(out, ["c0a", "c1a"])
    assert files() == before


def test_a_clip_processed_in_another_way_keeps_its_correction(out):
    correct(out, "c1a", "khác", LAN)
    again = text("another-id", "lại nghe nhầm", start_s=1)
    assert settled([again], read_corrections(out))[0].text == "khác"
    moved = text("moved", "lại nghe nhầm", start_s=1.5)
    assert settled([moved], read_corrections(out))[0].text == "lại nghe nhầm"


def test_corrections_are_made_safe_too(out):
    assert correct(out, "c1a", 'một | "hai', LAN).text == "một, “hai"


@pytest.mark.parametrize(
    "act", [lambda out: correct(out, "c1a", " | ", LAN), lambda out: accept(out, ["c9a"], LAN)]
)
def test_there_has_to_be_a_text(out, act):
    write_texts(out, [*read_texts(out), text("c9a", "", start_s=9)])
    with pytest.raises(InputError) as caught:
        act(out)
    assert caught.value.code == "voice.no_text"
    assert not (out / CORRECTIONS).exists()


@pytest.mark.parametrize("clip_id", ["unknown", "c", ""])
def test_a_clip_is_named_by_an_id_or_the_beginning_of_just_one(out, clip_id):
    with pytest.raises(NotFoundError) as caught:
        correct(out, clip_id, "khác", LAN)
    assert caught.value.code == "voice.no_clip"
    assert correct(out, "c1", "khác", LAN).clip_id == "c1a"


def test_a_broken_correction_is_told(out):
    (out / CORRECTIONS).mkdir()
    (out / CORRECTIONS / "x.json").write_text("[]")
    with pytest.raises(IntegrityError) as caught:
        read_corrections(out)
    assert caught.value.code == "voice.correction"


# ---------------------------------------------------------------- the command


def run(*arguments):
    result = CliRunner().invoke(review, [str(one) for one in arguments], catch_exceptions=False)
    return result.exit_code, result.output


def test_the_command_lists_what_to_listen_to_and_why(out):
    code, told = run(out)
    assert code == 0
    assert "c1a" in told
    assert "another decode agrees" in told
    assert SAID[1] in told
    assert "c0a" not in told
    assert "1 of 3 clips are worth a look" in told


def test_the_command_lists_for_programs(out):
    told = json.loads(run(out, "--json")[1])
    assert (told["clips"], told["waiting"]) == (3, 1)
    assert (told["listed"][0]["clip"], told["listed"][0]["second"]) == ("c1a", "hôm qua giời xấu")


def test_the_command_puts_clips_with_rare_sounds_first_where_asked(tmp_path):
    pytest.importorskip("espeakng_loader", reason="the espeak extra is not installed")
    common = [text(f"a{n}", "ta đi chơi", start_s=n, heard_second="khác", heard_sounds=5) for n in range(5)]
    rare = text("z", "gà gáy ghê", start_s=9, heard_second="khác", heard_sounds=5)
    write_texts(tmp_path, settled([*common, rare], {}))
    first = [
        json.loads(run(tmp_path, "--json", *more)[1])["listed"][0]["clip"] for more in ([], ["--rare-sounds"])
    ]
    assert first == ["a0", "z"]


def test_the_command_corrects_accepts_rejects_and_takes_back(out):
    assert run(out, "correct", "c1", "khác hẳn", "--by", "Lan")[1] == "c1a  human: khác hẳn\n"
    assert next(iter(read_corrections(out).values())).by == "Lan"
    assert run(out)[1].startswith("None of the 3 clips")
    assert run(out, "undo", "c1")[1] == f"c1a  machine: {SAID[1]}\n"
    assert run(out, "reject", "c1", "c2")[1].count("is not used") == 2
    assert json.loads(run(out, "accept", "c0", "--json")[1])[0]["origin"] == "human"


@pytest.mark.parametrize(
    "wrong", [["accept"], ["correct", "c1"], ["list", "c1"], ["correct", "c1", "a", "b"]]
)
def test_the_command_says_how_it_is_used(out, wrong):
    assert run(out, *wrong)[0] == 2


# ---------------------------------------------------------------- one at a time


def test_nothing_is_said_while_a_build_writes_the_texts(out, monkeypatch):
    monkeypatch.setattr(store, "_PATIENCE_S", 0.1)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with texts_alone(out):
        for say in (lambda: accept(out, ["c0a"], LAN), lambda: undo(out, ["c0a"])):
            with pytest.raises(ConflictError) as caught:
                say()
            assert caught.value.code == "voice.busy"
            assert "training" in caught.value.hint
    assert {path: path.read_bytes() for path in before} == before
    assert read_corrections(out) == {}
    assert accept(out, ["c0a"], LAN)[0].origin is Origin.HUMAN


def test_who_comes_while_somebody_else_says_something_waits(out):
    with ThreadPoolExecutor() as threads:
        with texts_alone(out):
            said = threads.submit(correct, out, "c0a", "xin chào", LAN)
            with pytest.raises(TimeoutError):
                said.result(timeout=0.2)
            assert read_corrections(out) == {}
        assert said.result(timeout=5).text == "xin chào"


def test_a_folder_without_texts_is_left_as_it_is(tmp_path):
    with pytest.raises(NotFoundError):
        accept(tmp_path, ["c0a"], LAN)
    assert list(tmp_path.iterdir()) == []
