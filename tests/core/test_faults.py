"""Faults that the core once had, each as a user would meet it."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

import densegym
from densegym.agents.relabel import attach
from densegym.envs.tasks import task_card
from densegym.envs.wrappers.monitor import PayMonitor
from densegym.envs.wrappers.pettingzoo import DenseRewardParallel
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from densegym.envs.wrappers.vector import DenseRewardVector
from densegym.errors import RewardError
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.episodes import EpisodeFile, load_episodes, relabel, save_episodes
from densegym.reward_models.model import Potential, RewardModel
from densegym.reward_models.progress.judge import BaseJudge, Verdict, abstain
from densegym.reward_models.progress.potential import ProgressPotential
from densegym.reward_models.registry import register_reward
from densegym.reward_models.reward import Reward, Term
from densegym.reward_models.spec import build_engine, label
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Need, Pictures, Scores, Starts, Steps, Values
from densegym.reward_models.world.rewards import DelayedReward, EnvReward
from tests.core.test_against_the_reference import Linear
from tests.toys import CARD, Brightness, Counting, Redistribute, Wander, WanderParallel

BUTTON = "DenseGym/ButtonPress-v0"


class CountingJudge(BaseJudge):
    """Abstains, counts its calls, and may be closed."""

    name, pictures = "counting", Pictures()

    def __init__(self) -> None:
        self.calls, self.closed = 0, False

    def hop(self, before, after, start, goal, text) -> Verdict:
        self.calls += len(after)
        return abstain(len(after))

    def metrics(self) -> dict[str, float]:
        return {"model_calls": float(self.calls), "cost_usd": 0.01 * self.calls}

    def close(self) -> None:
        self.closed = True


def progress() -> ProgressPotential:
    return ProgressPotential(CountingJudge(), name="progress/counting", fusion="forward", cap=False)


def step(engine: RewardEngine, **changes: Any) -> Any:
    never = np.zeros(1, dtype=bool)
    return engine.advance(
        **{
            "slot": engine.slots,
            "action": np.zeros((1, 2)),
            "next_obs": np.zeros((1, 3)),
            "env_reward": np.ones(1),
            "terminated": never,
            "truncated": never,
            "info": [{}],
            **changes,
        }
    )


def test_a_judge_behind_a_potential_is_counted_and_closed() -> None:
    env = densegym.make(BUTTON, reward=[{"model": progress()}, "env"])
    env.reset(seed=0)
    for _ in range(3):
        env.step(env.action_space.sample())
    engine = env.get_wrapper_attr("engine")
    assert engine.metrics()["model_calls"] == 3.0
    assert engine.metrics()["cost_usd"] == pytest.approx(0.03)
    judge = engine.reward.terms[0].model.potential.judge
    env.close()
    assert judge.closed


LOOK = """
import densegym
from tests.core.test_faults import BUTTON, progress

