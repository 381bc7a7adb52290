"""A tiny network of the shape of Piper's: what comes out is what went in, so it can be read off."""

import json

import numpy as np
import pytest

from phonoloop.adapters.piper import PiperSynthesizer, read_voice
from phonoloop.core.errors import InputError, IntegrityError, NotFoundError

onnx = pytest.importorskip("onnx", reason="the train extra is not installed")
RATE_HZ = 22_050
SAMPLES_A_PHONEME = 1000
SYMBOLS = "_^$ ,.!?abcdefghijklmnopqrstuvwxyzɑɔəɛɪʊʌæɹːˈˌ2ɜ"


class Letters:
    """Names each letter for itself; `a` is stressed, `2` and `3` are tones."""

    def named_phonemes(self, texts, language):
        return [[[self._pair(ch) for ch in word] for word in text.split()] for text in texts]

    @staticmethod
    def _pair(ch):
        if ch in "áà":
            return ("a", "3" if ch == "á" else "2"), "'a"
        return (ch,), f"'{ch}" if ch == "a" else ch


def write_model(path, *, speakers=1, **changes):
    """Its output: each phoneme id, held for 1,000 × length samples, over 100, plus the speaker's number."""
    helper, kinds = onnx.helper, onnx.TensorProto
    several = [helper.make_tensor_value_info("sid", kinds.INT64, [1])] if speakers > 1 else []
    inputs = [
        helper.make_tensor_value_info("input", kinds.INT64, [1, "phonemes"]),
        helper.make_tensor_value_info("input_lengths", kinds.INT64, [1]),
        helper.make_tensor_value_info("scales", kinds.FLOAT, [3]),
        *several,
    ]
    constants = {
        "hundredth": np.array(0.01, np.float32),
        "samples": np.array([SAMPLES_A_PHONEME], np.float32),
        "one": np.array([1], np.int64),
        "ones": np.array([1, 1], np.int64),
        "flat": np.array([1, 1, 1, -1], np.int64),
        "column": np.array([1, -1, 1], np.int64),
        "first": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["input"], ["ids"], to=kinds.FLOAT),
        helper.make_node("Mul", ["ids", "hundredth"], ["levels"]),
        helper.make_node("Gather", ["scales", "first"], ["length"]),
        helper.make_node("Mul", ["length", "samples"], ["long"]),
        helper.make_node("Cast", ["long"], ["count"], to=kinds.INT64),
        helper.make_node("Concat", ["ones", "count"], ["shape"], axis=0),
        helper.make_node("Reshape", ["levels", "column"], ["columns"]),
        helper.make_node("Expand", ["columns", "shape"], ["held"]),
        helper.make_node("Reshape", ["held", "flat"], ["speech" if several else "output"]),
    ]
    if several:
        nodes.append(helper.make_node("Cast", ["sid"], ["who"], to=kinds.FLOAT))
        nodes.append(helper.make_node("Mul", ["who", "hundredth"], ["shift"]))
        nodes.append(helper.make_node("Add", ["speech", "shift"], ["output"]))
    graph = helper.make_graph(
        nodes,
        "voice",
        inputs,
        [helper.make_tensor_value_info("output", kinds.FLOAT, [1, 1, 1, "time"])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.save(model, path)
    config = {
        "audio": {"sample_rate": RATE_HZ},
        "espeak": {"voice": "en-us"},
        "phoneme_type": "espeak",
        "phoneme_id_map": {symbol: [number] for number, symbol in enumerate(SYMBOLS)},
        "num_speakers": speakers,
        "speaker_id_map": {f"p{number}": number for number in range(speakers)} if speakers > 1 else {},
        "inference": {"noise_scale": 0.5, "length_scale": 1.0, "noise_w": 0.8},
        **changes,
    }
    path.with_name(f"{path.name}.json").write_text(json.dumps(config))
    return path


def ids_heard(samples, phoneme_s=SAMPLES_A_PHONEME / RATE_HZ):
    """The phoneme ids back from the samples, in the middle of each."""
    count = round(len(samples) / 16_000 / phoneme_s)
    return "".join(
        SYMBOLS[round(100 * float(samples[int((at + 0.5) * phoneme_s * 16_000)]))] for at in range(count)
    )


@pytest.fixture
def piper(tmp_path):
    return PiperSynthesizer([write_model(tmp_path / "tiny.onnx")], Letters())


def test_a_voice_is_a_file_and_its_language_is_what_its_json_says(piper):
    assert piper.voices("en") == piper.voices("en-us") == ["tiny"]
    assert piper.voices("en-gb") == piper.voices("vi") == []


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("hi", "^_h_i_$"),
        ("hi lo", "^_h_i_ _l_o_$"),
        ("hat?", "^_h_ˈ_a_t_?_$"),
        ("hi, lo!", "^_h_i_,_ _l_o_!_$"),
        ("cà cá", "^_c_ˈ_a_2_ _c_ˈ_a_ɜ_$"),
    ],
)
def test_phonemes_are_numbered_as_piper_does(piper, text, spoken):
    assert ids_heard(piper.synthesize(text, voice="tiny")) == spoken


