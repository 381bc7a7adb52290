"""The teachers load real model formats; the models are tiny and say what the test knows."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from phonoloop.adapters import teacher_files
from phonoloop.adapters.teacher_faster_whisper import FasterWhisperTeacher, _segment
from phonoloop.adapters.teacher_sherpa import SherpaTeacher, Token, find_model, segments_of, words_of
from phonoloop.core.errors import ConfigError, IntegrityError, PhonoloopError, UnavailableError
from phonoloop.core.speech import Word

sys.path.insert(0, str(Path(__file__).parent))
import teacher_models

NOISE = (0.1 * np.random.default_rng(0).standard_normal(32_000)).astype(np.float32)


def needs(*packages: str) -> pytest.MarkDecorator:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)} (extra `teachers`)")


def refused(load, *args, **options) -> PhonoloopError:
    with pytest.raises(PhonoloopError) as error:
        load(*args, **options)
    return error.value


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return teacher_models.whisper(tmp_path_factory.mktemp("whisper") / "tiny-vi")


@needs("faster_whisper")
class TestFasterWhisper:
    def test_it_hears_segments_with_times(self, directory):
        teacher = FasterWhisperTeacher(directory, threads=1)
        heard = teacher.transcribe(NOISE[:16_000])
        assert (heard.text, heard.language) == ("xin chào", "vi")
        (segment,) = heard.segments
        assert (segment.text, segment.start_ms, segment.end_ms) == ("xin chào", 0, 1000)
        assert heard.model_version == teacher.model_version == "faster-whisper:tiny-vi"

    def test_it_is_sure_of_what_the_model_is_sure_of(self, directory):
        heard = FasterWhisperTeacher(directory, threads=1).transcribe(NOISE[:16_000])
        assert 0.95 < heard.confidence <= 1.0
        assert heard.segments[0].confidence == heard.confidence

    def test_where_the_model_thinks_nobody_speaks_it_is_not_sure(self, tmp_path):
        directory = teacher_models.whisper(tmp_path / "silent", no_speech=True)
        heard = FasterWhisperTeacher(directory, threads=1).transcribe(NOISE[:16_000])
        assert heard.confidence < 0.05

    def test_words_are_handed_on_with_their_times(self, directory, monkeypatch):
        """The tiny model pays attention to nothing, so the library cannot time its words."""
        teacher = FasterWhisperTeacher(directory, threads=1, words=True)
        word = SimpleNamespace(word=" xin", start=0.12, end=0.5, probability=0.75)
        segment = SimpleNamespace(
            text=" xin", start=0.12, end=0.5, avg_logprob=-0.5, no_speech_prob=0.5, words=[word]
        )
        asked = {}

        def transcribe(samples, **options):
            asked.update(options)
            return iter([segment]), SimpleNamespace(language="vi")

        monkeypatch.setattr(teacher._model, "transcribe", transcribe)
        heard = teacher.transcribe(NOISE)
        assert asked["word_timestamps"] is True
        assert heard.words == (Word("xin", 120, 500, 0.75),)
        assert heard.confidence == pytest.approx(np.exp(-0.5) * 0.5)

    def test_nothing_to_hear(self, directory):
        heard = FasterWhisperTeacher(directory, threads=1).transcribe(NOISE[:0])
        assert (heard.text, heard.segments, heard.confidence) == ("", (), None)

    @pytest.mark.parametrize("name", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"])
    def test_a_file_that_is_missing_is_named(self, directory, tmp_path, name):
        for file in directory.iterdir():
            if file.name != name:
                (tmp_path / file.name).symlink_to(file)
        error = refused(FasterWhisperTeacher, tmp_path)
        assert isinstance(error, ConfigError)
        assert (error.code, error.message) == ("teacher.incomplete", f"the model directory lacks {name}")

    def test_a_model_that_is_broken_is_said_to_be(self, directory, tmp_path):
        for file in directory.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes()[:1000])
        error = refused(FasterWhisperTeacher, tmp_path)
        assert isinstance(error, IntegrityError)
        assert error.code == "teacher.corrupt"

    def test_a_model_that_knows_only_english_does_not_pass_for_a_vietnamese_one(self, tmp_path):
        directory = teacher_models.whisper(tmp_path / "english", multilingual=False)
        assert refused(FasterWhisperTeacher, directory).code == "teacher.language"
        assert FasterWhisperTeacher(directory, language="en").transcribe(NOISE[:16_000]).text == "xin chào"

    @pytest.mark.parametrize("source", ["./models/none", "/no/such/place", "a/b/c", "~/no-such-model"])
    def test_a_directory_that_is_not_there(self, source):
        assert refused(FasterWhisperTeacher, source).code == "teacher.no_directory"

    def test_a_name_the_library_does_not_know(self):
        error = refused(FasterWhisperTeacher, "enormous")
        assert error.code == "teacher.unknown_name"
        assert "small" in error.hint

    @pytest.mark.parametrize("name", ["tiny", "somebody/whisper-vi"])
    def test_a_hub_name_without_network(self, monkeypatch, tmp_path, name):
        import huggingface_hub.constants

        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
        error = refused(FasterWhisperTeacher, name)
        assert isinstance(error, UnavailableError)
        assert (error.code, error.subject) == ("teacher.unreachable", name)


@pytest.mark.parametrize(
    ("text", "confidence"),
    [
        ("Hãy subscribe cho kênh Ghiền Mì Gõ Để không bỏ lỡ những video hấp dẫn", 0.0),
        ("hãy bật đèn phòng khách", pytest.approx(0.9)),
    ],
)
def test_sentences_that_whisper_invents_are_not_believed(text, confidence):
    raw = SimpleNamespace(text=text, start=0.0, end=1.0, avg_logprob=0.0, no_speech_prob=0.1)
    assert _segment(raw).confidence == confidence


@needs("sherpa_onnx", "onnx")
class TestSherpa:
    @pytest.mark.parametrize("make", [teacher_models.sherpa_zipformer_ctc, teacher_models.sherpa_nemo_ctc])
    def test_a_ctc_model_hears_words_with_times(self, make, tmp_path):
        teacher = SherpaTeacher(make(tmp_path / "tiny"))
        heard = teacher.transcribe(NOISE)
        assert heard.text == "xin chào bạn"
        assert [(word.text, word.start_ms, word.end_ms) for word in heard.words] == [
            ("xin", 0, 80),
            ("chào", 200, 360),
            ("bạn", 1600, 1680),
        ]
        assert [(segment.text, segment.start_ms, segment.end_ms) for segment in heard.segments] == [
            ("xin chào", 0, 360),
            ("bạn", 1600, 1680),
        ]
        assert heard.model_version == teacher.model_version == "sherpa-onnx:tiny"

    def test_a_ctc_model_gives_no_confidence(self, tmp_path):
        heard = SherpaTeacher(teacher_models.sherpa_zipformer_ctc(tmp_path)).transcribe(NOISE)
        assert heard.confidence is None

    def test_a_transducer_gives_its_tokens_probabilities(self, tmp_path):
        heard = SherpaTeacher(teacher_models.sherpa_transducer(tmp_path)).transcribe(NOISE)
        assert heard.text == "xin"
        assert 0.95 < heard.confidence <= 1.0
        assert heard.words[0].confidence == pytest.approx(heard.confidence)

    @pytest.mark.parametrize("name", ["tokens.txt", "model.onnx"])
    def test_a_file_of_a_ctc_model_that_is_missing_is_named(self, tmp_path, name):
        (teacher_models.sherpa_zipformer_ctc(tmp_path) / name).unlink()
        error = refused(SherpaTeacher, tmp_path)
        assert isinstance(error, ConfigError)
        assert (error.code, error.message) == ("teacher.incomplete", f"the model directory lacks {name}")

    def test_parts_of_a_transducer_that_are_missing_are_named(self, tmp_path):
        teacher_models.sherpa_transducer(tmp_path)
        for name in ("joiner", "decoder"):
            (tmp_path / f"{name}-epoch-1.onnx").unlink()
        error = refused(SherpaTeacher, tmp_path)
        assert (error.code, error.message) == (
            "teacher.incomplete",
            "the model directory lacks decoder.onnx, joiner.onnx",
        )

    def test_a_model_of_another_kind_is_refused_before_it_ends_the_process(self, tmp_path):
        teacher_models.sherpa_zipformer_ctc(tmp_path, model_type="sense_voice_ctc")
        error = refused(SherpaTeacher, tmp_path)
        assert error.code == "teacher.unknown_model"
        assert "sense_voice_ctc" in error.message

    @pytest.mark.parametrize(
        ("make", "key"),
        [
            (teacher_models.sherpa_nemo_ctc, "subsampling_factor"),
            (teacher_models.sherpa_transducer, "context_size"),
        ],
    )
    def test_a_model_without_what_sherpa_asks_for_is_refused(self, tmp_path, make, key):
        error = refused(SherpaTeacher, make(tmp_path, leave_out=(key,)))
        assert error.code == "teacher.corrupt"
        assert key in error.message

    @pytest.mark.parametrize(("name", "content"), [("model.onnx", b"no onnx"), ("tokens.txt", b"\xff\xfe")])
    def test_a_file_that_is_broken_is_refused(self, tmp_path, name, content):
        (teacher_models.sherpa_zipformer_ctc(tmp_path) / name).write_bytes(content)
        error = refused(SherpaTeacher, tmp_path)
        assert isinstance(error, IntegrityError)
        assert (error.code, Path(error.subject).name) == ("teacher.corrupt", name)

    def test_a_directory_that_is_not_there(self, tmp_path):
        assert refused(SherpaTeacher, tmp_path / "none").code == "teacher.no_directory"

    def test_full_precision_is_taken_before_int8(self, tmp_path):
        teacher_models.sherpa_zipformer_ctc(tmp_path)
        (tmp_path / "model.int8.onnx").write_bytes(b"not looked at")
        assert Path(find_model(tmp_path).arguments["model"]).name == "model.onnx"


class TestSherpaTokens:
    def test_a_model_of_characters_marks_words_by_spaces(self):
        tokens = [Token(text, 100 * n, None) for n, text in enumerate("xin chào")]
        assert [(word.text, word.start_ms) for word in words_of(tokens, 10_000)] == [
            ("xin", 0),
            ("chào", 300),
        ]

    def test_no_tokens_are_no_words_and_no_segments(self):
        assert words_of([], 1000) == []
        assert segments_of([]) == []

    def test_no_word_ends_after_the_audio(self):
        assert words_of([Token("▁a", 990, -0.1)], 1000)[0].end_ms == 1000


@pytest.mark.parametrize("package", ["faster_whisper", "sherpa_onnx"])
def test_a_package_that_is_not_installed_is_named_with_what_to_do(monkeypatch, tmp_path, package):
    monkeypatch.setitem(sys.modules, package, None)
    load = FasterWhisperTeacher if package == "faster_whisper" else SherpaTeacher
    error = refused(load, tmp_path)
    assert isinstance(error, UnavailableError)
    assert error.code == "teacher.not_installed"
    assert "pip install 'phonoloop[teachers]'" in error.hint


def test_importing_the_adapters_loads_none_of_the_packages():
    import subprocess

    code = (
        "import sys, phonoloop.adapters.teacher_sherpa, phonoloop.adapters.teacher_faster_whisper as _;"
        "sys.exit(any(name in sys.modules for name in"
        " ('faster_whisper', 'sherpa_onnx', 'ctranslate2', 'onnxruntime')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert teacher_files.installed("json").loads("1") == 1
