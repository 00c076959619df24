"""Every host pays what the naive payer pays: at the step, late, on and off policy."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.buffers import ReplayBuffer

from densegym.agents.relabel.replay import committing, late_paid
from densegym.agents.relabel.rollout import RolloutBooks
from densegym.envs.wrappers.lanes import LaneVecEnv
from densegym.envs.wrappers.monitor import PayMonitor
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from densegym.reward_models.model import RewardModel
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Scores
from tests.core.reference_payer import Payer, Told
from tests.core.scripted import HOSTS, SPACE, Script, Scripted
from tests.toys import ACTIONS, CARD, Counting, Height, Redistribute

TOLERANCE = 1e-12
STEPS = 12


class Linear(RewardModel):
    """A Markov credit: twice the first coordinate of the successor."""

    name = "toy/linear-v1"
    traits = Traits(when="episode", markov=True)

    def score(self, steps) -> Scores:
        return Scores(np.zeros(len(steps.slot)), np.ones(len(steps.slot), dtype=bool))

    def finish(self, episodes):
        return [2.0 * one.obs[1:, 0] for one in episodes]

    def estimate(self, prefix):
        return 2.0 * prefix.obs[1:, 0]

    def predict(self, obs, action, next_obs):
        return 2.0 * next_obs[:, 0]


def model_of(kind: str) -> Any:
    makers = {
        "env": lambda: "env",
        "delayed": lambda: {"model": "delayed", "of": "env"},
        "count": Counting,
        "count abstaining": lambda: Counting(abstains=True),
        "height": Height,
        "height abstaining": lambda: Height(abstains=True),
        "spread": Redistribute,
        "linear": Linear,
    }
    return makers[kind]()


def spec_of(terms: list[dict[str, Any]], **whole: Any) -> list[dict[str, Any]]:
    """Return the terms as a specification, with fresh models."""
    parts = []
    for term in terms:
        model = model_of(term["kind"])
        part = dict(model) if isinstance(model, dict) else {"model": model}
        part |= {key: value for key, value in term.items() if key not in ("kind", "gate")}
        if "gate" in term:
            part["gate"] = model_of(term["gate"])
        parts.append({**part, **whole})
    return parts


STEP_KINDS = ("env", "delayed", "count", "count abstaining", "height", "height abstaining")
LATE_KINDS = ("spread", "linear")
NUMBERS = st.integers(-24, 24).map(lambda k: k / 8)
OBS = st.tuples(NUMBERS, NUMBERS, NUMBERS)
ENDS = st.sampled_from([(True, False), (False, True), (True, True)])


@st.composite
def scripts(draw: Any) -> tuple[Script, ...]:
    episodes = []
    for _ in range(draw(st.integers(1, 3))):
        rows = draw(st.lists(st.tuples(OBS, NUMBERS), min_size=1, max_size=5))
        ends = draw(ENDS)
        steps = [
            (*row, *(ends if t == len(rows) - 1 else (False, False))) for t, row in enumerate(rows)
        ]
        episodes.append(Script(draw(OBS), tuple(steps)))
    return tuple(episodes)


@st.composite
def term(draw: Any, kinds: tuple[str, ...]) -> dict[str, Any]:
    kind = draw(st.sampled_from(kinds))
    made: dict[str, Any] = {"kind": kind}
    potential, late = kind.startswith("height"), kind in LATE_KINDS
    if potential:
        if draw(st.booleans()):
            made["gamma"] = 0.9
            made["truncation"] = draw(st.sampled_from(["bootstrap", "terminal"]))
        else:
            made["mode"] = "additive_unsafe"
    elif draw(st.booleans()):
        made["mode"] = draw(st.sampled_from(["replace", "add"]))
    if draw(st.booleans()):
        made["scale"] = draw(st.sampled_from([0.5, -2.0, 0.0, 1.0]))
    if draw(st.booleans()):
        made["clip"] = draw(st.sampled_from([[-1.0, 1.0], [0.0, 2.5], [0.5, 0.5]]))
    if not late and draw(st.integers(0, 2)) == 0:
        made["gate"] = draw(st.sampled_from(["env", "count", "count abstaining"]))
        made["gate_threshold"] = draw(st.sampled_from([0.0, 1.0, 2.0]))
        made["gate_latch"] = draw(st.booleans())
    pays_on_top = potential or made.get("mode") == "add"
    made["fallback"] = draw(st.sampled_from(["zero", "last"] + ([] if pays_on_top else ["env"])))
    return made


def rewards(*kinds: str) -> Any:
    return st.lists(term(kinds), min_size=1, max_size=3)


def expected(script: tuple[Script, ...], terms: list[dict[str, Any]], steps: int) -> list[Told]:
    """Return what the reference pays for at least ``steps`` steps of a lane, by episode."""
    told: list[Told] = []
    while sum(len(one.paid) for one in told) < steps:
        episode = script[len(told) % len(script)]
        told.append(Payer(terms).episode(episode.first, episode.moments()))
    return told


def flat(told: list[Told], name: str) -> list[float]:
    return [value for one in told for value in getattr(one, name)]


def check_host(host: str, lanes: list[tuple[Script, ...]], terms: list[dict[str, Any]]) -> None:
    late = any(term["kind"] in LATE_KINDS for term in terms)
    whole = {"hindsight": True} if late else {}
    played = HOSTS[host](lanes, lambda: spec_of(terms, **whole), STEPS)
    for script, rows in zip(lanes, played, strict=True):
        told = expected(script, terms, len(rows))
        paid = [row.paid for row in rows]
        np.testing.assert_allclose(paid, flat(told, "paid")[: len(rows)], rtol=0, atol=TOLERANCE)
        assert [row.valid == 1.0 for row in rows] == flat(told, "valid")[: len(rows)]
        _check_episodes(rows, told, late)


def _check_episodes(rows: Any, told: list[Told], late: bool) -> None:
    end = 0
    for one in told:
        begin, end = end, end + len(one.paid)
        if end > len(rows):
            return
        running = np.cumsum(one.paid)
        got = [row.return_dense for row in rows[begin:end]]
        np.testing.assert_allclose(got, running, rtol=0, atol=1e-11)
        if late:
            np.testing.assert_allclose(rows[end - 1].credits, one.worth, rtol=0, atol=TOLERANCE)
            assert all(row.credits is None for row in rows[begin : end - 1])


# Rollouts are cut shorter than episodes on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:.* paid zeros for a rollout:RuntimeWarning")

LANES = st.lists(scripts(), min_size=1, max_size=3)


@given(st.sampled_from(sorted(HOSTS)), LANES, rewards(*STEP_KINDS, *LATE_KINDS))
def test_every_host_pays_what_the_reference_pays(host, lanes, terms) -> None:
    check_host(host, lanes, terms)


def hosted(lanes: list[tuple[Script, ...]], spec: Any) -> DenseRewardVecEnv:
    worlds = [lambda script=script: Scripted(script) for script in lanes]
    return DenseRewardVecEnv(LaneVecEnv(worlds), spec, task=CARD)


def check_rollouts(
    lanes: list[tuple[Script, ...]], terms: list[dict[str, Any]], rows: int, deferred: bool
) -> None:
    """Rollouts of ``rows`` steps: dense rewards, sums, returns of ended episodes."""
    env = PayMonitor(hosted(lanes, spec_of(terms, **({"deferred": True} if deferred else {}))))
    engine = env.venv.engine
    engine.collect()
    books = RolloutBooks(engine, rows, gamma=0.99, normalize=False)
    env.reset()
    got: list[np.ndarray] = []
    episodes: list[list[dict[str, float]]] = [[] for _ in lanes]
    sums = 0.0
    for _ in range(3):
        for row in range(rows):
            _, paid, dones, infos = env.step(np.zeros((len(lanes), 2)))
            books.note(row, paid)
            for lane in np.flatnonzero(dones):
                episodes[lane].append(infos[lane]["episode"])
        books.rewards(np.zeros((rows, len(lanes))))
        got.append(books.dense.copy())
        sums += engine.pop_sums()["reward/dense"]
    _check_rollouts(lanes, terms, rows, np.concatenate(got), episodes)
    if engine.reward.traits.when != "episode":  # else the credits of open episodes are guesses
        total = sum(sum(flat(expected(s, terms, 3 * rows), "worth")[: 3 * rows]) for s in lanes)
        assert sums == pytest.approx(total, abs=1e-9)


def _check_rollouts(
    lanes: list[tuple[Script, ...]],
    terms: list[dict[str, Any]],
    rows: int,
    dense: np.ndarray,
    episodes: list[list[dict[str, float]]],
) -> None:
    for lane, script in enumerate(lanes):
        told = expected(script, terms, 3 * rows)
        end = 0
        for k, one in enumerate(told):
            begin, end = end, end + len(one.paid)
            if end > 3 * rows:
                break
            assert episodes[lane][k]["r"] == pytest.approx(sum(one.worth), abs=1e-9)
            # A row is learned from in its own rollout; only an episode that ended there is known.
            known = range(max(begin, (end - 1) // rows * rows), end)
            for row in known:
                assert dense[row, lane] == pytest.approx(one.worth[row - begin], abs=TOLERANCE)


@given(LANES, rewards(*STEP_KINDS, *LATE_KINDS), st.integers(1, 6))
def test_rollouts_are_worth_what_the_reference_says(lanes, terms, rows) -> None:
    check_rollouts(lanes, terms, rows, deferred=False)


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("kind", ["spread", "count"])
def test_long_training_keeps_no_more_rows_than_it_needs(kind: str, deferred: bool) -> None:
    """Rows are let go of after 256 ticks; what is paid and reported stays right."""
    if kind == "spread" and deferred:
        pytest.skip("whole episodes are not deferred")
    state = (0.5, -0.25, 0.125)
    lanes = [
        (Script(state, tuple((state, 0.25 * t, t == last, False) for t in range(last + 1))),)
        for last in (4, 6)
    ]
    check_rollouts(lanes, [{"kind": "env"}, {"kind": kind}], 300, deferred)
    env = PayMonitor(hosted(lanes, spec_of([{"kind": kind}])))
    engine = env.venv.engine
    engine.collect()
    books = RolloutBooks(engine, 20, gamma=0.99, normalize=False)
    env.reset()
    for tick in range(2000):
        books.note(tick % 20, env.step(np.zeros((2, 2)))[1])
        if tick % 20 == 19:
            books.rewards(np.zeros((20, 2)))
    assert len(engine.pay.rows(np.arange(1980, 2000))[0]) == 20
    assert engine.pay.kept <= 512


@given(LANES, rewards(*STEP_KINDS), st.integers(1, 6))
def test_deferred_rollouts_are_worth_what_the_reference_says(lanes, terms, rows) -> None:
    check_rollouts(lanes, terms, rows, deferred=True)


def check_replay(
    lanes: list[tuple[Script, ...]], terms: list[dict[str, Any]], size: int, way: str
) -> None:
    env = hosted(lanes, spec_of(terms, **({"deferred": True} if way == "deferred" else {})))
    env.engine.collect()
    kept = ReplayBuffer(size * len(lanes), SPACE, ACTIONS, n_envs=len(lanes))
    buffer = committing(kept, env.engine) if way == "commit" else late_paid(kept, env.engine)
    obs = env.reset()
    stored: list[list[float]] = [[] for _ in lanes]
    for _ in range(STEPS):
        actions = np.zeros((len(lanes), 2))
        new, paid, dones, infos = env.step(actions)
        after = new.copy()
        for lane in np.flatnonzero(dones):
            after[lane] = infos[lane]["terminal_observation"]
        buffer.add(obs, after, actions, paid, dones, infos)
        obs = new
        if way == "commit" and dones.any():
            for lane in np.flatnonzero(dones):
                stored[lane].append(0.0)
    if way == "commit":
        _check_committed(lanes, terms, buffer)
        return
    buffer.settle()
    for lane, script in enumerate(lanes):
        worth = flat(expected(script, terms, STEPS), "worth")
        for tick in range(max(STEPS - buffer.buffer_size, 0), STEPS):
            row = tick % buffer.buffer_size
            if buffer.ready[row, lane]:
                assert buffer.rewards[row, lane] == np.float32(worth[tick]), (lane, tick)
        ended = sum(len(s.steps) for s in script) <= STEPS
        if ended and buffer.buffer_size >= STEPS:
            assert buffer.ready[:STEPS, lane].any()


def _check_committed(
    lanes: list[tuple[Script, ...]], terms: list[dict[str, Any]], buffer: Any
) -> None:
    """Whole episodes lie one after the other, in the order in which they ended."""
    events = []
    for lane, script in enumerate(lanes):
        tick = -1
        for one in expected(script, terms, STEPS):
            tick += len(one.paid)
            if tick < STEPS:
                events.append((tick, lane, one.worth))
    rewards_ = [value for _, _, worth in sorted(events, key=lambda e: e[:2]) for value in worth]
    got = buffer.rewards[: buffer.pos, 0] if not buffer.full else None
    if got is not None:
        assert got.tolist() == [np.float32(value) for value in rewards_]


@given(LANES, rewards(*STEP_KINDS, *LATE_KINDS), st.sampled_from([5, 16, 40]))
def test_replay_buffers_hold_what_the_reference_says(lanes, terms, size) -> None:
    late = any(one["kind"] in LATE_KINDS for one in terms)
    check_replay(lanes, terms, size, "patch" if late else "deferred")
    if late:
        check_replay(lanes, terms, 40, "commit")


@given(rewards(*LATE_KINDS), st.lists(OBS, min_size=1, max_size=5))
def test_predictions_are_the_credits_of_single_transitions(terms, states) -> None:
    terms = [{**one, "kind": "linear"} for one in terms]
    env = hosted(
        [(Script((0.0, 0.0, 0.0), (((0.0, 0.0, 0.0), 0.0, True, False),)),)], spec_of(terms)
    )
    reward = env.engine.reward
    assert reward.traits.markov
    after = np.array(states)
    got = reward.predict(np.zeros_like(after), np.zeros((len(after), 2)), after)
    for row, state in enumerate(states):
        want = sum(Payer._bounded(one, 2.0 * state[0]) for one in terms)
        assert got[row] == pytest.approx(want, abs=TOLERANCE)


@pytest.mark.slow
@settings(max_examples=2000)
@given(
    st.sampled_from(sorted(HOSTS)),
    LANES,
    rewards(*STEP_KINDS, *LATE_KINDS),
    st.integers(1, 6),
    st.sampled_from([5, 16, 40]),
)
def test_two_thousand_rewards_under_every_host(host, lanes, terms, rows, size) -> None:
    check_host(host, lanes, terms)
    check_rollouts(lanes, terms, rows, deferred=False)
    late = any(one["kind"] in LATE_KINDS for one in terms)
    if not late:
        check_rollouts(lanes, terms, rows, deferred=True)
    check_replay(lanes, terms, size, "patch" if late else "deferred")


def test_a_world_pays_on_where_another_term_abstains() -> None:
    """The world's reward must not vanish where a potential has nothing to say."""
    steps = tuple(((0.0, 0.0, 0.0), 1.0, False, t == 5) for t in range(6))
    lanes = [(Script((0.0, 0.0, 0.0), steps),)]
    check_host("single", lanes, [{"kind": "env"}, {"kind": "height abstaining", "gamma": 0.99}])


def test_gym_is_what_is_scripted() -> None:
    assert isinstance(Scripted((Script((0, 0, 0), (((0, 0, 0), 0.0, True, False),)),)), gym.Env)
