"""Every synthesiser at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from phonoloop.adapters.espeak_pool import EspeakPool
from phonoloop.adapters.flite import FliteSynthesizer, find_flite
from phonoloop.adapters.piper import PiperSynthesizer
from phonoloop.wakeword.synthesis import VoicedSynthesizer


@contextmanager
def voices_at_hand(
    piper: Sequence[Path] = (), *, workers: int = 2
) -> Iterator[tuple[EspeakPool, list[VoicedSynthesizer]]]:
    """espeak-ng, which is also the phonemiser, and with it all synthesisers: flite where it is installed, and
    the Piper voices that are named.

    Args:
        piper: Piper's `.onnx` files, or folders of them.
        workers: how many processes of espeak-ng speak at once.

    Raises:
        UnavailableError: `espeak.missing`.
        NotFoundError, IntegrityError: as `PiperSynthesizer`.
    """
    with ExitStack() as stack:
        espeak = stack.enter_context(EspeakPool(workers))
        found: list[VoicedSynthesizer] = [espeak]
        if (program := find_flite()) is not None:
            found.append(FliteSynthesizer(program))
        if piper:
            found.append(PiperSynthesizer(piper, espeak))
        yield espeak, found
