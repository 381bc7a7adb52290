"""Tiny models in the very formats the teachers load, made so that what they say is known."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

#: what the Whisper model says of any audio
WHISPER_CHAIN = ("<|transcribe|>", "<|0.00|>", " xin", " chào", "<|1.00|>", "<|endoftext|>")
_WIDTH = 16


# ---------------------------------------------------------------- Whisper


def whisper(directory: Path, *, multilingual: bool = True, no_speech: bool = False) -> Path:
    """A Whisper model of one layer, all zeros but for its last projection: from each token of the
    chain it goes to the next, whatever it hears.

    Args:
        multilingual: whether its vocabulary has what CTranslate2 knows multilingual models by.
        no_speech: whether it holds all audio for silence.
    """
    from ctranslate2.specs import WhisperSpec

    text, special = _whisper_tokens(multilingual)
    tokens = text + special
    ids = {token: index for index, token in enumerate(tokens)}
    chain = [_byte_level(token) if token.startswith(" ") else token for token in WHISPER_CHAIN]
    if not multilingual:
        chain[0] = "<|startoftranscript|>"
    links = list(pairwise(chain))
    if no_speech:
        links.append(("<|startoftranscript|>", "<|nospeech|>"))
    spec = WhisperSpec(1, 1, 1, 1)
    _zero_encoder(spec.encoder)
    _zero_decoder(spec.decoder)
    spec.decoder.embeddings.weight, spec.decoder.projection.weight = _links(ids, links)
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], []
    spec.config.lang_ids = [ids["<|en|>"], ids["<|vi|>"]]
    spec.config.alignment_heads = [[0, 0]]
    spec.register_vocabulary(tokens)
    spec.validate()
    spec.optimize()
    directory.mkdir(parents=True, exist_ok=True)
    spec.save(str(directory))
    _whisper_tokenizer(ids, special).save(str(directory / "tokenizer.json"))
    return directory


def _whisper_tokens(multilingual: bool) -> tuple[list[str], list[str]]:
    from tokenizers import pre_tokenizers

    text = [*sorted(pre_tokenizers.ByteLevel.alphabet()), _byte_level(" xin"), _byte_level(" chào")]
    special = [
        *("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|vi|>", "<|translate|>", "<|transcribe|>"),
        *("<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
        *(f"<|{index * 0.02:.2f}|>" for index in range(1501)),
    ]
    return text + ([""] if multilingual else []), special


def _byte_level(text: str) -> str:
    from tokenizers import pre_tokenizers

    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return splitter.pre_tokenize_str(text)[0][0]


def _whisper_tokenizer(ids: dict[str, int], special: list[str]):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    return tokenizer


def _links(ids: dict[str, int], links: list[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    embeddings, projection = _zeros(len(ids), _WIDTH), _zeros(len(ids), _WIDTH)
    for axis, (before, after) in enumerate(links):
        embeddings[ids[before], axis] = 1.0
        projection[ids[after], axis] = 8.0
    return embeddings, projection


def _zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def _norm(layer) -> None:
    layer.gamma, layer.beta = np.ones(_WIDTH, np.float32), _zeros(_WIDTH)


def _linear(layer, rows: int, columns: int) -> None:
    layer.weight, layer.bias = _zeros(rows, columns), _zeros(rows)


def _attention(layer, *sizes: int) -> None:
    _norm(layer.layer_norm)
    for linear, rows in zip(layer.linear, sizes, strict=True):
        _linear(linear, rows, _WIDTH)


def _feed_forward(layer) -> None:
    _norm(layer.layer_norm)
    _linear(layer.linear_0, 4 * _WIDTH, _WIDTH)
    _linear(layer.linear_1, _WIDTH, 4 * _WIDTH)


def _zero_encoder(encoder) -> None:
    for convolution, channels in ((encoder.conv1, 80), (encoder.conv2, _WIDTH)):
        convolution.weight, convolution.bias = _zeros(_WIDTH, channels, 3), _zeros(_WIDTH)
    encoder.position_encodings.encodings = _zeros(1500, _WIDTH)
    _norm(encoder.layer_norm)
    for layer in encoder.layer:
        _attention(layer.self_attention, 3 * _WIDTH, _WIDTH)
        _feed_forward(layer.ffn)


def _zero_decoder(decoder) -> None:
    decoder.position_encodings.encodings = _zeros(448, _WIDTH)
    _norm(decoder.layer_norm)
    for layer in decoder.layer:
        _attention(layer.self_attention, 3 * _WIDTH, _WIDTH)
        _attention(layer.attention, _WIDTH, 2 * _WIDTH, _WIDTH)
        _feed_forward(layer.ffn)


# ---------------------------------------------------------------- sherpa-onnx

#: id 0 is the blank
SHERPA_TOKENS = ("<blk>", "▁xin", "▁ch", "ào", "▁bạn")
#: token ids at frames of 40 ms; what is not named here is blank
SHERPA_SAYS = {0: 1, 5: 2, 7: 3, 40: 4}
SHERPA_FRAMES = 50


def sherpa_zipformer_ctc(directory: Path, **metadata: str) -> Path:
    """A CTC model of icefall's shape whose frames say `SHERPA_SAYS`, whatever it hears."""
    graph = _ctc_graph("x", ["N", "T", 80], "x_lens", blank=0)
    _write_tokens(directory, SHERPA_TOKENS)
    given = {"model_type": "zipformer2_ctc", "vocab_size": str(len(SHERPA_TOKENS)), "subsampling_factor": "4"}
    _write_model(directory / "model.onnx", graph, {**given, **metadata})
    return directory


