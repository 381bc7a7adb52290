# SPDX-License-Identifier: GPL-3.0-or-later
# This file alone is under the GNU General Public License, version 3 or later (see NOTICE), because it works
# inside Piper (https://github.com/OHF-Voice/piper1-gpl). Nothing imports it; it runs in its own process.
"""Trains a Piper voice: `python piper_launcher.py JOB.json`, which `phonoloop.voice.train` writes and starts.

It says how far it is in lines of JSON on its standard output (`stage`, `progress`, `metrics`; at the end
`result` or `error`). After each epoch there is a folder `epoch-0001` in the run's `epochs`, whole or not at
all: `state.ckpt` (Lightning's checkpoint), `voice.onnx`, `voice.onnx.json`, `golden.json` (phoneme ids and
what the network makes of them without noise, which torch and onnxruntime agreed on), `previews/00.wav`, …
and `epoch.json`.

A run that is killed goes on after its last epoch and comes to the same weights but for rounding: everything
random is seeded by the number of the epoch.
"""

import csv
import ctypes
import hashlib
import json
import logging
import math
import os
import random
import shutil
import signal
import sys
import types
import wave
from pathlib import Path

import numpy as np

#: what is spoken without noise after an export: as long as no dummy input, with ids that every voice has
GOLDEN_IDS = (1, 0, 14, 0, 20, 0, 27, 0, 3, 0, 24, 0, 14, 0, 26, 0, 10, 0, 2)
GOLDEN_SCALES = (0.0, 1.0, 0.0)
#: largest difference between torch and onnxruntime, of samples in [-1, 1]
GOLDEN_TOLERANCE = 2e-3
OPSET = 15
#: batches whose clips are sorted by length together
BUCKET_BATCHES = 16
_PR_SET_PDEATHSIG = 1


class Refused(Exception):
    """`code`, a sentence, what it is about, what to do."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        self.code, self.message, self.hint = code, message, hint


class Lines:
    """Standard output kept for the protocol; what libraries print goes to the log."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def write(self, **line) -> None:
        self._out.write(json.dumps(line, ensure_ascii=False, default=float) + "\n")
        self._out.flush()

    def report(self, stage: str, progress: float, **metrics) -> None:
        self.write(stage=stage, progress=progress, metrics=metrics)


def monotonic_paths(scores, frames, phonemes):
    """The best monotonic alignments of a batch, by the recurrence of Glow-TTS (Kim et al. 2020, section 3.3):
    Q(i, j) = max(Q(i - 1, j - 1), Q(i, j - 1)) + log-likelihood(i, j), traced back from the last phoneme.

    Args:
        scores: (batch, frames, phonemes) float32. frames, phonemes: (batch,), the lengths without padding.

    Returns:
        (batch, frames, phonemes) int32, 1 where a frame is of a phoneme.
    """
    moved = _moves(scores)
    rows = np.arange(len(scores))
    at = np.asarray(phonemes) - 1
    path = np.zeros(scores.shape, np.int32)
    for frame in range(scores.shape[1] - 1, -1, -1):
        inside = frame < np.asarray(frames)
        path[rows[inside], frame, at[inside]] = 1
        at = at - (inside & (at > 0) & ((at == frame) | moved[rows, frame, at]))
    return path


def _moves(scores):
    """Where the best way to a cell comes from the phoneme before."""
    batch, frames, phonemes = scores.shape
    moved = np.zeros((batch, frames, phonemes), bool)
    best = np.full((batch, phonemes), -np.inf, np.float32)
    best[:, 0] = scores[:, 0, 0]
    before = np.full_like(best, -np.inf)
    for frame in range(1, frames):
        before[:, 1:] = best[:, :-1]
        moved[:, frame] = before > best
        best = np.maximum(before, best) + scores[:, frame]
    return moved


def put_alignment_in_place() -> None:
    """As the compiled module that Piper asks for when it is imported."""

    def maximum_path_c(path, scores, frames, phonemes):
        path[:] = monotonic_paths(scores, frames, phonemes)

    package = "piper.train.vits.monotonic_align.monotonic_align"
    core = types.ModuleType(f"{package}.core")
    core.maximum_path_c = maximum_path_c
    sys.modules[package] = types.ModuleType(package)
    sys.modules[f"{package}.core"] = core


