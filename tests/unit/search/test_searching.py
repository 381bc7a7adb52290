"""What is found, in which order, and where."""

from __future__ import annotations

from datetime import timedelta

import pytest

from phonoloop.core.errors import ConflictError, InputError
from phonoloop.data.model import Provenance, Split
from phonoloop.search.own import SoundEmbedder
from phonoloop.search.ports import Filters, Terms
from phonoloop.search.rarity import Rarity
from phonoloop.search.snippets import snippet
from phonoloop.search.source import EmbedderSource
from phonoloop.search.terms import terms_of
from phonoloop.search.words import words_of
from phonoloop.testing.entities import NOON
from phonoloop.testing.searching import SearchSite

SENTENCES = {
    "weather": "hôm nay trời đẹp quá",
    "law": "quốc hội thông qua luật đất đai",
    "market": "bà ấy mua rau ở chợ Bến Thành",
    "school": "các em học sinh đến trường lúc 7 giờ",
    "peace": "hòa bình và hợp tác",
}


@pytest.fixture
def filled(site: SearchSite) -> SearchSite:
    for minute, (name, text) in enumerate(SENTENCES.items()):
        fields = {"speaker_id": "mai"} if name in ("law", "peace") else {}
        if name == "market":
            fields["provenance"] = Provenance.MACHINE
        site.say(name, text, minute=minute, snr_db=5.0 * minute, **fields)
    return site


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("hôm nay trời đẹp quá", "weather"),
        ("HOM NAY TROI DEP QUA", "weather"),
        ("hôm nay chời đẹp quá", "weather"),
        ("luật đất đai", "law"),
        ("luat dat dai", "law"),
        ("bến thành", "market"),
        ("bảy giờ", "school"),
        ("hoà bình", "peace"),
        ("ho\u0300a bi\u0300nh", "peace"),
        ('"hòa bình" OR (NEAR', "peace"),
    ],
)
def test_the_right_one_comes_first(filled: SearchSite, query: str, first: str):
    assert filled.names(query)[0] == first


def test_a_hit_says_where_who_and_how_well(filled: SearchSite):
    hit = filled.find("mua rau")[0]
    assert (hit.start_ms, hit.end_ms) == (0, 1000)
    assert hit.found.text.clip_id == "market-000000000-000016000"
    assert hit.found.speaker["name"] == "Lan Anh"
    assert hit.found.recording["original_name"] == "market.flac"
    assert 0.0 < hit.score < 1.0
    assert hit.exact == 1.0


def test_the_score_is_the_cosine_of_query_and_text(filled: SearchSite):
    assert filled.find(SENTENCES["law"])[0].score == pytest.approx(1.0, abs=1e-3)
    query = "luật đất đai"
    first, second = SoundEmbedder().embed([query, SENTENCES["law"]])
    assert filled.find(query)[0].score == pytest.approx(float(first @ second), abs=1e-3)


def test_min_score_is_the_least_cosine_also_of_exact_words(filled: SearchSite):
    assert filled.names("luật đất đai", min_score=0.95) == []
    assert filled.names(SENTENCES["law"], min_score=0.95) == ["law"]


def test_what_shares_nothing_with_the_query_is_no_hit(filled: SearchSite):
    assert filled.names("kỹ thuật số") == []


def test_a_long_text_with_all_words_comes_before_a_short_one_with_half_of_them(site: SearchSite):
    site.say("all", "thời hạn của hợp đồng lao động đối với người giúp việc gia đình do hai bên thỏa thuận")
    site.say("half", "quyền của người lao động")
    assert site.names("hop dong lao dong") == ["all", "half"]
    assert site.find("hop dong lao dong")[0].held == pytest.approx(1.0)


def test_words_without_their_marks_are_a_hit_however_long_the_text(site: SearchSite):
    site.say("long", "từ này sang từ kia " * 60 + "sầu riêng " + "rồi lại từ đầu " * 60)
    assert site.names("sau rieng") == ["long"]


