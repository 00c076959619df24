"""Whole runs of densegym train with rewards of whole episodes, deferred steps and extras."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.callbacks import BaseCallback

from densegym.agents.extras.two_level import standardized
from densegym.agents.films.film import film_learner
from densegym.agents.training.config import TrainConfig, resolve
from densegym.agents.training.learner import build_learner
from densegym.agents.training.results import load_run
from densegym.agents.training.run import train
from densegym.cli.main import app
from densegym.errors import DenseGymError, Interrupted, RewardError
from tests.small import SMALL

HOPPER = "DenseGym/HopperForward-v0"
SHORT = ["episode_steps=30", "eval_episodes=1", "final_episodes=1", "env.terminate_on_success=true"]
OFF = ["learning_starts=60", "buffer_size=400", "batch_size=16", "eval_every=100"]


def config(algo: str, *extra: str, reward: Any = "credit/uniform", steps: int = 256) -> TrainConfig:
    base = SMALL if algo in ("ppo", "recurrent-ppo", "a2c") else [*OFF, "checkpoint_every=100"]
    if algo == "a2c":
        base = [line for line in base if not line.startswith(("batch_size", "n_epochs"))]
    return resolve(HOPPER, reward=reward, algo=algo, steps=steps, overrides=[*base, *SHORT, *extra])


@pytest.mark.parametrize("algo", ["ppo", "a2c", "recurrent-ppo", "sac", "tqc", "td3"])
def test_every_learner_trains_on_credits(algo: str, tmp_path: Path) -> None:
    steps = 256 if algo in ("ppo", "recurrent-ppo", "a2c") else 130
    folder = train(config(algo, steps=steps), tmp_path / algo)
    run = load_run(folder)
    assert run.meta["reward"] == "credit/uniform"
    assert run.meta["bootstrap"] is True


@pytest.mark.parametrize(
    ("reward", "extras"),
    [
        ("credit/uniform", []),
        (["env", "credit/uniform"], ["extra.step_advantage=1.0", "extra.anchor_advantage=1.0"]),
        ("env", ["extra.entropy_modulation=1.0", "extra.self_imitation=1.0"]),
        ("env", ["extra.entropy_smoothing=0.1", "ent_coef=0.01"]),
    ],
)
def test_the_shops_learner_takes_credits_and_every_extra(reward: Any, extras: list[str]) -> None:
    lines = ["n_envs=2", "n_steps=32", "batch_size=32", "n_epochs=1", *extras]
    wanted = resolve("DenseGym/ShopChoice-v0", reward=reward, algo="choice-ppo", overrides=lines)
    learner = build_learner(wanted)
    before = [p.detach().clone() for p in learner.model.policy.parameters()]
    learner.model.learn(128, callback=learner.callbacks)
    after = list(learner.model.policy.parameters())
    assert all(bool(p.isfinite().all()) for p in after)
    assert any(bool((p != q).any()) for p, q in zip(before, after, strict=True))
    assert np.isfinite(learner.model.rollout_buffer.advantages).all()
    learner.close()


BY_RETURN = {"success": "return", "min_episodes": 3, "updates_per_step": 0.1}
PAIRED = {"model": "credit/oprl", "margin": 0.0, "task_key": None, **BY_RETURN}
JUDGED = {"model": "credit/prime", "threshold": 0.05, **BY_RETURN}


class Advantages(BaseCallback):
    """Keeps the last rollout's advantages, and what was paid apart from rewards."""

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        buffer = self.model.rollout_buffer
        self.seen = (buffer.advantages.copy(), buffer.returns - buffer.values, buffer.books.apart)


@pytest.mark.parametrize(
    ("world", "algo", "credit"),
    [
        ("DenseGym/ShopChoice-v0", "choice-ppo", PAIRED),
        ("DenseGym/ShopChoice-v0", "choice-ppo", JUDGED),
        (HOPPER, "ppo", PAIRED),
    ],
)
def test_implicit_rewards_join_the_advantages(world: str, algo: str, credit: Any) -> None:
    lines = ["n_envs=2", "n_steps=64", "batch_size=32", "n_epochs=1", "extra.step_advantage=1.0"]
    lines += ["episode_steps=20"] if world == HOPPER else []
    wanted = resolve(world, reward=["env", credit], algo=algo, overrides=lines)
    learner, spy = build_learner(wanted), Advantages()
    learner.model.learn(384, callback=[spy, *learner.callbacks])
    _, model = (term.model for term in learner.engine.reward.terms)
    advantages, raw, apart = spy.seen
    assert model.ready
    assert 0 < np.abs(apart).max() <= model.bound
    expected = standardized(raw) + standardized(apart)
    np.testing.assert_allclose(advantages, expected, atol=1e-4)
    learner.close()


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_a_fitted_network_pays_both_kinds_of_learner(algo: str, tmp_path: Path) -> None:
    reward = {"model": "credit/rrd", "min_episodes": 3}
    wanted = config(algo, reward=reward, steps=256)
    learner = build_learner(wanted)
    learner.model.learn(256)
    assert learner.engine.reward.terms[0].model.ready
    if algo == "sac":
        batch = learner.model.replay_buffer.sample(32)
        assert len(set(batch.rewards[:, 0].tolist())) > 16
    else:
        assert np.ptp(learner.model.rollout_buffer.books.dense[-20:]) > 0
    learner.close()


