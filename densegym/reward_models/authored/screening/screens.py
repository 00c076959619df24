"""Screens without training: does a reward rank the labelled trajectories of a bank as it should?

Returns are discounted with the bank's γ over each episode's own length, because tasks that end at
success would otherwise favour whoever dawdles; per-step means favour whoever ends early.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from densegym.reward_models.authored.programs.runner import Scored
from densegym.reward_models.authored.screening.bank import Bank, Trajectory
from densegym.reward_models.authored.screening.loops import Circling, Loops, best_loop, find_loops
from densegym.reward_models.authored.screening.ranking import auc, spearman
from densegym.reward_models.authored.screening.screen_feedback import explain
from densegym.reward_models.sandbox.status import Status
from densegym.reward_models.types import Float

Outcome = Literal["pass", "fail", "inconclusive"]
HARD = ("auc", "idle", "loop")
"""Screens that stop a candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When a screen passes.

    Attributes:
        auc: least share of (success, failure) pairs that are ranked rightly.
        per_class: fewest successes and fewest failures; fewer are inconclusive.
        spearman: least rank correlation of the return with how little noise there was.
        margin: by how much standing still and circling must stay below the median success, in
            units of the scale.
    """

    auc: float = 0.8
    per_class: int = 5
    spearman: float = 0.2
    margin: float = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What the bank says of one reward; measures that could not be taken are None.

    Attributes:
        status: ``ok``, or ``tpe_fail`` where a hard screen failed.
        verdicts: per screen ``auc``, ``spearman``, ``loop``, ``idle``: pass, fail, inconclusive.
        auc: P(return of a success > return of a failure).
        spearman: of the return with one less the noise share, over scripted trajectories.
        loop_gain: undiscounted reward of the loop that pays best when repeated.
        loop_gap: median success less that repeated loop, in units of the scale.
        idle_gap: median success less standing still, in units of the scale.
        tpe: CARD's share: successes whose mean reward a step beats every failure's.
        n_succ: successes.
        n_fail: failures.
        scale: distance between the median success and the median failure; 0 where undefined.
        feedback: what the program's author is told; empty where nothing failed.
    """

    status: Status
    verdicts: Mapping[str, Outcome]
    auc: float | None
    spearman: float | None
    loop_gain: float | None
    loop_gap: float | None
    idle_gap: float | None
    tpe: float | None
    n_succ: int
    n_fail: int
    scale: float
    feedback: str = field(default="", repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values without the feedback, as a ledger row keeps them."""
        values = dataclasses.asdict(self)
        del values["feedback"]
        return values | {"status": str(self.status), "verdicts": dict(self.verdicts)}


def screen(
    bank: Bank,
    scored: Sequence[Scored],
    *,
    thresholds: Thresholds | None = None,
    loops: Sequence[Loops] | None = None,
    horizon: int | None = None,
) -> Screen:
    """Screen one reward.

    Args:
        bank: labelled trajectories.
        scored: what the reward pays on each, in the bank's order.
        thresholds: when a screen passes; None takes the defaults.
        loops: ``find_loops(bank)``, where the caller screens many rewards on one bank.
        horizon: steps of an episode that is not cut short; None takes the bank's longest.

    A loop fails where walking to it and round it up to the horizon beats the median success (of
    experts, where the bank has five that succeed: clumsy successes are no measure of what the
    task pays), and standing still where its median return, held up to the horizon unless the
    world ended, does. Both look at failed episodes only, since resting at the goal is no exploit;
    without five successes, a loop or an idle failure they are inconclusive. Rewards that pay
    forward velocity are safe: a stride ends further ahead, so it is no loop.
    """
    limits = thresholds or Thresholds()
    steps = horizon or max(bank.lengths(), default=0)
    paid = [
        paid_rewards(item, said, bank.gamma)
        for item, said in zip(bank.trajectories, scored, strict=True)
    ]
    returns, success = discounted(paid, bank.gamma), bank.success()
    bar = _bar(bank, returns, limits.per_class)
    circling = _circling(bank, paid, find_loops(bank) if loops is None else loops, steps)
    measured = {
        "auc": auc(returns, success) if bar.known else None,
        "spearman": _noise_rank(bank, returns),
        "loop": bar.above(None if circling is None else circling.discounted),
        "idle": bar.above(_idle_return(bank, paid, steps)),
    }
    least = {"auc": limits.auc, "spearman": limits.spearman}
    verdicts = {
        name: _verdict(got, least.get(name, limits.margin)) for name, got in measured.items()
    }
    failed = [name for name in HARD if verdicts[name] == "fail"]
    return Screen(
        status=Status.TPE_FAIL if failed else Status.OK,
        verdicts=verdicts,
        auc=measured["auc"],
        spearman=measured["spearman"],
        loop_gain=None if circling is None else circling.gain,
        loop_gap=measured["loop"],
        idle_gap=measured["idle"],
        tpe=tpe(bank, scored),
        n_succ=int(success.sum()),
        n_fail=int((~success).sum()),
        scale=bar.scale,
        feedback=explain(failed, bank, scored, returns, circling) if failed else "",
    )


class _Bar(NamedTuple):
    """What standing still and circling must stay below."""

    known: bool
    median: float = 0.0
    scale: float = 0.0

    def above(self, value: float | None) -> float | None:
        """Return how far the bar lies above a return, in units of the scale."""
        if value is None or self.scale == 0.0:
            return None
        return (self.median - value) / self.scale


def _bar(bank: Bank, returns: Float, per_class: int) -> _Bar:
    success = bank.success()
    if min(success.sum(), (~success).sum()) < per_class:
        return _Bar(known=False)
    expert = success & np.array([item.source == "expert" for item in bank.trajectories])
    best = expert if expert.sum() >= per_class else success
    median = float(np.median(returns[best]))
    return _Bar(True, median, abs(median - float(np.median(returns[~success]))))


def paid_rewards(trajectory: Trajectory, scored: Scored, gamma: float) -> Float:
    """Return the (T,) rewards by which one trajectory is ranked.

    A potential Φ is ranked by its rise Φ(s') − Φ(s), kept where the world ended. What shaping
    pays instead, γΦ(s') − Φ(s) with Φ = 0 after termination, sums to −Φ(s₀) for every success:
    there the world's outcome takes over, which a bank does not hold.
    """
    total, phi = scored.total, scored.parts.get("potential")
    if phi is None or len(scored.parts) > 1 or np.array_equal(phi, total):
        return total
    after = 0.0 if trajectory.features["terminated"][0] else phi[0]
    first = gamma * after - total[0]
    return np.diff(phi, prepend=first)


def discounted(paid: Sequence[Float], gamma: float) -> Float:
    """Return the (trajectories,) discounted returns."""
    return np.array([reward @ gamma ** np.arange(len(reward)) for reward in paid])


def tpe(bank: Bank, scored: Sequence[Scored]) -> float | None:
    """Return the share of successes whose mean reward a step beats the best failure's.

    Trajectory preference evaluation of CARD (Sun et al., 2024), which passes from 0.8; we report
    it beside the AUC. None where there is no success or no failure: CARD passes there.
    """
    means, success = np.array([item.total.mean() for item in scored]), bank.success()
    if success.all() or not success.any():
        return None
    return float((means[success] > means[~success].max()).mean())


def _circling(
    bank: Bank, paid: Sequence[Float], loops: Sequence[Loops], horizon: int
) -> Circling | None:
    failed = [i for i, item in enumerate(bank.trajectories) if not item.success]
    best = best_loop([loops[i] for i in failed], [paid[i] for i in failed], bank.gamma, horizon)
    return None if best is None else best._replace(trajectory=failed[best.trajectory])


def _idle_return(bank: Bank, paid: Sequence[Float], horizon: int) -> float | None:
    """Return the median discounted return of standing still, or None without such an episode."""
    held = [
        reward if item.features["terminated"][-1] else _hold(reward, horizon)
        for item, reward in zip(bank.trajectories, paid, strict=True)
        if item.source == "idle" and not item.success
    ]
    return float(np.median(discounted(held, bank.gamma))) if held else None


def _hold(reward: Float, horizon: int) -> Float:
    return np.pad(reward, (0, max(horizon - len(reward), 0)), mode="edge")


def _noise_rank(bank: Bank, returns: Float) -> float | None:
    noise = np.array([item.noise for item in bank.trajectories])
    told = ~np.isnan(noise)
    rank = spearman(returns[told], -noise[told])
    return None if np.isnan(rank) else rank


def _verdict(measure: float | None, least: float) -> Outcome:
    if measure is None:
        return "inconclusive"
    return "pass" if measure >= least else "fail"
