"""Gives an on-policy learner the extras of a run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from sb3_contrib import RecurrentPPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback

from densegym.agents.extras.entropy import EntropyModulation, EntropySmoothing
from densegym.agents.extras.imitation import SelfImitation
from densegym.agents.extras.settings import ExtraSettings
from densegym.agents.extras.two_level import TwoLevelAdvantages
from densegym.errors import DenseGymError
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.types import Bool

Modulator = Callable[[RolloutBuffer, Any, Bool], None]


def attach_extras(model: BaseAlgorithm, extra: ExtraSettings) -> list[BaseCallback]:
    """Add what ``extra`` asks for; returns callbacks that ``learn`` must be given.

    Call it once, after ``densegym.agents.relabel.attach`` where that is needed.

    Raises:
        DenseGymError: an extra that this learner, its spaces or its normaliser cannot have.
    """
    if extra == ExtraSettings():
        return []
    learner: Any = model
    buffer = getattr(learner, "rollout_buffer", None)
    if not isinstance(buffer, RolloutBuffer):
        raise DenseGymError(
            f"extra.* are for on-policy learners; {type(model).__name__} has no rollout buffer. "
            "Use PPO, A2C or MaskablePPO."
        )
    _check(model, buffer, extra)
    modulators: list[Modulator] = []
    if extra.step_advantage or extra.anchor_advantage:
        modulators.append(
            TwoLevelAdvantages(
                step=extra.step_advantage, anchor=extra.anchor_advantage, gamma=extra.anchor_gamma
            )
        )
    if extra.entropy_modulation:
        modulators.append(
            EntropyModulation(model, k=extra.entropy_modulation, future=extra.entropy_future)
        )
    buffer.__class__ = modulating(type(buffer))
    buffer.modulators = modulators  # type: ignore[attr-defined]  # of the class just given
    callbacks: list[BaseCallback] = []
    if extra.entropy_smoothing:
        bounds = {"low": extra.entropy_low, "high": extra.entropy_high}
        callbacks.append(EntropySmoothing(model, beta=extra.entropy_smoothing, **bounds))
    if extra.self_imitation:
        callbacks.append(
            SelfImitation(
                weight=extra.self_imitation, rise=extra.self_imitation_updates, seed=model.seed
            )
        )
    return callbacks


def _check(model: BaseAlgorithm, buffer: RolloutBuffer, extra: ExtraSettings) -> None:
    if isinstance(model, RecurrentPPO) and (
        extra.entropy_modulation or extra.entropy_smoothing or extra.self_imitation
    ):
        raise DenseGymError(
            "entropies and self-imitation ask a policy about single steps, and a recurrent policy "
            "answers sequences. Use ppo, or leave out extra.entropy_* and extra.self_imitation."
        )
    normalizer = model.get_vec_normalize_env()
    if extra.anchor_advantage and normalizer is not None and normalizer.norm_obs:
        raise DenseGymError(
            "extra.anchor_advantage compares observations exactly, and running moments change "
            "them. Write --set normalize_obs=false."
        )
    if extra.notes_pay and not hasattr(buffer, "books"):
        raise DenseGymError(
            "extra.step_advantage and extra.fade_updates act on what a reward model pays in "
            "hindsight or on top of the world, and this run has no such reward. Use one of "
            "`densegym rewards`, e.g. --reward credit/uniform."
        )
    if extra.step_advantage:
        _check_paid_at_step_time(buffer.books.engine)  # type: ignore[attr-defined]
        buffer.books.keep_apart()  # type: ignore[attr-defined]  # checked above
    if extra.fade_updates:
        buffer.books.fade(extra.fade_updates)  # type: ignore[attr-defined]


def _check_paid_at_step_time(engine: RewardEngine) -> None:
    """Refuse to leave an episode's advantage without any reward."""
    reward = engine.reward
    if not reward.adds_world and len(reward.terms) == 1:
        raise DenseGymError(
            f'extra.step_advantage leaves the reward as it was paid at step time, where "'
            f"{reward.name}\" pays nothing. Keep the world's beside it: --reward "
            f'\'["env", "{reward.name}"]\''
        )


@functools.cache
def modulating(base: type[RolloutBuffer]) -> Any:
    """Return a buffer class like ``base`` whose modulators change finished advantages."""

    class Modulating(base):  # type: ignore[misc,valid-type]  # a class known at run time
        modulators: list[Modulator]
        drawn: Any = None

        def compute_returns_and_advantage(self, last_values: Any, dones: Any) -> None:
            super().compute_returns_and_advantage(last_values, dones)
            for modulate in self.modulators:
                modulate(self, last_values, dones)

        def _get_samples(self, batch_inds: Any, *args: Any, **kwargs: Any) -> Any:
            self.drawn = batch_inds
            return super()._get_samples(batch_inds, *args, **kwargs)

    Modulating.__name__ = Modulating.__qualname__ = f"Modulating{base.__name__}"
    return Modulating
