"""`phonoloop wakeword scan` and `listen`: a phrase in files, in a microphone, in a pipe."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from phonoloop.app.cli.common import emit, error_body, exit_code, progress, table
from phonoloop.app.settings import load_settings
from phonoloop.audio.decode import Decoder
from phonoloop.audio.pipe import FORMATS, PipeFormat, heard
from phonoloop.core.errors import PhonoloopError
from phonoloop.core.speech import Detection
from phonoloop.core.units import CANONICAL_RATE_HZ, seconds_to_hours
from phonoloop.wakeword.artefact import model_folder
from phonoloop.wakeword.infer import Detector, WakeModel
from phonoloop.wakeword.scan import Scanned, files_in, scan_file, summary

#: what a shell shows for a command whose reader went away
_PIPE_CLOSED = 141
#: of quiet after the end of a pipe: what its end sets off is still heard
_TAIL_S = 1.0
_FLOOR = 10 ** (-75 / 20)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--model`, `--int8`, `--threshold`, `--data` and `--json`; the command gets `detector` and
    `as_json`."""

    @click.option("--model", "models", multiple=True, help="Folder of a detector, or `current`; repeatable.")
    @click.option("--int8", is_flag=True, help="Use the 8-bit variant.")
    @click.option(
        "--threshold", type=click.FloatRange(0, 1, min_open=True), help="Instead of the model's own."
    )
    @click.option("--data", "data_dir", type=click.Path(file_okay=False, path_type=Path), help="Data folder.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
    @functools.wraps(command)
    def with_detector(
        *args: Any,
        models: Sequence[str],
        int8: bool,
        threshold: float | None,
        data_dir: Path | None,
        **options: Any,
    ) -> Any:
        settings = load_settings({"data_dir": data_dir})
        folders = [model_folder(given, settings.data_dir) for given in models or [settings.wake_model]]
        loaded = [WakeModel.load(folder, int8=int8) for folder in folders]
        return command(*args, detector=_detector(loaded, threshold), **options)

    return with_detector


def _detector(models: Sequence[WakeModel], threshold: float | None) -> Detector:
    if threshold is None:
        return Detector(models)
    return Detector([replace(one, trigger=replace(one.trigger, threshold=threshold)) for one in models])


# ---------------------------------------------------------------- files


@click.command()
@click.argument("audio", nargs=-1, required=True, type=click.Path(path_type=Path))
@model_options
def scan(audio: tuple[Path, ...], detector: Detector, as_json: bool) -> None:
    """Find the phrase in AUDIO: files, and folders with files at any depth.

    With --json a line for each detection, then a summary. Files that cannot be used are listed in it,
    and the exit code tells of the worst.
    """
    scanned: list[Scanned] = []
    refused: list[tuple[Path, PhonoloopError]] = []
    files = files_in(audio)
    with Decoder() as decoder, progress("Scanning", enabled=not as_json) as bar:
        for done, path in enumerate(files):
            try:
                scanned.append(scan_file(path, detector, decoder))
                _show(scanned[-1], detector, as_json=as_json)
            except PhonoloopError as error:
                if error.retryable:  # the machine's trouble, not the file's
                    raise
                refused.append((path, error))
            bar((done + 1) / len(files), path.name)
    body = summary(scanned) | {
        "refused": [{"file": str(path), **error_body(error)} for path, error in refused]
    }
    emit(as_json, body, lambda: _summary_lines(body))
    raise SystemExit(max((exit_code(error) for _, error in refused), default=0))


def _show(scanned: Scanned, detector: Detector, *, as_json: bool) -> None:
    for one in scanned.detections:
        body = {"file": str(scanned.file), **_view(one, detector)}
        emit(as_json, body, lambda body=body: [f"{_line(body)}  {body['file']}"])


def _view(detection: Detection, detector: Detector) -> dict[str, Any]:
    """The model is named where there are several."""
    body = {"at_s": detection.at_s, "score": round(detection.score, 6)}
    return body if len(detector.models) == 1 else body | {"model": detection.model}


def _line(body: dict[str, Any]) -> str:
    model = f"  {body['model']}" if "model" in body else ""
    return f"{body['at_s']:10.2f} s  {body['score']:.3f}{model}"


def _summary_lines(body: dict[str, Any]) -> Iterator[str]:
    rate = ""
    if "per_hour" in body:
        an_hour = body["per_hour"]
        rate = f": {an_hour['rate']:g} an hour (95 %: {an_hour['low']:g} to {an_hour['high']:g})"
    files, found = _count(body["files"], "file"), _count(body["detections"], "detection")
    yield f"{found} in {body['hours']:.3f} h, {files}{rate}"
    if body["refused"]:
        yield f"{_count(len(body['refused']), 'file')} cannot be used:"
        yield from (f"  {one['file']}: {one['message']} [{one['code']}]" for one in body["refused"])


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


# ---------------------------------------------------------------- as it comes


def _list_devices(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    """Needs no model."""
    if not wanted:
        return
    from phonoloop.adapters.microphone import input_devices

    rows = [(one.number, one.name, one.rate_hz, "*" if one.default else "") for one in input_devices()]
    for line in table(("number", "name", "Hz", "default"), rows):
        click.echo(line)
    context.exit()


@click.command()
@model_options
@click.option("--device", help="Number or part of the name of a microphone.")
@click.option(
    "--list-devices",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_devices,
    help="Show the microphones.",
)
@click.option("--stdin", "from_stdin", is_flag=True, help="Hear a pipe: raw samples, or a WAV file.")
@click.option("--rate", default=CANONICAL_RATE_HZ, show_default=True, help="Samples a second in the pipe.")
@click.option(
    "--format", "sample_format", type=click.Choice(sorted(FORMATS)), default="s16le", show_default=True
)
def listen(
    detector: Detector, as_json: bool, device: str | None, from_stdin: bool, rate: int, sample_format: str
) -> None:
    """Find the phrase in a microphone, or with --stdin in a pipe, as it comes. Ctrl-C ends it."""
    ears = _Ears(detector, as_json)
    try:
        with _ended_by_sigterm():
            if from_stdin:
                _hear_pipe(ears, PipeFormat(rate, sample_format))
            else:
                _hear_microphone(ears, device)
    except KeyboardInterrupt:
        ears.interrupted = True
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(_PIPE_CLOSED) from None
    ears.conclude()


class _Ears:
    """A detector that says at once what it hears, and at the end how much that was."""

    def __init__(self, detector: Detector, as_json: bool) -> None:
        self._detector, self._as_json = detector, as_json
        self._samples = self._detections = 0
        self.overruns = 0
        self.interrupted = False

    def hear(self, samples: np.ndarray, *, counted: bool = True) -> None:
        self._samples += len(samples) * counted
        for detection in self._detector.push(samples):
            self._detections += 1
            body = _view(detection, self._detector)
            emit(self._as_json, body, lambda body=body: [_line(body)])

    def lost(self, overruns: int) -> None:
        """Says, the first time, that the microphone had to throw audio away; the summary says how often."""
        if overruns and not self.overruns:
            click.echo("Audio was lost: this machine is too slow, or busy.", err=True)
        self.overruns = overruns

    def conclude(self) -> None:
        hours = seconds_to_hours(self._samples / CANONICAL_RATE_HZ)
        counts = {"detections": self._detections, "overruns": self.overruns}
        body = {"hours": round(hours, 6), **counts, "interrupted": self.interrupted}
        emit(self._as_json, body, lambda: [_heard_line(body)])


def _heard_line(body: dict[str, Any]) -> str:
    lost = f", audio lost {body['overruns']} times" if body["overruns"] else ""
    return f"{_count(body['detections'], 'detection')} in {body['hours']:.3f} h{lost}"


def _hear_pipe(ears: _Ears, given: PipeFormat) -> None:
    for samples in heard(sys.stdin.buffer, given):
        ears.hear(samples)
    noise = np.random.default_rng(0).standard_normal(int(_TAIL_S * CANONICAL_RATE_HZ)) * _FLOOR
    ears.hear(noise.astype(np.float32), counted=False)


def _hear_microphone(ears: _Ears, device: str | None) -> None:
    from phonoloop.adapters.microphone import Microphone

    with Microphone(device) as microphone:
        click.echo("Listening. Ctrl-C ends it.", err=True)
        for samples in microphone:
            ears.hear(samples)
            ears.lost(microphone.overruns)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """As by Ctrl-C: services are stopped so."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
