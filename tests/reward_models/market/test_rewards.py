"""Rewards of markets: exact differences, advantages, potentials that end with the game."""

from __future__ import annotations

import numpy as np
import pytest

import densegym
from densegym.envs.tasks import task_card
from densegym.errors import RewardError
from densegym.reward_models.model import Potential
from densegym.reward_models.shaping import Shaped
from densegym.reward_models.spec import build_engine
from tests.toys import Height

ENV = "DenseGym/Market-{}-v0"


def episode(name: str, reward, seed: int, **kwargs):
    """Yield (actions, paid, infos) of one game with drawn actions."""
    env = densegym.make_parallel(ENV.format(name), reward=reward, **kwargs)
    _, infos = env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    yield None, None, infos
    while env.agents:
        actions = {agent: rng.random(1).astype(np.float32) for agent in env.agents}
        _, paid, _, _, infos = env.step(actions)
        yield actions, paid, infos


@pytest.mark.parametrize("name", ["SLCD", "PublicGoods", "TrustDilemma"])
def test_shaping_by_trust_shifts_returns_by_the_first_potential(name: str) -> None:
    """Sum of what is shaped less the own return is −Φ(s₀), wherever the game ends."""
    spec = {"model": "market/trust-potential", "height": 7.0, "gamma": 1.0}
    for seed in range(20 if name == "TrustDilemma" else 3):  # which ends early
        rows = list(episode(name, spec, seed))
        first = {agent: 7.0 * info["market/trust"] for agent, info in rows[0][2].items()}
        last = rows[-1][2]
        for agent, phi in first.items():
            gained = last[agent]["return/dense"] - last[agent]["return/env"]
            assert gained == pytest.approx(-phi, abs=1e-9)


def test_a_time_limit_that_is_an_end_is_one_for_learners_too() -> None:
    card = task_card(ENV.format("SLCD"))
    assert not build_engine("market/trust-potential", 2, task=card).bootstraps
    kept = {"model": "market/trust-potential", "truncation": "bootstrap"}
    assert build_engine(kept, 2, task=card).bootstraps
    assert Shaped(Height()).traits.bootstraps
    assert not Shaped(Height(), truncation="terminal").traits.bootstraps
    assert Potential.truncation == "bootstrap"


@pytest.mark.parametrize("instead", ["nothing", "baseline"])
def test_differences_are_what_the_welfare_lost(instead: str) -> None:
    spec = {"model": "market/difference", "instead": instead}
    for name, e, b in (("PublicGoods", 50.0, 20.0), ("TeamProduction", 50.0, 20.0)):
        for actions, paid, _ in list(episode(name, spec, 1))[1:4]:
            made = e * np.array([float(a[0]) for a in actions.values()])
            for i, agent in enumerate(actions):
                other = made.copy()
                other[i] = 0.0 if instead == "nothing" else b
                expected = welfare(name, made) - welfare(name, other)
                assert paid[agent] == pytest.approx(expected, abs=1e-4)
    with pytest.raises(RewardError, match='option "instead"'):
        list(episode("PublicGoods", {"model": "market/difference", "instead": "zero"}, 0))


def welfare(name: str, made: np.ndarray) -> float:
    total = made.sum()
    return total if name == "PublicGoods" else 25.0 * total**0.7 - total


def test_coma_pays_what_beats_the_usual() -> None:
    rows = list(episode("PublicGoods", "market/coma", 2))
    for actions, paid, _ in rows[1:2]:  # at first everything is as usual as anything else
        for agent, action in actions.items():
            assert paid[agent] == pytest.approx(50.0 * (float(action[0]) - 0.5), abs=1e-4)
    late = [(float(a["agent_0"][0]), p["agent_0"]) for a, p, _ in rows[-30:]]
    shares, advantages = np.array(late).T
    assert np.corrcoef(shares, advantages)[0, 1] > 0.99
    assert abs(advantages.mean()) < 10.0


def test_modes_are_paid_whatever_the_world_pays() -> None:
    for mode in ("private", "integrated", "cooperative"):
        own = [p for _, p, _ in list(episode("LoyaltyTeam", "env", 3, mode=mode))[1:]]
        paid = [p for _, p, _ in list(episode("LoyaltyTeam", f"market/{mode}", 3))[1:]]
        assert own == paid
    reference = {"payoff": "reference", "mode": "integrated"}
    own = [p for _, p, _ in list(episode("LoyaltyTeam", "env", 3, **reference))[1:]]
    told = {"payoff": "reference"}
    assert own == [
        p for _, p, _ in list(episode("LoyaltyTeam", "market/integrated", 3, **told))[1:]
    ]


def test_other_worlds_are_refused_by_name() -> None:
    env = densegym.make("DenseGym/HarmlessStep-v0", reward="market/difference")
    env.reset(seed=0)
    with pytest.raises(
        RewardError, match=r'reads info."market/welfare.*Use a DenseGym/Market world'
    ):
        env.step(0)
