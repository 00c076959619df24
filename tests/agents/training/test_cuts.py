"""What a checkpoint leaves in replay buffers: rows that end as at a time limit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from densegym.agents.training.config import resolve
from densegym.agents.training.cuts import begin_episodes, end_episodes
from densegym.agents.training.learner import build_learner, seed_everything

STEPS = 60  # of two lanes, whose episodes last 20
SHORT = ("n_envs=2", "episode_steps=20", "learning_starts=50", "buffer_size=400", "batch_size=8")
SPARING = "replay_buffer_kwargs={handle_timeout_termination = false}"


def learnt(env: str, reward: Any, *settings: str, steps: int = STEPS - 10) -> Any:
    config = resolve(env, algo="sac", reward=reward, overrides=[*SHORT, *settings])
    seed_everything(0)
    learner = build_learner(config)
    learner.model.learn(steps)
    return learner


@pytest.mark.parametrize(
    ("reward", "settings"),
    [
        ("env", ()),
        ("env", ("n_steps=3",)),
        ("credit/uniform", ("relabel=patch",)),
        ("credit/rrd", ("relabel=lazy",)),
        ({"model": "intrinsic/rnd", "deferred": True}, ()),
    ],
    ids=str,
)
def test_the_last_rows_of_open_episodes_are_followed_by_the_value_of_the_next_state(
    reward: Any, settings: tuple[str, ...]
) -> None:
    learner = learnt("DenseGym/HopperForward-v0", reward, *settings)
    buffer = learner.model.replay_buffer
    assert not buffer.dones[buffer.pos - 1].any()
    end_episodes(learner)
    assert buffer.dones[buffer.pos - 1].all()
    assert buffer.timeouts[buffer.pos - 1].all()
    if hasattr(buffer, "ready"):
        assert buffer.ready[: buffer.pos].all(), "all rows are paid"
    learner.close()


def test_a_buffer_of_whole_episodes_takes_those_that_were_cut() -> None:
    learner = learnt("DenseGym/HopperForward-v0", "credit/uniform", "relabel=commit")
    buffer = learner.model.replay_buffer
    before = buffer.size()
    end_episodes(learner)
    assert buffer.size() == learner.model.num_timesteps > before
    assert buffer.dones[buffer.size() - 1].all()
    assert buffer.timeouts[buffer.size() - 1].all()
    assert not any(buffer.staged)
    learner.close()


def test_hindsight_goals_stay_inside_their_episode() -> None:
    learner = learnt("DenseGym/FetchReach-v0", "env", "her=true")
    buffer = learner.model.replay_buffer
    end_episodes(learner)
    assert (buffer._current_ep_start == buffer.pos).all()
    ends = buffer.ep_start[: buffer.pos] + buffer.ep_length[: buffer.pos]
    assert (ends <= buffer.pos).all()
    assert (buffer.ep_length[: buffer.pos] > 0).all(), "and all of them can be sampled"
    assert buffer.timeouts[buffer.pos - 1].all()
    learner.close()


def test_a_buffer_that_saves_memory_ends_there_because_its_successor_is_overwritten() -> None:
    learner = learnt("DenseGym/HopperForward-v0", "env", "optimize_memory_usage=true", SPARING)
    buffer = learner.model.replay_buffer
    end_episodes(learner)
    assert buffer.dones[buffer.pos - 1].all()
    assert not buffer.timeouts.any()
    learner.close()


def test_new_episodes_depend_on_the_seed_and_the_step_alone() -> None:
    first = learnt("DenseGym/FetchReach-v0", "env", "her=true", steps=20)
    second = learnt("DenseGym/FetchReach-v0", "env", "her=true", steps=50)
    begun = []
    for learner, step, seed in ((first, 50, 3), (second, 50, 3), (second, 52, 3), (second, 50, 4)):
        learner.model.num_timesteps = step
        begin_episodes(learner, seed)
        begun.append(learner.model._last_obs["desired_goal"].copy())
    assert np.array_equal(begun[0], begun[1])
    assert not np.array_equal(begun[1], begun[2])
    assert not np.array_equal(begun[1], begun[3])
    assert len(np.unique(begun[0], axis=0)) == 2, "lanes differ"
    first.close()
    second.close()
