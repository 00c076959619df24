"""The learners: Stable-Baselines3 classes by the name a user types, imported on first use.

Installed packages offer learners through the entry-point group ``densegym.algorithms``: the entry
point's name is what a user types, and it names a class in SB3's form, or an ``Algorithm``. A name
is listed without loading anything.
"""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from gymnasium import spaces

from densegym.envs.tasks import task_card
from densegym.errors import DenseGymError, require, unknown
from densegym.plugins import load_plugins, owner_of, resolve
from densegym.values import check_values, hints_of

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

_MADE = ("self", "args", "observation_space", "action_space", "lr_schedule")  # not typed
ENTRY_POINT_GROUP = "densegym.algorithms"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One learner.

    Attributes:
        name: what a user types after ``--algo``.
        target: ``"module:Class"``, imported on first use, or the class.
        off_policy: whether it learns from a replay buffer.
        recurrent: whether its policy carries a state through the episode.
        actions: the kinds of action space it takes.
        owner: who registered it: ``"densegym"``, a distribution, or ``"user"``.
        family: of the worlds it is made for; "" for any.
    """

    name: str
    target: str | type[BaseAlgorithm]
    off_policy: bool = False
    recurrent: bool = False
    actions: tuple[type[spaces.Space[Any]], ...] = (spaces.Box, spaces.Discrete)
    owner: str = "densegym"
    family: str = ""

    def load(self) -> type[BaseAlgorithm]:
        """Import and return the class.

        Raises:
            MissingExtraError: Stable-Baselines3 is not installed.
        """
        require("stable_baselines3", extra="agents")
        if isinstance(self.target, str) and self.owner == "densegym":
            require(self.target.split(":")[0].split(".")[0], extra="agents")
        found: type[BaseAlgorithm] = resolve(self.target)
        return found

    def parameters(self) -> list[str]:
        """Return the hyper-parameters that a preset or ``--set`` may name."""
        ours = ("self", "policy", "env", "policy_kwargs", "seed", "device", "verbose", "args")
        hidden = (*ours, "tensorboard_log", "_init_setup_model", "kwargs")
        return [name for name in hints_of(self.load()) if name not in hidden and name != "**"]

    def check_values(self, given: Mapping[str, Any], policy: Mapping[str, Any]) -> None:
        """Refuse hyper-parameters and arguments of the policy with other types than SB3 asks for.

        Raises:
            DenseGymError: says what was given and what is expected.
        """
        found = self.load()
        hints = hints_of(found)
        check_values(given, {name: hints[name] for name in self.parameters()}, what=self.name)
        if not 0.0 < given.get("gamma", 1.0) <= 1.0:
            raise DenseGymError(f"gamma is above 0 and at most 1; given {given['gamma']}")
        kinds = [found.policy_aliases[name] for name in sorted(found.policy_aliases)]
        if policy and kinds:
            taken = {key: hint for key, hint in hints_of(kinds[-1]).items() if key not in _MADE}
            own = {"encoder": str, "encoder_kwargs": dict}
            what = f"argument of the policy of {self.name}"
            check_values(policy, {**taken, **own}, what=what, prefix="policy.")

    def check_action_space(self, space: spaces.Space[Any], env_id: str) -> None:
        """Refuse a world that the learner cannot act in.

        Args:
            space: of its actions.
            env_id: its id.

        Raises:
            DenseGymError: says which learners can.
        """
        family = task_card(env_id).family
        if isinstance(space, self.actions) and self.family in ("", family):
            return
        fitting = (a for a in algorithms() if isinstance(space, a.actions))
        able = [a.name for a in fitting if a.family in ("", family)]
        use = f"Use --algo {' or '.join(able)}." if able else "No learner here can."
        raise DenseGymError(
            f"{self.name} cannot act in {env_id}, whose action space is {space}"
            + (f": it is made for worlds of the family {self.family}" if self.family else "")
            + f". {use}"
        )

    def policy(self, space: spaces.Space[Any]) -> str:
        """Return the name of SB3's policy class for an observation space."""
        stem = "MultiInput" if isinstance(space, spaces.Dict) else "Mlp"
        return f"{stem}LstmPolicy" if self.recurrent else f"{stem}Policy"


