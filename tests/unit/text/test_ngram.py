"""N-gram models: what they give is a probability, what they write others read, what is damaged is named."""

from __future__ import annotations

import contextlib
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.core.errors import ConfigError, InputError, IntegrityError, NotFoundError
from phonoloop.text.ngram import BEGIN_ID, EMPTY_STATE, END_ID, UNKNOWN_ID, NgramModel
from phonoloop.text.ngram_store import load_model, save_model

ROOMS = ("phòng khách", "phòng ngủ", "phòng bếp", "nhà kho", "ngoài sân")
TEXTS = [
    f"{verb} {what} {room}"
    for verb in ("bật", "tắt", "mở giúp tôi", "kiểm tra")
    for what in ("đèn", "quạt trần", "máy lạnh")
    for room in ROOMS
    if (verb, what) != ("mở giúp tôi", "đèn")
]
MODEL = NgramModel.train(TEXTS, 4)

sentences = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), min_size=0, max_size=6).map(" ".join)
corpora = st.lists(sentences, min_size=1, max_size=30).filter(any)


def distribution(model: NgramModel, state: int) -> float:
    """The sum over all that can come after a context."""
    return sum(10 ** model.step(state, word)[0] for word in range(len(model.words)) if word != BEGIN_ID)


def every_context(model: NgramModel):
    """The state of each n-gram that something can come after."""
    for n in range(model.order - 1):
        for row, key in enumerate(model.levels[n].keys):
            if key % len(model.words) != END_ID:
                yield model.offsets[n] + row


