"""Evaluation: rates, intervals by speaker, slices, rows that could not be heard."""

from __future__ import annotations

import pytest

from phonoloop.asr.evaluate import Heard, evaluate, slices_of, summarise, to_report
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


def test_what_a_row_can_be_sliced_by():
    row = ManifestRow("a.wav", "x", 1.0, "s1", extras={"snr_db": 12.3, "dialect": "north", "noisy": True})
    assert slices_of(row) == {"speaker": "s1", "snr": "10-15 dB", "dialect": "north", "noisy": "True"}


@pytest.mark.parametrize(
    ("snr_db", "band"), [(-3, "below 5 dB"), (5, "5-10 dB"), (29.9, "20-30 dB"), (30, "30 dB and more")]
)
def test_snr_bands(snr_db, band):
    assert slices_of(ManifestRow("a.wav", "x", 1.0, extras={"snr_db": snr_db})) == {"snr": band}


def test_a_report_is_json_without_single_utterances():
    report = to_report(summarise([heard("s1", "một", "một")], model_version="m"))
    assert report["clips"] == 1
    assert "utterances" not in report
    assert report["wer"]["rate"] == 0.0