_BOX, _DISCRETE = (spaces.Box,), (spaces.Discrete,)
_ALGORITHMS = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm("ppo", "stable_baselines3:PPO"),
        Algorithm("a2c", "stable_baselines3:A2C"),
        Algorithm(
            "choice-ppo",
            "densegym.agents.shop.choice_ppo:ChoicePPO",
            actions=_DISCRETE,
            family="shop",
        ),
        Algorithm("recurrent-ppo", "sb3_contrib:RecurrentPPO", recurrent=True),
        Algorithm("dqn", "stable_baselines3:DQN", off_policy=True, actions=_DISCRETE),
        Algorithm("sac", "stable_baselines3:SAC", off_policy=True, actions=_BOX),
        Algorithm("td3", "stable_baselines3:TD3", off_policy=True, actions=_BOX),
        Algorithm("tqc", "sb3_contrib:TQC", off_policy=True, actions=_BOX),
    )
}
_points: dict[str, EntryPoint] = {}
_read: set[str] = set()


def register_algorithm(
    name: str,
    target: str | type[BaseAlgorithm],
    *,
    off_policy: bool = False,
    recurrent: bool = False,
    actions: tuple[type[spaces.Space[Any]], ...] = (spaces.Box, spaces.Discrete),
) -> None:
    """Register a learner; ``--algo <name>`` finds it in this process.

    Args:
        name: what a user types, e.g. ``"my-ppo"``.
        target: a class in SB3's form, or its lazy ``"module:Class"``.
        off_policy: whether it learns from a replay buffer.
        recurrent: whether its policy carries a state through the episode.
        actions: the kinds of action space it takes.

    Raises:
        DenseGymError: the name is malformed, or taken by another learner, offered ones included.

    Example:
        >>> import densegym
        >>> densegym.register_algorithm("my-ppo", "my_package:MyPPO")
    """
    if name in _offered():
        find_algorithm(name)
    _add(Algorithm(name, target, off_policy, recurrent, actions, owner="user"))


def unregister_algorithm(name: str) -> None:
    """Forget a registered learner; used by tests and notebooks that redefine one."""
    del _ALGORITHMS[find_algorithm(name).name]


def algorithm_names() -> list[str]:
    """Return the names of every known learner; plug-ins are named, not loaded."""
    return [*_ALGORITHMS, *_offered()]


def algorithms() -> list[Algorithm]:
    """Return every known learner, plug-ins included."""
    _load(list(_offered()))
    return list(_ALGORITHMS.values())


def find_algorithm(name: str) -> Algorithm:
    """Return the learner of that name.

    Raises:
        UnknownNameError: no such learner; names the closest.
    """
    if name not in _ALGORITHMS:
        _load([name])
    if name not in _ALGORITHMS:
        raise unknown("algorithm", name, algorithm_names())
    return _ALGORITHMS[name]


def _add(algorithm: Algorithm) -> None:
    name = algorithm.name
    if not _NAME.fullmatch(name):
        raise DenseGymError(f'a learner is named by a-z, 0-9 and "-"; given "{name}"')
    known = _ALGORITHMS.get(name)
    if known is not None and known != algorithm:
        raise DenseGymError(
            f'the learner "{name}" is already registered by {known.owner}; {algorithm.owner} must '
            "choose another name"
        )
    _ALGORITHMS[name] = algorithm


def _offered() -> dict[str, EntryPoint]:
    """Return the entry points that are not loaded yet; names that are taken are a warning."""
    if "plugins" not in _read:
        _read.add("plugins")
        taken = []
        for point in entry_points(group=ENTRY_POINT_GROUP):
            if point.name in _ALGORITHMS or point.name in _points:
                taken.append(
                    f'learner "{point.name}" of {owner_of(point)} is left out: it is taken'
                )
            else:
                _points[point.name] = point
        for message in taken:
            warnings.warn(message, stacklevel=3)
    return _points


def _load(names: Iterable[str]) -> None:
    offered = _offered()
    load_plugins([offered.pop(name) for name in names if name in offered], "learner", _add_offered)


def _add_offered(name: str, owner: str, target: Any) -> None:
    if isinstance(target, Algorithm):
        _add(dataclasses.replace(target, name=name, owner=owner))
        return
    module: Any = require("stable_baselines3.common.off_policy_algorithm", extra="agents")
    off_policy = issubclass(target, module.OffPolicyAlgorithm)
    _add(Algorithm(name, target, off_policy, owner=owner))
