"""Loads the Qwen3-VL below a head, whatever prefix the head's checkpoint put before its weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from densegym.reward_models.progress.vlm.loading import broken, complete

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


def read_weights(files: Iterable[Path]) -> dict[str, Tensor]:
    """Return the weights of safetensors files."""
    return {key: value for file in files for key, value in load_file(file).items()}


def qwen3_settings(path: Path, config: Mapping[str, Any]) -> Qwen3VLConfig:
    """Return the backbone's configuration out of that of a checkpoint with heads.

    Raises:
        ProgressBackendError: it holds none.
    """
    own = {key: config[key] for key in _SETTINGS if key in config}
    try:
        return Qwen3VLConfig(**own)
    except Exception as error:  # transformers raises whatever its parts raise
        raise broken(path / "config.json", error) from error


def load_backbone(
    path: Path,
    settings: Any,
    weights: Mapping[str, Tensor],
    head: re.Pattern[str],
    dtype: Any,
    unused: tuple[str, ...] = (),
) -> tuple[Any, dict[str, Tensor]]:
    """Return the backbone in evaluation mode, and the weights of the heads.

    Args:
        path: of the checkpoint, for messages.
        settings: its configuration.
        weights: of the whole checkpoint.
        head: matches the names of the heads' weights.
        dtype: as transformers takes it.
        unused: beginnings of names the checkpoint may lack.

    Raises:
        ProgressBackendError: weights are missing or have another shape.
    """
    heads = {key: value for key, value in weights.items() if head.match(key)}
    own = {key: value for key, value in weights.items() if key not in heads}
    with torch.device("meta"):
        wanted = set(Qwen3VLForConditionalGeneration(settings).state_dict())
    renamed = max(
        (_rename(own, *change) for change in _PREFIXES), key=lambda r: len(wanted & set(r))
    )
    dtype = next(iter(own.values())).dtype if dtype == "auto" else dtype
    opening: Any = Qwen3VLForConditionalGeneration  # its types know no output_loading_info
    try:
        model, info = opening.from_pretrained(
            None, config=settings, state_dict=renamed, dtype=dtype, output_loading_info=True
        )
    except Exception as error:  # transformers raises whatever its parts raise
        raise broken(path, error) from error
    missing = {key for key in info["missing_keys"] if not str(key).startswith(unused)}
    complete(path, {**info, "missing_keys": missing})
    return model.eval(), heads


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
