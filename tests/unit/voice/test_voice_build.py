"""The whole way before a training: what is made, what is repeated, what is refused and why."""

from __future__ import annotations

import csv
import json
import shutil
import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import soxr

from phonoloop.audio.decode import Decoder
from phonoloop.core.errors import CancelledError, ConflictError, InputError, NotFoundError, UnavailableError
from phonoloop.testing.music import music
from phonoloop.testing.sounds import silence, speech_like, write_media
from phonoloop.testing.voice_material import Parrot, request, run, talk, tree, write_material
from phonoloop.voice import build as build_module
from phonoloop.voice import stages, store
from phonoloop.voice.build import Tools, Until
from phonoloop.voice.config import VoiceRecipe
from phonoloop.voice.data import RATE_HZ, Consent
from phonoloop.voice.ingest import LIMITS, Given
from phonoloop.voice.metadata import read_rows, read_texts
from phonoloop.voice.review import Reviewer, correct, reject
from phonoloop.voice.separate import NoSeparator
from phonoloop.voice.transcribe import Ears


def telephone():
    return soxr.resample(talk(3, 1), 16_000, 8_000)


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    return write_material(tmp_path_factory.mktemp("voice") / "talk")


@pytest.fixture(scope="module")
def made(material, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "out"
    told = []
    result = run(request(material, out), on_progress=told.append)
    return out, result.report, told


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made[0], tmp_path / "out")


def names(folder):
    return {path.name for path in folder.iterdir()}


def read(path):
    return json.loads(path.read_text("utf-8"))


@pytest.fixture
def stages_run(monkeypatch):
    """Which stages had to make something."""
    ran = []
    real = stages.Store.result

    def result(self, stage, inputs, make):
        def told(folder):
            make(folder)
            ran.append(stage)

        return real(self, stage, inputs, told)

    monkeypatch.setattr(stages.Store, "result", result)
    return ran


def test_clips_texts_rows_and_the_manifest_name_the_same_clips(made):
    out, report, _ = made
    rows = read_rows(out / "metadata.csv")
    manifest = read(out / "manifest.json")
    clips = {row.clip for row in rows}
    assert names(out / "clips") == {f"{clip}.wav" for clip in clips}
    assert names(out / "transcripts") == {f"{clip}.json" for clip in clips}
    assert {one["clip_id"] for one in manifest["clips"]} == clips
    assert names(out / "dataset" / "wavs") == names(out / "clips")
    assert report["clips"] == len(clips) >= 8
    assert report["manifest_id"] == manifest["manifest_id"]


def test_every_clip_knows_where_it_was_in_its_recording(made):
    out, _, _ = made
    manifest, cut = read(out / "manifest.json"), read(out / "segments.json")
    lengths = {one["source_id"]: one["samples"] for one in cut}
    for clip in manifest["clips"]:
        for start, end in clip["spans"]:
            assert 0 <= start < end <= lengths[clip["source_id"]]


def test_what_cannot_be_used_is_counted_with_a_reason_and_stays(made, material):
    _, report, _ = made
    refused = report["refused_recordings"]
    assert {name: one["code"] for name, one in refused.items()} == {
        "d.wav": "voice.copy",
        "e.wav": "audio.not_audio",
        "f.wav": "audio.silent",
    }
    assert all(one["hint"] for one in refused.values())
    assert names(material) >= set(refused)


def test_stages_are_told_in_order_and_progress_never_goes_back(made):
    _, _, told = made
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions)
    seen = list(dict.fromkeys(progress.stage for progress in told))
    assert seen == ["ingest", "separate", "mark", "segment", "process", "transcribe", "dataset"]


def test_the_same_again_makes_nothing(material, copy, stages_run):
    before = tree(copy)
    run(request(material, copy))
    assert stages_run == []
    assert tree(copy) == before


def test_other_settings_repeat_only_what_they_change(material, copy, stages_run):
    run(request(material, copy, recipe={"process": {"pad_s": 0.1}}))
    assert stages_run == ["process"] * 3 + ["dataset"]
    stages_run.clear()
    run(request(material, copy, recipe={"segment": {"max_s": 8.0}, "gates": {"max_s": 9.0}}))
    assert set(stages_run) == {"segment", "process", "dataset"}
    stages_run.clear()
    run(request(material, copy, recipe={"segment": {"max_s": 8.0}, "gates": {"max_s": 9.0}}))
    assert stages_run == []


