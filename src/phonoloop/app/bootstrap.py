"""The composition root: the only place where adapters are chosen and the graph is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path

from phonoloop.adapters.blobs_local import LocalBlobStore
from phonoloop.adapters.bus_sql import SqlEventBus
from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.adapters.texts_sql import SqlTexts
from phonoloop.app.champion import ChampionHolder
from phonoloop.app.language_models import LanguageModels
from phonoloop.app.presence import Presence, presence
from phonoloop.app.recognisers import load_recogniser
from phonoloop.app.restorers import Restorers
from phonoloop.app.searching import Searching
from phonoloop.app.settings import Settings
from phonoloop.audio.decode import DecodeLimits, Decoder
from phonoloop.audio.vad import EnergyDetector, SileroDetector
from phonoloop.core.errors import ConfigError
from phonoloop.core.ports import BlobStore, EventBus, Records
from phonoloop.core.speech import SpeechDetector
from phonoloop.data.correct import Corrector
from phonoloop.data.curate import CurateRules
from phonoloop.data.ingest import IngestContext, IngestRules
from phonoloop.data.snapshot import Frozen, freeze
from phonoloop.data.stores import Stores
from phonoloop.text.confusions import Confusions
from phonoloop.text.lexicon import Lexicon
from phonoloop.wakeword.datasets import DatasetContext
from phonoloop.wakeword.datasets_inspect import DatasetRules

MEGABYTE = 1024 * 1024
#: power cuts are not the event's fault; one that kills its consumer each time is given up all the same
MAX_UNANSWERED = 20


@dataclass(frozen=True)
class App:
    """Everything the commands, the HTTP routes and the workers need."""

    settings: Settings
    records: Records
    bus: EventBus
    blobs: BlobStore
    decoder: Decoder
    detector: SpeechDetector
    champion: ChampionHolder
    language_models: LanguageModels
    restorers: Restorers
    search: Searching
    presence: Presence
    #: removes what killed writes of objects left; only while nobody writes any
    sweep_blobs: Callable[[], int]

    @property
    def data_dir(self) -> Path:
        return self.settings.data_dir

    @property
    def inbox(self) -> Path:
        return self.settings.inbox

    @property
    def ingest(self) -> IngestContext:
        rules = IngestRules(max_clip_s=self.settings.max_clip_s, language=self.settings.language)
        return IngestContext(self.records, self.blobs, self.decoder, self.detector, rules)

    @cached_property
    def corrector(self) -> Corrector:
        """What the correct stage goes by, with the tables in `text/` of the data folder; read once.

        Raises:
            ManifestError: `text.table`, naming the line of a table that cannot be read.
            ConfigError: `config.bad_value`.
        """
        own = self.data_dir / "text"
        lexicon, confusions = Lexicon.extended(own), Confusions.extended(own)
        restorer = (
            self.restorers if _is_on(self.settings.restore_diacritics, "NLP_RESTORE_DIACRITICS") else None
        )
        return Corrector(lexicon=lexicon, confusions=confusions, restorer=restorer)

    @property
    def curate_rules(self) -> CurateRules:
        s = self.settings
        return CurateRules(
            min_duration_s=s.min_clip_s,
            max_duration_s=s.max_clip_s,
            min_snr_db=s.min_snr_db,
            min_confidence=s.min_confidence,
            max_disagreement=s.max_disagreement,
            ready_hours=s.train_hours_threshold,
        )

    @cached_property
    def wake_datasets(self) -> DatasetContext:
        """The datasets of wake-word clips. Their detector tells speech from noise, whatever finds pauses."""
        s = self.settings
        rules = DatasetRules(
            min_speech_s=s.wakeword_min_speech_s,
            max_speech_s=s.wakeword_max_speech_s,
            max_clip_s=s.wakeword_max_clip_s,
            min_positives=s.wakeword_min_positives,
            min_negatives=s.wakeword_min_negatives,
        )
        return DatasetContext(
            self.records,
            self.blobs,
            root=self.data_dir,
            decoder=self.decoder,
            detector=SileroDetector(),
            rules=rules,
        )

    def freeze(self) -> Frozen:
        """Freezes what is accepted now, with the rules that chose it."""
        rules = {"curate": asdict(self.curate_rules), "split": asdict(self.ingest.rules.split)}
        return freeze(self.ingest, rules)

    def run_dir(self, run_id: str) -> Path:
        return self.data_dir / "runs" / run_id

    def job_dir(self, job_id: str) -> Path:
        return self.data_dir / "jobs" / job_id

    def job_log(self, job_id: str) -> Path:
        return self.job_dir(job_id) / "log.txt"


@contextmanager
def open_app(settings: Settings) -> Iterator[App]:
    """Opens a data folder, made if it is not there; closes it again.

    Raises:
        ResourceError: the disk is full. UnavailableError: the records cannot be reached.
    """
    with presence(settings.data_dir) as present:
        yield from _open(settings, present)


def _open(settings: Settings, present: Presence) -> Iterator[App]:
    records = SqlRecords(
        settings.records_url or f"sqlite:///{settings.data_dir.resolve() / 'records.sqlite'}"
    )
    blobs = LocalBlobStore(settings.data_dir)
    search = Searching(settings, Stores(records, blobs), SqlTexts(records.database))
    limits = DecodeLimits(
        max_duration_s=settings.max_duration_s, max_input_bytes=int(settings.max_upload_mb * MEGABYTE)
    )
    try:
        with Decoder(limits) as decoder:
            yield App(
                settings=settings,
                records=records,
                bus=SqlEventBus(records, max_unanswered=MAX_UNANSWERED),
                blobs=blobs,
                decoder=decoder,
                detector=_detector(settings.speech_detector),
                champion=ChampionHolder(records, blobs, partial(load_recogniser, threads=settings.threads)),
                language_models=LanguageModels(blobs),
                restorers=Restorers(blobs),
                search=search,
                presence=present,
                sweep_blobs=partial(blobs.sweep, older_than_s=0.0),
            )
    finally:
        search.close()
        records.close()


def _is_on(value: str, variable: str) -> bool:
    """Raises ConfigError `config.bad_value`."""
    if value not in ("on", "off"):
        raise ConfigError(
            f"{value!r} is neither on nor off",
            code="config.bad_value",
            subject=variable,
            hint="Say on or off",
        )
    return value == "on"


def _detector(name: str) -> SpeechDetector:
    """Raises ConfigError `config.bad_value`."""
    if name not in ("energy", "silero"):
        raise ConfigError(
            f"there is no speech detector {name!r}",
            code="config.bad_value",
            subject="SPEECH_DETECTOR",
            hint="Say energy or silero",
        )
    return EnergyDetector() if name == "energy" else SileroDetector()