class TestTraining:
    @given(corpora, st.integers(1, 4), st.sampled_from([(1,), (1, 2), (2, 2, 3)]), st.sampled_from([1, 2]))
    @settings(max_examples=60, deadline=None)
    def test_after_every_context_all_words_together_have_probability_one(self, texts, order, cut, rare):
        model = NgramModel.train(texts, order, min_counts=cut, min_word_count=rare)
        assert distribution(model, EMPTY_STATE) == pytest.approx(1, abs=1e-5)
        for state in every_context(model):
            assert distribution(model, state) == pytest.approx(1, abs=1e-5)

    def test_the_numbers_of_a_small_case_by_hand(self):
        """Bigrams of `a b`, `a c`, with the fallback discounts: the arithmetic of Chen & Goodman."""
        model = NgramModel.train(["a b", "a c"], 2)
        assert model.about["discounts_guessed"] == [1, 2]
        # left contexts of a, b, c, </s>: 1, 1, 1, 2; half of one is taken off, 1 of two; five words
        taken = 0.5 * 3 + 1.0
        uniform = taken / 5 / 5
        a, b = 0.5 / 5 + uniform, 0.5 / 5 + uniform
        assert 10 ** model.step(EMPTY_STATE, model.id_of("a"))[0] == pytest.approx(a, rel=1e-4)
        assert 10 ** model.step(EMPTY_STATE, UNKNOWN_ID)[0] == pytest.approx(uniform, rel=1e-4)
        after_a = model.step(model.begin_state, model.id_of("a"))[1]
        assert 10 ** model.step(after_a, model.id_of("b"))[0] == pytest.approx(
            0.5 / 2 + (2 * 0.5 / 2) * b, rel=1e-4
        )

    def test_words_that_were_seen_in_many_contexts_are_likelier_in_new_ones(self):
        """Francisco, of San Francisco: often seen, but after one word only."""
        texts = ["san francisco"] * 20 + [f"{word} nhà" for word in ["a", "b", "c", "d", "e", "f"]]
        model = NgramModel.train(texts, 2)
        one, other = (model.score(f"x {word}", begin=False, end=False) for word in ("nhà", "francisco"))
        assert one > other

    def test_a_longer_context_foresees_better(self):
        perplexities = [NgramModel.train(TEXTS, order).perplexity(TEXTS).perplexity for order in (1, 2, 3, 4)]
        assert perplexities == sorted(perplexities, reverse=True)
        assert perplexities[3] < 4

    def test_the_same_texts_give_the_same_model(self):
        again = NgramModel.train(TEXTS, 4)
        assert again.words == MODEL.words
        for one, other in zip(again.levels, MODEL.levels, strict=True):
            assert np.array_equal(one.keys, other.keys)
            assert np.array_equal(one.log10, other.log10)

    def test_what_is_rarer_than_the_cut_off_is_left_out_and_rare_words_are_unknown(self):
        cut = NgramModel.train(TEXTS, 4, min_counts=(2, 4))
        assert cut.counts[0] == MODEL.counts[0]
        assert all(after < before for before, after in zip(MODEL.counts[2:], cut.counts[2:], strict=False))
        rare = NgramModel.train([*TEXTS, "bật tivi"], 3, min_word_count=2)
        assert rare.id_of("tivi") == UNKNOWN_ID
        assert 10 ** rare.step(EMPTY_STATE, UNKNOWN_ID)[0] > 1 / 200

    def test_no_sentence_is_as_long_as_the_order(self):
        assert NgramModel.train(["a", "b"], 5).order == 3

    @pytest.mark.parametrize("texts", [[], [""], ["  ", "\n"]])
    def test_an_empty_corpus_is_refused(self, texts):
        with pytest.raises(InputError) as caught:
            NgramModel.train(texts)
        assert caught.value.code == "lm.no_text"

    @pytest.mark.parametrize(
        ("texts", "code"),
        [(["a <s> b"], "lm.reserved_word"), (["<unk>"], "lm.reserved_word"), (["a \ud800"], "lm.text")],
    )
    def test_words_with_another_meaning_are_refused(self, texts, code):
        with pytest.raises(InputError) as caught:
            NgramModel.train(texts)
        assert caught.value.code == code

    @pytest.mark.parametrize(
        ("settings", "code"),
        [
            ({"order": 0}, "lm.order"),
            ({"order": 11}, "lm.order"),
            ({"min_counts": (2, 1)}, "lm.cutoff"),
            ({"min_word_count": 0}, "lm.cutoff"),
        ],
    )
    def test_settings_that_make_no_sense(self, settings, code):
        with pytest.raises(ConfigError) as caught:
            NgramModel.train(TEXTS, **settings)
        assert caught.value.code == code

    def test_emoji_other_scripts_and_a_very_long_line_are_words_like_others(self):
        model = NgramModel.train(["🙂 привет a\u200bb", "từ " * 200_000], 2)
        assert model.id_of("🙂") != UNKNOWN_ID
        assert model.id_of("a\u200bb") != UNKNOWN_ID
        assert math.isfinite(model.score("từ từ 🙂"))


class TestAsking:
    def test_a_sentence_is_the_sum_of_its_words(self):
        words = ["bật", "đèn", "phòng", "khách"]
        assert MODEL.score(words) == pytest.approx(sum(MODEL.word_scores(words)))
        assert len(MODEL.word_scores(words)) == 5
        assert MODEL.score(words, end=False) > MODEL.score(words)

    def test_unknown_words_are_counted_apart_from_perplexity(self):
        found = MODEL.perplexity(["bật đèn zzz"])
        assert (found.words, found.unknown, found.unknown_share) == (4, 1, 0.25)
        assert found.perplexity < 100
        assert MODEL.perplexity([]).perplexity == math.inf

    def test_marks_of_a_sentence_in_a_text_are_unknown_words(self):
        assert MODEL.id_of("<s>") == MODEL.id_of("</s>") == MODEL.id_of("nope") == UNKNOWN_ID


