"""Rules of the games, seeds, bad input, cards; no recorded episodes are needed."""

from __future__ import annotations

import time

import numpy as np
import pytest

from densegym.envs.market import payoffs
from densegym.envs.market.baselines import LEVELS, constant, constants, play
from densegym.envs.market.cards import DILEMMAS
from densegym.envs.market.core import MarketCore
from densegym.envs.market.params import MARKETS, MODES, PHASES, find_market
from densegym.envs.market.statics import nash, optimum
from densegym.envs.tasks import task_card
from densegym.errors import DenseGymError

GOLDEN = {  # full episodes at half of every endowment, sum of the integrated return per agent
    "TrustDilemma": (23133.41, 23133.41),
    "PartnerHoldUp": (20217.75, 25640.19),
    "PlatformEcosystem": (32588.37, 27722.49),
    "SLCD": (23450.93, 26419.11),
    "ReputationMarket": (29393.14, 29393.14),
    "TeamProduction": (24269.80, 24269.80),
    "CoalitionFormation": (67438.98, 67438.98),
}


def rngs(count: int, seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng(seed + i) for i in range(count)]


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_returns(name: str) -> None:
    core = MarketCore(MARKETS[name], payoff="reference", jitter=0.0, parity="gym")
    returns = play(core, constant(0.5)).returns["integrated"][0]
    assert np.allclose(returns[: len(GOLDEN[name])], GOLDEN[name], atol=6e-3)


def test_the_first_golden_reward() -> None:
    core = MarketCore(MARKETS["TrustDilemma"], mode="integrated", jitter=0.0)
    core.begin()
    assert core.step([[50.0, 50.0]]).reward == pytest.approx(196.5536, abs=1e-4)


@pytest.mark.parametrize("name", MARKETS)
def test_many_games_are_each_what_one_alone_is(name: str) -> None:
    """Games that end, begin again and draw apart never touch each other."""
    market, games, steps = (
        find_market(name, "emergence" if name == "ApacheProject" else None),
        3,
        40,
    )
    actions = np.random.default_rng(1).random((steps, games, market.agents))
    actions = actions * np.array(market.endowment) * [[0.2], [1.0], [0.6]]
    together = MarketCore(market, games, mode="integrated")
    sources = rngs(games)
    together.begin(rngs=sources)
    seen = []
    for row in actions:
        step = together.step(row)
        seen.append((step.reward.copy(), step.terminated.copy()))
        over = np.flatnonzero(step.terminated | step.truncated)
        if len(over):
            together.begin(over, [sources[game] for game in over])
    for game in range(games):
        alone, source = MarketCore(market, mode="integrated"), rngs(games)[game]
        alone.begin(rngs=[source])
        for row, (reward, terminated) in zip(actions, seen, strict=True):
            step = alone.step(row[[game]])
            # Sums of many agents are added in another order where games stand apart.
            assert np.allclose(step.reward[0], reward[game], rtol=1e-12, atol=1e-12)
            assert step.terminated[0] == terminated[game]
            if step.terminated[0] or step.truncated[0]:
                alone.begin(rngs=[source])


@pytest.mark.parametrize("name", MARKETS)
def test_seeds_matter_with_jitter_and_not_without(name: str) -> None:
    market = find_market(name, "emergence" if name == "ApacheProject" else None)
    spread = {}
    for jitter in (0.1, 0.0):
        core = MarketCore(market, 6, jitter=jitter)
        spread[jitter] = play(core, constant(0.5), rngs(6)).returns["integrated"].sum(axis=1).std()
        again = play(core, constant(0.5), rngs(6)).returns["integrated"].sum(axis=1).std()
        assert again == spread[jitter], "equal seeds give equal games, whatever was played before"
    fixed = name == "TeamProduction"  # its payoff knows neither trust nor loyalty nor synergy
    assert bool(spread[0.1] > 1e-6) is not fixed
    assert bool(spread[0.0] > 1e-6) is (
        name == "SynergySearch"
    )  # whose synergy is hidden and drawn


def test_what_the_reference_gets_wrong_is_right_here() -> None:
    race = MarketCore(MARKETS["RecoveryRace"], jitter=0.0)
    assert play(race, constant(1.0)).length[0] < MARKETS["RecoveryRace"].horizon
    coalition = MarketCore(MARKETS["CoalitionFormation"], jitter=0.0)
    assert play(coalition, constant(0.5)).length[0] == 150
    partners = MarketCore(MARKETS["DynamicPartnerSelection"], jitter=0.0)
    play(partners, constant(1.0))
    partners.begin()
    assert not partners.extra.features().any(), "reputations begin anew"


