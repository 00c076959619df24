"""The small network of the local judge: a shared encoder per view, a hop head and a done head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 64  # of one view's code
BINS = 21  # of the hop, from -1 to 1
_DROPOUT = 0.1


class ProgressNetwork(nn.Module):
    """119 thousand parameters for two views of 64 pixels.

    The hop head sees [before, after, after - before, after - start] and returns logits over 21
    hops; the done head sees one code. No step index enters anywhere.

    Args:
        views: number of cameras.
        size: height and width of a picture, pixels.
    """

    def __init__(self, views: int, size: int = 64) -> None:
        super().__init__()
        self.views, self.size = views, size
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 4, 2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, 2),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, 2),
            nn.ReLU(),
            nn.Flatten(),
        )
        with torch.no_grad():
            flat = self.layers(torch.zeros(1, 3, size, size)).shape[1]
        self.code = nn.Sequential(nn.Linear(flat, WIDTH), nn.LayerNorm(WIDTH))
        self.hop_head = nn.Sequential(
            nn.Linear(4 * WIDTH * views, 128), nn.ReLU(), nn.Dropout(_DROPOUT), nn.Linear(128, BINS)
        )
        self.done_head = nn.Sequential(nn.Linear(WIDTH * views, 64), nn.ReLU(), nn.Linear(64, 1))
        self.register_buffer("bins", torch.linspace(-1.0, 1.0, BINS))

    def encode(self, pictures: Tensor) -> Tensor:
        """Return codes (B, V * 64) of pictures (B, V, H, W, 3) in [0, 255], any dtype."""
        count = len(pictures)
        flat = pictures.flatten(0, 1).permute(0, 3, 1, 2).float() / 255.0 - 0.5
        codes: Tensor = self.code(self.layers(flat))
        return codes.reshape(count, -1)

    def hop_logits(self, before: Tensor, after: Tensor, start: Tensor) -> Tensor:
        """Return logits (B, 21) over hops."""
        logits: Tensor = self.hop_head(
            torch.cat([before, after, after - before, after - start], dim=1)
        )
        return logits

    def hop(self, before: Tensor, after: Tensor, start: Tensor) -> Tensor:
        """Return the expected hop (B,) in [-1, 1]."""
        shares = functional.softmax(self.hop_logits(before, after, start), dim=1)
        expected: Tensor = shares @ self.get_buffer("bins")
        return expected

    def done_logit(self, code: Tensor) -> Tensor:
        """Return the logit (B,) of the task being completed."""
        logit: Tensor = self.done_head(code)
        return logit.squeeze(1)

    def shift_done(self, amount: float) -> None:
        """Add to every done logit from now on."""
        last = self.done_head[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.bias.add_(amount)


def two_hot(hop: Tensor) -> Tensor:
    """Return (B, 21) shares of the two bins around each hop."""
    place = (hop.clamp(-1.0, 1.0) + 1.0) * (BINS - 1) / 2.0
    low = place.floor().clamp(max=BINS - 2)
    shares = torch.zeros(len(hop), BINS)
    shares.scatter_(1, low.long()[:, None], (1.0 - (place - low))[:, None])
    shares.scatter_(1, low.long()[:, None] + 1, (place - low)[:, None])
    return shares