def test_speed_and_pitch_are_factors(piper):
    plain, fast, high = (
        piper.synthesize("hello", voice="tiny", **factors) for factors in ({}, {"speed": 2.0}, {"pitch": 1.5})
    )
    assert len(plain) / len(fast) == pytest.approx(2.0, abs=0.05)
    assert len(high) == pytest.approx(len(plain), rel=0.01)  # higher, not shorter


def test_speakers_of_one_model_are_voices_of_their_own(tmp_path):
    piper = PiperSynthesizer([write_model(tmp_path / "many.onnx", speakers=3)], Letters())
    assert piper.voices("en") == ["many#p0", "many#p1", "many#p2"]
    first, third = (piper.synthesize("hello", voice=f"many#p{n}") for n in (0, 2))
    assert np.median(third - first) == pytest.approx(0.02, abs=1e-3)


def test_a_folder_is_all_its_models(tmp_path):
    for name in ("b.onnx", "a.onnx"):
        write_model(tmp_path / name)
    assert PiperSynthesizer([tmp_path], Letters()).voices("en") == ["a", "b"]


def test_voices_of_letters_need_no_phonemes(tmp_path):
    path = write_model(tmp_path / "letters.onnx", phoneme_type="text")
    piper = PiperSynthesizer([path], Letters())
    assert ids_heard(piper.synthesize("Hat", voice="letters")) == "^_h_a_t_$"


def test_what_the_voice_does_not_know_is_left_out(piper):
    assert ids_heard(piper.synthesize("hяi", voice="tiny")) == "^_h_i_$"
    with pytest.raises(InputError) as caught:
        piper.synthesize("яя", voice="tiny")
    assert caught.value.code == "piper.text"


def test_a_voice_or_factor_that_is_not_there_is_refused(piper):
    with pytest.raises(NotFoundError) as caught:
        piper.synthesize("hi", voice="other")
    assert caught.value.code == "piper.voice"
    for name in ("speed", "pitch"):
        with pytest.raises(InputError) as caught:
            piper.synthesize("hi", voice="tiny", **{name: 0.0})
        assert caught.value.code == f"piper.{name}"


def test_a_model_without_json_and_an_empty_folder_are_missing(tmp_path):
    (tmp_path / "alone.onnx").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "alone.onnx", tmp_path / "none.onnx", tmp_path / "empty"):
        with pytest.raises(NotFoundError) as caught:
            PiperSynthesizer([path], Letters())
        assert caught.value.code == "piper.missing"


@pytest.mark.parametrize(
    "changes",
    [
        {"phoneme_type": "pinyin"},
        {"phoneme_id_map": {"a": [1]}},
        {"audio": {}},
        {"espeak": None},
        {"phoneme_id_map": {"_": "x"}},
    ],
)
def test_a_json_that_is_not_pipers_is_refused(tmp_path, changes):
    with pytest.raises(IntegrityError) as caught:
        read_voice(write_model(tmp_path / "odd.onnx", **changes))
    assert caught.value.code == "piper.config"


def test_a_file_that_is_no_model_is_refused(tmp_path):
    path = write_model(tmp_path / "broken.onnx")
    path.write_bytes(b"this is not a network")
    with pytest.raises(IntegrityError) as caught:
        PiperSynthesizer([path], Letters()).synthesize("hi", voice="broken")
    assert caught.value.code == "piper.model"


def test_espeak_gives_the_phonemes_of_real_words(tmp_path):
    pytest.importorskip("espeakng_loader", reason="the espeak extra is not installed")
    from phonoloop.adapters.espeak import EspeakSynthesizer

    with EspeakSynthesizer() as espeak:
        piper = PiperSynthesizer([write_model(tmp_path / "tiny.onnx")], espeak)
        heard = ids_heard(piper.synthesize("dinner", voice="tiny"))
    assert heard.replace("_", "").startswith("^dˈɪn")
