import json

import numpy as np
import pytest
import soundfile

from phonoloop.app.demo.corpus import load_voices, write_batch
from phonoloop.core.errors import InputError
from phonoloop.data.model import Split

SENTENCES = ["bật đèn", "tắt quạt phòng khách", "mở cửa", "hôm nay là thứ mấy"]


class Hum:
    """A synthesiser that hums for as long as the text is, at a pitch of its own for each voice."""

    def voices(self, language):
        return ["hum"]

    def synthesize(self, text, *, voice, speed=1.0, pitch=1.0):
        t = np.arange(int(len(text) * 1600 / speed)) / 16_000
        return (0.3 * np.sin(2 * np.pi * (100 + len(voice)) * pitch * t)).astype(np.float32)


class Choking(Hum):
    """It cannot say one sentence."""

    def __init__(self, sentence, code="espeak.crashed"):
        self.sentence, self.code = sentence, code

    def synthesize(self, text, **wish):
        if text == self.sentence:
            raise InputError("it crashed", code=self.code)
        return super().synthesize(text, **wish)


def write(folder, **changes):
    arguments = {"synthesizer": Hum(), "per_voice": 4, "seed": 7}
    return write_batch(folder, load_voices()[:2], SENTENCES, **(arguments | changes))


def test_many_voices_to_train_on_four_to_watch_and_eight_unheard():
    voices = load_voices()
    count = {split: sum(v.split == split for v in voices) for split in Split}
    assert count == {Split.TRAIN: 55, Split.VAL: 4, Split.TEST: 8}
    assert len({v.name for v in voices}) == len(voices)
    assert {v.dialect for v in voices if v.split == Split.TEST} == {"north", "central", "south"}
    assert sum(v.batch == 1 for v in voices if v.split == Split.TRAIN) == 8


def test_no_unheard_voice_shares_its_variant_with_another():
    variants = [v.voice.partition("+")[2] for v in load_voices()]
    assert len(set(variants)) == len(variants)


def test_every_voice_can_be_spoken():
    espeak = pytest.importorskip("phonoloop.adapters.espeak").EspeakSynthesizer()
    assert {v.voice for v in load_voices()} <= set(espeak.voices("vi"))


def test_each_recording_lies_in_its_speakers_folder_with_its_text(tmp_path):
    batch = write(tmp_path)
    assert len(batch.files) == 8
    for path in batch.files:
        sidecar = json.loads(path.with_suffix(".json").read_text())
        assert path.parent.name == sidecar["speaker"]
        assert sidecar["text"] in SENTENCES
        assert sidecar["language"] == "vi"
        assert sidecar["synthetic"] is True
        assert sidecar["dialect"] in {"north", "central", "south"}
        assert sidecar["environment"] in {"quiet", "noisy"}
        assert sidecar["licence"]
    assert {p.suffix for p in batch.files} == {".wav", ".mp3"}


def test_the_duration_is_that_of_the_audio(tmp_path):
    batch = write(tmp_path)
    assert batch.duration_s == pytest.approx(sum(soundfile.info(f).duration for f in batch.files), abs=0.5)


def test_no_voice_says_a_sentence_twice(tmp_path):
    batch = write(tmp_path, per_voice=4)
    said = [json.loads(p.with_suffix(".json").read_text()) for p in batch.files]
    assert len({(s["speaker"], s["text"]) for s in said}) == 8


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    first, again, other = (write(tmp_path / str(i), seed=seed) for i, seed in enumerate((7, 7, 8)))
    assert [p.read_bytes() for p in first.files] == [p.read_bytes() for p in again.files]
    assert [p.read_bytes() for p in first.files] != [p.read_bytes() for p in other.files]
    assert [p.name for p in first.files] != [p.name for p in other.files]


def test_progress_is_told_for_each_recording(tmp_path):
    told = []
    write(tmp_path, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(n, 8) for n in range(1, 9)]


def test_more_recordings_than_sentences_are_refused(tmp_path):
    with pytest.raises(InputError) as caught:
        write(tmp_path, per_voice=5)
    assert caught.value.code == "demo.sentences"
    assert not list(tmp_path.iterdir())


def said(batch):
    return [json.loads(p.with_suffix(".json").read_text())["text"] for p in batch.files]


class TestASentenceThatCrashesTheSynthesiser:
    @pytest.mark.parametrize("sentence", SENTENCES)
    def test_the_next_one_is_said_instead_and_it_is_counted(self, tmp_path, sentence):
        batch = write(tmp_path, synthesizer=Choking(sentence), per_voice=3)
        assert said(batch) == [t for t in said(write(tmp_path / "all", per_voice=4)) if t != sentence]
        assert len(batch.files) == 6
        first_three = said(write(tmp_path / "three", per_voice=3))
        assert batch.skipped == first_three.count(sentence)

    def test_nothing_is_counted_where_nothing_crashes(self, tmp_path):
        assert write(tmp_path).skipped == 0

    @pytest.mark.parametrize("sentence", SENTENCES)
    def test_with_none_left_it_is_an_error(self, tmp_path, sentence):
        with pytest.raises(InputError) as caught:
            write(tmp_path, synthesizer=Choking(sentence), per_voice=4)
        assert caught.value.code == "espeak.crashed"

    def test_other_errors_are_not_passed_over(self, tmp_path):
        with pytest.raises(InputError) as caught:
            write(tmp_path, synthesizer=Choking(SENTENCES[0], code="espeak.speed"), per_voice=3)
        assert caught.value.code == "espeak.speed"