def test_a_replaced_recording_of_the_same_name_is_another_source(material, copy, tmp_path, stages_run):
    other = shutil.copytree(material, tmp_path / "talk")
    write_media(other / "c.wav", talk(3, 77))
    (other / "d.wav").unlink()
    before = {one["name"]: one["source_id"] for one in read(copy / "manifest.json")["sources"]}
    run(request(other, copy))
    after = {one["name"]: one["source_id"] for one in read(copy / "manifest.json")["sources"]}
    assert after["c.wav"] != before["c.wav"]
    assert (after["a.wav"], after["b.mp3"]) == (before["a.wav"], before["b.mp3"])
    assert stages_run == ["ingest", "mark", "segment", "process", "dataset"]
    heard = {text.source_id for text in read_texts(copy)}
    assert heard == set(after.values())


def test_a_changed_sidecar_is_seen(material, copy, tmp_path):
    other = shutil.copytree(material, tmp_path / "talk")
    (other / "a.json").write_text('{"speaker": "Mai"}', encoding="utf-8")
    report = run(request(other, copy)).report
    assert "Mai" in report["speakers"]
    assert "Lan" not in report["speakers"]


def test_a_correction_reaches_the_dataset_without_other_clips_being_heard_again(material, copy, stages_run):
    first, second, *_ = read_texts(copy)
    heard = copy / "cache" / "transcribe" / "heard"
    before = {path: path.stat().st_mtime_ns for path in heard.iterdir()}
    correct(copy, first.clip_id, "xin chào các bạn", Reviewer("An", "2026-11-21T00:00:00+00:00"))
    reject(copy, [second.clip_id], Reviewer("An", "2026-11-21T00:00:00+00:00"))
    report = run(request(material, copy)).report
    manifest = {one["clip_id"]: one for one in read(copy / "manifest.json")["clips"]}
    assert (manifest[first.clip_id]["text"], manifest[first.clip_id]["origin"]) == (
        "xin chào các bạn",
        "human",
    )
    assert second.clip_id not in manifest
    assert report["left_out"] == {"rejected": 1}
    assert {path: path.stat().st_mtime_ns for path in heard.iterdir()} == before
    assert stages_run == ["dataset"]


def test_splits_stay_when_recordings_come(material, copy, tmp_path):
    more = shutil.copytree(material, tmp_path / "talk")
    write_media(more / "g.wav", talk(3, 5))
    before = {one["clip_id"]: one["split"] for one in read(copy / "manifest.json")["clips"]}
    run(request(more, copy))
    after = {one["clip_id"]: one["split"] for one in read(copy / "manifest.json")["clips"]}
    assert after.keys() > before.keys()
    assert {clip: after[clip] for clip in before} == before


class Waiting:
    """Opens recordings; the last one only when something of an earlier one was heard."""

    def __init__(self, decoder, last, heard):
        self._decoder, self._last, self._heard = decoder, last, heard
        self.early = None

    def decode_in_blocks(self, path, *args):
        if path.name == self._last:
            self.early = self._heard.wait(5.0)
        return self._decoder.decode_in_blocks(path, *args)


class Listening(Parrot):
    """A recogniser that tells that it was asked."""

    def __init__(self):
        self.heard = threading.Event()

    def transcribe(self, samples):
        self.heard.set()
        return super().transcribe(samples)


def run_with(ear, decoder, wanted):
    return build_module.build(
        wanted, Tools(decoder=decoder, separator=NoSeparator(), ears=Ears(first=(ear,)))
    )


def test_a_recording_is_heard_while_the_next_one_is_still_to_be_cut(material, made, tmp_path):
    ear = Listening()
    with Decoder(LIMITS) as decoder:
        waiting = Waiting(decoder, "c.wav", ear.heard)
        run_with(ear, waiting, request(material, tmp_path / "out"))
    assert waiting.early
    assert tree(tmp_path / "out") == tree(made[0])


def test_a_clip_that_only_the_other_recordings_speak_against_has_no_line_and_is_not_heard_again(
    material, tmp_path, monkeypatch
):
    real = build_module.judge_clips

    def judge(clips, settings):
        judged = real(clips, settings)
        several = len({one.source_id for one in clips}) > 1
        return [replace(judged[0], refused=("other_speaker",)), *judged[1:]] if several else judged

    monkeypatch.setattr(build_module, "judge_clips", judge)
    out = tmp_path / "out"
    report = run(request(material, out)).report
    assert report["refused_clips"] == {"other_speaker": 1}
    heard = out / "cache" / "transcribe" / "heard"
    assert len(list(heard.iterdir())) == report["clips"] + 1
    assert len(read_rows(out / "metadata.csv")) == report["clips"]
    before = {path: path.stat().st_mtime_ns for path in heard.iterdir()}
    run(request(material, out))
    assert {path: path.stat().st_mtime_ns for path in heard.iterdir()} == before


