"""From recordings to clips, texts, a dataset and a voice, in a folder that resumes (see `voice.layout`).

What a stage makes is kept by what it was made of (see `voice.store`), so the same call goes on where an
earlier one was killed, and other settings repeat only what they change.

The clips of a recording are heard as soon as the recording is cut, while the next ones still are. Which of
them that is decides the recording alone: gates that compare recordings come after the last, and what was
heard of clips that those refuse is kept, but has no line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from phonoloop.audio.wav import read_wav
from phonoloop.core.errors import InputError
from phonoloop.core.ids import file_sha256
from phonoloop.core.speech import Transcriber
from phonoloop.training.progress import OnProgress, Progress, ignore_progress
from phonoloop.training.strict import to_mapping
from phonoloop.voice.config import VoiceRecipe
from phonoloop.voice.data import VoiceClip
from phonoloop.voice.datasets import DatasetSettings, Utterance, passage_of, read_dataset, write_dataset
from phonoloop.voice.export import check_voice, voice_files
from phonoloop.voice.gates import judge_clips
from phonoloop.voice.ingest import BlockDecoder, Given, find_files
from phonoloop.voice.jobfile import JobFile, JobState, job_id_of
from phonoloop.voice.layout import CLIPS, DATASET, VOICE
from phonoloop.voice.outcome import (
    Made,
    drop_later,
    report_of,
    write_manifest,
    write_report,
    write_segments,
)
from phonoloop.voice.publish import publish_dataset, publish_files
from phonoloop.voice.refused import copy_of, no_clips, no_texts, nothing_usable
from phonoloop.voice.separate import Separator
from phonoloop.voice.splits import frozen_splits
from phonoloop.voice.stages import Cut, SourceStages
from phonoloop.voice.store import Store, opened, texts_alone
from phonoloop.voice.teller import LOG, Teller
from phonoloop.voice.texts import ClipText
from phonoloop.voice.train import checkpoints, run_key, train_voice
from phonoloop.voice.transcribe import Ears, Hearing, Workers, transcribe_by

#: raise it when the same clips would make another dataset
DATASET_VERSION = 1
_TELL_EVERY = 20


class Until(StrEnum):
    """The last stage that is wanted."""

    SEGMENT = "segment"
    TRANSCRIBE = "transcribe"
    DATASET = "dataset"
    TRAIN = "train"


#: what people ask for → the last of `teller.PARTS`
_LAST = {
    Until.SEGMENT: "recordings",
    Until.TRANSCRIBE: "transcribe",
    Until.DATASET: "dataset",
    Until.TRAIN: "train",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What to make.

    Attributes:
        inputs: files, and folders of them.
        name: of the voice; becomes a file name.
        language: as espeak-ng calls it.
        given: what is said by hand of all recordings.
        job_id: of the job file; from name and language where empty.
    """

    inputs: tuple[Path, ...]
    name: str
    language: str
    out_dir: Path
    recipe: VoiceRecipe
    until: Until = Until.TRAIN
    given: Given = field(default_factory=Given)
    job_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What other parts do for a voice.

    Attributes:
        judge: hears what the training speaks; None where nobody can.
    """

    decoder: BlockDecoder
    separator: Separator
    ears: Ears
    judge: Transcriber | None = None


@dataclass(frozen=True, slots=True)
class BuildResult:
    """`report`: as in report.json."""

    job_id: str
    report: dict[str, Any]


def build(
    request: BuildRequest,
    tools: Tools,
    *,
    on_progress: OnProgress = ignore_progress,
    should_stop: Callable[[], bool] = lambda: False,
) -> BuildResult:
    """The whole way up to `request.until`; goes on from where an earlier call was ended or killed.

    Raises:
        NotFoundError: `input.missing`, `voice.no_files`.
        InputError: `voice.nothing_usable`, where no recording is; `voice.no_clips`, where no clip passes the
            gates; `voice.no_texts`, where nobody says what is said in them; those of the training.
        ConflictError: `voice.busy`. ResourceError: `resource.disk`. CancelledError: `voice.cancelled`.
        UnavailableError: `piper.missing`.
    """
    teller = Teller(request.out_dir, _LAST[request.until], on_progress, should_stop)
    with opened(request.out_dir) as store:
        job = JobFile(request.out_dir, _first(request))
        way = _Way(request, tools, store, teller, job)
        report = way.go()
        for name in store.prune():
            teller.log(f"not needed any more: {name}")
    return BuildResult(job.state.job_id, report)


def _first(request: BuildRequest) -> JobState:
    job_id = request.job_id or job_id_of(request.name, request.language)
    return JobState(job_id, request.name, request.language)


@dataclass
class _Way:
    """One build under way."""

    request: BuildRequest
    tools: Tools
    store: Store
    teller: Teller
    job: JobFile
    _audio: dict[str, Path] = field(default_factory=dict)

    def go(self) -> dict[str, Any]:
        with texts_alone(self.request.out_dir), Workers(self._hearing()) as workers:
            made, manifest_id = self._before_training(workers)
        if self.request.until is Until.TRAIN:
            made = self._train(made, manifest_id)
        return self._end(made, manifest_id)

    def _hearing(self) -> Hearing:
        return Hearing(
            read=lambda clip: read_wav(self._audio[clip.clip_id]),
            cache=self.store.root / "transcribe" / "heard",
            language=self.request.language,
            ears=self.tools.ears,
            settings=self.request.recipe.transcribe,
        )

    def _before_training(self, workers: Workers) -> tuple[Made, str]:
        """With the manifest's id, empty before there is one."""
        out, until = self.request.out_dir, self.request.until
        made = self._recordings(workers)
        publish_files(out / CLIPS, _audio_of(made))
        write_segments(out, made.cuts)
        if until is Until.SEGMENT:
            drop_later(out, texts=True)
            return made, ""
        made = replace(made, texts=tuple(self._texts(made, workers)))
        if until is Until.TRANSCRIBE:
            drop_later(out, texts=False)
            return made, ""
        return self._dataset(made)

    # ------------------------------------------------------------ recordings

    def _recordings(self, workers: Workers) -> Made:
        """Every recording in clips, by source; what cannot be used is counted and stays where it is.

        Raises InputError `voice.nothing_usable`, `voice.no_clips`; what a recogniser raises.
        """
        request, refused, cuts = self.request, {}, {}
        stages = SourceStages(
            self.store, request.recipe, self.tools.decoder, self.tools.separator, request.given
        )
        files = find_files(request.inputs)
        for number, path in enumerate(files):
            try:
                cut = self._recording(stages, path, cuts, partial(_share, number, len(files)))
            except InputError as error:
                refused[path.name] = error
                self.teller.log(f"refused {path.name}: [{error.code}] {error.message}")
            else:
                cuts[cut.source.source_id] = cut
                self._ask(workers, cut)
            self._tell_recordings(cuts.values(), refused, workers.done())
        if not cuts:
            raise nothing_usable(refused, request.out_dir / LOG)
        ordered = tuple(sorted(cuts.values(), key=lambda cut: cut.source.source_id))
        return Made(
            name=request.name,
            language=request.language,
            job_id=self.job.state.job_id,
            cuts=ordered,
            clips=tuple(self._judged(ordered)),
            refused=refused,
            min_trust=request.recipe.transcribe.min_trust,
        )

    def _recording(
        self, stages: SourceStages, path: Path, known: Mapping[str, Cut], share: Callable[[float], float]
    ) -> Cut:
        """Raises InputError `voice.copy`, as well as what a stage refuses."""
        self.teller.begin("ingest", share(0.0), path.name)
        source, audio = stages.ingest(path)
        if source.source_id in known:
            raise copy_of(known[source.source_id].source, path)
        self.teller.begin("separate", share(0.3))
        taken = stages.separate(source, audio)
        self.teller.begin("mark", share(0.4))
        stretches = stages.mark(taken)
        self.teller.begin("segment", share(0.5))
        segments = stages.segment(taken)
        self.teller.begin("process", share(0.6))
        return stages.process(taken, stretches, segments)

    def _ask(self, workers: Workers, cut: Cut) -> None:
        """Has the clips heard that nothing in their own recording speaks against."""
        self._audio |= {clip.clip_id: cut.audio_of(clip) for clip in cut.clips}
        if self.request.until is not Until.SEGMENT:
            workers.ask_all(cut.source, judge_clips(cut.clips, self.request.recipe.gates))

    def _tell_recordings(
        self, cuts: Iterable[Cut], refused: Mapping[str, InputError], transcribed: int
    ) -> None:
        cuts = sorted(cuts, key=lambda cut: cut.source.source_id)
        self.job.update(
            ingested={cut.source.source_id: cut.source.name for cut in cuts},
            refused={name: refused[name].code for name in sorted(refused)},
            separated=tuple(cut.source.source_id for cut in cuts),
            segments_saved=sum(len(cut.segments) for cut in cuts),
            transcribed_count=transcribed,
        )

    def _judged(self, cuts: Sequence[Cut]) -> list[VoiceClip]:
        """Raises InputError `voice.no_clips`."""
        clips = judge_clips([clip for cut in cuts for clip in cut.clips], self.request.recipe.gates)
        if all(clip.refused for clip in clips):
            raise no_clips(clips)
        return clips

    # ------------------------------------------------------------ texts

    def _texts(self, made: Made, workers: Workers) -> list[ClipText]:
        """Raises InputError `voice.no_texts`."""
        usable = sum(not clip.refused for clip in made.clips)
        heard = _Counter(usable, workers, self.teller, self.job)
        self.teller.begin("transcribe", heard.share())
        texts = transcribe_by(
            workers,
            made.clips,
            made.sources,
            out=self.request.out_dir,
            on_clip=heard,
            should_stop=self.teller.should_stop,
        )
        for path in workers.kept():
            self.teller.look()
            self.store.use(path)
        if not any(text.text and not text.rejected for text in texts):
            raise no_texts(usable, made.sources.values(), heard=bool(self.tools.ears.first))
        return texts

    # ------------------------------------------------------------ dataset and training

    def _dataset(self, made: Made) -> tuple[Made, str]:
        """With the manifest's id. Raises as `write_dataset`."""
        self.teller.begin("dataset")
        out, settings = self.request.out_dir, self.request.recipe.dataset
        utterances = list(_utterances(made, settings))
        splits = frozen_splits(out, (one.passage for one in utterances), settings)
        inputs = {
            "utterances": [[o.clip_id, o.text, o.passage, o.speaker] for o in utterances],
            "splits": splits,
            "settings": to_mapping(settings),
            "named": [self.request.name, self.request.language],
            "version": DATASET_VERSION,
        }

        def make(folder: Path) -> None:
            write_dataset(
                utterances,
                folder,
                settings,
                name=self.request.name,
                language=self.request.language,
                earlier=splits,
            )

        folder = self.store.result("dataset", inputs, make)
        made = replace(made, dataset=read_dataset(folder))
        publish_dataset(folder, out / DATASET)
        manifest_id = write_manifest(out, made)
        if manifest_id != self.job.state.manifest_created:
            self.job.update(manifest_created=manifest_id, epoch=0, last_checkpoint="")
        return made, manifest_id

    def _train(self, made: Made, manifest_id: str) -> Made:
        """Raises as `train_voice`."""
        self.teller.begin("train")
        settings, dataset = self.request.recipe.train, made.dataset
        folder = self.store.root / "train" / run_key(dataset.dataset_id, settings)
        folder.mkdir(parents=True, exist_ok=True)
        self.store.use(folder)

        def on_progress(progress: Progress) -> None:
            self.teller.tell(progress.fraction, progress)
            if progress.epoch_done:
                last = (checkpoints(folder) or [""])[-1]
                self.job.update(epoch=progress.epoch, last_checkpoint=_inside(folder / last, self.request))

        trained = train_voice(
            dataset.folder,
            settings,
            folder,
            transcriber=self.tools.judge,
            on_progress=on_progress,
            should_stop=self.teller.should_stop,
        )
        last = _inside(folder / checkpoints(folder)[-1], self.request)
        self.job.update(epoch=trained.epochs, last_checkpoint=last)
        files = voice_files(trained.folder, self.request.name)
        publish_files(self.request.out_dir / VOICE, files)
        check_voice(self.request.out_dir / VOICE / f"{self.request.name}.onnx")
        hashes = {name: file_sha256(path) for name, path in sorted(files.items())}
        return replace(
            made,
            training=trained.figures(),
            files=hashes,
            sentences=trained.sentences,
            epochs=trained.history,
        )

    def _end(self, made: Made, manifest_id: str) -> dict[str, Any]:
        recipe = to_mapping(self.request.recipe)
        report = report_of(made, until=self.request.until.value, recipe=recipe, manifest_id=manifest_id)
        write_report(self.request.out_dir, report)
        self.teller.log(f"done: {report['until']}")
        return report


