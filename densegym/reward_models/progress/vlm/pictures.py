"""Pictures as vision-language models want them: their size, their file, their hash."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Literal, TypeAlias

import numpy as np

from densegym.errors import RewardError, require
from densegym.reward_models.types import Float, Frames

Fit: TypeAlias = Literal["letterbox", "stretch", "shrink"]
GREY = 128  # of the picture that stands for "no goal", as in Robo-Dopamine
CHANGED = 8  # of 255, in any channel, from which a pixel counts as another one
_JPEG_QUALITY = 90


def fit(images: Frames, size: int, how: Fit) -> Frames:
    """Return pictures (B, V, H, W, 3) resized with Lanczos.

    ``letterbox`` keeps the shape and pads with black to ``size`` squared; ``stretch`` does not
    keep the shape; ``shrink`` keeps it and only makes pictures smaller, to at most ``size``
    squared pixels.
    """
    height, width = images.shape[2:4]
    if how == "shrink":
        factor = min(1.0, size / (height * width) ** 0.5)
        target = (max(1, int(height * factor)), max(1, int(width * factor)))
    elif how == "stretch":
        target = (size, size)
    else:
        factor = size / max(height, width)
        target = (max(1, round(height * factor)), max(1, round(width * factor)))
    if target != (height, width):
        images = _resize(images, *target)
    if how != "letterbox" or target == (size, size):
        return images
    top, left = (size - target[0]) // 2, (size - target[1]) // 2
    padded = np.zeros((*images.shape[:2], size, size, 3), dtype=np.uint8)
    padded[:, :, top : top + target[0], left : left + target[1]] = images
    return padded


def _resize(images: Frames, height: int, width: int) -> Frames:
    pil: Any = require("PIL.Image", extra="vision")
    flat = images.reshape(-1, *images.shape[2:])
    lanczos = pil.Resampling.LANCZOS
    resized = [
        np.asarray(pil.fromarray(picture).resize((width, height), lanczos)) for picture in flat
    ]
    return np.stack(resized).reshape(*images.shape[:2], height, width, 3)


def grey_like(images: Frames) -> Frames:
    """Return the neutral pictures that stand for a goal nobody has shown."""
    return np.full_like(images, GREY)


def changed(before: Frames, after: Frames) -> Float:
    """Return (B,) which share of the pixels of pictures (B, V, H, W, 3) changed."""
    gap = np.abs(before.astype(np.int16) - after).max(axis=-1) > CHANGED
    return np.asarray(gap.mean(axis=(1, 2, 3)), dtype=np.float64)


def data_url(picture: Frames) -> str:
    """Return a picture (H, W, 3) as a data URL, JPEG of quality 90."""
    cv2: Any = require("cv2", extra="vision")
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    done, file = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality)
    if not done:
        raise RewardError(f"a picture {picture.shape} could not be compressed")
    return "data:image/jpeg;base64," + base64.b64encode(file.tobytes()).decode()


def digest(picture: Frames) -> bytes:
    """Return the hash of a picture's pixels and shape."""
    hashed = hashlib.blake2b(repr(picture.shape).encode(), digest_size=16)
    hashed.update(np.ascontiguousarray(picture).data)
    return hashed.digest()
