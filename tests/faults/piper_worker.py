"""Trains a voice in a process that can be killed: DATASET OUT EPOCHS."""

import sys
from pathlib import Path

from phonoloop.voice.model import TrainSettings
from phonoloop.voice.train import train_voice


def settings(epochs):
    """Few epochs are kept: with Piper's discriminators a checkpoint has 0.6 GB, however small the voice."""
    return TrainSettings(quality="debug", epochs=epochs, batch=3, threads=1, device="cpu", keep_best=1)


if __name__ == "__main__":
    train_voice(Path(sys.argv[1]), settings(int(sys.argv[3])), Path(sys.argv[2]))
