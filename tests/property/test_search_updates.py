"""However transcripts come, change and go: what can be found is what an index built anew would find."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.adapters.blobs_memory import MemoryBlobStore
from phonoloop.adapters.records_memory import MemoryRecords
from phonoloop.adapters.texts_memory import MemoryTexts
from phonoloop.adapters.vectors_coded import CodedVectorIndex
from phonoloop.data.forget import forget_speaker
from phonoloop.data.model import Transcript
from phonoloop.data.stores import Stores
from phonoloop.search import index
from phonoloop.search.searcher import Searcher
from phonoloop.testing.searching import SearchSite

NAMES = st.sampled_from("abcdef")
TEXTS = st.sampled_from(
    ["xin chào", "luật đất đai", "hòa bình và hợp tác", "🙂", "", "bà ấy mua rau ở chợ", "xin chao cac ban"]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), NAMES, TEXTS),
        st.tuples(st.just("lose"), NAMES),
        st.tuples(st.just("again"), NAMES),
        st.tuples(st.just("learn")),
        st.tuples(st.just("refresh")),
        st.tuples(st.just("look")),
    ),
    max_size=20,
)


def a_site() -> tuple[SearchSite, MemoryTexts]:
    records = MemoryRecords()
    texts = MemoryTexts(records)
    return SearchSite.of(Stores(records, MemoryBlobStore()), texts, CodedVectorIndex()), texts


def do(site: SearchSite, step: tuple) -> None:
    what, *rest = step
    if what == "say":
        site.say(*rest)
    elif what == "lose":
        with site.stores.records.transaction() as tx:
            tx.delete(Transcript, rest[0])
        index.index_transcript(site.stores, rest[0], site.source.for_indexing)
    elif what == "again":
        index.index_transcript(site.stores, rest[0], site.source.for_indexing)
    elif what == "learn":
        index.train(site.stores, site.source.make)
    elif what == "refresh":
        index.refresh(site.stores, site.source.for_indexing)
    else:
        site.names("xin chào")


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_a_stream_of_changes_ends_as_building_it_anew(steps):
    site, texts = a_site()
    for step in steps:
        do(site, step)
    index.refresh(site.stores, site.source.for_indexing)
    streamed, found = site.texts(), site.find("xin chào luật đất đai", min_score=-1.0)
    index.rebuild(site.stores, site.source.for_indexing)
    assert site.texts() == streamed
    fresh = SearchSite(site.stores, site.source, Searcher(texts, CodedVectorIndex(), site.source))
    assert fresh.find("xin chào luật đất đai", min_score=-1.0) == found


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(NAMES, TEXTS), min_size=1, max_size=8))
def test_of_a_forgotten_speaker_nothing_is_found(said):
    site, _ = a_site()
    for name, text in said:
        site.say(name, text)
    site.say("other", "xin chào luật đất đai", speaker_id="mai")
    site.names("xin chào")
    forget_speaker(site.stores, "lan", actor="test", mark_models=lambda tx, name: [])
    assert site.names("xin chào luật đất đai hòa bình mua rau", min_score=-1.0) == ["other"]
