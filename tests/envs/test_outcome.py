"""Nothing below a reward wrapper may change what it takes for the world's outcome."""

import inspect

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorWrapper
from gymnasium.wrappers import vector as vectors
from stable_baselines3.common.atari_wrappers import ClipRewardEnv
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecEnvWrapper,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
)

import densegym
from densegym.envs.registration import bare_spec
from densegym.envs.wrappers.lanes import LaneVecEnv
from densegym.envs.wrappers.outcome import CHANGES_REWARDS
from densegym.envs.wrappers.pettingzoo import DenseRewardParallel
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from densegym.envs.wrappers.single import DenseReward
from densegym.envs.wrappers.vector import DenseRewardVector
from densegym.errors import ActionError, RewardError
from tests.toys import CARD, Wander, WanderParallel

ARGUMENTS = {
    "TransformReward": (abs,),
    "ClipReward": (-1.0, 1.0),
}


def rewarding(module):
    """Return every class of a module that changes rewards by its type."""
    classes = [found for _, found in inspect.getmembers(module, inspect.isclass)]
    return [found for found in classes if issubclass(found, CHANGES_REWARDS)]


def made(wrapper, env):
    if wrapper.__name__ == "VectorizeTransformReward":
        return wrapper(env, gym.wrappers.ClipReward, min_reward=-1.0, max_reward=1.0)
    return wrapper(env, *ARGUMENTS.get(wrapper.__name__, ()))


def normalized():
    return gym.wrappers.NormalizeReward(Wander())


def second():
    return DenseReward(Wander(), {"model": "env", "scale": 2.0}, CARD)


SINGLE = [*rewarding(gym.wrappers), ClipRewardEnv]


def test_the_walk_finds_gymnasiums_wrappers():
    names = {kind.__name__ for kind in (*SINGLE, *rewarding(vectors))}
    assert names >= {"TransformReward", "ClipReward", "NormalizeReward", "VectorizeTransformReward"}


