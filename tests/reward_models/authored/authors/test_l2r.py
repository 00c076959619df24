"""Language to Rewards: forms without open slots, data in, bounded numbers out."""

from __future__ import annotations

import json
import math
import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym import assets
from densegym.envs.tasks import worlds
from densegym.errors import RewardError
from densegym.reward_models.authored.authors.l2r import L2R
from densegym.reward_models.authored.programs.cost_terms import (
    MAX_WEIGHT,
    Chosen,
    CostTerm,
    choose,
    load_library,
    print_program,
)
from densegym.reward_models.authored.programs.program import build_program, plain_header
from densegym.reward_models.authored.programs.runner import open_runner
from densegym.reward_models.authored.screening.bank import Bank, Trajectory
from densegym.reward_models.features import blank_steps, feature_names
from densegym.reward_models.sandbox.allowlist import inspect_source
from densegym.reward_models.sandbox.status import Status
from tests.reward_models.authored.scripted_context import make_bank, scripted

CARDS = {world.card.id: world.card for world in worlds()}
CARD = CARDS["DenseGym/ButtonPress-v0"]
FORM = "start of description\nThe hand should be at the object.\nend of description"
OPEN = "start of description\nBe {CHOICE: [at, off]} it by [NUM: 0.1] m.\nend of description"
CODED = json.dumps(
    {"hand_to_object": {"weight": 2, "target": 0}, "object_to_goal_y": {"weight": "3.5"}}
)


@pytest.fixture(scope="module")
def bank():
    rng = np.random.default_rng(0)
    shapes = {item.name: item.shape for item in CARD.features}
    rows = {name: rng.normal(size=(60, *shape)) for name, shape in shapes.items()}
    twins = {f"prev_{name}": rows[name] - 0.01 for name in rows if name != "action"}
    features = rows | twins | {"terminated": np.zeros(60, bool)}
    item = Trajectory(features=features, source="random", success=False, fitness=0.0)
    return Bank(task=CARD.id, gamma=0.99, trajectories=(item,))


def propose(replies, bank, worker, **changes):
    context = scripted(replies, bank, worker=worker, card=CARD, **changes)
    L2R().propose(context)
    return context


def test_a_form_and_its_settings_become_a_program(bank, worker):
    context = propose([FORM, CODED], bank, worker)
    (row,) = context.trained
    assert [item["temperature"] for item in context.asked] == [0.3, 0.3]
    assert len(context.asked[1]["messages"]) == 1  # the coder sees no history
    features = bank.stacked()
    inspection = inspect_source(row.source, known=feature_names(CARD))
    with open_runner(inspection, isolated=False) as runner:
        scored = runner(features)
    gap = features["hand_position"] - features["object_position"]
    reach = 2.0 * (np.sqrt(np.square(gap).sum(axis=1) + 0.02**2) - 0.02)
    along = features["object_position"][:, 1] - features["goal_position"][:, 1]
    press = 3.5 * (np.sqrt(np.square(along) + 0.02**2) - 0.02)
    effort = 0.001 * 0.5 * np.square(features["action"]).sum(axis=1)
    assert scored.parts["hand_to_object"] == pytest.approx(-reach)
    assert scored.parts["object_to_goal_y"] == pytest.approx(-press)
    assert scored.parts["effort"] == pytest.approx(-effort)
    assert scored.total == pytest.approx(-(reach + press + effort))


def test_a_form_with_open_slots_is_asked_for_again(bank, worker):
    context = propose([OPEN, "NUM is fine", FORM, CODED], bank, worker)
    assert len(context.trained) == 1
    assert [item["purpose"] for item in context.asked] == [
        "descriptor",
        "repair",
        "repair",
        "coder",
    ]
    last = context.asked[2]["text"]
    assert "NUM is fine" in last
    assert "Be {CHOICE: [at, off]} it" not in last  # only the newest faulty answer stays
    assert context.asked[3]["text"].count("The hand should be at the object.") == 1


def test_slots_that_stay_open_train_nothing(bank, worker):
    context = propose([OPEN] * 4, bank, worker)
    assert context.trained == []
    assert len(context.submitted) == 1


def test_a_reply_that_is_a_program_is_never_run(bank, worker):
    program = (
        "def compute_reward(gripper_opening):\n    return gripper_opening, {'g': gripper_opening}"
    )
    context = propose([FORM, *[program] * 4], bank, worker)
    assert context.trained == []


@pytest.mark.parametrize(
    ("settings", "weight", "target"),
    [
        ({"weight": 1e308, "target": 1e308}, MAX_WEIGHT, 0.3),
        ({"weight": "nan", "target": "inf"}, 0.5, 0.0),
        ({"weight": "1; import os", "target": [1]}, 0.5, 0.0),
        ({"weight": 10**400, "target": -(10**400)}, 0.5, 0.0),
        ({"weight": None}, 0.5, 0.0),
        ({"weight": "2.5", "target": -9}, 2.5, -0.3),
        (7, 0.5, 0.0),
    ],
)
def test_hostile_numbers_are_bounded(settings, weight, target):
    library = load_library(CARD)
    chosen = choose(library, {"hand_above_object": settings, "no_such_term": {"weight": 5}})
    assert [item.term.name for item in chosen] == ["hand_above_object", "effort"]
    assert (chosen[0].weight, chosen[0].target) == (weight, target)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=4,
)
NAMES = st.sampled_from(sorted(load_library(CARD).terms))
SETTINGS = st.dictionaries(st.sampled_from(["weight", "target"]), JSON) | JSON


