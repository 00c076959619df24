"""One game behind every interface: equal rewards, PettingZoo's own tests, refusals."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import densegym
from densegym.envs.market.games import Setting
from densegym.envs.market.lanes import make_lanes
from densegym.envs.market.parallel import MarketAEC, MarketParallel
from densegym.envs.market.params import MARKETS
from densegym.envs.market.single import MarketEnv
from densegym.envs.market.vector import MarketVectorEnv
from densegym.errors import DenseGymError, RewardError

with warnings.catch_warnings():  # PettingZoo's tests import a world the old way
    warnings.simplefilter("ignore", DeprecationWarning)
    from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test

STEPS = 12


def kwargs_of(name: str) -> dict:
    return {"name": name, "phase": "emergence"} if name == "ApacheProject" else {"name": name}


def actions_of(name: str, steps: int = STEPS) -> np.ndarray:
    """Return (steps, n) float32 fractions that keep trust alive at first and lose it then."""
    n = Setting(**kwargs_of(name)).market().agents
    drawn = np.random.default_rng(7).random((steps, n))
    drawn[: steps // 2] = 0.45 + 0.5 * drawn[: steps // 2]
    return drawn.astype(np.float32)


def from_parallel(name: str, actions: np.ndarray) -> list[np.ndarray]:
    env = MarketParallel(**kwargs_of(name))
    env.reset(seed=3)
    paid = []
    for row in actions:
        made = {agent: row[[i]] for i, agent in enumerate(env.possible_agents)}
        _, rewards, *_ = env.step(made)
        paid.append(np.array(list(rewards.values())))
        if not env.agents:
            break
    return paid


def from_aec(name: str, actions: np.ndarray) -> list[np.ndarray]:
    env = MarketAEC(**kwargs_of(name))
    env.reset(seed=3)
    paid = []
    for row in actions:
        for i in range(len(row)):
            before = env.observe(env.agent_selection)[-len(row) :]
            assert (before[:i] == row[:i]).all(), "later agents see what earlier ones did"
            assert (before[i:] == -1).all()
            env.step(row[[i]])
        paid.append(np.array([env.rewards[agent] for agent in env.possible_agents]))
        if any(env.terminations.values()):
            break
    return paid


def from_vector(mode: AutoresetMode):
    def run(name: str, actions: np.ndarray) -> list[np.ndarray]:
        n = actions.shape[1]
        env = MarketVectorEnv(2 * n, autoreset_mode=mode, **kwargs_of(name))
        env.reset(seed=3)
        paid = []
        for row in actions:
            _, rewards, terminated, _, _ = env.step(np.tile(row, 2)[:, None])
            paid.append(rewards[:n])
            if terminated[0]:
                break
        return paid

    return run


def from_lanes(name: str, actions: np.ndarray) -> list[np.ndarray]:
    env = make_lanes(num_envs=1, **kwargs_of(name))
    env.seed(3)
    env.reset()
    paid = []
    for row in actions:
        _, rewards, dones, _ = env.step(row[:, None])
        paid.append(rewards)
        if dones[0]:
            break
    return paid


def from_singles(name: str, actions: np.ndarray) -> list[np.ndarray]:
    n, columns = actions.shape[1], []
    for agent in range(n):
        turn = iter(actions)

        def others(core, turn=turn):
            return next(turn)[None].astype(np.float64) * core.endowment.T

        env = MarketEnv(agent=agent, others=others, **kwargs_of(name))
        env.reset(seed=3)
        column = []
        for row in actions:
            _, paid, terminated, _, _ = env.step(row[[agent]])
            column.append(paid)
            if terminated:
                break
        columns.append(column)
    return list(np.array(columns).T)


HOSTS = {
    "aec": from_aec,
    "lanes": from_lanes,
    "singles": from_singles,
    **{mode.value: from_vector(mode) for mode in AutoresetMode},
}


@pytest.mark.parametrize("name", MARKETS)
def test_every_host_pays_the_same(name: str) -> None:
    actions = actions_of(name)
    expected = from_parallel(name, actions)
    assert len(expected) > STEPS // 2
    for host, run in HOSTS.items():
        paid = run(name, actions)
        assert len(paid) == len(expected), host
        tolerance = 1e-5 if host == "singles" else 1e-12  # others' plans pass through float32
        assert np.allclose(paid, expected, rtol=tolerance, atol=tolerance), host


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_games_begin_again_as_the_mode_says(mode: AutoresetMode) -> None:
    """Two episodes of two games that end at different times, against games played alone."""
    name, n = "TrustDilemma", 2
    env = MarketVectorEnv(2 * n, autoreset_mode=mode, **kwargs_of(name))
    first, _ = env.reset(seed=10)
    shares = np.array([0.0, 0.0, 0.3, 0.3], np.float32)[
        :, None
    ]  # the second game loses trust later
    alone = [MarketVectorEnv(n, autoreset_mode="Disabled", **kwargs_of(name)) for _ in range(2)]
    for game, one in enumerate(alone):
        obs, _ = one.reset(seed=10 + game)
        assert np.array_equal(obs, first[game * n : game * n + n])
    ended = np.zeros(2, bool)
    for _ in range(12):
        if mode is AutoresetMode.DISABLED and ended.any():
            env.reset(options={"reset_mask": np.repeat(ended, n)})
        obs, paid, terminated, truncated, info = env.step(shares)
        for game, one in enumerate(alone):
            lanes = slice(game * n, game * n + n)
            if ended[game]:
                fresh, _ = one.reset()
                if mode is AutoresetMode.NEXT_STEP:
                    assert (paid[lanes] == 0).all()
                    assert not terminated[lanes].any()
                    assert np.array_equal(obs[lanes], fresh)
                    ended[game] = False
                    continue
            seen, rewards, over, late, told = one.step(shares[lanes])
            assert np.array_equal(paid[lanes], rewards)
            assert np.array_equal(terminated[lanes], over)
            assert np.array_equal(truncated[lanes], late)
            ended[game] = bool((over | late).any())
            if mode is AutoresetMode.SAME_STEP and ended[game]:
                assert np.array_equal(np.stack(info["final_obs"][lanes]), seen)
                final = info["final_info"]["market/private"][lanes]
                assert np.array_equal(final, told["market/private"])
            elif mode is not AutoresetMode.SAME_STEP:
                assert np.array_equal(obs[lanes], seen)
        if mode is AutoresetMode.SAME_STEP:
            for game in np.flatnonzero(ended):
                fresh, _ = alone[game].reset()
                assert np.array_equal(obs[game * n : game * n + n], fresh)
            ended[:] = False
    assert env.games.core.t.max() < 12, "some game began again"


@pytest.mark.parametrize("name", ["SLCD", "PartnerHoldUp", "CooperativeNegotiation", "PublicGoods"])
def test_pettingzoos_own_tests(name: str) -> None:
    env_id = f"DenseGym/Market-{name}-v0"
    parallel_api_test(densegym.make_parallel(env_id), num_cycles=110)
    parallel_api_test(densegym.make_parallel(env_id, action="units", parity=True), num_cycles=20)
    api_test(densegym.make_aec(env_id), num_cycles=30)
    parallel_seed_test(lambda: densegym.make_parallel(env_id), num_cycles=20)


@pytest.mark.slow
@pytest.mark.parametrize("name", MARKETS)
def test_pettingzoos_own_tests_on_every_market(name: str) -> None:
    env_id = f"DenseGym/Market-{name}-v0"
    parallel_api_test(densegym.make_parallel(env_id), num_cycles=210)
    api_test(densegym.make_aec(env_id), num_cycles=210)
    parallel_seed_test(lambda: densegym.make_parallel(env_id), num_cycles=50)


def test_rewards_are_paid_alike_under_all_hosts() -> None:
    spec, name = "market/difference", "PublicGoods"
    env_id, actions = f"DenseGym/Market-{name}-v0", actions_of(name)
    parallel = densegym.make_parallel(env_id, reward=spec)
    parallel.reset(seed=3)
    vector = densegym.make_vec(
        env_id, 5, reward=spec, vectorization_mode="vector_entry_point", seed=3
    )
    vector.reset(seed=3)
    for row in actions:
        made = {agent: row[[i]] for i, agent in enumerate(parallel.possible_agents)}
        _, paid, _, _, infos = parallel.step(made)
        _, rewards, _, _, info = vector.step(row[:, None])
        assert np.array_equal(list(paid.values()), rewards)
        assert [infos[a]["return/env"] for a in made] == info["return/env"].tolist()
        assert np.allclose(rewards, 50 * row * 1.0, atol=1e-4), "D = (m - 1) a of a public good"


def test_actions_in_every_form_are_the_same_act() -> None:
    fraction = np.array([0.25, 0.75], np.float32)
    forms = {"fraction": fraction, "centred": 2 * fraction - 1, "units": fraction * [120, 80]}
    paid = []
    for form, actions in forms.items():
        env = MarketParallel(name="PartnerHoldUp", action=form)
        env.reset(seed=0)
        made = dict(zip(env.agents, actions[:, None].astype(np.float32), strict=True))
        paid.append(list(env.step(made)[1].values()))
        high = [env.action_space(agent).high[0] for agent in env.possible_agents]
        assert high == ([120, 80] if form == "units" else [1, 1])
    assert np.allclose(paid[0], paid[1], rtol=1e-6)
    assert np.allclose(paid[0], paid[2], rtol=1e-6)


@pytest.mark.parametrize("visibility", ["full", "row", "minimal"])
@pytest.mark.parametrize("name", MARKETS)
def test_observations_lie_in_their_space_and_tell_agents_apart(name, visibility) -> None:
    env = MarketParallel(**kwargs_of(name), visibility=visibility)
    obs, _ = env.reset(seed=1)
    for row in actions_of(name, 4):
        for agent, seen in obs.items():
            assert env.observation_space(agent).contains(seen)
        assert len({seen.tobytes() for seen in obs.values()}) == len(obs)
        obs, *_ = env.step({a: row[[i]] for i, a in enumerate(env.possible_agents)})


def test_bad_input_is_refused_by_every_host() -> None:
    env = MarketParallel(name="SLCD")
    with pytest.raises(DenseGymError, match="has not begun; call reset"):
        env.step({})
    env.reset(seed=0)
    one = np.array([0.5], np.float32)
    cases = {
        "missing: agent_1; unknown: none": {"agent_0": one},
        "missing: none; unknown: agent_2": {"agent_0": one, "agent_1": one, "agent_2": one},
        "agent_1 is a finite number; given nan": {"agent_0": one, "agent_1": one * np.nan},
        r"one number, shape \(1,\)": {"agent_0": one, "agent_1": np.zeros(2, np.float32)},
        "given <U1": {"agent_0": one, "agent_1": "a"},
    }
    for message, actions in cases.items():
        with pytest.raises(DenseGymError, match=message):
            env.step(actions)
    for _ in range(100):
        env.step({"agent_0": one, "agent_1": one})
    with pytest.raises(DenseGymError, match="has ended; call reset"):
        env.step({"agent_0": one, "agent_1": one})
    turns = MarketAEC(name="SLCD")
    with pytest.raises(DenseGymError, match="has not begun"):
        turns.step(one)
    with pytest.raises(DenseGymError, match="multiple of 2, such as 2; given 3"):
        MarketVectorEnv(3, name="SLCD")
    with pytest.raises(DenseGymError, match='use action="fraction"'):
        MarketVectorEnv(2, name="PartnerHoldUp", action="units")
    lanes = MarketVectorEnv(4, name="SLCD", autoreset_mode="Disabled")
    lanes.reset(seed=0)
    with pytest.raises(DenseGymError, match=r"shape \(4, 1\)"):
        lanes.step(np.zeros(4))
    with pytest.raises(DenseGymError, match="all or none"):
        lanes.reset(options={"reset_mask": [True, False, False, False]})
    with pytest.raises(DenseGymError, match="agents 0 to 1; given agent=5"):
        MarketEnv(name="SLCD", agent=5)
    with pytest.raises(DenseGymError, match='Unknown plan of the others "tit-for-tatt"'):
        MarketEnv(name="SLCD", others="tit-for-tatt")
    with pytest.raises(DenseGymError, match='Unknown visibility "all"'):
        MarketEnv(name="SLCD", visibility="all")
    with pytest.raises(DenseGymError, match='Unknown form of action "percent"'):
        MarketEnv(name="SLCD", action="percent")
    with pytest.raises(RewardError, match="parallel_to_aec"):
        densegym.make_aec("DenseGym/Market-SLCD-v0", reward="market/difference")
    with pytest.raises(DenseGymError, match="has one agent"):
        densegym.make_parallel("DenseGym/HarmlessStep-v0")
    with pytest.raises(DenseGymError, match='Did you mean "DenseGym/Market-SLCD-v0"'):
        densegym.make_parallel("DenseGym/Market-SLC-v0")


@pytest.mark.parametrize("others", ["random", "nash", "grim-trigger", 0.4])
def test_one_agent_among_scripted_ones(others) -> None:
    env = densegym.make("DenseGym/Market-GiftExchange-v0", others=others, agent=1)
    returns = []
    for _ in range(2):
        _, _ = env.reset(seed=5)
        paid = [env.step(np.array([0.4], np.float32))[1] for _ in range(5)]
        returns.append(paid)
    assert returns[0] == returns[1]
