"""Indexing is killed with SIGKILL before its writes: done again, the index is what it would have been."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from kills import killed_before

from phonoloop.adapters.blobs_local import LocalBlobStore
from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.adapters.sql_database import Database
from phonoloop.adapters.texts_sql import SqlTexts
from phonoloop.adapters.vectors_coded import CodedVectorIndex
from phonoloop.data.forget import forget_speaker
from phonoloop.data.stores import Stores
from phonoloop.search import index
from phonoloop.testing.searching import SearchSite

SAID = {
    "a": "xin chào các bạn",
    "b": "luật đất đai năm nay",
    "c": "hòa bình và hợp tác",
    "d": "bà ấy mua rau",
}
MOST_STEPS = 60


def opened(root: Path) -> SearchSite:
    records = SqlRecords(f"sqlite:///{root}/records.sqlite")
    stores = Stores(records, LocalBlobStore(root))
    return SearchSite.of(stores, SqlTexts(records.database), CodedVectorIndex())


def prepare(root: Path) -> None:
    site = opened(root)
    for name, text in SAID.items():
        site.say(name, text, indexed=False)
    site.stores.records.close()


def work(root: Path) -> None:
    """Everything that writes: indexing, learning, embedding anew, building anew."""
    site = opened(root)
    for name in SAID:
        index.index_transcript(site.stores, name, site.source.for_indexing)
    index.train(site.stores, site.source.make)
    index.refresh(site.stores, site.source.for_indexing)
    index.rebuild(site.stores, site.source.for_indexing)
    site.stores.records.close()


def killed_at(root: Path, step: int, task=work) -> bool:
    return killed_before(step, ((Database, "write"), (LocalBlobStore, "put")), lambda: task(root))


def contents(root: Path) -> dict:
    """What is indexed, and what is found by words and by likeness."""
    site = opened(root)
    texts = {name: asdict(text) for name, text in site.texts().items()}
    hits = site.find("xin chao hoa binh", min_score=-1.0)
    found = [(hit.found.text.text_id, hit.score, hit.exact) for hit in hits]
    site.stores.records.close()
    return {"texts": texts, "found": found}


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> dict:
    root = tmp_path_factory.mktemp("calm")
    prepare(root)
    work(root)
    return contents(root)


def test_killed_before_any_write_and_done_again_the_index_is_the_same(tmp_path, expected):
    for step in range(0, MOST_STEPS, 4):
        root = tmp_path / str(step)
        root.mkdir()
        prepare(root)
        was_killed = killed_at(root, step)
        work(root)
        assert contents(root) == expected
        if not was_killed:
            assert step > 8
            return
    raise AssertionError("it never came to its end")


def test_killed_while_forgetting_nothing_of_the_speaker_is_found_afterwards(tmp_path):
    def forget(root: Path) -> None:
        site = opened(root)
        forget_speaker(site.stores, "lan", actor="test", mark_models=lambda tx, name: [])
        site.stores.records.close()

    for step in range(0, MOST_STEPS, 3):
        root = tmp_path / str(step)
        root.mkdir()
        prepare(root)
        work(root)
        was_killed = killed_at(root, step, forget)
        forget(root)
        work_again = opened(root)
        for name in SAID:
            index.index_transcript(work_again.stores, name, work_again.source.for_indexing)
        work_again.stores.records.close()
        assert contents(root) == {"texts": {}, "found": []}
        if not was_killed:
            return
    raise AssertionError("it never came to its end")
