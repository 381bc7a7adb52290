"""Whatever is written, the records in memory and in SQLite refuse the same and keep the same."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phonoloop.adapters.records_memory import MemoryRecords
from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.core.errors import PhonoloopError
from phonoloop.data.model import Clip, ClipStatus, Provenance, Recording, Speaker, Split
from phonoloop.jobs.model import Job, JobState
from phonoloop.testing.entities import NOON, a_clip, a_recording, a_speaker

KEPT = {"created_at": NOON}
splits = st.sampled_from(list(Split))
speakers = st.sampled_from(["lan", "mai"])
recordings = st.sampled_from(["r1", "r2"])

entities = st.one_of(
    st.builds(lambda who, split: a_speaker(who, split, **KEPT), speakers, splits),
    st.builds(lambda what, who, split: a_recording(what, who, split, **KEPT), recordings, speakers, splits),
    st.builds(
        lambda what, who, split, status, provenance: a_clip(
            what, speaker_id=who, split=split, status=status, provenance=provenance, **KEPT
        ),
        recordings,
        speakers,
        splits,
        st.sampled_from(list(ClipStatus)),
        st.sampled_from([None, *Provenance]),
    ),
    st.builds(
        lambda name, slot, state: Job(job_id=name, kind="k", slot=slot, state=state, **KEPT),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["cpu", "gpu"]),
        st.sampled_from([JobState.QUEUED, JobState.RUNNING]),
    ),
)
writes = st.one_of(
    st.tuples(st.just("put"), entities),
    st.tuples(st.just("add"), entities),
    st.tuples(st.just("delete"), entities),
)


class Undone(Exception):
    pass


def write(tx, step: str, entity) -> object:
    """What it says, or the code of its refusal."""
    try:
        if step == "delete":
            return tx.delete(type(entity), getattr(entity, next(iter(type(entity).__slots__))))
        return getattr(tx, step)(entity)
    except PhonoloopError as error:
        return error.code


def outcome(records, steps) -> list:
    said: list = []
    with suppress(Undone), records.transaction() as tx:
        said += [write(tx, *step) for step in steps]
        said += [tx.find(kind) for kind in (Speaker, Recording, Clip, Job)]
        raise Undone
    return said


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory):
    records = SqlRecords(f"sqlite:///{tmp_path_factory.mktemp('agreement')}/records.db")
    yield records
    records.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(writes, max_size=25))
def test_memory_and_sqlite_agree(sqlite, steps):
    assert outcome(MemoryRecords(), steps) == outcome(sqlite, steps)
