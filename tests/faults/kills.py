"""How fault tests kill: a child at a moment, or a process before one of its writes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence


def killed_after(child: subprocess.Popen, delay_s: float) -> bool:
    """Whether there was still something to kill. The child's output is a pipe, which is closed."""
    with child.stdout:
        try:
            child.wait(timeout=delay_s)
            return False
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait(timeout=30)
            return True


def killed_before(step: int, places: Sequence[tuple[type, str]], act: Callable[[], object]) -> bool:
    """Acts in a process of its own that dies before its `step`th call of any of these methods; False where
    it came to its end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            left = iter(range(step))
            for owner, name in places:
                _die_when_used_up(owner, name, left)
            act()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _die_when_used_up(owner: type, name: str, left: Iterator[int]) -> None:
    real = getattr(owner, name)

    def step(*args, **options):
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **options)

    setattr(owner, name, step)
