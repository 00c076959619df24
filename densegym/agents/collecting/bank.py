"""The trajectory bank of a task: episodes of scripted behaviours, collected once and kept."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from densegym.agents.collecting import behaviours
from densegym.agents.collecting.behaviours import Scripted
from densegym.agents.collecting.recording import Player
from densegym.agents.training.evaluate import Policy
from densegym.agents.training.provenance import installed_versions
from densegym.cache import cache_folder
from densegym.envs.registration import goes_on
from densegym.envs.robot.fitness import evaluation_kwargs
from densegym.envs.tasks import find_world, task_card
from densegym.envs.world import Behaviour, Capabilities
from densegym.errors import DenseGymError
from densegym.plugins import resolve, version_of
from densegym.reward_models.authored.screening.bank import SCHEMA, Bank, Trajectory, load_bank
from densegym.reward_models.features import feature_names
from densegym.reward_models.types import Float

EPISODES = 200
GAMMA = 0.99
NOISE = (0.1, 0.3, 0.6, 1.0)  # shares of random actions mixed into an expert
_SIMULATORS = ("gymnasium", "gymnasium-robotics", "metaworld", "mujoco")
_SEED_STRIDE = 10_007  # between the streams of two behaviours
_WITNESSES = ("expert", "random", "idle", "exploit:stops-half-way")
_EXPLOIT_PARTS = 15


class Share(NamedTuple):
    """One behaviour of a bank.

    Attributes:
        source: label of its trajectories.
        behaviour: what it does.
        parts: how large its share is, relative to the others'.
        noise: share of random actions mixed into a scripted expert, or NaN.
    """

    source: str
    behaviour: Behaviour
    parts: int
    noise: float = float("nan")


def play(
    policy: Policy,
    env_id: str,
    episodes: int,
    seed: int,
    *,
    source: str,
    noise: float = float("nan"),
    lanes: int = 10,
    env_kwargs: Mapping[str, Any] | None = None,
    max_episode_steps: int | None = None,
) -> list[Trajectory]:
    """Play episodes of a bare world and record every feature of its card.

    Args:
        policy: acts on a batch of observations.
        env_id: environment id.
        episodes: how many.
        seed: of the first episode; episode ``i`` is reset with ``seed + i``.
        source: label of the trajectories.
        noise: share of random actions mixed into a scripted expert, or NaN.
        lanes: how many episodes run side by side, sharing one policy call.
        env_kwargs: for the world's constructor.
        max_episode_steps: time limit; None keeps the world's.

    Raises:
        UnknownNameError: no such id; names the closest.
        DenseGymError: ``episodes`` is not positive.
    """
    with Player(
        env_id, lanes=lanes, env_kwargs=env_kwargs, max_episode_steps=max_episode_steps
    ) as player:
        return player.play(policy, episodes, seed, source=source, noise=noise)


def collect_bank(
    env_id: str,
    *,
    episodes: int = EPISODES,
    seed: int = 0,
    on_episode: Callable[[int, int], None] | None = None,
) -> Bank:
    """Collect the bank of a task; equal arguments give equal banks.

    Random, sticky and no actions for every task; where a scripted expert is known also the
    expert, the expert with a share of random actions, and the exploits that the world offers, such
    as an expert that stops half way. Episodes end at success as in the world's own evaluation;
    those of forward skills go on, because their F is a velocity.

    Args:
        env_id: environment id.
        episodes: how many in all.
        seed: of placements and random actions.
        on_episode: told about collected and wanted episodes.

    Raises:
        UnknownNameError: no such id; names the closest.
        DenseGymError: too few episodes for one of each behaviour.
    """
    shares = _shares(env_id)
    counts = _apportion([share.parts for share in shares], episodes)
    found: list[Trajectory] = []

    def told(done: int) -> None:
        if on_episode is not None:
            on_episode(len(found) + done, episodes)

    with Player(
        env_id,
        lanes=1,
        env_kwargs=evaluation_kwargs(env_id),
        max_episode_steps=bank_steps(env_id),
    ) as player:
        for i, (share, count) in enumerate(zip(shares, counts, strict=True)):
            stream = seed + (i + 1) * _SEED_STRIDE
            found += player.play(
                Scripted(share.behaviour, stream),
                count,
                stream,
                source=share.source,
                noise=share.noise,
                on_episode=told,
            )
    return Bank(task=env_id, gamma=GAMMA, trajectories=tuple(found))


def load_or_collect(
    env_id: str,
    *,
    episodes: int = EPISODES,
    seed: int = 0,
    on_episode: Callable[[int, int], None] | None = None,
) -> Bank:
    """Return the bank of a task from the user's cache, collecting it on first use.

    Arguments as in ``collect_bank``.

    Raises:
        ResultsError: the cached file is damaged; the message says which to remove.
    """
    path = bank_path(env_id, episodes=episodes, seed=seed)
    if path.is_file():
        return load_bank(path)
    bank = collect_bank(env_id, episodes=episodes, seed=seed, on_episode=on_episode)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two processes may collect the same bank; each writes its own file and the last one stays.
    partial = path.with_suffix(f".{os.getpid()}.partial")
    bank.save(partial)
    partial.replace(path)
    return bank


def bank_path(env_id: str, *, episodes: int = EPISODES, seed: int = 0) -> Path:
    """Return where a bank is cached: one file per task, size, seed and simulator version.

    The folder is ``$DENSEGYM_CACHE``, or ``densegym`` under ``$XDG_CACHE_HOME`` or ``~/.cache``.
    """
    card = task_card(env_id)
    versions = installed_versions()
    key = {
        "schema": SCHEMA,
        "episodes": episodes,
        "seed": seed,
        "features": feature_names(card),
        "versions": {name: versions.get(name) for name in _SIMULATORS},
    }
    world = find_world(env_id)
    if world is not None and world.owner != "densegym":
        key["world"] = [str(world.entry_point), dict(world.kwargs), version_of(world.owner)]
    digest = hashlib.sha256(json.dumps(key, default=str).encode()).hexdigest()[:12]
    name = env_id.replace("/", "-")
    return cache_folder() / "banks" / f"{name}-{digest}.npz"


def bank_steps(env_id: str) -> int | None:
    """Return the time limit of a bank's episodes, shorter than the world's where experts are quick.

    None keeps the world's own.
    """
    return _capabilities(env_id).bank_steps


class Paid(NamedTuple):
    """What an upstream, hand-written reward paid; arguments of ``audit.audit_expert``.

    Attributes:
        bank: trajectories that go on after success.
        rewards: (T,) float64 per trajectory.
        largest: what it can pay a step, or None where it is not bounded.
    """

    bank: Bank
    rewards: list[Float]
    largest: float | None


def play_expert(env_id: str, *, episodes: int = 6, seed: int = 0) -> Paid:
    """Play expert, half-way expert, random and no actions, and note the hand-written reward.

    Args:
        env_id: environment id.
        episodes: how many of each behaviour.
        seed: of placements and random actions.

    Raises:
        UnknownNameError: no such id; names the closest.
        DenseGymError: the task has no hand-written reward, or no scripted expert.
    """
    card, shares = task_card(env_id), _shares(env_id)
    if card.expert is None or not any(share.source == "expert" for share in shares):
        raise DenseGymError(
            f"{env_id} has no hand-written reward with a scripted expert to audit it by; "
            f"audit a program instead: densegym author audit FILE --task {env_id}"
        )
    wanted = [share for share in shares if share.source in _WITNESSES]
    limits = _capabilities(env_id)
    found, rewards = list[Trajectory](), list[Float]()
    with Player(
        env_id,
        lanes=1,
        env_kwargs=goes_on(env_id),
        max_episode_steps=limits.audit_steps,
    ) as player:
        for i, share in enumerate(wanted):
            stream = seed + (i + 1) * _SEED_STRIDE
            for tape in player.tapes(Scripted(share.behaviour, stream), episodes, stream):
                found.append(player.label(tape, source=share.source, noise=share.noise))
                rewards.append(np.array([info["expert_reward"] for info in tape.info[1:]]))
    bank = Bank(task=env_id, gamma=GAMMA, trajectories=tuple(found))
    return Paid(bank, rewards, limits.largest_expert_reward)


def _shares(env_id: str) -> list[Share]:
    space = behaviours.action_space(env_id)
    shares = [
        Share("random", behaviours.random(space), 25),
        Share("random", behaviours.random(space, hold=behaviours.HOLD), 30),
        Share("idle", behaviours.idle(space), 5),
    ]
    expert = behaviours.expert_behaviour(env_id)
    if expert is None:
        return shares
    shares.append(Share("expert", expert, 30, 0.0))
    shares += [Share("noise", behaviours.noisy(expert, space, share), 20, share) for share in NOISE]
    exploits = _capabilities(env_id).exploits
    for name, target in exploits.items():
        shares.append(Share(f"exploit:{name}", resolve(target)(expert), _EXPLOIT_PARTS))
    return shares


def _capabilities(env_id: str) -> Capabilities:
    world = find_world(env_id)
    return Capabilities() if world is None else world.capabilities


def _apportion(parts: list[int], episodes: int) -> list[int]:
    """Split episodes in proportion to ``parts``, at least one each, largest remainders first."""
    if episodes < len(parts):
        raise DenseGymError(
            f"a bank of this task needs at least {len(parts)} episodes, one per behaviour; "
            f"given {episodes}"
        )
    spare, total = episodes - len(parts), sum(parts)
    exact = [spare * part / total for part in parts]
    counts = [1 + int(share) for share in exact]
    by_remainder = sorted(range(len(parts)), key=lambda i: int(exact[i]) - exact[i])
    for i in by_remainder[: episodes - sum(counts)]:
        counts[i] += 1
    return counts
