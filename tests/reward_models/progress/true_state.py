"""A vision-language model that is none: it knows every picture's true progress, give or take."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from densegym.reward_models.progress.vlm.pictures import data_url
from tests.chat_server import likely

FLOOR = -10.0  # of TOPReward's log-probabilities


class TrueState:
    """Answers GVL and TOPReward from the true state, with noise; for ``ChatServer``.

    Args:
        noise: standard deviation of what it says of a picture, in [0, 1].
        seed: of the noise.

    Attributes:
        asked: questions so far.
    """

    def __init__(self, noise: float, seed: int = 0) -> None:
        self._noise, self._rng = noise, np.random.default_rng(seed)
        self._known: dict[str, float] = {}
        self._lock = threading.Lock()
        self.asked = 0

    def show(self, picture: Any, progress: float) -> None:
        """Note the true progress of a picture (H, W, 3), as judges show it."""
        with self._lock:
            self._known[data_url(picture)] = float(progress)

    def __call__(self, request: Mapping[str, Any]) -> Any:
        """Return the reply: percents of the frames after the start, or how likely "True" is."""
        parts = request["messages"][-1]["content"]
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        with self._lock:
            self.asked += 1
            true = np.array([self._known[url] for url in urls])
            said = np.clip(true + self._rng.normal(0.0, self._noise, len(true)), 0.0, 1.0)
        if "True" not in parts[-1]["text"]:
            return json.dumps([round(100.0 * one, 1) for one in said[1:]])
        logprob = min(-1e-6, FLOOR * (1.0 - said[-1]))
        return likely("True", {"True": logprob, "False": math.log(-math.expm1(logprob))})
