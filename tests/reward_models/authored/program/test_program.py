"""Programs in the engine: the allow-list, memory per lane, the contract's limits and counts."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.envs.tasks import task_card
from densegym.errors import RewardError
from densegym.reward_models.authored.programs import shipped
from densegym.reward_models.authored.programs.program import (
    build_program,
    plain_header,
    read_header,
)
from densegym.reward_models.checks import check_reward_model
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.features import blank_steps, reader
from tests.toys import ACTIONS, CARD, SPACE

LANES = 4
REMEMBERS = """
MEMORY = 2
def compute_reward(height, memory):
    count = memory[:, 0] + 1.0
    best = np.maximum(memory[:, 1], height)
    return count + best, {"count": count, "best": best}, np.stack([count, best], axis=1)
"""
LOGARITHM = """
import numpy as np
def compute_reward(height):
    near = np.log(height)
    return near, {"near": near}
"""


def program(source: str):
    return build_program(plain_header(source, CARD.id, "authored/toy"), CARD)


def states(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.normal(size=(rows, 3))


def begin(engine: RewardEngine, slot, obs) -> None:
    engine.begin(np.array(slot), obs, [{}] * len(slot))


def advance(engine: RewardEngine, slot, obs):
    rows = len(slot)
    return engine.advance(
        slot=np.array(slot),
        action=np.zeros((rows, 2)),
        next_obs=obs,
        env_reward=np.zeros(rows),
        terminated=np.zeros(rows, bool),
        truncated=np.zeros(rows, bool),
        info=[{"told": 0.0}] * rows,
    )


EVENTS = st.lists(
    st.tuples(st.sampled_from(["begin", "step"]), st.permutations(range(LANES)), st.integers(1, 4)),
    max_size=25,
)


@given(events=EVENTS, seed=st.integers(0, 2**16))
def test_memory_belongs_to_a_lane_and_ends_with_its_episode(events, seed):
    rng = np.random.default_rng(seed)
    engine = RewardEngine(program(REMEMBERS), LANES)
    begin(engine, range(LANES), states(rng, LANES))
    known = dict.fromkeys(range(LANES), (0.0, 0.0))
    for kind, order, count in events:
        slot = order[:count]
        obs = states(rng, count)
        if kind == "begin":
            begin(engine, slot, obs)
            known |= dict.fromkeys(slot, (0.0, 0.0))
            continue
        paid = advance(engine, slot, obs).reward
        for row, lane in enumerate(slot):
            counted, best = known[lane]
            known[lane] = (counted + 1, max(best, obs[row, 2]))
            assert paid[row] == sum(known[lane])


@given(seed=st.integers(0, 2**16), before=st.integers(0, 6))
def test_memory_and_counts_survive_a_checkpoint(seed, before):
    rng = np.random.default_rng(seed)
    first = program(REMEMBERS)
    engine = RewardEngine(first, LANES)
    begin(engine, range(LANES), states(rng, LANES))
    for _ in range(before):
        advance(engine, range(LANES), 2e4 + np.abs(states(rng, LANES)))
    second = program(REMEMBERS)
    state = first.state_dict()
    kept = copy.deepcopy(state)
    second.load_state_dict(state)
    assert (second.clipped, second.non_finite) == (first.clipped, first.non_finite)
    assert first.clipped > 0 or before == 0
    steps = blank_steps(CARD, LANES)
    ours, theirs = first.score(steps), second.score(steps)
    np.testing.assert_array_equal(ours.reward, theirs.reward)
    np.testing.assert_array_equal(first.state_dict()["memory"], second.state_dict()["memory"])
    np.testing.assert_array_equal(state["memory"], kept["memory"])


def test_a_program_with_memory_keeps_the_contract_of_reward_models():
    for source in (REMEMBERS, LOGARITHM):
        check_reward_model(lambda source=source: program(source), SPACE, ACTIONS)


def test_rows_without_a_finite_total_pay_the_fallback_and_are_counted():
    model = program(LOGARITHM)
    engine = RewardEngine(model, LANES)
    begin(engine, range(LANES), np.zeros((LANES, 3)))
    obs = np.array([[0, 0, 1.0], [0, 0, 0.0], [0, 0, -1.0], [0, 0, np.e]])
    told = dict(zip(*advance(engine, range(LANES), obs)[1:3], strict=True))
    np.testing.assert_allclose(told["reward/dense"], [0, 0, 0, 1])
    np.testing.assert_array_equal(told["reward/valid"], [1, 0, 0, 1])
    np.testing.assert_allclose(told["reward/part/near"], [0, 0, 0, 1])
    assert (model.non_finite, model.clipped, engine.usage.abstentions) == (2, 0, 2)


@pytest.mark.parametrize("rows", [4, 100])
def test_totals_are_clipped_and_counted(rows):
    model = program(
        "def compute_reward(height):\n    far = 1e4 * height\n    return far, {'far': far}"
    )
    engine = RewardEngine(model, rows)
    begin(engine, range(rows), np.zeros((rows, 3)))
    obs = np.zeros((rows, 3))
    obs[:4, 2] = [0.5, 1.0, 2.0, -3.0]
    np.testing.assert_array_equal(
        advance(engine, range(rows), obs).reward[:4], [5e3, 1e4, 1e4, -1e4]
    )
    assert (model.clipped, model.non_finite, engine.usage.abstentions) == (2, 0, 0)


def test_a_potential_abstains_where_it_is_not_finite():
    model = program("def potential(height):\n    return np.log(height)")
    steps = blank_steps(CARD, 3)
    steps.next_obs[:, 2] = [np.e, -1.0, 1.0]
    phi, valid, _ = model.value(steps)
    np.testing.assert_allclose(phi, [1, 0, 0])
    np.testing.assert_array_equal(valid, [True, False, True])
    assert model.non_finite == 1


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import os\ndef compute_reward(height):\n    return height, {}", "static_reject"),
        ("def compute_reward(height:\n    return", "parse_error"),
        ("def compute_reward(heihgt):\n    return heihgt, {}", "heihgt"),
        ("def factors(height):\n    return {'height': height}", "credit/lare"),
        ("def compute_reward(height):\n    return height", "return \\(total, {term: value}\\)"),
        ("def compute_reward(height):\n    return height.sum(), {}", "total has shape \\(\\)"),
        (
            "def compute_reward(height):\n    return height, {'h': height[:1]}",
            "h has shape \\(1,\\)",
        ),
        (
            "MEMORY = 2\ndef compute_reward(height, memory):\n"
            "    return height, {'height': height}, memory[:, :1]",
            "new_memory has shape \\(2, 1\\)",
        ),
        (
            "MEMORY = 2\ndef compute_reward(height, memory):\n    return height, {}",
            "tuple of 2",
        ),
    ],
)
def test_broken_programs_are_refused_with_a_reason(source, says):
    with pytest.raises(RewardError, match=says):
        program(source)


def test_a_failing_program_names_its_line():
    with pytest.raises(RewardError, match=r"authored/toy failed at line 3: ValueError"):
        program("def compute_reward(position, push):\n\n    return position + push, {}")


def test_programs_may_write_into_their_inputs():
    model = program(
        "def compute_reward(height):\n    height[:] = height + 1.0\n"
        "    return height, {'h': height}"
    )
    steps = blank_steps(CARD, 2)
    assert model.score(steps).reward.tolist() == [1.0, 1.0]
    assert not steps.next_obs.any()


@pytest.mark.parametrize("header", shipped.headers(), ids=lambda header: header.name)
def test_shipped_programs_pay_what_their_text_says(header):
    pytest.importorskip("metaworld")
    card = task_card(header.task)
    rng = np.random.default_rng(0)
    steps = blank_steps(card, 64)
    obs, action = steps.obs, steps.action
    if any(item.source == "info" for item in card.features):
        pytest.skip("tests/envs/shop/test_rewards.py holds programs that read info to their word")
    if isinstance(obs, dict):
        pytest.skip("no shipped program reads a Dict observation")
    steps = steps._replace(
        obs=rng.normal(size=obs.shape),
        next_obs=rng.normal(size=obs.shape),
        action=rng.normal(size=action.shape),
        terminated=rng.random(64) < 0.5,
    )
    namespace: dict = {}
    exec(header.source, namespace)
    model = build_program(header, card)
    function = namespace["compute_reward"]
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    total, parts = function(*(reader(card, name)(steps) for name in names))
    scores = model.score(steps)
    np.testing.assert_array_equal(scores.reward, total)
    assert {name: part.tolist() for name, part in scores.parts.items()} == {
        name: np.asarray(part, float).tolist() for name, part in parts.items()
    }


def test_headers_are_required_of_shipped_files_only():
    with pytest.raises(RewardError, match="must start with a block"):
        read_header(LOGARITHM, "log.py")
    assert plain_header(LOGARITHM, "Toy/Wander-v0", "authored/log").task == "Toy/Wander-v0"
