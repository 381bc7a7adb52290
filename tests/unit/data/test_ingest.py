"""A file becomes a recording, once, with everything that is known of it."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from phonoloop.adapters.bus_memory import MemoryEventBus
from phonoloop.audio.wav import read_wav, to_int16
from phonoloop.core.errors import UnavailableError
from phonoloop.core.ids import audio_id, sha256_hex
from phonoloop.data.ingest import Hints, ingest_file
from phonoloop.data.model import Clip, IntakeOutcome, Provenance, Recording, Speaker, Transcript
from phonoloop.data.sidecar import Sidecar
from phonoloop.testing.intake import babble, write_sound


def everything(context, kind):
    with context.records.transaction() as tx:
        return tx.find(kind)


def told(context):
    bus = MemoryEventBus()
    context.records.drain_outbox(bus)
    return [(entry.event.type, dict(entry.event.data)) for entry in bus.tail()]


def test_a_recording_is_named_by_its_audio_and_kept_twice(context, tmp_path):
    pcm = babble(1)
    path = write_sound(tmp_path / "a.WAV", pcm)
    outcome = ingest_file(context, path)
    assert (outcome.status, outcome.code, outcome.name) == ("ingested", "", "a.WAV")
    assert outcome.audio_id == audio_id(pcm.tobytes())
    (recording,) = everything(context, Recording)
    assert (recording.samples, recording.duration_s, recording.container) == (16000, 1.0, "plain")
    assert recording.path == f"audio/raw/{outcome.audio_id}.wav"
    kept = read_wav(context.blobs.local_path(recording.path))
    np.testing.assert_array_equal(to_int16(kept), pcm)
    sha256 = sha256_hex(path.read_bytes())
    assert recording.original_key == f"audio/original/{sha256[:2]}/{sha256}.wav" == outcome.kept_at
    assert context.blobs.get(recording.original_key) == path.read_bytes()


def test_one_event_for_one_recording(context, tmp_path):
    outcome = ingest_file(context, write_sound(tmp_path / "a.wav", babble(1)))
    data = {"audio_id": outcome.audio_id, "path": f"audio/raw/{outcome.audio_id}.wav"}
    assert told(context) == [("recording.ingested", data)]


def test_a_short_recording_is_one_clip_that_waits(context, tmp_path):
    ingest_file(context, write_sound(tmp_path / "a.wav", babble(1)))
    (clip,) = everything(context, Clip)
    assert (clip.start_sample, clip.end_sample, clip.status, clip.reason) == (0, 16000, "waiting", "")


def test_a_long_recording_is_cut_into_clips_that_keep_their_offsets(context, tmp_path):
    ingest_file(context, write_sound(tmp_path / "a.wav", babble(1, 70)))
    clips = everything(context, Clip)
    assert len(clips) >= 3
    assert all(clip.duration_s <= 30 for clip in clips)
    assert all(a.end_sample <= b.start_sample for a, b in itertools.pairwise(clips))


def test_segments_beside_it_say_where_to_cut(context, tmp_path):
    path = write_sound(tmp_path / "a.wav", babble(1, 3))
    segments = [
        {"start_ms": 500, "end_ms": 1500, "text": "một"},
        {"start_ms": 1500, "end_ms": 1600, "text": ""},
        {"start_ms": 2000, "end_ms": 9000, "text": "hai"},
    ]
    path.with_suffix(".json").write_text(json.dumps({"segments": segments}))
    ingest_file(context, path)
    spans = [(clip.start_sample, clip.end_sample) for clip in everything(context, Clip)]
    assert spans == [(8000, 24000), (32000, 48000)]
    (transcript,) = everything(context, Transcript)
    assert transcript.text == "một hai"


def test_a_segment_after_the_end_is_refused(context, tmp_path):
    path = write_sound(tmp_path / "a.wav", babble(1))
    path.with_suffix(".json").write_text('{"segments": [{"start_ms": 1000, "end_ms": 2000, "text": "a"}]}')
    assert ingest_file(context, path).code == "sidecar.segments"
    assert everything(context, Recording) == []


def test_a_sidecar_becomes_the_transcript_and_the_metadata(context, tmp_path):
    path = write_sound(tmp_path / "a.wav", babble(1))
    body = {"text": "xin chào", "dialect": "nam", "device": "phone", "licence": "CC0", "age": 31}
    path.with_suffix(".json").write_text(json.dumps(body))
    ingest_file(context, path)
    (transcript,) = everything(context, Transcript)
    assert (transcript.text, transcript.provenance, transcript.revision) == ("xin chào", "sidecar", 1)
    (recording,) = everything(context, Recording)
    assert (recording.device, recording.licence) == ("phone", "CC0")
    assert recording.attributes["dialect"] == "nam"
    assert recording.attributes["age"] == 31


@pytest.mark.parametrize(
    ("hints", "beside", "speaker", "weak"),
    [
        (Hints(speaker="flag", folder_speaker="folder"), '{"speaker": "beside"}', "flag", False),
        (Hints(folder_speaker="folder", session="s"), '{"speaker": "beside"}', "beside", False),
        (Hints(folder_speaker="folder", session="s"), "{}", "folder", False),
        (Hints(session="s"), "{}", "session:s", True),
        (Hints(), "{}", f"recording:{audio_id(babble(1).tobytes())}", True),
    ],
)
def test_who_speaks(context, tmp_path, hints, beside, speaker, weak):
    path = write_sound(tmp_path / "a.wav", babble(1))
    path.with_suffix(".json").write_text(beside)
    ingest_file(context, path, hints)
    (known,) = everything(context, Speaker)
    assert (known.speaker_id, known.weak) == (speaker, weak)
    (recording,) = everything(context, Recording)
    (clip,) = everything(context, Clip)
    assert recording.speaker_id == clip.speaker_id == speaker
    assert recording.split == clip.split == known.split


def test_the_same_file_again_changes_nothing(context, tmp_path):
    path = write_sound(tmp_path / "a.wav", babble(1))
    first = ingest_file(context, path)
    again = ingest_file(context, path)
    assert (again.status, again.code, again.audio_id) == ("duplicate", "duplicate.again", first.audio_id)
    assert [outcome.status for outcome in everything(context, IntakeOutcome)] == ["ingested"]
    assert len(told(context)) == 1


def test_the_same_audio_in_another_container_is_the_same_recording(context, tmp_path):
    first = ingest_file(context, write_sound(tmp_path / "a.wav", babble(1)))
    other = ingest_file(context, write_sound(tmp_path / "b.flac", babble(1), container="other"))
    assert (other.status, other.code) == ("duplicate", "duplicate.same_audio")
    assert "a.wav" in other.message
    assert other.audio_id == first.audio_id
    assert len(everything(context, Recording)) == 1
    assert len(list(context.blobs.list("audio/original/"))) == 1


def test_a_duplicate_with_a_text_gives_it_to_a_recording_without(context, tmp_path):
    ingest_file(context, write_sound(tmp_path / "a.wav", babble(1)))
    for text in ("xin chào", "tạm biệt"):
        path = write_sound(tmp_path / f"{len(text)}.flac", babble(1), container=text)
        ingest_file(context, path, Hints(sidecar=Sidecar(text=text)))
    (transcript,) = everything(context, Transcript)
    assert (transcript.text, transcript.provenance) == ("xin chào", Provenance.SIDECAR)
    assert [kind for kind, _ in told(context)] == ["recording.ingested", "transcription.completed"]


def test_a_text_that_comes_later_with_the_same_file_is_taken(context, tmp_path):
    path = write_sound(tmp_path / "a.wav", babble(1))
    ingest_file(context, path)
    path.with_suffix(".txt").write_text("xin chào")
    assert ingest_file(context, path).code == "duplicate.again"
    (transcript,) = everything(context, Transcript)
    assert transcript.text == "xin chào"


def test_a_duplicate_of_another_speaker_is_said_and_moves_nobody(context, tmp_path):
    ingest_file(context, write_sound(tmp_path / "a.wav", babble(1)), Hints(speaker="An"))
    path = write_sound(tmp_path / "b.wav", babble(1), container="b")
    outcome = ingest_file(context, path, Hints(speaker="Bình", sidecar=Sidecar(text="xin chào")))
    assert (outcome.status, outcome.code) == ("duplicate", "duplicate.other_speaker")
    assert "An" in outcome.message
    assert "Bình" in outcome.message
    assert [speaker.speaker_id for speaker in everything(context, Speaker)] == ["An"]
    assert everything(context, Transcript) == []


def test_a_refused_file_that_is_mended_is_taken_in(context, tmp_path):
    path = write_sound(tmp_path / "a.wav", babble(1))
    path.with_suffix(".json").write_text("{")
    assert ingest_file(context, path).code == "sidecar.not_json"
    path.with_suffix(".json").write_text("{}")
    assert ingest_file(context, path).status == "ingested"
    assert [outcome.status for outcome in everything(context, IntakeOutcome)] == ["ingested"]


def test_a_file_that_was_taken_in_stays_so_whatever_lies_beside_it_now(context, tmp_path):
    path = write_sound(tmp_path / "a.wav", babble(1))
    ingest_file(context, path)
    path.with_suffix(".json").write_text("{")
    assert ingest_file(context, path).status == "refused"
    assert [outcome.status for outcome in everything(context, IntakeOutcome)] == ["ingested"]


def test_a_file_that_changes_while_it_is_read_is_for_later(context, tmp_path):
    path = write_sound(tmp_path / "a.wav", babble(1))

    class Slow:
        def decode(self, path, rate_hz=16000):
            decoded = context.decoder.decode(path)
            path.write_bytes(path.read_bytes() + b"more")
            return decoded

    with pytest.raises(UnavailableError) as caught:
        ingest_file(replace(context, decoder=Slow()), path)
    assert caught.value.code == "audio.changed"
    assert everything(context, IntakeOutcome) == []
