"""Puts Vietnamese marks where they are missing, and leaves alone what has them.

The choice among the forms of each syllable is a lattice over the whole sentence (`restorer_lattice`).
Whether to choose at all is a second question: in correct text about one syllable in seven has no mark, since
it needs none. A chain of three states (text as it should be, text whose marks are missing, another language)
reads the sentence along (`restorer_states`): how improbable it is that so many syllables in a row need none
is what tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from phonoloop.core.errors import InputError
from phonoloop.text.corrections import Correction, Rewritten, apply
from phonoloop.text.restorer_evidence import position_of
from phonoloop.text.restorer_lattice import pairs_of, run
from phonoloop.text.restorer_model import RestorerModel, load
from phonoloop.text.restorer_states import Decision, log_odds, missing_marks
from phonoloop.text.restorer_words import (
    BORDER,
    FOREIGN,
    Token,
    cases_of,
    in_case_of,
    key_of,
    tokens_of,
)

RULE = "diacritics"
SHIPPED = Path(__file__).with_name("restorer_vi.bin")
#: longer texts are read in pieces of so many tokens, cut after punctuation where there is some
_LONGEST = 160
#: tokens of a batch, with padding
_BATCH = 4_000


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of one text: `text` is its number; `ids` what each token is, `fixed` whether it stays as
    it is, `bonus` what is added to its own form for the recogniser's confidence, `doubtful` where that is
    low."""

    text: int
    tokens: list[Token]
    ids: np.ndarray
    case: np.ndarray
    fixed: np.ndarray
    bonus: np.ndarray
    doubtful: np.ndarray


class Restorer:
    """Restores marks with one model. Reads only; may be shared by threads.

    Args:
        model: as `restorer_model.load` gives it.
    """

    def __init__(self, model: RestorerModel) -> None:
        self.model = model
        self._decision = Decision(**model.metadata.get("decision", {}))

    @staticmethod
    def shipped() -> Restorer:
        """The one that comes with the program; loaded once."""
        return _shipped()

    @staticmethod
    def load(path: Path | str) -> Restorer:
        """The one of a file.

        Raises:
            NotFoundError: `restorer.missing`.
            IntegrityError: the file is no model, of another version, or changed.
        """
        return Restorer(load(Path(path)))

    def restore(self, text: str, confidences: Sequence[float] | None = None) -> Rewritten:
        """A text with its missing marks.

        Args:
            text: any string; case, punctuation and spaces stay.
            confidences: the recogniser's, one for each word between white space. Words below a half
                may get other marks than they have, and need no unmarked neighbours for it.

        Raises:
            InputError: `restorer.confidences`: not as many as words, or outside of [0, 1].
        """
        return self.restore_many([text], None if confidences is None else [confidences])[0]

    def restore_many(
        self, texts: Sequence[str], confidences: Sequence[Sequence[float] | None] | None = None
    ) -> list[Rewritten]:
        """As `restore`, for many texts at once, which is faster."""
        given = confidences or [None] * len(texts)
        found: list[list[Correction]] = [[] for _ in texts]
        pieces = [
            piece
            for number, (text, sure) in enumerate(zip(texts, given, strict=True))
            for piece in self._pieces(number, text, sure)
        ]
        for group in _groups(pieces):
            for piece, changes in zip(group, self._changes(group, texts), strict=True):
                found[piece.text].extend(changes)
        return [
            Rewritten(apply(text, changes), tuple(sorted(changes, key=lambda c: c.start)))
            for text, changes in zip(texts, found, strict=True)
        ]

    def _pieces(self, number: int, text: str, confidences: Sequence[float] | None) -> Iterator[_Piece]:
        tokens = tokens_of(text)
        if not tokens:
            return
        vocabulary = self.model.vocabulary
        ids = np.array([vocabulary.id_of(token) for token in tokens], np.int32)
        bonus, doubtful = np.zeros(len(tokens), np.float32), np.zeros(len(tokens), bool)
        if confidences is not None:
            sure = _by_token(text, tokens, confidences)
            bonus, doubtful = log_odds(sure), sure < self._decision.doubt
        marked = np.array([token.special < 0 and key_of(token.form) != token.form for token in tokens])
        fixed, case = marked & ~doubtful, cases_of(tokens)
        for a, b in _cuts(tokens):
            yield _Piece(number, tokens[a:b], ids[a:b], case[a:b], fixed[a:b], bonus[a:b], doubtful[a:b])

    def _changes(self, group: Sequence[_Piece], texts: Sequence[str]) -> Iterator[list[Correction]]:
        """The corrections of each piece of a batch."""
        ids, case, fixed, bonus = (_rows(group, name) for name in ("ids", "case", "fixed", "bonus"))
        rows, many = self.model.vocabulary.candidates
        keys = np.where(fixed, ids, self.model.vocabulary.keys[ids])
        candidates = rows[keys]
        counts = np.where(fixed, 1, many[keys])
        candidates[..., 0] = np.where(fixed, ids, candidates[..., 0])
        marginals = self._marginals(candidates, counts, case, ids, bonus)
        best = marginals.argmax(2)
        choice = np.take_along_axis(candidates, best[..., None], 2)[..., 0]
        sure = np.take_along_axis(marginals, best[..., None], 2)[..., 0]
        own = np.where(candidates == ids[..., None], marginals, 0).max(2)
        missing = missing_marks(own, _kinds(ids, fixed, group), self._joined(choice), self._decision)
        for row, piece in enumerate(group):
            span = slice(1, len(piece.tokens) + 1)
            yield list(
                self._decided(
                    piece, texts[piece.text], choice[row, span], sure[row, span], missing[row, span]
                )
            )

    def _marginals(
        self, candidates: np.ndarray, counts: np.ndarray, case: np.ndarray, ids: np.ndarray, bonus: np.ndarray
    ) -> np.ndarray:
        model, tables = self.model, self.model.tables
        emissions = tables.forms[candidates, case[..., None]]
        emissions += bonus[..., None] * (candidates == ids[..., None])
        pairs = pairs_of(candidates, counts, len(model.vocabulary))
        at, flat = position_of(model.pair_keys, pairs.keys), case.ravel()
        scores = tables.pairs[at] + tables.cases[at, 0, flat[pairs.owner - 1]]
        scores += tables.cases[at, 1, flat[pairs.owner]]
        unseen = np.flatnonzero(at < 0)
        left, right = np.divmod(pairs.keys[unseen], len(model.vocabulary))
        scores[unseen] = np.einsum("nr,nr->n", tables.unseen[0, left], tables.unseen[1, right])
        return run(emissions, counts, pairs, scores).marginals

    def _joined(self, choice: np.ndarray) -> np.ndarray:
        """(rows, columns) whether the pair of each form and the one before it was ever seen."""
        before = np.pad(choice, ((0, 0), (1, 0)))[:, :-1].astype(np.int64)
        keys = before * len(self.model.vocabulary) + choice
        return (position_of(self.model.pair_keys, keys.ravel()) >= 0).reshape(choice.shape)

    def _decided(
        self, piece: _Piece, text: str, choice: np.ndarray, sure: np.ndarray, missing: np.ndarray
    ) -> Iterator[Correction]:
        decision = self._decision
        for at in np.flatnonzero((choice != piece.ids) & ~piece.fixed):
            doubtful = bool(piece.doubtful[at])
            if (sure[at] < decision.doubt_sure) if doubtful else (missing[at] < decision.act):
                continue
            token = piece.tokens[at]
            raw = text[token.start : token.end]
            after = in_case_of(self.model.vocabulary.forms[choice[at]], raw)
            if after != raw:
                confidence = decision.calibrated(float(sure[at])) * (1.0 if doubtful else float(missing[at]))
                yield Correction(token.start, token.end, raw, after, RULE, round(confidence, 4))


