"""Folders of clips: what is known about each, what is wrong with it, and that none is there twice."""

import json

import numpy as np
import pytest

from phonoloop.audio.wav import to_float
from phonoloop.core.errors import NotFoundError, ResourceError
from phonoloop.testing.intake import PlainDecoder, babble, write_sound
from phonoloop.wakeword.clip_flags import ClipRules, flags_of
from phonoloop.wakeword.clips import Label, WakeClip, marks_of, read_clips, unheard, without


def write(path, seed=0, duration_s=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_sound(path, babble(seed, duration_s))


def read(*folders, label=Label.POSITIVE):
    return read_clips(list(folders), PlainDecoder(), label=label)


def test_every_audio_file_under_a_folder_becomes_a_clip(tmp_path):
    write(tmp_path / "a" / "1.wav", seed=1)
    write(tmp_path / "a" / "deep" / "2.FLAC", seed=2)
    (tmp_path / "a" / "notes.md").write_text("not audio", encoding="utf-8")
    write(tmp_path / "a" / ".hidden" / "3.wav", seed=3)
    write(tmp_path / "a" / "._1.wav", seed=4)
    found = read(tmp_path / "a")
    assert [clip.source for clip in found.clips] == ["a", "a/deep"]
    assert [clip.path.name for clip in found.clips] == ["1.wav", "2.FLAC"]
    assert found.duration_s == 2.0
    assert not found.refused


def test_a_single_file_may_be_named(tmp_path):
    file = write(tmp_path / "a" / "1.wav")
    assert [clip.path for clip in read(file).clips] == [file]


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(NotFoundError) as refused:
        read(tmp_path / "none")
    assert refused.value.code == "wakeword.no_folder"


def test_what_cannot_be_decoded_is_counted_and_listed_with_a_reason(tmp_path):
    write(tmp_path / "good.wav")
    (tmp_path / "bad.wav").write_bytes(b"nonsense")
    found = read(tmp_path)
    assert [clip.path.name for clip in found.clips] == ["good.wav"]
    assert [(one.name, one.code) for one in found.refused] == [(str(tmp_path / "bad.wav"), "audio.not_audio")]
    assert any("1 files cannot be used (bad.wav)" in told for told in found.warnings())


def test_when_the_machine_is_the_trouble_no_clip_is_blamed(tmp_path):
    class Broken:
        def decode(self, path, rate_hz=16_000):
            raise ResourceError("no memory", code="resource.no_process")

    write(tmp_path / "good.wav")
    with pytest.raises(ResourceError):
        read_clips([tmp_path], Broken(), label=Label.POSITIVE)


def test_the_same_samples_are_one_clip_whatever_the_file_is_called(tmp_path):
    write(tmp_path / "a.wav", seed=5)
    write(tmp_path / "b.wav", seed=5)
    write(tmp_path / "c.wav", seed=6)
    found = read(tmp_path)
    assert [clip.path.name for clip in found.clips] == ["a.wav", "c.wav"]
    assert found.copies == ((str(tmp_path / "b.wav"), str(tmp_path / "a.wav")),)


def test_the_same_audio_is_never_on_both_sides(tmp_path):
    write(tmp_path / "train" / "a.wav", seed=5)
    write(tmp_path / "test" / "other_name.wav", seed=5)
    write(tmp_path / "test" / "new.wav", seed=6)
    left = without(read(tmp_path / "test").clips, read(tmp_path / "train").clips)
    assert [clip.path.name for clip in left] == ["new.wav"]


def test_a_model_knows_again_what_it_heard(tmp_path):
    write(tmp_path / "train" / "a.wav", seed=5)
    write(tmp_path / "test" / "other_name.wav", seed=5)
    write(tmp_path / "test" / "new.wav", seed=6)
    marks = marks_of(read(tmp_path / "train").clips)
    assert [clip.path.name for clip in unheard(read(tmp_path / "test").clips, marks)] == ["new.wav"]


def test_labels_json_says_who_speaks_and_how(tmp_path):
    write(tmp_path / "set" / "clips" / "one.wav", seed=1)
    write(tmp_path / "set" / "clips" / "two.wav", seed=2)
    write(tmp_path / "set" / "clips" / "gone.wav", seed=3)
    labels = {
        "one": {"label": "noise", "speaker": "lan", "snr_db": 12, "distance_m": 2.5, "phrase_end_s": 0.5},
        "clips/two.wav": {"voice": "en+f3"},
        "gone.wav": {"deleted_at": "2026-11-20T10:00:00Z"},
    }
    (tmp_path / "set" / "labels.json").write_text(json.dumps(labels), encoding="utf-8")
    found = read(tmp_path / "set")
    one, two = found.clips
    assert (one.label, one.speaker, one.snr_db, one.distance_m) == (Label.NOISE, "lan", 12.0, 2.5)
    assert one.phrase_end == 8_000
    assert (two.label, two.voice) == (Label.POSITIVE, "en+f3")
    assert found.removed == 1
    assert found.speakers == {"lan", "en+f3"}
    assert found.unknown_speakers == 0


def test_labels_json_may_be_a_list_of_files(tmp_path):
    write(tmp_path / "one.wav")
    text = json.dumps({"clips": [{"file": "one.wav", "speaker": "an"}]})
    (tmp_path / "labels.json").write_text(text, encoding="utf-8")
    assert read(tmp_path).clips[0].speaker == "an"


def test_a_file_beside_the_clip_counts_for_more(tmp_path):
    write(tmp_path / "one.wav")
    (tmp_path / "labels.json").write_text('{"one.wav": {"speaker": "an", "snr_db": 3}}', encoding="utf-8")
    (tmp_path / "one.json").write_text('{"speaker": "bình", "licence": "mine"}', encoding="utf-8")
    (tmp_path / "one.txt").write_text("cà phê\n", encoding="utf-8")
    clip = read(tmp_path).clips[0]
    assert (clip.speaker, clip.snr_db, clip.licence, clip.text) == ("bình", 3.0, "mine", "cà phê")


@pytest.mark.parametrize("wrong", ['{"snr_db": "loud"}', '{"label": "perhaps"}', '{"speaker": 7}', "[1"])
def test_facts_that_cannot_be_used_refuse_their_clip_only(tmp_path, wrong):
    write(tmp_path / "one.wav", seed=1)
    write(tmp_path / "two.wav", seed=2)
    (tmp_path / "one.json").write_text(wrong, encoding="utf-8")
    found = read(tmp_path)
    assert [clip.path.name for clip in found.clips] == ["two.wav"]
    assert found.refused[0].name.endswith("one.wav")


def test_without_names_it_says_that_a_split_by_speaker_could_not_be_held(tmp_path):
    write(tmp_path / "one.wav")
    assert "do not say who speaks" in " ".join(read(tmp_path).warnings())
    assert read(tmp_path, label=Label.NOISE).warnings() == []


@pytest.mark.parametrize(
    ("name", "text", "licence"),
    [
        ("LICENSE", "\n   Apache License\n   Version 2.0, January 2004\n", "Apache-2.0"),
        ("LICENSE.txt", "Attribution-NonCommercial 4.0 International", "CC BY-NC 4.0"),
        ("README.md", "# Noises\n\nLicense: CC BY 3.0, by K. Piczak\n", "CC BY 3.0"),
        ("README.md", "# Voices\n\n## Licence\n\nCC0\n", "CC0-1.0"),
        ("licence", "Ask Lan first.", "Ask Lan first."),
        ("README.md", "Recorded in our kitchen", "unknown"),
    ],
)
def test_a_folder_says_its_licence(tmp_path, name, text, licence):
    write(tmp_path / "set" / "deep" / "one.wav")
    (tmp_path / "set" / name).write_text(text, encoding="utf-8")
    assert read(tmp_path / "set").licences == {"set/deep": licence}


def test_a_folder_above_the_one_that_was_given_says_nothing(tmp_path):
    write(tmp_path / "set" / "one.wav")
    (tmp_path / "LICENSE").write_text("MIT License", encoding="utf-8")
    assert read(tmp_path / "set").licences == {"set": "unknown"}


# what is wrong with a clip


def sound(duration_s, level=0.1):
    rng = np.random.default_rng(1)
    return (rng.standard_normal(round(duration_s * 16_000)) * level * 32_768).clip(-32_768, 32_767)


@pytest.mark.parametrize(
    ("samples", "flags"),
    [
        (sound(1.0), ()),
        (sound(1.0, level=0.0001), ("silent",)),
        (np.concatenate([sound(0.1), sound(1.0, level=0.0001)]), ("too short",)),
        (sound(5.0), ("too long",)),
        (sound(1.0, level=3.0), ("clipped",)),
        (np.concatenate([sound(0.4), np.zeros(16_000)]), ("mostly digital zeros",)),
        (np.zeros(16_000), ("silent", "too short", "mostly digital zeros")),
        (np.zeros(0), ("silent", "too short", "mostly digital zeros")),
    ],
)
def test_what_looks_wrong_is_flagged(samples, flags):
    assert flags_of(samples.astype(np.int16), ClipRules.of(spoken=True)) == flags


def test_negatives_may_be_long_quiet_and_short():
    rules = ClipRules.of(spoken=False)
    assert flags_of(sound(60.0).astype(np.int16), rules) == ()
    assert flags_of(sound(0.1, level=0.0001).astype(np.int16), rules) == ()


def test_flags_name_the_clips(tmp_path):
    write(tmp_path / "fine.wav", seed=1)
    write_sound(tmp_path / "empty_room.wav", np.zeros(16_000, np.int16))
    assert any("empty_room.wav" in told and "silent" in told for told in read(tmp_path).warnings())


def test_a_clip_can_be_made_of_samples():
    pcm = babble(3)
    clip = WakeClip.of(pcm, Label.POSITIVE, speaker="lan")
    assert clip.samples.dtype == np.float32
    assert WakeClip.of(to_float(pcm), Label.NEGATIVE).clip_id == clip.clip_id
