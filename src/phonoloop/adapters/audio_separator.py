"""audio-separator as a `Separator`, where it is installed, with weights that lie on this machine."""

from __future__ import annotations

from pathlib import Path

from phonoloop.adapters.separator_child import TIMEOUT_S, Job, name_of, run_worker, weights_file


class AudioSeparator:
    """The MDX networks of Ultimate Vocal Remover, by the package `audio-separator`.

    Args:
        model: an `.onnx` file, or the folder with it. The package looks in the same folder for its lists of
            models (`download_checks.json`, `mdx_model_data.json`), which it leaves there when it is used with
            the network once.

    Raises:
        ConfigError: `separator.no_weights`, `separator.many_weights`, `separator.format`.
        UnavailableError, IntegrityError, ResourceError: from `separate`, as `separator_child.run_worker`.
    """

    thorough = True

    def __init__(self, model: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        self._weights = weights_file(model, ".onnx")
        self._timeout_s = timeout_s
        self.name = name_of("audio-separator", self._weights)

    def separate(self, wav: Path, stem: Path) -> None:
        run_worker(Job("audio_separator", str(self._weights), str(wav), str(stem)), self._timeout_s)
