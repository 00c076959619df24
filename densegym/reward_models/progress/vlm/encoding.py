"""Texts with pictures as tensors, for the model families the released checkpoints belong to.

The chat format and the place holders of pictures are part of what a checkpoint was trained on and
the same within a family, so they are written here; only the tokenizer and the numbers of the
picture processor are read from the checkpoint. This needs no torchvision.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from densegym.errors import ProgressBackendError, require
from densegym.reward_models.progress.vlm.template import Part
from densegym.reward_models.types import Frames

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_SPECIAL = re.compile(r"<\|(\w+)\|>|<(/?(?:img|IMG_CONTEXT|s|value|relative_value))>")


@dataclass(frozen=True, slots=True)
class Family:
    """How a family writes a picture into its text.

    Attributes:
        start: token before a picture.
        pad: token that stands for a piece of it.
        end: token after it.
        after: text that follows a picture, beside what the prompt says.
        system: what it is told where nothing else is.
    """

    start: str
    pad: str
    end: str
    system: str = ""
    after: str = ""


_QWEN = Family("<|vision_start|>", "<|image_pad|>", "<|vision_end|>")
_QWEN25 = Family(_QWEN.start, _QWEN.pad, _QWEN.end, "You are a helpful assistant.")
_INTERN = Family("<img>", "<IMG_CONTEXT>", "</img>", after="\n")
FAMILIES: Mapping[str, Family] = {
    "qwen2_5_vl": _QWEN25,
    "qwen3_vl": _QWEN,
    "robometer": _QWEN,
    "rynn_value_lang": _QWEN,
    "internvl": _INTERN,
}


class Encoder:
    """Makes a model's inputs.

    Args:
        family: how pictures are written.
        tokenizer: of the checkpoint.
        pictures: returns the tensors of pictures, and how many pads each of them takes.
        device: of the tensors.

    Raises:
        ProgressBackendError: the tokenizer lacks a token of the family.
    """

    def __init__(self, family: Family, tokenizer: Any, pictures: Any, device: str) -> None:
        self.family, self.tokenizer = family, tokenizer
        self._pictures, self.device = pictures, device
        self.pad_id = self.token(family.pad)
        for token in (family.start, family.end, "<|im_start|>", "<|im_end|>"):
            self.token(token)
        self.end_id = self.token("<|im_end|>")

    @classmethod
    def of(
        cls,
        path: Path,
        config: Mapping[str, Any],
        device: str,
        tokenizer: Any = None,
        **pixels: int,
    ) -> Encoder:
        """Return the encoder of a checkpoint.

        Args:
            path: folder with tokenizer and picture settings.
            config: of the model.
            device: of the tensors.
            tokenizer: where it is not read from the folder.
            **pixels: ``min_pixels`` and ``max_pixels`` of a picture.

        Raises:
            ProgressBackendError: tokenizer or picture settings are missing or damaged.
        """
        transformers = require("transformers", extra="vision")
        kind = str(config.get("model_type"))
        try:
            if tokenizer is None:
                tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
            if kind == "internvl":
                pictures: Any = _InternPictures(config)
            else:
                pictures = _QwenPictures(path, **pixels)
        except Exception as error:  # transformers raises whatever its parts raise
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise ProgressBackendError(
                f"tokenizer or preprocessor_config.json of {path} cannot be loaded: {said[0][:300]}"
            ) from error
        return cls(FAMILIES[kind], tokenizer, pictures, device)

    def token(self, token: str) -> int:
        """Return the number of a special token."""
        number = self.tokenizer.get_vocab().get(token)
        if number is None:
            raise ProgressBackendError(
                f"the tokenizer has no token {token}: it belongs to another model"
            )
        return int(number)

    def chat(self, parts: Sequence[Part], system: str = "", *, reply: bool = True) -> list[Part]:
        """Return parts as one turn of a user, open for a reply or closed."""
        told = system or self.family.system
        head = f"<|im_start|>system\n{told}<|im_end|>\n" if told else ""
        tail = "<|im_end|>\n" + ("<|im_start|>assistant\n" if reply else "")
        return [f"{head}<|im_start|>user\n", *parts, tail]

    def encode(self, rows: Sequence[Sequence[Part]], *, left: bool) -> dict[str, Any]:
        """Return ``input_ids``, masks and pictures of several texts, padded on one side."""
        torch = require("torch", extra="agents")
        shown = [part for row in rows for part in row if not isinstance(part, str)]
        tensors, counts = self._pictures(shown) if shown else ({}, [])
        left_over = iter(counts)
        texts = ["".join(self._write(part, left_over) for part in row) for row in rows]
        ids = [self.tokenizer(text)["input_ids"] for text in texts]
        longest = max(map(len, ids))
        padded = np.full((len(ids), longest), self.tokenizer.pad_token_id or self.end_id)
        mask = np.zeros((len(ids), longest), dtype=np.int64)
        for row, one in enumerate(ids):
            where = slice(longest - len(one), None) if left else slice(None, len(one))
            padded[row, where], mask[row, where] = one, 1
        batch = {"input_ids": torch.from_numpy(padded), "attention_mask": torch.from_numpy(mask)}
        if "image_grid_thw" in tensors:
            kinds = (padded == self.pad_id).astype(np.int64)
            batch["mm_token_type_ids"] = torch.from_numpy(kinds)
        return {key: value.to(self.device) for key, value in {**batch, **tensors}.items()}

    def _write(self, part: Part, counts: Any) -> str:
        if isinstance(part, str):
            return part
        family = self.family
        return f"{family.start}{family.pad * next(counts)}{family.end}{family.after}"


def harmless(parts: Sequence[Part]) -> list[Part]:
    """Return parts whose texts hold no special tokens, which a task's sentence might smuggle in."""
    return [_SPECIAL.sub(_plain, part) if isinstance(part, str) else part for part in parts]