class TestArpa:
    @given(corpora, st.integers(1, 4))
    @settings(max_examples=30, deadline=None)
    def test_what_is_written_is_read_back(self, tmp_path_factory, texts, order):
        path = tmp_path_factory.mktemp("lm") / "m.arpa"
        model = NgramModel.train(texts, order)
        model.to_arpa(path)
        again = NgramModel.from_arpa(path)
        assert again.counts == model.counts
        for text in [*texts, "a z b", ""]:
            assert again.score(text) == pytest.approx(model.score(text), abs=1e-4)

    def test_the_form_of_the_file(self, tmp_path):
        MODEL.to_arpa(tmp_path / "m.arpa")
        lines = (tmp_path / "m.arpa").read_text("utf-8").splitlines()
        assert lines[:2] == ["\\data\\", f"ngram 1={MODEL.counts[0]}"]
        assert lines[-1] == "\\end\\"
        assert lines.count("\\4-grams:") == 1
        row = next(line for line in lines if "\tbật đèn phòng khách" in line)
        assert len(row.split("\t")) == 2
        assert not list(tmp_path.glob(".*"))

    @pytest.mark.skipif(sys.platform != "linux", reason="flashlight-text has wheels with KenLM for Linux")
    def test_kenlm_reads_it_and_gives_the_same_scores(self, tmp_path):
        kenlm = pytest.importorskip(
            "flashlight.lib.text.decoder.kenlm", reason="flashlight-text is not installed"
        )
        dictionary = pytest.importorskip("flashlight.lib.text.dictionary")
        for name, model in {"all": MODEL, "cut": NgramModel.train(TEXTS, 4, min_counts=(1, 2))}.items():
            path = tmp_path / f"{name}.arpa"
            model.to_arpa(path)
            numbers = dictionary.Dictionary(list(model.words))
            theirs = kenlm.KenLM(str(path), numbers)
            for text in [*TEXTS, "khách phòng đèn bật", "bật bật zzz đèn", ""]:
                assert kenlm_score(theirs, numbers, text) == pytest.approx(model.score(text), abs=1e-4)

    def test_a_model_from_elsewhere_may_lack_unknown_and_shorter_endings(self, tmp_path):
        text = (
            "made by hand\n\n\\data\\\nngram 1=4\nngram 2=2\nngram 3=1\n\n\\1-grams:\n"
            "-99\t<s>\t-0.3\n-0.5\ta\t-0.2\n-0.6\tb\n-0.7\t</s>\n\n"
            "\\2-grams:\n-0.1\t<s> a\t-0.4\n-0.3\ta b\n\n"
            "\\3-grams:\n-0.05\t<s> a b\n\n\\end\\\n"
        )
        (tmp_path / "m.arpa").write_text(text)
        model = NgramModel.from_arpa(tmp_path / "m.arpa")
        assert model.score("a b") == pytest.approx(-0.1 - 0.05 - 0.7)
        assert model.score("a a", end=False) == pytest.approx(-0.1 + (-0.4 - 0.2 - 0.5))
        assert model.score("zzz", end=False) == pytest.approx(-100 - 0.3)


def kenlm_score(model, numbers, text: str) -> float:
    state, total = model.start(False), 0.0
    for word in text.split():
        state, score = model.score(state, numbers.get_index(word if numbers.contains(word) else "<unk>"))
        total += score
    return total + model.finish(state)[1]


GOOD = """\\data\\
ngram 1=4
ngram 2=3

\\1-grams:
-99\t<s>\t-0.3
-0.5\ta\t-0.2
-0.6\tb\t-0.2
-0.7\t</s>

\\2-grams:
-0.1\t<s> a
-0.2\ta b
-0.3\tb </s>

\\end\\
"""


