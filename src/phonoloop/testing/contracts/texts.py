"""What every way of reading the texts of the records does.

A test class inherits from the suite and gives it a fixture `opened`: records that are empty, and the
texts of these.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from phonoloop.core.ports import Records
from phonoloop.data.model import IndexedText, Provenance, SearchIndex, Speaker, Split
from phonoloop.search.ports import Changes, Filters, Terms, Texts, WordHit
from phonoloop.testing.entities import NOON, a_recording, a_speaker, a_text

Opened = tuple[Records, Texts]

AN = a_text("a", text="Chào các bạn", snr_db=10.0, vector=b"\0<")
BINH = a_text(
    "b",
    text="Hòa bình và hợp tác",
    speaker_id="mai",
    split=Split.TEST,
    provenance=Provenance.MACHINE,
    snr_db=20.0,
    recorded_at=NOON + timedelta(days=1),
)
CHI = a_text("c", text="chao mừng 3 người đến e-mail", snr_db=30.0, recorded_at=NOON + timedelta(days=2))
ALL = (AN, BINH, CHI)


def words(*wanted: str, weight: float = 1.0) -> Terms:
    return Terms(words=dict.fromkeys(wanted, weight))


def plain(*wanted: str) -> Terms:
    return Terms(plain=dict.fromkeys(wanted, 1.0))


def found_by(texts: Texts, terms: Terms, filters: Filters = Filters(), *, limit: int = 10) -> list[str]:
    return [hit.text_id for hit in texts.find_words(terms, filters, limit=limit)]


class Watcher:
    """Keeps what it is told of."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self.mark = 0
        self.known: dict[str, IndexedText] = {}
        self.told = 0

    def look(self) -> None:
        self.mark = self._texts.changes(self.mark, self._visit)

    def _visit(self, changes: Changes) -> None:
        self.told += len(changes.changed) + len(changes.gone)
        self.known |= {text.text_id: text for text in changes.changed}
        for name in changes.gone:
            self.known.pop(name, None)