@lru_cache(maxsize=1)
def _shipped() -> Restorer:
    return Restorer.load(SHIPPED)


def _cuts(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    at = 0
    while len(tokens) - at > _LONGEST:
        window = range(at + _LONGEST - 1, at + _LONGEST // 2, -1)
        # the border's candidate is what follows a cut: punctuation comes nearest to it
        end = next((i + 1 for i in window if tokens[i].start and not tokens[i].form), at + _LONGEST)
        yield at, end
        at = end
    yield at, len(tokens)


def _groups(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces of similar length together."""
    group: list[_Piece] = []
    for piece in sorted(pieces, key=lambda p: len(p.tokens)):
        if group and (len(group) + 1) * (len(piece.tokens) + 2) > _BATCH:
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _rows(group: Sequence[_Piece], name: str) -> np.ndarray:
    """One attribute of all pieces as rows, a border (0) before and after."""
    parts = [getattr(piece, name) for piece in group]
    rows = np.zeros((len(parts), max(map(len, parts)) + 2), parts[0].dtype)
    for row, part in enumerate(parts):
        rows[row, 1 : len(part) + 1] = part
    return rows


def _kinds(ids: np.ndarray, fixed: np.ndarray, group: Sequence[_Piece]) -> np.ndarray:
    """(rows, columns) 0: says nothing, 1: a word without marks that may need some, 2: a word with marks,
    3: a word that is not Vietnamese."""
    kinds = np.where(ids > FOREIGN, 1, 0)
    kinds[ids == FOREIGN] = 3
    kinds[ids == BORDER] = 0
    marked = _marked_rows(group, ids.shape)
    return np.where(fixed | marked, 2, kinds)


def _marked_rows(group: Sequence[_Piece], shape: tuple[int, ...]) -> np.ndarray:
    rows = np.zeros(shape, bool)
    for row, piece in enumerate(group):
        rows[row, 1 : len(piece.tokens) + 1] = piece.fixed | piece.doubtful
    return rows


def _by_token(text: str, tokens: Sequence[Token], confidences: Sequence[float]) -> np.ndarray:
    """(tokens,) the confidence of the white-space word that each token lies in."""
    if len(text.split()) != len(confidences) or not all(0 <= c <= 1 for c in confidences):
        raise InputError(
            f"{len(confidences)} confidences for {len(text.split())} words, or one outside of 0 to 1",
            code="restorer.confidences",
            hint="give one number between 0 and 1 for each word between white space",
        )
    word_of = np.zeros(len(text) + 1, np.int64)
    word, inside = -1, False
    for at, ch in enumerate(text):
        if ch.isspace():
            inside = False
        elif not inside:
            word, inside = word + 1, True
        word_of[at] = max(word, 0)
    sure = np.asarray(confidences, np.float32)
    return sure[word_of[[token.start for token in tokens]]]