@given(st.dictionaries(NAMES | st.text(max_size=8), SETTINGS, max_size=5))
def test_whatever_the_reply_says_the_program_is_admitted(reply):
    chosen = choose(load_library(CARD), reply)
    for item in chosen:
        assert 0.0 < item.weight <= MAX_WEIGHT
        assert item.term.target is None or item.term.low <= item.target <= item.term.high
    if chosen:
        inspection = inspect_source(print_program(chosen, "any"), known=feature_names(CARD))
        assert inspection.status is Status.OK, inspection.feedback


@given(st.text())
def test_a_description_can_hold_nothing_but_a_comment(text):
    term = load_library(CARD).terms["effort"]
    plain = inspect_source(print_program([Chosen(term, 1.0, 0.0)], ""), known=feature_names(CARD))
    told = inspect_source(print_program([Chosen(term, 1.0, 0.0)], text), known=feature_names(CARD))
    assert told.status is Status.OK
    assert told.ast_hash == plain.ast_hash


def test_equal_weights_are_the_control(bank, worker):
    context = propose([FORM, CODED], bank, worker, weights="equal")
    source = context.trained[0].source
    for term in ("hand_to_object", "object_to_goal_y", "effort"):
        assert f"{term}_cost = 1 * " in source
    with pytest.raises(RewardError, match="equal"):
        propose([], bank, worker, weights="same")


def test_a_weight_of_zero_drops_a_term_and_nothing_but_defaults_is_nothing():
    library = load_library(CARD)
    both = {"hand_to_object": {"weight": 1}, "effort": {"weight": 0}}
    assert [item.term.name for item in choose(library, both)] == ["hand_to_object"]
    assert choose(library, {"hand_to_object": {"weight": -1}}) == []
    assert choose(library, {}) == []


def test_of_contradictory_terms_the_heavier_is_kept():
    library = load_library(CARDS["DenseGym/HopperForward-v0"])
    reply = {"pitch": {"weight": 0.1}, "pitch_rate": {"weight": 0.4, "target": 5}}
    assert [item.term.name for item in choose(library, reply)] == ["pitch_rate", "effort"]


@pytest.mark.parametrize("vector", [False, True])
@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        ("quadratic", lambda x: 0.5 * x @ x),
        ("l2", lambda x: math.sqrt(x @ x + 0.09) - 0.3),
        ("smooth-abs", lambda x: sum(math.sqrt(v * v + 0.09) - 0.3 for v in x)),
    ],
)
def test_norms_equal_their_formulas(norm, expected, vector):
    values = np.random.default_rng(1).normal(size=(6, 2) if vector else (6,))
    term = CostTerm(
        name="t", meaning="", residual="x", norm=norm, p=0.3, weight=1.0, vector=vector, target=0.0
    )
    cost = eval(term.cost(0.5), {"np": np, "x": values})
    assert cost == pytest.approx([expected(np.atleast_1d(row) - 0.5) for row in values])


@pytest.mark.parametrize("task", sorted(k for k, card in CARDS.items() if card.family != ""))
def test_every_library_fits_its_tasks(task):
    card = CARDS[task]
    if card.family not in assets.names("l2r", ".toml"):
        with pytest.raises(RewardError, match="Choose another author"):
            load_library(card)
        return
    library = load_library(card)
    assert len(library.terms) >= 4
    assert {"[NUM", "{CHOICE"} <= {word.split(":")[0] for word in library.form.split()}
    every = [Chosen(term, term.weight, term.target or 0.0) for term in library.terms.values()]
    model = build_program(plain_header(print_program(every, ""), task, "toy/all-v1"), card)
    scores = model.score(blank_steps(card, rows=3))
    assert np.isfinite(scores.reward).all()
    assert set(model.traits.terms) == set(library.terms)


@pytest.mark.parametrize("family", assets.names("l2r", ".toml"))
def test_no_term_of_a_library_is_beyond_every_task(family):
    entries = tomllib.loads(assets.text(f"l2r/{family}.toml"))["term"]
    told = {entry["residual"] for entry in entries}
    cards = [card for card in CARDS.values() if card.family == family]
    used = {term.residual for card in cards for term in load_library(card).terms.values()}
    assert used == told


def test_the_next_iteration_sees_the_last_description(bank, worker):
    first = propose([FORM, CODED], bank, worker)
    rung = {"F_mean": 0.2, "F_std": 0.1, "success": 0.2, "length": 30.0, "training_success": 0.1}
    rung |= {"episodes": 20, "env_steps": 1000, "fraction": 1.0, "seed": 1}
    winner = first.trained[0].with_(rungs=(rung,))
    context = propose([FORM, CODED], bank, worker, rows=[winner])
    roles = [turn["role"] for turn in context.asked[0]["messages"]]
    assert roles == ["user", "assistant", "user"]
    assert "The hand should be at the object." in context.asked[0]["messages"][1]["content"]
    assert context.trained[0].parents == (winner.id,)


def test_the_same_replies_leave_the_same_programs(bank, worker):
    sources = [propose([FORM, CODED], bank, worker).trained[0].source for _ in range(2)]
    assert sources[0] == sources[1]


def test_a_family_without_a_library_is_refused(worker):
    context = scripted([], make_bank(), worker=worker)
    with pytest.raises(RewardError, match="metaworld"):
        L2R().propose(context)
