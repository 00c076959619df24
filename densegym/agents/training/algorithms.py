"""The learners: Stable-Baselines3 classes by the name a user types, imported on first use."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gymnasium import spaces

from densegym.errors import DenseGymError, require, unknown

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One learner.

    Attributes:
        name: what a user types after ``--algo``.
        target: ``"module:Class"``.
        off_policy: whether it learns from a replay buffer.
        recurrent: whether its policy carries a state through the episode.
        actions: the kinds of action space it takes.
    """

    name: str
    target: str
    off_policy: bool = False
    recurrent: bool = False
    actions: tuple[type[spaces.Space[Any]], ...] = (spaces.Box, spaces.Discrete)

    def load(self) -> type[BaseAlgorithm]:
        """Import and return the class.

        Raises:
            MissingExtraError: Stable-Baselines3 is not installed.
        """
        module, _, name = self.target.partition(":")
        require(module.split(".")[0], extra="agents")
        found: type[BaseAlgorithm] = getattr(importlib.import_module(module), name)
        return found

    def parameters(self) -> list[str]:
        """Return the hyper-parameters that a preset or ``--set`` may name."""
        ours = ("self", "policy", "env", "policy_kwargs", "seed", "device", "verbose", "args")
        hidden = (*ours, "tensorboard_log", "_init_setup_model", "kwargs")
        return [name for name in _arguments(self.load()) if name not in hidden]

    def check_action_space(self, space: spaces.Space[Any], env_id: str) -> None:
        """Refuse an action space that the learner cannot act in.

        Raises:
            DenseGymError: says which learners can.
        """
        if not isinstance(space, self.actions):
            able = [a.name for a in ALGORITHMS.values() if isinstance(space, a.actions)]
            raise DenseGymError(
                f"{self.name} cannot act in {env_id}, whose action space is {space}. "
                f"Use --algo {' or '.join(able)}."
            )

    def policy(self, space: spaces.Space[Any]) -> str:
        """Return the name of SB3's policy class for an observation space."""
        stem = "MultiInput" if isinstance(space, spaces.Dict) else "Mlp"
        return f"{stem}LstmPolicy" if self.recurrent else f"{stem}Policy"


def _arguments(algorithm: type[Any]) -> list[str]:
    """Return the arguments of a constructor, and of those that it passes ``**kwargs`` on to."""
    names: dict[str, None] = {}
    for owner in algorithm.__mro__:
        found = inspect.signature(owner).parameters
        names |= dict.fromkeys(found)
        if not any(item.kind is item.VAR_KEYWORD for item in found.values()):
            break
    return list(names)


_BOX, _DISCRETE = (spaces.Box,), (spaces.Discrete,)
ALGORITHMS = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm("ppo", "stable_baselines3:PPO"),
        Algorithm("a2c", "stable_baselines3:A2C"),
        Algorithm("choice-ppo", "densegym.agents.shop.choice_ppo:ChoicePPO", actions=_DISCRETE),
        Algorithm("recurrent-ppo", "sb3_contrib:RecurrentPPO", recurrent=True),
        Algorithm("dqn", "stable_baselines3:DQN", off_policy=True, actions=_DISCRETE),
        Algorithm("sac", "stable_baselines3:SAC", off_policy=True, actions=_BOX),
        Algorithm("td3", "stable_baselines3:TD3", off_policy=True, actions=_BOX),
        Algorithm("tqc", "sb3_contrib:TQC", off_policy=True, actions=_BOX),
    )
}


def find_algorithm(name: str) -> Algorithm:
    """Return the learner of that name.

    Raises:
        UnknownNameError: no such learner; names the closest.
    """
    if name not in ALGORITHMS:
        raise unknown("algorithm", name, ALGORITHMS)
    return ALGORITHMS[name]
