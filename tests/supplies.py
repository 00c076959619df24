"""Files of a user's that examples of specifications name, made for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from densegym.reward_models.catalogue import RewardEntry
from densegym.reward_models.types import TaskCard

PROGRAM = """import numpy as np


def compute_reward({name}):
    total = np.tanh(0.1 * np.reshape({name}, (len({name}), -1)).sum(axis=1))
    return total, {{"term": total}}
"""


def example(entry: RewardEntry, card: TaskCard, folder: Path) -> Any:
    """Return a specification of a reward whose files exist, written into ``folder``."""
    made = entry.example()
    if entry.name == "authored/file":
        path = folder / "my_reward.py"
        path.write_text(PROGRAM.format(name=card.features[0].name), encoding="utf-8")
        return {**made, "path": str(path)}
    if entry.name == "progress/perceptual":
        return {**made, "demos": [str(_demo(folder / "demo"))]}
    if entry.name == "progress/embedding":
        goal = str(_demo(folder / "demo") / "000.png")
        return {**made, "goal": [goal], "features": "random-conv"}
    return made


def _demo(folder: Path) -> Path:
    from PIL import Image

    if not folder.is_dir():
        folder.mkdir()
        pixels = np.random.default_rng(0).integers(0, 255, (40, 32, 32, 3), dtype=np.uint8)
        for t, picture in enumerate(pixels):
            Image.fromarray(picture).save(folder / f"{t:03d}.png")
    return folder