def prepare(job, lines):
    """Piper's own preparation into the job's cache; (training, validation) lists of utterances."""
    from piper.train.vits.dataset import VitsDataModule

    cache = Path(job["cache"])
    whole = cache / "whole"
    if not whole.exists():
        drop_unfinished(cache)
    lines.report("prepare", 0.0)
    data = VitsDataModule(
        csv_path=job["metadata"],
        cache_dir=cache,
        espeak_voice=job["espeak_voice"],
        config_path=cache / "config.json",
        voice_name=job["name"],
        audio_dir=job["audio"],
        sample_rate=job["model"]["sample_rate"],
        num_speakers=job["model"]["num_speakers"],
        segment_size=job["model"]["segment_size"],
        trim_silence=False,  # the clips are trimmed already, and by this Piper drops audio without saying so
    )
    data.prepare_data()
    whole.touch()
    rows = _utterances(job, cache)
    return [rows[at] for at in job["train_rows"]], [rows[at] for at in job["val_rows"]]


def drop_unfinished(cache) -> None:
    """A run that was killed while preparing leaves a file that is cut, and Piper takes any file for whole."""
    import torch

    for path in sorted(cache.glob("*")):
        try:
            if path.suffix != ".pt" or torch.load(path, weights_only=True) is None:
                path.unlink()
        except Exception:  # noqa: BLE001  (torch has no class for files that are cut)
            logging.info("%s was cut; it is made again", path.name)
            path.unlink()


def _utterances(job, cache):
    """By row number, from 0."""
    from piper.train.vits.dataset import CachedUtterance
    from piper.train.vits.utils import get_cache_id

    speakers = json.loads((cache / "config.json").read_text("utf-8"))["speaker_id_map"]
    several = job["model"]["num_speakers"] > 1
    with open(job["metadata"], encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter="|"))
    found = {}
    for at, row in enumerate(rows):
        speaker = speakers[row[1]] if several else None
        name = get_cache_id(at + 1, row[-1], speaker_id=speaker)
        paths = [cache / f"{name}.{kind}.pt" for kind in ("phonemes", "audio", "spec")]
        found[at] = CachedUtterance(*paths, text=row[-1], speaker_id=speaker)
    return found


class Batches:
    """Indices by batch: of clips of like length, in an order that is another in each epoch and the same
    for the same epoch. A batch sampler of torch's."""

    def __init__(self, lengths, size, seed, epoch=0) -> None:
        self._lengths, self._size, self._seed = np.asarray(lengths), size, seed
        self._epoch = epoch  # the first batch is asked for before Lightning says which epoch it is
        self.sampler = self  # Lightning tells the sampler which epoch it is

    def set_epoch(self, epoch) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self._lengths) / self._size)

    def __iter__(self):
        rng = np.random.default_rng((self._seed, self._epoch))
        order = rng.permutation(len(self._lengths))
        bucket = self._size * BUCKET_BATCHES
        batches = []
        for start in range(0, len(order), bucket):
            part = order[start : start + bucket]
            part = part[np.argsort(-self._lengths[part], kind="stable")]
            batches += [part[at : at + self._size].tolist() for at in range(0, len(part), self._size)]
        yield from (batches[at] for at in rng.permutation(len(batches)))


def loader(utterances, job, *, epoch=0, fixed=False):
    from piper.train.vits.dataset import UtteranceCollate, VitsDataset
    from torch.utils.data import DataLoader

    lengths = [utterance.audio_spec_path.stat().st_size for utterance in utterances]
    batches = Batches(lengths, job["batch"], job["seed"], epoch)
    if fixed:
        batches.set_epoch = lambda epoch: None
    collate = UtteranceCollate(job["model"]["num_speakers"] > 1, job["model"]["segment_size"])
    return DataLoader(VitsDataset(utterances), batch_sampler=batches, collate_fn=collate)


def new_model(job):
    from piper.train.vits.lightning import VitsModel

    # no predictor of opinion scores: it is fetched from a network, and Piper stops where it cannot be
    return VitsModel(**job["model"], batch_size=job["batch"], mos_metric=None)


def warm_start(model, path) -> None:
    """Copies the weights of a Piper checkpoint that fit. Read without running any code in it."""
    import pathlib

    import torch

    try:
        with torch.serialization.safe_globals([pathlib.PosixPath]):
            told = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    except Exception as error:
        message = f"it is no checkpoint of Piper's, or holds more than numbers ({error})"
        raise Refused("voice.checkpoint", message, "Give a .ckpt of Piper, or none") from error
    own = model.state_dict()
    fitting = {name: value for name, value in told.items() if name in own and own[name].shape == value.shape}
    generator = [name for name in own if name.startswith("model_g.")]
    fits = sum(name in fitting for name in generator)
    if fits < len(generator) / 2:
        message = f"only {fits} of {len(generator)} tensors of the network fit this checkpoint"
        raise Refused("voice.checkpoint", message, "Take the quality that the checkpoint was trained with")
    model.load_state_dict({**own, **fitting})
    logging.info("warm start: %d of %d tensors", len(fitting), len(own))


