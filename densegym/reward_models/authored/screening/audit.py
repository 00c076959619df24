"""Audits one reward on a trajectory bank: what is dead, constant, backwards or farmable in it.

Two defects that Text2Reward (Xie et al., 2024) published with its Meta-World rewards are the
pattern: a weight of 100 on an equality of floats, which never holds, and a bonus of 100 for a
cosine distance between positions, which is always small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from densegym.reward_models.authored.programs.runner import Scored, open_runner
from densegym.reward_models.authored.screening.bank import Bank
from densegym.reward_models.authored.screening.gaps import Falls, falling_terms
from densegym.reward_models.authored.screening.loops import still_steps
from densegym.reward_models.authored.screening.ranking import spearman
from densegym.reward_models.authored.screening.scoring import score_bank
from densegym.reward_models.authored.screening.screens import Screen, Thresholds, screen
from densegym.reward_models.features import feature_names
from densegym.reward_models.sandbox.allowlist import inspect_source
from densegym.reward_models.types import Float, TaskCard

Kind = Literal[
    "dead", "constant", "dominating", "wrong_sign", "uncorrelated", "expert_share", "exploitable"
]
ZERO = 1e-12
CONSTANT_SHARE = 0.98  # of the states, in which a term has one and the same value
VARIANCE_SHARE = 0.99
SIZE_SHARE = 0.95
FALLING_RANK = -0.5  # rank correlation of a term with how little noise there was
EXPERT_SHARE = 0.3
_STANDS = 0.01  # a reward that pays a still robot this share of its largest pays for being


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: what sort of defect.
        term: which term, or ``""`` for the whole reward.
        measured: the numbers behind it.
        advice: what to do, in one sentence.
    """

    kind: Kind
    term: str = ""
    measured: Mapping[str, float] = field(default_factory=dict)
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What an audit found.

    Attributes:
        task: environment id.
        findings: empty where nothing was found.
        measured: of the whole reward: auc, spearman, loop_gap, idle_gap, expert_share, as far
            as the bank allows.
    """

    task: str
    findings: tuple[Finding, ...]
    measured: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        findings = [
            {
                "kind": item.kind,
                "term": item.term,
                "measured": dict(item.measured),
                "advice": item.advice,
            }
            for item in self.findings
        ]
        return {"task": self.task, "findings": findings, "measured": dict(self.measured)}


def audit(source: str, card: TaskCard, bank: Bank) -> Audit:
    """Audit a reward program; it runs in a worker process only.

    Kinds of finding, each from measurements on the bank:

    - ``dead``: the term is zero in every state;
    - ``constant``: it has one non-zero value in at least 98 % of the states;
    - ``dominating``: it holds more than 99 % of the terms' variance or 95 % of their size (this
      and ``dead`` need five successes in the bank: a term may live only near the goal);
    - ``wrong_sign``: it measures a gap that the task wants closed and falls as it closes
      (``gaps.py``), or it falls the closer to the expert an episode was played and outweighs
      all that the other terms gain there;
    - ``uncorrelated``: returns do not rank successes above failures (AUC below 0.8);
    - ``expert_share``: for rewards that pay for being somewhere: the expert collects less than
      30 % of the largest reward a step held for a whole episode;
    - ``exploitable``: standing still or circling beats the median success.

    Args:
        source: the program's text.
        card: the task.
        bank: labelled trajectories of the task.

    Raises:
        RewardError: the program was refused by the static check, or failed.
        SandboxError: it failed in its worker.
    """
    inspection = inspect_source(source, known=feature_names(card))
    with open_runner(inspection) as runner:
        scored = score_bank(runner, bank)
        falls = falling_terms(runner, card, bank)
        shaping = runner.kind == "potential"
    terms = {} if shaping else _terms(scored)
    found = [*_by_term(terms, bank), *map(_falling, falls)]
    told = {item.term for item in found if item.kind == "wrong_sign"}
    found += [item for item in _backwards(scored, bank) if item.term not in told]
    whole, measured = _whole(bank, scored, None if shaping else expert_share(bank, scored))
    return Audit(task=bank.task, findings=(*found, *whole), measured=measured)


def audit_expert(bank: Bank, rewards: Sequence[Float], largest: float | None = None) -> Audit:
    """Audit an upstream, hand-written reward as a whole, from what it paid.

    Args:
        bank: trajectories that go on after success.
        rewards: (T,) float64 per trajectory, in the bank's order.
        largest: what it can pay a step; None takes what it paid, as ``expert_share`` does.
    """
    scored = [Scored(reward, {"expert": reward}) for reward in rewards]
    whole, measured = _whole(bank, scored, expert_share(bank, scored, largest))
    return Audit(task=bank.task, findings=tuple(whole), measured=measured)


def _terms(scored: Sequence[Scored]) -> dict[str, Float]:
    """Return every term over all steps of the bank."""
    return {
        term: np.concatenate([item.parts[term] for item in scored])
        for term in (scored[0].parts if scored else ())
    }


def _by_term(terms: Mapping[str, Float], bank: Bank) -> list[Finding]:
    judged = int(bank.success().sum()) >= Thresholds().per_class
    found, live = list[Finding](), dict[str, Float]()
    for term, values in terms.items():
        middle = float(np.median(values))
        fires = float((np.abs(values) > ZERO).mean())
        same = float((np.abs(values - middle) <= 1e-9 * max(1.0, abs(middle))).mean())
        if fires == 0.0:
            found += [_dead(term, len(values))] * judged
        elif same >= CONSTANT_SHARE and abs(middle) > ZERO:
            found.append(_constant(term, same, middle))
        else:
            live[term] = values
    return [*found, *(_dominating(live) if judged else ())]


def _dead(term: str, states: int) -> Finding:
    return Finding(
        kind="dead",
        term=term,
        measured={"fires": 0.0, "states": float(states)},
        advice=f"{term} is zero in every recorded state, of experts too: loosen its condition "
        "(floats are never exactly equal), or drop it.",
    )


def _constant(term: str, share: float, value: float) -> Finding:
    return Finding(
        kind="constant",
        term=term,
        measured={"share": share, "value": value},
        advice=f"{term} is {value:.4g} almost everywhere, so it tells states apart nowhere and "
        "pays for staying: tighten its condition to what only success meets, or drop it.",
    )


def _dominating(terms: Mapping[str, Float]) -> list[Finding]:
    if len(terms) < 2:
        return []
    variance = {term: float(values.var()) for term, values in terms.items()}
    size = {term: float(np.abs(values).mean()) for term, values in terms.items()}
    found = []
    for term in terms:
        measured = {
            "variance_share": variance[term] / max(sum(variance.values()), ZERO),
            "size_share": size[term] / max(sum(size.values()), ZERO),
        }
        if measured["variance_share"] > VARIANCE_SHARE or measured["size_share"] > SIZE_SHARE:
            advice = f"{term} drowns the other terms: lower its weight or raise theirs."
            found.append(Finding(kind="dominating", term=term, measured=measured, advice=advice))
    return found


def _falling(falls: Falls) -> Finding:
    near, far = (name.replace("_", " ") for name in falls.gap)
    return Finding(
        kind="wrong_sign",
        term=falls.term,
        measured={"falls_in": falls.share},
        advice=f"{falls.term} falls when {near} comes closer to {far}: change its sign.",
    )


def _backwards(scored: Sequence[Scored], bank: Bank) -> list[Finding]:
    """Return terms that fall from noisy episodes to the expert's by more than all others rise."""
    noise = np.array([item.noise for item in bank.trajectories])
    told, random = ~np.isnan(noise), noise == np.nanmax(noise, initial=0.0)
    expert = noise == 0.0
    if not expert.any() or not (random & ~expert).any():
        return []
    means = {
        term: np.array([item.parts[term].mean() for item in scored]) for term in scored[0].parts
    }
    rise = {term: float(mean[expert].mean() - mean[random].mean()) for term, mean in means.items()}
    found = []
    for term, mean in means.items():
        rank = spearman(mean[told], -noise[told])
        others = sum(max(value, 0.0) for name, value in rise.items() if name != term)
        if rank < FALLING_RANK and -rise[term] > others:
            advice = (
                f"{term} pays the expert less than random actions, and outweighs what the other "
                "terms gain: change its sign or lower its weight."
            )
            measured = {"spearman": rank, "rise": rise[term], "others_rise": others}
            found.append(Finding(kind="wrong_sign", term=term, measured=measured, advice=advice))
    return found


