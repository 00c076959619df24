"""What the card of a local judge's weights must say before anything is paid by them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from densegym.errors import RewardError
from densegym.reward_models.types import TaskCard

_SIMULATORS = ("gymnasium", "gymnasium-robotics", "metaworld", "mujoco")
_ANYHOW = 'To take it anyhow, say {"model": "progress/local", "unchecked": true}'


def versions() -> dict[str, str]:
    """Return the versions of what makes pictures, by package; those that are not here left out."""
    found = {}
    for package in _SIMULATORS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def checksum(tensors: Mapping[str, Any], card: str) -> str:
    """Return a hash of named tensors and of the card's text."""
    total = hashlib.blake2b(card.encode(), digest_size=16)
    for name in sorted(tensors):
        total.update(f"{name} {tuple(tensors[name].shape)} {tensors[name].dtype}".encode())
        total.update(tensors[name].contiguous().numpy().tobytes())
    return total.hexdigest()


def check_card(card: Mapping[str, Any], task: TaskCard, path: Path) -> None:
    """Refuse weights that were fitted for something else, or did not pass their evaluation.

    Args:
        card: what the weights say of themselves.
        task: what they are to judge.
        path: of the weights, for the message.

    Raises:
        RewardError: another task, other cameras, other versions of the simulator, or an evaluation
            that was not passed; says what to type.
    """
    again = f"densegym fit progress/local --task {task.id}"
    fitted, cameras = card.get("task"), tuple(card.get("cameras", ()))
    if fitted != task.id:
        raise RewardError(
            f"{path} was fitted for {fitted or 'no task that it names'}; given {task.id}. "
            f"Type: {again}. {_ANYHOW}"
        )
    if task.cameras and cameras != task.cameras:
        raise RewardError(
            f"{path} looks through the cameras {', '.join(cameras)}, and {task.id} has "
            f"{', '.join(task.cameras)} now. Type: {again}. {_ANYHOW}"
        )
    here = versions()
    changed = [
        f"{name} {told} (here {here.get(name, 'missing')})"
        for name, told in card.get("versions", {}).items()
        if here.get(name) != told
    ]
    if changed:
        raise RewardError(
            f"{path} was fitted to pictures of {', '.join(changed)}, which may look otherwise. "
            f"Type: densegym demos collect {task.id} && {again}. {_ANYHOW}"
        )
    told = card.get("metrics", {})
    if not told.get("passed", False):
        missed = card.get("missed") or ["it was never evaluated"]
        raise RewardError(
            f"{path} did not pass its evaluation: {'; '.join(missed)}. {_ANYHOW}; "
            f"or fit another: {again} --seed 1"
        )
