"""Checkpoints of a training run: plain tensors and values, read back without unpickling code."""

from __future__ import annotations

import dataclasses
import pickle
import zipfile
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from densegym.agents.training.algorithms import find_algorithm
from densegym.agents.training.config import TrainConfig
from densegym.agents.training.cuts import generator_states, restore_generators
from densegym.agents.training.results import whole_file
from densegym.errors import ResultsError

if TYPE_CHECKING:
    from densegym.agents.training.learner import Learner

SCHEMA = 3
_MOMENTS = ("mean", "var", "count")


def save(
    path: Path, learner: Learner, config: TrainConfig, books: Mapping[str, Any] | None = None
) -> None:
    """Write everything a run needs to go on, atomically; ``cuts.end_episodes`` comes before.

    Holds parameters and optimisers, the learner's counters, the moments of VecNormalize, the
    states of the reward model and of extras, the replay buffer of off-policy learners, and all
    generators.

    Args:
        path: of the file.
        learner: between two rollouts, without open episodes.
        config: of the run.
        books: plain values that are kept beside.
    """
    model = learner.model
    content = {
        "schema": SCHEMA,
        "fingerprint": config.fingerprint(),
        "algo": config.algo,
        "step": int(model.num_timesteps),
        "steps": config.run.steps,
        "counters": _counters(model),
        "recent": _recent(model),
        "parameters": model.get_parameters(),
        "entropy": _entropy(model),
        "moments": _moments(learner),
        "reward": _to_tensors(learner.engine.state_dict()),
        "relabel": noted.state_dict() if (noted := _books(model)) is not None else {},
        "extras": [_to_tensors(extra.state_dict()) for extra in _extras(learner)],
        "replay": _replay(model) if find_algorithm(config.algo).off_policy else {},
        "generators": generator_states(model),
        "books": dict(books or {}),
    }
    with whole_file(path) as file:
        torch.save(content, file)


