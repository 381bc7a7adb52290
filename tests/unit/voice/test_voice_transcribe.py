"""A pool of workers makes texts: the same files whoever is first, and nothing twice after a kill."""

import json
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.core.errors import (
    AudioError,
    CancelledError,
    ConfigError,
    IntegrityError,
    NotFoundError,
    UnavailableError,
)
from phonoloop.data.sidecar import TimedText
from phonoloop.testing.voice_texts import FakeEar, clip, source, tone
from phonoloop.voice.metadata import METADATA, read_rows, read_texts
from phonoloop.voice.review import Reviewer, correct
from phonoloop.voice.texts import Origin
from phonoloop.voice.transcribe import (
    Ears,
    Hearing,
    TranscribeSettings,
    Workers,
    edges_db,
    transcribe,
    transcribe_by,
)

SAID = ["xin chào các bạn", "hôm nay trời đẹp", "chúng ta đi chơi", "ngày mai gặp lại", "cảm ơn rất nhiều"]
CLIPS = [clip(f"c{number}", 3 * number, 3 * number + 2) for number in range(1, 6)]
SOURCES = {"s": source()}


def read(one):
    return tone(int(one.clip_id[1:]))


def hearing(tmp_path, *ears, second=(), phonemiser=None, second_decode="slower", check_given=True):
    return Hearing(
        read=read,
        cache=tmp_path / "cache",
        language="vi",
        ears=Ears(first=ears, second=second, phonemiser=phonemiser),
        settings=TranscribeSettings(second=second_decode, check_given=check_given),
    )


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def said(texts):
    return {one.clip_id: one.text for one in texts}


def test_every_clip_gets_what_was_heard(tmp_path):
    ear = FakeEar(SAID)
    texts = transcribe(CLIPS, SOURCES, hearing(tmp_path, ear), out=tmp_path / "out")
    assert [one.text for one in texts] == SAID
    assert texts == read_texts(tmp_path / "out")
    assert [row.transcript for row in read_rows(tmp_path / "out" / METADATA)] == SAID
    one = texts[0]
    assert (one.speaker, one.language, one.origin, one.trust.score) == ("Lan", "vi", Origin.MACHINE, 1.0)
    assert (one.heard.confidence, one.heard.model_version, len(one.heard.words)) == (0.9, "fake-1", 4)


def test_refused_clips_are_not_heard(tmp_path):
    ear = FakeEar(SAID)
    clips = [CLIPS[0], clip("c2", 3, 5, refused=("music",))]
    assert said(transcribe(clips, SOURCES, hearing(tmp_path, ear), out=tmp_path / "out")) == {"c1": SAID[0]}
    assert set(ear.heard) == {1}


def test_the_second_decode_of_one_recogniser_is_slower_and_quieter_speech(tmp_path):
    ear = FakeEar(SAID, quieter={2: "hôm nay giời đẹp"})
    texts = transcribe(CLIPS, SOURCES, hearing(tmp_path, ear), out=tmp_path / "out")
    assert [one.heard.second for one in texts[:2]] == [SAID[0], "hôm nay giời đẹp"]
    assert texts[1].trust.score < texts[0].trust.score
    assert {doubt.kind for doubt in texts[1].trust.doubts} == {"disagreement"}


def test_another_model_gives_the_second_opinion(tmp_path):
    other = FakeEar(["khác", *SAID[1:]], version="other-1")
    texts = transcribe(CLIPS, SOURCES, hearing(tmp_path, FakeEar(SAID), second=[other]), out=tmp_path / "out")
    assert texts[0].heard.second == "khác"


def test_one_decode_is_enough_where_no_second_is_wanted(tmp_path):
    ear = FakeEar(SAID)
    texts = transcribe(CLIPS, SOURCES, hearing(tmp_path, ear, second_decode="none"), out=tmp_path / "out")
    assert ear.heard == [1, 2, 3, 4, 5]
    assert {one.heard.second for one in texts} == {None}


