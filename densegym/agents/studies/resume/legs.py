"""One process of a run that is watched: it trains until its end, or until it stops itself."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo  # optimisers import it when first made; here, once for all processes
from stable_baselines3.common.callbacks import BaseCallback

from densegym.agents.training.config import TrainConfig, from_dict
from densegym.agents.training.learner import Learner
from densegym.agents.training.processes import end_with_parent
from densegym.agents.training.results import append_jsonl, write_json
from densegym.agents.training.run import train
from densegym.errors import Interrupted

TRACE, ENDING = "trace.jsonl", "ending.json"
STOPPED = 130  # exit code of a leg that was interrupted


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """What one process does of a run.

    Attributes:
        config: ``TrainConfig.as_dict()``.
        folder: of the finished run; its trace lies beside.
        stop_at: step at which the process sends itself a signal, or None to finish.
        by: the signal.
    """

    config: Mapping[str, Any]
    folder: str
    stop_at: int | None = None
    by: int = signal.SIGINT

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for another process."""
        return asdict(self)


def carry_out(told: Mapping[str, Any]) -> None:
    """Train in this process; what is printed goes to a file beside the run."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
    leg = Leg(**told)
    folder = Path(leg.folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    watch = Watch(folder.parent / TRACE, leg.stop_at, leg.by)
    with (folder.parent / "log.txt").open("a", encoding="utf-8") as log, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(log.fileno(), sys.stderr.fileno())
        try:
            train(
                from_dict(leg.config),
                folder,
                resume=True,
                after={"digest": _write_ending},
                callbacks=[watch],
            )
        except Interrupted as stop:
            log.write(f"{stop}\n")
            sys.exit(STOPPED)


class Watch(BaseCallback):
    """Writes down what every step showed and paid, and stops the process at one of them.

    Args:
        path: one JSON object a line; a run that goes on appends.
        stop_at: step at which the signal is sent, or None.
        by: the signal.
    """

    def __init__(self, path: Path, stop_at: int | None = None, by: int = signal.SIGINT) -> None:
        super().__init__()
        self._path, self._stop_at, self._by = path, stop_at, by

    def _on_rollout_start(self) -> None:
        model: Any = self.model
        self._note("placement", [model._last_obs, model._last_episode_starts])

    def _on_step(self) -> bool:
        told = [self.locals[name] for name in ("new_obs", "dones")]
        self._note("placement", told, "step")
        paid = [info.get("reward/credits") for info in self.locals["infos"]]
        self._note("credit", [self.locals["rewards"], paid], "step")
        if self._stop_at is not None and self.num_timesteps >= self._stop_at:
            os.kill(os.getpid(), self._by)
        return True

    def _on_rollout_end(self) -> None:
        buffer = getattr(self.model, "rollout_buffer", None)
        if buffer is not None:
            self._note("credit", [buffer.rewards, buffer.advantages, buffer.returns], "rollout")

    def _note(self, what: str, values: Any, when: str = "start") -> None:
        line = {"at": f"{what} {when} {self.num_timesteps}", "seen": digest(values)}
        append_jsonl(self._path, line)


def _write_ending(learner: Learner, config: TrainConfig, folder: Path) -> None:
    """Write digests of everything that a finished learner holds."""
    model: Any = learner.model
    buffer = getattr(model, "replay_buffer", None) or model.rollout_buffer
    arrays = {k: v for k, v in vars(buffer).items() if _is_kept(v)}
    state = learner.engine.state_dict()
    state["usage"] = {k: v for k, v in state["usage"].items() if k != "seconds"}
    moments = learner.normalizer
    scales = [] if moments is None else [vars(moments.ret_rms), _moments(moments)]
    write_json(
        folder / ENDING,
        {
            "weights": digest([model.get_parameters(), scales]),
            "buffers": digest(arrays),
            "reward": digest(state),
            "generators": digest([torch.get_rng_state(), np.random.get_state()]),  # noqa: NPY002
        },
    )


def _moments(normalizer: Any) -> Any:
    seen = getattr(normalizer, "obs_rms", None)
    table = seen if isinstance(seen, dict) else {"": seen}
    return {key: vars(one) for key, one in table.items() if one is not None}


def _is_kept(value: Any) -> bool:
    if isinstance(value, dict):
        return bool(value) and all(_is_kept(item) for item in value.values())
    return isinstance(value, np.ndarray) and value.dtype != object


def digest(value: Any) -> str:
    """Return what tells nested arrays, tensors and plain values from any others."""
    told = hashlib.blake2b(digest_size=12)
    _take(told, value)
    return told.hexdigest()


def _take(told: Any, value: Any) -> None:
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy()
    if isinstance(value, Mapping):
        for key in sorted(value, key=str):
            told.update(str(key).encode())
            _take(told, value[key])
    elif isinstance(value, list | tuple):
        told.update(f"[{len(value)}".encode())
        for item in value:
            _take(told, item)
    elif isinstance(value, np.ndarray):
        told.update(f"{value.dtype}{value.shape}".encode())
        told.update(np.ascontiguousarray(value).tobytes())
    else:
        told.update(repr(value).encode())


def trace(path: Path) -> tuple[dict[str, str], list[str]]:
    """Return what was seen at every point of a run, and where two processes saw different things.

    A process that goes on from a checkpoint passes again what one that was killed had passed.
    """
    seen: dict[str, str] = {}
    torn = []
    for line in path.read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        if seen.setdefault(told["at"], told["seen"]) != told["seen"]:
            torn.append(told["at"])
    return seen, torn
