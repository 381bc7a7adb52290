"""`phonoloop text normalise|spoken|written`."""

from __future__ import annotations

import click

from phonoloop.app.cli.lines import rewrite_lines

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line: text and corrections.")


@click.command()
@_JSON
def normalise(as_json: bool) -> None:
    """One way of spelling: composed Unicode, tone marks in place (hòa), y and i (kỹ).

    Numbers, abbreviations, case and punctuation stay.
    """
    from phonoloop.text.normalise import normalise as rewrite

    rewrite_lines(rewrite, as_json=as_json)


@click.command()
@_JSON
def spoken(as_json: bool) -> None:
    """The text as it is read aloud, which is what a recogniser is trained towards.

    10h30 → mười giờ ba mươi; 3,5 kg → ba phẩy năm ki lô gam; TP.HCM → thành phố Hồ Chí Minh.
    """
    from phonoloop.text.spoken import to_spoken

    rewrite_lines(to_spoken, as_json=as_json)


@click.command()
@_JSON
def written(as_json: bool) -> None:
    """The text as people like to read it: digits, units and dates instead of words, no fillers.

    ờ mười giờ ba mươi → 10h30; ba phẩy năm ki lô gam → 3,5 kg.
    """
    from phonoloop.text.written import to_written

    rewrite_lines(to_written, as_json=as_json)
