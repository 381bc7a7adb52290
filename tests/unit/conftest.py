from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def one_thread():
    """For small networks: see `golden.one_thread`."""
    from phonoloop.wakeword import golden

    with golden.one_thread():
        yield