@pytest.mark.parametrize("wrapper", SINGLE, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("deep", [False, True])
def test_wrappers_that_change_rewards_are_refused_below_every_host(wrapper, deep):
    def world():
        env = made(wrapper, Wander())
        return gym.wrappers.TimeLimit(env, 9) if deep else env

    for host in (
        lambda: DenseReward(world(), "env", CARD),
        lambda: DenseRewardVector(SyncVectorEnv([Wander, world]), "env", CARD),
        lambda: DenseRewardVecEnv(DummyVecEnv([Wander, world]), "env", task=CARD),
        lambda: DenseRewardVecEnv(VecMonitor(LaneVecEnv([world])), "env", task=CARD),
    ):
        with pytest.raises(RewardError, match=f"{wrapper.__name__} below .* around the world"):
            host()


@pytest.mark.parametrize("wrapper", rewarding(vectors), ids=lambda kind: kind.__name__)
def test_vector_wrappers_that_change_rewards_are_refused(wrapper):
    host = SyncVectorEnv([Wander] * 2, autoreset_mode=AutoresetMode.NEXT_STEP)
    with pytest.raises(RewardError, match=f"{wrapper.__name__} below"):
        DenseRewardVector(vectors.RecordEpisodeStatistics(made(wrapper, host)), "env", CARD)


@pytest.mark.parametrize("world", [normalized, second])
def test_worlds_in_worker_processes_are_looked_at_too(world):
    for host, wrap in (
        (AsyncVectorEnv([world]), lambda host: DenseRewardVector(host, "env", CARD)),
        (SubprocVecEnv([world]), lambda host: DenseRewardVecEnv(host, "env", task=CARD)),
    ):
        with pytest.raises(RewardError, match=r"below DenseGym|reward wrapper already"):
            wrap(host)
        host.close()


@pytest.mark.parametrize("scales", [True, False])
def test_vec_normalize_below_is_refused_and_outside_it_leaves_the_outcome_alone(scales):
    worlds = make_vec_env("CartPole-v1", 2)
    with pytest.raises(RewardError, match="VecNormalize below"):
        DenseRewardVecEnv(VecFrameStack(VecNormalize(worlds, norm_reward=scales), 2), "env")
    host = VecNormalize(DenseRewardVecEnv(make_vec_env("CartPole-v1", 2), "env"))
    host.reset()
    for _ in range(8):
        _, _, _, infos = host.step(np.ones(2, dtype=int))
    assert [info["return/env"] for info in infos] == [8.0, 8.0]


def test_a_second_reward_wrapper_is_refused_in_every_host():
    once = {
        "single": second,
        "vector": lambda: DenseRewardVector(SyncVectorEnv([Wander] * 2), "env", CARD),
        "sb3": lambda: DenseRewardVecEnv(LaneVecEnv([Wander] * 2), "env", task=CARD),
        "parallel": lambda: DenseRewardParallel(WanderParallel(2), "env", CARD),
    }
    for twice in (
        lambda: DenseReward(once["single"](), "env", CARD),
        lambda: DenseRewardVector(SyncVectorEnv([once["single"]]), "env", CARD),
        lambda: DenseRewardVector(once["vector"](), "env", CARD),
        lambda: DenseRewardVecEnv(DummyVecEnv([once["single"]]), "env", task=CARD),
        lambda: DenseRewardVecEnv(once["sb3"](), "env", task=CARD),
        lambda: DenseRewardParallel(once["parallel"](), "env", CARD),
    ):
        with pytest.raises(RewardError, match="reward wrapper already"):
            twice()


def test_the_orders_that_the_refusal_names_work():
    env_id = "DenseGym/HopperForward-v0"
    with pytest.raises(RewardError, match="reward wrapper already"):
        DenseRewardVecEnv(make_vec_env(env_id, 2), "env", env_id=env_id)
    keywords = {"reward": "expert"}
    gym.make(env_id, reward="env").reset()
    densegym.make_vec(env_id, 2, reward="env").reset()
    make_vec_env(env_id, 2, env_kwargs=keywords).reset()
    worlds = [lambda: gym.make(bare_spec(env_id))] * 2
    DenseRewardVecEnv(DummyVecEnv(worlds), "env", env_id=env_id).reset()


class Penalty(gym.Wrapper):
    """Takes something off, as a wrapper of anybody's may."""

    def step(self, action):
        obs, reward, *rest = super().step(action)
        return obs, reward - 0.5, *rest


class Outcome(Penalty):
    """The same, said to be the outcome."""

    defines_outcome = True


class Repeat(gym.Wrapper):
    """Takes every action twice and adds up what it brings."""

    def step(self, action):
        obs, reward, terminated, truncated, info = super().step(action)
        if not (terminated or truncated):
            obs, more, terminated, truncated, info = super().step(action)
            reward += more
        return obs, reward, terminated, truncated, info


class VectorPenalty(VectorWrapper):
    def step(self, actions):
        obs, reward, *rest = super().step(actions)
        return obs, reward - np.array([0.0, 0.5]), *rest


class LanesPenalty(VecEnvWrapper):
    def reset(self):
        return self.venv.reset()

    def step_wait(self):
        obs, reward, *rest = self.venv.step_wait()
        return obs, reward - np.array([0.0, 0.5]), *rest


class AgentsPenalty(densegym.envs.wrappers.pettingzoo.BaseParallelWrapper):
    def step(self, actions):
        obs, rewards, *rest = super().step(actions)
        return obs, {agent: reward - 0.5 for agent, reward in rewards.items()}, *rest


def hosts_of(wrapper):
    """Return hosts whose last lane is wrapped, by name."""

    def world():
        return wrapper(Wander(0.05))

    return {
        "single": DenseReward(world(), "env", CARD),
        "sync": DenseRewardVector(SyncVectorEnv([lambda: Wander(0.05), world]), "env", CARD),
        "lanes": DenseRewardVecEnv(DummyVecEnv([lambda: Wander(0.05), world]), "env", task=CARD),
    }


def play(host, steps=40):
    host.reset()
    lanes = getattr(host, "num_envs", None)
    action = np.full((2,), 0.3) if lanes is None else np.full((lanes, 2), 0.3)
    for _ in range(steps):
        result = host.step(action)
        if lanes is None and (result[2] or result[3]):
            host.reset()


@pytest.mark.parametrize("host", ["single", "sync", "lanes"])
def test_wrappers_of_unknown_kind_are_refused_once_they_change_a_reward(host):
    with pytest.raises(RewardError, match=r"Penalty below .* changed the world's reward from"):
        play(hosts_of(Penalty)[host])
    play(hosts_of(Outcome)[host])
    play(hosts_of(Repeat)[host])
    play(hosts_of(Monitor)[host])


def test_wrappers_of_whole_hosts_are_watched_too():
    vector = DenseRewardVector(VectorPenalty(SyncVectorEnv([Wander] * 2)), "env", CARD)
    lanes = DenseRewardVecEnv(LanesPenalty(LaneVecEnv([Wander] * 2)), "env", task=CARD)
    for host in (vector, lanes):
        with pytest.raises(RewardError, match="Penalty below"):
            play(host)
    play(DenseRewardVecEnv(VecFrameStack(LaneVecEnv([Wander] * 2), 2), "env", task=CARD))
    agents = DenseRewardParallel(AgentsPenalty(WanderParallel(2)), "env", CARD)
    agents.reset(seed=0)
    with pytest.raises(RewardError, match="AgentsPenalty below"):
        agents.step({agent: np.zeros(2) for agent in agents.agents})


BROKEN = {
    "nan": np.array([np.nan, 0.0]),
    "inf": np.array([0.0, -np.inf]),
    "long": np.zeros(3),
    "scalar": np.array(0.5),
    "text": np.array(["a", "b"]),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_actions_reach_no_world(kind):
    action = BROKEN[kind]
    single = DenseReward(Wander(0.0), "env", CARD)
    single.reset()
    single.step(np.zeros(2))
    with pytest.raises(ActionError, match="step 1"):
        single.step(action)
    for make in (
        lambda: DenseRewardVector(SyncVectorEnv([lambda: Wander(0.0)] * 3), "env", CARD),
        lambda: DenseRewardVecEnv(DummyVecEnv([lambda: Wander(0.0)] * 3), "env", task=CARD),
    ):
        host = make()
        host.reset()
        host.step(np.zeros((3, 2)))
        batch = [np.zeros(2), action, np.zeros(2)]
        with pytest.raises(ActionError, match="step 1" if kind in ("nan", "inf") else "expected"):
            host.step(np.stack(batch) if action.shape == (2,) else batch)
    agents = DenseRewardParallel(WanderParallel(2, 0.0), "env", CARD)
    agents.reset(seed=0)
    with pytest.raises(ActionError, match="lane 1"):
        agents.step({"agent_0": np.zeros(2), "agent_1": action})


def test_a_broken_action_is_told_by_lane_and_step():
    host = DenseRewardVecEnv(DummyVecEnv([lambda: Wander(0.0)] * 4), "env", task=CARD)
    host.reset()
    for _ in range(3):
        host.step(np.zeros((4, 2)))
    actions = np.zeros((4, 2))
    actions[2, 1] = np.nan
    with pytest.raises(ActionError, match=r"lane 2 at step 3 is \[0.0, nan\]"):
        host.step(actions)


def test_mujoco_leaves_no_log_where_a_policy_has_diverged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = gym.make("DenseGym/HopperForward-v0")
    env.reset(seed=0)
    with pytest.raises(ActionError, match="must be finite"):
        env.step(np.full(3, np.nan, dtype=np.float32))
    with pytest.raises(ActionError, match="lane 0 at step 0"):
        densegym.evaluate(lambda obs, fresh: np.full((len(obs), 3), np.nan), env.spec.id)
    bare = gym.make(bare_spec("DenseGym/HopperForward-v0"))
    bare.reset(seed=0)
    with pytest.warns(RuntimeWarning, match="MuJoCo: Nan"):
        bare.step(np.full(3, np.nan, dtype=np.float32))
    assert not list(tmp_path.iterdir())


class Careless(Wander):
    """Pays NaN on its second step."""

    def reset(self, **kwargs):
        self.steps = 0
        return super().reset(**kwargs)

    def step(self, action):
        self.steps += 1
        obs, reward, *rest = super().step(action)
        return obs, np.nan if self.steps == 2 else reward, *rest


@pytest.mark.parametrize("spec", ["env", "expert", {"model": "expert", "mode": "add"}])
def test_a_world_that_pays_nan_is_refused_in_every_mode_and_host(spec):
    def world():
        return Careless(0.0)

    for host in (
        DenseReward(world(), spec, CARD),
        DenseRewardVector(SyncVectorEnv([lambda: Wander(0.0), world]), spec, CARD),
        DenseRewardVecEnv(DummyVecEnv([lambda: Wander(0.0), world]), spec, task=CARD),
    ):
        lane = getattr(host, "num_envs", 1) - 1
        with pytest.raises(RewardError, match=f"the world paid nan in lane {lane} at step 1"):
            play(host)


def test_evaluation_reports_the_outcome_where_sb3s_reports_what_is_paid():
    from stable_baselines3 import PPO
    from stable_baselines3.common.evaluation import evaluate_policy

    def cart():
        return gym.make("CartPole-v1")

    double = {"model": "env", "scale": 2.0}
    host = VecMonitor(DenseRewardVecEnv(DummyVecEnv([cart]), double))
    model = PPO("MlpPolicy", host, n_steps=8, batch_size=8, device="cpu", seed=0)
    host.seed(0)
    paid, _ = evaluate_policy(model, host, n_eval_episodes=1)
    seen = densegym.evaluate(model, "CartPole-v1", episodes=1, seed=0)
    assert paid == 2.0 * seen.return_env[0] == 2.0 * seen.length[0]
    assert np.isnan(seen.success[0])
    with pytest.raises(densegym.errors.DenseGymError, match="is no policy"):
        densegym.evaluate("model", "CartPole-v1")
    with pytest.raises(ActionError, match="chose 1 actions for 3 observations"):
        densegym.evaluate(lambda obs, fresh: [0], "CartPole-v1", episodes=3)
