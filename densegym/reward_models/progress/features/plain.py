"""Features that need nothing downloaded: pixels in blocks, and fixed random convolutions."""

from __future__ import annotations

import numpy as np

from densegym.reward_models.types import Float, Frames

SIDE = 64  # pixels of the pictures that these are made for


def pixels(pictures: Frames) -> Float:
    """Return means over blocks of 8 x 8 pixels of pictures (B, H, W, 3) as (B, D)."""
    return _pooled(_centred(pictures), 8).reshape(len(pictures), -1)


class RandomConvolutions:
    """Three fixed random convolutions, each pooled to about 4 x 4.

    Args:
        seed: of the kernels.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        shapes = ((5, 3, 16), (3, 16, 32), (3, 32, 32))
        self._kernels: list[Float] = [
            rng.normal(size=(size, size, into, out)) / np.sqrt(size * size * into)
            for size, into, out in shapes
        ]

    def __call__(self, pictures: Frames) -> Float:
        """Return the features (B, D) of pictures (B, H, W, 3)."""
        x, found = _centred(pictures), []
        for kernel in self._kernels:
            x = np.maximum(_convolve(x, kernel), 0.0)
            found.append(_pooled(x, max(1, x.shape[1] // 4)).reshape(len(x), -1))
        return np.concatenate(found, axis=1)


def _centred(pictures: Frames) -> Float:
    return pictures.astype(np.float64) / 255.0 - 0.5


def _convolve(x: Float, kernel: Float) -> Float:
    """Return the convolution of (B, H, W, C) with stride 2, without padding."""
    size = kernel.shape[0]
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))[:, ::2, ::2]
    result: Float = np.einsum("bhwcij,ijco->bhwo", windows, kernel, optimize=True)
    return result


def _pooled(x: Float, size: int) -> Float:
    """Return means over blocks of ``size`` squared pixels."""
    height, width = x.shape[1] // size, x.shape[2] // size
    cut = x[:, : height * size, : width * size]
    blocks: Float = cut.reshape(len(x), height, size, width, size, -1).mean(axis=(2, 4))
    return blocks
