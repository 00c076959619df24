"""The one stateful piece between a host environment and a reward.

Four thin wrappers (gym.Env, VectorEnv, SB3 VecEnv, PettingZoo) tell the engine which rows began
and which stepped; everything that decides a number happens here, so the wrappers cannot disagree.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.batch import LaneStore, all_true
from densegym.reward_models.model import RewardModel
from densegym.reward_models.pay import Late, Pay, Usage
from densegym.reward_models.recording.hindsight import Hindsight
from densegym.reward_models.recording.recorder import RolloutRecorder
from densegym.reward_models.reward import Reward
from densegym.reward_models.types import (
    Bool,
    Float,
    Frames,
    Info,
    Int,
    Need,
    Pictures,
    Scores,
    Starts,
    Steps,
)

Payer = Literal["step", "late", "shown"]
_WORLD_KEYS = ("reward/env", "reward/dense", "reward/valid", "return/env", "return/dense")
_SUMMED = 3  # of them, before the terms


@lru_cache(maxsize=256)
def _ones(count: int) -> Float:
    array = np.ones(count)
    array.flags.writeable = False
    return array


@lru_cache(maxsize=256)
def _zeros(count: int) -> Float:
    array = np.zeros(count)
    array.flags.writeable = False
    return array


class Outcome(NamedTuple):
    """What the engine says of one batch.

    Attributes:
        reward: (B,) float64, what the learner is paid.
        keys: K names of the flat info entries.
        columns: K arrays (B,), their values.
        credits: slot and (T,) float64 worth of ended episodes that a redistributor spoke for.
    """

    reward: Float
    keys: tuple[str, ...]
    columns: Sequence[Any]
    credits: Sequence[tuple[int, Float]] = ()


class RewardEngine:
    """Feeds a reward and keeps the book of every sub-environment.

    Args:
        reward: what is paid; a bare model is paid in its own mode.
        num_envs: number of sub-environments or agents ("lanes" in code).
        task: the task's sentence, for models with ``Need.TASK``.
        shown: whether credits of whole episodes are shown in ``info`` and paid by nobody.

    Attributes:
        reward: what is paid.
        pay: the book.
        payer: who pays what is known after its step: nobody (``"step"``, and rewards of whole
            episodes are refused), ``"shown"`` in ``info`` only, or a buffer (``"late"``).
        usage: what the reward cost.
        unpaid: returns the share of a buffer's rows that still wait for their credits; set by
            buffers that pay late.
    """

    def __init__(
        self, reward: RewardModel, num_envs: int, *, task: str = "", shown: bool = False
    ) -> None:
        self.reward = Reward.of(reward)
        self.num_envs = num_envs
        self.task = task
        self.payer: Payer = "shown" if shown else "step"
        self.pay = Pay(num_envs)
        self.usage = Usage()
        self.unpaid: Callable[[], float] | None = None
        self.slots: Int = np.arange(num_envs)
        needs = self.reward.traits.needs
        self._episodic = self.reward.traits.when == "episode"
        self._observations = LaneStore(self.slots) if Need.OBS in needs else None
        self._hindsight = Hindsight(self.reward, task) if self._episodic else None
        self._rollout: RolloutRecorder | None = None
        self._late: list[Late] = []
        self._t: Int = np.zeros(num_envs, dtype=np.int64)
        self._set_terms(self.reward.traits.terms)

    @property
    def needs_frames(self) -> bool:
        """Whether the host must render states; ``pictures`` says which."""
        return Need.FRAME in self.reward.traits.needs

    @property
    def needs_transitions(self) -> bool:
        """Whether the host must batch observations and actions."""
        return self._episodic or self._observations is not None

    @property
    def pictures(self) -> Pictures:
        """Which pictures the reward looks at."""
        return self.reward.traits.pictures or Pictures()

    @property
    def bootstraps(self) -> bool:
        """Whether learners may add the value of the last state at a time limit."""
        return self.reward.traits.bootstraps

    def show(self) -> None:
        """Show credits of whole episodes in ``info`` although nobody pays them."""
        self.payer = "shown"

    def collect(self) -> None:
        """Let whoever calls ``late`` pay what is known after its step."""
        self.payer = "late"
        self.pay.keep_rows()
        if self.reward.traits.when == "rollout":
            self._rollout = RolloutRecorder()

    def begin(
        self, slot: Int, obs: Any, info: Sequence[Info], frame: Frames | None = None
    ) -> Outcome:
        """Start episodes in lanes ``slot``.

        Returns:
            Zero for every key, and one for ``reward/valid``.

        Raises:
            RewardError: the reward is known at the end of an episode and nobody pays it.
        """
        if self._episodic and self.payer == "step":
            self._refuse_to_pay_steps()
        self._t[slot] = 0
        self.pay.begin(slot)
        task = [self.task] * len(slot) if Need.TASK in self.reward.traits.needs else ()
        kept = None if self._observations is None else obs
        starts = Starts(slot=slot, obs=kept, info=info, frame=frame, task=task)
        if self._observations is not None:
            self._observations.put(slot, obs)
        if self._hindsight is not None:
            self._hindsight.begin(starts)
        if self._rollout is None:
            self._timed(self.reward.begin, starts)
        else:
            self._rollout.put(starts, self.pay.tick)
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
            RewardError: the world or a model returned a wrong shape or a non-finite reward, or a
                model abstained under ``fallback="raise"``.
        """
        store, every = self._observations, slot is self.slots
        # A product with zeros is zero for finite numbers alone, and takes half a sum's time.
        if env_reward.shape != slot.shape or env_reward.dot(_zeros(len(slot))) != 0.0:
            self._refuse_world(slot, env_reward)
        steps = Steps(
            slot=slot,
            t=self._count(slot, every),
            obs=None if store is None else store.swap(slot, next_obs),
            action=action,
            next_obs=None if store is None else next_obs,
            env_reward=env_reward,
            terminated=terminated,
            truncated=truncated,
            info=info,
            frame=frame,
        )
        parts: Mapping[str, Float] = {}
        if self._rollout is None:
            started = time.perf_counter()  # not by _timed, whose call would cost every step
            scores = self.reward.score(steps)
            self.usage.seconds += time.perf_counter() - started
            paid, spoke, parts = self._paid(scores, steps)
        else:
            self._rollout.put(steps, self.pay.tick + 1)
            paid, spoke = np.zeros(len(slot)), _ones(len(slot))
        self.pay.put(slot, env_reward, paid, every)
        said = self._parts(parts, len(slot))
        self.pay.add_columns(self._summed, [env_reward, paid, spoke, *said])
        credits = () if self._hindsight is None else self._finish(steps, paid)
        returns = [self.pay.return_env, self.pay.return_dense]
        if not every:
            returns = [kept[slot] for kept in returns]
        # A copy, because SB3 adds the value of truncated states to the array that it is handed.
        return Outcome(paid.copy(), self.keys, [env_reward, paid, spoke, *returns, *said], credits)

    def late(self, *, provisional: bool = False) -> list[Late]:
        """Return what became known since the last call, once; only after ``collect``.

        Args:
            provisional: also what stands in for the credits of unfinished episodes.
        """
        known, self._late = self._late, []
        if self._rollout is not None:
            known += self._judge_rollout()
        if provisional and self._hindsight is not None:
            opened = self._timed(self._hindsight.open_credits)
            known += [self._settled(slot, worth) for slot, worth in opened]
        return known

    def cut(self) -> None:
        """End all unfinished episodes as a time limit would; the host must reset all lanes next."""
        if self._hindsight is not None:
            started = time.perf_counter()
            finished = self._hindsight.cut()
            self.usage.seconds += time.perf_counter() - started
            if self.payer == "late":
                self._late += [self._settled(slot, worth) for slot, worth, _ in finished]

    def _judge_rollout(self) -> list[Late]:
        assert self._rollout is not None
        events = self._rollout.take()
        scores = iter(self._timed(self.reward.score_many, [event for event, _ in events]))
        known = []
        for event, tick in events:
            if isinstance(event, Steps):
                paid, spoke, parts = self._paid(next(scores), event)
                late = Late(np.full(len(paid), tick), event.slot, paid)
                self.pay.settle(late)
                # The sums hold the world's reward, and rows taken for valid, since the step.
                nothing = np.zeros(len(paid))
                said = self._parts(parts, len(paid))
                self.pay.add_columns(self._summed, [nothing, nothing, spoke - 1.0, *said])
                known.append(late)
        return known

    def _finish(self, steps: Steps, paid: Float) -> list[tuple[int, Float]]:
        """Return the credits of episodes that the batch ended; pay them where somebody does."""
        assert self._hindsight is not None
        finished = self._timed(self._hindsight.finish, steps, paid)
        if self.payer == "late":
            self._late += [self._settled(slot, worth) for slot, worth, _ in finished]
        return [(slot, worth) for slot, worth, spoken in finished if spoken]

    def _timed(self, ask: Callable[..., Any], *about: Any) -> Any:
        """Return what the models answer; the time they take is part of the usage."""
        started = time.perf_counter()
        answer = ask(*about)
        self.usage.seconds += time.perf_counter() - started
        return answer

    def _settled(self, slot: int, worth: Float) -> Late:
        tick = np.arange(self.pay.tick + 1 - len(worth), self.pay.tick + 1)
        late = Late(tick, np.full(len(worth), slot), worth)
        self.pay.settle(late)
        return late

    def _paid(self, scores: Scores, steps: Steps) -> tuple[Float, Float, Mapping[str, Float]]:
        """Return (B,) what a batch is paid, whether every term spoke, and the parts."""
        valid, rows = scores.valid, len(scores.valid)
        self.usage.steps += rows
        spoke = _ones(rows)
        if valid is not all_true(rows):
            spoke = valid.astype(np.float64)
            self.usage.abstentions += rows - int(np.count_nonzero(valid))
        paid = steps.env_reward + scores.reward if self.reward.adds_world else scores.reward
        if scores.parts and tuple(scores.parts) != self._terms:
            self._set_terms(tuple(scores.parts))
        return paid, spoke, scores.parts

    def _parts(self, parts: Mapping[str, Float], rows: int) -> Sequence[Float]:
        return [*parts.values()] if parts else [np.zeros(rows)] * len(self._terms)

    def _count(self, slot: Int, every: bool) -> Int:
        if every:
            before, self._t = self._t, self._t + 1
            return before
        self._t[slot] += 1
        return self._t[slot] - 1

    def _set_terms(self, terms: tuple[str, ...]) -> None:
        self._terms = terms
        parts = tuple(f"reward/part/{term}" for term in terms)
        self.keys: tuple[str, ...] = (*_WORLD_KEYS, *parts)
        self._summed: tuple[str, ...] = (*_WORLD_KEYS[:_SUMMED], *parts)

    def steps_of(self, slot: int) -> int:
        """Return how many steps the episode of a slot has taken."""
        return int(self._t[slot])

    def pop_sums(self) -> dict[str, float]:
        """Return the sum over all rows of every reward key since the last call."""
        return {**dict.fromkeys(self._summed, 0.0), **self.pay.pop_sums()}

    def metrics(self) -> dict[str, float]:
        """Return the reward's numbers for logs, and ``credit/unpaid_share`` where pay is late."""
        unpaid = {} if self.unpaid is None else {"credit/unpaid_share": self.unpaid()}
        return {**self.reward.metrics(), **unpaid}

    def close(self) -> None:
        """Close the reward, which may hold files, threads or connections."""
        self.reward.close()

    def state_dict(self) -> dict[str, Any]:
        """Return all but what belongs to unfinished episodes; ``cut`` and ``late`` come before."""
        kept = {
            "name": self.reward.name,
            "reward": self.reward.state_dict(),
            "usage": dataclasses.asdict(self.usage),
            "pay": self.pay.state_dict(),
        }
        if self._hindsight is not None:
            kept["hindsight"] = self._hindsight.state_dict()
        return kept

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned.

        Raises:
            RewardError: the state belongs to another reward.
        """
        if state["name"] != self.reward.name:
            raise RewardError(
                f'the checkpoint was trained on reward "{state["name"]}", this run uses '
                f'"{self.reward.name}". Resume with the same --reward.'
            )
        self.reward.load_state_dict(state["reward"])
        self.usage = Usage(**state["usage"])
        self.pay.load_state_dict(state["pay"])
        if self._hindsight is not None:
            self._hindsight.load_state_dict(state["hindsight"])

    def _refuse_world(self, slot: Int, env_reward: Float) -> None:
        if env_reward.shape != slot.shape:
            raise RewardError(
                f"the world paid rewards of shape {env_reward.shape} to {len(slot)} lanes; "
                f"expected {slot.shape}, one number per lane"
            )
        row = int(np.argmin(np.isfinite(env_reward)))
        raise RewardError(
            f"the world paid {env_reward[row]} in lane {slot[row]} at step "
            f"{self.steps_of(slot[row])}; an outcome must be finite. Mend the world, or end the "
            "episode where it breaks."
        )

    def _refuse_to_pay_steps(self) -> None:
        raise RewardError(
            f'"{self.reward.name}" is known only when an episode has ended, so it cannot be paid '
            "at step time. Train with densegym train, or call densegym.agents.relabel.attach(model)"
            " on your own SB3 learner. To read the credits yourself from "
            'info["reward/credits"], write {"model": ..., "hindsight": true}.'
        )
