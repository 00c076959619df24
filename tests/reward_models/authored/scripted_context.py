"""An author's context without a search: scripted replies, real verification, rows in memory."""

from __future__ import annotations

import numpy as np

from densegym.reward_models.authored.screening.bank import Bank, Trajectory
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.verification.verify import verify
from densegym.reward_models.llm.types import Reply
from tests.toys import CARD


class ScriptedContext:
    """Implements ``author.Context``; replies come from a list of texts, Replies, and Nones."""

    def __init__(self, replies, bank, *, worker, card=CARD, rows=(), candidates=1, **options):
        self.card, self.bank, self.rows = card, bank, list(rows)
        self.candidates, self.options = candidates, options
        self.iteration = 1 if rows else 0
        self.rng = np.random.default_rng(0)
        self.feedback = ""
        self.asked: list[dict] = []
        self.submitted: list[tuple[Row, dict]] = []
        self._replies, self._worker = list(replies), worker

    def ask(self, messages, *, samples=1, temperature=None, schema=None, purpose=""):
        replies = [self._replies.pop(0) for _ in range(samples)]
        self.asked.append(
            {"messages": list(messages), "samples": samples, "temperature": temperature}
            | {"purpose": purpose, "text": "\n".join(turn["content"] for turn in messages)}
        )
        return [Reply(text=item) if isinstance(item, str) else item for item in replies]

    def submit(self, source, *, parents=(), reply=None, note="", train=True, prompt_hash=""):
        samples = {name: values[::2] for name, values in self.bank.stacked().items()}
        verdict = verify(source, self.card, samples=samples, worker=self._worker)
        row = Row(
            id=f"{self.iteration:02d}-{len(self.submitted):02d}",
            iteration=self.iteration,
            parents=tuple(parents),
            source=source,
            status=verdict.status,
            feedback=verdict.feedback,
            author={"note": note, "train": train},
        )
        self.submitted.append((row, {"reply": reply, "prompt_hash": prompt_hash}))
        return row

    @property
    def trained(self) -> list[Row]:
        """The rows that would be trained."""
        return [row for row, _ in self.submitted if row.status.passed and row.author["train"]]


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
