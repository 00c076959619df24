"""Independent learners and self-play on a market in small, baselines' tables, pictures, speed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from densegym.agents.market.learners import Together, independent, learn, self_play
from densegym.agents.market.pictures import draw_strip, film, tell
from densegym.agents.market.seats import SeatVecEnv
from densegym.agents.market.table import PUBLISHED, beside_published, table
from densegym.agents.training.config import resolve
from densegym.cli.main import app
from densegym.envs.market.games import Setting
from densegym.envs.market.lanes import make_lanes
from densegym.errors import DenseGymError

SMALL = ("n_envs=4", "n_steps=20", "batch_size=80", "n_epochs=1", "episode_steps=20")


def config(name: str, steps: int, reward: str = "market/private"):
    env = f"DenseGym/Market-{name}-v0"
    return resolve(env, reward=reward, seed=0, steps=steps, overrides=SMALL)


def test_seats_play_what_the_host_would() -> None:
    host, twin = (make_lanes(num_envs=2, name="PublicGoods", jitter=0.0) for _ in range(2))
    seat = SeatVecEnv(host, 5)
    seat.seat[:] = [1, 3]
    seat.others = {
        i: lambda obs, i=i: np.full((len(obs), 1), 0.1 * i, np.float32) for i in range(5)
    }
    first = seat.reset()
    obs = twin.reset()
    assert np.array_equal(first, obs[[1, 8]])
    shares = np.tile(0.1 * np.arange(5, dtype=np.float32), 2)[:, None]
    shares[[1, 8]] = 0.9
    seen, paid, dones, infos = seat.step(np.full((2, 1), 0.9, np.float32))
    obs, rewards, _, _ = twin.step(shares)
    assert np.array_equal(seen, obs[[1, 8]])
    assert np.array_equal(paid, rewards[[1, 8]])
    assert dones.tolist() == [False, False]
    assert [info["team/agent"] for info in infos] == [1.0, 3.0]


def test_independent_learners_are_one_each_and_learn() -> None:
    models = independent(config("SLCD", 320))
    assert len(models) == 2
    assert all(model.num_timesteps == 160 for model in models)
    one, two = (model.policy.state_dict()["action_net.weight"] for model in models)
    assert not np.allclose(one, two)
    rows = np.zeros((6, models[0].observation_space.shape[0]), np.float32)
    joint = Together(models, 2)(rows, np.ones(6, np.bool_))
    assert np.allclose(joint[0::2], models[0].predict(rows[0::2], deterministic=True)[0])
    assert np.allclose(joint[1::2], models[1].predict(rows[1::2], deterministic=True)[0])
    with pytest.raises(DenseGymError, match=r"at most 8 agents.*learners=shared"):
        independent(config("ApacheProject", 100))
    with pytest.raises(DenseGymError, match=r"paid after episodes.*learners=shared"):
        independent(config("SLCD", 100, "credit/uniform-team"))


def test_self_play_trains_one_against_its_past() -> None:
    model = self_play(config("TrustDilemma", 320))
    assert model.num_timesteps == 320
    seen = learn(config("TrustDilemma", 160), "self-play", episodes=2, seed=5)
    assert seen.return_env.shape == (2,)
    assert {"return of agent_0", "market/mean-welfare"} <= set(seen.measures)


@pytest.mark.slow
def test_independent_learners_find_the_nash_point_of_a_public_good() -> None:
    overrides = ("n_envs=8",)
    env = "DenseGym/Market-PublicGoods-v0"
    chosen = resolve(env, reward="market/private", seed=0, steps=160_000, overrides=overrides)
    seen = learn(chosen, "independent", episodes=4, seed=5)
    assert seen.measures["market/mean-welfare"].mean() < 60.0


def test_the_best_constant_stands_beside_the_published() -> None:
    rows = table(["TeamProduction"], ["constants", "tft", "nash"], payoff="reference")
    best = max(row.returns["integrated"] for row in rows if row.player.startswith("constant"))
    learner, published, _, oracle = PUBLISHED["TeamProduction"]
    assert best == pytest.approx(97_144, abs=1.0)
    assert best > published > oracle
    whole = next(row for row in rows if row.player == "constant 100 %")
    assert whole.returns["integrated"] == pytest.approx(oracle, abs=1.0), learner
    (line,) = beside_published(rows)
    assert line.endswith("best constant 97,144")
    for world, policy in (("Nowhere", "tft"), ("SLCD", "tit")):
        with pytest.raises(DenseGymError, match="Unknown"):
            table([world], [policy])


def test_the_table_on_the_command_line() -> None:
    args = ["market", "table", "--world", "SLCD", "--policy", "constants,nash"]
    done = CliRunner().invoke(app, [*args, "--json"])
    rows = json.loads(done.stdout)
    assert {row["world"] for row in rows} == {"SLCD"}
    nash = next(row for row in rows if row["player"] == "nash")
    assert nash["welfare"] == pytest.approx(148.01, abs=0.01)
    assert "best private" in CliRunner().invoke(app, args).stdout
    wrong = CliRunner().invoke(app, [*args, "--payoff", "papers"])
    assert isinstance(wrong.exception, DenseGymError)


def test_a_game_is_drawn_and_filmed(tmp_path: Path) -> None:
    setting = Setting(name="PublicGoods", max_episode_steps=4)
    story = tell(setting, lambda obs, fresh: np.full((len(obs), 1), 0.5, np.float32))
    assert story.trust.shape == (5, 5, 5)
    assert story.effort[1:].tolist() == [[0.5] * 5] * 4
    assert np.allclose(story.welfare, 75.0)
    assert (story.nash, story.optimum) == pytest.approx((50.0, 100.0))
    assert draw_strip(story, tmp_path / "game.png").stat().st_size > 5_000
    assert film(story, tmp_path / "game.mp4").stat().st_size > 3_000
