"""A recogniser with knowledge: long recordings, alternatives, confidences; what is tuned is tuned on val."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from phonoloop.asr.beam import BeamConfig, BeamDecoder
from phonoloop.asr.beam_recogniser import BeamRecogniser
from phonoloop.asr.calibration import CALIBRATION, Calibration
from phonoloop.asr.evaluate import evaluate, to_report
from phonoloop.asr.export import export
from phonoloop.asr.hotwords import HotWord
from phonoloop.asr.infer import WINDOW_S, Recogniser
from phonoloop.asr.train import train
from phonoloop.asr.tuning import Example, calibrate_artefact, calibrate_beam, calibrate_greedy, hear, tune
from phonoloop.audio.features import FrontEnd
from phonoloop.core.errors import IntegrityError, UnavailableError
from phonoloop.core.speech import Transcriber
from phonoloop.data.manifest import ManifestRow
from phonoloop.testing.tones import speak, tiny_recipe
from phonoloop.text.ngram import NgramModel
from phonoloop.text.tokens import CharTokenizer
from phonoloop.training.artefacts import METADATA, file_hashes

TOKENS = CharTokenizer(" abn")
FRAME = 640
TEXTS = ["an ban", "ba nan", "an nan", "ba ban"] * 5
LM = NgramModel.train(TEXTS, 3)


class Scripted(Recogniser):
    """Hears what the samples say: each 40 ms hold a token's id, and how sure it is."""

    def log_probs(self, samples):
        frames = len(samples) // FRAME
        coded = samples[: frames * FRAME].reshape(frames, FRAME)
        ids, sure = np.round(coded[:, 0] * 100).astype(int), coded[:, 1]
        vocab = self.tokenizer.vocab_size
        found = np.repeat(((1 - sure) / (vocab - 1))[:, None], vocab, axis=1)
        found[np.arange(frames), ids] = sure
        return np.log(found).astype(np.float32)


def recogniser(calibration=None) -> Scripted:
    metadata = {"frame_ms": 40, "files": {}, "language": "vi"}
    return Scripted("asr-1", FrontEnd(), TOKENS, metadata, Path(), None, calibration=calibration)


def say(text: str, *, sure=0.99) -> np.ndarray:
    """0.12 s a letter, the last frame of it blank."""
    ids = [token for one in TOKENS.encode(text) for token in (one, one, 0)]
    samples = np.zeros((len(ids), FRAME), np.float32)
    samples[:, 0], samples[:, 1] = np.array(ids) / 100, sure
    return samples.reshape(-1)


def beam(model=LM, *, config=None, **more) -> BeamRecogniser:
    config = config or BeamConfig(alpha=0.5, beta=0.5)
    hot = more.pop("hot_words", ())
    return BeamRecogniser(recogniser(), BeamDecoder(TOKENS, config, model=model, hot_words=hot), **more)


def test_it_is_a_transcriber_and_says_how_it_decodes():
    hears: Transcriber = beam(suffix="+lm-x")
    heard = hears.transcribe(say("an ban"))
    assert (heard.text, heard.model_version, heard.language) == ("an ban", "asr-1+lm-x", "vi")
    assert hears.transcribe_many([say("an"), say("ba")]) == [hears.transcribe(say(t)) for t in ("an", "ba")]


def test_words_are_where_they_were_said():
    """Letters end a frame before the next one begins."""
    words = beam().transcribe(np.r_[np.zeros(0, np.float32), say("an ban")]).words
    assert [(word.text, word.start_ms, word.end_ms) for word in words] == [("an", 0, 200), ("ban", 360, 680)]


def test_a_long_recording_is_heard_as_a_whole():
    text = " ".join(["an ban", "ba nan"] * 30)
    samples = say(text)
    assert len(samples) > 2 * WINDOW_S * 16_000
    heard = beam(most=2).transcribe(samples)
    assert heard.text == text
    assert [word.start_ms for word in heard.words] == sorted(word.start_ms for word in heard.words)
    assert heard.alternatives[0].text == text


def test_silence_and_nothing():
    silence = np.tile([0.0, 0.99], 16_000).astype(np.float32)
    for samples in (np.zeros(0, np.float32), silence):
        heard = beam(most=3).transcribe(samples)
        assert (heard.text, heard.words, heard.confidence) == ("", (), 0.0)


def test_streaming_with_a_beam_is_refused_and_not_silently_greedy():
    with pytest.raises(UnavailableError) as caught:
        beam().stream()
    assert caught.value.code == "streaming.greedy_only"


def test_alternatives_are_told_best_first_where_they_are_asked_for():
    heard = beam(most=5).transcribe(say("an ban", sure=0.6))
    assert heard.alternatives[0].text == heard.text
    assert len(heard.alternatives) == 5
    scores = [one.score for one in heard.alternatives]
    assert scores == sorted(scores, reverse=True)
    assert heard.alternatives[0].language == pytest.approx(LM.score(heard.text), abs=1e-4)
    assert beam().transcribe(say("an")).alternatives == ()


def test_another_model_may_rank_them_anew():
    wanted = beam(most=3).transcribe(say("an ban", sure=0.6)).alternatives[2].text
    changed = beam(rescore=lambda text: 100.0 if text == wanted else 0.0)
    assert changed.transcribe(say("an ban", sure=0.6)).text == wanted


