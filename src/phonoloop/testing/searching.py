"""A small site to search, for tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from phonoloop.core.ports import VectorIndex
from phonoloop.data.model import IndexedText, Provenance, Split, Transcript
from phonoloop.data.stores import Stores
from phonoloop.search import index
from phonoloop.search.own import SoundEmbedder
from phonoloop.search.ports import Texts
from phonoloop.search.searcher import Hit, Query, Searcher
from phonoloop.search.source import EmbedderSource, MakeEmbedder
from phonoloop.testing.entities import NOON, a_clip, a_recording, a_speaker


@dataclass
class SearchSite:
    """Put transcripts in, search them."""

    stores: Stores
    source: EmbedderSource
    searcher: Searcher

    @classmethod
    def of(
        cls, stores: Stores, texts: Texts, vectors: VectorIndex, make: MakeEmbedder = SoundEmbedder
    ) -> SearchSite:
        source = EmbedderSource(stores, texts, make)
        with stores.records.transaction() as tx:
            tx.put(a_speaker("lan", name="Lan Anh"), a_speaker("mai", Split.TEST, name="Mai"))
        return cls(stores, source, Searcher(texts, vectors, source))

    def say(self, audio_id: str, text: str, *, minute: int = 0, indexed: bool = True, **fields: Any) -> None:
        """A recording of one clip with a transcript; said again, the transcript is replaced."""
        speaker = fields.pop("speaker_id", "lan")
        split = Split.TEST if speaker == "mai" else Split.TRAIN
        snr_db = fields.pop("snr_db", 25.0)
        provenance = fields.pop("provenance", Provenance.SIDECAR)
        with self.stores.records.transaction() as tx:
            before = tx.get(Transcript, audio_id)
            moment = NOON + timedelta(minutes=minute)
            tx.put(a_recording(audio_id, speaker, split, created_at=moment, snr_db=snr_db, samples=16_000))
            tx.put(a_clip(audio_id, speaker_id=speaker, split=split, snr_db=snr_db))
            revision = before.revision + 1 if before else 1
            made = Transcript(audio_id=audio_id, revision=revision, text=text, provenance=provenance)
            tx.put(replace(made, text_clean=text, **fields))
        if indexed:
            index.index_transcript(self.stores, audio_id, self.source.for_indexing)

    def find(self, text: str, **asked: Any) -> list[Hit]:
        return self.searcher.search(Query(text=text, **asked))

    def names(self, text: str, **asked: Any) -> list[str]:
        return [hit.found.text.audio_id for hit in self.find(text, **asked)]

    def texts(self) -> dict[str, IndexedText]:
        with self.stores.records.transaction() as tx:
            return {text.text_id: text for text in tx.find(IndexedText)}
