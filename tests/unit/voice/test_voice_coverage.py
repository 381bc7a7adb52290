"""Which sounds are there, which are missing, and the sentences that bring them."""

import json
import math

import pytest
from click.testing import CliRunner

from phonoloop.app.cli.voice_coverage import coverage
from phonoloop.core.errors import InputError, NotFoundError
from phonoloop.testing.voice_texts import text
from phonoloop.voice.coverage import (
    Coverage,
    Sounds,
    coverage_of,
    rarity,
    read_sentences,
    sentences_in,
    sentences_to_record,
    sounds_of,
)
from phonoloop.voice.metadata import write_texts


class Letters:
    """Each letter is a sound; digits are tones, as espeak-ng writes them."""

    def phonemise(self, text, language):
        return [tuple(word) for word in text.replace("?", "").split()]

    def phonemise_all(self, texts, language):
        return [self.phonemise(text, language) for text in texts]


def covered(*said, reference=()):
    texts = [text(f"c{number}", one) for number, one in enumerate(said)]
    return coverage_of(texts, Letters(), "xx", reference=reference)


def test_pairs_go_over_the_ends_of_words_and_tones_belong_to_their_vowel():
    sounds = sounds_of([("t", "a", "2"), ("k",)])
    assert sounds.phonemes == {"t": 1, "a": 1, "2": 1, "k": 1}
    assert set(sounds.diphones) == {("_", "t"), ("t", "a"), ("a", "k"), ("k", "_"), ("a", "2")}
    assert sounds_of([]) == Sounds()


def test_sounds_are_counted_and_the_missing_ones_named_most_wanted_first():
    found = covered("aba", "ab", reference=["abc cc", "dab"])
    assert found.heard.phonemes == {"a": 3, "b": 2}
    assert found.missing_phonemes == ["c", "d"]
    assert found.missing_diphones[0] == ("c", "c")
    assert found.rare_phonemes == ["b", "a"]
    assert found.share == pytest.approx(4 / 10)


def test_clips_that_are_not_used_do_not_count():
    texts = [text("a", "ab"), text("b", "cd", rejected=True), text("c", "")]
    assert coverage_of(texts, Letters(), "xx").heard.phonemes == {"a": 1, "b": 1}


def test_clips_that_cannot_be_read_are_named():
    assert covered("ab", "?").unread == ("c1",)


def test_without_a_reference_nothing_is_missing():
    found = covered("ab")
    assert (found.share, found.missing_phonemes) == (1.0, [])


def test_clips_with_rare_pairs_are_rarer():
    found = rarity([text(f"c{n}", "ab") for n in range(5)] + [text("odd", "xy")], Letters(), "xx")
    assert (found["c0"], found["odd"]) == (0.0, 1.0)


# ---------------------------------------------------------------- what to record


def pick(found, sentences, most=10):
    return [one.text for one in sentences_to_record(found, sentences, Letters(), "xx", most=most)]


def test_the_sentence_that_brings_most_for_its_length_comes_first():
    known = covered(*["ab"] * 5)
    assert pick(known, ["ab " * 30 + "cd ef", "cd ef", "xy"]) == ["cd ef", "xy", "ab " * 30 + "cd ef"]


def test_what_is_wanted_more_comes_first():
    assert pick(covered("ab", reference=["cd"] * 9), ["ef", "cd"], most=1) == ["cd"]


def test_what_a_picked_sentence_brings_is_not_wanted_again():
    found = covered("ab")
    assert pick(found, ["cd", "cd", "ef"], most=2) == ["cd", "ef"]


def test_sentences_that_bring_nothing_are_not_picked():
    found = covered(*["ab"] * 5)
    assert pick(found, ["ab", "?"]) == []


