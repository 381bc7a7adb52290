from __future__ import annotations

import pytest
import torch

from phonoloop.testing.tones import Corpus, make_corpus


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Small models are faster on one thread. For the whole session: weights are the same to the bit only on
    the same number of threads, and some fixtures train for a module."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return make_corpus(tmp_path_factory.mktemp("tones"), 32)
