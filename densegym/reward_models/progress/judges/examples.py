"""Attempts that succeeded, which a judge compares with: films of a user's, or demonstrations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from densegym.errors import DenseGymError, RewardError, require, unknown
from densegym.reward_models.progress import demos as files
from densegym.reward_models.progress.features.plain import SIDE, RandomConvolutions, pixels
from densegym.reward_models.progress.films import read_film
from densegym.reward_models.progress.vlm.pictures import fit
from densegym.reward_models.types import Float, Frames, Pictures, TaskCard

Features: TypeAlias = Callable[[Frames], Float]
"""Features (B, D) of pictures (B, H, W, 3) uint8."""
IMAGENET = "efficientnet-lite0"
FEATURES = (IMAGENET, "random-conv", "pixels")
_COLLECTED_SIZE = 64  # of the pictures that ``densegym demos collect`` takes


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Successful attempts as one kind of picture.

    Attributes:
        films: (T, V, size, size, 3) uint8 each; the last picture shows the finished task.
        pictures: what a host must render to be compared with them.
    """

    films: list[Frames]
    pictures: Pictures


def read_examples(paths: str | Sequence[str], task: TaskCard, size: int, option: str) -> Examples:
    """Return films as examples, or the task's expert demonstrations where none are named.

    Films show one view; demonstrations all views of the task card, up to the first success.

    Args:
        paths: films, folders of pictures or single pictures.
        task: whose demonstrations are taken.
        size: of a film's pictures, pixels.
        option: by which a user names films.

    Raises:
        RewardError: no film is named, and no demonstration was collected; says what to type.
    """
    named = [paths] if isinstance(paths, str) else list(paths)
    if named:
        films = [fit(read_film(path)[:, None], size, "letterbox") for path in named]
        return Examples(films, Pictures(size=size, markers=False))
    try:
        own = files.load(task.id, [files.EXPERT], collect=files.collecting(task))
    except DenseGymError as error:
        raise RewardError(
            f'{error}, or name films, folders of pictures or pictures with "{option}": [...].'
        ) from error
    films = [
        demo.pictures[: demo.done_at + 1]
        for demo in own
        if demo.done_at is not None and not demo.held_out and not demo.expert_from
    ]
    return Examples(films, Pictures(task.cameras, size=_COLLECTED_SIZE))  # as they were taken


def find_features(name: str, side: int, seed: int) -> tuple[Features, int]:
    """Return features by name, and the size in pixels of the pictures they are taken of.

    Args:
        name: one of ``FEATURES``.
        side: pixels of ImageNet's network; the others have their own.
        seed: of random convolutions.

    Raises:
        UnknownNameError: no such features.
        MissingExtraError: torch or the weights are not installed.
    """
    if name not in FEATURES:
        raise unknown("features", name, FEATURES)
    if name == "pixels":
        return pixels, SIDE
    if name == "random-conv":
        return RandomConvolutions(seed), SIDE
    require("torch", extra="features")
    from densegym.reward_models.progress.features.efficientnet import EfficientNetFeatures

    return EfficientNetFeatures(side), side


def by_view(features: Features, images: Frames) -> Float:
    """Return the features (B, V, D) of pictures (B, V, H, W, 3)."""
    flat = features(images.reshape(-1, *images.shape[2:]))
    return np.asarray(flat).reshape(*images.shape[:2], -1)
