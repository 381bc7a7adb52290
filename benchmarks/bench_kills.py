"""SIGKILL at a hundred random moments of ingest → manifest, and of a training: are the ends the same?

Runs the long fault tests and prints what they say; they compare manifests byte for byte and weights bit
for bit with an undisturbed run's.

    python benchmarks/bench_kills.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = {
    "ingest_to_manifest": "tests/faults/test_ingest_kill.py",
    "training": "tests/faults/test_training_kill.py",
}


def main() -> int:
    results = {name: run(path) for name, path in TESTS.items()}
    line = {"bench": "kills", **results, "measured_on": f"{os.cpu_count()} cores, synthetic sounds"}
    print(json.dumps(line))
    return 0 if all(result["identical"] for result in results.values()) else 1


def run(path: str) -> dict[str, object]:
    """The long tests of one file, which kill a hundred times each."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            path,
            "-m",
            "long",
            "--timeout",
            "3000",
            f"--junitxml={report}",
        ]
        subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.DEVNULL)
        suite = ElementTree.parse(report).getroot().find("testsuite")
    ran = int(suite.get("tests")) - int(suite.get("skipped"))
    bad = int(suite.get("failures")) + int(suite.get("errors"))
    return {
        "kills": 100 * ran,
        "identical": ran > 0 and bad == 0,
        "seconds": round(time.monotonic() - began_s),
    }


if __name__ == "__main__":
    sys.exit(main())