def test_the_lazy_choice_is_the_greedy_one():
    found = covered("ab", reference=["cd cd cd cd", "gh", "ab"])
    sentences = ["cdcd", "efe", "cdef", "ghij", "ab cd", "gh", "jj jj", "acegi", "bdfhj", "cd gh"]

    def worth(sentence, counts):
        sounds = sounds_of(Letters().phonemise(sentence, "xx"))
        gains = [
            math.log1p(max(found.wanted.diphones[pair], 1)) * max(0.0, 1 - (counts.get(pair, 0) + more) / 5)
            for pair, times in sounds.diphones.items()
            for more in range(times)
        ]
        return sum(gains) / (sounds.phonemes.total() + 20)

    counts, left, greedy = dict(found.heard.diphones), list(sentences), []
    while left:
        best = max(left, key=lambda one: (worth(one, counts), -sentences.index(one)))
        greedy.append(best)
        left.remove(best)
        for pair, times in sounds_of(Letters().phonemise(best, "xx")).diphones.items():
            counts[pair] = counts.get(pair, 0) + times
    assert pick(found, sentences) == greedy


def test_what_a_sentence_brings_is_said():
    (one,) = sentences_to_record(covered("ab"), ["ca"], Letters(), "xx", most=1)
    assert one.brings == (("_", "c"), ("c", "a"), ("a", "_"))


def test_sentences_are_of_a_length_that_people_read_well_and_come_once():
    long = " ".join(["từ"] * 21)
    told = f"Hôm nay trời rất đẹp. Ngắn quá! Hôm nay trời rất đẹp. {long}.\nCó dòng mới ở đây"
    assert list(sentences_in(told)) == ["Hôm nay trời rất đẹp.", "Có dòng mới ở đây"]


def test_texts_that_cannot_be_read_are_told(tmp_path):
    with pytest.raises(NotFoundError) as missing:
        read_sentences(tmp_path / "no.txt")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 au lait ici maintenant")
    with pytest.raises(InputError) as broken:
        read_sentences(tmp_path / "latin.txt")
    assert (missing.value.code, broken.value.code) == ("voice.no_text_file", "voice.text_file")


# ---------------------------------------------------------------- with espeak-ng


@pytest.fixture(scope="module")
def espeak():
    pytest.importorskip("espeakng_loader", reason="the espeak extra is not installed")
    from phonoloop.adapters.espeak import EspeakSynthesizer

    with EspeakSynthesizer() as one:
        yield one


def test_vietnamese_lacks_what_its_syllables_have(espeak):
    found = coverage_of([text("a", "xin chào các bạn")], espeak, "vi")
    assert "x" in found.missing_phonemes or "ɣ" in found.missing_phonemes
    assert {"s", "i", "n"} <= set(found.heard.phonemes)
    assert not any("_" in pair for pair in found.missing_diphones)
    assert 0 < found.share < 0.1


def test_the_sentences_picked_close_the_gap(espeak):
    sentences = ["Gà gáy ở ngoài sân.", "Xin chào các bạn nhé.", "Ghế gỗ kê gần cửa."]
    found = coverage_of([text("a", "xin chào các bạn")], espeak, "vi", reference=sentences)
    picked = [one.text for one in sentences_to_record(found, sentences, espeak, "vi", most=2)]
    assert "Xin chào các bạn nhé." not in picked


def test_the_command_says_what_is_missing_and_what_to_record(espeak, tmp_path):
    write_texts(tmp_path / "out", [text("a", "xin chào các bạn")])
    (tmp_path / "text.txt").write_text("Gà gáy ở ngoài sân. Xin chào các bạn nhé.", "utf-8")
    arguments = [str(tmp_path / "out"), "--text", str(tmp_path / "text.txt"), "--sentences", "1"]
    result = CliRunner().invoke(coverage, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "1 clips" in result.output
    assert "Missing sounds: " in result.output
    assert "  1. Gà gáy ở ngoài sân." in result.output
    told = json.loads(CliRunner().invoke(coverage, [*arguments, "--json"]).output)
    assert (told["language"], told["record"][0]["text"]) == ("vi", "Gà gáy ở ngoài sân.")


def test_the_command_asks_for_the_language_where_nobody_said_it(espeak, tmp_path):
    write_texts(tmp_path, [text("a", language="")])
    result = CliRunner().invoke(coverage, [str(tmp_path)])
    assert result.exit_code == 2
    assert "--language" in result.output


def test_the_view_is_plain_json():
    found = Coverage(clips=0, unread=(), heard=Sounds(), wanted=Sounds())
    assert json.loads(json.dumps(found.to_dict()))["diphone_share"] == 1.0
