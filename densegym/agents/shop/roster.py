"""The shop's agents by the name a user types: how each is trained, kept, and brought to play."""

from __future__ import annotations

import dataclasses
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from densegym.agents.shop import rules
from densegym.agents.shop.linear import NAMES, LinearScorer, fit_linear
from densegym.agents.shop.shopper import Player
from densegym.agents.training.results import write_json
from densegym.envs.shop.session.core import Shop
from densegym.envs.shop.session.world import Setting, ShopWorld
from densegym.errors import ResultsError, require, unknown

if TYPE_CHECKING:
    from densegym.agents.training.config import TrainConfig

BASELINE = "linear"
_COST = "cost.json"
Told = Callable[[int, int], None]  # steps done, steps in all


def _silent(done: int, steps: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What an agent learns from, and where what it learned is kept.

    Attributes:
        setting: of the shop; its part of the goals is ``"train"``.
        seed: of everything.
        folder: of this agent, setting and seed.
        steps: environment steps (choice-ppo, drrn) or episodes (linear, clone); None: its own.
        settings: ``key=value`` texts for the agents that are configured as ``densegym train`` is.
    """

    setting: Setting
    seed: int
    folder: Path
    steps: int | None = None
    settings: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent(ABC):
    """One agent; learned ones leave ``cost.json`` in their folder.

    Attributes:
        note: what it is, in a line.
        privileged: whether it reads the goal: a bound, not a competitor.
        learns: whether ``fit`` does anything.
    """

    note: str
    privileged: bool = False
    learns: bool = True

    @abstractmethod
    def fit(self, training: Training, tell: Told = _silent) -> None:
        """Learn and keep what was learned; nothing where that was done before."""

    @abstractmethod
    def player(self, world: ShopWorld, training: Training) -> Player:
        """Return the player."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted(Agent):
    """An agent that does not learn.

    Attributes:
        make: shop and seed in, player out.
    """

    make: Callable[[Shop, int], Player]
    learns: bool = False

    def fit(self, training: Training, tell: Told = _silent) -> None:
        """Do nothing."""

    def player(self, world: ShopWorld, training: Training) -> Player:
        """Return the player."""
        return self.make(world.shop, training.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear(Agent):
    """The linear scorer."""

    def fit(self, training: Training, tell: Told = _silent) -> None:
        """Learn the eight weights."""
        if fitted(training.folder):
            return
        began, episodes = time.process_time(), training.steps or 3_000
        scorer = fit_linear(ShopWorld(training.setting), seed=training.seed, episodes=episodes)
        training.folder.mkdir(parents=True, exist_ok=True)
        weights = dict(zip(NAMES, scorer.weights.tolist(), strict=True))
        write_json(training.folder / "weights.json", weights)
        _write_cost(training.folder, episodes, time.process_time() - began)

    def player(self, world: ShopWorld, training: Training) -> Player:
        """Return the scorer with the weights that were kept."""
        kept = json.loads((training.folder / "weights.json").read_text(encoding="utf-8"))
        weights = np.array([kept[name] for name in NAMES])
        return LinearScorer(world.shop, weights).player()


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone(Agent):
    """The scripted expert cloned into ChoicePPO's network."""

    def fit(self, training: Training, tell: Told = _silent) -> None:
        """Demonstrate and clone."""
        require("stable_baselines3", extra="agents")
        import torch

        from densegym.agents.shop.choice_player import new_policy
        from densegym.agents.shop.imitation import EPISODES, clone, demonstrate

        if fitted(training.folder):
            return
        torch.set_num_threads(1)
        torch.manual_seed(training.seed)
        began, episodes = time.process_time(), training.steps or EPISODES
        world, policy = ShopWorld(training.setting), new_policy()
        demos = demonstrate(world, episodes=episodes, seed=training.seed)
        clone(policy.scorer, demos, seed=training.seed)
        training.folder.mkdir(parents=True, exist_ok=True)
        torch.save(policy.scorer.state_dict(), training.folder / "clone.pt")
        _write_cost(training.folder, len(demos.actions), time.process_time() - began)

    def player(self, world: ShopWorld, training: Training) -> Player:
        """Return the clone that was kept."""
        require("stable_baselines3", extra="agents")
        import torch

        from densegym.agents.shop.choice_player import ChoicePlayer, likeliest, new_policy

        policy = new_policy()
        policy.scorer.load_state_dict(torch.load(training.folder / "clone.pt", weights_only=True))
        return ChoicePlayer(world, likeliest(policy))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drrn(Agent):
    """DRRN on texts."""

    def fit(self, training: Training, tell: Told = _silent) -> None:
        """Learn Q-values."""
        require("stable_baselines3", extra="agents")
        import torch

        from densegym.agents.shop.drrn import DRRNConfig, DRRNTrainer

        if fitted(training.folder):
            return
        torch.set_num_threads(1)
        config = DRRNConfig(**({"steps": training.steps} if training.steps else {}))
        trainer = DRRNTrainer(ShopWorld(training.setting), config, training.seed)
        cpu_s = trainer.learn(lambda done, paid: tell(done, config.steps))
        training.folder.mkdir(parents=True, exist_ok=True)
        torch.save(trainer.network.state_dict(), training.folder / "drrn.pt")
        _write_cost(training.folder, config.steps, cpu_s)

    def player(self, world: ShopWorld, training: Training) -> Player:
        """Return the network that was kept."""
        require("stable_baselines3", extra="agents")
        import torch

        from densegym.agents.shop.drrn import DRRN, DRRNConfig, DRRNPlayer

        network = DRRN(DRRNConfig())
        network.load_state_dict(torch.load(training.folder / "drrn.pt", weights_only=True))
        return DRRNPlayer(network)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Agent):
    """ChoicePPO, trained as ``densegym train DenseGym/ShopChoice-v0 --algo choice-ppo`` does."""

    settings: tuple[str, ...] = ()

    def fit(self, training: Training, tell: Told = _silent) -> None:
        """Train; an unfinished run goes on from its checkpoint."""
        require("stable_baselines3", extra="agents")
        from densegym.agents.training.run import train

        run = training.folder / "run"
        if not run.exists():
            training.folder.mkdir(parents=True, exist_ok=True)
            config = self.config(training)
            train(config, run, resume=True, on_progress=lambda p: tell(p.step, p.steps))
        meta = json.loads((run / "meta.json").read_text(encoding="utf-8"))
        _write_cost(training.folder, meta["steps"], meta["cpu_s"])

    def config(self, training: Training) -> TrainConfig:
        """Return the configuration of the run."""
        from densegym.agents.training.config import resolve, toml_value

        world = [f"env.{key}={toml_value(value)}" for key, value in told(training.setting).items()]
        return resolve(
            "DenseGym/ShopChoice-v0",
            algo="choice-ppo",
            seed=training.seed,
            steps=training.steps,
            overrides=[*world, *self.settings, *training.settings],
        )

    def player(self, world: ShopWorld, training: Training) -> Player:
        """Return the trained policy."""
        return run_player(training.folder / "run", world)


def run_player(folder: Path, world: ShopWorld) -> Player:
    """Return the player of a run of ``densegym train DenseGym/ShopChoice-v0 --algo choice-ppo``.

    Raises:
        ResultsError: no such run, or one of another learner.
    """
    require("stable_baselines3", extra="agents")
    import tomllib

    from densegym.agents.shop.choice_player import ChoicePlayer, likeliest, new_policy
    from densegym.agents.training import checkpoint
    from densegym.agents.training.config import from_dict

    path = folder / "config.toml"
    if not path.is_file():
        raise ResultsError(f"{folder} is no run: it has no config.toml")
    config = from_dict(tomllib.loads(path.read_text(encoding="utf-8")))
    if config.algo != "choice-ppo":
        raise ResultsError(f"{folder} is a run of {config.algo}; the shop plays choice-ppo")
    content = checkpoint.load(folder / "checkpoint.pt", config)
    kept = {k: v for k, v in content["parameters"]["policy"].items() if k.startswith("scorer.")}
    policy = new_policy(**config.policy)
    policy.load_state_dict(kept)
    return ChoicePlayer(world, likeliest(policy))


def told(setting: Setting) -> dict[str, Any]:
    """Return what a setting says otherwise than the default, with the training part of the goals.

    The privileged part of ``info`` is left out, which costs a third of a step.
    """
    plain = {
        item.name: getattr(setting, item.name)
        for item in dataclasses.fields(setting)
        if getattr(setting, item.name) != item.default
    }
    return {**plain, "store": str(setting.store), "split": "train", "privileged": False}


AGENTS: dict[str, Agent] = {
    "random": Scripted(
        note="any valid action",
        make=lambda shop, seed: rules.RandomPlayer(seed),
    ),
    "rule": Scripted(
        note="searches the request, buys the first product",
        make=lambda shop, seed: rules.first_item(shop),
    ),
    "rule-options": Scripted(
        note="the same, with the options that the request names best",
        make=lambda shop, seed: rules.first_item_with_options(shop),
    ),
    "linear": Linear(note="linear scorer over ten scripted hits, REINFORCE; does not navigate"),
    "drrn": Drrn(note="Q-values of (page, action) texts; navigates by itself"),
    "clone": Clone(note="the expert's choices cloned by cross-entropy; navigates by itself"),
    "choice-ppo": Choice(note="MaskablePPO over candidates from scratch; navigates by itself"),
    "clone-ppo": Choice(
        note="the clone improved by ChoicePPO, held near it; navigates by itself",
        settings=("clone_episodes=2000", "kl_coef=0.05"),
    ),
    "best-of-10": Scripted(
        note="bound: the best-paid of ten hits",
        make=lambda shop, seed: rules.best_listed(shop, first=10),
        privileged=True,
    ),
    "best-of-50": Scripted(
        note="bound: the best-paid of fifty hits",
        make=lambda shop, seed: rules.best_listed(shop, first=50),
        privileged=True,
    ),
    "expert": Scripted(
        note="bound: buys the target as asked",
        make=lambda shop, seed: rules.expert(shop),
        privileged=True,
    ),
}


def find_agent(name: str) -> Agent:
    """Return an agent by name.

    Raises:
        UnknownNameError: no such agent; names the closest.
    """
    if name not in AGENTS:
        raise unknown("shop agent", name, (*AGENTS, "llm"), see="densegym shop agents")
    return AGENTS[name]


def fitted(folder: Path) -> bool:
    """Return whether an agent was trained there."""
    return (folder / _COST).is_file()


def cost(folder: Path) -> dict[str, float]:
    """Return ``steps`` and ``cpu_s`` of an agent's training; zeros where it did not learn."""
    path = folder / _COST
    if not path.is_file():
        return {"steps": 0, "cpu_s": 0.0}
    found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _write_cost(folder: Path, steps: int, cpu_s: float) -> None:
    write_json(folder / _COST, {"steps": steps, "cpu_s": cpu_s})