def test_a_recogniser_that_is_gone_stops_the_build_at_the_first_recording(material, tmp_path):
    class Gone(Parrot):
        def transcribe(self, samples):
            raise UnavailableError("no server", code="x.gone")

    with Decoder(LIMITS) as decoder:
        waiting = Waiting(decoder, "c.wav", threading.Event())
        with pytest.raises(UnavailableError):
            run_with(Gone(), waiting, request(material, tmp_path / "out"))
    assert waiting.early is None


def test_texts_are_shut_before_the_dataset_is_there_and_open_while_it_trains(material, copy, monkeypatch):
    monkeypatch.setattr(store, "_PATIENCE_S", 0.0)
    first, *_ = read_texts(copy)
    reviewer = Reviewer("An", "2026-11-21T00:00:00+00:00")
    seen = {}

    def say(stage):
        try:
            seen[stage] = correct(copy, first.clip_id, f"khi {stage}", reviewer).text
        except ConflictError as error:
            seen[stage] = error.code

    def train(way, made, manifest_id):
        say("train")
        return made

    monkeypatch.setattr(build_module._Way, "_train", train)
    run(request(material, copy, until=Until.TRAIN), on_progress=lambda progress: say(progress.stage))
    assert seen.pop("train") == "khi train"
    assert set(seen) >= {"ingest", "transcribe", "dataset"}
    assert set(seen.values()) == {"voice.busy"}


def test_until_segment_nobody_hears(material, tmp_path):
    ear = Listening()
    with Decoder(LIMITS) as decoder:
        run_with(ear, decoder, request(material, tmp_path / "out", until=Until.SEGMENT))
    assert not ear.heard.is_set()


def test_until_segment_leaves_no_texts_of_other_clips_behind(material, copy):
    report = run(request(material, copy, until=Until.SEGMENT, recipe={"segment": {"max_s": 4.0}})).report
    assert report["until"] == "segment"
    assert not (copy / "metadata.csv").exists()
    assert not (copy / "dataset").exists()
    assert (copy / "segments.json").is_file()


def test_consent_and_licence_travel_and_what_is_missing_is_said(material, tmp_path):
    consent = Consent("Lan", "a voice for her reader", "2026-11-20")
    given = Given(speaker="Lan", licence="CC0-1.0", consent=consent)
    report = run(request(material, tmp_path / "with", until=Until.SEGMENT, given=given)).report
    assert all(one["consent"] == consent.to_dict() for one in report["sources"])
    assert not any("consent" in warning for warning in report["warnings"])
    without = run(request(material, tmp_path / "without", until=Until.SEGMENT)).report
    assert "no consent is recorded for 3 of 3 recordings" in without["warnings"]
    assert "no licence is stated for 2 of 3 recordings" in without["warnings"]


def test_nothing_usable_says_how_often_and_why(tmp_path):
    (tmp_path / "in").mkdir()
    write_media(tmp_path / "in" / "a.wav", silence(2.0))
    (tmp_path / "in" / "b.mp3").write_text("not a sound")
    with pytest.raises(InputError) as caught:
        run(request(tmp_path / "in", tmp_path / "out"))
    assert caught.value.code == "voice.nothing_usable"
    assert "1 of them: nothing is heard in it" in caught.value.message
    assert "audio.silent" in caught.value.message
    assert "audio.not_audio" in caught.value.message
    assert str(tmp_path / "out" / "log.txt") in caught.value.hint
    assert "audio.silent" in (tmp_path / "out" / "log.txt").read_text("utf-8")


def test_of_a_single_recording_that_cannot_be_used_its_own_reason_and_advice_are_told(tmp_path):
    path = write_media(tmp_path / "a.wav", silence(2.0))
    with pytest.raises(InputError) as caught:
        run(request(path, tmp_path / "out"))
    assert caught.value.subject == "a.wav"
    assert caught.value.message.startswith("it cannot be used: nothing is heard in it")
    assert "microphone" in caught.value.hint


def test_without_texts_and_without_a_recogniser_it_says_what_to_do(material, tmp_path):
    with pytest.raises(InputError) as caught:
        run(request(material, tmp_path / "out"), deaf=True)
    assert caught.value.code == "voice.no_texts"
    assert "ASR_TEACHER" in caught.value.hint
    assert "no recogniser" in caught.value.message


