"""The Gymnasium VectorEnv wrapper, for all three autoreset modes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper

from densegym.envs.tasks import find_card
from densegym.envs.wrappers.actions import ActionCheck
from densegym.envs.wrappers.common import engine_for, frames_of, refuse_frames, with_frames
from densegym.envs.wrappers.frames import FrameInInfo
from densegym.envs.wrappers.outcome import PaysReward, watch_vector
from densegym.reward_models.batch import replace_rows, take
from densegym.reward_models.engine import Outcome, RewardEngine
from densegym.reward_models.spec import RewardSpec
from densegym.reward_models.types import Bool, Float, Info, Int, TaskCard


class InfoRow(Mapping[str, Any]):
    """One lane of a vector info (a dict of arrays with ``_key`` masks), read without copying."""

    __slots__ = ("_columns", "_lane")

    def __init__(self, columns: Mapping[str, Any], lane: int) -> None:
        self._columns = columns
        self._lane = lane

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise KeyError(key)
        value = self._columns[key]
        return InfoRow(value, self._lane) if isinstance(value, dict) else value[self._lane]

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str) or key.startswith("_") or key not in self._columns:
            return False
        mask = self._columns.get(f"_{key}")
        return mask is None or bool(mask[self._lane])

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._columns if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class InfoRows(Sequence[Info]):
    """The lanes ``slots`` of a vector info, as mappings."""

    def __init__(self, columns: Sequence[Mapping[str, Any]], slots: Int) -> None:
        self._columns = columns
        self._slots = slots

    @overload
    def __getitem__(self, row: int) -> Info: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Info]: ...
    def __getitem__(self, row: int | slice) -> Info | Sequence[Info]:
        if isinstance(row, slice):
            return [self[index] for index in range(*row.indices(len(self)))]
        return InfoRow(self._columns[row], int(self._slots[row]))

    def __len__(self) -> int:
        return len(self._slots)


class _Stepped(NamedTuple):
    """What one step of the host was given and returned; all lanes."""

    actions: Any
    obs: Any
    env_reward: Float
    terminated: Bool
    truncated: Bool


class DenseRewardVector(VectorWrapper, RecordConstructorArgs, PaysReward):
    """Pays a reward specification with one batched model call per vector step.

    NEXT_STEP: the row after an episode's end ignores its action, so it pays 0 and begins the next
    episode. SAME_STEP: the true successor of a finished row is ``info["final_obs"]``; the row's
    entries at the top level of ``info`` belong to the reward returned, and stand in
    ``final_info`` too. DISABLED: lanes begin again through ``reset(options={"reset_mask": ...})``.

    Args:
        env: any Gymnasium vector environment.
        reward: a reward specification.
        task: the task card; None looks it up by the env's id.
        seed: seed of reward models, and of the first ``reset`` when that names none.
        engine: a ready engine for all sub-environments, made of the same reward.

    Raises:
        RewardError: the reward looks at pictures that this host's worlds do not show; or a wrapper
            below changes rewards, or pays a reward of ours already.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        reward: RewardSpec = None,
        task: TaskCard | None = None,
        seed: int | None = None,
        *,
        engine: RewardEngine | None = None,
    ) -> None:
        RecordConstructorArgs.__init__(self, reward=reward, task=task, seed=seed)
        self._watches = watch_vector(env)
        VectorWrapper.__init__(self, env)
        env_id = None if env.spec is None else env.spec.id
        self.engine = engine or engine_for(
            reward, env.num_envs, env_id=env_id, task=task, seed=seed or 0
        )
        self._show_frames(task or find_card(env_id))
        self.autoreset = AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
        self._first_seed = seed
        self._batched = self.engine.needs_transitions
        self._check = ActionCheck(env.single_action_space, self.engine.steps_of, env.num_envs)
        self._shows_text = _holds_text(env.single_observation_space)
        self._says_text = _holds_text(env.single_action_space)
        self._ended: Bool = np.zeros(env.num_envs, dtype=np.bool_)

    def _show_frames(self, task: TaskCard | None) -> None:
        host, spec = self.env.unwrapped, self.env.spec
        if isinstance(host, SyncVectorEnv):
            host.envs = with_frames(host.envs, self.engine, task)
        elif self.engine.needs_frames:
            wrappers = () if spec is None else spec.kwargs.get("wrappers", ())
            if not any(getattr(wrapper, "func", None) is FrameInInfo for wrapper in wrappers):
                refuse_frames(host, self.engine)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Reset all lanes, or under DISABLED those of ``options["reset_mask"]``."""
        if seed is None:
            seed, self._first_seed = self._first_seed, None
        mask = None if options is None else options.get("reset_mask")
        slots = self.engine.slots if mask is None else np.flatnonzero(mask)
        obs, info = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]  # lists too
        for _, watch in self._watches:
            watch.forget()
        self._ended[slots] = False
        shown = _listed(self.single_observation_space, obs) if self._shows_text else obs
        self._begin(slots, shown, info)
        return obs, info

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all lanes and return the specified rewards, (num_envs,) float64."""
        self._check(actions)
        obs, env_reward, terminated, truncated, info = self.env.step(actions)
        for rows, watch in self._watches:
            watch.compare(env_reward[rows])
        said, shown = actions, obs
        if self._says_text:
            said = _listed(self.single_action_space, actions)
        if self._shows_text:
            shown = _listed(self.single_observation_space, obs)
        stepped = _Stepped(said, shown, env_reward, terminated, truncated)
        if self.autoreset is AutoresetMode.SAME_STEP:
            paid = self._same_step(stepped, info)
        else:
            paid = self._next_step(stepped, info)
        return obs, paid, terminated, truncated, info

    def _next_step(self, stepped: _Stepped, info: dict[str, Any]) -> Float:
        paid = np.zeros(self.num_envs)
        restarted = np.flatnonzero(self._ended)
        live = np.flatnonzero(~self._ended) if len(restarted) else self.engine.slots
        columns = [info] * len(live)
        if len(live):
            outcome = self._advance(live, stepped, columns)
            paid[live] = outcome.reward
            self._write(info, live, outcome)
        if len(restarted):
            self._begin(restarted, stepped.obs, info)
        if self.autoreset is AutoresetMode.NEXT_STEP:
            self._ended = stepped.terminated | stepped.truncated
        return paid

    def _same_step(self, stepped: _Stepped, info: dict[str, Any]) -> Float:
        ended = np.flatnonzero(stepped.terminated | stepped.truncated)
        columns: list[Mapping[str, Any]] = [info] * self.num_envs
        true = stepped
        if len(ended):
            for lane in ended:
                columns[lane] = info["final_info"]
            if self._batched:
                finals = [info["final_obs"][lane] for lane in ended]
                true = stepped._replace(obs=replace_rows(stepped.obs, ended.tolist(), finals))
        slots = self.engine.slots
        outcome = self._advance(slots, true, columns)
        if len(ended):
            self._begin(ended, stepped.obs, info)
            self._write(info["final_info"], slots, outcome)
        self._write(info, slots, outcome)
        return outcome.reward

    def _advance(
        self, slots: Int, stepped: _Stepped, columns: Sequence[Mapping[str, Any]]
    ) -> Outcome:
        every = slots is self.engine.slots
        infos = InfoRows(columns, slots)
        return self.engine.advance(
            slot=slots,
            action=_rows(stepped.actions, slots, every) if self._batched else None,
            next_obs=_rows(stepped.obs, slots, every) if self._batched else None,
            env_reward=np.array(_rows(stepped.env_reward, slots, every), dtype=np.float64),
            terminated=_rows(stepped.terminated, slots, every),
            truncated=_rows(stepped.truncated, slots, every),
            info=infos,
            frame=frames_of(infos, self.engine),
        )

    def _begin(self, slots: Int, obs: Any, info: dict[str, Any]) -> None:
        every = len(slots) == self.num_envs
        infos = InfoRows([info] * len(slots), slots)
        batch = _rows(obs, slots, every) if self._batched else None
        outcome = self.engine.begin(slots, batch, infos, frames_of(infos, self.engine))
        self._scatter(info, slots, outcome)

    def _write(self, info: dict[str, Any], slots: Int, outcome: Outcome) -> None:
        self._scatter(info, slots, outcome)
        for slot, credit in outcome.credits:
            column = info.setdefault("reward/credits", np.full(self.num_envs, None, dtype=object))
            mask = info.setdefault("_reward/credits", np.zeros(self.num_envs, dtype=np.bool_))
            column[slot], mask[slot] = credit, True

    def close(self, **kwargs: Any) -> None:
        """Close the lanes and the reward model."""
        self.env.close(**kwargs)
        engine: RewardEngine | None = getattr(self, "engine", None)  # none if it was refused
        if engine is not None:
            engine.close()

    def _scatter(self, info: dict[str, Any], slots: Int, outcome: Outcome) -> None:
        every = len(slots) == self.num_envs
        for key, column in zip(outcome.keys, outcome.columns, strict=True):
            if every:
                info[key] = np.array(column, dtype=np.float64)
                info[f"_{key}"] = np.ones(self.num_envs, dtype=np.bool_)
                continue
            values = info.setdefault(key, np.zeros(self.num_envs))
            mask = info.setdefault(f"_{key}", np.zeros(self.num_envs, dtype=np.bool_))
            values[slots] = column
            mask[slots] = True


def _rows(batch: Any, slots: Int, every: bool) -> Any:
    return batch if every else take(batch, slots)


def _holds_text(space: spaces.Space[Any]) -> bool:
    if isinstance(space, spaces.Dict):
        return any(map(_holds_text, space.values()))
    if isinstance(space, spaces.Tuple):
        return any(map(_holds_text, space))
    return isinstance(space, spaces.Text)


def _listed(space: spaces.Space[Any], batch: Any) -> Any:
    """Return a batch whose texts are lists; Gymnasium's are tuples, as nested arrays are too."""
    if isinstance(space, spaces.Text):
        return list(batch)
    if isinstance(space, spaces.Dict):
        return {key: _listed(part, batch[key]) for key, part in space.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_listed(part, rows) for part, rows in zip(space, batch, strict=True))
    return batch