class TextsContract:
    @pytest.fixture
    def filled(self, opened: Opened) -> Opened:
        records, _ = opened
        with records.transaction() as tx:
            tx.put(a_speaker("lan", name="Lan Anh"), a_speaker("mai", Split.TEST))
            tx.put(a_recording(AN.audio_id, device="telephone"), *ALL)
        return opened

    @pytest.mark.parametrize(
        ("terms", "found"),
        [
            (words("chào"), "a"),
            (words("chao"), "c"),
            (words("cha"), ""),
            (plain("chao"), "ac"),
            (plain("hop"), "b"),
            (words("ba"), "c"),
            (words("3"), ""),
            (words("e-mail"), "c"),
            (words("mail"), ""),
            (Terms(pairs={"hop_tac": 1.0}), "b"),
            (Terms(pairs={"tac_hop": 1.0}), ""),
            (Terms(words={"bạn": 1.0}, pairs={"hop_tac": 1.0}), "ab"),
            (Terms(), ""),
        ],
        ids=str,
    )
    def test_a_word_is_found_as_it_is_cut_with_its_marks_and_without(self, filled: Opened, terms, found):
        assert set(found_by(filled[1], terms)) == set(found)

    @pytest.mark.parametrize(
        "wild",
        [
            '"',
            "'",
            "\\",
            "*",
            "a OR b",
            "NEAR(",
            "words:chào",
            "' | 'chào",
            "^",
            "-chào",
            "%",
            "(",
            "🙂",
            "' '",
        ],
    )
    def test_no_term_means_anything_but_itself(self, filled: Opened, wild):
        assert found_by(filled[1], words(wild)) == []
        assert found_by(filled[1], words(wild, "bạn")) == ["a"]

    def test_what_is_found_says_what_it_is_judged_by(self, filled: Opened):
        (hit,) = filled[1].find_words(words("chào"), Filters(), limit=1)
        assert hit == WordHit("a", AN.words, AN.plain, AN.embedder, AN.vector)

    def test_who_holds_more_comes_first(self, filled: Opened):
        terms = Terms(words={"mừng": 1.0, "người": 1.0, "chào": 1.0})
        assert found_by(filled[1], terms) == ["c", "a"]
        assert found_by(filled[1], terms, limit=1) == ["c"]

    def test_unranked_any_that_hold_a_term_come(self, filled: Opened):
        terms = Terms(plain={"chao": 1.0}, ranked=False)
        assert set(found_by(filled[1], terms)) == {"a", "c"}
        assert len(found_by(filled[1], terms, limit=1)) == 1

    @pytest.mark.parametrize(
        ("filters", "found"),
        [
            (Filters(), "abc"),
            (Filters(split=Split.TEST), "b"),
            (Filters(speaker_id="lan"), "ac"),
            (Filters(speaker_id="nobody"), ""),
            (Filters(provenance=Provenance.MACHINE), "b"),
            (Filters(min_snr_db=20.0), "bc"),
            (Filters(date_from=NOON + timedelta(days=1)), "bc"),
            (Filters(date_to=NOON + timedelta(days=1)), "a"),
            (Filters(speaker_id="lan", min_snr_db=15.0), "c"),
            (Filters(date_from=NOON, date_to=NOON + timedelta(seconds=1)), "a"),
        ],
        ids=str,
    )
    def test_filters(self, filled: Opened, filters, found):
        terms = plain("chao", "hop")
        assert set(found_by(filled[1], terms, filters)) == set(found)
        assert {text.text_id for text in ALL if filters.lets_through(text)} == set(found)

    def test_a_filter_comes_before_the_limit(self, filled: Opened):
        assert found_by(filled[1], plain("chao", "hop"), Filters(split=Split.TEST), limit=1) == ["b"]

    def test_what_is_changed_is_found_by_its_new_words_only(self, filled: Opened):
        records, texts = filled
        with records.transaction() as tx:
            tx.put(a_text("a", text="tạm biệt"))
        assert found_by(texts, words("chào")) == []
        assert found_by(texts, words("biệt")) == ["a"]

    def test_what_is_deleted_is_not_found(self, filled: Opened):
        records, texts = filled
        with records.transaction() as tx:
            tx.delete(IndexedText, "a")
        assert found_by(texts, words("chào", "hòa")) == ["b"]
        assert texts.read(["a"]) == []

    def test_the_index_is_what_the_records_say(self, opened: Opened):
        records, texts = opened
        assert texts.index() is None
        index = SearchIndex(name="texts", embedder="one", embedder_name="One", trained_on=3)
        with records.transaction() as tx:
            tx.put(index)
        assert texts.index() == index

    def test_reading_gives_the_text_with_its_recording_and_speaker(self, filled: Opened):
        found = filled[1].read(["b", "nothing", "a"])
        assert [one.text for one in found] == [BINH, AN]
        assert (found[1].recording["device"], found[1].speaker["name"]) == ("telephone", "Lan Anh")
        assert found[0].recording == {}
        assert filled[1].read([]) == []

    def test_the_first_look_sees_everything_and_the_next_what_changed(self, filled: Opened):
        records, texts = filled
        watcher = Watcher(texts)
        watcher.look()
        assert watcher.known == {text.text_id: text for text in ALL}
        with records.transaction() as tx:
            tx.put(replace(AN, vector=b"\0\1"), a_text("d", text="thêm"))
            tx.delete(IndexedText, "b")
        watcher.look()
        assert set(watcher.known) == set("acd")
        assert watcher.known["a"].vector == b"\0\1"

    def test_what_was_deleted_and_came_back_is_there(self, filled: Opened):
        records, texts = filled
        watcher = Watcher(texts)
        watcher.look()
        with records.transaction() as tx:
            tx.delete(IndexedText, "a")
        with records.transaction() as tx:
            tx.put(AN)
        watcher.look()
        assert watcher.known["a"] == AN
        assert found_by(texts, words("chào")) == ["a"]

    def test_looking_again_tells_little(self, filled: Opened):
        watcher = Watcher(filled[1])
        watcher.look()
        with filled[0].transaction() as tx:
            tx.put(Speaker(speaker_id="x", name="x", split=Split.TRAIN))
        watcher.told = 0
        watcher.look()
        watcher.look()
        assert watcher.told <= len(ALL)

    def test_what_was_given_up_changed_nothing(self, filled: Opened):
        records, texts = filled
        watcher = Watcher(texts)
        watcher.look()
        with pytest.raises(ZeroDivisionError):
            _write_and_fail(records)
        watcher.look()
        assert watcher.known == {text.text_id: text for text in ALL}
        assert found_by(texts, words("không")) == []


def _write_and_fail(records: Records) -> None:
    with records.transaction() as tx:
        tx.put(a_text("a", text="không có gì"), a_text("z", text="không có gì"))
        raise ZeroDivisionError
