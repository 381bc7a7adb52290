"""The index stage: every transcript can be found as soon as it is there.

The texts lie in the records, with their words and vectors, and change in the same unit of work as the event
that tells of it. So nothing of a forgotten speaker can be found, whatever was killed when; and any number of
processes search while another one indexes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from phonoloop.core.clock import utc_now
from phonoloop.core.errors import UnavailableError
from phonoloop.core.events import EMBEDDINGS_INDEXED, Event
from phonoloop.core.ports import Transaction
from phonoloop.data.model import Clip, IndexedText, Recording, SearchIndex, Transcript
from phonoloop.data.stores import Stores, in_transaction
from phonoloop.search.embedder import Embedder
from phonoloop.search.passages import Passage, as_indexed, passages
from phonoloop.search.ports import COLLECTION
from phonoloop.search.rarity import Rarity

#: with fewer texts one cannot tell which words are rare
FEWEST_TO_TRAIN_ON = 200
_BATCH = 200
_PAGE = 1_000
_MOST_TRIES = 10

E = TypeVar("E")
#: the embedder as of now, and the version that the records say is in force
CurrentEmbedder = Callable[[], Embedder]


@dataclass(frozen=True, slots=True)
class _Read:
    """A recording as it was when its text was embedded."""

    recording: Recording
    transcript: Transcript
    passages: tuple[Passage, ...]


def index_transcript(stores: Stores, audio_id: str, current: CurrentEmbedder) -> int:
    """The stage: makes the current transcript of a recording findable in the place of what was there, and
    tells it. A recording that has none (any more) is not found any more. Done again it changes nothing.

    Returns:
        How many texts there are of it now.

    Raises:
        UnavailableError: `search.changing`, where the transcript or the embedder changes all the time.
    """
    return index_transcripts(stores, [audio_id], current)


def index_transcripts(stores: Stores, audio_ids: Sequence[str], current: CurrentEmbedder) -> int:
    """As `index_transcript`, for several at once."""
    for _ in range(_MOST_TRIES):
        made = _index_once(stores, audio_ids, current())
        if made is not None:
            return made
    raise UnavailableError(
        "the transcript changed each time it was to be indexed",
        code="search.changing",
        subject=audio_ids[0],
        hint="It is tried again by itself",
    )


def _index_once(stores: Stores, audio_ids: Sequence[str], embedder: Embedder) -> int | None:
    with stores.records.transaction() as tx:
        read = _read(tx, audio_ids)
    vectors = _vectors(embedder, read)
    return in_transaction(stores.records, lambda tx: _keep(tx, audio_ids, read, embedder, vectors))


def _read(tx: Transaction, audio_ids: Sequence[str]) -> dict[str, _Read]:
    """Those that have a transcript."""
    recordings = {one.audio_id: one for one in tx.find(Recording, audio_id__in=audio_ids)}
    clips: dict[str, list[Clip]] = {audio_id: [] for audio_id in audio_ids}
    for clip in tx.find(Clip, audio_id__in=audio_ids, order_by="start_sample"):
        clips[clip.audio_id].append(clip)
    found = {}
    for transcript in tx.find(Transcript, audio_id__in=audio_ids):
        name = transcript.audio_id
        if recording := recordings.get(name):
            found[name] = _Read(recording, transcript, tuple(passages(recording, transcript, clips[name])))
    return found


def _vectors(embedder: Embedder, read: Mapping[str, _Read]) -> list[bytes]:
    """In the order of the passages of what was read."""
    texts = [passage.text for one in read.values() for passage in one.passages]
    rows = embedder.embed(texts).astype("<f2")
    return [row.tobytes() if row.any() else b"" for row in rows]


def _keep(
    tx: Transaction,
    audio_ids: Sequence[str],
    read: Mapping[str, _Read],
    embedder: Embedder,
    vectors: Sequence[bytes],
) -> int | None:
    """None where something else is recorded now than what was embedded."""
    if _read(tx, audio_ids) != read or not _is_current(tx, embedder):
        return None
    before = {text.text_id: text for text in tx.find(IndexedText, audio_id__in=audio_ids)}
    after = {text.text_id: text for text in _made(read, embedder, iter(vectors))}
    for text_id in before.keys() - after.keys():
        tx.delete(IndexedText, text_id)
    changed = [text for text in after.values() if before.get(text.text_id) != text]
    if changed:
        tx.put(*changed)
    for one in read.values():
        tx.emit(_indexed(one, embedder))
    return len(after)


def _is_current(tx: Transaction, embedder: Embedder) -> bool:
    index = tx.get(SearchIndex, COLLECTION)
    return index is None or index.embedder == embedder.version


def _made(read: Mapping[str, _Read], embedder: Embedder, vectors: Iterator[bytes]) -> Iterator[IndexedText]:
    for one in read.values():
        for passage in one.passages:
            yield as_indexed(
                passage, one.recording, one.transcript, embedder=embedder.version, vector=next(vectors)
            )


def _indexed(read: _Read, embedder: Embedder) -> Event:
    data = {
        "audio_id": read.recording.audio_id,
        "collection": COLLECTION,
        "revision": read.transcript.revision,
        "texts": len(read.passages),
        "embedder": embedder.version,
    }
    return Event(EMBEDDINGS_INDEXED, read.recording.audio_id, data)


# ---------------------------------------------------------------- all of them


def as_vector(kept: bytes) -> np.ndarray:
    """(d,) float32 of an `IndexedText.vector`."""
    return np.frombuffer(kept, "<f2").astype(np.float32)


def rebuild(
    stores: Stores, current: CurrentEmbedder, *, on_progress: Callable[[float], None] = lambda share: None
) -> int:
    """Makes every transcript findable anew, and nothing else; says how many texts there are. Killed, it
    is done again from the start."""
    names = {transcript.audio_id for transcript in _all(stores, Transcript)}
    names |= {text.audio_id for text in _all(stores, IndexedText)}
    return _index_all(stores, sorted(names), current, on_progress)


def refresh(
    stores: Stores, current: CurrentEmbedder, *, on_progress: Callable[[float], None] = lambda share: None
) -> int:
    """Embeds anew what another embedder than the current one has embedded; says how many texts."""
    version = current().version
    with stores.records.transaction() as tx:
        if tx.total(IndexedText) == tx.total(IndexedText, embedder=version):
            return 0
    stale = {text.audio_id for text in _all(stores, IndexedText) if text.embedder != version}
    return _index_all(stores, sorted(stale), current, on_progress)


def _all(stores: Stores, kind: type[E]) -> Iterator[E]:
    """Page by page, so that nobody else waits for long."""
    last = ""
    key = next(iter(kind.__dataclass_fields__))
    while True:
        with stores.records.transaction() as tx:
            page = tx.find(kind, limit=_PAGE, **{f"{key}__gt": last})
        yield from page
        if len(page) < _PAGE:
            return
        last = getattr(page[-1], key)


def _index_all(
    stores: Stores, names: Sequence[str], current: CurrentEmbedder, on_progress: Callable[[float], None]
) -> int:
    total = 0
    for start in range(0, len(names), _BATCH):
        total += index_transcripts(stores, names[start : start + _BATCH], current)
        on_progress(min(1.0, (start + _BATCH) / len(names)))
    return total


# ---------------------------------------------------------------- learning from the texts


def wants_training(tx: Transaction) -> bool:
    """Whether there are twice as many texts as the last training saw; so learning costs, over time, no
    more than a second indexing of each."""
    index = tx.get(SearchIndex, COLLECTION)
    before = index.trained_on if index else 0
    return tx.total(IndexedText) >= max(FEWEST_TO_TRAIN_ON, 2 * before)


def train(stores: Stores, make: Callable[[Rarity], Embedder]) -> SearchIndex:
    """Counts how rare words are in the texts, and puts the embedder that knows it in force. What is embedded
    already is left to `refresh`.

    Args:
        make: the embedder that goes by how rare words are (or one that does not care).
    """
    texts = [text.text for text in _all(stores, IndexedText)]
    rarity = Rarity.train([texts])
    key = f"search/{rarity.version}.npz"
    stores.blobs.put(key, rarity.to_bytes())
    embedder = make(rarity)
    put_in_force(stores, embedder, rarity=key, trained_on=len(texts))
    with stores.records.transaction() as tx:
        return tx.get(SearchIndex, COLLECTION)


def put_in_force(stores: Stores, embedder: Embedder, **learnt: str | int) -> None:
    """From now on texts are embedded with this one; those of another one are not compared with."""

    def work(tx: Transaction) -> None:
        before = tx.get(SearchIndex, COLLECTION)
        fresh = before or SearchIndex(name=COLLECTION, embedder="", embedder_name="")
        after = replace(fresh, embedder=embedder.version, embedder_name=embedder.name, **learnt)
        if after != before:
            tx.put(replace(after, updated_at=utc_now()))

    in_transaction(stores.records, work)
