"""What a reward program pays on every trajectory of a bank, as the engine would pay it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.authored.programs.runner import Runner, Scored, settle, unroll
from densegym.reward_models.authored.screening.bank import Bank
from densegym.reward_models.types import Bool, Float, Int


def score_bank(runner: Runner, bank: Bank) -> list[Scored]:
    """Return what a program pays on every trajectory of a bank, as the engine would.

    A potential is paid as shaping γΦ(s') − Φ(s) with the bank's γ, Φ = 0 after termination and
    kept at truncation; its term ``potential`` is Φ(s'). For Φ(s₀) a feature takes its ``prev_``
    value of the first step, or the first step's own value where it has none.

    Raises:
        SandboxError: the program failed in its worker.
        RewardError: it failed in this process, or defines ``factors``.
    """
    if runner.kind == "factors":
        raise RewardError("a program of factors pays nothing by itself; credit/lare learns from it")
    if not bank.trajectories:
        return []
    features, lengths = bank.stacked(), bank.lengths()
    ends = np.cumsum(lengths)
    if runner.kind == "potential":
        totals, parts = _shaped(runner, features, ends, bank.gamma)
    else:
        settled = settle(unroll(runner, features, lengths))
        totals, parts = np.split(settled.total, ends[:-1]), settled.parts
    columns = {term: np.split(part, ends[:-1]) for term, part in parts.items()}
    return [
        Scored(total, {term: column[i] for term, column in columns.items()})
        for i, total in enumerate(totals)
    ]


def _shaped(
    runner: Runner, features: Mapping[str, Any], ends: Int, gamma: float
) -> tuple[list[Float], Mapping[str, Float]]:
    starts = np.concatenate([[0], ends[:-1]])
    batch = {
        name: np.concatenate([_at_start(features, name, starts), features[name]])
        for name in runner.parameters
    }
    settled = settle(runner(batch))
    first, phi = settled.total[: len(starts)], settled.total[len(starts) :]
    valid, ended = settled.valid[len(starts) :], features["terminated"].astype(np.bool_)
    spans = [slice(start, end) for start, end in zip(starts, ends, strict=True)]
    paid = [
        _shaping(before, phi[span], valid[span], ended[span], gamma)
        for before, span in zip(first, spans, strict=True)
    ]
    return paid, {"potential": phi}


def _at_start(features: Mapping[str, Any], name: str, starts: Int) -> Any:
    if name == "terminated":
        return np.zeros(len(starts), dtype=np.bool_)
    return features.get(f"prev_{name}", features[name])[starts]


def _shaping(first: float, phi: Float, valid: Bool, ended: Bool, gamma: float) -> Float:
    """Return the (T,) shaping of one episode, as ``compose.Shaped`` pays it."""
    values, spoken = np.concatenate([[first], phi]), np.concatenate([[True], valid])
    t = np.arange(len(values))
    last = np.maximum.accumulate(np.where(spoken, t, 0))
    kept = values[last] * gamma ** (last - t)  # an abstention keeps Φ/γ, so its F is 0
    shaping: Float = gamma * np.where(ended, 0.0, kept[1:]) - kept[:-1]
    return shaping
