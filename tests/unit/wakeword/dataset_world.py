"""What the tests of datasets stand on: a data folder, and files that sound like somebody speaking."""

import numpy as np

from phonoloop.adapters.blobs_local import LocalBlobStore
from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.audio.vad import EnergyDetector
from phonoloop.audio.wav import to_int16
from phonoloop.testing.intake import PlainDecoder, write_sound
from phonoloop.testing.sounds import utterance
from phonoloop.wakeword.datasets import DatasetContext, NewDataset, create
from phonoloop.wakeword.datasets_add import add_file
from phonoloop.wakeword.datasets_inspect import DatasetRules
from phonoloop.wakeword.datasets_said import About, Label

RULES = DatasetRules(min_positives=2, min_negatives=1)


def opened(root, rules=RULES):
    """A data folder, opened as a process opens it."""
    records = SqlRecords(f"sqlite:///{root / 'records.sqlite'}")
    return DatasetContext(
        records,
        LocalBlobStore(root),
        root=root,
        decoder=PlainDecoder(),
        detector=EnergyDetector(),
        rules=rules,
    )


def sound_file(folder, seed, speech_s=1.0, name="", container="wav"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or f"{seed}.wav")
    return write_sound(path, to_int16(utterance(seed, speech_s)), container=container)


def raw_file(folder, samples, name="raw.wav", container="wav"):
    folder.mkdir(parents=True, exist_ok=True)
    return write_sound(folder / name, to_int16(np.asarray(samples, np.float32)), container=container)


def make(context, dataset_id="computer"):
    return create(context, dataset_id, NewDataset(phrase="computer", language="en"), actor="an")


def add(context, folder, seed, label="positive", *, dataset_id="computer", actor="an", **said):
    path = sound_file(folder / "offered", seed)
    return add_file(context, dataset_id, path, About(label=Label(label), **said), actor=actor)
