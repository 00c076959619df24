"""Counts how many steps of a policy a Meta-World state is away from success."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import numpy as np

_PLAIN = (bool, int, float, np.ndarray, type(None))


def metaworld_lookahead(env: Any, act: Callable[[Any], Any], obs: Any, limit: int) -> int:
    """Return ``steps_to_success`` of a ``MetaWorldEnv``."""
    return steps_to_success(env.sawyer, act, obs, limit)


def steps_to_success(sawyer: Any, act: Callable[[Any], Any], obs: Any, limit: int) -> int:
    """Return how many steps ``act`` needs from the present state, ``limit`` at most.

    The world is left as it was, bit for bit, so that its next step is what it would have been.

    Args:
        sawyer: upstream's environment, ``MetaWorldEnv.sawyer``.
        act: from an observation (39,) to an action (4,).
        obs: (39,) the present observation.
        limit: what is returned where more steps do not succeed.
    """
    with _aside(sawyer):
        sawyer.curr_path_length = 0
        for step in range(1, limit):
            obs, _, _, _, told = sawyer.step(act(obs))
            if told["success"]:
                return step
    return limit


@contextmanager
def _aside(sawyer: Any) -> Iterator[None]:
    """Let what happens inside happen to a copy."""
    data = sawyer.data
    # Tasks remember things of their own, such as the frame before, outside MuJoCo's data.
    own = {name: copy(value) for name, value in vars(sawyer).items() if isinstance(value, _PLAIN)}
    sawyer.data = copy(data)
    try:
        yield
    finally:
        vars(sawyer).update(own, data=data)
