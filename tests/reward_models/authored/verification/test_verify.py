"""Verification: every status it can give, the facts it measures, its JSON, its speed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from densegym.envs.tasks import task_card
from densegym.errors import RewardError
from densegym.reward_models.authored.programs import shipped
from densegym.reward_models.authored.programs.runner import Scored
from densegym.reward_models.authored.search.judge import bank_samples
from densegym.reward_models.authored.verification import behaviour
from densegym.reward_models.authored.verification.trial import make_trial
from densegym.reward_models.authored.verification.verify import verify
from densegym.reward_models.features import feature_names
from densegym.reward_models.sandbox.process import Worker
from densegym.reward_models.sandbox.status import Status
from tests.toys import CARD

GOOD = """
def compute_reward(position, height, push, terminated):
    near = np.exp(-np.linalg.norm(position, axis=1))
    high = 0.5 * np.tanh(height)
    effort = -0.1 * np.square(push).sum(axis=1)
    return near + high + effort - terminated, {
        "near": near, "high": high, "effort": effort, "end": -1.0 * terminated,
    }
"""
POTENTIAL = "def potential(position):\n    return -np.linalg.norm(position, axis=1)"
REMEMBERS = """
MEMORY = 1
def compute_reward(height, memory):
    best = np.maximum(memory[:, 0], height)
    gain = best - memory[:, 0]
    return gain, {"gain": gain}, np.stack([best], axis=1)
