"""From a recording to an accepted clip: transcribe, correct, curate; and a person's word over all."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from phonoloop.adapters.bus_memory import MemoryEventBus
from phonoloop.core.errors import InputError, NotFoundError
from phonoloop.core.speech import Transcription
from phonoloop.data.correct import Corrector, correct_text, correct_transcript, lacks_marks
from phonoloop.data.curate import CurateRules, curate, curate_all
from phonoloop.data.ingest import Hints, ingest_file
from phonoloop.data.model import Clip, ClipStatus, Split, Transcript
from phonoloop.data.sidecar import Sidecar, TimedText
from phonoloop.data.split import pin_speaker
from phonoloop.data.transcribe import transcribe_recording, waiting_for_transcript
from phonoloop.data.transcripts import CorrectionByPerson, earlier_revisions, get_transcript, put_transcript
from phonoloop.testing.intake import babble, write_sound
from phonoloop.text.corrections import Correction, Rewritten, apply

RULES = CurateRules()


class Parrot:
    """Hears the same words in everything, and counts how often it was asked."""

    model_version = "parrot-1"

    def __init__(self, text="xin chào bạn", confidence=0.95):
        self.text, self.confidence, self.heard = text, confidence, []

    def transcribe(self, samples):
        self.heard.append(len(samples))
        return Transcription(self.text, self.confidence, language="vi", model_version=self.model_version)


def take(context, tmp_path, *, text="", seconds=2.0, speaker="An", split=Split.TRAIN, **sidecar) -> str:
    with context.records.transaction() as tx:
        pin_speaker(tx, speaker, split)
    path = write_sound(tmp_path / "a.wav", babble(round(seconds * 10), seconds))
    return ingest_file(context, path, Hints(speaker=speaker, sidecar=Sidecar(text=text, **sidecar))).audio_id


def run(context, audio_id, transcriber=None, rules=RULES) -> list[Clip]:
    if transcribe_recording(context, audio_id, transcriber) is not None:
        correct_transcript(context, audio_id)
    return curate(context, audio_id, rules)


def told(context):
    bus = MemoryEventBus()
    context.records.drain_outbox(bus)
    return [entry.event for entry in bus.tail()]


def test_a_sidecar_text_goes_through_and_is_accepted(context, tmp_path):
    name = take(context, tmp_path, text="Xin  chào, Bạn!")
    (clip,) = run(context, name, Parrot())
    assert (clip.status, clip.text, clip.provenance) == (ClipStatus.ACCEPTED, "xin chào bạn", "sidecar")
    assert [event.type for event in told(context)] == [
        "recording.ingested",
        "transcription.completed",
        "nlp.postprocessed",
        "dataset.new_sample",
    ]
    kept = json.loads(context.blobs.get(f"transcripts/{name}.json"))
    assert (kept["text"], kept["text_clean"]) == ("Xin  chào, Bạn!", "Xin chào, Bạn!")


def test_every_stage_twice_is_every_stage_once(context, tmp_path):
    name = take(context, tmp_path)
    parrot = Parrot()
    first = run(context, name, parrot)
    events = {event.id for event in told(context)}
    assert run(context, name, parrot) == first
    assert {event.id for event in told(context)} <= events
    assert len(parrot.heard) == 1
    assert get_transcript(context.records, name).revision == 1


def correction(start, before, after, rule, confidence=1.0):
    change = {"start": start, "end": start + len(before), "before": before, "after": after}
    return change | {"rule": rule, "confidence": confidence}


def test_what_is_told_of_the_corrected_text(context, tmp_path):
    name = take(context, tmp_path, text="xin cha\u0300o\u200b bạn")
    run(context, name)
    (event,) = [event for event in told(context) if event.type == "nlp.postprocessed"]
    assert dict(event.data) == {
        "audio_id": name,
        "transcript_uri": f"transcripts/{name}.json",
        "revision": 1,
        "text_clean": "xin chào bạn",
        "text_with_diacritics": "xin chào bạn",
        "corrections": [
            correction(4, "cha\u0300o", "chào", "unicode.composed"),
            correction(9, "\u200b ", " ", "unicode.space"),
        ],
    }


@pytest.mark.parametrize(
    "text", ["", "một hai", " a\u200b  b\u200bc ", "\u200b", "a \u200b b", "e\u0301 \u200b x"]
)
def test_corrections_say_where_in_the_text_as_it_came(text):
    corrected = correct_text(text)
    for correction in corrected.corrections:
        assert text[correction.start : correction.end] == correction.before
    mended = text
    for correction in reversed(corrected.corrections):
        mended = mended[: correction.start] + correction.after + mended[correction.end :]
    assert mended.split() == corrected.text_clean.split()


def test_without_anything_that_hears_clips_wait_and_can_be_found(context, tmp_path):
    name = take(context, tmp_path)
    (clip,) = run(context, name)
    assert (clip.status, clip.reason) == (ClipStatus.WAITING, "transcript.none")
    with context.records.transaction() as tx:
        assert waiting_for_transcript(tx) == [name]
    run(context, name, Parrot())
    with context.records.transaction() as tx:
        assert waiting_for_transcript(tx) == []


def test_a_machine_hears_clip_by_clip_in_the_recordings_time(context, tmp_path):
    name = take(context, tmp_path, seconds=70)
    parrot = Parrot()
    clips = run(context, name, parrot)
    assert len(clips) == len(parrot.heard) >= 3
    assert [clip.end_sample - clip.start_sample for clip in clips] == parrot.heard
    transcript = get_transcript(context.records, name)
    assert [segment["start_ms"] for segment in transcript.segments] == [
        clip.start_sample // 16 for clip in clips
    ]
    assert (transcript.provenance, transcript.model_version) == ("machine", "parrot-1")
    assert {(clip.status, clip.text, clip.confidence) for clip in clips} == {
        (ClipStatus.ACCEPTED, "xin chào bạn", 0.95)
    }


def test_a_machine_that_is_not_sure_is_not_trained_on(context, tmp_path):
    (clip,) = run(context, take(context, tmp_path), Parrot(confidence=0.5))
    assert (clip.status, clip.reason, clip.text) == (ClipStatus.WAITING, "text.low_confidence", "")


@pytest.mark.parametrize("split", [Split.VAL, Split.TEST])
def test_what_a_machine_wrote_is_never_tested_on_until_a_person_says_so(context, tmp_path, split):
    name = take(context, tmp_path, split=split)
    (clip,) = run(context, name, Parrot(confidence=1.0))
    assert (clip.status, clip.reason) == (ClipStatus.WAITING, "text.needs_person")
    put_transcript(context, name, CorrectionByPerson("xin chào bạn", author="Chi"), RULES)
    (clip,) = curate(context, name, RULES)
    assert (clip.status, clip.provenance) == (ClipStatus.ACCEPTED, "human")


def test_text_from_later_or_again_replaces_only_what_a_machine_wrote(context, tmp_path):
    name = take(context, tmp_path)
    run(context, name, Parrot("một"))
    transcribe_recording(context, name, Parrot("hai"))
    assert get_transcript(context.records, name).text == "một"
    transcribe_recording(context, name, Parrot("hai"), again=True)
    assert (get_transcript(context.records, name).text, get_transcript(context.records, name).revision) == (
        "hai",
        2,
    )
    put_transcript(context, name, CorrectionByPerson("ba"), RULES)
    transcribe_recording(context, name, Parrot("bốn"), again=True)
    assert get_transcript(context.records, name).text == "ba"


def test_what_somebody_wrote_while_the_machine_listened_stays(context, tmp_path):
    name = take(context, tmp_path)

    class Slow(Parrot):
        def transcribe(self, samples):
            put_transcript(context, name, CorrectionByPerson("của tôi"), RULES)
            return super().transcribe(samples)

    assert transcribe_recording(context, name, Slow()).text == "của tôi"
    assert json.loads(context.blobs.get(f"transcripts/{name}.json"))["text"] == "của tôi"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"min_duration_s": 2.5}, "clip.too_short"),
        ({"max_duration_s": 1.5}, "clip.too_long"),
        ({"min_snr_db": 61.0}, "clip.noisy"),
        ({"min_chars_per_s": 10.0}, "text.too_short_for_audio"),
        ({"max_chars_per_s": 3.0}, "text.too_long_for_audio"),
    ],
)
def test_gates(context, tmp_path, change, reason):
    name = take(context, tmp_path, text="xin chào bạn")
    assert run(context, name)[0].status == ClipStatus.ACCEPTED
    (clip,) = curate(context, name, replace(RULES, **change))
    assert (clip.status, clip.reason, clip.text) == (ClipStatus.REFUSED, reason, "")
    assert curate_all(context, RULES)[ClipStatus.ACCEPTED] == 1


def test_a_text_without_times_does_not_fit_several_clips(context, tmp_path):
    name = take(context, tmp_path, text="xin chào bạn", seconds=70)
    assert {(clip.status, clip.reason) for clip in run(context, name)} == {
        (ClipStatus.WAITING, "transcript.unaligned")
    }
    given = [
        TimedText(c.start_sample // 16, c.end_sample // 16, "một hai ba bốn") for c in run(context, name)
    ]
    put_transcript(context, name, CorrectionByPerson("một hai ba bốn", segments=given), RULES)
    assert {clip.text for clip in curate(context, name, RULES)} == {"một hai ba bốn"}


def test_segments_beside_the_audio_give_each_clip_its_text(context, tmp_path):
    segments = (TimedText(0, 1000, "một"), TimedText(1000, 2000, "Hai"))
    name = take(context, tmp_path, segments=segments)
    assert [clip.text for clip in run(context, name)] == ["một", "hai"]


def test_a_person_corrects_and_what_was_there_is_kept(context, tmp_path):
    name = take(context, tmp_path, text="xin chao")
    run(context, name)
    kept = put_transcript(context, name, CorrectionByPerson("Xin chào!", author="Chi"), RULES)
    assert (kept.revision, kept.provenance, kept.author, kept.text_clean) == (2, "human", "Chi", "Xin chào!")
    with context.records.transaction() as tx:
        assert [clip.text for clip in tx.find(Clip)] == ["xin chào"]
    (earlier,) = earlier_revisions(context.records, name)
    assert (earlier.revision, earlier.body["text"]) == (1, "xin chao")
    assert json.loads(context.blobs.get(kept.uri))["text"] == "Xin chào!"
    again = put_transcript(context, name, CorrectionByPerson("Xin chào!", author="Chi"), RULES)
    assert again.revision == 2


def test_a_clean_text_that_a_person_gave_stays(context, tmp_path):
    name = take(context, tmp_path, text="20 km")
    given = CorrectionByPerson("20 km", text_clean="hai mươi ki lô mét")
    put_transcript(context, name, given, RULES)
    assert correct_transcript(context, name).text_clean == "hai mươi ki lô mét"
    assert curate(context, name, RULES)[0].text == "hai mươi ki lô mét"


def test_an_empty_correction_takes_the_clip_out(context, tmp_path):
    name = take(context, tmp_path, text="xin chào")
    run(context, name)
    put_transcript(context, name, CorrectionByPerson(""), RULES)
    (clip,) = curate(context, name, RULES)
    assert (clip.status, clip.reason) == (ClipStatus.REFUSED, "text.empty")


def test_what_is_not_there(context, tmp_path):
    for ask in (
        lambda: get_transcript(context.records, "none"),
        lambda: put_transcript(context, "none", CorrectionByPerson("a"), RULES),
        lambda: curate(context, "none", RULES),
        lambda: transcribe_recording(context, "none", None),
    ):
        with pytest.raises(NotFoundError) as caught:
            ask()
        assert caught.value.code == "recording.missing"
    name = take(context, tmp_path)
    for ask in (lambda: get_transcript(context.records, name), lambda: correct_transcript(context, name)):
        with pytest.raises(NotFoundError) as caught:
            ask()
        assert caught.value.code == "transcript.missing"
    with pytest.raises(InputError) as refused:
        put_transcript(context, name, CorrectionByPerson("a\0"), RULES)
    assert refused.value.code == "transcript.text"


def test_ready_is_told_once_per_crossing(context, tmp_path):
    rules = replace(RULES, ready_hours=3.0 / 3600)

    def take_and_curate(seconds: float, trained_s: float) -> set[str]:
        name = take(context, tmp_path, text="xin chào", seconds=seconds)
        run(context, name, rules=replace(rules, min_snr_db=99))  # nothing is accepted
        told(context)
        curate(context, name, rules, lambda tx: trained_s / 3600)
        return {event.id for event in told(context) if event.type == "dataset.ready"}

    assert take_and_curate(2.0, trained_s=0.0) == set()
    crossing = take_and_curate(2.5, trained_s=0.0)
    assert len(crossing) == 1
    assert take_and_curate(1.0, trained_s=0.0) == crossing, "the same event: the bus knows it"
    assert take_and_curate(1.1, trained_s=5.5) == set()
    assert not take_and_curate(2.1, trained_s=5.5) & crossing


def test_a_recording_without_a_transcript_row_has_none(context, tmp_path):
    name = take(context, tmp_path)
    run(context, name)
    with context.records.transaction() as tx:
        assert tx.get(Transcript, name) is None


class Marks:
    """Restores one sentence, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def restore(self, text, confidences=None):
        self.asked.append((text, confidences))
        at = text.find("ban")
        change = Correction(at, at + 3, "ban", "bạn", "diacritics", 0.95)
        return Rewritten(text.replace("ban", "bạn", 1), (change,)) if at >= 0 else Rewritten(text)


