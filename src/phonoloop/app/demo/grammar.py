"""Sentences from a small grammar that anybody can read and change: `grammar.yaml` beside this file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import yaml

from phonoloop.core.errors import ConfigError

START = "sentence"
_SLOT = re.compile(r"\{(\w+)\}")
#: draws in a row that bring nothing new before a grammar counts as used up
_PATIENCE = 2_000


@dataclass(frozen=True, slots=True)
class Grammar:
    """Names and the phrases each stands for; `{name}` in a phrase is a choice among that name's.

    Raises:
        ConfigError: `grammar.unknown` for a name that stands for nothing, `grammar.circular` for one
            that leads back to itself.
    """

    rules: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        self._check(START, above=())

    def sentence(self, rng: np.random.Generator) -> str:
        """One sentence at random: every phrase of a name is as likely as the others."""
        return self._fill(f"{{{START}}}", rng)

    def sentences(self, count: int, *, seed: int) -> list[str]:
        """So many different sentences; the same for the same seed.

        Raises:
            ConfigError: `grammar.too_small`.
        """
        rng = np.random.default_rng(seed)
        found: dict[str, None] = {}  # a set that keeps its order
        missed = 0
        while len(found) < count and missed < _PATIENCE:
            before = len(found)
            found.setdefault(self.sentence(rng))
            missed = 0 if len(found) > before else missed + 1
        if len(found) < count:
            raise ConfigError(
                f"the grammar has hardly more than {len(found)} sentences, {count} were asked for",
                code="grammar.too_small",
                hint="add phrases to it, or ask for fewer sentences",
            )
        return list(found)

    def words(self) -> set[str]:
        """Every word that some sentence has."""
        return {
            word for phrases in self.rules.values() for p in phrases for word in _SLOT.sub(" ", p).split()
        }

    def _fill(self, phrase: str, rng: np.random.Generator) -> str:
        return _SLOT.sub(lambda slot: self._fill(self._one_of(slot[1], rng), rng), phrase)

    def _one_of(self, name: str, rng: np.random.Generator) -> str:
        phrases = self.rules[name]
        return phrases[int(rng.integers(len(phrases)))]

    def _check(self, name: str, *, above: tuple[str, ...]) -> None:
        if name in above:
            raise ConfigError("it leads back to itself", code="grammar.circular", subject=name)
        if not self.rules.get(name):
            raise ConfigError("there is nothing it stands for", code="grammar.unknown", subject=name)
        for slot in sorted(set(_slots(self.rules[name]))):
            self._check(slot, above=(*above, name))


def _slots(phrases: tuple[str, ...]) -> Iterator[str]:
    for phrase in phrases:
        yield from _SLOT.findall(phrase)


def load_grammar(path: Path | None = None) -> Grammar:
    """The grammar that ships, or another of the same form.

    Raises:
        ConfigError: `grammar.unreadable`, or as `Grammar`.
    """
    source = path or resources.files(__package__) / "grammar.yaml"
    try:
        raw = yaml.safe_load(source.read_text(encoding="utf-8"))
        return Grammar({str(name): tuple(map(str, phrases)) for name, phrases in raw.items()})
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"this is no grammar ({error})",
            code="grammar.unreadable",
            subject=str(source),
            hint="it is a YAML file of names, each with a list of phrases",
        ) from error
