"""The index stage: what is indexed, replaced, forgotten, learnt."""

from __future__ import annotations

import pytest

from phonoloop.core.events import EMBEDDINGS_INDEXED
from phonoloop.data.forget import forget_speaker
from phonoloop.data.model import Clip, IndexedText, Provenance, SearchIndex, Transcript
from phonoloop.search import index
from phonoloop.search.passages import passages
from phonoloop.testing.entities import a_clip, a_recording
from phonoloop.testing.searching import SearchSite


class Listener:
    def __init__(self) -> None:
        self.heard = []

    def publish(self, events) -> None:
        self.heard += events


def test_indexing_tells_once_however_often_it_is_done(site: SearchSite):
    site.say("a", "xin chào")
    before = site.texts()
    index.index_transcript(site.stores, "a", site.source.for_indexing)
    assert site.texts() == before
    listener = Listener()
    site.stores.records.drain_outbox(listener)
    (event,) = {event.id: event for event in listener.heard}.values()
    assert (event.type, event.subject) == (EMBEDDINGS_INDEXED, "a")
    assert event.data["collection"] == "texts"
    assert event.data["texts"] == 1


def test_a_vector_has_768_numbers_and_the_version_of_its_embedder(site: SearchSite):
    site.say("a", "xin chào")
    (text,) = site.texts().values()
    assert index.as_vector(text.vector).shape == (768,)
    assert text.embedder == site.source.for_searching().version


def test_a_transcript_without_words_is_not_indexed(site: SearchSite):
    site.say("a", "🙂 ...")
    assert site.texts() == {}


def test_a_recording_without_transcript_is_taken_out(site: SearchSite):
    site.say("a", "xin chào")
    with site.stores.records.transaction() as tx:
        tx.delete(Transcript, "a")
    assert index.index_transcript(site.stores, "a", site.source.for_indexing) == 0
    assert site.texts() == {}


def test_a_forgotten_speaker_is_not_found_and_does_not_come_back(site: SearchSite):
    site.say("a", "xin chào các bạn")
    site.say("b", "xin chào các em", speaker_id="mai")
    assert set(site.names("xin chào")) == {"a", "b"}
    forget_speaker(site.stores, "lan", actor="test", mark_models=lambda tx, name: [])
    index.index_transcript(site.stores, "a", site.source.for_indexing)  # its event was still on its way
    assert site.names("xin chào") == ["b"]
    assert {text.speaker_id for text in site.texts().values()} == {"mai"}


def test_one_that_was_forgotten_between_reading_and_keeping_is_not_kept(site: SearchSite):
    site.say("a", "xin chào", indexed=False)
    real = site.source.for_indexing()

    class Slow:
        version, name, dimensions = real.version, real.name, real.dimensions

        def embed(self, texts):
            forget_speaker(site.stores, "lan", actor="test", mark_models=lambda tx, name: [])
            return real.embed(texts)

    embedders = iter([Slow(), real])
    assert index.index_transcript(site.stores, "a", lambda: next(embedders)) == 0
    assert site.texts() == {}


class TestPassages:
    RECORDING = a_recording("r", samples=160_000)
    CLIPS = (a_clip("r"), a_clip("r", 80_000))
    SEGMENTS = (
        {"start_ms": 0, "end_ms": 900, "text": "một"},
        {"start_ms": 100, "end_ms": 1_500, "text": "hai"},
        {"start_ms": 5_100, "end_ms": 5_900, "text": "ba"},
        {"start_ms": 8_000, "end_ms": 12_000, "text": "bốn"},
    )

    def transcript(self, **fields) -> Transcript:
        usual = {"text": "một hai ba bốn", "provenance": Provenance.HUMAN}
        return Transcript(audio_id="r", revision=1, **usual | fields)

    def test_clip_by_clip_where_the_transcript_says_when_and_nothing_is_left_out(self):
        found = passages(self.RECORDING, self.transcript(segments=self.SEGMENTS), self.CLIPS)
        assert [(p.start_sample, p.end_sample, p.text, bool(p.clip_id)) for p in found] == [
            (0, 16_000, "một hai", True),
            (80_000, 96_000, "ba", True),
            (128_000, 160_000, "bốn", False),
        ]

    def test_the_whole_recording_where_it_does_not(self):
        (found,) = passages(self.RECORDING, self.transcript(), self.CLIPS)
        assert (found.start_sample, found.end_sample, found.text) == (0, 160_000, "một hai ba bốn")
        assert passages(self.RECORDING, self.transcript(), ()) == [found]

    def test_one_clip_has_the_clean_text(self):
        clips: tuple[Clip, ...] = self.CLIPS[:1]
        (found,) = passages(self.RECORDING, self.transcript(text_clean="Một, hai."), clips)
        assert (found.clip_id, found.text, found.snr_db) == (clips[0].clip_id, "Một, hai.", 25.0)


class TestLearning:
    @pytest.fixture
    def many(self, site: SearchSite) -> SearchSite:
        for number in range(index.FEWEST_TO_TRAIN_ON):
            site.say(f"r{number:03d}", f"câu số {number} của tôi")
        return site

    def due(self, site: SearchSite) -> bool:
        with site.stores.records.transaction() as tx:
            return index.wants_training(tx)

    def test_it_is_due_when_there_are_enough_and_again_at_twice_as_many(self, many: SearchSite):
        assert self.due(many)
        learnt = index.train(many.stores, many.source.make)
        assert learnt.trained_on == index.FEWEST_TO_TRAIN_ON
        assert not self.due(many)

    def test_few_texts_are_not_learnt_from(self, site: SearchSite):
        site.say("a", "xin chào")
        assert not self.due(site)

    def test_versions_are_never_mixed(self, many: SearchSite):
        before = many.source.for_searching().version
        index.train(many.stores, many.source.make)
        after = many.source.for_searching().version
        assert after != before
        many.say("new", "một câu khác hẳn")
        assert {text.embedder for text in many.texts().values()} == {before, after}
        assert many.names("câu khác hẳn")[0] == "new"
        assert "r007" in many.names("câu số 7 của tôi", k=300)  # found by its words until it is embedded anew
        assert index.refresh(many.stores, many.source.for_indexing) == index.FEWEST_TO_TRAIN_ON
        assert {text.embedder for text in many.texts().values()} == {after}
        assert index.refresh(many.stores, many.source.for_indexing) == 0
        assert many.names("cau so 7 cua toi")[0] == "r007"

    def test_an_embedder_of_another_version_comes_into_force_with_the_next_text(self, many: SearchSite):
        with many.stores.records.transaction() as tx:
            tx.put(SearchIndex(name="texts", embedder="older", embedder_name="older"))
        index.refresh(many.stores, many.source.for_indexing)
        version = many.source.for_searching().version
        assert {text.embedder for text in many.texts().values()} == {version}

    def test_rebuilding_brings_back_what_was_lost_and_drops_what_belongs_to_nothing(self, many: SearchSite):
        before = many.texts()
        with many.stores.records.transaction() as tx:
            for text in list(before.values())[:50]:
                tx.delete(IndexedText, text.text_id)
            stray = next(iter(before.values()))
            tx.put(type(stray)(**{f: getattr(stray, f) for f in stray.__slots__} | _STRAY))
        index.rebuild(many.stores, many.source.for_indexing)
        assert many.texts() == before


_STRAY = {"text_id": "gone-0-1", "audio_id": "gone"}
