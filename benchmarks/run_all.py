"""Runs every benchmark of this folder, one after the other, and prints their JSON lines.

python benchmarks/run_all.py [NAME…]     # all, or those whose file name holds a NAME
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    wanted = sys.argv[1:]
    scripts = [p for p in sorted(HERE.glob("bench_*.py")) if not wanted or any(w in p.stem for w in wanted)]
    failed = [script.stem for script in scripts if not run(script)]
    if failed or not scripts:
        print(json.dumps({"bench": "all", "failed": failed, "ran": len(scripts)}))
    return 1 if failed or not scripts else 0


def run(script: Path) -> bool:
    """Passes a benchmark's output on; says which one is running on standard error."""
    began_s = time.monotonic()
    print(f"{script.stem} …", file=sys.stderr, flush=True)
    ended_well = subprocess.run([sys.executable, str(script)], check=False).returncode == 0
    print(f"{script.stem}: {time.monotonic() - began_s:.0f} s", file=sys.stderr, flush=True)
    return ended_well


if __name__ == "__main__":
    sys.exit(main())
