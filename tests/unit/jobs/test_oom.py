"""The kernel's count of processes killed for want of memory."""

from __future__ import annotations

import pytest

from phonoloop.jobs.oom import oom_kills

V2 = "low 0\nhigh 0\nmax 9\noom 2\noom_kill 2\n"
V1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"


@pytest.mark.parametrize(
    ("groups", "counter", "content", "count"),
    [
        ("0::/user.slice/a\n", "user.slice/a/memory.events", V2, 2),
        ("0::/\n", "memory.events", V2, 2),
        ("0::/not/mounted/here\n", "memory.events", V2, 2),
        ("5:cpu,memory:/docker/b\n", "memory/docker/b/memory.oom_control", V1, 5),
        ("5:cpu,memory:/docker/b\n", "memory/memory.oom_control", V1, 5),
        ("0::/\n", "memory.events", "low 0\n", None),
        ("0::/\n", "elsewhere", V2, None),
    ],
)
def test_it_is_read_from_the_control_group(tmp_path, groups, counter, content, count):
    (tmp_path / "cgroup").write_text(groups)
    (tmp_path / counter).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / counter).write_text(content)
    assert oom_kills(tmp_path / "cgroup", tmp_path) == count


def test_without_control_groups_it_is_not_known(tmp_path):
    assert oom_kills(tmp_path / "nothing", tmp_path) is None
