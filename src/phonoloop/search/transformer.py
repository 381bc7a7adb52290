"""Any sentence-transformers model as the embedder, for texts that mean alike.

Loaded through `transformers`, from a folder (no network is needed then) or by name. Of the modules that
such a model lists, pooling (mean, first token or maximum) and normalisation are done here; one with others
(a dense layer) is refused, since its vectors would not be what it says.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.core.errors import ConfigError

_BATCH = 32
_MOST_TOKENS = 512
#: RoBERTa's family begins to count its places at 2
_RESERVED_PLACES = 2
#: what is downloaded of a model that is given by name: weights in one format, never pickled ones
_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]
_KNOWN_MODULES = ("Transformer", "Pooling", "Normalize")
_MODES = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
}


class TransformerEmbedder:
    """See `load`."""

    def __init__(self, model: Any, tokenizer: Any, *, name: str, version: str, pooling: str) -> None:
        self._model, self._tokenizer, self._pooling = model, tokenizer, pooling
        self.name, self.version = name, version
        self.dimensions = int(model.config.hidden_size)
        self._lock = threading.Lock()

    @classmethod
    def load(cls, name: str) -> TransformerEmbedder:
        """Loads a folder, or a model by its name (from the cache of downloads, or the network).

        Raises:
            ConfigError: `config.missing_package`; `config.embedder`, for what cannot be loaded.
        """
        transformers = _library()
        try:
            folder = _folder(name)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = transformers.AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise _cannot(name, said[0]) from error
        pooling = _pooling(folder)
        model.eval()
        return cls(model, tokenizer, name=name, version=_version(name, model, pooling), pooling=pooling)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """The same row for a text in any company, but for rounding; texts too long for the model are cut."""
        rows = [self._embed(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH)]
        return np.concatenate([np.zeros((0, self.dimensions), np.float32), *rows])

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        import torch

        places = getattr(self._model.config, "max_position_embeddings", _MOST_TOKENS)
        limit = min(self._tokenizer.model_max_length, _MOST_TOKENS, places - _RESERVED_PLACES)
        with self._lock:  # tokenizers cannot be used by two threads at once
            taken = self._tokenizer(
                list(texts), padding=True, truncation=True, max_length=limit, return_tensors="pt"
            )
        with torch.inference_mode():
            states = self._model(**taken).last_hidden_state
            pooled = _pooled(states, taken["attention_mask"].unsqueeze(-1).to(states.dtype), self._pooling)
            pooled = torch.nn.functional.normalize(pooled.float(), dim=1).numpy()
        pooled[[not text.strip() for text in texts]] = 0.0
        return pooled


def _library() -> Any:
    try:
        import torch  # noqa: F401 (transformers imports without it, and then cannot load anything)
        import transformers
    except ImportError as error:
        raise ConfigError(
            f"this embedder needs {error.name}, which is not installed",
            code="config.missing_package",
            subject="EMBEDDER",
            hint="pip install 'phonoloop[embedders]', or leave EMBEDDER empty for the built-in one",
        ) from error
    return transformers


def _folder(name: str) -> Path:
    """The folder itself, or where a model of that name is downloaded to."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name, allow_patterns=_FILES))


def _pooled(states: Any, mask: Any, how: str) -> Any:
    """(n, tokens, d) states and (n, tokens, 1) mask → (n, d)."""
    if how == "cls":
        return states[:, 0]
    if how == "max":
        return states.masked_fill(mask == 0, float("-inf")).max(dim=1).values
    return (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def _pooling(folder: Path) -> str:
    """What `modules.json` and the pooling's settings say; the mean where they are not there."""
    modules = _read_json(folder / "modules.json", [])
    kinds = [str(module.get("type", "")).rpartition(".")[2] for module in modules]
    if unknown := [kind for kind in kinds if kind not in _KNOWN_MODULES]:
        raise _cannot(str(folder), f"it has a module of kind {unknown[0]}")
    places = [m["path"] for m, kind in zip(modules, kinds, strict=True) if kind == "Pooling"]
    settings = _read_json(folder / places[0] / "config.json", {}) if places else {}
    asked = [mode for key, mode in _MODES.items() if settings.get(key)]
    if len(asked) > 1 or any(settings.get(key) for key in settings if key not in _MODES and "mode_" in key):
        raise _cannot(str(folder), "it pools in several ways, or in one that is not known here")
    return asked[0] if asked else "mean"


def _read_json(path: Path, default: Any) -> Any:
    if not path.is_file():
        return default
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _cannot(str(path), f"it is no JSON ({error})") from error


def _version(name: str, model: Any, pooling: str) -> str:
    """From the weights themselves: the same name or folder may hold others tomorrow."""
    digest = hashlib.sha256(pooling.encode())
    for key, value in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().float().contiguous().numpy().tobytes())
    return f"{Path(name).name}-{digest.hexdigest()[:16]}"


def _cannot(name: str, why: str) -> ConfigError:
    return ConfigError(
        f"this embedder cannot be loaded: {why}",
        code="config.embedder",
        subject=name,
        hint="Name a folder as sentence-transformers saves it: config.json, model.safetensors, a tokenizer",
    )
