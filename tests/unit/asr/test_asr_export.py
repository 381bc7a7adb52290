"""What is exported hears what torch hears, and is refused where it is not what it was."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from phonoloop.asr import graph
from phonoloop.asr.artefact import MODEL, STREAM_MODEL, run_model
from phonoloop.asr.export import Exported, export, load_model
from phonoloop.asr.infer import Recogniser, windows
from phonoloop.asr.streaming import OnnxStream, TorchStream, left_frames
from phonoloop.asr.train import train
from phonoloop.core.errors import IntegrityError, NotFoundError, UnavailableError
from phonoloop.core.speech import Transcriber
from phonoloop.testing.tones import speak, tiny_recipe
from phonoloop.training import artefacts, checkpoint
from phonoloop.training.artefacts import GOLDEN, session_for


def train_once(corpus, out, **changes):
    recipe = tiny_recipe(epochs=1, **changes)
    return train(
        recipe, train_rows=corpus.train, val_rows=corpus.val, audio_roots=[corpus.folder], out_dir=out
    ).out_dir


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    return train_once(corpus, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def trained_later(corpus, tmp_path_factory):
    """Another model of the same shape."""
    return train_once(corpus, tmp_path_factory.mktemp("later"), seed=9)


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    return export(trained, tmp_path_factory.mktemp("models") / "20261120-101500").folder


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "copy")


def noise(batch: int, frames: int) -> np.ndarray:
    return np.random.default_rng(frames).standard_normal((batch, frames, 80)).astype(np.float32)


def test_all_files_are_there_and_hashed(exported):
    names = {path.name for path in exported.iterdir()}
    hashed = {MODEL, STREAM_MODEL, GOLDEN, "tokenizer.json", "recipe.yaml", "model.pt"}
    assert names == hashed | {"metadata.json"}
    metadata = json.loads((exported / "metadata.json").read_text())
    assert set(metadata["files"]) == hashed
    assert metadata["worst_difference"] <= artefacts.TOLERANCE


@pytest.mark.parametrize(("batch", "frames"), [(1, 8), (1, 43), (3, 100), (2, 1000)])
def test_onnx_equals_torch_at_any_batch_and_length(trained, exported, batch, frames):
    _, _, model = load_model(trained)
    features, lengths = noise(batch, frames), np.linspace(frames // 2, frames, batch).astype(np.int64)
    lengths[-1] = frames
    with torch.no_grad():
        expected, out = model(torch.from_numpy(features), torch.from_numpy(lengths))
    heard = run_model(session_for(exported / MODEL, threads=1), features, lengths)
    for row, length in enumerate(out.tolist()):
        np.testing.assert_allclose(heard[row, :length], expected[row, :length], atol=1e-4)


def test_golden_vectors_hold(exported):
    golden = np.load(exported / GOLDEN)
    session = session_for(exported / MODEL, threads=1)
    assert len(golden.files) >= 6
    for i in range(len(golden.files) // 2):
        heard = run_model(session, golden[f"features_{i}"])
        np.testing.assert_allclose(heard, golden[f"log_probs_{i}"], atol=1e-4)


@pytest.mark.parametrize("chunk_ms", [40, 160, 320])
@pytest.mark.parametrize("piece", [1, 37, 500])
def test_onnx_stream_equals_batch_at_any_piece(trained, exported, chunk_ms, piece):
    recipe, _, model = load_model(trained)
    features = noise(1, 270)[0]
    left = left_frames(recipe.stream.left_ms, chunk_ms)
    with torch.no_grad():
        expected, _ = model(
            torch.from_numpy(features[None]), torch.tensor([270]), chunk=chunk_ms // 40, left=left
        )
    session = session_for(exported / STREAM_MODEL, threads=1)
    for stream in (
        OnnxStream(session, chunk_ms=chunk_ms, left_ms=recipe.stream.left_ms),
        TorchStream(model, recipe, chunk_ms=chunk_ms),
    ):
        heard = [stream.push(features[i : i + piece]) for i in range(0, 270, piece)]
        np.testing.assert_allclose(np.concatenate([*heard, stream.flush()]), expected[0], atol=1e-4)


def test_recognition_streams_from_samples_at_any_piece(exported):
    recogniser = Recogniser.load(exported)
    samples = speak("abcdabcd", np.random.default_rng(0))
    said = []
    for piece in (400, 5000, len(samples)):
        stream = recogniser.stream()
        for start in range(0, len(samples), piece):
            stream.push(samples[start : start + piece])
        said.append(stream.finish())
    assert said[0].text == said[1].text == said[2].text
    assert [word.start_ms for word in said[0].words] == [word.start_ms for word in said[2].words]


def test_a_recogniser_is_a_transcriber(exported):
    recogniser: Transcriber = Recogniser.load(exported)
    said = recogniser.transcribe(speak("abcd", np.random.default_rng(0)))
    assert said.model_version == "asr-20261120-101500"
    assert 0.0 <= said.confidence <= 1.0
    assert said.language == "vi"


@pytest.mark.parametrize("samples", [0, 1, 399, 400, 800])
def test_next_to_nothing_is_heard_as_nothing(exported, samples):
    said = Recogniser.load(exported).transcribe(np.zeros(samples, np.float32))
    assert said.words == ()


def test_recognising_imports_no_torch(exported):
    code = (
        "import sys, numpy as np; from phonoloop.asr.infer import Recogniser;"
        f"r = Recogniser.load({str(exported)!r}); r.transcribe(np.zeros(16000, np.float32));"
        "s = r.stream(); s.push(np.zeros(16000, np.float32)); s.finish();"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("name", [MODEL, STREAM_MODEL, "tokenizer.json", GOLDEN, "model.pt", "recipe.yaml"])
def test_a_changed_file_is_refused(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(IntegrityError) as caught:
        Recogniser.load(copy)
    assert caught.value.code == "model.damaged"
    assert name in caught.value.subject


def test_a_missing_file_is_refused(copy):
    (copy / MODEL).unlink()
    with pytest.raises(IntegrityError) as caught:
        Recogniser.load(copy)
    assert caught.value.code == "model.damaged"


def test_no_model_is_said_so(tmp_path):
    with pytest.raises(NotFoundError) as caught:
        Recogniser.load(tmp_path)
    assert caught.value.code == "model.missing"


def rewrite(folder, **changes):
    path = folder / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"front_end_hash": "0" * 32}, "model.front_end"),
        ({"tokenizer_hash": "0" * 32}, "model.tokenizer"),
        ({"format": 99}, "model.format"),
        ({"files": None}, "model.damaged"),
    ],
)
def test_a_mismatch_is_refused(copy, changes, code):
    rewrite(copy, **changes)
    with pytest.raises(IntegrityError) as caught:
        Recogniser.load(copy)
    assert caught.value.code == code


def test_without_a_streaming_part_streaming_is_refused(copy):
    files = json.loads((copy / "metadata.json").read_text())["files"]
    del files[STREAM_MODEL]
    rewrite(copy, files=files)
    recogniser = Recogniser.load(copy)
    with pytest.raises(UnavailableError) as caught:
        recogniser.stream()
    assert caught.value.code == "streaming.no_model"


def test_damaged_weights_are_not_exported(trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    (run / "model.pt").write_bytes((run / "model.pt").read_bytes()[:-500])
    with pytest.raises(IntegrityError) as caught:
        export(run, tmp_path / "models" / "x")
    assert caught.value.code == "checkpoint.corrupt"
    assert not (tmp_path / "models" / "x").exists()


def test_windows_cover_everything_and_overlap():
    spans = list(windows(100 * 16_000))
    assert spans[0].start == 0
    assert spans[-1].end == 100 * 16_000
    assert all(b.start < a.end for a, b in itertools.pairwise(spans))
    assert all(span.samples <= 24 * 16_000 for span in spans)
    assert len(list(windows(24 * 16_000))) == 1


def test_metadata_can_be_replaced_by_copy(exported):
    recogniser = Recogniser.load(exported)
    assert replace(recogniser, model_version="x").model_version == "x"


# ---------------------------------------------------------------- graphs of an earlier model


@pytest.fixture
def traced(exported, monkeypatch):
    """Counts tracings, and makes them quick: the graphs are those of `exported`."""
    metadata = json.loads((exported / "metadata.json").read_text())
    graphs, calls = graph.read_graphs(exported, metadata["graph_key"]), []

    def trace(model, recipe):
        calls.append(recipe)
        return graph.fill(graphs, model)

    monkeypatch.setattr(graph, "trace", trace)
    return calls


def hears(folder, features: np.ndarray) -> np.ndarray:
    return run_model(session_for(folder / MODEL, threads=1), features)


def test_the_same_shape_takes_the_earlier_graphs(trained, trained_later, exported, traced, tmp_path):
    later = export(trained_later, tmp_path / "later", template_dir=exported)
    back = export(trained, tmp_path / "back", template_dir=later.folder)
    assert (later.graph_reused, back.graph_reused, traced) == (True, True, [])
    features = noise(2, 200)
    np.testing.assert_allclose(hears(back.folder, features), hears(exported, features), atol=1e-6)
    assert not np.allclose(hears(later.folder, features), hears(exported, features), atol=1e-2)
    for name in (MODEL, STREAM_MODEL):  # bit by bit what tracing this model gave
        assert (back.folder / name).read_bytes() == (exported / name).read_bytes()


def test_a_model_that_is_very_sure_is_exported_too(trained, tmp_path):
    """Its log-probabilities reach -100, where single precision is not good to 0.0001."""
    sure = shutil.copytree(trained, tmp_path / "sure")
    weights = checkpoint.load_weights(sure / "model.pt")
    weights["head.weight"] *= 30
    torch.save({"model": weights}, sure / "model.pt")
    one = export(sure, tmp_path / "one")
    with np.load(one.folder / GOLDEN) as golden:
        features, expected = golden["features_1"], golden["log_probs_1"]
    heard = run_model(session_for(one.folder / MODEL, threads=1), features)
    assert np.abs(heard - expected).max() > artefacts.TOLERANCE
    assert one.worst_difference <= artefacts.TOLERANCE


@pytest.mark.parametrize(
    ("expected", "heard", "within"),
    [(-0.1, -0.10005, True), (-0.1, -0.1002, False), (-40.0, -40.0002, True), (-40.0, -40.01, False)],
)
def test_differences_are_relative_to_what_is_ruled_out(expected, heard, within):
    difference = artefacts.largest_difference(np.float32([[heard]]), np.float32([[expected]]))
    assert (difference <= artefacts.TOLERANCE) == within


@pytest.mark.parametrize(
    "model",
    [
        {"encoder": "transformer"},
        {"encoder": "lstm", "layers": 2},
        {"encoder": "lstm", "bidirectional": True},
    ],
    ids=["transformer", "lstm", "bidirectional"],
)
def test_another_shape_is_traced_and_hears_what_torch_hears(corpus, exported, tmp_path, model):
    run = train_once(corpus, tmp_path / "run", model=model)
    one = export(run, tmp_path / "one", template_dir=exported)
    assert not one.graph_reused
    assert one.worst_difference <= artefacts.TOLERANCE
    assert (STREAM_MODEL in one.files) == ("bidirectional" not in model)
    features, lengths = noise(2, 60), np.array([60, 37])
    _, _, network = load_model(run)
    with torch.no_grad():
        expected, _ = network(torch.from_numpy(features), torch.from_numpy(lengths))
    heard = run_model(session_for(one.folder / MODEL, threads=1), features, lengths)
    np.testing.assert_allclose(heard[0], expected[0], atol=1e-4)
    np.testing.assert_allclose(heard[1, :9], expected[1, :9], atol=1e-4)
    assert export(run, tmp_path / "two", template_dir=one.folder).graph_reused


def test_other_sizes_and_other_letters_are_another_graph():
    recipe = tiny_recipe()
    keys = {
        graph.graph_key(recipe, 7),
        graph.graph_key(recipe, 8),
        graph.graph_key(tiny_recipe(model={"layers": 2}), 7),
        graph.graph_key(tiny_recipe(front_end={"n_mels": 40}), 7),
    }
    assert len(keys) == 4
    assert graph.graph_key(tiny_recipe(seed=8, epochs=9), 7) in keys


def assert_traced_and_said(one: Exported, traced: list, caplog) -> None:
    assert not one.graph_reused
    assert len(traced) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_damaged_graphs_are_said_and_not_taken(trained_later, copy, traced, caplog, tmp_path):
    (copy / MODEL).write_bytes((copy / MODEL).read_bytes()[:-100])
    one = export(trained_later, tmp_path / "one", template_dir=copy)
    assert_traced_and_said(one, traced, caplog)
    assert "model.damaged" in caplog.text


def test_graphs_that_hear_something_else_are_said_and_not_taken(
    trained_later, copy, traced, caplog, tmp_path
):
    """Everything about them fits but what they compute."""
    onnx = pytest.importorskip("onnx")
    wrong = onnx.load(copy / MODEL)
    silu = next(node for node in wrong.graph.node if node.op_type == "Sigmoid")
    silu.op_type = "Tanh"
    onnx.save(wrong, copy / MODEL)
    rewrite(copy, files=artefacts.file_hashes(copy))
    one = export(trained_later, tmp_path / "one", template_dir=copy)
    assert_traced_and_said(one, traced, caplog)
    assert one.worst_difference <= artefacts.TOLERANCE


def test_no_earlier_model_is_no_hindrance(trained_later, traced, caplog, tmp_path):
    one = export(trained_later, tmp_path / "one", template_dir=tmp_path / "nowhere")
    assert_traced_and_said(one, traced, caplog)
