"""The child process of a training job: `python -m phonoloop.app.trainer --data DIR --job-id ID`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phonoloop.jobs import child


def run(me: child.Child) -> dict[str, Any]:
    """Runs the job to its end. Imports are here so that the process is bound to its runner first."""
    from phonoloop.app.bootstrap import open_app
    from phonoloop.app.settings import load_settings
    from phonoloop.app.work import runner_of
    from phonoloop.jobs import queue

    options = _options()

    def report(stage: str, share: float, metrics: Mapping[str, Any], eta_s: float | None) -> None:
        me.report(stage, share, eta_s=eta_s, metrics=metrics)

    with open_app(load_settings({"data_dir": options.data})) as app:
        with app.records.transaction() as tx:
            job = queue.get(tx, options.job_id)
        return runner_of(job)(app, job, report, me.should_stop)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="phonoloop.app.trainer")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--job-id", required=True)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(child.main(run))