env = densegym.make_vec(BUTTON, 2, reward=progress(), vectorization_mode="{mode}")
env.reset(seed=0)
info = env.step(env.action_space.sample())[4]
assert env.engine.metrics()["model_calls"] == 2.0
assert info["frame"][0].shape == (2, 64, 64, 3)
env.close()
"""


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_pictures_reach_rewards_under_vector_hosts(mode: str) -> None:
    """In a process of its own: workers are forked, which a drawn context does not survive."""
    subprocess.run([sys.executable, "-c", LOOK.format(mode=mode)], check=True, timeout=60)


def picture_world() -> gym.Env[Any, Any]:
    return Wander(0.0, render_mode="rgb_array")


def test_pictures_reach_rewards_under_every_host() -> None:
    sb3 = DenseRewardVecEnv(DummyVecEnv([picture_world] * 2), Brightness(), task=CARD)
    sb3.reset()
    assert (sb3.step(np.zeros((2, 2)))[1] > 0.0).all()
    vector = DenseRewardVector(SyncVectorEnv([picture_world] * 2), Brightness(), CARD)
    vector.reset(seed=0)
    assert (vector.step(np.zeros((2, 2)))[1] > 0.0).all()
    parallel = WanderParallel(2, 0.0)
    parallel.metadata = {**parallel.metadata, "render_modes": ["rgb_array"]}
    parallel.render_mode = "rgb_array"
    parallel.render = lambda: np.full((4, 4, 3), 7, dtype=np.uint8)
    agents = DenseRewardParallel(parallel, Brightness(), CARD)
    agents.reset(seed=0)
    paid = agents.step({agent: np.zeros(2) for agent in agents.agents})[1]
    assert set(paid.values()) == {7.0}


def test_hosts_whose_worlds_cannot_be_reached_say_what_to_type() -> None:
    far = AsyncVectorEnv([picture_world] * 2)
    with pytest.raises(RewardError, match=r"AsyncVectorEnv keeps its worlds.*make_vec"):
        DenseRewardVector(far, Brightness(), CARD)
    far.close()
    processes = SubprocVecEnv([picture_world])
    with pytest.raises(RewardError, match="SubprocVecEnv keeps its worlds"):
        DenseRewardVecEnv(processes, Brightness(), task=CARD)
    processes.close()


@pytest.mark.parametrize(
    "spec", [{"model": Linear(), "scale": 0.5}, ["env", Linear()]], ids=["scaled", "sum"]
)
def test_a_markov_credit_stays_lazy_off_policy(spec: Any) -> None:
    env = DenseRewardVecEnv(DummyVecEnv([lambda: Wander(0.2)]), spec, task=CARD)
    model = attach(SAC("MlpPolicy", env, learning_starts=10, buffer_size=100))
    assert "Predicting" in type(model.replay_buffer).__name__


def test_time_inside_finish_and_estimates_is_counted() -> None:
    class Slow(Redistribute):
        def finish(self, episodes):
            time.sleep(0.05)
            return super().finish(episodes)

        def estimate(self, prefix):
            time.sleep(0.05)

    engine = RewardEngine(Slow(), 1)
    engine.collect()
    engine.begin(engine.slots, np.zeros((1, 3)), [{}])
    step(engine, terminated=np.ones(1, dtype=bool))
    assert 0.05 <= engine.usage.seconds < 0.5
    engine.begin(engine.slots, np.zeros((1, 3)), [{}])
    step(engine)
    engine.late(provisional=True)
    assert 0.1 <= engine.usage.seconds < 1.0


def test_every_book_hears_of_late_pay() -> None:
    worlds = DummyVecEnv([lambda: Wander(0.0)])
    env = PayMonitor(DenseRewardVecEnv(worlds, Redistribute(), task=CARD))
    engine = env.venv.engine
    engine.collect()
    env.reset()
    env.venv.venv.envs[0].ending = 1.1  # the next step ends the episode
    _, _, _, infos = env.step(np.zeros((1, 2)))
    (late,) = engine.late()
    assert late.worth.sum() != 0.0
    assert engine.pop_sums()["reward/dense"] == pytest.approx(late.worth.sum())
    assert infos[0]["return/dense"] == infos[0]["episode"]["r"] == pytest.approx(late.worth.sum())


class Told(Potential):
    """A potential that reads info, that of the reset included."""

    name, traits = "toy/told-v1", Traits(needs=Need.NOTHING)

    def value(self, event: Starts | Steps) -> Values:
        phi = np.array([info["told"] for info in event.info])
        return Values(phi, np.ones(len(phi), dtype=bool))


def test_stored_episodes_are_relabelled_as_they_were_played(tmp_path) -> None:
    live = RewardEngine(Redistribute(), 1)
    live.show()
    episodes: list[Any] = []
    recorded = live.reward.terms[0].model
    recorded.finish = lambda ended: episodes.extend(ended) or [None] * len(ended)
    world, paid = Wander(0.0), []
    told = build_engine(Told(), 1, task=CARD)
    obs, info = world.reset(seed=1)
    for engine in (live, told):
        engine.begin(engine.slots, obs[None], [info])
    for t in range(4):
        obs, own, _, _, info = world.step(np.full(2, 0.3))
        last = np.array([t == 3])
        row = {"next_obs": obs[None], "env_reward": np.array([own]), "info": [info]}
        step(live, **row, truncated=last)
        paid.append(step(told, **row, truncated=last).reward[0] - own)
    path = tmp_path / "one.npz"
    save_episodes(path, EpisodeFile(CARD.id, "env", episodes))
    again = build_engine(Told(), 1, task=CARD)
    (relabelled,) = relabel(again, load_episodes(path).episodes)
    own = episodes[0].env_reward
    np.testing.assert_allclose(relabelled - own, paid, rtol=0, atol=1e-12)


def test_episodes_of_the_schema_before_say_what_to_type(tmp_path, monkeypatch) -> None:
    from densegym.errors import ResultsError
    from densegym.reward_models import episodes as files
    from densegym.reward_models.types import Episode

    path = tmp_path / "old.npz"
    zeros = np.zeros(2)
    one = Episode(0, np.zeros((3, 1)), zeros, zeros, zeros, True, [{}, {}])
    monkeypatch.setattr(files, "SCHEMA", 1)
    save_episodes(path, EpisodeFile("Toy/X-v0", "env", [one]))
    monkeypatch.undo()
    with pytest.raises(ResultsError, match=r"schema 1, this version reads 2; record.*--record"):
        load_episodes(path)


@pytest.mark.parametrize("seed", [0, 7])
def test_reward_factories_are_given_the_seed_that_the_maker_was_given(seed, registered) -> None:
    given: list[int] = []

    def build(*, seed: int) -> EnvReward:
        given.append(seed)
        return EnvReward()

    register_reward("toy/seeded-v1", build)
    registered.append("toy/seeded-v1")
    densegym.make("DenseGym/HarmlessStep-v0", reward="toy/seeded", seed=seed).close()
    densegym.make_vec("DenseGym/HarmlessStep-v0", 2, reward="toy/seeded", seed=seed).close()
    gym.make("DenseGym/HarmlessStep-v0", reward="toy/seeded").close()
    assert given == [seed, seed, 0]


def test_sums_survive_terms_that_change_between_steps() -> None:
    class Moody(RewardModel):
        name, traits = "toy/moody-v1", Traits(needs=Need.NOTHING)
        t = 0

        def score(self, steps: Steps) -> Scores:
            self.t += 1
            one = np.ones(1)
            return Scores(one, np.ones(1, dtype=bool), {"ab"[self.t % 2]: one})

    engine = RewardEngine(Moody(), 1)
    engine.begin(engine.slots, None, [{}])
    for _ in range(6):
        step(engine)
    sums = engine.pop_sums()
    assert sums["reward/env"] == sums["reward/dense"] == 6.0
    assert sums["reward/part/a"] == sums["reward/part/b"] == 3.0


def test_a_reward_object_bootstraps_as_its_list_does() -> None:
    delayed = DelayedReward(CARD, of="env")
    listed = build_engine(["env", {"model": "delayed", "of": "env"}], 1, task=CARD)
    made = RewardEngine(Reward([Term(EnvReward()), Term(delayed)]), 1)
    nested = build_engine(Reward([Term(EnvReward()), Term(delayed)]), 1, task=CARD)
    assert listed.bootstraps is made.bootstraps is nested.bootstraps is False
    assert build_engine({"model": delayed, "bootstrap": True}, 1, task=CARD).bootstraps


def test_labels_name_objects_and_never_show_addresses() -> None:
    spec = {"model": "env", "gate": Counting(), "gate_threshold": 1.0}
    assert label(spec, task=CARD) == label({**spec, "gate": Counting()}, task=CARD)
    assert label(spec, task=CARD) == 'env{"gate": "toy/counting-v1", "gate_threshold": 1.0}'
    assert " at 0x" not in label({"model": "env", "gate": ["env", Counting()]}, task=CARD)


def test_what_says_how_a_whole_reward_is_paid_is_refused_inside_another() -> None:
    for key, value in (("mode", "add"), ("hindsight", True), ("deferred", True)):
        inner = {"model": "env", key: value}
        for spec in ({"model": "env", "gate": inner}, {"model": "credit/pipeline", "base": inner}):
            with pytest.raises(RewardError, match=f"{key} say how a whole reward is paid"):
                build_engine(spec, 1, task=task_card(BUTTON))
    with pytest.raises(RewardError, match="a gate that abstains stays as it was"):
        build_engine({"model": "env", "gate": {"model": "env", "fallback": "env"}}, 1, task=CARD)
