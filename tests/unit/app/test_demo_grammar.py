import numpy as np
import pytest

from phonoloop.app.demo.grammar import Grammar, load_grammar
from phonoloop.core.errors import ConfigError
from phonoloop.text.normalise import for_scoring


def test_the_grammar_that_ships_has_thousands_of_sentences_of_some_two_hundred_words():
    grammar = load_grammar()
    sentences = grammar.sentences(3000, seed=1)
    assert len(set(sentences)) == 3000
    assert 150 <= len(grammar.words()) <= 250
    assert {word for sentence in sentences for word in sentence.split()} == grammar.words()


def test_sentences_are_written_as_they_are_scored():
    assert all(for_scoring(sentence) == sentence for sentence in load_grammar().sentences(1000, seed=2))


def test_the_same_seed_draws_the_same_sentences():
    grammar = load_grammar()
    assert grammar.sentences(50, seed=3) == grammar.sentences(50, seed=3)
    assert grammar.sentences(50, seed=3) != grammar.sentences(50, seed=4)


def test_names_are_filled_in_down_to_the_last():
    grammar = Grammar({"sentence": ("mở {what}",), "what": ("cửa {which}",), "which": ("sổ",)})
    assert grammar.sentence(np.random.default_rng(0)) == "mở cửa sổ"
    assert grammar.words() == {"mở", "cửa", "sổ"}


def test_a_grammar_that_is_used_up_says_so():
    with pytest.raises(ConfigError) as caught:
        Grammar({"sentence": ("một", "hai")}).sentences(3, seed=0)
    assert caught.value.code == "grammar.too_small"


@pytest.mark.parametrize(
    ("rules", "code", "subject"),
    [
        ({}, "grammar.unknown", "sentence"),
        ({"sentence": ("{nowhere}",)}, "grammar.unknown", "nowhere"),
        ({"sentence": ("{a}",), "a": ("{b}",), "b": ("{a} ạ",)}, "grammar.circular", "a"),
    ],
)
def test_a_broken_grammar_is_refused(rules, code, subject):
    with pytest.raises(ConfigError) as caught:
        Grammar(rules)
    assert (caught.value.code, caught.value.subject) == (code, subject)


@pytest.mark.parametrize("text", ["- a list", "sentence: 3", "{", "sentence: [a"])
def test_a_file_that_is_no_grammar_is_refused(tmp_path, text):
    path = tmp_path / "grammar.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_grammar(path)
    assert caught.value.code == "grammar.unreadable"