def test_hot_words_reach_the_recogniser():
    heard = say("an ban", sure=0.35)
    assert "nnn" not in beam(None, config=BeamConfig(alpha=0, beta=0)).transcribe(heard).text
    hot = beam(None, config=BeamConfig(alpha=0, beta=0), hot_words=[HotWord("nnn", 20.0)])
    assert "nnn" in hot.transcribe(heard).text


def test_words_that_were_clear_are_surer_and_calibration_changes_only_how_sure():
    samples = np.r_[say("an ", sure=0.999), say("ban", sure=0.45)]
    plain = beam().transcribe(samples)
    assert plain.words[0].confidence > plain.words[-1].confidence
    assert not plain.calibrated
    fitted = beam(calibration=Calibration(0.5, -1.0, 500)).transcribe(samples)
    assert fitted.text == plain.text
    assert fitted.calibrated
    assert fitted.words[0].confidence < plain.words[0].confidence
    greedy = recogniser(Calibration(0.5, -1.0, 500)).transcribe(samples)
    assert greedy.calibrated


def examples(count=12, *, seed=0) -> list[Example]:
    """In each, one letter is a little likelier to be another one."""
    rng = np.random.default_rng(seed)
    found = []
    for text in [TEXTS[int(i)] for i in rng.integers(0, 4, count)]:
        log_probs = recogniser().log_probs(say(text, sure=float(rng.uniform(0.5, 0.95))))
        at = int(rng.choice([i for i, letter in enumerate(text) if letter != " "])) * 3
        right = int(log_probs[at].argmax())
        wrong = int(rng.choice([token for token in (3, 4, 5) if token != right]))
        log_probs[at : at + 2, [right, wrong]] = np.log([0.4, 0.5])
        found.append(Example(log_probs, text))
    return found


class TestTuning:
    def test_weights_are_found_that_make_fewer_errors_than_none(self):
        tuned = tune(recogniser(), LM, examples())
        assert tuned.beam.errors < tuned.greedy.errors
        assert tuned.config.alpha > 0
        assert tuned.greedy.reference == tuned.beam.reference == 24

    def test_the_same_examples_give_the_same_weights(self):
        assert tune(recogniser(), LM, examples()) == tune(recogniser(), LM, examples())

    def test_confidences_are_fitted_where_there_are_enough_words(self):
        config = BeamConfig()
        many = examples(80)
        assert calibrate_beam(recogniser(), LM, config, examples(20)) is None
        assert calibrate_beam(recogniser(), LM, config, many).words >= 100
        assert "80 utterances of the validation split" in calibrate_greedy(recogniser(), many).measured_on


@pytest.fixture(scope="module")
def artefact(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    rows = {"train_rows": corpus.train, "val_rows": corpus.val}
    train(tiny_recipe(epochs=1), **rows, audio_roots=[corpus.folder], out_dir=out)
    return export(out, tmp_path_factory.mktemp("models") / "20261120-101500").folder


@pytest.fixture
def copy(artefact, tmp_path):
    return Path(shutil.copytree(artefact, tmp_path / artefact.name))


def rows_of_words(folder: Path, count: int) -> list[ManifestRow]:
    """Utterances of letters; a model that was hardly trained hears something in some of them."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(count):
        text = "".join(rng.choice(list("abcd"), 5))
        samples = speak(text, rng)
        soundfile.write(folder / f"v{i}.wav", samples, 16_000)
        rows.append(ManifestRow(f"v{i}.wav", text, len(samples) / 16_000, f"s{i % 3}"))
    return rows


class TestArtefact:
    def test_one_without_calibration_works_and_says_so(self, copy, tmp_path):
        found = Recogniser.load(copy)
        assert (found.calibration, found.calibrated) == (None, False)
        assert calibrate_artefact(copy, rows_of_words(tmp_path, 5), [tmp_path]) is None
        assert not (copy / CALIBRATION).exists()

    def test_calibration_travels_with_its_hash(self, copy):
        (copy / CALIBRATION).write_text(json.dumps(Calibration(0.8, -0.5, 900, "x").to_dict()))
        metadata = json.loads((copy / METADATA).read_text())
        (copy / METADATA).write_text(json.dumps(metadata | {"files": file_hashes(copy)}))
        assert Recogniser.load(copy).calibration == Calibration(0.8, -0.5, 900, "x")
        (copy / CALIBRATION).write_text(json.dumps(Calibration(0.9, 0.0, 900, "x").to_dict()))
        with pytest.raises(IntegrityError) as caught:
            Recogniser.load(copy)
        assert caught.value.code == "model.damaged"

    def test_long_rows_are_left_out_and_twenty_minutes_are_enough(self, copy, tmp_path):
        rows = rows_of_words(tmp_path, 3)
        long = ManifestRow(rows[0].audio_filepath, "a", WINDOW_S + 1.0, "s")
        assert len(hear(Recogniser.load(copy), [*rows, long], [tmp_path])) == 3

    def test_every_evaluation_tells_how_far_off_confidences_are(self, tmp_path):
        texts = ["an ban", "ba nan", "an nan", "ba ban"]
        rows = []
        for i, text in enumerate(texts * 3):
            soundfile.write(tmp_path / f"{i}.wav", say(text, sure=0.8), 16_000, subtype="FLOAT")
            rows.append(ManifestRow(f"{i}.wav", text, len(say(text)) / 16_000, f"s{i % 3}"))
        report = to_report(evaluate(beam(), rows, [tmp_path]))
        told = report["confidences"]
        assert told["words"] == 24
        assert not told["calibrated"]
        assert 0 <= told["ece"] <= 1
        assert sum(part["words"] for part in told["bins"]) == 24