def _plain(token: re.Match[str]) -> str:
    return f"<{token[1]}>" if token[1] else f"({token[2]})"


class _QwenPictures:
    """Qwen's pictures: as large as they are, in multiples of a patch."""

    def __init__(self, path: Path, **pixels: int) -> None:
        transformers = require("transformers", extra="vision")
        self._processor = transformers.AutoImageProcessor.from_pretrained(
            path, local_files_only=True, backend="pil"
        )
        if pixels:
            self._processor.size = {
                "shortest_edge": pixels["min_pixels"],
                "longest_edge": pixels["max_pixels"],
            }
        self._merged = int(self._processor.merge_size) ** 2

    def __call__(self, pictures: Sequence[Frames]) -> tuple[dict[str, Any], list[int]]:
        made = self._processor(images=list(pictures), return_tensors="pt")
        grid = made["image_grid_thw"]
        counts = (grid.prod(dim=1) // self._merged).tolist()
        return {"pixel_values": made["pixel_values"], "image_grid_thw": grid}, counts


class _InternPictures:
    """InternVL's pictures: one tile each, of the size the model was made for."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        size = config["vision_config"]["image_size"]
        self._size = int(size[0] if isinstance(size, list | tuple) else size)
        self._count = int(config["image_seq_length"])

    def __call__(self, pictures: Sequence[Frames]) -> tuple[dict[str, Any], list[int]]:
        torch = require("torch", extra="agents")
        pil: Any = require("PIL.Image", extra="vision")
        side = (self._size, self._size)
        resized = [
            np.asarray(pil.fromarray(picture).resize(side, pil.Resampling.LANCZOS))
            for picture in pictures
        ]
        mean, deviation = (np.array(row, dtype=np.float32) for row in _IMAGENET)
        scaled = (np.stack(resized).astype(np.float32) / 255.0 - mean) / deviation
        values = torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)))
        return {"pixel_values": values}, [self._count] * len(pictures)