@pytest.mark.parametrize("name", MARKETS)
def test_welfare_had_an_agent_done_otherwise_is_exact(name: str) -> None:
    market = find_market(name, "emergence" if name == "ApacheProject" else None)
    core = MarketCore(market, 2)
    core.begin(rngs=rngs(2))
    rng = np.random.default_rng(3)
    drawn = rng.random((2, market.agents)) * np.array(market.endowment)
    drawn[0, 0] = 0.0  # nobody's synergy, but for agent 0's
    core.step(drawn)
    instead = np.stack([np.zeros(market.agents), np.array(market.baseline)])[:, :, None]
    told = core.welfare_instead(instead)
    for k, row in enumerate(instead[..., 0]):
        for i in range(market.agents):
            changed = core.actions.copy()
            changed[i] = row[i]
            made = payoffs.private(market, core.payoff, changed, core.synergy).sum(axis=0)
            assert np.allclose(told[k, i], made, rtol=1e-12)


def test_bad_input_is_refused_in_a_sentence() -> None:
    market = MARKETS["TrustDilemma"]
    core = MarketCore(market, 2)
    good = [[1.0, 2.0], [3.0, 4.0]]
    with pytest.raises(DenseGymError, match=r"game 0 has not begun; call reset\(\)"):
        core.step(good)
    core.begin(rngs=rngs(2))
    cases = {
        "finite numbers; given nan for agent 1 of game 0": [[1.0, np.nan], [0.0, 0.0]],
        "given inf for agent 0 of game 1": [[1.0, 1.0], [np.inf, 0.0]],
        r"shape \(2, 2\); given float64 of shape \(2, 3\)": np.zeros((2, 3)),
        r"given float64 of shape \(2,\)": np.zeros(2),
        "given <U1": [["a", "b"], ["c", "d"]],
    }
    for message, actions in cases.items():
        with pytest.raises(DenseGymError, match=message):
            core.step(actions)
    for _ in range(3):
        step = core.step(np.zeros((2, 2)))
    assert step.terminated.all()
    with pytest.raises(DenseGymError, match=r"game 0 has ended; call reset\(\)"):
        core.step(good)
    with pytest.raises(DenseGymError, match=r'Unknown mode "privat".*Did you mean "private"'):
        MarketCore(market, mode="privat")
    with pytest.raises(DenseGymError, match='Unknown payoff "papers"'):
        MarketCore(market, payoff="papers")
    with pytest.raises(DenseGymError, match="TrustDilemma has one payoff"):
        MarketCore(market, payoff="paper")
    with pytest.raises(DenseGymError, match="jitter is a share"):
        MarketCore(market, jitter=2.0)
    with pytest.raises(DenseGymError, match="games is at least 1"):
        MarketCore(market, 0)
    with pytest.raises(DenseGymError, match='Unknown phase of RenaultNissan "matur"'):
        find_market("RenaultNissan", "matur")
    with pytest.raises(DenseGymError, match="leave phase out"):
        find_market("SLCD", "mature")
    with pytest.raises(DenseGymError, match=r'Unknown market "Slcd".*Did you mean "SLCD"'):
        find_market("Slcd")
    assert all(find_market(n, phase).name == n for n, every in PHASES.items() for phase in every)


@pytest.mark.parametrize("name", MARKETS)
def test_cards_hold_the_dilemmas_numbers(name: str) -> None:
    market, told = MARKETS[name], DILEMMAS[name]
    assert nash(market).welfare / market.agents == pytest.approx(told.nash, abs=0.006)
    assert optimum(market).welfare / market.agents == pytest.approx(told.optimum, abs=0.006)
    if market.agents <= 6:  # forty agents take seconds
        seen = play(MarketCore(market, LEVELS, jitter=0.0), constants).welfare
        per_step = seen / (market.horizon * market.agents)
        assert int(per_step.argmax()) == told.constant
        assert per_step.max() == pytest.approx(told.constant_welfare, abs=0.006)
    goal = task_card(f"DenseGym/Market-{name}-v0").goal
    assert all(f"{number:.2f}" in goal for number in (told.nash, told.optimum))


def test_modes_pay_what_they_say() -> None:
    for name, payoff in (("SLCD", None), ("LoyaltyTeam", "paper"), ("LoyaltyTeam", "reference")):
        market, paid = MARKETS[name], {}
        for mode in MODES:
            core = MarketCore(market, mode=mode, payoff=payoff, jitter=0.0)
            core.begin()
            paid[mode] = core.step(0.6 * core.endowment.T).reward[0]
            assert np.array_equal(core.paid(mode)[0], paid[mode])
        shared = paid["private"] if payoff == "paper" else paid["integrated"]
        assert np.allclose(paid["cooperative"], shared.mean())
        assert (paid["integrated"] > paid["private"]).all()


def test_a_step_is_fast() -> None:
    core = MarketCore(MARKETS["TrustDilemma"], 256, jitter=0.0)
    actions = np.tile(0.5 * core.endowment.T, (256, 1))
    core.begin()
    started = time.process_time()
    for _ in range(99):
        core.step(actions)
    speed = 256 * 99 / (time.process_time() - started)
    assert speed > 3e5, "densegym market bench asks for 1e6; this machine may be busy"
