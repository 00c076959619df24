"""Which runs are compared: learners x a world a family x reward families, entries in turn."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from densegym.agents.training.algorithms import algorithms
from densegym.agents.training.config import TrainConfig, resolve
from densegym.envs.registration import bare_spec
from densegym.envs.tasks import task_card, worlds
from densegym.reward_models.catalogue import RewardEntry
from densegym.reward_models.registry import reward_entries
from densegym.reward_models.types import TaskCard

_SHOP = "DenseGym/ShopChoice-v0"  # its other id speaks text, in which no learner acts
_EVERY = (
    "n_envs=2",
    "episode_steps=10",
    "eval.max_episode_steps=10",
    "eval_every=100",
    "eval_episodes=2",
    "final_episodes=2",
    "checkpoint_every=100",
)
_ON_POLICY = ("n_steps=16",)
_PPO = (*_ON_POLICY, "batch_size=16", "n_epochs=2")
_OFF_POLICY = ("learning_starts=40", "buffer_size=400", "batch_size=8")
_SETTINGS = {"a2c": _ON_POLICY, "ppo": _PPO, "recurrent-ppo": _PPO, "choice-ppo": _PPO}
_STATELESS = ("env", "expert", "authored")
_SLOW = ("intrinsic/motif",)  # fitted for a minute before training


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run that is compared.

    Attributes:
        env: environment id.
        algo: learner.
        reward: what is paid.
        settings: of the run, beside those of all.
    """

    env: str
    algo: str
    reward: Any = "env"
    settings: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What people call it."""
        env = self.env.removeprefix("DenseGym/").removesuffix("-v0")
        reward = self.reward if isinstance(self.reward, str) else json.dumps(self.reward)
        return " ".join([env, self.algo, reward, *self.settings])

    def config(self, seed: int, steps: int) -> TrainConfig:
        """Return the configuration of the run."""
        own = _SETTINGS.get(self.algo, (*_OFF_POLICY, "her=false"))
        return resolve(
            self.env,
            reward=self.reward,
            algo=self.algo,
            seed=seed,
            steps=steps,
            overrides=[*_EVERY, *own, *self.settings],
        )


def cells(envs: Sequence[str] = ()) -> list[Cell]:
    """Return the matrix: every shipped learner in a world a family, paid by every reward family.

    The rewards of a family take turns, so that each is met by several learners and worlds.

    Args:
        envs: environment ids instead of one a family.
    """
    cards = [task_card(env) for env in envs] or representatives()
    found: list[Cell] = []
    turns: dict[str, int] = {}
    for card in cards:
        families = _families(card)
        for algo in _able(card):
            for family, entries in families.items():
                turn = turns.get(family, 0)
                turns[family] = turn + 1
                found.append(
                    Cell(env=card.id, algo=algo, reward=_reward(entries[turn % len(entries)]))
                )
    return [*found, *(one for one in _variants() if one.env in {card.id for card in cards})]


def representatives() -> list[TaskCard]:
    """Return the card of one world of every family."""
    first = {world.card.family: world.card for world in reversed(worlds())}
    return [task_card(_SHOP) if card.family == "shop" else card for card in first.values()]


def _families(card: TaskCard) -> dict[str, list[RewardEntry]]:
    """Return the rewards with a state that build here from nothing but their name."""
    found: dict[str, list[RewardEntry]] = {}
    for entry in reward_entries():
        own = entry.owner == "densegym" and entry.ready(card) and not _asks_for_files(entry)
        if own and entry.name not in _STATELESS and not entry.name.startswith(_SLOW):
            family = entry.name.split("/")[0] if "/" in entry.name else "world"
            found.setdefault(family, []).append(entry)
    return found


def _asks_for_files(entry: RewardEntry) -> bool:
    return bool({"base_url", "path", "demos", "weights"} & set(entry.supply))


def _reward(entry: RewardEntry) -> Any:
    return entry.example()


def _able(card: TaskCard) -> list[str]:
    env = gym.make(bare_spec(card.id))
    space, choices = env.action_space, "choice-ppo"
    env.close()
    able = [one for one in algorithms() if one.owner == "densegym"]
    return [
        one.name
        for one in able
        if isinstance(space, one.actions) and (one.name != choices or card.id == _SHOP)
    ]


def _variants() -> Iterator[Cell]:
    """Yield runs whose settings bring a state of their own."""
    for algo in ("sac", "td3", "tqc"):
        yield Cell(env="DenseGym/FetchReach-v0", algo=algo, settings=("her=true",))
    hopper = "DenseGym/HopperForward-v0"
    yield Cell(env=hopper, algo="sac", settings=("use_sde=true",))
    yield Cell(env=hopper, algo="ppo", settings=("use_sde=true", "sde_sample_freq=4"))
    yield Cell(env=hopper, algo="sac", reward="expert", settings=("n_steps=3",))
    sparing = "replay_buffer_kwargs={handle_timeout_termination = false}"
    yield Cell(env=hopper, algo="td3", settings=("optimize_memory_usage=true", sparing))
    scaled = ("normalize_obs=true", "normalize_reward=true")
    yield Cell(env=hopper, algo="ppo", reward="expert", settings=scaled)
    yield Cell(env=hopper, algo="sac", reward="expert", settings=scaled)
    for mode in ("patch", "commit", "lazy"):
        reward = "credit/rrd" if mode == "lazy" else "credit/spa"
        yield Cell(env=hopper, algo="sac", reward=reward, settings=(f"relabel={mode}",))
    deferred = {"model": "intrinsic/rnd", "deferred": True}
    for algo in ("ppo", "sac"):
        yield Cell(env=hopper, algo=algo, reward=deferred)
    for extra in (("extra.self_imitation=0.5",), ("extra.entropy_smoothing=0.1", "ent_coef=0.01")):
        yield Cell(env=hopper, algo="ppo", reward="expert", settings=extra)
    two = ["env", "credit/uniform"]
    yield Cell(env=_SHOP, algo="choice-ppo", reward=two, settings=("extra.step_advantage=1.0",))
