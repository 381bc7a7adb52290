"""`phonoloop train lm`: from texts to a language model that is measured, tuned, kept and perhaps current."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from phonoloop import __version__
from phonoloop.app.bootstrap import App
from phonoloop.app.language_models import CURRENT, LanguageModel
from phonoloop.asr.infer import Recogniser
from phonoloop.asr.tuning import Example, Tuned, hear, tune
from phonoloop.core import ids
from phonoloop.core.clock import utc_now
from phonoloop.core.errors import InputError, IntegrityError, NotFoundError
from phonoloop.data.manifest import ManifestRow
from phonoloop.data.model import Clip, ClipStatus, Recording, Split
from phonoloop.data.snapshot import manifest_row
from phonoloop.text.error_rates import Counts
from phonoloop.text.ngram import NgramModel
from phonoloop.text.ngram_text import TextSource, read_texts, sentences_of, without_held_out
from phonoloop.text.normalise import NORMALISER_VERSION

OnShare = Callable[[float, str], None]
#: log10 that a word which a model does not know costs beyond `<unk>`: it is one of many thousands
_UNKNOWN_COST = 4.0


@dataclass(frozen=True, slots=True)
class LmWish:
    """What to train.

    Attributes:
        files: texts; none for the accepted transcripts of the train speakers.
    """

    files: tuple[Path, ...] = ()
    order: int = 4
    min_counts: tuple[int, ...] = (1,)
    min_word_count: int = 1


@dataclass(frozen=True, slots=True)
class LmOutcome:
    """What came of it.

    Attributes:
        metadata: as it is stored.
        tuned: with the champion on validation speech; None without a champion or such speech.
        current: whether it is the current one now; `reason` says why or why not.
    """

    lm_id: str
    metadata: dict[str, Any]
    tuned: dict[str, Any] | None
    current: bool
    reason: str


def train_lm(app: App, wish: LmWish, on_share: OnShare = lambda share, words: None) -> LmOutcome:
    """Trains a language model and makes it current unless it is worse than the one that is.

    Worse is: more word errors of the champion's beam search on the validation speakers; without a
    champion, a higher perplexity on their transcripts.

    Raises:
        InputError: `lm.no_text`, `lm.reserved_word`, `lm.unreadable`. NotFoundError: `lm.no_file`.
        ConfigError: `lm.order`, `lm.cutoff`.
    """
    on_share(0.05, "reading texts")
    val = _rows(app, Split.VAL)
    sentences, sources = _texts(app, wish)
    held_out = _sentences(app, [*val, *_rows(app, Split.TEST)])
    kept, left_out = without_held_out(sentences, held_out)
    on_share(0.2, "counting")
    model = NgramModel.train(kept, wish.order, min_counts=wish.min_counts, min_word_count=wish.min_word_count)
    references = _sentences(app, val)
    metadata = _metadata(
        model, sources, references=references, left_out=left_out, language=app.settings.language
    )
    lm_id = ids.run_id(utc_now(), app.language_models.taken)
    on_share(0.4, "writing")
    kept_model = app.language_models.keep(lm_id, model, metadata)
    return _judge(app, kept_model, val, references, on_share)


def _texts(app: App, wish: LmWish) -> tuple[list[str], list[TextSource]]:
    if wish.files:
        read = [read_texts(path, app.settings.language) for path in wish.files]
        return [sentence for sentences, _ in read for sentence in sentences], [source for _, source in read]
    rows = _rows(app, Split.TRAIN)
    sentences = _sentences(app, rows)
    if not sentences:
        raise InputError(
            "there is no accepted transcript of a train speaker yet",
            code="lm.no_text",
            hint="Ingest recordings with transcripts, or name text files",
        )
    digest = ids.sha256_hex("\n".join(row.text for row in rows).encode())
    words = sum(len(sentence.split()) for sentence in sentences)
    return sentences, [TextSource("transcripts of the train split", digest, len(sentences), words, 0, 0)]


def _sentences(app: App, rows: Sequence[ManifestRow]) -> list[str]:
    default = app.settings.language
    return [text for row in rows for text in sentences_of(row.text, row.language_or(default))]


def _rows(app: App, split: Split) -> list[ManifestRow]:
    with app.records.transaction() as tx:
        clips = tx.find(Clip, split=split, status=ClipStatus.ACCEPTED)
        recordings = {name: tx.get(Recording, name) for name in {clip.audio_id for clip in clips}}
    return [manifest_row(clip, recordings[clip.audio_id]) for clip in clips]


def _metadata(
    model: NgramModel,
    sources: Sequence[TextSource],
    *,
    references: Sequence[str],
    left_out: int,
    language: str,
) -> dict[str, Any]:
    perplexity = model.perplexity(references)
    return {
        "created_at": utc_now().isoformat(),
        "code_version": __version__,
        "normaliser_version": NORMALISER_VERSION,
        "language": language,
        "counts": list(model.counts),
        "vocabulary": len(model.words),
        **model.about,
        "sources": [asdict(source) for source in sources],
        "held_out_sentences_left_out": left_out,
        "val": {
            "sentences": len(references),
            "words": perplexity.words,
            "perplexity": round(perplexity.perplexity, 3) if math.isfinite(perplexity.perplexity) else None,
            "unknown_share": round(perplexity.unknown_share, 5),
        },
    }


# ---------------------------------------------------------------- which one is current


def _judge(
    app: App, new: LanguageModel, val: Sequence[ManifestRow], references: Sequence[str], on_share: OnShare
) -> LmOutcome:
    recogniser = _champion(app)
    examples = hear(recogniser, val, [app.data_dir]) if recogniser else []
    tuned = None
    if recogniser and examples:
        tuned = _tune(app, new, recogniser, examples, on_share)
    old, why = _current(app)
    if old is None:
        verdict = True, why
    else:
        verdict = _better_foreseen(old.model, new.model, references)
        if recogniser and tuned is not None:
            verdict = _better_heard(tune(recogniser, old.model, examples).beam, tuned.beam, verdict)
    if verdict[0]:
        app.language_models.make_current(new.lm_id)
    told = None if tuned is None else _told(tuned)
    return LmOutcome(new.lm_id, dict(new.metadata), told, *verdict)


def _current(app: App) -> tuple[LanguageModel | None, str]:
    """The one to compare with; without one, why there is none."""
    try:
        if not app.language_models.current_id():
            return None, "it is the first"
        return app.language_models.named(CURRENT), ""
    except (IntegrityError, NotFoundError) as error:  # a new one is the way out of that
        return None, f"the one before cannot be loaded ([{error.code}] {error})"


def _champion(app: App) -> Recogniser | None:
    serving = app.champion.refresh()
    return serving.transcriber if serving and isinstance(serving.transcriber, Recogniser) else None


def _tune(
    app: App, lm: LanguageModel, recogniser: Recogniser, examples: Sequence[Example], on_share: OnShare
) -> Tuned:
    tuned = tune(
        recogniser,
        lm.model,
        examples,
        on_progress=lambda share: on_share(0.5 + share / 2, "tuning on validation speech"),
    )
    app.language_models.keep_tuning(lm.lm_id, recogniser.model_version, _told(tuned))
    return tuned


def tune_current(app: App, recogniser: Recogniser) -> Tuned | None:
    """Finds the weights of the current language model for a recogniser that is new; None without either
    a language model or validation speech."""
    lm_id = app.language_models.current_id()
    examples = hear(recogniser, _rows(app, Split.VAL), [app.data_dir]) if lm_id else []
    if not examples:
        return None
    return _tune(app, app.language_models.named(lm_id), recogniser, examples, lambda share, words: None)


def _told(tuned: Tuned) -> dict[str, Any]:
    return {
        "alpha": tuned.config.alpha,
        "beta": tuned.config.beta,
        "beam": tuned.config.beam,
        "val_words": tuned.beam.reference,
        "val_wer_greedy": round(tuned.greedy.rate, 5),
        "val_wer_beam": round(tuned.beam.rate, 5),
        "calibration": tuned.calibration.to_dict() if tuned.calibration else None,
    }


def _better_heard(old: Counts, new: Counts, foreseen: tuple[bool, str]) -> tuple[bool, str]:
    """By word errors, each with its own weights; among equals by what it foresees."""
    words = f"WER on {new.reference} words of validation speech {new.rate:.2%}, before {old.rate:.2%}"
    if new.errors == old.errors:
        return foreseen[0], f"{words}; {foreseen[1]}"
    return new.errors < old.errors, words


def _better_foreseen(old: NgramModel, new: NgramModel, references: Sequence[str]) -> tuple[bool, str]:
    """By what a word of the validation transcripts costs."""
    if not references:
        return True, "there is no validation transcript to compare on"
    before, after = _cost(old, references), _cost(new, references)
    words = f"perplexity on {len(references)} validation transcripts {10**after:.1f}, before {10**before:.1f}"
    return after <= before, words


def _cost(model: NgramModel, references: Sequence[str]) -> float:
    """log10 a word, unknown ones included: a smaller vocabulary is no advantage."""
    total = words = 0.0
    for text in references:
        unknown = sum(model.id_of(word) == 0 for word in text.split())
        total += unknown * _UNKNOWN_COST - model.score(text)
        words += len(text.split()) + 1
    return total / words
