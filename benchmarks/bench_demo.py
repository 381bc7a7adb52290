"""The demo's figures: `demo/report.json` where `make demo` has been run, else it is run now.

python benchmarks/bench_demo.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "demo"
WANTED = (
    "wer_first",
    "wer_final",
    "intervals",
    "refused",
    "rolled_back",
    "hours",
    "seconds",
    "measured_on",
)


def main() -> int:
    path = OUT / "report.json"
    if not path.exists():
        command = [sys.executable, "-m", "phonoloop.app.cli.main", "demo", "--out", str(OUT), "--json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    report = json.loads(path.read_text(encoding="utf-8"))
    line = {"bench": "demo", **{name: report[name] for name in WANTED}, "cores": os.cpu_count()}
    print(json.dumps(line, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
