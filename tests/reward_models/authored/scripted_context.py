"""An author's context whose programs are verified for real, in a worker process."""

from __future__ import annotations

import numpy as np

from densegym.reward_models.authored.screening.bank import Bank, Trajectory
from densegym.reward_models.authored.search.context import Judgement
from densegym.reward_models.authored.verification.verify import verify
from tests.reward_models.authored.fake_context import FakeContext
from tests.toys import CARD


def scripted(replies, bank, *, worker, card=CARD, **more) -> FakeContext:
    """Return a context on the toy card, or another, whose judge is the verification."""
    samples = {name: values[::2] for name, values in bank.stacked().items()}

    def judge(source: str) -> Judgement:
        verdict = verify(source, card, samples=samples, worker=worker)
        return Judgement(status=verdict.status, feedback=verdict.feedback)

    return FakeContext(replies, judge=judge, bank=bank, card=card, **more)


def make_bank(seed: int = 0, episodes: int = 40) -> Bank:
    """Return random walks on the toy card whose level of ``height`` and ``told`` differs."""
    rng = np.random.default_rng(seed)
    return Bank(task=CARD.id, gamma=0.99, trajectories=tuple(_walk(rng) for _ in range(episodes)))


def _walk(rng: np.random.Generator) -> Trajectory:
    steps, level = int(rng.integers(20, 40)), rng.normal(size=4)
    position = level[:3] + 0.3 * rng.normal(size=(steps + 1, 3))
    features = {
        "position": position[1:],
        "prev_position": position[:-1],
        "height": position[1:, 2],
        "prev_height": position[:-1, 2],
        "push": rng.normal(size=(steps, 2)),
        "told": level[3] + 0.3 * rng.normal(size=steps),
        "terminated": np.zeros(steps, dtype=bool),
    }
    success = bool(level[2] > 0.5)
    return Trajectory(features=features, source="random", success=success, fitness=float(success))