def corrected(context, audio_id, transcriber=None, corrector=None):
    """The transcript, and the clip as curated."""
    transcribe_recording(context, audio_id, transcriber)
    kept = correct_transcript(context, audio_id, corrector)
    return kept, curate(context, audio_id, RULES)[0]


def test_people_read_digits_and_a_recogniser_learns_what_was_said(context, tmp_path):
    name = take(context, tmp_path, text="Ờ, họp lúc mười giờ ba mươi ở TP. Huế", language="vi")
    transcript, clip = corrected(context, name)
    assert transcript.text_clean == "Họp lúc 10h30 ở TP. Huế"
    assert transcript.text_with_diacritics == "Ờ, họp lúc mười giờ ba mươi ở thành phố Huế"
    assert clip.text == "ờ họp lúc mười giờ ba mươi ở thành phố huế"
    assert apply_dicts(transcript) == transcript.text_clean


def test_other_languages_keep_their_digits(context, tmp_path):
    name = take(context, tmp_path, text="At 10:30,  on my way to TP.", language="en")
    transcript, clip = corrected(context, name)
    assert transcript.text_clean == transcript.text_with_diacritics == "At 10:30, on my way to TP."
    assert clip.text == "at 10:30 on my way to tp"


def test_what_a_person_wrote_is_only_spelled(context, tmp_path):
    name = take(context, tmp_path, text="x", language="vi")
    kept = put_transcript(
        context,
        name,
        CorrectionByPerson("Ờ, Hoà xử dụng mười hai cai"),
        RULES,
        corrector=Corrector(restorer=Marks()),
    )
    assert kept.text_clean == "Ờ, Hòa xử dụng mười hai cai"
    assert [change["rule"] for change in kept.corrections] == ["spelling.tone"]


