"""Whether the kernel has killed something of ours for want of memory."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def oom_kills(cgroup_file: Path = Path("/proc/self/cgroup"), root: Path = _ROOT) -> int | None:
    """How often that happened in this process's control group; None where it cannot be read.

    Reads `memory.events` (version 2) or `memory.oom_control` (version 1); inside a container the
    group is mounted at the root.
    """
    for counter in _counters(cgroup_file, root):
        if counter.is_file():
            return _count(counter.read_text())
    return None


def _counters(cgroup_file: Path, root: Path) -> list[Path]:
    lines = cgroup_file.read_text().splitlines() if cgroup_file.is_file() else []
    found = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        inner = group.lstrip("/")
        if not controllers:
            found += [root / inner / "memory.events", root / "memory.events"]
        elif "memory" in controllers.split(","):
            found += [root / "memory" / inner / "memory.oom_control", root / "memory" / "memory.oom_control"]
    return found


def _count(text: str) -> int | None:
    fields = dict(line.split(maxsplit=1) for line in text.splitlines() if " " in line)
    return int(fields["oom_kill"]) if "oom_kill" in fields else None
