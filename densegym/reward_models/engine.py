"""The one stateful piece between a host environment and a reward model.

Four thin skins (gym.Env, VectorEnv, SB3 VecEnv, PettingZoo) tell the engine which rows began and
which stepped; everything that decides a number happens here, so the skins cannot disagree.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.base import close_model, metrics_of
from densegym.reward_models.batch import LaneStore, all_finite, all_true
from densegym.reward_models.deferral import Deferral, replay
from densegym.reward_models.hindsight import Hindsight
from densegym.reward_models.types import (
    Bool,
    Float,
    Frames,
    Info,
    Int,
    Need,
    Pictures,
    RewardModel,
    Scores,
    Starts,
    Steps,
)

Fallback = Literal["zero", "env", "last", "raise"]
FALLBACKS: tuple[Fallback, ...] = ("zero", "env", "last", "raise")
_SUM_EVERY = 32  # vector steps between two additions to the running sums
_WORLD_KEYS = ("reward/env", "reward/dense", "reward/valid", "return/env", "return/dense")


@lru_cache(maxsize=256)
def _ones(count: int) -> Float:
    array = np.ones(count)
    array.flags.writeable = False
    return array


class Outcome(NamedTuple):
    """What the engine says of one batch.

    Attributes:
        reward: (B,) float64, what the learner is paid.
        keys: K names of the flat info entries.
        columns: K arrays (B,), their values.
        credits: slot and (T,) float64 credits of episodes that a redistributor spoke for.
    """

    reward: Float
    keys: tuple[str, ...]
    columns: Sequence[Any]
    credits: Sequence[tuple[int, Float]] = ()


@dataclass(slots=True)
class Usage:
    """What a model cost since the engine was made.

    Attributes:
        steps: rows scored.
        abstentions: rows on which the model abstained.
        seconds: wall seconds inside the model.
    """

    steps: int = 0
    abstentions: int = 0
    seconds: float = 0.0


class RewardEngine:
    """Feeds a reward model and keeps the books of every lane.

    Args:
        model: the reward model.
        num_envs: number of lanes (sub-environments or agents).
        mode: ``"replace"`` pays the model's reward, ``"add"`` adds it to the world's.
        fallback: what the model's share is on rows where it abstains: nothing, the world's
            reward, the lane's last valid score, or an error.
        clip: bounds on the model's share, after the fallback.
        task: the task's sentence, for models with ``Need.TASK``.
        relabelled: as the attribute.
        deferrable: whether ``defer`` may keep steps back from the model.

    Attributes:
        relabelled: whether somebody pays the credits of whole episodes; without that a model with
            ``Need.EPISODE`` is refused, for it would pay nothing.
        last: what was said of the latest batch of steps.
        bootstraps: whether learners may add the value of the last state at a time limit.
    """

    last: Outcome
    relabelled: bool
    bootstraps: bool = True

    def __init__(
        self,
        model: RewardModel,
        num_envs: int,
        *,
        mode: Literal["replace", "add"] = "replace",
        fallback: Fallback = "zero",
        clip: tuple[float, float] | None = None,
        task: str = "",
        relabelled: bool = False,
        deferrable: bool = False,
    ) -> None:
        if fallback not in FALLBACKS:
            raise RewardError(f"fallback is one of {', '.join(FALLBACKS)}; given {fallback!r}")
        self.model = model
        self.num_envs = num_envs
        self.mode = mode
        self.fallback = fallback
        self.clip = clip
        self.task = task
        self.relabelled = relabelled
        self.deferrable = deferrable
        self._deferral: Deferral | None = None
        self.usage = Usage()
        self.slots: Int = np.arange(num_envs)
        self._observations = LaneStore(self.slots) if Need.OBS in model.needs else None
        self._hindsight = Hindsight(model, task) if Need.EPISODE in model.needs else None
        self._t: Int = np.zeros(num_envs, dtype=np.int64)
        self._return_env: Float = np.zeros(num_envs)
        self._return_dense: Float = np.zeros(num_envs)
        self._last: Float = np.zeros(num_envs)
        self._set_terms(model.terms)

    @property
    def needs_frames(self) -> bool:
        """Whether the host must render states; ``pictures`` says which."""
        return Need.FRAME in self.model.needs

    @property
    def pictures(self) -> Pictures:
        """Which pictures the model looks at."""
        return getattr(self.model, "pictures", None) or Pictures()

    def begin(
        self, slot: Int, obs: Any, info: Sequence[Info], frame: Frames | None = None
    ) -> Outcome:
        """Start episodes in lanes ``slot``.

        Returns:
            Zero for every key, and one for ``reward/valid``.

        Raises:
            RewardError: the model speaks at the end of an episode and nobody relabels.
        """
        if self._hindsight is not None and not self.relabelled:
            self._refuse_to_pay_steps()
        self._t[slot] = 0
        # New arrays, because the last outcome still shows the old ones.
        self._return_env, self._return_dense = self._return_env.copy(), self._return_dense.copy()
        self._return_env[slot] = self._return_dense[slot] = 0.0
        self._last[slot] = 0.0
        task = [self.task] * len(slot) if Need.TASK in self.model.needs else ()
        kept = None if self._observations is None else obs
        starts = Starts(slot=slot, obs=kept, info=info, frame=frame, task=task)
        if self._observations is not None:
            self._observations.put(slot, obs)
        if self._hindsight is not None:
            self._hindsight.begin(starts)
        if self._deferral is None:
            started = time.perf_counter()
            self.model.begin(starts)
            self.usage.seconds += time.perf_counter() - started
        else:
            self._deferral.put(starts)
        zeros = np.zeros(len(slot))
        columns = [zeros] * len(self.keys)
        columns[2] = _ones(len(slot))
        return Outcome(reward=zeros, keys=self.keys, columns=columns)

    def advance(
        self,
        *,
        slot: Int,
        action: Any,
        next_obs: Any,
        env_reward: Float,
        terminated: Bool,
        truncated: Bool,
        info: Sequence[Info],
        frame: Frames | None = None,
    ) -> Outcome:
        """Score the rows that really stepped; arguments as in ``Steps``.

        Raises:
            RewardError: the model returned a wrong shape or a non-finite reward, or abstained
                under ``fallback="raise"``.
        """
        store = self._observations
        steps = Steps(
            slot=slot,
            t=self._tick(slot),
            obs=None if store is None else store.swap(slot, next_obs),
            action=action,
            next_obs=None if store is None else next_obs,
            env_reward=env_reward,
            terminated=terminated,
            truncated=truncated,
            info=info,
            frame=frame,
        )
        if self._deferral is None:
            started = time.perf_counter()
            scores = self.model.score(steps)
            self.usage.seconds += time.perf_counter() - started
            paid, valid = self._pay(scores, steps)
            columns = self._tabulate(slot, env_reward, paid, valid, scores.parts)
        else:
            self._deferral.put(steps)
            paid = np.zeros(len(slot))
            columns = self._tabulate(slot, env_reward, paid, all_true(len(slot)), {})
        credits = () if self._hindsight is None else self._hindsight.finish(steps, paid)
        self.last = Outcome(paid, self.keys, columns, credits)
        # SB3 adds the value of truncated states to the array that it is handed.
        return self.last._replace(reward=paid.copy())

    def defer(self) -> None:
        """Keep steps back from the model until ``settle``, which pays for all of them at once.

        Until then rows are paid nothing, and ``reward/dense`` and ``return/dense`` say so.

        Raises:
            RewardError: the model speaks of whole episodes, which are kept whole already.
        """
        if self._hindsight is not None:
            raise RewardError(
                f'"{self.model.name}" is paid by whole episodes, so its steps cannot be deferred '
                'as well. Leave out "deferred".'
            )
        self._deferral = Deferral()

    @property
    def deferring(self) -> bool:
        """Whether steps are kept back."""
        return self._deferral is not None

    def settle(self) -> list[Float]:
        """Let the model judge what was kept back; return (B,) pay of every batch, in order."""
        assert self._deferral is not None
        events = self._deferral.take()
        started = time.perf_counter()
        scores = iter(replay(self.model, events))
        self.usage.seconds += time.perf_counter() - started
        settled = []
        for event in events:
            if isinstance(event, Starts):
                self._last[event.slot] = 0.0
            else:
                settled.append(self._settle(event, next(scores)))
        return settled

    def _settle(self, steps: Steps, scores: Scores) -> Float:
        paid, valid = self._pay(scores, steps)
        said = scores.parts.values() if scores.parts else [np.zeros(len(paid))] * len(self._terms)
        # The sums hold the world's reward, and rows taken for valid, since step time.
        self._unsummed.append([np.zeros(len(paid)), paid, valid - 1.0, *said])
        return paid

    def open_credits(self) -> list[tuple[int, Float]]:
        """Return slot and (t,) provisional credits of every unfinished episode that has some."""
        return [] if self._hindsight is None else self._hindsight.open_credits()

    def state_dict(self) -> dict[str, Any]:
        """Return the model's state and usage; lanes start afresh after a checkpoint."""
        usage = dataclasses.asdict(self.usage)
        return {"name": self.model.name, "model": self.model.state_dict(), "usage": usage}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the model's state and usage.

        Raises:
            RewardError: the state belongs to another reward.
        """
        if state["name"] != self.model.name:
            raise RewardError(
                f'the checkpoint was trained on reward "{state["name"]}", this run uses '
                f'"{self.model.name}". Resume with the same --reward.'
            )
        self.model.load_state_dict(state["model"])
        self.usage = Usage(**state["usage"])

    def metrics(self) -> dict[str, float]:
        """Return the model's numbers for logs, if it keeps any."""
        return metrics_of(self.model)

    def close(self) -> None:
        """Close the model, if it holds files, threads or connections."""
        close_model(self.model)

    def pop_sums(self) -> dict[str, float]:
        """Return the sum over all rows of every reward key since the last call."""
        self._add_up()
        summed = [key for key in self.keys if key.startswith("reward/")]
        sums = dict(zip(summed, self._sums.tolist(), strict=True))
        self._sums[:] = 0.0
        return sums

    def _set_terms(self, terms: tuple[str, ...]) -> None:
        self._terms = terms
        self.keys: tuple[str, ...] = (*_WORLD_KEYS, *(f"reward/part/{term}" for term in terms))
        self._unsummed: list[Sequence[Any]] = []
        self._sums: Float = np.zeros(3 + len(terms))

    def _check(self, scores: Scores, steps: Steps) -> None:
        if scores.reward.shape != steps.slot.shape or scores.valid.shape != steps.slot.shape:
            raise RewardError(
                f'"{self.model.name}" returned reward of shape {np.shape(scores.reward)} and valid '
                f"of shape {np.shape(scores.valid)} for a batch of {len(steps.slot)} steps; "
                f"expected {steps.slot.shape} for both, one number per row."
            )
        if scores.parts and tuple(scores.parts) != self._terms:
            self._set_terms(tuple(scores.parts))
        if not all_finite(scores.reward):
            bad = ~np.isfinite(scores.reward) & scores.valid
            if bad.any():
                self._refuse_non_finite(int(np.argmax(bad)), scores, steps)

    def _refuse_non_finite(self, row: int, scores: Scores, steps: Steps) -> None:
        terms = [name for name, part in scores.parts.items() if not np.isfinite(part[row])]
        where = f" (term {', '.join(terms)})" if terms else ""
        raise RewardError(
            f'"{self.model.name}" returned {scores.reward[row]}{where} in lane {steps.slot[row]} '
            f"at step {steps.t[row]}; rewards must be finite. To abstain on a row, return "
            "valid=False there and choose a fallback: zero, env or last."
        )

    def _pay(self, scores: Scores, steps: Steps) -> tuple[Float, Bool]:
        self._check(scores, steps)
        valid, learned = scores.valid, scores.reward
        self.usage.steps += len(valid)
        if valid is not all_true(len(valid)) and not valid.all():
            learned = np.where(valid, learned, self._stand_in(steps))
            self.usage.abstentions += int((~valid).sum())
        if self.clip is not None:
            learned = np.clip(learned, *self.clip)
        if self.fallback == "last":
            self._last[steps.slot] = learned
        return (steps.env_reward + learned if self.mode == "add" else learned), valid

    def _stand_in(self, steps: Steps) -> Float | float:
        if self.fallback == "raise":
            raise RewardError(
                f'"{self.model.name}" abstained and fallback="raise" was asked for. '
                "Choose fallback zero, env or last to train on."
            )
        if self.fallback == "env":
            return steps.env_reward
        return self._last[steps.slot] if self.fallback == "last" else 0.0

    def _tick(self, slot: Int) -> Int:
        if slot is self.slots:
            before, self._t = self._t, self._t + 1
            return before
        self._t[slot] += 1
        return self._t[slot] - 1

    def _tabulate(
        self, slot: Int, env_reward: Float, paid: Float, valid: Bool, parts: Mapping[str, Float]
    ) -> Sequence[Any]:
        if slot is self.slots:
            self._return_env = return_env = self._return_env + env_reward
            self._return_dense = return_dense = self._return_dense + paid
        else:
            self._return_env[slot] += env_reward
            self._return_dense[slot] += paid
            return_env, return_dense = self._return_env[slot], self._return_dense[slot]
        said = parts.values() if parts else [np.zeros(len(slot))] * len(self._terms)
        spoke = _ones(len(slot)) if valid is all_true(len(slot)) else valid.astype(np.float64)
        columns = [env_reward, paid, spoke, return_env, return_dense, *said]
        self._unsummed.append([env_reward, paid, spoke, *said])
        if len(self._unsummed) >= _SUM_EVERY:
            self._add_up()
        return columns

    def _add_up(self) -> None:
        if self._unsummed:
            self._sums += [np.concatenate(key).sum() for key in zip(*self._unsummed, strict=True)]
            self._unsummed.clear()

    def _refuse_to_pay_steps(self) -> None:
        raise RewardError(
            f'"{self.model.name}" is known only when an episode has ended, so it cannot be paid at '
            "step time. Train with densegym train, or call densegym.agents.relabel.attach(model) "
            "on your own SB3 learner. To read the credits yourself from "
            'info["reward/credits"], write {"model": ..., "hindsight": true}.'
        )
