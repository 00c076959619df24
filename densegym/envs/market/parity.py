"""Replays recorded episodes of Coopetition-Gym through our core, and holds us to tolerances.

A folder of fixtures holds any of ``trajectories.json[.gz]`` (a list of episodes),
``golden_constant50.json`` (whole episodes at half of every endowment) and
``paper_payoffs_tr3.json[.gz]`` (utilities of single profiles); a single file may be named too.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from densegym.envs.market import payoffs
from densegym.envs.market.core import Api, MarketCore
from densegym.envs.market.observe import reference_observation
from densegym.envs.market.params import Market, find_market
from densegym.errors import DenseGymError

TOLERANCES = {
    "rewards": 5e-5,  # relative to max(1, |r|); the reference's are float32
    "observations": 1e-6,  # relative to max(1, |x|)
    "trust": 1e-6,
    "golden": 1e-6,  # relative
    "paper": 1e-7,  # relative to max(1, |u|)
}


def replay(folder: Path) -> dict[str, Any]:
    """Return the largest differences of every kind, how many were compared, and ``ok``.

    Raises:
        DenseGymError: there is nothing to read, or it has another form.
    """
    told: dict[str, Any] = {"fixtures": str(folder), "tolerances": TOLERANCES}
    worst: dict[str, float] = {}
    for path in _files(folder):
        try:
            kind = _read_into(told, worst, path)
        except (KeyError, IndexError, TypeError, ValueError, OSError) as error:
            raise DenseGymError(f"{path} has not the form of a fixture: {error!r}") from error
        if kind is None:
            raise DenseGymError(f"{path} is no list of episodes, golden values or utilities")
    told["largest"] = worst
    ok = all(worst[name] <= TOLERANCES[name] for name in worst)
    told["ok"] = bool(ok and worst and told.get("flags_equal", True))
    return told


def _files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    stems = ("trajectories", "golden_constant50", "paper_payoffs_tr3")
    found = [p for p in sorted(folder.glob("*.json*")) if p.name.startswith(stems)]
    if not found:
        raise DenseGymError(
            f"{folder} holds no fixtures; expected trajectories.json.gz, golden_constant50.json or "
            "paper_payoffs_tr3.json.gz. Type: densegym market parity --fixtures DIR"
        )
    return found


def _read_into(told: dict[str, Any], worst: dict[str, float], path: Path) -> str | None:
    raw = path.read_bytes()
    data = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    if isinstance(data, list) and data and "rewards" in data[0]:
        return _episodes(told, worst, data)
    if isinstance(data, list) and data and "utility" in data[0]:
        seen = [_utility_error(row) for row in data]
        told["profiles"], worst["paper"] = len(seen), max(seen)
        return "paper"
    if isinstance(data, dict) and data and "return_50" in next(iter(data.values())):
        seen = [_golden_error(name, row) for name, row in data.items()]
        told["golden_worlds"], worst["golden"] = len(seen), max(seen)
        return "golden"
    return None


def _episodes(told: dict[str, Any], worst: dict[str, float], episodes: Sequence[Any]) -> str:
    kinds = [compare(one) for one in episodes]
    told["episodes"] = len(kinds)
    told["steps"] = sum(len(one["rewards"]) for one in episodes)
    unlike = [one["key"] for one, kind in zip(episodes, kinds, strict=True) if not kind["flags"]]
    told["flags_equal"], told["unequal_flags"] = not unlike, unlike
    for name in ("rewards", "observations", "trust"):
        worst[name] = max(kind[name] for kind in kinds)
    return "episodes"


def market_of(name: str) -> Market:
    """Return the market of ``"TrustDilemma-v0"`` or ``"ApacheProject-v0:growth"``."""
    stem, _, phase = name.partition(":")
    return find_market(stem.removesuffix("-v0"), phase or None)


def compare(episode: Mapping[str, Any]) -> dict[str, Any]:
    """Replay one recorded episode; return the largest differences and whether flags are equal."""
    market, api = market_of(episode["env"]), episode["api"]
    core = MarketCore(
        market, mode=episode["mode"], payoff="reference", jitter=0.0, parity=_api(api)
    )
    core.begin(synergy=episode.get("gamma"))
    actions = np.array(episode["actions"], np.float32)
    paid, trust, flags = [], [], True
    seen = [_observation_error(core, api, episode, 0)]
    for t, row in enumerate(actions):
        step = core.step(row[None])
        paid.append(step.reward[0])
        trust.append(core.mean_trust()[0])
        told = bool(step.terminated[0]), bool(step.truncated[0])
        flags &= told == (episode["terminated"][t], episode["truncated"][t])
        seen.append(_observation_error(core, api, episode, t + 1))
        if any(told):
            flags &= t + 1 == len(actions)
            break
    recorded = np.array(episode["rewards"])[: len(paid)]
    ends = [
        _gap(core.trust[..., 0], episode["trust"]),
        _gap(core.damage[..., 0], episode["reputation"]),
        _gap(np.array(trust), episode["mean_trust"][: len(trust)]),
    ]
    return {
        "rewards": _gap(np.array(paid), recorded),
        "observations": max(seen),
        "trust": max(ends),
        "flags": flags,
    }


def _observation_error(core: MarketCore, api: Api, episode: Mapping[str, Any], t: int) -> float:
    recorded = episode["obs"].get(str(t))
    if recorded is None:
        return 0.0
    rows = {"agent_0": recorded} if api == "gym" else recorded
    return max(
        _gap(reference_observation(core, api, int(agent.removeprefix("agent_"))), row)
        for agent, row in rows.items()
    )


def _golden_error(name: str, golden: Mapping[str, Any]) -> float:
    core = MarketCore(
        market_of(name), mode="integrated", payoff="reference", jitter=0.0, parity="gym"
    )
    core.begin(synergy=golden["gamma"])
    half = 0.5 * core.endowment.T
    steps = [core.step(half) for _ in range(int(golden["len_50"]))]
    ended = steps[-1].terminated[0] or steps[-1].truncated[0]
    if not ended:
        return float("inf")
    total = np.sum([step.reward[0] for step in steps], axis=0)
    return max(
        _gap(total, golden["return_50"]),
        _gap(steps[0].reward[0], golden["first_reward_50"]),
        _gap(core.mean_trust()[0], golden["mean_trust_end"]),
    )


def _utility_error(row: Mapping[str, Any]) -> float:
    market = market_of(row["env"])
    actions, loyalty = (np.array(row[key])[:, None] for key in ("actions", "loyalty"))
    own = payoffs.private(market, "paper", actions, 0.0)
    return _gap(payoffs.loyal(market, own, actions, loyalty)[:, 0], row["utility"])


def _gap(ours: Any, theirs: Any) -> float:
    """Return the largest difference relative to max(1, |theirs|)."""
    recorded = np.asarray(theirs, dtype=np.float64)
    if np.shape(ours) != recorded.shape:
        raise ValueError(f"shapes {np.shape(ours)} and {recorded.shape} differ")
    return float(np.max(np.abs(ours - recorded) / np.maximum(1.0, np.abs(recorded)), initial=0.0))


def _api(text: str) -> Api:
    if text not in ("gym", "parallel"):
        raise ValueError(f'api is "gym" or "parallel"; given {text!r}')
    return "gym" if text == "gym" else "parallel"
