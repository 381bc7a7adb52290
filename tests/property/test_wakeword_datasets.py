"""A dataset of clips against a plain dictionary, whatever is done to it in whatever order."""

import json
import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from phonoloop.adapters.blobs_local import LocalBlobStore
from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.audio.vad import EnergyDetector
from phonoloop.core.errors import ConflictError, NotFoundError
from phonoloop.data.model import AuditEntry
from phonoloop.testing.intake import PlainDecoder, babble, write_sound
from phonoloop.wakeword import datasets
from phonoloop.wakeword.datasets import DatasetContext, NewDataset
from phonoloop.wakeword.datasets_add import add_file
from phonoloop.wakeword.datasets_model import from_json, to_json
from phonoloop.wakeword.datasets_said import About, Label, Wish

LABELS = st.sampled_from([Label.NEGATIVE, Label.NOISE])
SPEAKERS = st.sampled_from(["", "An", "Bình  Minh"])
SEEDS = st.integers(0, 5)


class Datasets(RuleBasedStateMachine):
    """`clips`: id → what the model says of it, `None` for one that was purged."""

    clips = Bundle("clips")

    @initialize()
    def start(self):
        self.root = Path(tempfile.mkdtemp(prefix="phonoloop-datasets-"))
        self.model: dict[str, dict] = {}
        self.by_seed: dict[int, str] = {}
        self.changes = 1
        self.open()
        datasets.create(self.context, "computer", NewDataset(phrase="computer"), actor="test")

    def open(self):
        self.context = DatasetContext(
            SqlRecords(f"sqlite:///{self.root / 'records.sqlite'}"),
            LocalBlobStore(self.root),
            root=self.root,
            decoder=PlainDecoder(),
            detector=EnergyDetector(),
        )

    @rule()
    def open_again(self):
        self.context.records.close()
        self.open()

    @rule(target=clips, seed=SEEDS, label=LABELS, speaker=SPEAKERS)
    def add(self, seed, label, speaker):
        path = write_sound(self.root / "offered", babble(seed, 0.2), container="wav")
        known = self.by_seed.get(seed, "")
        try:
            added = add_file(
                self.context, "computer", path, About(label=label, speaker=speaker), actor="test"
            )
        except ConflictError:
            assert self.model[known]["deleted"] or self.model[known]["label"] is not label
            return known
        assert added.created == (known not in self.model)
        if added.created:
            self.changes += 1
            self.by_seed[seed] = added.clip.clip_id
            said = {"label": label, "speaker": " ".join(speaker.split()), "notes": "", "deleted": False}
            self.model[added.clip.clip_id] = said
        return added.clip.clip_id

    @rule(name=clips, label=LABELS, speaker=SPEAKERS, notes=st.text("aé\n\"'", max_size=5))
    def change(self, name, label, speaker, notes):
        wish = Wish(label=label, speaker=speaker, notes=notes)
        said = {"label": label, "speaker": " ".join(speaker.split()), "notes": notes.strip()}
        try:
            datasets.change_clip(self.context, name, wish, actor="test")
        except ConflictError:
            assert self.model[name]["deleted"]
        except NotFoundError:
            assert name not in self.model
        else:
            self.changes += 1
            self.model[name].update(said)

    @rule(name=clips, deleted=st.booleans())
    def delete_or_restore(self, name, deleted):
        act = datasets.delete_clips if deleted else datasets.restore_clips
        try:
            act(self.context, [name], actor="test")
        except NotFoundError:
            assert name not in self.model
            return
        self.changes += self.model[name]["deleted"] != deleted
        self.model[name]["deleted"] = deleted

    @rule(name=consumes(clips))
    def purge(self, name):
        gone = datasets.purge(self.context, "computer", older_than_days=0, actor="test")
        expected = {one for one, said in self.model.items() if said["deleted"]}
        assert {clip.clip_id for clip in gone} == expected
        self.changes += len(gone)
        self.model = {one: said for one, said in self.model.items() if one not in expected}

    @invariant()
    def everything_agrees(self):
        dataset = datasets.get(self.context, "computer")
        names = ("label", "speaker", "notes", "deleted")
        found = {n: {one: getattr(clip, one) for one in names} for n, clip in dataset.clips.items()}
        assert found == self.model
        folder = self.root / "datasets" / "computer"
        files = {path.stem for path in (folder / "clips").iterdir()} if (folder / "clips").exists() else set()
        assert files == set(self.model)
        metrics = json.loads((folder / "metrics.json").read_bytes())
        for label in Label:
            wanted = [said for said in self.model.values() if not said["deleted"] and said["label"] is label]
            assert metrics["clips"][label.value]["count"] == len(wanted)
        with self.context.records.transaction() as tx:
            assert tx.total(AuditEntry) == self.changes
        assert from_json(to_json(dataset), "x") == dataset

    def teardown(self):
        self.context.records.close()
        shutil.rmtree(self.root)


TestDatasets = Datasets.TestCase
TestDatasets.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
