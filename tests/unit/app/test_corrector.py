"""What the correct stage of a data folder goes by."""

from __future__ import annotations

import pytest

from phonoloop.app.bootstrap import open_app
from phonoloop.app.settings import Settings
from phonoloop.core.errors import ConfigError, ManifestError
from phonoloop.data.correct import correct_text


def test_tables_in_the_data_folder_add_to_the_shipped_ones(tmp_path):
    own = tmp_path / "text"
    own.mkdir()
    (own / "abbreviations.tsv").write_text("XYZ\txí nghiệp Y\tany\n", encoding="utf-8")
    (own / "confusions.tsv").write_text("phố lu\tphô lu\t0.9\n", encoding="utf-8")
    with open_app(Settings(data_dir=tmp_path, restore_diacritics="off")) as app:
        made = correct_text("XYZ ở phố lu", app.corrector, provenance="machine")
    assert made.text_with_diacritics == "xí nghiệp Y ở phô lu"


def test_marks_are_restored_unless_the_settings_say_no(tmp_path):
    for wanted, text in (("on", "hôm nay trời đẹp"), ("off", "hom nay troi dep")):
        with open_app(Settings(data_dir=tmp_path, restore_diacritics=wanted)) as app:
            assert correct_text("hom nay troi dep", app.corrector, provenance="machine").text_clean == text


def test_what_is_neither_on_nor_off_is_refused(tmp_path):
    maybe = Settings(data_dir=tmp_path, restore_diacritics="maybe")
    with open_app(maybe) as app, pytest.raises(ConfigError) as refused:
        _ = app.corrector
    assert refused.value.code == "config.bad_value"


def test_a_table_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "units.tsv").write_text("sào\n", encoding="utf-8")
    with open_app(Settings(data_dir=tmp_path)) as app, pytest.raises(ManifestError) as refused:
        _ = app.corrector
    assert refused.value.code == "text.table"