def test_an_exact_word_is_a_hit_however_long_the_text(site: SearchSite):
    site.say("long", "từ này sang từ kia " * 60 + "sầu riêng " + "rồi lại từ đầu " * 60)
    assert site.names("sầu riêng") == ["long"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (Filters(split=Split.TEST), {"law", "peace"}),
        (Filters(speaker_id="lan"), {"weather", "market", "school"}),
        (Filters(provenance=Provenance.MACHINE), {"market"}),
        (Filters(min_snr_db=15.0), {"school", "peace"}),
        (Filters(date_from=NOON + timedelta(minutes=3)), {"school", "peace"}),
        (Filters(date_to=NOON + timedelta(minutes=1)), {"weather"}),
        (Filters(split=Split.TEST, min_snr_db=10.0), {"peace"}),
    ],
    ids=["split", "speaker", "provenance", "snr", "from", "until", "two"],
)
def test_filters_hold_for_likeness_and_for_words(filled: SearchSite, filters: Filters, found: set[str]):
    everything = " ".join(SENTENCES.values())
    assert set(filled.names(everything, filters=filters, min_score=-1.0)) == found
    assert set(filled.names(everything, min_score=-1.0)) == set(SENTENCES)


def test_at_most_k(filled: SearchSite):
    assert len(filled.names(" ".join(SENTENCES.values()), k=2, min_score=-1.0)) == 2


@pytest.mark.parametrize("empty", ["", "  ", "🙂🙂", "?!", "\u200b", "-"])
def test_a_query_without_a_word_is_refused(filled: SearchSite, empty: str):
    with pytest.raises(InputError) as refusal:
        filled.find(empty)
    assert refusal.value.code == "search.empty"


@pytest.mark.parametrize("wrong", [{"k": 0}, {"k": 100_000}, {"min_score": 1.5}, {"min_score": float("nan")}])
def test_a_wish_that_makes_no_sense_is_refused(filled: SearchSite, wrong: dict):
    with pytest.raises(InputError) as refusal:
        filled.find("luật", **wrong)
    assert refusal.value.code == "search.query"


@pytest.mark.parametrize(
    "query",
    [
        "a" * 10_000,
        "luật đất đai " * 800,
        "из Москвы",
        "日本語",
        "\ud800 luật",
        "luật\0đất",
        "'; DROP TABLE texts;",
    ],
)
def test_any_query_has_a_clear_outcome(filled: SearchSite, query: str):
    assert all(hit.score <= 1.001 for hit in filled.find(query))


def test_before_anything_is_indexed_nothing_is_found(site: SearchSite):
    assert site.names("xin chào") == []


def test_what_is_said_anew_is_found_by_its_new_text_only(filled: SearchSite):
    filled.say("weather", "ngoài kia mưa to")
    assert filled.names("mưa to")[0] == "weather"
    assert "weather" not in filled.names("trời đẹp")


def test_an_embedder_that_the_texts_were_not_made_with_is_refused(filled: SearchSite):
    learnt = Rarity.train([list(SENTENCES.values())])
    other = EmbedderSource(filled.stores, filled.searcher._texts, lambda rarity: SoundEmbedder(learnt))
    with pytest.raises(ConflictError) as refusal:
        other.for_searching()
    assert refusal.value.code == "search.embedder_changed"


class TestTerms:
    RARITY = Rarity.train([[f"của nhà {word}" for word in ("an", "bình", "chi")] * 2_000])

    def test_rare_words_are_looked_up_and_frequent_ones_are_not(self):
        found = terms_of(words_of("của nhà sầu riêng"), self.RARITY)
        assert found.ranked
        assert set(found.words) == {"sầu", "riêng"}
        assert "sau_rieng" in found.pairs

    def test_of_frequent_words_alone_the_rarest_is_looked_up_unranked(self):
        found = terms_of(words_of("của nhà"), self.RARITY)
        assert not found.ranked
        assert sum(len(terms) for terms in found.columns().values()) == 1

    def test_no_words_no_terms(self):
        assert terms_of([], self.RARITY) == Terms()

    def test_a_long_query_looks_up_few(self):
        found = terms_of([f"t{number}" for number in range(400)], self.RARITY)
        assert sum(len(terms) for terms in found.columns().values()) <= 24


class TestSnippets:
    def test_matched_words_are_marked_with_marks_or_without(self):
        found = snippet("Luật Đất đai năm 2024, sửa đổi.", words_of("luat đất"))
        assert [found.text[start:end] for start, end in found.matches] == ["Luật", "Đất"]

    def test_of_a_long_text_it_is_the_part_that_matters(self):
        text = " ".join(["đầu"] * 100 + ["sầu", "riêng"] + ["cuối"] * 100)
        found = snippet(text, ["sầu", "riêng"])
        assert found.text.startswith("… ")
        assert found.text.endswith(" …")
        assert [found.text[start:end] for start, end in found.matches] == ["sầu", "riêng"]
        assert len(found.text.split()) <= 34

    def test_nothing_matches_in_nothing(self):
        assert snippet("", ["a"]).matches == ()
