"""Evaluation: rates, intervals by speaker, slices, rows that could not be heard."""

from __future__ import annotations

import json

import pytest

from phonoloop.app.measuring import report_lines
from phonoloop.asr.evaluate import Heard, evaluate, summarise, to_report
from phonoloop.core.errors import ManifestError
from phonoloop.core.speech import Transcription
from phonoloop.data.manifest import ManifestRow
from phonoloop.registry.statistics import rate_interval
from phonoloop.text.error_rates import score


class Deaf:
    """Hears the same in everything."""

    model_version = "deaf-1"

    def transcribe(self, samples):
        return Transcription("a b", confidence=0.5)


def heard(speaker: str, reference: str, hypothesis: str, **slices: str) -> Heard:
    return Heard(
        key=f"{speaker}/{reference}",
        speaker=speaker,
        duration_s=2.0,
        reference=reference,
        hypothesis=hypothesis,
        confidence=1.0,
        scores=score(reference, hypothesis),
        slices={"speaker": speaker} | slices,
    )


def test_rows_are_heard_and_counted(corpus):
    evaluation = evaluate(Deaf(), corpus.val, [corpus.folder])
    assert evaluation.model_version == "deaf-1"
    assert len(evaluation.utterances) == len(corpus.val)
    assert evaluation.wer.errors == 2 * len(corpus.val)
    assert evaluation.hours == pytest.approx(sum(row.duration for row in corpus.val) / 3600)


def test_a_row_without_audio_is_listed_and_counts_in_no_rate(corpus):
    rows = [*corpus.val, ManifestRow("gone.wav", "abc", 1.0, "s0")]
    evaluation = evaluate(Deaf(), rows, [corpus.folder])
    assert [code for _, code, _ in evaluation.failed] == ["manifest.audio_missing"]
    assert len(evaluation.utterances) == len(corpus.val)


def test_nothing_heard_is_an_error(tmp_path):
    with pytest.raises(ManifestError) as caught:
        evaluate(Deaf(), [ManifestRow("gone.wav", "abc", 1.0, "s0")], [tmp_path])
    assert caught.value.code == "evaluation.no_data"


def test_rates_are_over_all_reference_words():
    evaluation = summarise(
        [heard("s1", "một hai ba", "một hai ba"), heard("s2", "bốn", "năm")], model_version="m"
    )
    assert (evaluation.wer.errors, evaluation.wer.reference, evaluation.wer.rate) == (1, 4, 0.25)


def test_the_interval_is_over_speakers_however_many_clips_each_has():
    good = [heard("good", f"một {i}", f"một {i}") for i in range(50)]
    bad = [heard("bad", f"hai {i}", "") for i in range(50)]
    rate = summarise(good + bad, model_version="m").wer
    assert rate.rate == pytest.approx(0.5)
    assert (rate.low, rate.high) == rate_interval([0, 100], [100, 100])
    assert rate.high > 1  # two speakers so different allow anything


def test_one_speaker_gives_no_interval():
    rate = summarise([heard("s1", "một", "một")], model_version="m").wer
    assert (rate.low, rate.high) == (None, None)


def test_slices_are_rated_on_their_own():
    evaluation = summarise(
        [
            heard("s1", "một", "một", dialect="north"),
            heard("s2", "hai", "ba", dialect="south"),
            heard("s3", "hai", "hai", dialect="south"),
        ],
        model_version="m",
    )
    assert evaluation.slices["dialect"]["north"].wer.rate == 0.0
    assert evaluation.slices["dialect"]["south"].wer.rate == 0.5
    assert evaluation.slices["dialect"]["south"].speakers == 2
    assert set(evaluation.slices["speaker"]) == {"s1", "s2", "s3"}


def test_vietnamese_is_rated_by_tone_onset_and_rime_too():
    evaluation = summarise(
        [
            heard("s1", "má ngã", "má ngả", dialect="south"),
            heard("s2", "má ngã", "bá ngã", dialect="north"),
        ],
        model_version="m",
    )
    rates = [getattr(evaluation.parts, part).rate for part in ("tone", "onset", "rime")]
    assert rates == [0.25, 0.25, 0.0]
    assert [(c.part, c.said, c.heard) for c in evaluation.parts.confusions] == [
        ("tone", "ngã", "hỏi"),
        ("onset", "m", "b"),
    ]
    by_dialect = evaluation.slices["dialect"]
    assert (by_dialect["south"].parts.tone.rate, by_dialect["north"].parts.tone.rate) == (0.5, 0.0)


def test_other_languages_have_no_tones():
    assert summarise([heard("s1", "hello world", "hello word")], model_version="m").parts is None


def test_the_report_of_vietnamese_names_what_was_confused():
    evaluation = summarise([heard("s1", "má ngã", "má ngả", dialect="south")], model_version="m")
    report = json.loads(json.dumps(to_report(evaluation)))
    assert report["parts"]["misspelled"] == 0
    assert report["parts"]["confusions"] == [{"part": "tone", "said": "ngã", "heard": "hỏi", "times": 1}]
    lines = list(report_lines(report, "calls.jsonl"))
    assert "  Tone error     50.0% of 2" in lines
    assert "    heard as: ngã → hỏi 1×" in lines
    assert lines.index("    Tone error     50.0% of 2") > lines.index(
        "  WER where dialect is south: 50.0% of 2, 1 speakers"
    )


def test_a_report_is_json_without_single_utterances():
    report = to_report(summarise([heard("s1", "một", "một")], model_version="m"))
    assert report["clips"] == 1
    assert "utterances" not in report
    assert report["wer"]["rate"] == 0.0
