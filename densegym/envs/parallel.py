"""Makes worlds of several agents with a reward on top: markets, PettingZoo's, a user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from densegym.envs import tasks
from densegym.errors import DenseGymError, RewardError, require, unknown
from densegym.plugins import resolve
from densegym.reward_models.spec import RewardSpec
from densegym.reward_models.types import TaskCard

if TYPE_CHECKING:
    from densegym.envs.wrappers.pettingzoo import DenseRewardParallel


def make_parallel(
    env_id: str, *, reward: RewardSpec = None, seed: int | None = None, **kwargs: Any
) -> DenseRewardParallel:
    """Make a PettingZoo parallel environment that pays every agent a reward.

    Args:
        env_id: a registered world of several agents, e.g. ``"DenseGym/Market-PublicGoods-v0"``,
            or one of PettingZoo as ``package/name_vN``: ``"mpe2/simple_spread_v3"``,
            ``"sisl/pursuit_v4"``, ``"butterfly/pistonball_v6"``.
        reward: a reward specification; None is the world's own outcome.
        seed: of rewards that draw random numbers; if given, the world is reset with it too.
        **kwargs: for the world's constructor.

    Raises:
        UnknownNameError: no such id; names the closest.
        DenseGymError: the world has one agent.
    """
    world = _world(env_id)
    env = resolve(world.team.parallel)(**{**world.kwargs, **kwargs})
    paid = wrap_parallel(env, reward, task=world.card, seed=seed or 0)
    if seed is not None:
        paid.reset(seed=seed)
    return paid


def make_aec(env_id: str, *, reward: RewardSpec = None, **kwargs: Any) -> Any:
    """Make a PettingZoo environment in which agents act one after another.

    Later agents of a market see what earlier ones did in the same round.

    Args:
        env_id: as in ``make_parallel``.
        reward: None or ``"env"``: agents that act one after another are paid by the world alone.
        **kwargs: for the world's constructor.

    Raises:
        UnknownNameError: no such id; names the closest.
        RewardError: another reward; says what to type.
    """
    world = _world(env_id)
    if reward not in (None, "env"):
        raise RewardError(
            "rewards are paid to agents that act at once. Write "
            f'pettingzoo.utils.conversions.parallel_to_aec(densegym.make_parallel("{env_id}", '
            "reward=...)) for them one after another."
        )
    merged = {**world.kwargs, **kwargs}
    if world.team.aec is not None:
        return resolve(world.team.aec)(**merged)
    conversions: Any = require("pettingzoo.utils.conversions", extra="multi")
    return conversions.parallel_to_aec(resolve(world.team.parallel)(**merged))


def wrap_parallel(
    env: Any,
    reward: RewardSpec = None,
    *,
    task: TaskCard | None = None,
    env_id: str | None = None,
    seed: int = 0,
) -> DenseRewardParallel:
    """Pay a reward in any PettingZoo parallel environment; unequal spaces are padded.

    Args:
        env: the environment.
        reward: a reward specification; None is the environment's own.
        task: its task card, which some rewards read.
        env_id: id of a registered card, instead of ``task``.
        seed: of rewards that draw random numbers.

    Example:
        >>> from densegym import make_parallel
        >>> env = make_parallel("DenseGym/Market-SLCD-v0", reward="market/difference")
        >>> _ = env.reset(seed=0)
        >>> sorted(env.step({agent: [0.3] for agent in env.agents})[1])
        ['agent_0', 'agent_1']
    """
    require("pettingzoo", extra="multi")
    from densegym.envs.wrappers.padding import padded
    from densegym.envs.wrappers.pettingzoo import DenseRewardParallel

    card = task if task is not None or env_id is None else tasks.task_card(env_id)
    return DenseRewardParallel(padded(env), reward, card, seed)


def _world(env_id: str) -> Any:
    world = tasks.find_world(env_id)
    if world is None:
        known = [row.card.id for row in tasks.worlds() if row.team is not None]
        raise unknown("world of several agents", env_id, known, see="densegym envs market")
    if world.team is None:
        raise DenseGymError(f'{env_id} has one agent: densegym.make("{env_id}") makes it')
    require("pettingzoo", extra="multi")
    return world