def seed_all(*numbers) -> None:
    import torch

    seed = int(np.random.default_rng(numbers).integers(2**31))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


class Epochs:
    """What happens around the epochs: the callback's functions."""

    def __init__(self, job, lines, stopping) -> None:
        self._job, self._lines, self._stopping = job, lines, stopping

    def callbacks(self):
        from lightning.pytorch.callbacks import LambdaCallback

        return LambdaCallback(
            on_train_batch_start=self._begin,
            on_validation_start=lambda trainer, model: seed_all(self._job["seed"]),
            on_train_batch_end=self._batch,
            on_train_epoch_end=self._epoch,
        )

    def _begin(self, trainer, model, batch, at) -> None:
        if at == 0:  # Lightning leaves out the start of an epoch that it resumes with
            seed_all(self._job["seed"], trainer.current_epoch)

    def _batch(self, trainer, model, outputs, batch, at) -> None:
        done = trainer.current_epoch + (at + 1) / trainer.num_training_batches
        self._lines.report("train", done / self._job["epochs"], **_figures(trainer))
        if self._stopping.is_set:
            raise Stopped

    def _epoch(self, trainer, model) -> None:
        epoch = trainer.current_epoch + 1
        figures = _figures(trainer)
        if not math.isfinite(figures["loss_g"]):
            message = f"the loss became {figures['loss_g']} in epoch {epoch}"
            raise Refused("voice.diverged", message, "Lower train.learning_rate; the epochs before are kept")
        name = f"epoch-{epoch:04d}"
        folder = Path(self._job["epochs_folder"]) / name
        making = folder.with_name(f".{name}.making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        trainer.save_checkpoint(making / "state.ckpt")
        export(model, self._job, making)
        speak(self._job, making)
        told = {"epoch": epoch, "steps": trainer.global_step // 2, **figures}
        (making / "epoch.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
        put(making, folder)
        self._lines.report("epoch", epoch / self._job["epochs"], **told)


class Stopped(Exception):
    """Somebody asked for it."""


class Stopping:
    """Whether SIGTERM came."""

    is_set = False

    def set(self, *_) -> None:
        self.is_set = True


def _figures(trainer):
    return {name: round(float(value), 5) for name, value in trainer.callback_metrics.items()}


def train(job, lines, stopping):
    import lightning
    import torch

    if job["threads"]:
        torch.set_num_threads(job["threads"])
    training, validation = prepare(job, lines)
    last, done = last_state(Path(job["epochs_folder"]))
    seed_all(job["seed"])
    model = new_model(job)
    if last is None and job["warm_start"]:
        warm_start(model, job["warm_start"])
    trainer = lightning.Trainer(
        accelerator=job["device"],
        devices=1,
        precision=job["precision"],
        max_epochs=job["epochs"],
        callbacks=[Epochs(job, lines, stopping).callbacks()],
        default_root_dir=job["epochs_folder"],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if validation else 0,
        use_distributed_sampler=False,
    )
    lines.report("train", 0.0, resumed=last is not None)
    trainer.fit(
        model,
        train_dataloaders=loader(training, job, epoch=done),
        val_dataloaders=loader(validation, job, fixed=True) if validation else None,
        ckpt_path=last,
        weights_only=True,
    )


def last_state(folder):
    """The checkpoint of the last epoch that is whole, and that epoch; (None, 0) where there is none."""
    found = sorted(folder.glob("epoch-*/state.ckpt"))
    return (str(found[-1]), int(found[-1].parent.name.removeprefix("epoch-"))) if found else (None, 0)


def export(model, job, folder) -> None:
    """`voice.onnx`, its JSON and `golden.json`; refuses where onnxruntime and torch disagree."""
    import torch

    generator = _for_inference(model, job)
    ids = torch.randint(0, generator.n_vocab, (1, 50), dtype=torch.long)
    speaker = torch.zeros(1, dtype=torch.long) if generator.n_speakers > 1 else None
    torch.onnx.export(
        model=generator,
        args=(ids, torch.tensor([ids.shape[1]]), torch.tensor([0.667, 1.0, 0.8]), speaker),
        f=str(folder / "voice.onnx"),
        opset_version=OPSET,
        input_names=["input", "input_lengths", "scales", "sid"],
        output_names=["output"],
        dynamic_axes={"input": {0: "b", 1: "n"}, "input_lengths": {0: "b"}, "output": {0: "b", 2: "time"}},
        dynamo=False,  # torch's newer exporter cannot follow the spline of the durations
    )
    config = json.loads((Path(job["cache"]) / "config.json").read_text("utf-8"))
    sha256 = hashlib.sha256((folder / "voice.onnx").read_bytes()).hexdigest()
    config |= {**job["describe"], "piper_version": "1.8.0", "onnx_sha256": sha256}
    (folder / "voice.onnx.json").write_text(json.dumps(config, ensure_ascii=False), encoding="utf-8")
    _write_golden(generator, folder)


def _for_inference(model, job):
    """A copy of the generator that speaks; the one in training keeps its weight norm."""
    import torch

    generator = new_model(job).model_g
    generator.load_state_dict(model.model_g.state_dict())
    generator.eval()
    with torch.no_grad():
        generator.dec.remove_weight_norm()

    def forward(ids, lengths, scales, sid=None):
        made = generator.infer(
            ids, lengths, noise_scale=scales[0], length_scale=scales[1], noise_scale_w=scales[2], sid=sid
        )
        return made[0].unsqueeze(1)

    generator.forward = forward
    return generator


def _write_golden(generator, folder) -> None:
    import onnxruntime
    import torch

    ids = np.array([GOLDEN_IDS], np.int64)
    inputs = {
        "input": ids,
        "input_lengths": np.array([ids.shape[1]], np.int64),
        "scales": np.array(GOLDEN_SCALES, np.float32),
    }
    if generator.n_speakers > 1:
        inputs["sid"] = np.zeros(1, np.int64)
    with torch.no_grad():
        wanted = generator(*(torch.from_numpy(value) for value in inputs.values())).numpy().reshape(-1)
    session = onnxruntime.InferenceSession(str(folder / "voice.onnx"), providers=["CPUExecutionProvider"])
    heard = session.run(None, inputs)[0].reshape(-1)
    if heard.shape != wanted.shape or np.abs(heard - wanted).max() > GOLDEN_TOLERANCE:
        raise Refused("voice.export", "onnxruntime and torch speak differently", "Report this as a bug")
    golden = {"ids": GOLDEN_IDS, "scales": GOLDEN_SCALES, "tolerance": GOLDEN_TOLERANCE}
    golden["samples"] = [round(float(sample), 5) for sample in wanted]
    (folder / "golden.json").write_text(json.dumps(golden), encoding="utf-8")


def speak(job, folder) -> None:
    """The fixed sentences by Piper's own player, the same noise in every epoch."""
    import onnxruntime
    from piper import PiperVoice, SynthesisConfig

    onnxruntime.set_seed(job["seed"])
    voice = PiperVoice.load(folder / "voice.onnx")
    speakers = max(1, voice.config.num_speakers)
    (folder / "previews").mkdir()
    for at, text in enumerate(job["sentences"]):
        options = SynthesisConfig(speaker_id=at % speakers if speakers > 1 else None)
        with wave.open(str(folder / "previews" / f"{at:02d}.wav"), "wb") as file:
            voice.synthesize_wav(text, file, syn_config=options)


def put(making, folder) -> None:
    """Into its place, whole, also after a power cut."""
    for path in [*making.rglob("*"), making]:
        _sync(path)
    os.rename(making, folder)
    _sync(folder.parent)


def _sync(path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def die_with(runner_pid) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != runner_pid:
        raise SystemExit(3)


def failure(error):
    """What is said of an error: code, message, hint, retryable."""
    if isinstance(error, Refused):
        return {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, ImportError):
        hint = "pip install 'phonoloop[piper]'"
        return {"code": "voice.no_piper", "message": f"Piper is not installed ({error})", "hint": hint}
    if isinstance(error, OSError) or "PytorchStreamWriter" in str(error):
        hint = "Free disk space and start again: the run resumes"
        message = f"a file cannot be written or read ({error})"
        return {"code": "resource.disk", "message": message, "hint": hint, "retryable": True}
    if isinstance(error, MemoryError) or "out of memory" in str(error):
        hint = "Lower train.batch, or segment with a lower max_s"
        message = "it ran out of memory"
        return {"code": "job.out_of_memory", "message": message, "hint": hint, "retryable": True}
    message = f"{type(error).__name__}: {error}"
    return {"code": "voice.training", "message": message, "hint": "Its log has the whole story"}


def main(job_file) -> int:
    die_with(int(os.environ["PHONOLOOP_RUNNER_PID"]))
    lines, stopping = Lines(), Stopping()
    signal.signal(signal.SIGTERM, stopping.set)
    logging.basicConfig(level=logging.INFO)
    put_alignment_in_place()
    try:
        train(json.loads(Path(job_file).read_text("utf-8")), lines, stopping)
    except Stopped:
        lines.write(error={"code": "cancelled", "message": "it was asked to stop", "retryable": True})
        return 1
    except Exception as error:
        logging.exception("the training ended with an error")
        lines.write(error=failure(error))
        return 1
    lines.write(result={})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