def sherpa_nemo_ctc(directory: Path, *, leave_out: tuple[str, ...] = ()) -> Path:
    """The same of NeMo's shape: features first, the blank last."""
    last = len(SHERPA_TOKENS) - 1
    graph = _ctc_graph("audio_signal", ["N", 80, "T"], "length", blank=last)
    _write_tokens(directory, (*SHERPA_TOKENS[1:], SHERPA_TOKENS[0]))
    given = {
        "model_type": "EncDecCTCModelBPE",
        "vocab_size": str(last),
        "subsampling_factor": "4",
        "normalize_type": "per_feature",
    }
    _write_model(directory / "model.onnx", graph, {k: v for k, v in given.items() if k not in leave_out})
    return directory


def sherpa_transducer(directory: Path, *, leave_out: tuple[str, ...] = ()) -> Path:
    """A stateless transducer that says `▁xin` once at the first frame: its joiner's word depends on
    the frame's number and on the last token."""
    _write_tokens(directory, SHERPA_TOKENS)
    _write_model(directory / "encoder-epoch-1.onnx", _encoder_graph(), {"model_type": "zipformer2"})
    keys = {"vocab_size": str(len(SHERPA_TOKENS)), "context_size": "2"}
    _write_model(
        directory / "decoder-epoch-1.onnx",
        _decoder_graph(),
        {k: v for k, v in keys.items() if k not in leave_out},
    )
    _write_model(directory / "joiner-epoch-1.onnx", _joiner_graph(), {"joiner_dim": "2"})
    return directory


def _write_tokens(directory: Path, tokens: tuple[str, ...]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    lines = [f"{token} {index}\n" for index, token in enumerate(tokens)]
    (directory / "tokens.txt").write_text("".join(lines), encoding="utf-8")


def _write_model(path: Path, graph, metadata: dict[str, str]) -> None:
    import onnx
    from onnx import helper

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _graph(nodes, inputs, outputs, constants):
    from onnx import TensorProto, helper, numpy_helper

    kinds = {"f": TensorProto.FLOAT, "i": TensorProto.INT64}
    values = [
        [helper.make_tensor_value_info(name, kinds[kind], shape) for name, kind, shape in side]
        for side in (inputs, outputs)
    ]
    initial = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    return helper.make_graph(nodes, "tiny", values[0], values[1], initial)


def _ctc_graph(features: str, shape: list, lengths: str, *, blank: int):
    """Ignores its features: log_probs is a constant, its length the same for everything."""
    from onnx import helper

    says = np.full(SHERPA_FRAMES, blank)
    for frame, token in SHERPA_SAYS.items():
        says[frame] = token if blank == 0 else token - 1
    log_probs = np.full((1, SHERPA_FRAMES, len(SHERPA_TOKENS)), -20.0, np.float32)
    log_probs[0, np.arange(SHERPA_FRAMES), says] = 0.0
    nodes = [
        helper.make_node("ReduceSum", [features], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "nought"], ["none"]),
        helper.make_node("Add", ["table", "none"], ["log_probs"]),
        helper.make_node("Mul", [lengths, "zero"], ["no_length"]),
        helper.make_node("Add", ["no_length", "frames"], ["log_probs_length"]),
    ]
    return _graph(
        nodes,
        [(features, "f", shape), (lengths, "i", ["N"])],
        [("log_probs", "f", [1, SHERPA_FRAMES, len(SHERPA_TOKENS)]), ("log_probs_length", "i", ["N"])],
        {
            "table": log_probs,
            "nought": np.float32(0),
            "zero": np.int64(0),
            "frames": np.int64(SHERPA_FRAMES),
        },
    )


def _encoder_graph():
    """(N, T, 80) → (N, 3, 2): frame 0 is [1, 0], the others [0, 0]."""
    from onnx import helper

    frames = np.zeros((1, 3, 2), np.float32)
    frames[0, 0, 0] = 1.0
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "nought"], ["none"]),
        helper.make_node("Add", ["table", "none"], ["encoder_out"]),
        helper.make_node("Mul", ["x_lens", "zero"], ["no_length"]),
        helper.make_node("Add", ["no_length", "frames"], ["encoder_out_lens"]),
    ]
    return _graph(
        nodes,
        [("x", "f", ["N", "T", 80]), ("x_lens", "i", ["N"])],
        [("encoder_out", "f", [1, 3, 2]), ("encoder_out_lens", "i", ["N"])],
        {"table": frames, "nought": np.float32(0), "zero": np.int64(0), "frames": np.int64(3)},
    )


def _decoder_graph():
    """(N, 2) token ids → (N, 2): [0, last id]."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", ["y"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "mask"], ["decoder_out"]),
    ]
    return _graph(
        nodes,
        [("y", "i", ["N", 2])],
        [("decoder_out", "f", ["N", 2])],
        {"mask": np.array([0.0, 1.0], np.float32)},
    )


def _joiner_graph():
    """Logits: token 1 at frame 0 until it was said, else the blank."""
    from onnx import helper

    weights = np.zeros((2, len(SHERPA_TOKENS)), np.float32)
    weights[0, 1] = 20.0  # the first frame asks for token 1
    weights[1, 1] = -40.0  # unless that was the last one
    bias = np.zeros(len(SHERPA_TOKENS), np.float32)
    bias[0] = 10.0
    nodes = [
        helper.make_node("Add", ["encoder_out", "decoder_out"], ["sum"]),
        helper.make_node("MatMul", ["sum", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logit"]),
    ]
    return _graph(
        nodes,
        [("encoder_out", "f", ["N", 2]), ("decoder_out", "f", ["N", 2])],
        [("logit", "f", ["N", len(SHERPA_TOKENS)])],
        {"weights": weights, "bias": bias},
    )
