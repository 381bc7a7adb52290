"""How far a text is trusted, and why."""

import pytest

from phonoloop.testing.voice_texts import text
from phonoloop.voice.texts import Origin
from phonoloop.voice.trust import agreement, corpus_of, judged

NOBODY = corpus_of([])


def trust(one, corpus=NOBODY):
    return judged(one, corpus).trust


def kinds(one, corpus=NOBODY):
    return {doubt.kind for doubt in trust(one, corpus).doubts}


def test_two_decodes_that_agree_leave_no_doubt():
    assert (trust(text()).score, kinds(text())) == (1.0, set())


def test_the_more_they_differ_the_less_it_is_trusted():
    said = "hôm nay trời đẹp quá chúng ta đi chơi"
    scores = [
        trust(text(said=said, heard_second=second, duration_s=2)).score
        for second in (
            said,
            "hôm nay trời đẹp quá chúng tôi đi chơi",
            "hôm nay giời đẹt quá chúng tôi đi",
            "",
        )
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 1.0
    assert scores[1] > 0.7
    assert scores[3] == 0.0


def test_case_and_punctuation_are_no_difference():
    assert agreement(text(said="Xin chào!", heard_second="xin chào").heard, "vi") == 1.0


def test_words_at_the_ends_matter_more():
    said = "một hai ba bốn năm sáu bảy tám"
    inside = trust(text(said=said, heard_second=said.replace("bốn", "bôn"), duration_s=2))
    at_end = trust(text(said=said, heard_second=said.replace("tám", "tam"), duration_s=2))
    assert at_end.score < inside.score
    assert "end" in next(doubt.detail for doubt in at_end.doubts if doubt.kind == "edge_words")


@pytest.mark.parametrize(("edges", "kind"), [((-3.0, -40.0), "cut_start"), ((-40.0, -3.0), "cut_end")])
def test_speech_up_to_the_edge_was_cut(edges, kind):
    assert kinds(text(heard_edges_db=edges)) == {kind}


def test_one_decode_alone_is_doubted_and_a_given_text_less():
    machine = trust(text(heard_second=None))
    given = trust(text(heard_second=None, heard_origin=Origin.SIDECAR, origin=Origin.SIDECAR))
    assert {doubt.kind for doubt in (*machine.doubts, *given.doubts)} == {"unchecked"}
    assert machine.score < given.score < 1.0


def test_a_given_text_is_held_against_how_well_the_recogniser_usually_does():
    said = "hôm nay trời đẹp quá chúng ta đi chơi"
    weak = {"heard_origin": Origin.SIDECAR, "origin": Origin.SIDECAR, "duration_s": 2.0}
    usual = [text(f"c{n}", said, heard_second="hôm nai giời đẹt quá chúng ta đi", **weak) for n in range(9)]
    wrong = text("wrong", said, heard_second="giá vàng thế giới giảm mạnh", **weak)
    corpus = corpus_of([*usual, wrong])
    assert trust(usual[0]).score < 0.6
    assert trust(usual[0], corpus).score >= 0.75
    assert trust(wrong, corpus).score < 0.3


def test_a_rate_unlike_the_speakers_own_is_doubted():
    usual = [text(f"c{n}", "một hai ba bốn năm sáu bảy", duration_s=2 + n / 50) for n in range(12)]
    slow = text("slow", "một hai", duration_s=4.0)
    fast = text("fast", " ".join(["một hai ba bốn"] * 4), duration_s=2.0)
    corpus = corpus_of([*usual, slow, fast])
    assert kinds(usual[0], corpus) == set()
    assert kinds(slow, corpus) == {"rate"}
    assert trust(slow, corpus).score < 0.5
    assert "rate" in kinds(fast, corpus)


def test_another_speakers_rate_is_another_matter():
    slow = [text(f"s{n}", "một hai ba", duration_s=2, speaker="Ông Ba") for n in range(9)]
    fast = [text(f"f{n}", "một hai ba bốn năm sáu bảy", duration_s=1.2, speaker="Tí") for n in range(9)]
    corpus = corpus_of(slow + fast)
    assert kinds(slow[0], corpus) == kinds(fast[0], corpus) == set()


def test_few_clips_are_held_against_what_people_can_say():
    assert kinds(text(said="một " * 30, heard_sounds=30, duration_s=2.0)) >= {"rate"}


def test_a_text_without_any_sound_is_doubted():
    assert kinds(text(said="…", heard_sounds=0)) == {"rate"}


def test_loops_and_inventions_of_recognisers_are_not_trusted():
    loop = text(said="và tôi " * 12, duration_s=6.0)
    invented = text(
        said="Hãy subscribe cho kênh Ghiền Mì Gõ để không bỏ lỡ những video hấp dẫn", duration_s=4.0
    )
    assert kinds(loop) == {"repetition"}
    assert kinds(invented) == {"invented"}
    assert max(trust(loop).score, trust(invented).score) < 0.2


def test_what_people_gave_may_repeat_itself():
    chant = text(said="và tôi " * 12, duration_s=6.0, heard_origin=Origin.SIDECAR, origin=Origin.SIDECAR)
    assert "repetition" not in kinds(chant)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"said": ""}, "empty"),
        ({"said": "", "heard_model_version": ""}, "empty"),
        ({"said": "", "heard_refused": "[audio.too_short] it is too short"}, "refused"),
    ],
)
def test_nothing_heard_is_trusted_not_at_all_and_says_why(given, kind):
    assert (trust(text(**given)).score, kinds(text(**given))) == (0.0, {kind})


def test_a_text_split_at_a_mark_is_doubted_a_little():
    assert kinds(text(heard_split=True)) == {"split"}


def test_a_persons_text_is_trusted_and_the_quality_is_the_sounds():
    person = text(origin=Origin.HUMAN, heard_second="gì đó khác hẳn", snr_db=15.0)
    assert trust(person).score == 1.0
    assert judged(person, NOBODY).quality == 0.5


def test_quality_is_the_lower_of_text_and_sound():
    assert judged(text(snr_db=40.0, heard_second=None), NOBODY).quality == 0.7
    assert judged(text(snr_db=6.0), NOBODY).quality == 0.2
    assert judged(text(), NOBODY).quality == 1.0
