"""A sentence-transformers folder as the embedder, tried with a tiny one of random weights."""

from __future__ import annotations

import json

import numpy as np
import pytest

from phonoloop.core.errors import ConfigError

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from phonoloop.search.transformer import TransformerEmbedder  # noqa: E402

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "xin", "chao", "luat", "dat", "dai", "mua", "rau")


def write_model(folder, *, seed: int = 0, modules=("Transformer", "Pooling", "Normalize"), pooling=None):
    """As `SentenceTransformer.save` lays it out."""
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
    )
    transformers.BertModel(config).save_pretrained(folder)
    listed = [{"path": f"{i}_{m}" if i else "", "type": f"x.models.{m}"} for i, m in enumerate(modules)]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir()
    settings = pooling or {"pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def embedder(folder):
    return TransformerEmbedder.load(str(folder))


def test_it_gives_rows_of_length_one_and_zero_for_nothing(embedder):
    made = embedder.embed(["xin chào", "", "luật đất đai " * 100])
    assert made.shape == (3, 16)
    assert made.dtype == np.float32
    assert np.linalg.norm(made, axis=1) == pytest.approx([1.0, 0.0, 1.0], abs=1e-5)
    assert embedder.embed([]).shape == (0, 16)


def test_the_mean_is_over_the_tokens_and_not_over_the_padding(embedder):
    alone = embedder.embed(["xin"])[0]
    padded = embedder.embed(["xin", "luật đất đai mua rau"])[0]
    assert alone == pytest.approx(padded, abs=1e-5)


def test_the_version_is_that_of_the_weights(embedder, folder, tmp_path):
    assert TransformerEmbedder.load(str(folder)).version == embedder.version
    other = write_model(tmp_path / "tiny", seed=1)
    assert TransformerEmbedder.load(str(other)).version != embedder.version


@pytest.mark.parametrize("mode", ["cls_token", "max_tokens"])
def test_it_pools_as_the_model_says(embedder, tmp_path, mode):
    other = write_model(tmp_path / "other", pooling={f"pooling_mode_{mode}": True})
    made = TransformerEmbedder.load(str(other)).embed(["xin chào rau"])[0]
    assert np.isfinite(made).all()
    assert abs(float(made @ embedder.embed(["xin chào rau"])[0])) < 0.999


def test_what_it_cannot_compute_is_refused(tmp_path):
    dense = write_model(tmp_path / "dense", modules=("Transformer", "Pooling", "Dense"))
    both = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}
    several = write_model(tmp_path / "several", pooling=both)
    last = write_model(tmp_path / "last", pooling={"pooling_mode_lasttoken": True})
    empty = tmp_path / "empty"
    empty.mkdir()
    for bad in (dense, several, last, empty):
        with pytest.raises(ConfigError) as refusal:
            TransformerEmbedder.load(str(bad))
        assert refusal.value.code == "config.embedder"


def test_searching_with_it(embedder, make_site):
    site = make_site(lambda rarity: embedder)
    site.say("a", "mua rau")
    site.say("b", "xin chào")
    assert site.names("mua rau")[0] == "a"
    assert {text.embedder for text in site.texts().values()} == {embedder.version}
