"""How a network begins decides whether CTC learns at all in the time there is."""

import pytest
import torch

from phonoloop.asr.config import ModelRecipe
from phonoloop.asr.model import CtcModel


@pytest.mark.parametrize("encoder", ["conformer", "transformer", "lstm"])
def test_the_encoder_gets_frames_that_differ_as_much_as_what_was_heard(encoder):
    torch.manual_seed(0)
    recipe = ModelRecipe(encoder=encoder, d_model=64, layers=1, conv_channels=16, dropout=0.0)
    model = CtcModel(recipe, n_mels=80, vocab_size=30)
    heard = torch.randn(4, 200, 80)
    frames = model.subsampling(heard)
    assert 0.2 < frames.std(dim=(0, 1)).mean() < 2.0


def test_a_fresh_model_writes_different_things_for_different_sounds():
    torch.manual_seed(0)
    model = CtcModel(ModelRecipe(d_model=64, layers=4, dropout=0.0), n_mels=80, vocab_size=30).eval()
    with torch.no_grad():
        log_probs, _ = model(torch.randn(4, 200, 80), torch.full((4,), 200))
    assert log_probs.std(dim=1).mean() > 0.2
