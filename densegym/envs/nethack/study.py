"""MiniHack tasks of the bonus study (Henaff et al., arXiv 2306.03236) that MiniHack 1.0.2 lacks.

``KeyRoom-S10`` is not registered there; ``LavaCrossingS19N13`` and ``S19N17`` cannot be made with
current MiniGrid, which refuses a size next to a width and a height.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from minihack.envs.keyroom import MiniHackKeyRoom
from minihack.envs.minigrid import MiniGridHack


class KeyRoomS10(MiniHackKeyRoom):  # type: ignore[misc]  # MiniHack ships no types
    """Find the key, open the closet, in a room of 10 x 10 with a closet of 3 x 3."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_episode_steps", 300)
        super().__init__(*args, room_size=10, subroom_size=3, lit=True, **kwargs)


class LavaCrossing(MiniGridHack):  # type: ignore[misc]  # MiniHack ships no types
    """Cross 19 x 19 cells with ``rivers`` rivers of lava, each with one gap."""

    def __init__(self, *args: Any, rivers: int, **kwargs: Any) -> None:
        name = f"MiniGrid-SquareLavaCrossingS19N{rivers}-v0"  # the plain name is taken
        if name not in gym.registry:
            gym.register(
                name,
                entry_point="densegym.envs.nethack.study:_crossing",
                kwargs={"rivers": rivers},
            )
        super().__init__(*args, env_name=name, **kwargs)


def _crossing(*, rivers: int, width: int = 19, height: int = 19, **kwargs: Any) -> Any:
    from minigrid.envs.crossing import CrossingEnv

    del width, height  # MiniHack asks for the terminal's; the game's field is square
    return CrossingEnv(size=19, num_crossings=rivers, **kwargs)