"""
FACTORS = "def factors(height, told):\n    return {'height': height, 'told': np.tanh(told)}"


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    obs = rng.normal(size=(601, 3))
    return {
        "position": obs[1:],
        "prev_position": obs[:-1],
        "height": np.abs(obs[1:, 2]) + 0.5,
        "prev_height": np.abs(obs[:-1, 2]) + 0.5,
        "push": rng.uniform(-1, 1, size=(600, 2)),
        "told": rng.normal(size=600),
        "terminated": rng.random(600) < 0.01,
    }


def reward(line: str, parameters: str = "height") -> str:
    return f"def compute_reward({parameters}):\n    r = {line}\n    return r, {{'r': r}}"


@pytest.mark.parametrize("source", [GOOD, POTENTIAL, REMEMBERS, FACTORS])
def test_sound_programs_pass(source, worker, samples):
    for given in (None, samples):
        verdict = verify(source, CARD, samples=given, worker=worker)
        assert (verdict.status, verdict.feedback) == (Status.OK, "")
        assert verdict.isolation.startswith("ast+process")
        assert verdict.dynamic["rows"] >= 1024 + (600 if given else 0)
        assert verdict.dynamic["dead"] == []
        assert verdict.static["nodes"] > 0


@pytest.mark.parametrize(
    ("source", "status", "says"),
    [
        ("def compute_reward(height:", Status.PARSE_ERROR, ""),
        ("import os\n" + GOOD, Status.STATIC_REJECT, ""),
        (reward("speed", "speed"), Status.STATIC_REJECT, "speed"),
        (reward("position + push", "position, push"), Status.RUNTIME_ERROR, "2"),
        ("def compute_reward(height):\n    height[0] = 1.0\n    return height, {'r': height}",
         Status.RUNTIME_ERROR, ""),
        (reward("height.sum()"), Status.BAD_SHAPE, "axis=1"),
        (reward("position", "position"), Status.BAD_SHAPE, "total"),
        (reward("height - height.mean()"), Status.BAD_SHAPE, "axis=1"),
        (reward("height + np.arange(len(height))"), Status.BAD_SHAPE, "order of the rows"),
        (reward("np.log(height - 0.6)"), Status.NON_FINITE, "height = 0."),
        (reward("1.0 / (height * 0.0)"), Status.NON_FINITE, "of 600 steps"),
        (reward("0.0 * height + 3.0"), Status.CONSTANT, "3 on every"),
        (reward("1.0 * (height > 4.5)"), Status.CONSTANT, "0 on every"),
        ("def potential(height):\n    return 0.0 * height", Status.CONSTANT, "potential"),
        (
            "MEMORY = 1\ndef compute_reward(height, memory):\n"
            "    m = 4.0 * memory + 1.0 + height.reshape(-1, 1)\n    r = np.tanh(m[:, 0])\n"
            "    return r, {'r': r}, m",
            Status.UNSTABLE,
            "memory",
        ),
        ("def factors(height):\n    return {'a': height, 'flat': 0.0 * height}",
         Status.CONSTANT, '"flat"'),
        ("def factors(height):\n    return {'a': height, 'b': 1.0 - 2.0 * height}",
         Status.CONSTANT, '"a" and "b"'),
        ("def factors(height):\n    return {'a': height, 'log': np.log(height - 0.6)}",
         Status.NON_FINITE, '"log"'),
        ("def factors(height):\n    return {'a': height, 'steep': np.exp(8.0 * height)}",
         Status.UNSTABLE, '"steep"'),
    ],
)  # fmt: skip
def test_every_fault_has_its_status_and_a_reason(source, status, says, worker, samples):
    verdict = verify(source, CARD, samples=samples, worker=worker)
    assert verdict.status is status, verdict.feedback
    assert verdict.feedback
    assert says in verdict.feedback
    assert "/" not in verdict.feedback.replace("1.0 /", "")  # no paths
    json.dumps(verdict.as_dict(), allow_nan=False)


def test_endless_and_greedy_programs_leave_a_usable_worker(samples):
    cube = "(height[:, None, None] * height[:, None] * height)"  # rows cubed
    loop = (
        "def compute_reward(height):\n    r = height\n    for i in range(200):\n"
        "        r = r + 0.0 * np.sin(height[:, None] * height)[:, 0]\n    return r, {'r': r}"
    )
    greedy = reward(f"height + {cube}[:, 0, 0]")
    with Worker(timeout_s=1.0) as worker:
        assert verify(loop, CARD, worker=worker).status is Status.TIMEOUT
        assert verify(greedy, CARD, worker=worker).status is Status.OOM
        assert verify(GOOD, CARD, worker=worker).status is Status.OK
    assert verify(loop, CARD, runner_timeout_s=0.5).status is Status.TIMEOUT


class Restless:
    """A runner that drifts between equal calls; no program that passes the allow-list can."""

    kind, parameters, memory, isolation = "compute_reward", ("height",), 0, "ast"
    calls = 0

    def __call__(self, features, memory=None):
        self.calls += 1
        total = features["height"] + 1e-12 * self.calls
        return Scored(total, {"r": total})


def test_equal_calls_must_agree_exactly():
    fault = behaviour.find_inconsistency(Restless(), make_trial(CARD, ("height",), None), None)
    assert fault is not None
    assert fault.status is Status.UNSTABLE


def test_facts_are_those_of_the_real_steps(worker, samples):
    source = (
        "def compute_reward(height, told):\n    a = 100.0 * height\n    b = 0.1 * told\n"
        "    c = 0.0 * told\n    return 2.0 * a, {'a': a, 'b': b, 'c': c}"
    )
    facts = verify(source, CARD, samples=samples, worker=worker).dynamic
    total = 200.0 * samples["height"]
    expected = [total.std(), total.min(), total.max()]
    np.testing.assert_allclose([facts["std"], facts["min"], facts["max"]], expected, rtol=1e-5)
    term = facts["terms"]["b"]
    np.testing.assert_allclose(
        [term["mean"], term["std"]],
        [0.1 * samples["told"].mean(), 0.1 * samples["told"].std()],
        rtol=1e-4,
    )
    assert facts["non_additive"]
    assert facts["dead"] == ["c"]
    assert facts["dominance"] == facts["terms"]["a"]["share"] > 0.99
    told = " ".join(facts["warnings"])
    assert "never change: c" in told
    assert '"a" drowns' in told
    assert "do not sum" in told


def test_clipping_is_counted(worker, samples):
    facts = verify(reward("1e4 * height"), CARD, samples=samples, worker=worker).dynamic
    assert facts["clip_count"] == (samples["height"] > 1.0).sum()
    assert not facts["non_additive"]


def test_faults_on_made_up_rows_only_warn(worker, samples):
    source = reward("np.log(height)")  # real heights exceed 0.5
    for given in (samples, None):
        verdict = verify(source, CARD, samples=given, worker=worker)
        assert verdict.status is Status.OK
        assert "is not finite" in verdict.dynamic["warnings"][0]
    zeros = verify(reward("1.0 / height"), CARD, samples=samples, worker=worker).dynamic
    assert zeros["warnings"][0] == "the total is not finite on 16 made-up rows of 1624"
    rare = verify(reward("1.0 * (height > 50.0)"), CARD, worker=worker)
    assert rare.status is Status.OK


def test_memory_must_stay_bounded_over_an_episode(worker, samples):
    grows = """
