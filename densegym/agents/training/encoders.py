"""Networks that read Dict observations, by the name a preset gives: ``policy.encoder``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from densegym.errors import DenseGymError, unknown

_CHARACTERS = 256
_BLSTATS_SCALE = {  # column of blstats: what makes it of order one
    0: 79, 1: 21, 10: 20, 11: 20, 12: 10, 13: 100, 14: 20, 15: 20, 16: 10, 18: 10, 19: 100,
    20: 1000, 21: 3, 22: 3, 23: 8, 24: 10, 25: 100,
}  # fmt: skip
_LIMIT = 5.0
_LETTER_WIDTH = 4


class NetHackEncoder(BaseFeaturesExtractor):
    """Embeds the map around the agent, the bottom line's numbers and the message.

    The crop's characters (or glyphs) are embedded; with ``channels`` they pass through two 3 x 3
    convolutions, without, straight into the mixing layer, which costs a third and, because the
    crop is centred on the agent, loses little. Seventeen of the bottom line's numbers are scaled
    by hand and clipped to +-5, so that no running moments are needed; the message's characters are
    embedded and mixed by one layer. Other entries are not read; leave them out of
    ``env.observation_keys`` to save their cost.

    Args:
        space: a Dict with any of ``chars_crop`` or ``glyphs_crop``, ``blstats`` and ``message``.
        features_dim: width of the result.
        embedding: width of an embedded cell.
        channels: of both convolutions; 0 leaves them out.
        message_length: how many characters of the message are read; 0 reads none.
        message_dim: width of the encoded message.

    Raises:
        DenseGymError: the observation has none of these entries.
    """

    def __init__(
        self,
        space: spaces.Dict,
        *,
        features_dim: int = 128,
        embedding: int = 8,
        channels: int = 0,
        message_length: int = 48,
        message_dim: int = 32,
    ) -> None:
        super().__init__(space, features_dim)
        self._map_key = next((k for k in ("chars_crop", "glyphs_crop") if k in space.spaces), None)
        self._message_length = message_length if "message" in space.spaces else 0
        width = 0
        if self._map_key is not None:
            crop: Any = space.spaces[self._map_key]
            self.cells = nn.Embedding(int(crop.high.max()) + 1, embedding)
            self.map, cells = _map(crop.shape, embedding, channels)
            width += cells
        if "blstats" in space.spaces:
            columns = torch.tensor(list(_BLSTATS_SCALE))
            self.columns: torch.Tensor
            self.scale: torch.Tensor
            self.register_buffer("columns", columns, persistent=False)
            scale = torch.tensor([1.0 / value for value in _BLSTATS_SCALE.values()])
            self.register_buffer("scale", scale, persistent=False)
            width += len(_BLSTATS_SCALE)
        if self._message_length:
            self.characters = nn.Embedding(_CHARACTERS, _LETTER_WIDTH, padding_idx=0)
            self.message = nn.Sequential(
                nn.Flatten(),
                nn.Linear(self._message_length * _LETTER_WIDTH, message_dim),
                nn.ReLU(),
            )
            width += message_dim
        if not width:
            raise DenseGymError(
                "the encoder nethack reads chars_crop or glyphs_crop, blstats and message; the "
                f"observation has {sorted(space.spaces)}. Write --set policy.encoder=flat"
            )
        self.mix = nn.Sequential(nn.Linear(width, features_dim), nn.ReLU())

    def forward(self, observations: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return (B, features_dim) float32."""
        parts = []
        if self._map_key is not None:
            cells = self.cells(observations[self._map_key].long())
            parts.append(self.map(cells))
        if "blstats" in observations:
            numbers = observations["blstats"][:, self.columns] * self.scale
            parts.append(numbers.clamp(-_LIMIT, _LIMIT))
        if self._message_length:
            text = observations["message"][:, : self._message_length]
            parts.append(self.message(self.characters(text.long())))
        mixed: torch.Tensor = self.mix(torch.cat(parts, dim=1))
        return mixed


class _ChannelsFirst(nn.Module):
    """Turns (B, H, W, C) into (B, C, H, W)."""

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        return cells.permute(0, 3, 1, 2)


def _map(shape: Sequence[int], embedding: int, channels: int) -> tuple[nn.Module, int]:
    """Return what follows the embedded cells of a crop, and how many numbers it gives."""
    height, width = (int(side) for side in shape)
    if not channels:
        return nn.Flatten(), embedding * height * width
    layers = nn.Sequential(
        _ChannelsFirst(),
        nn.Conv2d(embedding, channels, 3),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3),
        nn.ReLU(),
        nn.Flatten(),
    )
    return layers, channels * (height - 4) * (width - 4)


ENCODERS: Mapping[str, type[BaseFeaturesExtractor] | None] = {
    "flat": None,
    "nethack": NetHackEncoder,
}
"""By the name a preset gives; ``flat`` is Stable-Baselines3's own."""


def policy_kwargs(policy: Mapping[str, Any], space: spaces.Space[Any]) -> dict[str, Any]:
    """Return SB3's ``policy_kwargs`` of a configuration's ``[policy]`` table.

    ``encoder`` names a network of this module and ``encoder_kwargs`` its arguments; everything
    else is passed on.

    Raises:
        UnknownNameError: no such encoder.
        DenseGymError: the encoder reads a Dict and the world observes something else.
    """
    kwargs = dict(policy)
    name, options = kwargs.pop("encoder", "flat"), kwargs.pop("encoder_kwargs", {})
    if name not in ENCODERS:
        raise unknown("encoder", name, ENCODERS)
    encoder = ENCODERS[name]
    if encoder is None:
        return kwargs
    if not isinstance(space, spaces.Dict):
        raise DenseGymError(f"the encoder {name} reads Dict observations; this world gives {space}")
    return {**kwargs, "features_extractor_class": encoder, "features_extractor_kwargs": options}
