"""Opens released checkpoints from disk: checked first, without foreign code, without pickles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from densegym.errors import ProgressBackendError, require
from densegym.reward_models.progress.vlm import internvl
from densegym.reward_models.progress.vlm.encoding import Encoder

_INDEX, _SINGLE = "model.safetensors.index.json", "model.safetensors"


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint that can be used.

    Attributes:
        model: in evaluation mode, on its device.
        encoder: makes its inputs.
        who: name of the folder and hash of its weights' description, for cache keys.
    """

    model: Any
    encoder: Encoder
    who: str


def open_checkpoint(
    folder: str,
    architectures: Mapping[str, str],
    device: str = "auto",
    dtype: str = "auto",
    **pixels: int,
) -> Opened:
    """Open a vision-language model that writes.

    Args:
        folder: of the checkpoint.
        architectures: accepted model types, and what they are in words.
        device: e.g. ``"cuda:0"``; "auto" takes a GPU if there is one.
        dtype: e.g. ``"bfloat16"``; "auto" is the checkpoint's own on a GPU, float32 on a CPU.
        **pixels: ``min_pixels`` and ``max_pixels`` of a picture.

    Raises:
        ProgressBackendError: missing, damaged, incomplete, or of another architecture.
        MissingExtraError: transformers is not installed.
    """
    path = Path(folder)
    config = read_config(path, architectures)
    files = weight_files(path)
    transformers = require("transformers", extra="vision")
    require("torch", extra="agents")
    place, kind = placed(device, dtype)
    words = None
    try:
        if config.get("model_type") == internvl.TYPE:
            model, info, config, words = internvl.open_released(path, config, files, kind)
        else:
            model, info = transformers.AutoModelForImageTextToText.from_pretrained(
                path,
                local_files_only=True,
                use_safetensors=True,
                dtype=kind,
                output_loading_info=True,
            )
    except ProgressBackendError:
        raise
    except Exception as error:  # transformers raises whatever its parts raise
        raise broken(path, error) from error
    complete(path, info)
    encoder = Encoder.of(path, config, place, words, **pixels)
    return Opened(model.eval().to(place), encoder, identity(path, files))


def read_config(path: Path, architectures: Mapping[str, str]) -> dict[str, Any]:
    """Return ``config.json`` of a checkpoint of an accepted architecture.

    Raises:
        ProgressBackendError: none there, or another architecture.
    """
    try:
        config: dict[str, Any] = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProgressBackendError(
            f"{path} is no checkpoint: its config.json cannot be read ({error}). Download the "
            f"released one with: hf download MODEL --local-dir {path}"
        ) from error
    given = config.get("model_type", config.get("type"))
    released = given == internvl.TYPE and "internvl" in architectures
    if given not in architectures and not released:
        known = ", ".join(f"{name} ({words})" for name, words in architectures.items())
        raise ProgressBackendError(f'{path} is of architecture "{given}"; expected {known}')
    return config


def weight_files(path: Path) -> list[Path]:
    """Return the files with the weights, each of which can be opened and is whole.

    Raises:
        ProgressBackendError: none there, one is missing, or one is damaged.
    """
    safetensors = require("safetensors", extra="vision")
    if (path / _INDEX).is_file():
        try:
            index = json.loads((path / _INDEX).read_text(encoding="utf-8"))
            files = sorted({path / name for name in index["weight_map"].values()})
        except (ValueError, KeyError, AttributeError) as error:
            raise broken(path / _INDEX, error) from error
    else:
        files = [path / _SINGLE]
    for file in files:
        if not file.is_file():
            raise ProgressBackendError(
                f"{file} is missing; weights are read from safetensors files only"
            )
        try:
            with safetensors.safe_open(file, framework="np"):
                pass
        except (safetensors.SafetensorError, OSError) as error:
            raise broken(file, error) from error
    return files


def identity(path: Path, files: list[Path]) -> str:
    """Return a name that changes with the checkpoint: its folder, and size and time of weights."""
    stats = [file.stat() for file in files]
    return f"{path.resolve().name}-{sum(s.st_size for s in stats)}-{stats[0].st_mtime_ns}"


def placed(device: str, dtype: str) -> tuple[str, Any]:
    """Return the device, and the dtype as transformers takes it.

    Raises:
        ProgressBackendError: torch knows no such dtype.
    """
    torch = require("torch", extra="agents")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if dtype == "auto":
        return device, torch.float32 if device == "cpu" else "auto"
    kind = getattr(torch, dtype, None)
    if not isinstance(kind, torch.dtype):
        raise ProgressBackendError(f'dtype is "auto", "float32" or "bfloat16"; given "{dtype}"')
    return device, kind


def complete(path: Path, info: Mapping[str, Any]) -> None:
    """Raise ProgressBackendError if weights of the model are not in the checkpoint."""
    missing = sorted(str(key) for key in info.get("missing_keys", ()))
    wrong = sorted(str(key) for key in info.get("mismatched_keys", ()))
    if missing or wrong:
        raise ProgressBackendError(
            f"{path} does not fit its config: {len(missing)} weights are missing and {len(wrong)} "
            f"have another shape, e.g. {(missing + wrong)[0]}"
        )


def broken(path: Path, error: Exception) -> ProgressBackendError:
    """Return the error of a file or folder that cannot be loaded."""
    said = str(error).strip().splitlines() or [type(error).__name__]
    return ProgressBackendError(f"{path} cannot be loaded: {said[0][:300]}. Download it again.")
