"""Detecting with exported models: onnxruntime and numpy, no torch.

detector = Detector(WakeModel.load(folder))
for samples in microphone:
    for detection in detector.push(samples):
        print(detection.model, detection.at_s, detection.score)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from phonoloop.core.errors import AudioError, ConfigError
from phonoloop.core.speech import Detection
from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.training.artefacts import damaged, session_for
from phonoloop.wakeword.artefact import (
    AUDIO,
    INT8_STREAM_MODEL,
    STREAM_MODEL,
    graph_facts,
    other_front_end,
    read_metadata,
    trigger_of,
)
from phonoloop.wakeword.trigger import Event, Trigger, TriggerSettings

#: by the names of the graph's inputs
State = dict[str, np.ndarray]
#: steps that go through the network together where many are waiting: 4 s of audio
_STEPS_AT_ONCE = 50
_UNREADABLE = (
    *(runtime.Fail, runtime.InvalidArgument, runtime.InvalidGraph, runtime.InvalidProtobuf),
    *(runtime.NotImplemented, runtime.RuntimeException, TypeError, ValueError),
)
_NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True)
class StreamGraph:
    """`wake_stream.onnx`, or its int8 variant: audio and a state in, scores and the next state out.

    Attributes:
        facts: what was written into the graph when it was exported.
    """

    step_samples: int
    facts: dict[str, str]
    _one: onnxruntime.InferenceSession = field(repr=False)
    _many: onnxruntime.InferenceSession = field(repr=False)

    @classmethod
    def open(cls, path: Path, *, step_samples: int, threads: int = 1) -> StreamGraph:
        """Two sessions: for one step, with known sizes, which is faster; and for any number of steps.

        Raises:
            IntegrityError: `model.damaged`.
        """
        try:
            many = session_for(path, threads=threads)
            sizes = dict(zip(many.get_inputs()[0].shape, (1, step_samples), strict=True))
            one = session_for(path, threads=threads, sizes=sizes)
        except _UNREADABLE as error:
            raise damaged(path, f"this is no graph of a detector ({error})") from error
        return cls(step_samples, dict(many.get_modelmeta().custom_metadata_map), one, many)

    def run(self, audio: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """(1, k · step_samples) float32 and the state before them: (k,) scores and the state after."""
        session = self._one if audio.shape[1] == self.step_samples else self._many
        scores, *after = session.run(None, {AUDIO: audio} | state)
        return scores[0], dict(zip(state, after, strict=True))

    def initial_state(self) -> State:
        """What lies before the first sample: zeros, by the names of the graph's inputs."""
        inputs = self._one.get_inputs()[1:]
        return {node.name: np.zeros(node.shape, np.float32) for node in inputs}


@dataclass(frozen=True)
class WakeModel:
    """An exported detector. Streams and threads may share one.

    Attributes:
        trigger: when it fires, as it was judged.
        metadata: what `metadata.json` says.
        int8: whether the int8 graph is used.
    """

    model_id: str
    phrase: str
    trigger: TriggerSettings
    metadata: dict[str, Any] = field(repr=False)
    folder: Path
    int8: bool
    graph: StreamGraph = field(repr=False)

    @classmethod
    def load(cls, folder: Path, *, int8: bool = False, threads: int = 1) -> WakeModel:
        """Loads a detector, once its files and front-end are what it was exported with.

        Raises:
            NotFoundError: `model.missing`.
            IntegrityError: `model.damaged`, `model.format`, `model.front_end`.
        """
        folder = Path(folder).resolve()  # `current` may be switched between two files
        metadata = read_metadata(folder)
        path = folder / (INT8_STREAM_MODEL if int8 else STREAM_MODEL)
        if path.name not in metadata["files"]:
            raise damaged(path, "this model was exported without it")
        graph = StreamGraph.open(path, step_samples=metadata["step_samples"], threads=threads)
        if graph.facts != graph_facts(metadata):
            raise other_front_end(path)
        identity = metadata["model_id"], metadata["phrase"], trigger_of(metadata)
        return cls(*identity, metadata=metadata, folder=folder, int8=int8, graph=graph)

    @property
    def step_samples(self) -> int:
        return self.graph.step_samples

    @property
    def step_s(self) -> float:
        return self.step_samples / CANONICAL_RATE_HZ

    def scores(self, samples: np.ndarray) -> np.ndarray:
        """(n,) samples in [-1, 1] at 16,000 Hz to (n // step_samples,) float32 probabilities."""
        return self.stream().push(samples)

    def stream(self) -> ScoreStream:
        """A stream that has heard nothing yet."""
        return ScoreStream(self.graph)


