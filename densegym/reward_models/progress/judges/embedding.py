"""Distance to pictures of the finished task in a frozen embedding, as with VIP and R3M.

Sources: VIP (arXiv 2210.00030) and R3M (2203.12601), whose reward is the change of the distance
between the embeddings of a state and of a goal picture. Where we depart: their networks come with
no package, so the embedding is ImageNet's (``features.efficientnet``); of several goals the nearest
counts; distances are told relative to the start's, which makes them a potential in [0, 1]; and
features are divided by their spread over the examples' pictures where these are films. A frozen
embedding does not know what matters: a robot that moves away and comes back changes it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.progress.judge import (
    BaseJudge,
    Seen,
    Verdict,
    check_images,
    hop_between,
)
from densegym.reward_models.progress.judges.examples import (
    IMAGENET,
    Examples,
    Features,
    by_view,
    find_features,
    read_examples,
)
from densegym.reward_models.progress.judges.options import Fusing, potential
from densegym.reward_models.progress.potential import ProgressPotential
from densegym.reward_models.progress.vlm.pictures import fit
from densegym.reward_models.types import Float, Frames, TaskCard

ORIGIN = 0.4  # Φ of a start; states farther from the goal lie below


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingOptions:
    """What can be chosen of an embedding.

    Attributes:
        goal: pictures of the finished task from other attempts, or films, whose last picture
            counts; none takes the task's expert demonstrations.
        features: ``"efficientnet-lite0"``, ``"random-conv"`` or ``"pixels"``.
        side: pixels to which ImageNet's network is shown a picture; a multiple of 32.
    """

    goal: str | Sequence[str] = ()
    features: str = IMAGENET
    side: int = 128


class EmbeddingJudge(BaseJudge):
    """Says how much nearer to the goal a picture is, relative to the start's distance.

    Args:
        examples: whose last pictures are the goals.
        features: of pictures.
        side: pixels in which pictures are resized before.

    Raises:
        RewardError: no example.
    """

    name = "embedding"
    origin = ORIGIN

    def __init__(self, examples: Examples, features: Features, side: int) -> None:
        if not examples.films:
            raise RewardError('"progress/embedding" needs a picture of the goal: "goal": [...]')
        self.pictures = examples.pictures
        self._features, self._side = features, side
        every = [self._embed(film) for film in examples.films]
        self._scale = _scale(np.concatenate(every))
        self._goals = np.stack([film[-1] * self._scale for film in every])

    def see(self, images: Frames) -> Seen:
        """Return scaled features (B, V, D) of pictures (B, V, H, W, 3)."""
        seen: Seen = self._embed(check_images(images, self.name)) * self._scale
        return seen

    def hop(
        self, before: Seen, after: Seen, start: Seen, goal: Seen | None, text: Sequence[str]
    ) -> Verdict:
        """Return the hop between two values; ``goal`` is not read."""
        first, value = self.values(before, start), self.values(after, start)
        return Verdict(hop_between(first, value), np.ones(len(value), dtype=np.bool_))

    def values(self, seen: Seen, start: Seen) -> Float:
        """Return Φ in [0, 1]: 1 at a goal, the origin at the start's distance from it."""
        whole = np.maximum(self.distance(start), 1e-9)
        far = self.distance(seen) / whole
        return np.clip(1.0 - (1.0 - self.origin) * far, 0.0, 1.0)

    def distance(self, seen: Seen) -> Float:
        """Return the distance (B,) of seen pictures to the nearest goal."""
        views = self._goals.shape[1]
        gap = np.linalg.norm(seen[:, None, :views] - self._goals[None], axis=-1)
        nearest: Float = np.sqrt(np.square(gap).sum(axis=-1)).min(axis=1)
        return nearest

    def _embed(self, images: Frames) -> Float:
        return by_view(self._features, fit(images, self._side, "letterbox"))


def _scale(seen: Float) -> Float:
    """Return (V, D): one over the spread of features, softened by the middle one; 1 for one."""
    if len(seen) < 3:
        return np.ones(seen.shape[1:])
    spread = seen.std(axis=0)
    scale: Float = 1.0 / np.maximum(spread + np.median(spread), 1e-9)
    return scale


def build(
    *, task: TaskCard, seed: int, options: EmbeddingOptions, fusing: Fusing
) -> ProgressPotential:
    """Build ``progress/embedding``.

    Args:
        task: whose demonstrations are the goals where none is named.
        seed: of random convolutions.
        options: of the judge.
        fusing: how hops become Φ.

    Raises:
        RewardError: there is no goal.
        MissingExtraError: the network's weights are not installed.
    """
    features, side = find_features(options.features, options.side, seed)
    examples = read_examples(options.goal, task, side, "goal")
    return potential("embedding", EmbeddingJudge(examples, features, side), fusing, "forward")
