"""All agents of a world in one run: lanes, evaluation by games, checkpoints, foreign worlds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

import densegym
from densegym.agents.bench.plots import learning_curves
from densegym.agents.bench.tables import COLUMNS, tabulate
from densegym.agents.teams import TeamEvaluator, team_world
from densegym.agents.training.config import resolve
from densegym.agents.training.learner import build_learner
from densegym.agents.training.load import load_learner
from densegym.agents.training.results import load_run
from densegym.agents.training.run import train
from densegym.envs.market.parallel import MarketParallel
from densegym.envs.parallel import wrap_parallel
from densegym.envs.wrappers.padding import PaddedParallel, padded
from densegym.envs.wrappers.parallel_lanes import ParallelLanes
from densegym.errors import RewardError
from tests.toys import WanderParallel

ENV = "DenseGym/Market-PublicGoods-v0"
SMALL = (
    "n_envs=2",
    "n_steps=10",
    "batch_size=50",
    "n_epochs=1",
    "episode_steps=10",
    "eval_every=100",
    "eval_episodes=2",
    "final_episodes=3",
)


def test_a_run_of_all_agents_is_a_run_as_any_other(tmp_path: Path) -> None:
    overrides = (*SMALL, "normalize_obs=true")
    config = resolve(ENV, reward="credit/lare-team", steps=200, overrides=overrides)
    folder = train(config, tmp_path / "run")
    run = load_run(folder)
    assert run.return_env.shape == (3,)
    names = {"market/mean-welfare", "market/mean-trust", "return of agent_0", "return of agent_4"}
    assert names <= set(run.measures)
    own = [run.measures[f"return of agent_{i}"] for i in range(5)]
    assert np.allclose(np.mean(own, axis=0), run.return_env)
    learner, _ = load_learner(folder)
    seen = learner.evaluate(episodes=3, seed=1_000_005)
    learner.close()
    assert np.array_equal(seen.return_env, run.return_env)


def test_lanes_are_games_times_agents() -> None:
    learner = build_learner(resolve(ENV, steps=100, overrides=SMALL))
    assert learner.engine.num_envs == learner.model.n_envs == 10
    learner.close()
    alone = resolve(ENV, steps=100, overrides=("env.others=nash",))
    assert team_world(alone) is None
    learner = build_learner(alone)
    assert learner.model.n_envs == 8
    learner.close()


def test_evaluation_plays_games_by_their_seeds() -> None:
    evaluator = TeamEvaluator(
        lambda: MarketParallel(name="TrustDilemma", mode="integrated", max_episode_steps=6),
        games=2,
        measures=["market/mean-trust"],
    )

    def half(obs, fresh):
        return np.full((len(obs), 1), 0.5, np.float32)

    told: list[int] = []
    seen = evaluator.evaluate(half, episodes=5, seed=3, on_episode=told.append)
    assert told == [2, 4, 5]
    again = evaluator.evaluate(half, episodes=2, seed=6)
    assert np.array_equal(again.return_env, seen.return_env[3:])
    assert len(set(seen.return_env.tolist())) == 5
    assert (seen.length == 6).all()
    evaluator.close()
    told_by_id = densegym.evaluate(
        half, "DenseGym/Market-TrustDilemma-v0", episodes=2, seed=3, max_episode_steps=6
    )
    assert np.allclose(
        told_by_id.measures["market/mean-trust"], seen.measures["market/mean-trust"][:2]
    )
    assert told_by_id.length.tolist() == [6, 6]


def test_agents_that_leave_see_zeros_until_their_game_ends() -> None:
    lanes = ParallelLanes([lambda: WanderParallel(3, ending=0.3)] * 2)
    lanes.seed_games(5)
    lanes.reset()
    ended = np.zeros(2)
    quiet = 0
    for _ in range(40):
        obs, _, dones, infos = lanes.step(np.zeros((6, 2)))
        for game in range(2):
            rows = slice(3 * game, 3 * game + 3)
            assert len(set(dones[rows].tolist())) == 1, "the lanes of a game end together"
            ended[game] += dones[rows][0]
        gone = (obs == 0).all(axis=1)
        quiet += gone.sum()
        for info, done in zip(infos, dones, strict=True):
            assert ("terminal_observation" in info) is bool(done)
            assert info["team/size"] == 3.0
    assert (ended > 2).all()
    assert quiet > 0
    lanes.close()


class Unequal(WanderParallel):
    """Agents that observe and choose differently much."""

    def __init__(self, choices: bool = True) -> None:
        super().__init__(2, ending=0.0)
        self.choices = choices

    def observation_space(self, agent):
        return spaces.Box(-10, 10, (3 if agent == "agent_0" else 2,), np.float64)

    def action_space(self, agent):
        count = 4 if agent == "agent_0" else 2
        if self.choices:
            return spaces.Discrete(count)
        return spaces.Box(-1, 1, (count,), np.float32)

    def reset(self, seed=None, options=None):
        obs, infos = super().reset(seed, options)
        return {a: o[: self.observation_space(a).shape[0]] for a, o in obs.items()}, infos

    def step(self, actions):
        self.taken = actions
        pushes = {agent: np.zeros(2) for agent in actions}
        obs, *rest = super().step(pushes)
        return ({a: o[: self.observation_space(a).shape[0]] for a, o in obs.items()}, *rest)


def test_unequal_spaces_are_padded() -> None:
    env = wrap_parallel(Unequal(), "env")
    obs, _ = env.reset(seed=0)
    assert {o.shape for o in obs.values()} == {(3,)}
    assert obs["agent_1"][2] == 0.0
    assert env.action_space("agent_1") == spaces.Discrete(4)
    obs, paid, *_ = env.step({"agent_0": 3, "agent_1": 3})
    assert env.unwrapped.taken == {"agent_0": 3, "agent_1": 0}, "what it lacks is its choice 0"
    assert obs["agent_1"].shape == (3,)
    assert set(paid) == {"agent_0", "agent_1"}
    numbers = PaddedParallel(Unequal(choices=False))
    numbers.reset(seed=0)
    numbers.step(dict.fromkeys(numbers.agents, np.full(4, 2.0, np.float32)))
    assert [len(a) for a in numbers.unwrapped.taken.values()] == [4, 2]
    assert max(a.max() for a in numbers.unwrapped.taken.values()) == 1.0
    same = WanderParallel(2)
    assert padded(same) is same


def test_spaces_that_cannot_be_padded_are_refused() -> None:
    class Mixed(Unequal):
        def action_space(self, agent):
            return spaces.Discrete(2) if agent == "agent_0" else spaces.Box(-1, 1, (1,))

    with pytest.raises(RewardError, match="one shape"):
        padded(Mixed())


def test_mpe_trains_by_its_name(tmp_path: Path) -> None:
    pytest.importorskip("mpe2")
    small = [text for text in SMALL if not text.startswith("episode_steps")]
    small += ["n_steps=25", "batch_size=75"]  # an episode has 25 steps
    config = resolve("mpe2/simple_spread_v3", reward="credit/lare-team", steps=450, overrides=small)
    run = load_run(train(config, tmp_path / "run"))
    assert run.return_env.mean() < 0
    assert "return of agent_2" in run.measures
    assert run.success_rate is None
    (row,) = tabulate([run])
    cells = dict(zip(COLUMNS, row.cells(), strict=True))
    assert [cells[name] for name in ("success", "lowest", "drawn", "steps to 0.9")] == ["-"] * 4
    (axis, _) = learning_curves([run]).axes
    assert axis.get_ylabel().startswith("return/env")
