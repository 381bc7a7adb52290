"""How recordings are decoded: what a caller wishes, what the settings say, made of what is there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from phonoloop.app.bootstrap import App
from phonoloop.app.language_models import CURRENT, LanguageModel, language_model
from phonoloop.asr.beam import DEFAULT, BeamConfig, BeamDecoder
from phonoloop.asr.hotwords import parse_hot_word
from phonoloop.core.errors import ConfigError
from phonoloop.core.speech import Transcriber
from phonoloop.text.normalise import DEFAULT_LANGUAGE

if TYPE_CHECKING:  # the runtime of the models is loaded only where something is decoded
    from phonoloop.asr.beam_recogniser import BeamRecogniser
    from phonoloop.asr.infer import Recogniser

MOST_NBEST = 50
MOST_HOT_WORDS = 1000
GREEDY, BEAM = "greedy", "beam"


@dataclass(frozen=True, slots=True)
class DecodingWish:
    """What somebody asks for; nothing of it is greedy decoding.

    Attributes:
        beam: width of the search; 0 for the default where anything else is asked for.
        lm: `current`, an id, or (on the command line) a path; empty for none.
        hot_words: `WORD` or `WORD:WEIGHT`.
        nbest: readings to tell; 0 for none.
        lexicon: only the language model's words.
        rescore: another language model, named as `lm` is, whose opinion is added to each reading's score.
        alpha, beta: weights instead of those that were tuned.
    """

    beam: int = 0
    lm: str = ""
    hot_words: tuple[str, ...] = ()
    nbest: int = 0
    lexicon: bool = False
    alpha: float | None = None
    beta: float | None = None
    rescore: str = ""

    @property
    def is_greedy(self) -> bool:
        return self == DecodingWish()


def decoding(app: App, recogniser: Transcriber, wish: DecodingWish) -> Transcriber:
    """The recogniser, decoding as wished.

    Raises:
        ConfigError: `beam.config`, `beam.not_possible`, `beam.no_words`. InputError: `hotword.invalid`,
            `lm.damaged`. NotFoundError: `lm.missing`, `lm.no_current`.
    """
    if wish.is_greedy:
        return recogniser
    if not _has_probabilities(recogniser):
        raise ConfigError(
            f"{recogniser.model_version} gives no probabilities to search in",
            code="beam.not_possible",
            hint="Beam search, language models and hot words work with models that were trained here",
        )
    _check(wish)
    lm = language_model(app.language_models, wish.lm) if wish.lm else None
    other = language_model(app.language_models, wish.rescore) if wish.rescore else None
    return _beam(recogniser, lm, other, wish)


def _has_probabilities(recogniser: Transcriber) -> bool:
    from phonoloop.asr.infer import Recogniser

    return isinstance(recogniser, Recogniser)


def _check(wish: DecodingWish) -> None:
    if wish.lexicon and not wish.lm:
        raise ConfigError(
            "a lexicon needs the words of a language model", code="beam.no_words", hint="Name one with --lm"
        )
    if not 0 <= wish.nbest <= MOST_NBEST or len(wish.hot_words) > MOST_HOT_WORDS:
        raise ConfigError(
            f"{wish.nbest} readings, {len(wish.hot_words)} hot words",
            code="beam.config",
            hint=f"At most {MOST_NBEST} readings and {MOST_HOT_WORDS} hot words",
        )


def _beam(
    recogniser: Recogniser, lm: LanguageModel | None, other: LanguageModel | None, wish: DecodingWish
) -> BeamRecogniser:
    from phonoloop.asr.beam_recogniser import BeamRecogniser, opinion_of

    tuned = lm.config_for(recogniser.model_version) if lm else BeamConfig(alpha=0.0, beta=0.0)
    given = {name: getattr(wish, name) for name in ("alpha", "beta") if getattr(wish, name) is not None}
    config = replace(tuned, beam=wish.beam or max(tuned.beam, wish.nbest), **given)
    language = recogniser.metadata.get("language") or DEFAULT_LANGUAGE
    decoder = BeamDecoder(
        recogniser.tokenizer,
        config,
        model=lm.model if lm else None,
        lexicon=lm.model.words if lm and wish.lexicon else None,
        hot_words=[parse_hot_word(text, language) for text in wish.hot_words],
    )
    # what was fitted to the search as it was tuned says nothing of a search that is told what to expect
    plain = lm is not None and not (wish.hot_words or wish.lexicon or given or other)
    return BeamRecogniser(
        recogniser,
        decoder,
        most=wish.nbest,
        calibration=lm.calibration_for(recogniser.model_version) if plain else None,
        rescore=opinion_of(other.model, config.alpha or DEFAULT.alpha) if other else None,
        suffix=f"+lm-{lm.lm_id}" if lm else "+beam",
    )


def with_current(app: App, recogniser: Transcriber) -> Transcriber | None:
    """Beam search with the current language model; None where there is none, or nothing to search in."""
    if not _has_probabilities(recogniser) or not app.language_models.current_id():
        return None
    return decoding(app, recogniser, DecodingWish(lm=CURRENT))
