"""Writes src/phonoloop/wakeword/tables/words: the most frequent words of each language, by wordfreq.

pip install wordfreq==3.1.1 && PYTHONPATH=src python scripts/make_word_lists.py

wordfreq's data are under CC BY-SA 4.0, and so are the lists; NOTICE has the credits.
"""

from __future__ import annotations

import sys
from pathlib import Path

import wordfreq

from phonoloop.text.syllables import parse

OUT = Path(__file__).resolve().parents[1] / "src" / "phonoloop" / "wakeword" / "tables" / "words"
WORDS = 5000
#: more for the languages that most is trained in
MORE = {"en": 12_000, "vi": 6000}
#: read by no phonemiser here (kanji), or without spaces between words
LEFT_OUT = {"ja"}
#: languages of syllables have words of one letter or two; elsewhere letters on their own are no words
SHORT = {"zh", "ko"}


def words(language: str) -> list[str]:
    listed = wordfreq.top_n_list(language, 3 * MORE.get(language, WORDS), wordlist="small")
    kept = [word for word in listed if is_word(word, language)]
    return kept[: MORE.get(language, WORDS)]


def is_word(word: str, language: str) -> bool:
    if language == "vi":
        return parse(word) is not None
    if any(ch.isdigit() or ch in "_." for ch in word):
        return False
    return any(ch.isalpha() for ch in word) and (len(word) > 1 or language in SHORT)


def main() -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    for language in sorted(wordfreq.available_languages("small")):
        if language not in LEFT_OUT:
            (OUT / f"{language}.txt").write_text("\n".join(words(language)) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
