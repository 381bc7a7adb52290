"""The default embedder: near for what sounds alike or lacks its marks, the same everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonoloop.core.errors import IntegrityError
from phonoloop.search.own import SoundEmbedder
from phonoloop.search.rarity import Rarity
from phonoloop.search.sounds import sound_of
from phonoloop.text.syllables import strip_marks

EMBEDDER = SoundEmbedder()
SENTENCE = "hôm nay trời đẹp chúng tôi đi chơi ở công viên"


def cosine(one: str, other: str, embedder: SoundEmbedder = EMBEDDER) -> float:
    first, second = embedder.embed([one, other])
    return float(first @ second)


def test_the_shape_is_768_float32_of_length_one():
    made = EMBEDDER.embed([SENTENCE, "xin chào"])
    assert made.shape == (2, 768)
    assert made.dtype == np.float32
    assert np.linalg.norm(made, axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)
    assert EMBEDDER.embed([]).shape == (0, 768)


@pytest.mark.parametrize("nothing", ["", "   ", "🙂", "...", "\0", "\u200b"])
def test_a_text_without_words_is_zero(nothing: str):
    assert not EMBEDDER.embed([nothing]).any()


def test_case_composition_and_tone_placement_do_not_matter():
    assert cosine("Hoà Bình", "ho\u0300a bi\u0300nh") == pytest.approx(1.0, abs=1e-5)


def test_without_marks_a_sentence_is_near_itself_and_far_from_others():
    assert cosine(SENTENCE, strip_marks(SENTENCE)) > 0.6
    assert cosine(SENTENCE, "quốc hội thông qua luật đất đai") < 0.2


@pytest.mark.parametrize(
    "heard",
    [
        SENTENCE.replace("trời", "chời"),  # ch and tr are one sound in the north
        SENTENCE.replace("đẹp", "đép"),
        SENTENCE.replace("viên", "tiên"),
    ],
)
def test_one_wrong_onset_or_tone_leaves_it_near(heard: str):
    assert cosine(SENTENCE, heard) > 0.75


def test_what_sounds_alike_is_nearer_than_what_does_not():
    assert cosine("dành riêng", "giành riêng") > cosine("dành riêng", "cành riêng")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("da", "gia"),
        ("trâu", "châu"),
        ("sôi", "xôi"),
        ("lan", "lang"),
        ("mũ", "mủ"),
        ("kĩ", "kỹ"),
        ("va", "da"),
    ],
)
def test_confusable_words_are_one_sound(one: str, other: str):
    assert sound_of(one) == sound_of(other)


def test_other_words_are_not():
    assert sound_of("ma") != sound_of("na")
    assert sound_of("ma") != sound_of("má")
    assert not sound_of("wifi").is_syllable


def test_order_counts():
    assert cosine("con chó cắn con mèo", "con mèo cắn con chó") < 0.99


def test_a_text_has_the_same_vector_in_any_company():
    alone = EMBEDDER.embed([SENTENCE])[0]
    among = SoundEmbedder().embed(["a", SENTENCE, *["thử " * 50] * 600])[1]
    assert np.array_equal(alone, among)


@given(st.text(max_size=60))
def test_any_text_has_a_finite_vector(text: str):
    made = EMBEDDER.embed([text])
    assert np.isfinite(made).all()
    assert float(np.linalg.norm(made)) == pytest.approx(1.0, abs=1e-4) or not made.any()


def test_long_and_foreign_texts_are_taken():
    texts = ["a" * 1_000_000, "из Москвы", "日本語", "e-mail wifi 5G", "dấu " * 20_000]
    made = EMBEDDER.embed(texts)
    assert np.linalg.norm(made, axis=1) == pytest.approx([1.0] * 5, abs=1e-4)


class TestRarity:
    TEXTS = tuple(f"tôi đi học bài số {word}" for word in ("một", "hai", "ba", "bốn", "năm", "sáu"))

    def test_what_is_in_every_text_says_less(self):
        learnt = SoundEmbedder(Rarity.train([self.TEXTS]))
        assert cosine(self.TEXTS[0], self.TEXTS[1], learnt) < cosine(self.TEXTS[0], self.TEXTS[1])

    def test_another_rarity_is_another_version(self):
        learnt = Rarity.train([self.TEXTS])
        assert SoundEmbedder(learnt).version != EMBEDDER.version
        assert (
            SoundEmbedder(Rarity.train([list(reversed(self.TEXTS))])).version == SoundEmbedder(learnt).version
        )
        assert SoundEmbedder().version == EMBEDDER.version

    def test_kept_and_read_again_it_is_the_same(self):
        learnt = Rarity.train([self.TEXTS])
        again = Rarity.from_bytes(learnt.to_bytes())
        assert again.version == learnt.version
        first, second = (SoundEmbedder(one).embed([SENTENCE]) for one in (learnt, again))
        assert np.array_equal(first, second)

    @pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x03\x04" + b"\0" * 40])
    def test_what_is_no_rarity_is_refused(self, data: bytes):
        with pytest.raises(IntegrityError) as refusal:
            Rarity.from_bytes(data, "search/x.npz")
        assert refusal.value.code == "search.rarity"

    def test_a_rarity_of_other_things_is_refused(self, tmp_path):
        np.savez(tmp_path / "x.npz", at=np.array([2**30]), counts=np.array([1]), texts=1)
        with pytest.raises(IntegrityError):
            Rarity.from_bytes((tmp_path / "x.npz").read_bytes())