def _whole(
    bank: Bank, scored: Sequence[Scored], share: float | None
) -> tuple[list[Finding], dict[str, float]]:
    seen = screen(bank, scored)
    found = [make(seen) for failed, make in _WHOLE.items() if seen.verdicts[failed] == "fail"]
    if share is not None and share < EXPERT_SHARE:
        found.append(
            Finding(
                kind="expert_share",
                measured={"share": share},
                advice="the expert collects a small part of what the reward can pay, so success "
                "is not where the pay is: pay the most in the states that success consists of.",
            )
        )
    told = {
        "auc": seen.auc,
        "spearman": seen.spearman,
        "loop_gap": seen.loop_gap,
        "idle_gap": seen.idle_gap,
        "expert_share": share,
    }
    return found, {name: value for name, value in told.items() if value is not None}


def expert_share(
    bank: Bank, scored: Sequence[Scored], largest: float | None = None
) -> float | None:
    """Return the experts' mean return over the largest reward of a step, times the horizon.

    An expert's episode that ended early is held at its last reward. Unless ``largest`` says
    otherwise, the largest reward is the best mean over a tenth of an episode in the bank, which
    a bonus or a stride does not reach. None without a successful expert, for rewards that are
    never positive, and for those that pay a still robot next to nothing: they pay for getting
    somewhere, and no episode could hold their largest step.
    """
    horizon = max(bank.lengths(), default=0)
    returns = [
        float(item.total.sum() + item.total[-1] * (horizon - len(item.total)))
        for item, trajectory in zip(scored, bank.trajectories, strict=True)
        if trajectory.source == "expert" and trajectory.success
    ]
    paid, still = np.concatenate([i.total for i in scored]), np.concatenate(still_steps(bank))
    if not returns or not still.any():
        return None
    if float(np.abs(paid[still]).mean()) < _STANDS * float(np.abs(paid).max()):
        return None
    if largest is None:
        largest = max(_best_window(item.total, max(horizon // 10, 1)) for item in scored)
    return float(np.mean(returns)) / (largest * horizon) if largest > 0.0 else None


def _best_window(rewards: Float, steps: int) -> float:
    """Return the best mean of so many consecutive rewards; of all of them in shorter episodes."""
    steps = min(steps, len(rewards))
    sums = np.convolve(rewards, np.ones(steps), mode="valid")
    return float(sums.max()) / steps


def _uncorrelated(seen: Screen) -> Finding:
    return Finding(
        kind="uncorrelated",
        measured={"auc": seen.auc or 0.0, "successes": seen.n_succ, "failures": seen.n_fail},
        advice="failed episodes often earn more than successful ones: pay progress between "
        "steps, or a success bonus worth more than the rest of the episode.",
    )


def _loopy(seen: Screen) -> Finding:
    return Finding(
        kind="exploitable",
        measured={"loop_gap": seen.loop_gap or 0.0, "loop_gain": seen.loop_gain or 0.0},
        advice="going in circles beats the median success: pay the change of a distance, which "
        "cancels on a loop.",
    )


def _lazy(seen: Screen) -> Finding:
    return Finding(
        kind="exploitable",
        measured={"idle_gap": seen.idle_gap or 0.0},
        advice="standing still beats the median success: pay progress, not presence.",
    )


_WHOLE: Mapping[str, Callable[[Screen], Finding]] = {
    "auc": _uncorrelated,
    "loop": _loopy,
    "idle": _lazy,
}