def load(path: Path, config: TrainConfig | None = None) -> dict[str, Any]:
    """Read a checkpoint; nothing but tensors and plain values is accepted.

    Raises:
        ResultsError: the file is missing, damaged, foreign, of another version, or of another run.
    """
    if not path.is_file():
        raise ResultsError(f"no checkpoint at {path}; train first: densegym train ID --out FOLDER")
    try:
        content = torch.load(path, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise ResultsError(
            f"{path} is no readable checkpoint ({type(error).__name__}); it may be truncated. "
            "Remove it to start the run again."
        ) from error
    if not isinstance(content, Mapping) or "schema" not in content:
        raise ResultsError(f"{path} was not written by densegym train")
    if content["schema"] != SCHEMA:
        raise ResultsError(
            f"{path} has checkpoint schema {content['schema']}, this version reads {SCHEMA}. "
            "Train again, or use the densegym version that wrote it."
        )
    if config is not None:
        _check_belongs(path, content, config)
    return dict(content)


def _check_belongs(path: Path, content: Mapping[str, Any], config: TrainConfig) -> None:
    run = dataclasses.replace(config.run, steps=content.get("steps", config.run.steps))
    if content["fingerprint"] != dataclasses.replace(config, run=run).fingerprint():
        raise ResultsError(
            f"{path} belongs to another configuration than the one asked for. Resume with the "
            "same settings, or train into another folder with --out."
        )
    if config.run.steps < run.steps and config.run.steps < content["step"]:
        raise ResultsError(
            f"{path} has taken {content['step']} steps already, more than the {config.run.steps} "
            f"asked for. Write --steps {run.steps} or more, or choose another --out."
        )


def restore(content: Mapping[str, Any], learner: Learner) -> None:
    """Put a loaded checkpoint into a freshly built learner."""
    model = learner.model
    model.set_parameters(content["parameters"], exact_match=True)
    for name, value in content["counters"].items():
        setattr(model, name, value)
    for name, values in content["recent"].items():
        setattr(model, name, deque(values, maxlen=model._stats_window_size))
    if content["entropy"] is not None:
        with torch.no_grad():
            model.log_ent_coef.copy_(content["entropy"])  # type: ignore[attr-defined]  # SAC, TQC
    _restore_moments(content["moments"], learner)
    learner.engine.load_state_dict(_to_arrays(content["reward"]))
    if (books := _books(model)) is not None:
        books.load_state_dict(content["relabel"])
    for extra, state in zip(_extras(learner), content["extras"], strict=True):
        extra.load_state_dict(_to_arrays(state))
    for name, value in _to_arrays(content["replay"]).items():
        _fill(model.replay_buffer, name, value)  # type: ignore[attr-defined]  # off-policy only
    restore_generators(model, content["generators"])


def _counters(model: Any) -> dict[str, Any]:
    """Return the plain numbers of a learner: steps, updates, calls, how far exploration is.

    Settings are among them and equal, because the configuration is.
    """
    own = ("_custom_logger", "start_time")  # of this process
    plain = (bool, int, float)
    return {k: v for k, v in vars(model).items() if type(v) in plain and k not in own}


def _recent(model: Any) -> dict[str, Any]:
    """Return SB3's statistics of the last episodes as plain values."""
    episodes, successes = model.ep_info_buffer or (), model.ep_success_buffer or ()
    return {
        "ep_info_buffer": [{k: float(v) for k, v in told.items()} for told in episodes],
        "ep_success_buffer": [float(success) for success in successes],
    }


def _extras(learner: Learner) -> list[Any]:
    return [callback for callback in learner.callbacks if hasattr(callback, "state_dict")]


def _books(model: Any) -> Any:
    return getattr(getattr(model, "rollout_buffer", None), "books", None)


def _entropy(model: Any) -> torch.Tensor | None:
    coefficient = getattr(model, "log_ent_coef", None)
    return None if coefficient is None else coefficient.detach().clone()


def _moments(learner: Learner) -> dict[str, Any]:
    normalizer = learner.normalizer
    if normalizer is None:
        return {}
    return {name: _running(value) for name, value in _running_moments(normalizer).items()}


def _running_moments(normalizer: Any) -> dict[str, Any]:
    observed = getattr(normalizer, "obs_rms", None)
    table = observed if isinstance(observed, dict) else {"": observed}
    named = {f"obs/{key}": value for key, value in table.items() if value is not None}
    return {**named, "return": normalizer.ret_rms}


def _running(moments: Any) -> dict[str, torch.Tensor]:
    return {name: torch.as_tensor(np.asarray(getattr(moments, name))) for name in _MOMENTS}


def _restore_moments(stored: Mapping[str, Any], learner: Learner) -> None:
    if learner.normalizer is None:
        return
    for key, moments in _running_moments(learner.normalizer).items():
        for name in _MOMENTS:
            value = stored[key][name].numpy()
            setattr(moments, name, float(value) if name == "count" else value)


def _replay(model: Any) -> dict[str, Any]:
    """Return the filled arrays of a replay buffer, and its counters."""
    buffer = model.replay_buffer
    # One row more, because SB3's memory-saving buffers keep the last successor there.
    filled = buffer.buffer_size if buffer.full else min(buffer.pos + 1, buffer.buffer_size)

    def kept_of(value: Any) -> torch.Tensor:
        rows = filled if len(value) == buffer.buffer_size else len(value)
        return torch.as_tensor(value[:rows].copy())

    kept: dict[str, Any] = {"pos": buffer.pos, "full": bool(buffer.full)}
    for name, value in vars(buffer).items():
        if isinstance(value, np.ndarray) and value.dtype != object:
            kept[name] = kept_of(value)
        elif isinstance(value, dict) and all(isinstance(v, np.ndarray) for v in value.values()):
            kept[name] = {key: kept_of(v) for key, v in value.items()}
    return kept


def _fill(buffer: Any, name: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, rows in value.items():
            getattr(buffer, name)[key][: len(rows)] = rows
    elif isinstance(value, np.ndarray):
        getattr(buffer, name)[: len(value)] = value
    else:
        setattr(buffer, name, value)


def _to_tensors(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return torch.as_tensor(value)
    if isinstance(value, Mapping):
        return {key: _to_tensors(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_tensors(item) for item in value]
    return value


def _to_arrays(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.numpy()
    if isinstance(value, Mapping):
        return {key: _to_arrays(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_arrays(item) for item in value]
    return value
