"""Demucs 4 as a `Separator`, where it is installed, with weights that lie on this machine."""

from __future__ import annotations

from pathlib import Path

from phonoloop.adapters.separator_child import TIMEOUT_S, Job, name_of, run_worker, weights_file


class DemucsSeparator:
    """Networks of A. Défossez, "Hybrid spectrogram and waveform source separation" (2021), and S. Rouard and
    others, "Hybrid transformers for music source separation" (ICASSP 2023), by the package `demucs`.

    Args:
        model: a `.th` file as Demucs publishes it, such as `955717e8-8726e21a.th` of htdemucs; or the folder
            with it. One network, not a bag of several.

    Raises:
        ConfigError: `separator.no_weights`, `separator.many_weights`, `separator.format`.
        UnavailableError, IntegrityError, ResourceError: from `separate`, as `separator_child.run_worker`.
    """

    thorough = True

    def __init__(self, model: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        self._weights = weights_file(model, ".th")
        self._timeout_s = timeout_s
        self.name = name_of("demucs", self._weights)

    def separate(self, wav: Path, stem: Path) -> None:
        run_worker(Job("demucs", str(self._weights), str(wav), str(stem)), self._timeout_s)
