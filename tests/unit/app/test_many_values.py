"""`--negatives A B` is `--negatives A --negatives B`."""

from __future__ import annotations

import pytest

from phonoloop.app.cli.many import repeated

NAMES = {"--negatives", "--noise"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("--negatives a b --noise c", "--negatives a --negatives b --noise c"),
        ("--negatives a --negatives b", "--negatives a --negatives b"),
        ("--out x --negatives a b c --json", "--out x --negatives a --negatives b --negatives c --json"),
        ("--negatives=a --out x", "--negatives=a --out x"),
        ("--out x y", "--out x y"),
        ("", ""),
    ],
)
def test_values_in_a_row_get_their_option_again(given, expected):
    assert list(repeated(given.split(), NAMES)) == expected.split()