def test_confused_words_and_missing_marks_of_a_machine_are_mended(context, tmp_path):
    name, marks = take(context, tmp_path, language="vi"), Marks()
    transcript, clip = corrected(context, name, Parrot("chào ban hãy xử dụng"), Corrector(restorer=marks))
    assert transcript.text_clean == transcript.text_with_diacritics == "chào bạn hãy sử dụng"
    assert [change["rule"] for change in transcript.corrections] == ["diacritics", "confusion"]
    assert (clip.text, clip.provenance) == ("chào bạn hãy sử dụng", "machine")


def test_confidences_go_to_the_restorer_where_each_word_has_one():
    marks = Marks()
    correct_text("chào ban", Corrector(restorer=marks), provenance="machine", confidences=[0.9, 0.2])
    correct_text("chào ban", Corrector(restorer=marks), provenance="machine", confidences=[0.9])
    assert marks.asked == [("chào ban", [0.9, 0.2]), ("chào ban", None)]


@pytest.mark.parametrize(
    ("text", "restored"),
    [("xin chao ban", True), ("Xin chào ban", False), ("chao ban", False), ("my friend is band new", False)],
)
def test_a_sidecar_gets_its_marks_only_where_it_has_none(text, restored):
    assert lacks_marks(text) == restored
    made = correct_text(text, Corrector(restorer=Marks()), provenance="sidecar")
    assert (made.text_clean != text) == restored


def test_a_restored_sidecar_is_a_machines_and_never_tested_on(context, tmp_path):
    name = take(context, tmp_path, text="xin chao ban", split=Split.TEST, language="vi")
    transcript, clip = corrected(context, name, corrector=Corrector(restorer=Marks()))
    assert transcript.text_with_diacritics == "xin chao bạn"
    assert (clip.status, clip.reason) == (ClipStatus.WAITING, "text.needs_person")
    assert (clip.provenance, clip.confidence) == ("machine", 0.95)


def test_segments_are_trained_on_as_they_were_said(context, tmp_path):
    timed = [TimedText(0, 35_000, "có 10 người"), TimedText(35_000, 70_000, "và 20")]
    name = take(context, tmp_path, seconds=70, segments=timed, language="vi")
    transcribe_recording(context, name, None)
    kept = correct_transcript(context, name)
    assert [segment.get("spoken") for segment in kept.segments] == ["có mười người", "và hai mươi"]
    assert correct_transcript(context, name) == kept


def apply_dicts(transcript) -> str:
    return apply(transcript.text, [Correction(**change) for change in transcript.corrections])
