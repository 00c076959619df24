"""MiniHack tasks that MiniHack 1.0.2 lacks or cannot make.

``KeyRoom-S10`` of the bonus study (Henaff et al., arXiv 2306.03236) is not registered there; the
crossings cannot be made with current MiniGrid, which refuses a size next to a width and a height.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from minihack.envs.keyroom import MiniHackKeyRoom
from minihack.envs.minigrid import MiniGridHack

from densegym.errors import require


class KeyRoomS10(MiniHackKeyRoom):  # type: ignore[misc]  # MiniHack ships no types
    """Find the key, open the closet, in a room of 10 x 10 with a closet of 3 x 3."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_episode_steps", 300)
        super().__init__(*args, room_size=10, subroom_size=3, lit=True, **kwargs)


class Crossing(MiniGridHack):  # type: ignore[misc]  # MiniHack ships no types
    """Cross ``size`` x ``size`` cells with ``rivers`` rivers of lava or walls, a gap in each."""

    def __init__(self, *args: Any, size: int, rivers: int, lava: bool, **kwargs: Any) -> None:
        name = f"MiniGrid-Square{'Lava' if lava else 'Simple'}CrossingS{size}N{rivers}-v0"
        if name not in gym.registry:  # the plain names are taken
            gym.register(
                name,
                entry_point="densegym.envs.nethack.study:_crossing",
                kwargs={"size": size, "rivers": rivers, "lava": lava},
            )
        super().__init__(*args, env_name=name, **kwargs)


def _crossing(
    *, size: int, rivers: int, lava: bool, width: int = 0, height: int = 0, **kwargs: Any
) -> Any:
    require("minigrid", extra="nethack")
    from minigrid.core.world_object import Lava, Wall
    from minigrid.envs.crossing import CrossingEnv

    del width, height  # MiniHack asks for the terminal's; the game's field is square
    obstacle = Lava if lava else Wall
    return CrossingEnv(size=size, num_crossings=rivers, obstacle_type=obstacle, **kwargs)
