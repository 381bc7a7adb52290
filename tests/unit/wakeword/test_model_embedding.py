"""The speech embedding rebuilt as a stream gives what the original gives over 76 frames."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from phonoloop.core.errors import IntegrityError, NotFoundError
from phonoloop.testing import sounds
from phonoloop.testing.speech_embedding import write_tiny_embedding
from phonoloop.wakeword.embedding import EMBEDDING_FILE, MEL_FILE, SpeechEmbedding, find_speech_embedding
from phonoloop.wakeword.embedding_files import read_weights

WINDOW_FRAMES = 76
SECONDS = 4.0


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return write_tiny_embedding(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module", params=["tiny", "real"])
def files(request, tiny):
    if request.param == "tiny":
        return find_speech_embedding(tiny)
    found = find_speech_embedding()
    if found is None:
        pytest.skip("the package openwakeword, which holds the speech embedding, is not installed")
    return found


@pytest.fixture(scope="module")
def front(files):
    return SpeechEmbedding(read_weights(files.mel, files.embedding), files).eval()


@pytest.fixture(scope="module")
def audio():
    """Speech-like over a noise that keeps every band within 80 dB of the loudest."""
    samples = sounds.speech_like(SECONDS, seed=5).samples
    return samples + 1e-3 * np.random.default_rng(0).standard_normal(samples.size, np.float32)


def original(path: Path, given: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: given.astype(np.float32)})[0]


@torch.no_grad()
def test_mel_frames_are_the_originals(front, files, audio):
    theirs = original(files.mel, 32768 * audio[None]).reshape(-1, 32) / 10 + 2
    assert theirs.min() > theirs.max() - 8  # its clamp at 80 dB below the loudest does nothing here
    # our frames end at multiples of 160 samples; skip so many that the original's windows do, too
    end = int(np.flatnonzero(original_window(files))[-1]) + 1
    heard = audio[end % 160 :]
    ours = front.mel(torch.from_numpy(heard[: heard.size // 160 * 160])[None])[0].numpy()
    ours = ours[end // 160 - 1 :]
    count = min(len(theirs), len(ours))
    assert count > 350
    np.testing.assert_allclose(ours[3:count], theirs[3:count], atol=1e-3)  # the first hear what is skipped


def original_window(files) -> np.ndarray:
    """bool (512,): the samples of a frame that the original hears."""
    graph = onnx.load(files.mel).graph
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    filters = next(one for one in arrays.values() if one.ndim == 2 and one.shape[1] == 32)
    waves = [one for one in arrays.values() if one.shape == (257, 1, 512)]
    return np.any([wave[filters.any(axis=1), 0].any(axis=0) for wave in waves], axis=0)


@torch.no_grad()
def test_embeddings_are_the_originals_over_76_frames(front, files, audio):
    x = torch.from_numpy(audio[: audio.size // 1280 * 1280])[None]
    frames, ours = front.mel(x)[0].numpy(), front(x)[0].numpy()
    ends = range(80, len(frames) + 1, 8)
    windows = np.stack([frames[end - WINDOW_FRAMES : end] for end in ends])[..., None]
    theirs = original(files.embedding, windows).reshape(len(windows), -1)
    ours = ours[-len(windows) :]
    worst = np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
    assert len(windows) > 30
    assert worst.max() < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("steps", [1, 3, 7])
def test_a_stream_gives_what_a_file_gives(front, audio, steps):
    x = torch.from_numpy(audio[: audio.size // 1280 * 1280])[None]
    whole, state, parts = front(x), front.initial_state(1), []
    for piece in x.split(1280 * steps, dim=1):
        y, state = front.step(piece, state)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-4, rtol=1e-5)


@torch.no_grad()
def test_the_beginning_of_a_stream_is_like_silence_before_it(front, audio):
    x = torch.from_numpy(audio[:12_800])[None]
    later = front(torch.cat([torch.zeros(1, 12_800), x], dim=1))[:, 10:]
    torch.testing.assert_close(front(x), later, atol=1e-4, rtol=1e-5)


def test_the_files_are_part_of_what_the_front_end_is(tiny, tmp_path):
    def identity(folder: Path) -> str:
        files = find_speech_embedding(folder)
        return SpeechEmbedding(read_weights(files.mel, files.embedding), files).hash

    assert identity(tiny) == identity(write_tiny_embedding(tmp_path / "same"))
    assert identity(tiny) != identity(write_tiny_embedding(tmp_path / "other", seed=1))


class TestFinding:
    def test_a_named_folder_without_the_files_is_refused(self, tmp_path):
        with pytest.raises(NotFoundError) as caught:
            find_speech_embedding(tmp_path)
        assert caught.value.code == "embedding.missing"
        assert MEL_FILE in caught.value.message

    def test_where_the_package_is_not_installed_nothing_is_found(self, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        assert find_speech_embedding() is None


def _attribute(name, value):
    return onnx.helper.make_attribute(name, value)


#: of the embedding's graph, at the first node of a kind
CHANGES = {
    "another leak": ("LeakyRelu", lambda node: node.attribute[0].CopyFrom(_attribute("alpha", 0.3))),
    "another stride": ("MaxPool", lambda node: node.attribute[1].CopyFrom(_attribute("strides", [2, 1]))),
    "another operation": ("Relu", lambda node: setattr(node, "op_type", "Sigmoid")),
    "another order": ("BatchNormalization", lambda node: node.input.__setitem__(0, "input_1")),
}


class TestRefusing:
    """Anything but the network this was written for."""

    @pytest.mark.parametrize("name", sorted(CHANGES))
    def test_a_changed_embedding(self, name, tiny, tmp_path):
        kind, change = CHANGES[name]
        model = onnx.load(tiny / EMBEDDING_FILE)
        change(next(node for node in model.graph.node if node.op_type == kind))
        onnx.save(model, tmp_path / EMBEDDING_FILE)
        self._refused(tiny / MEL_FILE, tmp_path / EMBEDDING_FILE)

    def test_a_changed_mel(self, tiny, tmp_path):
        model = onnx.load(tiny / MEL_FILE)
        conv = next(node for node in model.graph.node if node.op_type == "Conv")
        next(a for a in conv.attribute if a.name == "strides").CopyFrom(_attribute("strides", [128]))
        onnx.save(model, tmp_path / MEL_FILE)
        self._refused(tmp_path / MEL_FILE, tiny / EMBEDDING_FILE)

    def test_files_in_each_others_place(self, tiny):
        self._refused(tiny / EMBEDDING_FILE, tiny / MEL_FILE)

    def test_what_is_no_onnx_file(self, tiny, tmp_path):
        (tmp_path / MEL_FILE).write_bytes(b"no graph")
        self._refused(tmp_path / MEL_FILE, tiny / EMBEDDING_FILE)

    def _refused(self, mel: Path, embedding: Path) -> None:
        with pytest.raises(IntegrityError) as caught:
            read_weights(mel, embedding)
        assert caught.value.code == "embedding.structure"
