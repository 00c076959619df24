"""Policies that users bring by name: a file or function, a run's folder, or an SB3 model file."""

from __future__ import annotations

import importlib.util
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from densegym.agents.training.algorithms import find_algorithm
from densegym.envs.custom.registry import import_module
from densegym.envs.registration import bare_spec
from densegym.envs.world import Act, World
from densegym.errors import DenseGymError, require
from densegym.plugins import resolve
from densegym.reward_models.batch import add_axis

FORMS = "FILE.py with act(obs), MODULE:FUNCTION, the folder of a run, or an SB3 model file (.zip)"
_ACT, _EXPERT = "act", "expert"
_NEEDED = ("policy_kwargs", "use_sde")


def policy_of(text: str, env_id: str, algo: str = "ppo") -> Callable[[World], Act]:
    """Return a policy as a scripted expert of a world, in the form of ``Capabilities.expert``.

    Args:
        text: see ``FORMS``; a function goes from one observation to one action. A file may have
            ``expert(world)`` instead, which returns such a function for every new episode.
        env_id: the world that it acts in.
        algo: learner of a model file.

    Raises:
        DenseGymError: it is nothing of the kind, or cannot be read safely.
    """
    path = Path(text)
    if (path / "config.toml").is_file():
        return _Learned(_run(path, env_id))
    if path.suffix == ".zip":
        return _Learned(_model(path, env_id, algo))
    if path.suffix == ".py":
        return _from_file(path)
    module, colon, _ = text.partition(":")
    if text == "planner":
        raise DenseGymError(f"no planner plays experts yet; an expert is {FORMS}")
    if not colon:
        raise DenseGymError(f'an expert is {FORMS}; given "{text}"')
    import_module(module)
    try:
        function: Any = resolve(text)
    except AttributeError as error:
        raise DenseGymError(f'"{text}" names no policy: {error}') from error
    if not callable(function):
        raise DenseGymError(
            f'"{text}" is a function from one observation to one action; found {function!r:.80}'
        )
    return _Given(function)


def _from_file(path: Path) -> Callable[[World], Act]:
    if not path.is_file():
        raise DenseGymError(f"there is no file {path}; an expert is {FORMS}")
    spec = importlib.util.spec_from_file_location(f"densegym_expert_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise DenseGymError(f"{path} breaks: {type(error).__name__}: {error}") from error
    maker, act = getattr(module, _EXPERT, None), getattr(module, _ACT, None)
    if callable(maker):
        made: Callable[[World], Act] = maker
        return made
    if not callable(act):
        raise DenseGymError(
            f"{path} has neither act(obs), which returns an action, nor expert(world), which "
            "returns such a function for every new episode"
        )
    return _Given(act)


@dataclass(frozen=True, slots=True)
class Brought:
    """What a user named as an expert, found again in every process; arguments of ``policy_of``."""

    text: str
    env_id: str
    algo: str = "ppo"

    def __call__(self, world: World) -> Act:
        """Return the expert at the beginning of an episode."""
        return _found(self)(world)


@lru_cache(maxsize=8)
def _found(brought: Brought) -> Callable[[World], Act]:
    return policy_of(brought.text, brought.env_id, brought.algo)


@dataclass(frozen=True, slots=True)
class _Given:
    function: Act

    def __call__(self, world: World) -> Act:
        return self.function


@dataclass(frozen=True, slots=True)
class _Learned:
    """Begins every episode with a fresh state of a recurrent policy."""

    policy: Any

    def __call__(self, world: World) -> Act:
        fresh = np.array([True])

        def act(obs: Any) -> Any:
            action = self.policy(add_axis(obs), fresh.copy())[0]
            fresh[0] = False
            return action

        return act


def _run(folder: Path, env_id: str) -> Any:
    require("stable_baselines3", extra="agents")
    from densegym.agents.training.load import load_learner

    learner, config = load_learner(folder)
    if config.env != env_id:
        learner.close()
        raise DenseGymError(f"{folder} was trained in {config.env}; given {env_id}")
    return learner.policy()


def _model(path: Path, env_id: str, algo: str) -> Any:
    """Read the weights of an SB3 model without unpickling anything.

    SB3 writes what JSON can hold as JSON and pickles the rest; the rest is left alone.
    """
    require("stable_baselines3", extra="agents")
    import torch
    from stable_baselines3.common.vec_env import DummyVecEnv

    from densegym.agents.training.learner import SB3Policy

    algorithm = find_algorithm(algo)
    try:
        with zipfile.ZipFile(path) as archive:
            data = json.loads(archive.read("data"))
            weights = torch.load(
                io.BytesIO(archive.read("policy.pth")), weights_only=True, map_location="cpu"
            )
    except (
        *(OSError, KeyError, ValueError, RuntimeError),
        *(zipfile.BadZipFile, pickle.UnpicklingError),
    ) as error:
        raise DenseGymError(
            f"{path} is no readable model of Stable-Baselines3 ({type(error).__name__}: {error}); "
            "one is written by model.save(...)"
        ) from error
    settings = {key: data.get(key) for key in _NEEDED}
    kwargs = settings["policy_kwargs"] or {}
    if ":serialized:" in kwargs:
        raise DenseGymError(
            f"{path} holds policy_kwargs that only unpickling could read, which may run anything. "
            "Give the policy as a function, MODULE:FUNCTION, that calls model.predict"
        )
    spec = bare_spec(env_id)
    venv = DummyVecEnv([lambda: gym.make(spec)])
    try:
        algorithm.check_action_space(venv.action_space, env_id)
        options: dict[str, Any] = {"use_sde": True} if settings["use_sde"] else {}
        if algorithm.off_policy:
            options["buffer_size"] = 1
        kind = algorithm.policy(venv.observation_space)
        model = algorithm.load()(kind, venv, policy_kwargs=kwargs, device="cpu", **options)
        model.policy.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip(" .\t")
        raise DenseGymError(
            f"{path} is no {algo} policy for {env_id}: {first}. Name its learner by --algo"
        ) from error
    finally:
        venv.close()
    return SB3Policy(model, None, deterministic=True)
