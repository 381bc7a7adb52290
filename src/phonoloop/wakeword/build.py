"""From folders of clips and a phrase to an exported, judged detector, in a folder that resumes.

out_dir/
  config.json  log.txt  metrics.jsonl     what began here, what happened, figures by epoch
  synthetic/positives  synthetic/negatives
  features/                               strips as networks hear them; deleted at the end
  checkpoints/  teacher/  model.pt        see `train`
  cross/                                  networks that tell more of the threshold; deleted at the end
  draft/                                  the exported graphs before they are judged; deleted at the end
  export/                                 the result
  report.json                             everything a person wants to know of it; written last

Every stage goes on from what an earlier process left, whenever that was killed.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from phonoloop.core.errors import ConfigError, IntegrityError
from phonoloop.core.files import write_whole
from phonoloop.core.speech import Phonemiser
from phonoloop.training.progress import OnProgress, Progress, ignore_progress
from phonoloop.training.seeds import seed_everything
from phonoloop.wakeword.artefact import read_metadata
from phonoloop.wakeword.batches import Pools
from phonoloop.wakeword.clips import AudioDecoder, marks_of
from phonoloop.wakeword.config import WakeRecipe, check, load_recipe, recipe_to_dict
from phonoloop.wakeword.cross import cross_fit
from phonoloop.wakeword.data import Material, plans
from phonoloop.wakeword.distil import Lessons, teach
from phonoloop.wakeword.doubts import doubtful_clips
from phonoloop.wakeword.ends import phrase_span
from phonoloop.wakeword.export import Facts, conclude, export, load_network
from phonoloop.wakeword.features import Ear, FrontEar, PoolPlan, compute, keep_audio, open_pool
from phonoloop.wakeword.figures import draw
from phonoloop.wakeword.infer import WakeModel
from phonoloop.wakeword.inputs import Inputs, Sources, read_inputs
from phonoloop.wakeword.model import WakeNet, build_model, parameter_count
from phonoloop.wakeword.model import choose as choose_network
from phonoloop.wakeword.phrase import Phrase, read_phrase
from phonoloop.wakeword.report import to_report, to_summary
from phonoloop.wakeword.settle import Settled, Streams, measure, settle, streams_of
from phonoloop.wakeword.spoken import Synthesised, synthesise
from phonoloop.wakeword.streams import Scored
from phonoloop.wakeword.synthesis import VoicedSynthesizer
from phonoloop.wakeword.train import WEIGHTS, TrainResult, train
from phonoloop.wakeword.workshop import (
    CROSS,
    DOUBTS,
    DRAFT,
    EXPORT,
    FEATURES,
    FIGURES,
    REPORT,
    SYNTHETIC,
    Workshop,
    claim,
)

#: of clips that int8 ranges are read off
_CALIBRATION_CLIPS = 80


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What to make.

    Attributes:
        out_dir: the job's folder; the same request goes on there.
        synthesise: without it recordings alone are learned from.
        reject_texts: what a person heard and rejected as a negative.
        continue_from: an exported detector (its folder) to start from instead of fresh weights.
        embedding_dir: where the speech embedding's files are, if not where they are looked for.
    """

    phrase: str
    language: str
    out_dir: Path
    recipe: WakeRecipe
    sources: Sources = field(default_factory=Sources)
    synthesise: bool = True
    reject_texts: tuple[str, ...] = ()
    continue_from: Path | None = None
    embedding_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What came out.

    Attributes:
        export_dir: the detector. report: as in report.json.
    """

    model_id: str
    export_dir: Path
    report: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class _Networks:
    """`teacher`: None where labels alone are learned. `whole`: the front is trained too."""

    student: WakeNet
    teacher: WakeNet | None
    whole: bool

    @property
    def ears(self) -> dict[str, Ear]:
        own: Ear = keep_audio if self.whole else FrontEar(self.student)
        return {"own": own} | ({"teacher": FrontEar(self.teacher)} if self.teacher else {})


def build(
    request: BuildRequest,
    *,
    synthesizers: Sequence[VoicedSynthesizer],
    phonemiser: Phonemiser,
    decoder: AudioDecoder,
    on_progress: OnProgress = ignore_progress,
    should_stop: Callable[[], bool] = lambda: False,
) -> BuildResult:
    """The whole way; goes on from where an earlier call with this request was ended or killed.

    Raises:
        ConfigError: a recipe that contradicts itself, `training.initial_model`.
        ConflictError: `training.other_recipe`, another job lies in the folder.
        InputError: `wakeword.gate`, `wakeword.phrase`, `wakeword.language`, `wakeword.no_report`.
        NotFoundError: `wakeword.no_folder`, `embedding.missing`.
        UnavailableError: `wakeword.no_voice`.
        CancelledError: `training.cancelled`, `wakeword.cancelled`.
        IntegrityError: `checkpoint.corrupt`, `export.differs`.
    """
    check(request.recipe)
    request = replace(request, recipe=settled_recipe(request.recipe, request.embedding_dir))
    phrase = read_phrase(request.phrase, request.language, phonemiser)
    shop = Workshop(request.out_dir, on_progress, should_stop)
    shop.begin("check")
    inputs = read_inputs(request.sources, request.recipe, decoder)
    config = claim(request.out_dir, _config(request, inputs), name=phrase.text)
    done = _finished(request.out_dir, config)
    if done is not None:
        shop.log("this job is done already")
        return done
    for warning in inputs.warnings:
        shop.log(f"warning: {warning}")
    networks = _networks(request)
    shop.log(f"network: {networks.student.choice.why}")
    spoken = _synthesise(request, phrase, shop, synthesizers, phonemiser)
    inputs = replace(inputs, material=replace(inputs.material, spoken=spoken.spoken))
    trained, crossed = _learn(request, inputs, networks, shop)
    streams = streams_of(inputs.material, spoken)
    facts = _facts(request, phrase, config, inputs, spoken, networks, trained)
    facts.provenance["crossed_hours"] = round(sum(one.hours for one in crossed), 4)
    settled = _judge(request, networks.student, facts, inputs, streams, crossed, shop)
    facts = replace(facts, int8_evaluation=_of_int8(request, settled, streams))
    return _conclude(request, facts, settled, [*inputs.warnings, *spoken.warnings, *streams.warnings], shop)


def settled_recipe(recipe: WakeRecipe, embedding_dir: Path | None = None) -> WakeRecipe:
    """The recipe, or the one that it names for machines without a backbone; seed and device stay."""
    if not recipe.otherwise or recipe.model.kind != "auto":
        return recipe
    if choose_network(recipe.model, embedding_dir=embedding_dir).files is not None:
        return recipe
    other = load_recipe(recipe.otherwise)
    return replace(other, seed=recipe.seed, device=recipe.device, threads=recipe.threads)


def _config(request: BuildRequest, inputs: Inputs) -> dict[str, Any]:
    return {
        "phrase": request.phrase,
        "language": request.language,
        "recipe": recipe_to_dict(request.recipe),
        "synthesise": request.synthesise,
        "reject_texts": list(request.reject_texts),
        "continue_from": str(request.continue_from or ""),
        "material": inputs.material_id,
    }


def _finished(folder: Path, config: Mapping[str, Any]) -> BuildResult | None:
    path = folder / REPORT
    if not path.is_file():
        return None
    return BuildResult(config["model_id"], folder / EXPORT, json.loads(path.read_text("utf-8")))


# ---------------------------------------------------------------- stages


def _synthesise(
    request: BuildRequest,
    phrase: Phrase,
    shop: Workshop,
    synthesizers: Sequence[VoicedSynthesizer],
    phonemiser: Phonemiser,
) -> Synthesised:
    on_share = shop.begin("synthesise")
    if not request.synthesise:
        return Synthesised()
    made = synthesise(
        phrase,
        request.recipe,
        synthesizers=synthesizers,
        phonemiser=phonemiser,
        folder=request.out_dir / SYNTHETIC,
        reject_texts=request.reject_texts,
        on_share=on_share,
        should_stop=shop.should_stop,
    )
    shop.log(f"synthesised: {json.dumps(made.counts, ensure_ascii=False)}")
    return made


def _networks(request: BuildRequest) -> _Networks:
    """With fresh weights, or with those to start from."""
    recipe = request.recipe
    seed_everything(recipe.seed)
    teacher = None
    if recipe.teacher.enabled:
        teacher = build_model(recipe.teacher.model, embedding_dir=request.embedding_dir)
    student = build_model(recipe.model, embedding_dir=request.embedding_dir)
    if request.continue_from is not None:
        _warm_start(student, request)
    whole = any(parameter.requires_grad for parameter in student.front.parameters())
    return _Networks(student, teacher, whole)


def _warm_start(student: WakeNet, request: BuildRequest) -> None:
    """Raises ConfigError `training.initial_model`, where the earlier network has another shape."""
    earlier = load_network(request.continue_from, embedding_dir=request.embedding_dir)
    try:
        student.load_weights(earlier.weights())
    except IntegrityError as error:
        raise ConfigError(
            f"the earlier detector is another network ({error.message})",
            code="training.initial_model",
            subject=str(request.continue_from),
            hint="Take its recipe's model section, or train from the beginning",
        ) from error


def _learn(
    request: BuildRequest, inputs: Inputs, networks: _Networks, shop: Workshop
) -> tuple[TrainResult, tuple[Scored, ...]]:
    """Features, then training; leaves the best weights in the student. With it what others of its kind say
    to recordings that they did not learn from."""
    recipe, folder = request.recipe, request.out_dir / FEATURES
    made = plans(inputs.material, recipe)
    shop.log("strips: " + ", ".join(f"{plan.name} {plan.count}" for plan in made))
    on_share = shop.begin("features")
    compute(
        made,
        networks.ears,
        folder,
        workers=recipe.workers,
        on_done=on_share,
        should_stop=shop.should_stop,
    )
    shop.begin("train")

    def told(progress: Progress) -> None:
        shop.tell(progress.fraction, progress)

    own = _pools(made, "own", folder)
    _listen_for_doubts(request, inputs, networks, own, shop)
    result, taught, lessons = _trained(request, networks, made, own, told, shop)
    shop.log(f"best epoch {result.best_epoch} of {result.epochs}: {json.dumps(result.metrics)}")
    if taught is not None:
        shop.log(f"teacher: best epoch {taught.best_epoch} of {taught.epochs}: {json.dumps(taught.metrics)}")
    return result, _crossed(request, inputs, networks, own, lessons, shop)


def _crossed(
    request: BuildRequest,
    inputs: Inputs,
    networks: _Networks,
    own: Pools,
    lessons: Lessons,
    shop: Workshop,
) -> tuple[Scored, ...]:
    """Nothing where the recipe does not ask for it, or where the front would have to be trained each time."""
    shop.begin("cross")
    if not request.recipe.judge.folds or networks.whole:
        return ()

    def fresh() -> WakeNet:
        seed_everything(request.recipe.seed)
        return build_model(request.recipe.model, embedding_dir=request.embedding_dir)

    return cross_fit(
        request.recipe,
        inputs.material.negatives,
        pools=own,
        lessons=lessons,
        fresh=fresh,
        out_dir=request.out_dir / CROSS,
        on_progress=lambda progress: shop.tell(progress.fraction, progress),
        should_stop=shop.should_stop,
    )


def _listen_for_doubts(
    request: BuildRequest, inputs: Inputs, networks: _Networks, own: Pools, shop: Workshop
) -> None:
    """Writes down which recordings may be of another phrase, once."""
    path = request.out_dir / DOUBTS
    if path.is_file():
        return
    names = [clip.name for clip in inputs.material.phrase.train if phrase_span(clip) is not None]
    found: tuple[str, ...] = ()
    if not networks.whole and request.continue_from is None:
        found = doubtful_clips(
            request.recipe,
            model=networks.student,
            pools=own,
            names=names,
            out_dir=request.out_dir / FEATURES / "doubts",
            should_stop=shop.should_stop,
        )
    write_whole(path, json.dumps(found, ensure_ascii=False).encode())


def _trained(
    request: BuildRequest,
    networks: _Networks,
    made: Sequence[PoolPlan],
    own: Pools,
    told: OnProgress,
    shop: Workshop,
) -> tuple[TrainResult, TrainResult | None, Lessons]:
    common: dict[str, Any] = {
        "out_dir": request.out_dir,
        "warm": request.continue_from is not None,
        "on_progress": told,
        "should_stop": shop.should_stop,
    }
    if networks.teacher is None:
        own_result = train(request.recipe, model=networks.student, pools=own, whole=networks.whole, **common)
        return own_result, None, Lessons()
    seen = _pools(made, "teacher", request.out_dir / FEATURES)
    return teach(
        request.recipe, teacher=networks.teacher, student=networks.student, heard=own, seen=seen, **common
    )


def _pools(made: Sequence[PoolPlan], ear: str, folder: Path) -> Pools:
    return Pools.of([open_pool(plan, ear, folder) for plan in made])


def _facts(
    request: BuildRequest,
    phrase: Phrase,
    config: Mapping[str, Any],
    inputs: Inputs,
    spoken: Synthesised,
    networks: _Networks,
    trained: TrainResult,
) -> Facts:
    model = networks.student
    return Facts(
        model_id=config["model_id"],
        phrase=phrase.text,
        language=phrase.language,
        licences=inputs.licences | spoken.licences,
        provenance={
            "recipe": recipe_to_dict(request.recipe),
            "ipa": phrase.ipa,
            "material_id": inputs.material_id,
            "continued_from": str(request.continue_from or ""),
            "network": {
                "kind": model.choice.recipe.kind,
                "why": model.choice.why,
                "parameters": parameter_count(model),
                "trained_parameters": parameter_count(model, trainable=True),
            },
            "teacher": networks.teacher.choice.why if networks.teacher else "",
            "counts": inputs.counts,
            "heard": _heard(inputs.material, request.continue_from),
            "synthesised": spoken.counts,
            "training": {
                "best_epoch": trained.best_epoch,
                "epochs": trained.epochs,
                "steps": trained.steps,
                "held_out": trained.metrics,
            },
        },
    )


def _heard(material: Material, earlier: Path | None) -> list[str]:
    """Marks of all that was learned or chosen from, also by the detector it goes on from, so that nobody
    judges it on them by mistake."""
    sides = (material.phrase, material.negatives, material.noise)
    marks = marks_of(clip for side in sides for clip in (*side.train, *side.tune))
    known = read_metadata(earlier)["provenance"].get("heard", ()) if earlier else ()
    return sorted({*marks, *known})


def _judge(
    request: BuildRequest,
    model: WakeNet,
    facts: Facts,
    inputs: Inputs,
    streams: Streams,
    crossed: Sequence[Scored],
    shop: Workshop,
) -> Settled:
    shop.begin("export")
    draft = request.out_dir / DRAFT
    if not _is_of(draft, request.out_dir / WEIGHTS):
        heard = [*streams.tune_positives[:_CALIBRATION_CLIPS], *streams.tune_negatives[:_CALIBRATION_CLIPS]]
        export(model, draft, facts=facts, audio=[clip.samples for clip in heard])
    shop.begin("judge")
    learned = inputs.material.phrase.train
    return settle(WakeModel.load(draft), streams, request.recipe.judge, learned=learned, crossed=crossed)


def _of_int8(request: BuildRequest, settled: Settled, streams: Streams) -> dict[str, Any]:
    """What the small variant does where the other one was measured, at the same threshold."""
    small = WakeModel.load(request.out_dir / DRAFT, int8=True)
    return to_summary(measure(small, settled.operating.trigger, streams, request.recipe.judge))


def _is_of(draft: Path, weights: Path) -> bool:
    """Whether an earlier process exported these very weights."""
    if not (draft / "metadata.json").is_file():
        return False
    read_metadata(draft)
    ours = torch.load(weights, map_location="cpu", weights_only=True)["model"]
    theirs = torch.load(draft / "wake_model.pt", map_location="cpu", weights_only=True)["model"]
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def _conclude(
    request: BuildRequest, facts: Facts, settled: Settled, warnings: Sequence[str], shop: Workshop
) -> BuildResult:
    evaluation = settled.evaluation
    facts = replace(
        facts,
        trigger=settled.operating.trigger,
        operating=settled.operating.to_dict(),
        evaluation=to_summary(evaluation),
        verdict=evaluation.verdict.outcome.value,
    )
    draft, folder = request.out_dir / DRAFT, request.out_dir / EXPORT
    conclude(draft, folder, facts=facts, pictures=draw(evaluation, request.out_dir / FIGURES))
    doubtful = json.loads((request.out_dir / DOUBTS).read_text("utf-8"))
    told = [*warnings, *settled.operating.warnings, *evaluation.warnings, *_of_outliers(settled)]
    if doubtful:
        named = ", ".join(Path(name).name for name in doubtful)
        told.append(f"these clips sound least like the others; is the phrase said in them? {named}")
    report = facts.to_dict() | {
        "export": str(folder),
        "evaluation": to_report(evaluation),
        "doubtful": doubtful,
        "outliers": [{"name": name, "score": round(score, 4)} for name, score in settled.outliers],
        "warnings": list(dict.fromkeys(told)),
    }
    write_whole(request.out_dir / REPORT, json.dumps(report, ensure_ascii=False, indent=1).encode())
    for leftover in (FEATURES, DRAFT, FIGURES, CROSS):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(request.out_dir / leftover)
    shop.log(f"done: {facts.verdict}")
    return BuildResult(facts.model_id, folder, report)


def _of_outliers(settled: Settled) -> list[str]:
    if not settled.outliers:
        return []
    names = ", ".join(Path(name).name for name, _ in settled.outliers[:8])
    more = f" and {len(settled.outliers) - 8} more" if len(settled.outliers) > 8 else ""
    count = len(settled.outliers)
    return [f"{count} clips do not sound like the others; is the phrase said in them? {names}{more}"]