MEMORY = 1
def compute_reward(height, memory):
    new = 4.0 * memory + 1.0
    return np.tanh(height), {"high": np.tanh(height)}, new
"""
    rooted = "0.5 * memory + np.sqrt(height).reshape(-1, 1)"  # made-up heights are negative
    impossible = grows.replace("4.0 * memory + 1.0", rooted)
    for given in (None, samples):
        assert verify(grows, CARD, samples=given, worker=worker).status is Status.UNSTABLE
        assert verify(impossible, CARD, samples=given, worker=worker).status is Status.OK


def test_memory_is_tried_over_steps(worker, samples):
    source = """
MEMORY = 1
def compute_reward(height, memory):
    late = 1.0 * (memory[:, 0] > 20.0) * height
    return late, {"late": late}, memory + 1.0
"""
    assert verify(source, CARD, samples=samples, worker=worker).status is Status.OK


def test_verdicts_are_json_without_nan(worker):
    source = (
        "def compute_reward(height):\n    r = height\n"
        "    return r, {'r': r, 'never': np.sqrt(-1.0 - np.square(height))}"
    )
    verdict = verify(source, CARD, worker=worker)
    assert verdict.status is Status.NON_FINITE
    told = verdict.as_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["dynamic"]["terms"]["never"]["mean"] is None
    assert told["status"] == "non_finite"


def test_layout_does_not_change_the_hash(worker):
    one = verify(GOOD, CARD, worker=worker)
    other = verify("# a remark\n" + GOOD.replace("0.5 *", "0.5  *"), CARD, worker=worker)
    assert one.ast_hash == other.ast_hash != verify(POTENTIAL, CARD, worker=worker).ast_hash


def test_samples_must_fit_the_card(worker, samples):
    with pytest.raises(RewardError, match='lack the feature "height"'):
        verify(GOOD, CARD, samples={"position": samples["position"]}, worker=worker)
    wrong = samples | {"height": samples["position"]}
    with pytest.raises(RewardError, match="shape"):
        verify(GOOD, CARD, samples=wrong, worker=worker)


def test_verifications_run_side_by_side(samples):
    with ThreadPoolExecutor(3) as pool:
        verdicts = list(pool.map(lambda source: verify(source, CARD), [GOOD, POTENTIAL] * 3))
    assert [verdict.status for verdict in verdicts] == [Status.OK] * 6
    plain = [
        {
            k: v
            for k, v in verdict.dynamic.items()
            if k not in ("ms", "us_per_transition", "step_ms")
        }
        for verdict in verdicts
    ]
    assert plain[0] == plain[2] == plain[4]


@pytest.mark.parametrize("header", shipped.headers(), ids=lambda header: header.name)
def test_shipped_programs_pass_on_their_card(header, worker):
    pytest.importorskip("metaworld")
    card = task_card(header.task)
    verdict = verify(header.source, card, worker=worker)
    assert verdict.status is Status.OK, verdict.feedback
    assert set(verdict.parameters) <= set(feature_names(card))
    assert not verdict.dynamic["non_additive"]


@pytest.mark.parametrize("name", ["DoorUnlock", "DrawerOpen", "HopperForward"])
def test_winners_of_searches_have_no_dead_term_on_real_steps(name, worker):
    pytest.importorskip("metaworld")
    from densegym.agents.collecting.bank import collect_bank

    card = task_card(f"DenseGym/{name}-v0")
    samples = bank_samples(collect_bank(card.id, episodes=10))
    for header in shipped.headers():
        if header.task == card.id:
            verdict = verify(header.source, card, samples=samples, worker=worker)
            assert verdict.status is Status.OK, verdict.feedback
            assert verdict.dynamic["dead"] == []