@pytest.mark.parametrize("relabel", ["patch", "commit"])
def test_sac_in_both_modes_of_whole_episodes(relabel: str, tmp_path: Path) -> None:
    wanted = config("sac", f"relabel={relabel}", steps=130)
    assert load_run(train(wanted, tmp_path / relabel)).meta["steps"] == 130


@pytest.mark.parametrize(
    ("algo", "reward"),
    [
        ("ppo", PAIRED),
        ("ppo", {"model": "credit/siop", "threshold": 0.05, **BY_RETURN}),
        ("sac", "credit/uniform"),
        ("sac", {"model": "credit/prime", "threshold": 0.05, **BY_RETURN}),
    ],
)
def test_a_stopped_run_goes_on(algo: str, reward: Any, tmp_path: Path) -> None:
    wanted = config(algo, reward=reward, steps=384)
    told = []

    def stop(progress: Any) -> None:
        told.append(progress.step)
        if progress.step >= 200:
            raise KeyboardInterrupt

    with pytest.raises((Interrupted, KeyboardInterrupt)):
        train(wanted, tmp_path / "run", on_progress=stop)
    folder = train(wanted, tmp_path / "run", resume=True)
    assert load_run(folder).meta["steps"] == 384


def test_credits_are_filmed(tmp_path: Path) -> None:
    folder = train(config("ppo"), tmp_path / "run", after={"filming": film_learner})
    assert {path.suffix for path in (folder / "media").iterdir()} == {".mp4", ".png"}


def test_extras_reach_the_learner(tmp_path: Path) -> None:
    extras = ["extra.step_advantage=0.5", "extra.self_imitation=0.5", "extra.fade_updates=3"]
    wanted = config("ppo", *extras, reward=["env", "credit/uniform"])
    learner = build_learner(wanted)
    assert len(learner.callbacks) == 1
    assert learner.model.rollout_buffer.modulators
    learner.close()
    assert load_run(train(wanted, tmp_path / "run")).meta["steps"] == 256


@pytest.mark.parametrize(
    ("algo", "extra", "error", "says"),
    [
        ("sac", ("learning_starts=20",), RewardError, "learning_starts=30"),
        ("sac", ("relabel=lazy",), RewardError, 'replay="patch" or "commit"'),
        ("sac", ("relabel=often",), RewardError, "auto, patch, commit, lazy"),
        ("sac", ("extra.self_imitation=1",), DenseGymError, "on-policy"),
        ("ppo", ("extra.entropy_modulation=1",), DenseGymError, "discrete"),
        ("ppo", ("extra.step_advantage=1",), DenseGymError, '"env", "credit/uniform"'),
        ("ppo", ("extra.anchor_advantage=1",), DenseGymError, "normalize_obs=false"),
    ],
)
def test_what_cannot_be_relabelled_is_refused(algo, extra, error, says) -> None:
    with pytest.raises(error, match=says):
        build_learner(config(algo, *extra))


def test_hindsight_goals_are_refused() -> None:
    wanted = resolve("DenseGym/FetchReach-v0", reward="credit/uniform", algo="sac", steps=100)
    with pytest.raises(RewardError, match="her=false"):
        build_learner(wanted)


def test_episodes_are_recorded_and_relabelled_from_the_command_line(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    folder = train(config("ppo"), tmp_path / "run")
    episodes, out = tmp_path / "hopper.npz", tmp_path / "uniform.npz"
    runner = CliRunner()
    recorded = runner.invoke(
        app, ["eval", str(folder), "--episodes", "3", "--record", str(episodes)]
    )
    assert recorded.exit_code == 0, recorded.output
    typed = ["relabel", str(episodes), "--reward", "credit/uniform", "--out", str(out), "--json"]
    told = runner.invoke(app, typed)
    assert told.exit_code == 0, told.output
    figures = json.loads(told.output.splitlines()[-1])
    assert figures["env"] == HOPPER
    assert figures["paid steps"] == 1.0
    expert = runner.invoke(app, ["relabel", str(out), "--reward", "expert", "--json"])
    paid = json.loads(expert.output.splitlines()[-1])
    assert paid["return/dense"] == pytest.approx(figures["return/dense"])
    assert paid["return/env"] == figures["return/env"]
