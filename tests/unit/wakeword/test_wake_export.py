"""What is exported hears what torch hears, and is refused where it is not what it was."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.audio.features import FrontEnd
from phonoloop.core.errors import IntegrityError, NotFoundError
from phonoloop.testing import sounds
from phonoloop.testing.wake import beep_net, export_beep_detector, with_beeps
from phonoloop.testing.wake_levels import LevelScorer, level_clip
from phonoloop.training.artefacts import CARD, GOLDEN, METADATA, TOLERANCE, file_hashes, session_for
from phonoloop.wakeword import export as export_module
from phonoloop.wakeword import golden, infer
from phonoloop.wakeword.artefact import (
    INT8_MODEL,
    INT8_STREAM_MODEL,
    MODEL,
    STREAM_MODEL,
    WEIGHTS,
    model_folder,
)
from phonoloop.wakeword.clips import Label
from phonoloop.wakeword.embedding import find_speech_embedding
from phonoloop.wakeword.evaluate import evaluate
from phonoloop.wakeword.export import Facts, conclude, export, load_network
from phonoloop.wakeword.golden import in_pieces
from phonoloop.wakeword.graph import trace_stream
from phonoloop.wakeword.infer import ScoreStream, StreamGraph, WakeModel
from phonoloop.wakeword.model import build_model
from phonoloop.wakeword.model_config import ModelRecipe
from phonoloop.wakeword.quantise import as_one_stream, to_quantise
from phonoloop.wakeword.report import to_summary
from phonoloop.wakeword.trigger import TriggerSettings

STEP = 1_280
FACTS = Facts(model_id="wake-1", phrase="cà phê", language="vi")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return export_beep_detector(tmp_path_factory.mktemp("models") / "beep").folder


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "copy")


def described(folder: Path) -> dict:
    return json.loads((folder / METADATA).read_text("utf-8"))


def rewrite(folder: Path, **changes) -> None:
    """Another description, which knows the files as they are."""
    (folder / METADATA).write_text(json.dumps(described(folder) | {"files": file_hashes(folder)} | changes))


def torch_scores(model, audio: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return torch.sigmoid(model(torch.from_numpy(audio))).numpy()


# ---------------------------------------------------------------- what is written


def test_all_files_are_there_and_hashed(exported):
    graphs = {MODEL, STREAM_MODEL, INT8_MODEL, INT8_STREAM_MODEL}
    assert {path.name for path in exported.iterdir()} == graphs | {WEIGHTS, GOLDEN, METADATA, CARD}
    metadata = described(exported)
    assert metadata["files"] == file_hashes(exported)
    assert set(metadata["files"]) == graphs | {WEIGHTS, GOLDEN}


def test_the_description_says_what_a_runtime_and_a_person_need(exported):
    metadata = described(exported)
    assert metadata["phrase"] == "beep"
    assert metadata["trigger"] == {"threshold": 0.5, "smoothing_steps": 1, "cooldown_s": 1.0}
    assert (metadata["step_samples"], metadata["sample_rate_hz"]) == (STEP, 16_000)
    assert metadata["licences"] == {"made here": "Apache-2.0"}
    assert metadata["worst_difference"] <= TOLERANCE
    assert {"worst_difference", "mean_difference", "seconds"} < set(metadata["int8"])
    assert metadata["verdict"] == "not judged"
    assert "not measured yet" in (exported / CARD).read_text("utf-8")


def test_names_and_open_sizes_of_the_graphs(exported):
    whole, stream = (session_for(exported / name, threads=1) for name in (MODEL, STREAM_MODEL))
    assert [(one.name, one.shape) for one in whole.get_inputs()] == [("audio", ["batch", "samples"])]
    assert [(one.name, one.shape) for one in whole.get_outputs()] == [("scores", ["batch", "steps"])]
    states = [one.name.removeprefix("state_") for one in stream.get_inputs()[1:]]
    assert [one.name for one in stream.get_outputs()] == ["scores", *(f"next_state_{s}" for s in states)]


def test_nothing_in_the_graphs_tells_of_this_machine(exported):
    here = str(Path(export_module.__file__).parents[2]).encode()
    for name in (MODEL, STREAM_MODEL, INT8_MODEL, INT8_STREAM_MODEL):
        data = (exported / name).read_bytes()
        assert here not in data
        assert b"site-packages" not in data


# ---------------------------------------------------------------- the same everywhere


@pytest.mark.parametrize(("batch", "samples"), [(1, 16_000), (7, 16_000), (2, STEP), (3, 50_001)])
def test_the_whole_graph_equals_torch_at_any_batch_and_length(exported, batch, samples):
    audio = np.resize(with_beeps(6.0, [0.5, 2.0, 3.3]), (batch, samples))
    heard = session_for(exported / MODEL, threads=1).run(["scores"], {"audio": audio})[0]
    np.testing.assert_allclose(heard, torch_scores(beep_net(), audio), atol=TOLERANCE)
    assert heard.shape == (batch, samples // STEP)


@pytest.fixture(scope="module")
def heard_whole(exported):
    audio = with_beeps(3.7, [0.5, 1.9])
    expected = torch_scores(beep_net(), audio[None])[0]
    assert expected.max() > 0.5  # or there would be nothing to lose
    return StreamGraph.open(exported / STREAM_MODEL, step_samples=STEP), audio, expected


@pytest.mark.parametrize("piece", [160, 1_280, 2_560, 16_000, 61_000])
def test_a_stream_equals_torch(heard_whole, piece):
    graph, audio, expected = heard_whole
    np.testing.assert_allclose(in_pieces(graph, audio, piece), expected, atol=TOLERANCE)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 9_000), min_size=1, max_size=30))
def test_where_a_stream_is_cut_changes_nothing(heard_whole, cuts):
    graph, audio, expected = heard_whole
    edges = np.minimum(np.cumsum([0, *cuts]), len(audio))
    stream = ScoreStream(graph)
    heard = [stream.push(audio[a:b]) for a, b in zip(edges, [*edges[1:], len(audio)], strict=True)]
    np.testing.assert_allclose(np.concatenate(heard), expected, atol=TOLERANCE)


def test_golden_vectors_hold(exported):
    with np.load(exported / GOLDEN) as arrays:
        kept = dict(arrays)
    session = session_for(exported / MODEL, threads=1)
    pairs = [(kept[f"audio_{i}"], kept[f"scores_{i}"]) for i in range(len(kept) // 2)]
    assert len(pairs) >= 4
    assert max(scores.max() for _, scores in pairs) > 0.5
    for audio, scores in pairs:
        heard = session.run(["scores"], {"audio": audio[None]})[0][0]
        np.testing.assert_allclose(heard, scores, atol=TOLERANCE)


def test_a_graph_that_hears_something_else_is_not_exported(tmp_path, monkeypatch):
    trace = export_module.trace_stream

    def wrong(model):
        graph = trace(model)
        next(node for node in graph.graph.node if node.op_type == "Sigmoid").op_type = "Tanh"
        return graph

    monkeypatch.setattr(export_module, "trace_stream", wrong)
    with pytest.raises(IntegrityError) as caught:
        export(beep_net(), tmp_path / "x", facts=FACTS)
    assert caught.value.code == "export.differs"
    assert list(tmp_path.iterdir()) == []


def test_a_state_that_is_forgotten_is_found_out(tmp_path, monkeypatch):
    """Whole recordings would still be right: only the check of the stream sees it."""
    trace = export_module.trace_stream

    def forgetful(model):
        graph = trace(model)
        for one in graph.graph.output[1:]:
            given = f"state_{one.name.removeprefix('next_state_')}"
            maker = next(node for node in graph.graph.node if one.name in node.output)
            maker.output[0] = f"{one.name}_unused"
            graph.graph.node.append(onnx.helper.make_node("Identity", [given], [one.name]))
        return graph

    monkeypatch.setattr(export_module, "trace_stream", forgetful)
    with pytest.raises(IntegrityError) as caught:
        export(beep_net(), tmp_path / "x", facts=FACTS)
    assert caught.value.code == "export.differs"


KINDS = {
    "bcresnet": {"width": 0.5, "pool_ms": 80},
    "coarse bcresnet": {
        "kind": "bcresnet",
        "width": 0.5,
        "pool_ms": 80,
        "time_stride": 2,
        "dilations": (1, 1, 1, 2),
        "front_end": FrontEnd(n_mels=40, hop_ms=20, floor=4.0),
    },
    "embedding": {"head_width": 8, "head_steps": 4},
}


@pytest.mark.parametrize("kind", KINDS)
def test_networks_that_users_train_are_the_same_everywhere(kind, tmp_path):
    if kind == "embedding" and find_speech_embedding() is None:
        pytest.skip("the speech embedding's files are not on this machine (extra `wakeword`)")
    torch.manual_seed(1)
    model = randomised(build_model(ModelRecipe(**{"kind": kind, **KINDS[kind]})))
    audio = np.concatenate([sounds.speech_like(2.0, seed=2).samples, with_beeps(1.3, [0.4])])
    written = export(model, tmp_path / "x", facts=FACTS, audio=[audio])
    assert written.worst_difference <= TOLERANCE
    expected = torch_scores(model, audio[None])[0]
    assert expected.std() > 0.01  # or there would be nothing to lose
    assert ("Apache-2.0" in described(tmp_path / "x")["licences"].values()) == (kind == "embedding")
    for int8, far in ((False, TOLERANCE), (True, written.int8["worst_difference"] + TOLERANCE)):
        heard = WakeModel.load(tmp_path / "x", int8=int8)
        for piece in (160, 1_280, 16_000, 5_003):
            np.testing.assert_allclose(in_pieces(heard.graph, audio, piece), expected, atol=far)


def randomised(model):
    """Fresh networks give nearly the same for anything: norms as after a training, and larger weights."""
    for part in model.net.modules():
        if isinstance(part, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            part.running_mean.normal_(std=0.2)
            part.running_var.uniform_(0.2, 0.6)
            part.weight.data.uniform_(0.8, 2.0)
    return model.eval()


# ---------------------------------------------------------------- 8 bits


def test_spectrum_and_last_layer_stay_in_float(exported):
    """A spectrum spans more than 8 bits hold, and a logit cut off at its quantised range is no logit."""
    assert len(to_quantise(onnx.load(exported / STREAM_MODEL).graph)) == 1  # of two layers
    graph = trace_stream(build_model(ModelRecipe(kind="matchboxnet", blocks=1, channels=8)).eval()).graph
    weighted = [node.name for node in graph.node if node.op_type in ("Conv", "MatMul", "Gemm")]
    logarithm = next(i for i, node in enumerate(graph.node) if node.op_type == "Log")
    heard_before = {node.name for node in graph.node[:logarithm]}
    chosen = to_quantise(graph)
    assert len(chosen) >= 3
    assert chosen == [name for name in weighted if name not in heard_before][:-1]


def test_ranges_are_read_off_whole_recordings_with_a_pause_after_each():
    ends = np.eye(1, 8_000, 7_999, dtype=np.float32)[0]  # all that matters is at its end
    stream = as_one_stream([ends] * 5)
    assert np.flatnonzero(stream > 0.9).tolist() == [7_999 + 14_400 * i for i in range(5)]
    long = as_one_stream([ends] * 1_000)
    assert 60 <= len(long) / 16_000 <= 120
    assert len(as_one_stream([np.zeros(16_000 * 60, np.float32)])) == 16_000 * 10 + 6_400


def test_int8_decides_the_same_and_its_difference_is_measured(exported):
    one, other = WakeModel.load(exported), WakeModel.load(exported, int8=True)
    assert not one.int8
    assert other.int8
    audio = with_beeps(8.0, [1.0, 4.0])
    apart = np.abs(one.scores(audio) - other.scores(audio))
    assert 0 < apart.max() <= described(exported)["int8"]["worst_difference"] + 1e-6
    assert ((one.scores(audio) > 0.5) == (other.scores(audio) > 0.5)).all()


def test_the_whole_int8_graph_equals_its_stream(exported):
    audio = with_beeps(4.0, [1.0, 2.5])
    heard = session_for(exported / INT8_MODEL, threads=1).run(["scores"], {"audio": audio[None]})[0][0]
    np.testing.assert_allclose(heard, WakeModel.load(exported, int8=True).scores(audio), atol=1e-6)


def test_without_an_int8_graph_int8_is_refused(copy):
    (copy / INT8_STREAM_MODEL).unlink()
    rewrite(copy)
    WakeModel.load(copy)
    with pytest.raises(IntegrityError) as caught:
        WakeModel.load(copy, int8=True)
    assert caught.value.code == "model.damaged"


# ---------------------------------------------------------------- what is known later


def test_facts_are_added_without_tracing_anew(exported, tmp_path):
    picture = tmp_path / "roc.png"
    picture.write_bytes(b"png")
    others = [level_clip(0.1, duration_s=30.0, label=Label.NEGATIVE)]
    evaluation = evaluate(LevelScorer(), TriggerSettings(0.7), [level_clip(0.9), level_clip(0.2)], others)
    facts = Facts(
        model_id="wake-2",
        phrase="beep",
        language="en",
        trigger=TriggerSettings(0.7, 2, 1.5),
        evaluation=to_summary(evaluation),
        int8_evaluation=to_summary(evaluation),
        verdict="good enough",
    )
    metadata = conclude(exported, tmp_path / "out", facts=facts, pictures=[picture])
    assert "roc.png" in metadata["files"]
    model = WakeModel.load(tmp_path / "out")
    assert (model.model_id, model.trigger) == ("wake-2", TriggerSettings(0.7, 2, 1.5))
    card = (tmp_path / "out" / CARD).read_text("utf-8")
    assert "- Misses: 1 of 2: 50.0 %" in card
    assert "- int8, at the same threshold: missed 1 of 2: 50.0 %" in card
    np.testing.assert_array_equal(
        model.scores(with_beeps(2.0, [0.5])), WakeModel.load(exported).scores(with_beeps(2.0, [0.5]))
    )


def test_an_earlier_export_gives_way_to_a_whole_one(exported, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "old").write_text("")
    conclude(exported, folder, facts=FACTS)
    assert not (folder / "old").exists()
    assert WakeModel.load(folder).phrase == "cà phê"


def test_a_network_comes_back_to_be_trained_on(tmp_path):
    recipe = ModelRecipe(kind="matchboxnet", blocks=1, channels=8)
    model = build_model(recipe).eval()
    export(model, tmp_path / "one", facts=FACTS)
    back = load_network(tmp_path / "one")
    assert back.choice.recipe == recipe
    audio = with_beeps(2.0, [0.5])[None]
    np.testing.assert_array_equal(torch_scores(back, audio), torch_scores(model, audio))


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("name", [MODEL, STREAM_MODEL, INT8_MODEL, INT8_STREAM_MODEL, WEIGHTS, GOLDEN])
def test_a_changed_file_is_refused(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(IntegrityError) as caught:
        WakeModel.load(copy)
    assert caught.value.code == "model.damaged"
    assert name in caught.value.subject
    assert caught.value.hint


def test_a_missing_file_is_refused(copy):
    (copy / STREAM_MODEL).unlink()
    with pytest.raises(IntegrityError) as caught:
        WakeModel.load(copy)
    assert caught.value.code == "model.damaged"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"front_end_hash": "0" * 32}, "model.front_end"),
        ({"front_end": {"kind": "log-mel"}}, "model.front_end"),
        ({"format": 99}, "model.format"),
        ({"trigger": {"threshold": 0.0}}, "model.damaged"),
        ({"trigger": None}, "model.damaged"),
        ({"step_samples": 0}, "model.damaged"),
        ({"files": None}, "model.damaged"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(copy, changes, code):
    rewrite(copy, **changes)
    with pytest.raises(IntegrityError) as caught:
        WakeModel.load(copy)
    assert caught.value.code == code


def test_a_graph_of_another_front_end_is_refused_also_where_its_hash_is_listed(copy):
    graph = onnx.load(copy / STREAM_MODEL)
    onnx.helper.set_model_props(graph, {"front_end_hash": "0" * 32, "step_samples": str(STEP)})
    onnx.save(graph, copy / STREAM_MODEL)
    rewrite(copy)
    with pytest.raises(IntegrityError) as caught:
        WakeModel.load(copy)
    assert caught.value.code == "model.front_end"


def test_what_is_no_graph_is_refused(copy):
    (copy / STREAM_MODEL).write_bytes(b"this is no graph")
    rewrite(copy)
    with pytest.raises(IntegrityError) as caught:
        WakeModel.load(copy)
    assert caught.value.code == "model.damaged"


def test_no_model_is_said_so(tmp_path):
    with pytest.raises(NotFoundError) as caught:
        WakeModel.load(tmp_path)
    assert caught.value.code == "model.missing"


# ---------------------------------------------------------------- where a model is


def test_a_model_is_found_by_its_folder_its_job_and_as_current(exported, tmp_path):
    job = tmp_path / "job"
    shutil.copytree(exported, job / "export")
    installed = tmp_path / "data" / "models" / "wakeword"
    shutil.copytree(exported, installed / "20261120-200000")
    (installed / "current").symlink_to("20261120-200000")
    data = tmp_path / "data"
    assert model_folder(exported, data) == exported
    assert model_folder(job, data) == job / "export"
    assert model_folder("20261120-200000", data) == installed / "20261120-200000"
    for name in ("", "current"):
        assert model_folder(name, data) == installed / "current"


def test_a_detector_that_is_replaced_while_it_is_loaded_is_loaded_whole(exported, tmp_path, monkeypatch):
    for name in ("old", "new"):
        conclude(exported, tmp_path / name, facts=dataclasses.replace(FACTS, model_id=name))
    link = tmp_path / "current"
    link.symlink_to("old")
    read = infer.read_metadata

    def read_then_switch(folder):
        metadata = read(folder)
        link.unlink()
        link.symlink_to("nowhere")
        return metadata

    monkeypatch.setattr(infer, "read_metadata", read_then_switch)
    assert WakeModel.load(link).model_id == "old"


def test_no_model_names_what_to_do(tmp_path):
    with pytest.raises(NotFoundError) as caught:
        model_folder("", tmp_path)
    assert caught.value.code == "model.missing"
    assert "Promote" in caught.value.hint


# ---------------------------------------------------------------- TensorRT


def fake_tool(folder: Path, body: str) -> None:
    path = folder / "trtexec"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(
    ("body", "built"),
    [
        ('for a in "$@"; do case $a in --saveEngine=*) echo made > "${a#--saveEngine=}";; esac; done', True),
        ("echo no such device >&2; exit 3", False),
        ("exit 0", False),
    ],
)
def test_an_engine_is_built_where_trtexec_is(exported, tmp_path, monkeypatch, caplog, body, built):
    from phonoloop.wakeword.tensorrt import ENGINE, build_engine

    graph = Path(shutil.copy(exported / MODEL, tmp_path / MODEL))
    fake_tool(tmp_path, body)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    said = build_engine(graph)
    assert (tmp_path / ENGINE).exists() == built
    assert (said == "built") == built
    assert bool(caplog.records) != built


def test_sounds_for_the_check_hold_something_to_hear():
    made = golden.golden_audio([])
    assert any(len(one) % STEP for one in made)
    assert all(np.abs(one).max() > 0.05 for one in made)
    assert len(golden.golden_audio([sounds.noise(1.0)])) == len(made) + 1