# ---------------------------------------------------------------- the pool


@given(order=st.permutations(range(1, 6)), workers=st.integers(1, 4))
@settings(max_examples=12, deadline=None)
def test_the_files_are_the_same_whoever_is_done_first(tmp_path_factory, order, workers):
    pauses = {number: at * 0.003 for at, number in enumerate(order)}
    folders = [tmp_path_factory.mktemp("pool") for _ in range(2)]
    alone = FakeEar(SAID, quieter={3: "chúng ta đi"})
    slow = [
        FakeEar(SAID, quieter={3: "chúng ta đi"}, before=lambda number: time.sleep(pauses[number]))
        for _ in range(workers)
    ]
    transcribe(CLIPS, SOURCES, hearing(folders[0], alone), out=folders[0] / "out")
    transcribe(CLIPS, SOURCES, hearing(folders[1], *slow), out=folders[1] / "out")
    assert files(folders[0]) == files(folders[1])


def test_workers_hear_at_the_same_time_each_with_its_own_recogniser(tmp_path):
    both = threading.Barrier(2, timeout=10)
    ears = [FakeEar(SAID, before=lambda number: both.wait()) for _ in range(2)]
    wish = hearing(tmp_path, *ears, second_decode="none")
    transcribe(CLIPS[:4], SOURCES, wish, out=tmp_path / "out")
    assert sorted(ears[0].heard + ears[1].heard) == [1, 2, 3, 4]
    assert all(ear.heard for ear in ears)


def test_lines_appear_while_clips_are_heard(tmp_path):
    seen = []
    transcribe(
        CLIPS,
        SOURCES,
        hearing(tmp_path, FakeEar(SAID)),
        out=tmp_path / "out",
        on_clip=lambda one: seen.append((one.clip_id, len(read_rows(tmp_path / "out" / METADATA)))),
    )
    assert seen == [("c1", 1), ("c2", 2), ("c3", 3), ("c4", 4), ("c5", 5)]


def test_workers_with_different_models_are_refused():
    with pytest.raises(ConfigError) as caught:
        Ears(first=[FakeEar([]), FakeEar([], version="other")])
    assert caught.value.code == "voice.mixed_recognisers"
    with pytest.raises(ConfigError):
        Ears(first=[FakeEar([])] * 2, second=[FakeEar([])])


def test_what_was_asked_for_early_is_heard_once_and_kept_whoever_is_refused_later(tmp_path):
    ear = FakeEar(SAID)
    wish = hearing(tmp_path, ear, second_decode="none")
    with Workers(wish) as workers:
        workers.ask_all(SOURCES["s"], CLIPS[:3])
        judged = [CLIPS[0], clip("c2", 6, 8, refused=("other_speaker",)), *CLIPS[2:]]
        texts = transcribe_by(workers, judged, SOURCES, out=tmp_path / "out")
        assert set(workers.kept()) == set(wish.cache.iterdir())
        assert workers.done() == 5
    assert sorted(ear.heard) == [1, 2, 3, 4, 5]
    assert list(said(texts)) == ["c1", "c3", "c4", "c5"]
    assert [row.clip for row in read_rows(tmp_path / "out" / METADATA)] == ["c1", "c3", "c4", "c5"]


def test_a_recogniser_that_is_gone_is_told_before_the_texts_are_wanted(tmp_path):
    ear = FakeEar([UnavailableError("no server", code="x.gone")])
    with Workers(hearing(tmp_path, ear)) as workers:
        (future,) = workers.ask_all(SOURCES["s"], CLIPS[:1]).values()
        assert future.exception(timeout=10) is not None
        with pytest.raises(UnavailableError):
            workers.done()


# ---------------------------------------------------------------- stopped and taken up again


