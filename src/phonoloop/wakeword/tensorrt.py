"""A TensorRT engine beside the ONNX graphs, where `trtexec` is installed."""

from __future__ import annotations

import logging
import shutil
import subprocess
from pathlib import Path

from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.wakeword.artefact import AUDIO

ENGINE = "wake_model.engine"
_TIMEOUT_S = 600
_MOST_AT_ONCE = 32
_logger = logging.getLogger(__name__)


def build_engine(graph: Path) -> str:
    """Builds `wake_model.engine` beside a graph of whole recordings, for batches of 1 s; says in a few
    words what became of it. No detector needs one: what goes wrong is said, and the export goes on."""
    tool = shutil.which("trtexec")
    if tool is None:
        _logger.info("no TensorRT engine is built: trtexec is not on the PATH")
        return "not built: trtexec is not installed"
    engine = graph.with_name(ENGINE)
    said = _run([tool, f"--onnx={graph}", f"--saveEngine={engine}", *_shapes()])
    if said or not engine.is_file():
        engine.unlink(missing_ok=True)
        _logger.warning("no TensorRT engine is built: %s", said or "trtexec wrote none")
        return "not built: trtexec failed"
    return "built"


def _shapes() -> list[str]:
    sizes = {"min": 1, "opt": 1, "max": _MOST_AT_ONCE}
    return [f"--{name}Shapes={AUDIO}:{batch}x{CANONICAL_RATE_HZ}" for name, batch in sizes.items()]


def _run(command: list[str]) -> str:
    """What went wrong; empty where nothing did."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr or done.stdout).strip()[-400:] or "it failed"
