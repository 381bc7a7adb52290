"""Tables that users add to, and what is said where a line cannot be read."""

from __future__ import annotations

import pytest

from phonoloop.core.errors import ManifestError
from phonoloop.text.confusions import Confusions
from phonoloop.text.corrections import apply
from phonoloop.text.lexicon import Lexicon
from phonoloop.text.spoken import to_spoken
from phonoloop.text.written import to_written


def table(folder, name, *lines):
    (folder / f"{name}.tsv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_without_tables_of_ones_own_the_shipped_ones_are_used(tmp_path):
    assert Lexicon.extended(tmp_path) is Lexicon.shipped()
    assert Confusions.extended(tmp_path) is Confusions.shipped()


def test_an_abbreviation_of_ones_own(tmp_path):
    own = Lexicon.extended(
        table(tmp_path, "abbreviations", "# ours", "XYZ|xyz\txí nghiệp Y\tany", "UBND\tủy ban\tany")
    )
    assert to_spoken("XYZ, xyz và UBND", own).text == "xí nghiệp Y, xí nghiệp Y và ủy ban"
    assert to_spoken("TP. Huế", own).text == "thành phố Huế"


def test_a_unit_and_a_filler_of_ones_own(tmp_path):
    table(
        tmp_path,
        "units",
        "symbol\tspoken\tback\tkind",
        "sào\tsào\tno\tmeasure",
        "bpm\tnhịp một phút\tyes\tmeasure",
    )
    own = Lexicon.extended(table(tmp_path, "fillers", "hở\talways"))
    assert to_spoken("72 bpm", own).text == "bảy mươi hai nhịp một phút"
    assert to_written("hở bảy mươi hai nhịp một phút", own).text == "72 bpm"


@pytest.mark.parametrize(
    ("line", "where"), [("XYZ\txí nghiệp", ":1"), ("XYZ\t\tany", ":1"), ("# a\nX Y Z", ":2")]
)
def test_a_line_that_cannot_be_read_is_named(tmp_path, line, where):
    with pytest.raises(ManifestError) as refused:
        Lexicon.extended(table(tmp_path, "abbreviations", line))
    assert refused.value.code == "text.table"
    assert refused.value.subject.endswith(f"abbreviations.tsv{where}")


def test_a_table_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "fillers.tsv").write_bytes(b"\xff\talways\n")
    with pytest.raises(ManifestError) as refused:
        Lexicon.extended(tmp_path)
    assert refused.value.code == "text.table"


def test_confused_words_are_mended_in_their_case():
    mended = Confusions.shipped().mend("Xử dụng và bổ  xung; BỔ XUNG")
    assert mended.text == "Sử dụng và bổ  xung; BỔ SUNG"
    assert {change.rule for change in mended.corrections} == {"confusion"}
    assert apply("Xử dụng và bổ  xung; BỔ XUNG", mended.corrections) == mended.text


def test_confusions_of_ones_own_and_one_switched_off(tmp_path):
    table(tmp_path, "confusions", "phố lu\tphô nô lúp\t0,8", "bổ xung\tbổ xung\t1")
    own = Confusions.extended(tmp_path).mend("phố lu bổ xung xử dụng")
    assert own.text == "phô nô lúp bổ xung sử dụng"
    assert own.confidence == 0.8


def test_a_confidence_that_is_no_share_is_named(tmp_path):
    with pytest.raises(ManifestError) as refused:
        Confusions.extended(table(tmp_path, "confusions", "a b\tc d\tsure"))
    assert refused.value.code == "text.table"


def test_no_shipped_confusion_leads_to_another():
    table = Confusions.shipped().table
    assert [
        heard for heard, (meant, _) in table.items() if Confusions.shipped().mend(meant).text != meant
    ] == []