class TestDamage:
    @pytest.mark.parametrize(
        ("old", "new", "line", "section"),
        [
            ("\\data\\", "data", 16, "beginning"),
            ("ngram 2=3", "ngram 3=3", 3, "\\data\\"),
            ("ngram 2=3", "ngram 2=many", 3, "\\data\\"),
            ("ngram 2=3", "ngram 2=4", 16, "2-grams"),
            ("\\1-grams:", "\\7-grams:", 5, "\\data\\"),
            ("\\2-grams:\n-0.1\t<s> a\n-0.2\ta b\n-0.3\tb </s>\n", "", 12, "1-grams"),
            ("-0.5\ta", "nan\ta", 7, "1-grams"),
            ("-0.5\ta\t-0.2", "-0.5\ta\tinf", 7, "1-grams"),
            ("-0.5\ta", "0.5\ta", 7, "1-grams"),
            ("-0.5\ta", "half\ta", 7, "1-grams"),
            ("-0.5\ta\t-0.2", "-0.5", 7, "1-grams"),
            ("-0.2\ta b", "-0.2\ta b c", 13, "2-grams"),
            ("-0.2\ta b", "-0.2\ta zzz", 13, "2-grams"),
            ("-0.2\ta b", "-0.2\t<s> a", 13, "2-grams"),
            ("\\end\\\n", "", 15, "2-grams"),
        ],
    )
    def test_the_line_and_the_section_are_named(self, tmp_path, old, new, line, section):
        assert old in GOOD
        path = tmp_path / "m.arpa"
        path.write_text(GOOD.replace(old, new, 1))
        with pytest.raises(InputError) as caught:
            NgramModel.from_arpa(path)
        assert (caught.value.code, caught.value.subject) == ("lm.damaged", str(path))
        assert f"line {line}," in caught.value.message
        assert section in caught.value.message

    @pytest.mark.parametrize(
        "content", [b"", b"\xff\xfe\\data\\", b"\\data\\\nngram 1=999999999999\n", b"\0" * 99]
    )
    def test_what_is_no_arpa_file(self, tmp_path, content):
        (tmp_path / "m.arpa").write_bytes(content)
        with pytest.raises(InputError) as caught:
            NgramModel.from_arpa(tmp_path / "m.arpa")
        assert caught.value.code == "lm.damaged"

    @given(st.data())
    @settings(max_examples=60, deadline=None)
    def test_any_cut_is_noticed(self, tmp_path_factory, data):
        """All but the last line break belongs to it."""
        path = tmp_path_factory.mktemp("lm") / "m.arpa"
        path.write_text(GOOD[: data.draw(st.integers(0, len(GOOD) - 3))])
        with pytest.raises(InputError):
            NgramModel.from_arpa(path)

    def test_nothing_there(self, tmp_path):
        for path in (tmp_path / "none.arpa", tmp_path):
            with pytest.raises(NotFoundError) as caught:
                NgramModel.from_arpa(path)
            assert caught.value.code == "lm.missing"


class TestStore:
    def test_it_loads_as_it_was(self, tmp_path):
        save_model(MODEL, tmp_path / "m.npz")
        again = load_model(tmp_path / "m.npz")
        assert [again.score(text) for text in TEXTS] == [MODEL.score(text) for text in TEXTS]
        assert again.about["discounts"] == MODEL.about["discounts"]

    def test_damage_is_an_error_and_never_a_crash(self, tmp_path):
        path = tmp_path / "m.npz"
        save_model(MODEL, path)
        whole = path.read_bytes()
        rng = np.random.default_rng(0)
        for at in rng.integers(0, len(whole), 60):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
            with contextlib.suppress(IntegrityError):  # a byte that nothing reads may be another one
                load_model(path).score(TEXTS[0])
        path.write_bytes(whole[:-100])
        with pytest.raises(IntegrityError):
            load_model(path)

    def test_numbers_that_lead_out_of_the_model_are_refused(self, tmp_path):
        broken = MODEL.levels[1]
        broken = type(broken)(broken.keys, broken.log10, broken.backoff, broken.suffix + 10**6)
        levels = (MODEL.levels[0], broken, *MODEL.levels[2:])
        save_model(NgramModel(MODEL.words, levels, MODEL.about), tmp_path / "m.npz")
        with pytest.raises(IntegrityError) as caught:
            load_model(tmp_path / "m.npz")
        assert "2-grams" in caught.value.message

    def test_nothing_there(self, tmp_path):
        with pytest.raises(NotFoundError):
            load_model(Path(tmp_path / "none.npz"))