def test_a_text_without_times_and_without_a_recogniser_is_not_asked_for_again(material, tmp_path):
    other = shutil.copytree(material, tmp_path / "talk")
    (other / "c.txt").write_text("câu một câu hai", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        run(request(other, tmp_path / "out"), deaf=True)
    assert caught.value.code == "voice.no_texts"
    assert "times" in caught.value.hint


def test_a_recording_of_which_nothing_is_used_is_named_with_its_reasons(tmp_path):
    (tmp_path / "in").mkdir()
    humming = speech_like(14.0, seed=9, pause_s=0.01, phrase_s=60.0).samples
    write_media(tmp_path / "in" / "a.wav", humming)
    write_media(tmp_path / "in" / "b.wav", talk(4, 6))
    report = run(request(tmp_path / "in", tmp_path / "out", until=Until.SEGMENT)).report
    assert report["unused_recordings"].keys() == {"a.wav"}
    assert report["unused_recordings"]["a.wav"]["forced_cut"] >= 2


def test_many_clips_of_somebody_else_are_warned_of(material, tmp_path, monkeypatch):
    def judge(clips, settings):
        return [*clips[2:], *(replace(clip, refused=("other_speaker",)) for clip in clips[:2])]

    monkeypatch.setattr(build_module, "judge_clips", judge)
    report = run(request(material, tmp_path / "out", until=Until.SEGMENT)).report
    assert any("somebody else speaks in 2 of 10 clips" in warning for warning in report["warnings"])


def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises(NotFoundError):
        run(request(tmp_path / "none", tmp_path / "out"))


def test_forty_seconds_without_a_pause_are_cut_and_kept_out(tmp_path):
    (tmp_path / "in").mkdir()
    humming = speech_like(40.0, seed=9, pause_s=0.01, phrase_s=60.0).samples
    write_media(tmp_path / "in" / "a.wav", humming)
    write_media(tmp_path / "in" / "b.wav", talk(4, 6))
    report = run(request(tmp_path / "in", tmp_path / "out", until=Until.SEGMENT)).report
    cut = {one["name"]: one["segments"] for one in read(tmp_path / "out" / "segments.json")}
    assert report["forced_cuts"] >= 6
    assert report["refused_clips"]["forced_cut"] >= 6
    assert all(one["end"] - one["start"] <= 6 * RATE_HZ for one in cut["a.wav"])
    assert report["clips"] >= 3


def test_texts_that_readers_stumble_over_are_read_alike(tmp_path):
    (tmp_path / "in").mkdir()
    samples = talk(1, 4)
    write_media(tmp_path / "in" / "a.wav", samples)
    write_media(tmp_path / "in" / "b.wav", talk(4, 5))
    said = 'he said "no | one\nline'
    segments = [{"start_ms": 0, "end_ms": samples.size * 1000 // 16_000, "text": said}]
    (tmp_path / "in" / "a.json").write_text(json.dumps({"segments": segments}), encoding="utf-8")
    out = tmp_path / "out"
    report = run(request(tmp_path / "in", out)).report
    assert report["changed_texts"] == {"newline": 1, "pipe": 1, "quote": 1}
    content = (out / "dataset" / "piper.csv").read_text("utf-8")
    plain = [line.split("|") for line in content.splitlines()]
    assert list(csv.reader(content.splitlines(), delimiter="|")) == plain
    assert all(len(row) == 2 for row in plain)
    assert "he said “no, one line" in [text for _, text in plain]


def test_it_stops_where_it_is_asked_to_and_goes_on(material, made, tmp_path):
    looks = iter([False] * 4 + [True] * 100)
    out = tmp_path / "out"
    with pytest.raises(CancelledError) as caught:
        run(request(material, out), should_stop=lambda: next(looks))
    assert caught.value.code == "voice.cancelled"
    run(request(material, out))
    assert tree(out) == tree(made[0])


def test_clips_are_sixteen_bit_mono_at_the_rate_of_voices(made):
    import soundfile

    for path in (made[0] / "clips").iterdir():
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (RATE_HZ, 1, "PCM_16")
        assert np.abs(soundfile.read(path)[0]).max() < 1.0


@pytest.mark.parametrize(
    ("sound", "rate_hz", "why", "advice"),
    [
        (partial(music, "band", 20.0), 16_000, "music", "without music"),
        (telephone, 8_000, "narrow_band", "22,050 Hz"),
    ],
    ids=["music", "telephone"],
)
def test_what_makes_no_voice_is_kept_out_and_explained(tmp_path, sound, rate_hz, why, advice):
    (tmp_path / "in").mkdir()
    write_media(tmp_path / "in" / "a.wav", sound(), rate_hz)
    wanted = request(tmp_path / "in", tmp_path / "out", until=Until.SEGMENT)
    with pytest.raises(InputError) as caught:
        run(replace(wanted, recipe=VoiceRecipe()))
    assert caught.value.code in ("voice.no_clips", "voice.nothing_usable")
    assert f"[{why}]" in caught.value.message
    assert advice in caught.value.hint
