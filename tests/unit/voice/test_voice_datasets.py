"""A dataset is what Piper and readers of LJSpeech read, whatever is in the texts; splits stay as they are."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.audio.wav import wav_bytes
from phonoloop.core.errors import (
    AudioError,
    ConfigError,
    InputError,
    IntegrityError,
    ManifestError,
    NotFoundError,
)
from phonoloop.core.speech import Span
from phonoloop.voice.data import RATE_HZ, VoiceClip
from phonoloop.voice.datasets import (
    DATASET,
    LJSPEECH,
    PIPER,
    UNNAMED,
    DatasetSettings,
    Utterance,
    passage_of,
    read_as_piper,
    read_dataset,
    split_passages,
    splits_of,
    write_dataset,
)

SETTINGS = DatasetSettings(min_clips=2, val_pct=20)


@pytest.fixture
def clips(tmp_path):
    """(texts, speakers) → utterances of a second each."""

    def made(texts, speakers=(), *, samples=RATE_HZ, rate_hz=RATE_HZ):
        found = []
        for at, text in enumerate(texts):
            path = tmp_path / f"clip{at:02d}.wav"
            path.write_bytes(wav_bytes(np.full(samples, at, np.int16), rate_hz))
            speaker = speakers[at] if speakers else ""
            found.append(
                Utterance(clip_id=path.stem, audio=path, text=text, passage=f"p{at // 2}", speaker=speaker)
            )
        return found

    return made


def write(utterances, folder, **options):
    settings = options.pop("settings", SETTINGS)
    return write_dataset(utterances, folder, settings, name="thu", language="vi", **options)


def test_one_speaker_is_read_by_both(clips, tmp_path):
    dataset = write(clips(["xin chào", "một hai"]), tmp_path / "set")
    assert (dataset.folder / PIPER).read_text("utf-8") == "clip00|xin chào\nclip01|một hai\n"
    assert (dataset.folder / LJSPEECH).read_text("utf-8").splitlines()[0] == "clip00|xin chào|xin chào"
    assert dataset.duration_s == 2.0
    assert read_dataset(dataset.folder) == dataset


def test_several_speakers_have_a_column(clips, tmp_path):
    dataset = write(clips(["a b c", "d e f", "g h i"], ["Lan", "", "Minh"]), tmp_path / "set")
    assert dataset.speakers == ("Lan", UNNAMED, "Minh")
    assert read_as_piper((dataset.folder / PIPER).read_text("utf-8"))[1] == ["clip01", UNNAMED, "d e f"]


def test_one_named_speaker_is_one_speaker(clips, tmp_path):
    assert write(clips(["a b", "c d"], ["Lan", "Lan"]), tmp_path / "set").speakers == ("",)


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text(max_size=12).map(lambda text: f"a {text}"), min_size=2, max_size=4))
def test_piper_reads_as_many_rows_as_there_are_clips(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("any")
    audio = folder / "one.wav"
    audio.write_bytes(wav_bytes(np.zeros(RATE_HZ, np.int16), RATE_HZ))
    used = [Utterance(clip_id=f"c{at}", audio=audio, text=text, passage="p") for at, text in enumerate(texts)]
    dataset = write(used, folder / "set")
    rows = read_as_piper((dataset.folder / PIPER).read_text("utf-8"))
    assert [(row[0], row[-1]) for row in rows] == [(clip.clip_id, clip.text) for clip in dataset.clips]


def test_open_quotes_and_bars_swallow_nothing(clips, tmp_path):
    dataset = write(clips(['"nói rồi đi', "một|hai", 'ba"'], ["Lan", "x|y", '"z']), tmp_path / "set")
    rows = read_as_piper((dataset.folder / PIPER).read_text("utf-8"))
    assert [len(row) for row in rows] == [3, 3, 3]
    assert [row[-1] for row in rows] == ["“nói rồi đi", "một, hai", "ba”"]


def test_what_piper_would_read_otherwise_is_refused(clips, tmp_path):
    dataset = write(clips(["xin chào", "một hai"]), tmp_path / "set")
    (dataset.folder / PIPER).write_text('clip00|"xin chào\nclip01|một hai\n', "utf-8")
    with pytest.raises(ManifestError) as caught:
        read_dataset(dataset.folder)
    assert caught.value.code == "voice.dataset"


def test_what_cannot_be_trained_on_is_left_out_and_said(clips, tmp_path):
    texts = ["xin chào", "…", "quá nhiều chữ " * 10, "một hai"]
    dataset = write(clips(texts), tmp_path / "set")
    assert dataset.left_out == {"clip01": "no_text", "clip02": "text_too_long"}
    assert [clip.clip_id for clip in dataset.clips] == ["clip00", "clip03"]


def test_clips_shorter_than_what_the_discriminators_hear_are_left_out(clips, tmp_path):
    with pytest.raises(InputError) as caught:
        write(clips(["a", "b"], samples=8_000), tmp_path / "set")
    assert caught.value.code == "voice.too_few"
    assert "2 too_short" in caught.value.hint


@pytest.mark.parametrize("rate_hz", [8_000, 44_100])
def test_rates_that_no_voice_has_are_refused(clips, tmp_path, rate_hz):
    with pytest.raises(AudioError) as caught:
        write(clips(["a", "b"], rate_hz=rate_hz), tmp_path / "set")
    assert caught.value.code == "voice.rate"


def test_the_id_follows_sounds_texts_and_speakers(clips, tmp_path):
    first = write(clips(["a b", "c d"]), tmp_path / "one")
    again = write(clips(["a b", "c d"]), tmp_path / "two")
    other = write(clips(["a b", "c e"]), tmp_path / "three")
    changed = write(clips(["a b", "c d"], samples=RATE_HZ + 1), tmp_path / "four")
    assert first.dataset_id == again.dataset_id
    assert len({first.dataset_id, other.dataset_id, changed.dataset_id}) == 3


def test_a_clip_that_was_exchanged_is_noticed(clips, tmp_path):
    dataset = write(clips(["a b", "c d"]), tmp_path / "set")
    path = dataset.audio_of(dataset.clips[0])
    path.unlink()
    path.write_bytes(wav_bytes(np.zeros(9, np.int16), RATE_HZ))
    with pytest.raises(AudioError) as caught:
        read_dataset(dataset.folder)
    assert caught.value.code == "voice.dataset"


def test_damaged_and_missing_descriptions_are_said(tmp_path):
    with pytest.raises(NotFoundError) as missing:
        read_dataset(tmp_path)
    (tmp_path / DATASET).write_text(json.dumps({"clips": [{}]}))
    with pytest.raises(IntegrityError) as damaged:
        read_dataset(tmp_path)
    assert (missing.value.code, damaged.value.code) == ("voice.no_dataset", "voice.dataset_file")


# ---------------------------------------------------------------- splits

PASSAGES = [f"source-{at:05d}" for at in range(400)]


def test_a_passage_is_in_the_split_that_its_name_gives():
    few, many = split_passages(PASSAGES[:40], val_pct=10), split_passages(PASSAGES, val_pct=10)
    assert {name: many[name] for name in few} == few
    assert 20 <= sum(split == "val" for split in many.values()) <= 60


def test_what_was_decided_stays():
    earlier = {PASSAGES[0]: "val", PASSAGES[1]: "train", "gone": "val"}
    found = split_passages(PASSAGES[:3], val_pct=50, earlier=earlier)
    assert (found[PASSAGES[0]], found[PASSAGES[1]]) == ("val", "train")
    assert "gone" not in found


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("val_pct", [1, 50])
def test_both_splits_have_something_where_that_can_be(count, val_pct):
    assert set(split_passages(PASSAGES[:count], val_pct=val_pct).values()) == {"train", "val"}


def test_nothing_is_validated_on_where_nobody_wants_it():
    assert set(split_passages(PASSAGES, val_pct=0).values()) == {"train"}
    assert split_passages(PASSAGES[:1], val_pct=5) == {PASSAGES[0]: "train"}


def test_the_next_dataset_keeps_the_splits(clips, tmp_path):
    first = write(clips(["a b", "c d", "e f", "g h"]), tmp_path / "one")
    kept = {passage: ("val" if split == "train" else "train") for passage, split in splits_of(first).items()}
    again = write(clips(["a b", "c d", "e f", "g h"]), tmp_path / "two", earlier=kept)
    assert splits_of(again) == kept


def test_clips_of_a_minute_are_one_passage():
    def clip(start_s):
        span = Span(round(start_s * RATE_HZ), round((start_s + 5) * RATE_HZ))
        return VoiceClip(clip_id="c", source_id="s", spans=(span,), samples=span.samples)

    assert passage_of(clip(1), SETTINGS) == passage_of(clip(59), SETTINGS) != passage_of(clip(60), SETTINGS)


@pytest.mark.parametrize("wrong", [{"val_pct": 51}, {"passage_s": 0}, {"min_clips": 1}])
def test_settings_are_checked(wrong):
    with pytest.raises(ConfigError):
        DatasetSettings(**wrong)