class Steps(Protocol):
    """What goes on from step to step: a `StreamGraph`, or a network that is no graph yet."""

    @property
    def step_samples(self) -> int: ...

    def initial_state(self) -> Any: ...

    def run(self, audio: np.ndarray, state: Any) -> tuple[np.ndarray, Any]: ...


class ScoreStream:
    """Scores of audio that comes in pieces. Where it is cut changes nothing."""

    def __init__(self, graph: Steps) -> None:
        self._graph = graph
        self.reset()

    def reset(self) -> None:
        """The next samples begin a new stream."""
        self._state = self._graph.initial_state()
        self._waiting = _NOTHING

    def push(self, samples: np.ndarray) -> np.ndarray:
        """(n,) more float samples in [-1, 1] at 16,000 Hz, n any number: (k,) scores of the steps that are
        whole now.

        Raises:
            AudioError: `audio.not_samples`, for what is no row of finite numbers between about -1 and 1.
        """
        waiting = np.concatenate([self._waiting, _checked(samples)])
        whole = len(waiting) // self._graph.step_samples * self._graph.step_samples
        self._waiting = waiting[whole:]
        most = _STEPS_AT_ONCE * self._graph.step_samples
        parts = [self._run(waiting[start : min(start + most, whole)]) for start in range(0, whole, most)]
        return np.concatenate(parts) if parts else _NOTHING

    def _run(self, samples: np.ndarray) -> np.ndarray:
        scores, self._state = self._graph.run(samples[None], self._state)
        return scores


def _checked(samples: np.ndarray) -> np.ndarray:
    whole_numbers = np.issubdtype(samples.dtype, np.integer)
    if samples.ndim != 1 or whole_numbers or not np.isfinite(samples).all():
        raise AudioError(
            f"these are no samples: {samples.dtype} of shape {samples.shape}, or not finite",
            code="audio.not_samples",
            hint="Give float samples in one row, between -1 and 1",
        )
    return samples.astype(np.float32, copy=False)


class Detector:
    """A `WakeDetector` of one or several models, each with its own trigger and cool-down.

    Args:
        models: at least one; their ids differ.
        triggers: settings by model id, in the place of a model's own.

    Raises:
        ConfigError: `wakeword.models`.
    """

    def __init__(
        self,
        models: WakeModel | Sequence[WakeModel],
        *,
        triggers: dict[str, TriggerSettings] | None = None,
    ) -> None:
        self.models = (models,) if isinstance(models, WakeModel) else tuple(models)
        _check_distinct(self.models)
        given = triggers or {}
        self._ears = [_Ear(model, given.get(model.model_id, model.trigger)) for model in self.models]

    def push(self, samples: np.ndarray) -> list[Detection]:
        """(n,) more float samples at 16,000 Hz, n any number: what was detected, in the order of time.

        Raises:
            AudioError: `audio.not_samples`. IntegrityError: `wakeword.scores`.
        """
        heard = [detection for ear in self._ears for detection in ear.push(samples)]
        return sorted(heard, key=lambda detection: detection.at_s)

    def reset(self) -> None:
        """The next samples begin a new stream, at 0 s."""
        for ear in self._ears:
            ear.reset()


def _check_distinct(models: Sequence[WakeModel]) -> None:
    ids = [model.model_id for model in models]
    if not ids or len(set(ids)) < len(ids):
        raise ConfigError(
            f"detectors are needed whose ids differ, given are: {', '.join(ids) or 'none'}",
            code="wakeword.models",
            hint="Name every detector once",
        )


class _Ear:
    """One model of a detector."""

    def __init__(self, model: WakeModel, settings: TriggerSettings) -> None:
        self._model = model
        self._stream = model.stream()
        self._trigger = Trigger(settings, step_s=model.step_s)

    def push(self, samples: np.ndarray) -> list[Detection]:
        return [self._detection(event) for event in self._trigger.push(self._stream.push(samples))]

    def reset(self) -> None:
        self._stream.reset()
        self._trigger.reset()

    def _detection(self, event: Event) -> Detection:
        at_s = (event.step + 1) * self._model.step_samples / CANONICAL_RATE_HZ
        return Detection(self._model.model_id, round(at_s, 3), event.score)
