"""Tokenizers: text to numbers and back.

Every tokenizer keeps id 0 for the blank of CTC and id 1 for what it does not know. One is saved as
a single `tokenizer.json` that carries everything (a BPE model too, as base64) and its own hash.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from phonoloop.core.errors import ConfigError, IntegrityError, NotFoundError
from phonoloop.core.ids import content_id
from phonoloop.text.vietnamese import vietnamese_letters

BLANK_ID = 0
UNKNOWN_ID = 1
BLANK = "<blank>"
UNKNOWN = "<unk>"
#: what an unknown token is written as
UNKNOWN_TEXT = "\ufffd"

_FORMAT = 1


class Tokenizer(Protocol):
    """Text to ids and back. Texts are taken in NFC; they are not normalised otherwise."""

    @property
    def vocab_size(self) -> int:
        """How many ids there are, with blank (0) and unknown (1)."""
        ...

    @property
    def hash(self) -> str:
        """The id of the content: equal hashes encode equally."""
        ...

    def encode(self, text: str) -> list[int]: ...

    def decode(self, ids: Sequence[int]) -> str:
        """Blanks are left out; what is unknown becomes U+FFFD. Ids are not collapsed."""
        ...

    def unknown(self, text: str) -> int:
        """How many tokens of the text are unknown."""
        ...

    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class CharTokenizer:
    """One token a character, the space among them.

    Attributes:
        characters: in id order, from id 2.
    """

    characters: str

    @classmethod
    def train(cls, texts: Iterable[str], *, cover: str = "") -> CharTokenizer:
        """The characters of the texts and the space; with `cover="vi"` every Vietnamese letter too.

        Raises:
            ConfigError: `tokenizer.cover`, for a language that is not known.
        """
        seen = {" ", *_covered(cover)}
        for text in texts:
            seen.update(_nfc(text))
        return cls("".join(sorted(seen)))

    @property
    def vocab_size(self) -> int:
        return len(self.characters) + 2

    @cached_property
    def hash(self) -> str:
        return content_id(self.to_dict())

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {ch: i for i, ch in enumerate(self.characters, start=2)}

    def encode(self, text: str) -> list[int]:
        return [self._ids.get(ch, UNKNOWN_ID) for ch in _nfc(text)]

    def decode(self, ids: Sequence[int]) -> str:
        table = ["", UNKNOWN_TEXT, *self.characters]
        return "".join(table[i] for i in ids)

    def unknown(self, text: str) -> int:
        return self.encode(text).count(UNKNOWN_ID)

    def to_dict(self) -> dict[str, Any]:
        return {"format": _FORMAT, "kind": "char", "characters": self.characters}


@dataclass(frozen=True)
class BpeTokenizer:
    """Byte-pair encoding over characters (sentencepiece), every character of the texts covered.

    Attributes:
        model: a sentencepiece model in which id 0 is the blank and id 1 is unknown.
    """

    model: bytes

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, *, cover: str = "") -> BpeTokenizer:
        """Merges learned from the texts, in one thread, so that the same texts give the same model.

        Raises:
            ConfigError: `tokenizer.vocab_size`, where the texts cannot fill it or have more
                characters than it has room for; `tokenizer.cover`, for an unknown language.
        """
        required = _covered(cover)
        lines = [line for line in map(_nfc, texts) if line.strip()]
        if not lines:
            raise ConfigError("there is no text to learn tokens from", code="tokenizer.no_text")
        return cls(_train_sentencepiece(lines, vocab_size=vocab_size, required=required))

    @cached_property
    def _processor(self) -> Any:
        from sentencepiece import SentencePieceProcessor

        try:
            return SentencePieceProcessor(model_proto=self.model)
        except RuntimeError as error:
            raise IntegrityError(
                f"this is not a sentencepiece model ({error})", code="tokenizer.damaged"
            ) from error

    @property
    def vocab_size(self) -> int:
        return self._processor.vocab_size()

    @cached_property
    def hash(self) -> str:
        return content_id(self.to_dict())

    def encode(self, text: str) -> list[int]:
        return self._processor.encode(_nfc(text))

    def decode(self, ids: Sequence[int]) -> str:
        pieces = [self._piece(i) for i in ids if i != BLANK_ID]
        return "".join(pieces).replace("\u2581", " ").removeprefix(" ")

    def _piece(self, token_id: int) -> str:
        return UNKNOWN_TEXT if token_id == UNKNOWN_ID else self._processor.id_to_piece(token_id)

    def unknown(self, text: str) -> int:
        return self.encode(text).count(UNKNOWN_ID)

    def to_dict(self) -> dict[str, Any]:
        return {"format": _FORMAT, "kind": "bpe", "model": base64.b64encode(self.model).decode()}


def save_tokenizer(tokenizer: Tokenizer, path: Path) -> None:
    """Writes `tokenizer.json`; readers see the old file or the whole new one."""
    body = {**tokenizer.to_dict(), "hash": tokenizer.hash}
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    beside.write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    os.replace(beside, path)


def load_tokenizer(path: Path) -> Tokenizer:
    """Reads what `save_tokenizer` wrote.

    Raises:
        NotFoundError: `tokenizer.missing`.
        IntegrityError: `tokenizer.damaged`, where it is not JSON, not a tokenizer, or not what its
            hash says; `tokenizer.format`, where another version of the program wrote it.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(
            "there is no tokenizer here", code="tokenizer.missing", subject=str(path)
        ) from error
    except ValueError as error:  # not UTF-8 or not JSON
        raise _damaged(f"this is not JSON ({error})", path) from error
    return tokenizer_from_dict(raw, subject=path)


