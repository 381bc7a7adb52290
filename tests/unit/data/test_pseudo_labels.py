"""What a machine wrote is a label only where nothing speaks against it; each refusal has its code."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from phonoloop.core.speech import Transcription
from phonoloop.data import pseudo
from phonoloop.data.correct import correct_transcript
from phonoloop.data.curate import CurateRules, curate
from phonoloop.data.ingest import Hints, ingest_file
from phonoloop.data.model import ClipStatus, Split
from phonoloop.data.sidecar import Sidecar
from phonoloop.data.split import pin_speaker
from phonoloop.data.transcribe import transcribe_recording
from phonoloop.data.transcripts import get_transcript
from phonoloop.testing.intake import babble, write_sound

RULES = CurateRules()


class Says:
    """Hears the same in everything."""

    def __init__(self, text, confidence=0.95, name="parrot", calibrated=True):
        self.model_version = name
        self._said = Transcription(text, confidence, model_version=name, calibrated=calibrated)

    def transcribe(self, samples):
        return self._said


def take(context, tmp_path, *, text="", seconds=2.0, speaker="An", seed=1) -> str:
    with context.records.transaction() as tx:
        pin_speaker(tx, speaker, Split.TRAIN)
    path = write_sound(tmp_path / "a.wav", babble(seed, seconds))
    return ingest_file(context, path, Hints(speaker=speaker, sidecar=Sidecar(text=text))).audio_id


def judged(context, name, first, second=None, rules=RULES):
    transcribe_recording(context, name, first, second=second)
    correct_transcript(context, name)
    (clip,) = curate(context, name, rules)
    return clip.status, clip.reason


@pytest.mark.parametrize(
    "text", ["Hãy subscribe cho kênh Ghiền Mì Gõ để không bỏ lỡ!", "Thank you for watching."]
)
def test_what_recognisers_invent_on_silence_is_refused_and_kept_for_a_person_to_see(context, tmp_path, text):
    name = take(context, tmp_path)
    assert judged(context, name, Says(text, 1.0)) == (ClipStatus.REFUSED, "text.invented")
    transcript = get_transcript(context.records, name)
    assert transcript.text == ""
    assert transcript.segments[0]["heard"] == text


def test_every_line_of_the_table_is_refused():
    lines = pseudo.invented_beginnings()
    assert len(lines) > 15
    assert {pseudo.text_fault(line + " này nhé") for line in lines} == {"text.invented"}


def test_a_loop_is_refused(context, tmp_path):
    name = take(context, tmp_path)
    assert judged(context, name, Says("cảm ơn " * 9, 1.0)) == (ClipStatus.REFUSED, "text.repeats")


@pytest.mark.parametrize(
    "text", ["", "cảm ơn các bạn", "không không không", "một một hai hai ba ba bốn bốn năm năm"]
)
def test_what_people_say_is_kept(text):
    assert pseudo.text_fault(text) == ""


def test_more_syllables_than_anybody_says_are_refused(context, tmp_path):
    text = "a b c d e g h i k l m n o p q r s t u v x y"
    name = take(context, tmp_path)
    assert judged(context, name, Says(text)) == (ClipStatus.REFUSED, "text.unlikely_rate")


def test_what_is_likely_is_learned_from_what_people_wrote(context, tmp_path):
    for seed in range(2, 34):
        name = take(context, tmp_path, text="một hai ba bốn năm sáu", seed=seed)  # 3 a second
        transcribe_recording(context, name, None)
        correct_transcript(context, name)
        curate(context, name, RULES)
    with context.records.transaction() as tx:
        usual = pseudo.usual_rate(tx)
    assert (usual.low, usual.high) == pytest.approx((2.0, 4.5))
    name = take(context, tmp_path)
    assert judged(context, name, Says("một hai")) == (ClipStatus.REFUSED, "text.unlikely_rate")


def test_two_that_agree_are_believed_and_both_opinions_are_kept(context, tmp_path):
    name = take(context, tmp_path)
    verdict = judged(context, name, Says("xin chào bạn"), Says("Xin chào, bạn!", name="other"))
    assert verdict == (ClipStatus.ACCEPTED, "")
    kept = json.loads(context.blobs.get(f"transcripts/{name}.json"))["segments"][0]
    assert kept["second"] == {"text": "Xin chào, bạn!", "model_version": "other", "disagreement": 0.0}
    assert (kept["confidence"], kept["calibrated"]) == (0.95, True)


def test_two_that_do_not_agree_wait_however_sure_they_are(context, tmp_path):
    name = take(context, tmp_path)
    first, second = Says("xin chào bạn", 1.0), Says("xin chào anh", 1.0)
    assert judged(context, name, first, second) == (ClipStatus.WAITING, "text.disagreement")
    (clip,) = curate(context, name, replace(RULES, max_disagreement=0.5))
    assert clip.status == ClipStatus.ACCEPTED


def test_a_recogniser_that_does_not_say_how_sure_it_is_needs_a_second_opinion(context, tmp_path):
    name = take(context, tmp_path)
    assert judged(context, name, Says("xin chào", None)) == (ClipStatus.WAITING, "text.unconfirmed")
    assert get_transcript(context.records, name).confidence == 0.0
    name = take(context, tmp_path, seed=2)
    verdict = judged(context, name, Says("xin chào", None), Says("xin chào"))
    assert verdict == (ClipStatus.ACCEPTED, "")


def test_one_that_is_not_sure_waits_though_the_other_agrees(context, tmp_path):
    verdict = judged(context, take(context, tmp_path), Says("xin chào", 0.5), Says("xin chào"))
    assert verdict == (ClipStatus.WAITING, "text.low_confidence")


def test_nobody_asks_twice_about_speech_that_is_never_trained_on(context, tmp_path):
    with context.records.transaction() as tx:
        pin_speaker(tx, "Test", Split.TEST)
    path = write_sound(tmp_path / "t.wav", babble(9, 2.0))
    name = ingest_file(context, path, Hints(speaker="Test", sidecar=Sidecar())).audio_id
    transcribe_recording(context, name, Says("xin chào"), second=Says("xin chào"))
    assert "second" not in get_transcript(context.records, name).segments[0]
