"""Loads the Qwen3-VL below a head, whatever prefix the head's checkpoint put before its weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from densegym.errors import ProgressBackendError
from densegym.reward_models.progress.vlm.access import Access
from densegym.reward_models.progress.vlm.loading import (
    broken,
    complete,
    placed,
    read_config,
    weight_files,
)

M = TypeVar("M", bound=nn.Module)

_SETTINGS = (
    "text_config",
    "vision_config",
    "image_token_id",
    "video_token_id",
    "vision_start_token_id",
    "vision_end_token_id",
    "tie_word_embeddings",
)
_PREFIXES = (("", ""), ("model.", ""), ("", "model."))  # (taken off, put on)


@dataclass(frozen=True, slots=True)
class Backbone:
    """The Qwen3-VL of a checkpoint with heads.

    Attributes:
        path: of the checkpoint.
        config: of the backbone; of the whole checkpoint where that is not nested.
        model: in evaluation mode, on its device.
        device: the device.
        heads: weights of the heads.
    """

    path: Path
    config: Mapping[str, Any]
    model: Any
    device: str
    heads: Mapping[str, Tensor]

    def fit(self, head: M, prefix: str) -> M:
        """Give a head the weights under a prefix, in evaluation mode beside the backbone.

        Raises:
            ProgressBackendError: they have other names or another shape.
        """
        own = {k.removeprefix(prefix): v for k, v in self.heads.items() if k.startswith(prefix)}
        try:
            head.load_state_dict(own)
        except RuntimeError as error:
            raise ProgressBackendError(
                f"{self.path}: the weights of {prefix[:-1]} do not fit: {error}"
            ) from error
        return head.eval().to(self.device, self.model.dtype)


def open_backbone(
    access: Access,
    architectures: Mapping[str, str],
    head: re.Pattern[str],
    unused: tuple[str, ...] = (),
) -> Backbone:
    """Open a checkpoint with heads.

    Args:
        access: names the folder, device and dtype.
        architectures: accepted model types.
        head: matches the names of the heads' weights.
        unused: beginnings of names the checkpoint may lack.

    Raises:
        ProgressBackendError: missing, damaged, incomplete, or of another architecture.
    """
    assert access.checkpoint is not None
    path = Path(access.checkpoint)
    whole = read_config(path, architectures)
    config = dict(whole.get("vlm_config") or whole)
    weights = {key: value for file in weight_files(path) for key, value in load_file(file).items()}
    device, dtype = placed(access.device, access.dtype)
    heads = {key: value for key, value in weights.items() if head.match(key)}
    own = {key: value for key, value in weights.items() if key not in heads}
    model = _load(path, _settings(path, config), own, dtype, unused)
    return Backbone(path, config, model.to(device), device, heads)


def _settings(path: Path, config: Mapping[str, Any]) -> Qwen3VLConfig:
    own = {key: config[key] for key in _SETTINGS if key in config}
    try:
        return Qwen3VLConfig(**own)
    except Exception as error:  # transformers raises whatever its parts raise
        raise broken(path / "config.json", error) from error


def _load(
    path: Path, settings: Any, weights: Mapping[str, Tensor], dtype: Any, unused: tuple[str, ...]
) -> Any:
    with torch.device("meta"):
        wanted = set(Qwen3VLForConditionalGeneration(settings).state_dict())
    renamed = max(
        (_rename(weights, *change) for change in _PREFIXES), key=lambda r: len(wanted & set(r))
    )
    dtype = next(iter(weights.values())).dtype if dtype == "auto" else dtype
    opening: Any = Qwen3VLForConditionalGeneration  # its types know no output_loading_info
    try:
        model, info = opening.from_pretrained(
            None, config=settings, state_dict=renamed, dtype=dtype, output_loading_info=True
        )
    except Exception as error:  # transformers raises whatever its parts raise
        raise broken(path, error) from error
    missing = {key for key in info["missing_keys"] if not str(key).startswith(unused)}
    complete(path, {**info, "missing_keys": missing})
    return model.eval()


def last_hidden(backbone: Any, inputs: dict[str, Any]) -> Tensor:
    """Return the hidden states (B, L, width) of the last layer."""
    inputs["pixel_values"] = inputs["pixel_values"].to(backbone.dtype)
    with torch.inference_mode():
        hidden: Tensor = backbone.model(**inputs).last_hidden_state
    return hidden


def _rename(weights: Mapping[str, Tensor], off: str, on: str) -> dict[str, Tensor]:
    return {
        on + key.removeprefix(off): value for key, value in weights.items() if key.startswith(off)
    }