def tokenizer_from_dict(raw: Any, *, subject: Path | str = "") -> Tokenizer:
    """The tokenizer in a dictionary as `to_dict` gives it; where it holds a hash, that is checked."""
    try:
        if raw["format"] != _FORMAT:
            raise IntegrityError(
                f"its format is {raw['format']!r}, this version reads {_FORMAT}",
                code="tokenizer.format",
                subject=str(subject),
            )
        tokenizer = _build(raw)
        if raw.get("hash", tokenizer.hash) != tokenizer.hash:
            raise _damaged("its content does not match its hash", subject)
        return tokenizer
    except (KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise _damaged(f"it is not a tokenizer ({error!r})", subject) from error


def _build(raw: dict[str, Any]) -> Tokenizer:
    if raw["kind"] == "char":
        return CharTokenizer("".join(raw["characters"]))
    if raw["kind"] == "bpe":
        return BpeTokenizer(base64.b64decode(raw["model"], validate=True))
    raise KeyError(raw["kind"])


def _damaged(message: str, subject: Path | str) -> IntegrityError:
    return IntegrityError(
        message,
        code="tokenizer.damaged",
        subject=str(subject),
        hint="Take the file from the model's export again",
    )


def _train_sentencepiece(lines: list[str], *, vocab_size: int, required: str) -> bytes:
    import sentencepiece

    written = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=written,
            model_type="bpe",
            vocab_size=vocab_size,
            character_coverage=1.0,
            required_chars=required,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            pad_id=BLANK_ID,
            unk_id=UNKNOWN_ID,
            bos_id=-1,
            eos_id=-1,
            pad_piece=BLANK,
            unk_piece=UNKNOWN,
            num_threads=1,
            minloglevel=2,
            max_sentence_length=1_000_000,
        )
    except RuntimeError as error:
        raise ConfigError(
            f"{vocab_size} BPE tokens cannot be learned from {len(lines)} texts ({error})",
            code="tokenizer.vocab_size",
            hint="Take fewer tokens where there is little text, more where it has many characters, "
            "or tokenizer: char",
        ) from error
    return written.getvalue()


def _covered(language: str) -> str:
    if language not in ("", "vi"):
        raise ConfigError(
            f"no alphabet is known for {language!r}",
            code="tokenizer.cover",
            hint="Known: vi. Leave it empty to take the characters of the texts alone",
        )
    return vietnamese_letters() if language else ""


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
