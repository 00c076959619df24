"""One row of the table of worlds: its task card, where it is made, and what it offers.

Every world env keeps one contract, checked by ``densegym.envs.checks.check_dense_env``:

- ``step`` pays the world's own outcome only; ``info`` carries flat floats on every step and on
  reset: ``success_now`` (the rule holds at this step), ``is_success`` (latched over the episode,
  unless the protocol goes by the last step) and, where the card names an expert,
  ``expert_reward`` (the suite's hand-written dense reward);
- ``reset(seed=)`` decides the whole episode; observations are fresh copies inside the space;
- the constructor accepts and ignores ``reward``, which belongs to the wrapper around it, or
  ``gym.make(id, reward=...)`` is refused (``densegym.make`` and ``make_vec`` work without); the
  same holds of ``protocol``, whose ending and success rule a world with ``protocols`` obeys.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from densegym.reward_models.types import Float, TaskCard

Act: TypeAlias = Callable[[Any], Any]
"""From one observation to one action, within one episode."""
Behaviour: TypeAlias = Callable[[np.random.Generator], Act]
"""Begins an episode with its own random numbers."""
Point: TypeAlias = tuple[float, float, float]
OFFERS = ("expert", "demos", "exploits", "lookahead", "reach")
"""What a world may offer; ``densegym envs --offers`` lists who does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a world offers besides steps; whatever is left out, it does not offer.

    Every function may be given lazily as ``"module:attr"``, so that a row imports no simulator.

    Attributes:
        expert: ``make(world: World) -> act``, called as an episode begins, where ``act(obs)`` is
            one action that serves the task; brings ``densegym demos collect`` and experts to banks.
        exploits: by name, ``make(expert: Behaviour) -> Behaviour``: what a reward may pay an agent
            for that does not do the task; a bank holds them as ``exploit:<name>``.
        lookahead: ``count(env, act, obs, limit) -> int`` steps that ``act`` needs from the present
            state to success, at most ``limit``; ``env`` is unwrapped and left as it was.
        reach: ``make(point, space) -> act``, which moves the gripper straight to a point (3,) and
            keeps it there; needs ``workspace`` and ``TaskCard.places``.
        workspace: lowest and highest (x, y, z) in metres where the gripper can get to.
        demo_steps: steps that an expert may take in a demonstration; 0 where none are collected.
        bank_steps: time limit of a bank's episodes, or None for the world's own.
        audit_steps: time limit of the episodes that a hand-written reward is audited on, or None.
        largest_expert_reward: the most that the hand-written reward pays a step, or None where it
            is not bounded.
    """

    expert: str | Callable[[World], Act] | None = None
    exploits: Mapping[str, str | Callable[[Behaviour], Behaviour]] = field(default_factory=dict)
    lookahead: str | Callable[[Any, Act, Any, int], int] | None = None
    reach: str | Callable[[Float, Any], Act] | None = None
    workspace: tuple[Point, Point] | None = None
    demo_steps: int = 250
    bank_steps: int | None = None
    audit_steps: int | None = None
    largest_expert_reward: float | None = None

    @property
    def demos(self) -> bool:
        """Whether demonstrations of its expert can be collected."""
        return bool(self.expert) and self.demo_steps > 0

    def offered(self) -> list[str]:
        """Return which of ``OFFERS`` there are."""
        return [name for name in OFFERS if getattr(self, name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """How a world of several agents is made; entry points are ``"module:attr"``.

    Attributes:
        agents: ``count(**kwargs) -> int``, of its constructor arguments.
        parallel: makes a PettingZoo parallel environment.
        aec: makes one in which agents act one after another, or None.
        lanes: ``make(*, num_envs, **kwargs)``, an SB3 vector environment of ``num_envs`` games
            with a lane per agent, lane ``g * n + i`` that of agent i in game g; or None where
            parallel environments side by side must do.
        arguments: what names its constructor arguments, or None where ``parallel`` does.
    """

    agents: str
    parallel: str
    aec: str | None = None
    lanes: str | None = None
    arguments: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One registered environment.

    Attributes:
        card: what reward authors and users are told; what the world offers is added to its
            ``gives``.
        entry_point: ``"module:Class"``, imported on first use, or the class.
        kwargs: constructor arguments, JSON-friendly.
        max_episode_steps: time limit, or None where the world keeps its own clock.
        vector_entry_point: ``"module:Class"`` of a vector environment of its own, which
            ``densegym.make_vec(..., vectorization_mode="vector_entry_point")`` makes, or None.
        lanes_entry_point: ``"module:function"`` that makes an SB3 vector environment of its own
            from ``num_envs`` and constructor arguments, or returns None where plain ones must do.
        capabilities: what it offers besides steps.
        ends_at_success: whether its first success ends an episode where nobody says
            ``terminate_on_success``; None where it has no such choice.
        protocols: names of protocols that fit it besides ``"densegym"``; its constructor takes
            ``protocol``.
        success: the rule of a task in an environment that does not tell success as DenseGym's do,
            which a wrapper around it tells; see ``custom.success``. None for all others.
        team: of a world of several agents, whose ``entry_point`` is one agent among scripted ones.
        owner: who registered it: ``"densegym"``, a distribution, or ``"user"``.
    """

    card: TaskCard
    entry_point: str | Callable[..., Any]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    max_episode_steps: int | None = None
    vector_entry_point: str | None = None
    lanes_entry_point: str | None = None
    capabilities: Capabilities = field(default_factory=Capabilities)
    ends_at_success: bool | None = None
    protocols: tuple[str, ...] = ()
    success: str | None = None
    team: Team | None = None
    owner: str = field(default="user", compare=False)

    def __post_init__(self) -> None:
        offers = {
            "places": self.card.places is not None,
            "scripted expert": self.capabilities.demos,
        }
        new = (word for word, given in offers.items() if given and word not in self.card.gives)
        card = dataclasses.replace(self.card, gives=(*self.card.gives, *new))
        object.__setattr__(self, "card", card)