def test_what_was_heard_is_not_heard_again(tmp_path):
    transcribe(CLIPS, SOURCES, hearing(tmp_path, FakeEar(SAID)), out=tmp_path / "out")
    before = files(tmp_path)
    ear = FakeEar(SAID)
    transcribe(CLIPS, SOURCES, hearing(tmp_path, ear), out=tmp_path / "out")
    assert ear.heard == []
    assert files(tmp_path) == before


def test_what_comparing_all_clips_told_of_a_text_stays_while_they_are_gone_through_again(tmp_path):
    wish, out = hearing(tmp_path, FakeEar(SAID)), tmp_path / "out"
    transcribe(CLIPS, SOURCES, wish, out=out)
    correct(out, "c2", "Hôm nay giời đẹp", Reviewer("Lan", "2026-11-21T00:00:00+00:00"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    transcribe(CLIPS, SOURCES, wish, out=out)
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("stopped_at", [1, 3])
def test_stopped_and_taken_up_again_it_ends_the_same(tmp_path, stopped_at):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    transcribe(CLIPS, SOURCES, hearing(whole, FakeEar(SAID)), out=whole / "out")
    left = iter(range(stopped_at))
    with pytest.raises(CancelledError) as caught:
        transcribe(
            CLIPS,
            SOURCES,
            hearing(cut, FakeEar(SAID)),
            out=cut / "out",
            should_stop=lambda: next(left, None) is None,
        )
    assert caught.value.code == "voice.cancelled"
    assert len(read_rows(cut / "out" / METADATA)) == stopped_at + 1
    transcribe(CLIPS, SOURCES, hearing(cut, FakeEar(SAID)), out=cut / "out")
    assert files(cut) == files(whole)


def test_a_new_clip_is_heard_alone_and_one_that_is_gone_leaves_nothing(tmp_path):
    transcribe(CLIPS[:3], SOURCES, hearing(tmp_path, FakeEar(SAID)), out=tmp_path / "out")
    ear = FakeEar(SAID)
    texts = transcribe(CLIPS[1:4], SOURCES, hearing(tmp_path, ear), out=tmp_path / "out")
    assert set(ear.heard) == {4}
    assert [one.clip_id for one in texts] == ["c2", "c3", "c4"]
    assert len(read_texts(tmp_path / "out")) == 3


def test_another_model_hears_everything_anew(tmp_path):
    transcribe(CLIPS, SOURCES, hearing(tmp_path, FakeEar(SAID)), out=tmp_path / "out")
    ear = FakeEar(SAID, version="fake-2")
    transcribe(CLIPS, SOURCES, hearing(tmp_path, ear), out=tmp_path / "out")
    assert set(ear.heard) == {1, 2, 3, 4, 5}


def test_the_cache_says_which_file_a_text_comes_from(tmp_path):
    wish = hearing(tmp_path, FakeEar(SAID))
    texts = transcribe(CLIPS, SOURCES, wish, out=tmp_path / "out")
    assert {wish.cache / f"{one.heard.key}.json" for one in texts} == set(wish.cache.iterdir())


def test_a_broken_file_in_the_cache_is_told(tmp_path):
    wish = hearing(tmp_path, FakeEar(SAID))
    one = transcribe(CLIPS[:1], SOURCES, wish, out=tmp_path / "out")[0]
    (wish.cache / f"{one.heard.key}.json").write_text("{}")
    with pytest.raises(IntegrityError) as caught:
        transcribe(CLIPS[:1], SOURCES, wish, out=tmp_path / "out")
    assert caught.value.code == "voice.heard"


# ---------------------------------------------------------------- bad input


def test_a_clip_that_the_recogniser_refuses_is_told_and_the_others_go_on(tmp_path):
    ear = FakeEar([AudioError("it is odd", code="audio.odd"), *SAID[1:]])
    texts = transcribe(CLIPS, SOURCES, hearing(tmp_path, ear), out=tmp_path / "out")
    assert texts[0].heard.refused.startswith("[audio.odd] it is odd")
    assert texts[0].trust.doubts[0].kind == "refused"
    assert [row.clip for row in read_rows(tmp_path / "out" / METADATA)] == ["c2", "c3", "c4", "c5"]


def test_a_recogniser_that_is_not_there_stops_the_stage(tmp_path):
    ear = FakeEar([UnavailableError("no server", code="x.gone"), *SAID[1:]])
    with pytest.raises(UnavailableError):
        transcribe(CLIPS, SOURCES, hearing(tmp_path, ear), out=tmp_path / "out")


@pytest.mark.parametrize(
    ("heard", "safe", "changed"),
    [
        ("một | hai", "một, hai", ("pipe",)),
        ('mở " ra', "mở ” ra", ("quote",)),
        ("a\nb\0", "a b", ("newline", "control")),
    ],
)
def test_what_metadata_cannot_hold_is_replaced_and_said(tmp_path, heard, safe, changed):
    ear = FakeEar([heard])
    (one,) = transcribe(CLIPS[:1], SOURCES, hearing(tmp_path, ear), out=tmp_path / "out")
    assert (one.text, one.changed, one.heard.text) == (safe, changed, heard)
    assert read_rows(tmp_path / "out" / METADATA)[0].transcript == safe


def test_without_a_recogniser_clips_wait_and_are_heard_later(tmp_path):
    first = transcribe(CLIPS, SOURCES, hearing(tmp_path), out=tmp_path / "out")
    assert {one.text for one in first} == {""}
    assert first[0].trust.doubts[0].detail == "nobody has written it down"
    assert (tmp_path / "out" / METADATA).read_bytes() == b""
    later = transcribe(CLIPS, SOURCES, hearing(tmp_path, FakeEar(SAID)), out=tmp_path / "out")
    assert [one.text for one in later] == SAID


# ---------------------------------------------------------------- texts that came along


def timed_source():
    segments = [TimedText(3_000 * n, 3_000 * n + 2_000, SAID[n - 1].capitalize()) for n in range(1, 5)]
    return {"s": source(timed=tuple(segments))}


def test_a_sidecars_texts_count_and_the_rest_is_heard(tmp_path):
    ear = FakeEar(SAID)
    texts = transcribe(CLIPS, timed_source(), hearing(tmp_path, ear), out=tmp_path / "out")
    assert [one.origin for one in texts] == [Origin.SIDECAR] * 4 + [Origin.MACHINE]
    assert texts[0].text == "Xin chào các bạn"
    assert texts[0].heard.second == SAID[0]
    assert ear.heard.count(1) == 1  # checked once, not decoded twice
    assert texts[0].trust.score == 1.0


def test_a_sidecars_wrong_text_is_found_out(tmp_path):
    wrong = {"s": source(timed=(TimedText(3_000, 5_000, "giá vàng thế giới"),))}
    texts = transcribe(CLIPS, wrong, hearing(tmp_path, FakeEar(SAID)), out=tmp_path / "out")
    assert texts[0].trust.score < 0.5


def test_given_texts_need_no_recogniser_and_may_be_left_unchecked(tmp_path):
    ear = FakeEar(SAID)
    alone = transcribe(CLIPS[:4], timed_source(), hearing(tmp_path / "a"), out=tmp_path / "a" / "out")
    unchecked = transcribe(
        CLIPS[:4], timed_source(), hearing(tmp_path / "b", ear, check_given=False), out=tmp_path / "b" / "out"
    )
    assert said(alone) == said(unchecked) == {f"c{n}": SAID[n - 1].capitalize() for n in range(1, 5)}
    assert ear.heard == []
    assert 0.5 < alone[0].trust.score < 1.0


def test_another_text_for_the_same_clip_is_another_text(tmp_path):
    for words in ("một hai", "ba bốn"):
        told = {"s": source(timed=(TimedText(3_000, 5_000, words),))}
        (one,) = transcribe(CLIPS[:1], told, hearing(tmp_path), out=tmp_path / "out")
        assert one.text == words


def test_a_text_without_times_is_laid_over_what_was_heard(tmp_path):
    whole = "Xin chào các bạn. Hôm nay trời đẹp! Chúng ta đi chơi; ngày mai gặp lại, cảm ơn rất nhiều."
    ear = FakeEar([*SAID[:2], "chúng ta đi chới", *SAID[3:]])
    texts = transcribe(CLIPS, {"s": source(text=whole)}, hearing(tmp_path, ear), out=tmp_path / "out")
    assert " ".join(one.text for one in texts) == whole
    assert {one.origin for one in texts} == {Origin.SIDECAR}
    assert texts[2].heard.second == "chúng ta đi chới"
    assert texts == read_texts(tmp_path / "out")


def test_a_persons_correction_stays_whatever_is_heard_later(tmp_path):
    out = tmp_path / "out"
    transcribe(CLIPS, SOURCES, hearing(tmp_path, FakeEar(SAID)), out=out)
    correct(out, "c2", "Hôm nay giời đẹp", Reviewer("Lan", "2026-11-21T00:00:00+00:00"))
    texts = transcribe(CLIPS, SOURCES, hearing(tmp_path, FakeEar(SAID[::-1], version="fake-2")), out=out)
    assert (texts[1].text, texts[1].origin) == ("Hôm nay giời đẹp", Origin.HUMAN)
    assert texts[0].text == SAID[-1]


# ---------------------------------------------------------------- what is measured


class FakePhonemiser:
    def phonemise(self, text, language):
        if language != "vi":
            raise NotFoundError("no such language", code="espeak.voice")
        return [tuple(word) for word in text.split()]


def test_the_phonemiser_counts_where_there_is_one(tmp_path):
    ear = FakeEar(["ab cd"] * 5)
    (one,) = transcribe(
        CLIPS[:1], SOURCES, hearing(tmp_path, ear, phonemiser=FakePhonemiser()), out=tmp_path / "out"
    )
    assert (one.heard.sounds, one.heard.sound_unit) == (4, "phonemes")


def test_syllables_of_vietnamese_and_letters_of_others_are_counted_without_one(tmp_path):
    ear = FakeEar(["xi-măng tốt"] * 5)
    (one,) = transcribe(CLIPS[:1], SOURCES, hearing(tmp_path / "vi", ear), out=tmp_path / "vi" / "out")
    assert (one.heard.sounds, one.heard.sound_unit) == (3, "syllables")
    english = {"s": source(language="en", timed=(TimedText(3_000, 5_000, "Hello, you!"),))}
    (one,) = transcribe(CLIPS[:1], english, hearing(tmp_path / "en"), out=tmp_path / "en" / "out")
    assert (one.heard.sounds, one.heard.sound_unit) == (8, "letters")


def test_a_language_that_the_phonemiser_does_not_know_is_told(tmp_path):
    german = {"s": source(language="de", timed=(TimedText(3_000, 5_000, "Guten Tag"),))}
    with pytest.raises(NotFoundError):
        transcribe(CLIPS[:1], german, hearing(tmp_path, phonemiser=FakePhonemiser()), out=tmp_path / "out")


def test_edges_tell_a_cut_from_a_pause():
    whole = tone(1)
    assert max(edges_db(whole)) < -40
    start, end = edges_db(whole[4_000:])
    assert start > -6
    assert end < -40
    assert edges_db(np.zeros(100, np.float32)) == (0.0, 0.0)


def test_the_json_of_a_clip_is_readable_by_any_program(tmp_path):
    transcribe(CLIPS[:1], SOURCES, hearing(tmp_path, FakeEar(SAID)), out=tmp_path / "out")
    kept = json.loads((tmp_path / "out" / "transcripts" / "c1.json").read_text("utf-8"))
    assert kept["text"] == SAID[0]
    assert kept["spans"] == [[3 * 22_050, 5 * 22_050]]
