"""Marks come back where they are missing, and nothing else happens to a text."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.core.errors import InputError, IntegrityError, NotFoundError
from phonoloop.text.corrections import apply
from phonoloop.text.restorer import SHIPPED, Restorer
from phonoloop.text.restorer_model import from_bytes, to_bytes
from phonoloop.text.syllables import strip_marks

CORRECT = (
    "Hôm nay trời đẹp, tôi đi học bằng xe đạp.",
    "Ông Nguyễn Văn Nam là chủ tịch ủy ban nhân dân tỉnh.",
    "Cô ấy nói rằng việc này không thể chấp nhận được.",
    "Chúng tôi đã đến Hà Nội vào ngày 12 tháng 3 năm 2019.",
    "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM",
    "đi đâu cũng thấy người ta nói về chuyện đó",
)


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer.shipped()


class TestRestores:
    def test_a_plain_sentence(self, restorer):
        assert restorer.restore("toi di hoc o Ha Noi").text == "tôi đi học ở Hà Nội"

    def test_capitals_and_punctuation_stay(self, restorer):
        rewritten = restorer.restore('"Viet Nam, dat nuoc chung toi!" (Ha Noi)')
        assert rewritten.text == '"Việt Nam, đất nước chúng tôi!" (Hà Nội)'

    def test_a_sentence_all_in_capitals(self, restorer):
        given = "CONG HOA XA HOI CHU NGHIA VIET NAM"
        assert restorer.restore(given).text == "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM"

    def test_the_half_that_has_none(self, restorer):
        given = "Hôm nay trời đẹp quá, chung toi khong biet phai lam gi de giup do nhung nguoi o day"
        text = restorer.restore(given).text
        assert text.startswith("Hôm nay trời đẹp quá, chúng tôi không biết phải làm gì")

    def test_every_change_is_a_correction_with_a_place_and_a_confidence(self, restorer):
        given = "toi khong biet"
        rewritten = restorer.restore(given)
        assert [(c.start, c.end, c.before, c.after) for c in rewritten.corrections] == [
            (0, 3, "toi", "tôi"),
            (4, 9, "khong", "không"),
            (10, 14, "biet", "biết"),
        ]
        assert all(c.rule == "diacritics" and 0.5 < c.confidence <= 1 for c in rewritten.corrections)

    def test_lines_together_as_one_by_one(self, restorer):
        lines = [strip_marks(line) for line in CORRECT] + ["", "   ", "xin chao"]
        assert [r.text for r in restorer.restore_many(lines)] == [restorer.restore(t).text for t in lines]


class TestLeavesAlone:
    @pytest.mark.parametrize("text", CORRECT)
    def test_correct_text(self, restorer, text):
        assert restorer.restore(text).corrections == ()

    @pytest.mark.parametrize(
        "text",
        [
            "Please send me the report before you go home on Monday.",
            "I can do it again, but not in an hour.",
            "Thank you for the long letter you sent to me!",
            "https://vi.wikipedia.org/wiki/Ha_Noi nguyen.van.an@cong-ty.com.vn",
            "12 345 6,7 % 10:30 A5 mp3",
            "",
            "   \t ",
            "東京 Москва 🙂",
            "to\u200bi kh\u00adong bi\ufeffet",
        ],
    )
    def test_what_is_not_vietnamese(self, restorer, text):
        assert restorer.restore(text).text == text

    def test_a_single_word_that_may_be_right(self, restorer):
        assert restorer.restore("anh").corrections == ()

    def test_composed_and_decomposed_text_alike(self, restorer):
        for text in CORRECT:
            assert restorer.restore(unicodedata.normalize("NFD", text)).corrections == ()


class TestConfidences:
    def test_a_doubtful_word_may_change_its_marks(self, restorer):
        given = "cộng hòa xã hội chủ nghĩa việt năm"
        sure = [0.99] * 7 + [0.2]
        assert restorer.restore(given, sure).text == "cộng hòa xã hội chủ nghĩa việt nam"
        assert restorer.restore(given, [0.99] * 8).corrections == ()

    @pytest.mark.parametrize(
        "wrong", [[], [0.5], [0.5, 1.5], [0.5, -0.1], [0.1, 0.2, 0.3], [0.5, float("nan")]]
    )
    def test_as_many_as_words_and_between_0_and_1(self, restorer, wrong):
        with pytest.raises(InputError) as error:
            restorer.restore("xin chào", wrong)
        assert error.value.code == "restorer.confidences"


class TestAnyInput:
    @settings(max_examples=60, deadline=None)
    @given(st.text(max_size=60) | st.text("aáàăđơuioe n\u0301\u200b\ufeff.,-/@A", max_size=60))
    def test_only_marks_change(self, text):
        rewritten = Restorer.shipped().restore(text)
        assert apply(text, rewritten.corrections) == rewritten.text
        bare = [unicodedata.normalize("NFC", t) for t in (text, rewritten.text)]
        assert strip_marks(bare[0]) == strip_marks(bare[1])

    def test_a_line_of_a_megabyte(self, restorer):
        text = "toi di hoc " * 20_000
        assert restorer.restore(text).text.startswith("tôi đi học tôi đi học")

    def test_a_word_of_a_megabyte(self, restorer):
        assert restorer.restore("a" * 1_000_000).corrections == ()

    def test_a_line_without_spaces_of_addresses(self, restorer):
        text = "a.b@c" * 20_000
        assert restorer.restore(text).text == text


class TestFile:
    def test_what_ships_is_small_and_says_what_it_was_trained_on(self, restorer):
        assert SHIPPED.stat().st_size <= 8_000_000
        metadata = restorer.model.metadata
        assert metadata["licence"] == "CC-BY-SA-4.0"
        assert {"source", "licence", "credit", "sha256"} <= metadata["trained_on"][0].keys()

    def test_nothing_that_may_not_ship_is_in_it(self, restorer):
        names = {source["file"] for source in restorer.model.metadata["trained_on"]}
        assert not names & {"vtb_dev.txt", "vivos_train.txt", "viet74k.txt"}

    def test_written_again_it_is_the_same(self, restorer):
        assert to_bytes(restorer.model) == SHIPPED.read_bytes()

    def test_one_changed_byte_is_refused(self):
        data = bytearray(SHIPPED.read_bytes())
        data[-1] ^= 1
        with pytest.raises(IntegrityError) as error:
            from_bytes(bytes(data), "file")
        assert error.value.code == "restorer.corrupt"

    @pytest.mark.parametrize("data", [b"", b"{}", b"\xff\xfe\n", b"[1]\nabc"])
    def test_other_files_are_refused(self, data):
        with pytest.raises(IntegrityError) as error:
            from_bytes(data, "file")
        assert error.value.code == "restorer.not_a_model"

    def test_another_version_is_refused(self):
        line, _, body = SHIPPED.read_bytes().partition(b"\n")
        head = json.loads(line) | {"format": 999}
        with pytest.raises(IntegrityError) as error:
            from_bytes(json.dumps(head).encode() + b"\n" + body, "file")
        assert error.value.code == "restorer.wrong_version"

    def test_a_missing_file(self, tmp_path: Path):
        with pytest.raises(NotFoundError) as error:
            Restorer.load(tmp_path / "none.bin")
        assert error.value.code == "restorer.missing"

    def test_arrays_of_different_lengths_are_refused(self, restorer):
        tables = replace(restorer.model.tables, forms=np.zeros((3, 3), np.float32))
        broken = replace(restorer.model, tables=tables)
        with pytest.raises(IntegrityError):
            from_bytes(to_bytes(broken), "file")
