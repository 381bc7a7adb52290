"""Trains the diacritics restorer that ships: `python scripts/train_restorer.py DATA [--out FILE]`.

DATA is the folder with `text/vi/` (see its README for what may be trained on for shipping). The same texts,
numpy and BLAS give the same file, byte for byte; `--check` says whether the committed file is what comes out.
"""

from __future__ import annotations

import argparse
import hashlib
import lzma
import sys
from pathlib import Path
from typing import Any

from phonoloop.text.restorer import SHIPPED
from phonoloop.text.restorer_model import RestorerModel, to_bytes
from phonoloop.text.restorer_train import Texts, train

#: source → file, what it is, licence, credit
SOURCES = {
    "near": (
        "vtb_train.txt",
        "UD Vietnamese-VTB, training part",
        "CC BY-SA 4.0",
        "Nguyễn Thị Lương et al.; Universal Dependencies",
    ),
    "general": ("xquad.txt", "XQuAD, Vietnamese", "CC BY-SA 4.0", "Artetxe, Ruder, Yogatama (DeepMind)"),
    "formal": ("laws.txt.xz", "Vietnamese statutes", "public law texts", "The State of Vietnam"),
    "web": (
        "web_bigrams.txt.xz",
        "word pairs of web text, by rank (langdata)",
        "Apache-2.0",
        "The Tesseract OCR authors, Google Inc.",
    ),
}
LARGEST_BYTES = 8_000_000


def lines_of(path: Path) -> list[str]:
    data = path.read_bytes()
    return (lzma.decompress(data) if path.suffix == ".xz" else data).decode("utf-8").splitlines()


def metadata(folder: Path, date: str) -> dict[str, Any]:
    return {
        "name": "restorer-vi",
        "date": date,
        "licence": "CC-BY-SA-4.0",
        "trained_on": [
            {
                "source": source,
                "file": name,
                "what": what,
                "licence": licence,
                "credit": credit,
                "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
            }
            for source, (name, what, licence, credit) in SOURCES.items()
        ],
    }


def made_from(folder: Path, date: str) -> RestorerModel:
    texts = Texts(**{source: lines_of(folder / name) for source, (name, *_) in SOURCES.items()})
    return train(
        texts,
        metadata=metadata(folder, date),
        on_progress=lambda share, words: print(f"{share:4.0%} {words}", file=sys.stderr),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--date", default="2026-11-20", help="the date that the metadata names")
    parser.add_argument("--check", action="store_true", help="compare with --out, write nothing")
    given = parser.parse_args()
    made = to_bytes(made_from(given.data / "text" / "vi", given.date))
    if len(made) > LARGEST_BYTES:
        print(f"{len(made):,} bytes are too many to ship", file=sys.stderr)
        return 1
    if given.check:
        same = given.out.read_bytes() == made
        print("the same" if same else "another file than the committed one")
        return 0 if same else 1
    given.out.write_bytes(made)
    print(f"{given.out}: {len(made):,} bytes, sha256 {hashlib.sha256(made).hexdigest()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
