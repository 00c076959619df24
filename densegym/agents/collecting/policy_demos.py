"""Episodes of policies that users bring, which judges are only ever evaluated on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from densegym.agents.collecting import foreign
from densegym.agents.collecting.demos import (
    Collected,
    flat,
    held_out_place,
    make_drawable,
    played,
    stage_of,
    steps_left,
)
from densegym.envs.tasks import known_world
from densegym.envs.world import Act, World
from densegym.reward_models.progress.demos import POLICY, Demo


def collect_policies(
    env_id: str,
    policies: Sequence[Callable[[World], Act]],
    *,
    episodes: int = 16,
    seed: int = 0,
    size: int = 64,
    on_episode: Callable[[int, int], None] = lambda done, wanted: None,
) -> Collected:
    """Play policies in placements that are held out; a judge is only ever evaluated on these.

    Every second episode is played with random actions in a share of the steps, so that policies
    that always succeed fail too.

    Args:
        env_id: the world.
        policies: in the form of ``Capabilities.expert``.
        episodes: of each policy.
        seed: of placements and noise.
        size: of pictures, pixels.
        on_episode: told about collected and wanted episodes.

    Raises:
        UnknownNameError: no such id; names the closest.
        DenseGymError: the world cannot be drawn.
    """
    row, demos, count = known_world(env_id), list[Demo](), len(policies) * episodes
    world = make_drawable(row, row.capabilities.demo_steps)
    stage = stage_of(row, world, row.card.cameras, size)
    rng = foreign.stream_of(POLICY, True, seed)
    try:
        while len(demos) < count:
            placement = int(rng.integers(2**31))
            first = stage.env.reset(seed=placement)
            if not held_out_place(flat(world.observation_space, first[0]), row.card.places):
                continue
            policy = policies[len(demos) // episodes]
            act = foreign.disturbed(policy(row), world.action_space, len(demos) % 2 == 1, rng)
            demo = replace(played(stage, POLICY, placement, act, first), held_out=True)
            demos.append(replace(demo, left=steps_left(world, row, demo)))
            on_episode(len(demos), count)
    finally:
        stage.env.close()
    return Collected(demos, {POLICY: 0}, row.card.cameras)