@dataclass
class _Counter:
    """Tells how many clips have a text; the job file every so often."""

    clips: int
    workers: Workers
    teller: Teller
    job: JobFile
    _done: int = 0

    def __call__(self, clip: VoiceClip) -> None:
        self._done += 1
        self.teller.tell(self.share())
        if self._done % _TELL_EVERY == 0 or self._done == self.clips:
            self.job.update(transcribed_count=self._heard())

    def share(self) -> float:
        return self._heard() / max(1, self.clips)

    def _heard(self) -> int:
        """Most were heard before their turn comes. Some of those may be refused by now."""
        return (
            self._done if self._done == self.clips else min(self.clips, max(self._done, self.workers.done()))
        )


def _inside(path: Path, request: BuildRequest) -> str:
    return path.relative_to(request.out_dir).as_posix()


def _share(number: int, files: int, inside: float) -> float:
    """How far the recordings are, where one of them is `inside`."""
    return (number + inside) / files


def _audio_of(made: Made) -> dict[str, Path]:
    """File name → where the clips lie that passed the gates."""
    cuts = {cut.source.source_id: cut for cut in made.cuts}
    return {f"{clip.clip_id}.wav": cuts[clip.source_id].audio_of(clip) for clip in made.usable}


def _utterances(made: Made, settings: DatasetSettings) -> Iterator[Utterance]:
    paths = _audio_of(made)
    clips = {clip.clip_id: clip for clip in made.usable}
    for text in made.trained_on():
        yield Utterance(
            clip_id=text.clip_id,
            audio=paths[f"{text.clip_id}.wav"],
            text=text.text,
            passage=passage_of(clips[text.clip_id], settings),
            speaker=text.speaker,
        )
