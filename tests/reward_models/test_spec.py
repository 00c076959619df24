import contextlib
import json
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec
from hypothesis import given
from hypothesis import strategies as st

import densegym
from densegym.envs.tasks import task_card
from densegym.errors import RewardError, UnknownNameError
from densegym.reward_models import spec
from densegym.reward_models.registry import find_reward, register_reward, reward_entries
from densegym.reward_models.reward import Reward
from densegym.reward_models.shaping import AdditiveUnsafe, Shaped
from densegym.reward_models.types import TaskCard
from densegym.reward_models.world.rewards import DelayedReward, EnvReward, ExpertReward
from tests.offers import Point
from tests.toys import CARD, Counting, Height, Redistribute

BUTTON = "DenseGym/ButtonPress-v0"
FORMS: list[Any] = [
    None,
    "env",
    "expert",
    "authored",
    "authored/button-press",
    "authored/button-press-v1",
    {"model": "expert", "scale": 0.1, "clip": [-1.0, 1.0]},
    {"model": "delayed", "of": "env"},
    {"model": "authored", "gate": {"model": "expert", "scale": 2.0}, "gate_threshold": 1.0},
    ["env", {"model": "authored", "mode": "add", "scale": 0.5}],
    [["env"], "authored", {"model": "expert", "fallback": "zero", "mode": "add"}],
]


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_every_form_survives_json_in_an_env_spec(form: Any) -> None:
    made = gym.make(BUTTON, reward=form)
    stored = made.spec.to_json()
    again = gym.make(EnvSpec.from_json(stored))
    assert again.spec.to_json() == stored
    made.reset(seed=4)
    again.reset(seed=4)
    for _ in range(5):
        action = made.action_space.sample()
        assert made.step(action)[1] == again.step(action)[1]
    made.close()
    again.close()


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_every_form_survives_the_command_line(form: Any) -> None:
    text = form if isinstance(form, str) else json.dumps(form)
    card = densegym.envs.tasks.task_card(BUTTON)
    if form is not None:
        assert spec.label(spec.from_text(text), task=card) == spec.label(form, task=card)


def test_a_sum_pays_the_sum_of_its_parts() -> None:
    forms = ["env", "expert", ["env", {"model": "expert", "mode": "add"}]]
    worlds = [gym.make(BUTTON, reward=form) for form in forms]
    for world in worlds:
        world.reset(seed=0)
    for _ in range(10):
        action = worlds[0].action_space.sample()
        env, expert, both = (world.step(action)[1] for world in worlds)
        assert both == env + expert


@pytest.mark.parametrize(
    ("form", "error", "says"),
    [
        ("authord", UnknownNameError, 'Did you mean "authored"\\?.*densegym rewards'),
        ("authored/buton-press-v1", UnknownNameError, 'mean "authored/button-press-v1"'),
        ("authored/button-press-v9", UnknownNameError, "button-press"),
        (
            {"model": "expert", "scal": 2},
            UnknownNameError,
            'option of reward "expert" "scal".*scale',
        ),
        ({"scale": 2}, RewardError, 'needs "model"'),
        ({"model": 3}, RewardError, "is a reward name"),
        ({"model": "env", "mode": "replac"}, UnknownNameError, 'mean "replace"'),
        ({"model": "env", "mode": "shape"}, RewardError, "no potential"),
        ({"model": "env", "gamma": 0.9}, RewardError, "belong to potentials"),
        ({"model": "env", "scale": "big"}, RewardError, "scale takes a number; given 'big'"),
        ({"model": "env", "clip": ["a", 1]}, RewardError, "clip takes a number"),
        ({"model": "env", "clip": 3}, RewardError, r"clip takes \[low, high\]"),
        ({"model": "env", "gate_latch": True}, RewardError, 'need a "gate"'),
        ({"model": "env", "gate": "env", "gate_threshold": "x"}, RewardError, "takes a number"),
        ({"model": "env", "fallback": "guess"}, RewardError, "zero, env, last, raise; given 'gue"),
        ({"model": "env", "mode": "add", "fallback": "env"}, RewardError, "the world twice"),
        ({"model": "env", "gate": {"model": "env", "fallback": "zero"}}, RewardError, "its fallba"),
        ({"model": "delayed", "of": "novelty"}, RewardError, 'option "of" of reward "delayed"'),
        ([], RewardError, "empty list"),
        (3.5, RewardError, "given 3.5 of type float"),
    ],
    ids=repr,
)
def test_wrong_specifications_say_what_to_type(form, error, says) -> None:
    with pytest.raises(error, match=says):
        spec.build_engine(form, 1, task=densegym.envs.tasks.task_card(BUTTON))


def test_text_that_looks_like_json_must_be_json() -> None:
    with pytest.raises(RewardError, match="not valid JSON"):
        spec.from_text('{"model": "authored"')


def test_potentials_are_shaped_and_refuse_to_be_added() -> None:
    engine = spec.build_engine(Height(), 1, task=CARD)
    assert isinstance(engine.reward.terms[0].model, Shaped)
    assert engine.reward.adds_world
    for mode in ("add", "replace"):
        with pytest.raises(RewardError, match="farm"):
            spec.build_engine({"model": Height(), "mode": mode}, 1, task=CARD)
    unsafe = spec.build_engine({"model": Height(), "mode": "additive_unsafe"}, 1, task=CARD)
    assert isinstance(unsafe.reward.terms[0].model, AdditiveUnsafe)
    assert unsafe.reward.adds_world


OUTSIDE = [{"mode": "add"}, {"mode": "replace"}, {"hindsight": True}, {"deferred": True}]
OUTSIDE += [{"bootstrap": False}]


@pytest.mark.parametrize("stray", OUTSIDE, ids=repr)
@pytest.mark.parametrize(
    "nest",
    [
        lambda inner: {"model": "env", "gate": inner},
        lambda inner: {"model": "env", "gate": ["env", inner]},
        lambda inner: {"model": "credit/pipeline", "base": inner},
        lambda inner: {
            "model": "credit/channels",
            "channels": [{"reward": "env"}, {"reward": inner}],
        },
    ],
)
def test_how_a_whole_reward_is_paid_means_nothing_inside_another(nest, stray) -> None:
    with pytest.raises(RewardError, match=f"{next(iter(stray))} say how a whole reward is paid"):
        spec.build_engine(nest({"model": "env", **stray}), 1, task=CARD)


def test_a_shaped_reward_inside_another_says_no_more_than_that_it_is_shaped() -> None:
    for stray in (one for one in OUTSIDE if "mode" not in one):
        for mode in ("shape", "additive_unsafe"):
            inner = {"model": Height(), "mode": mode, **stray}
            with pytest.raises(RewardError, match="say how a whole reward is paid"):
                spec.build_engine({"model": "env", "gate": inner}, 1, task=CARD)


def test_a_potential_inside_another_reward_may_say_how_it_is_shaped() -> None:
    for mode, kind in (("shape", Shaped), ("additive_unsafe", AdditiveUnsafe)):
        inner = {"model": Height(), "mode": mode}
        assert isinstance(spec.build_reward(inner, task=CARD), kind)
        gated = spec.build_engine({"model": "env", "gate": inner}, 1, task=CARD)
        assert isinstance(gated.reward.terms[0].gate, kind)


def test_every_wrapping_key_is_kept_by_its_own_term() -> None:
    form = [
        {"model": Counting(), "scale": 2, "clip": [0, 3], "fallback": "last"},
        {"model": "env", "gate": Counting(), "gate_threshold": 1, "gate_latch": True},
    ]
    one, other = spec.build_engine(form, 1, task=CARD).reward.terms
    assert (one.scale, one.clip, one.fallback, one.gate) == (2.0, (0.0, 3.0), "last", None)
    assert (other.threshold, other.latch, other.fallback) == (1.0, True, "zero")
    assert isinstance(other.gate, Counting)


def test_a_model_is_paid_in_its_own_mode_and_scale_unless_told_otherwise() -> None:
    model = Counting()
    model.traits = model.traits.replace(mode="add", scale=0.25)
    (own,) = spec.build_engine(model, 1, task=CARD).reward.terms
    told = {"model": model, "mode": "replace", "scale": 1.0}
    (said,) = spec.build_engine(told, 1, task=CARD).reward.terms
    assert (own.mode, own.scale, said.mode, said.scale) == ("add", 0.25, "replace", 1.0)


def test_how_a_whole_reward_is_paid_is_said_by_any_part() -> None:
    def traits(*parts):
        return spec.build_engine(list(parts), 1, task=CARD).reward.traits

    assert traits("env", {"model": "env", "deferred": True}).when == "rollout"
    assert traits("env", "env").when == "step"
    assert traits("env", "env").bootstraps
    assert not traits("env", {"model": "env", "bootstrap": False}).bootstraps
    assert not traits("delayed").bootstraps
    assert traits({"model": "delayed", "bootstrap": True}).bootstraps
    shown = spec.build_engine(["env", {"model": Redistribute(), "hindsight": True}], 1, task=CARD)
    assert shown.payer == "shown"
    assert spec.build_engine(Redistribute(), 1, task=CARD).payer == "step"


def test_an_expert_is_refused_where_there_is_none() -> None:
    card = TaskCard(id="Toy/None-v0")
    with pytest.raises(RewardError, match="no trustworthy hand-written"):
        spec.build_engine("expert", 1, task=card)
    assert isinstance(spec.build_reward("delayed", task=card), DelayedReward)
    with pytest.raises(RewardError, match="no program ships"):
        spec.build_engine("authored", 1, task=card)


def test_the_world_speaks_for_itself_by_default() -> None:
    for form in (None, "env"):
        assert isinstance(spec.build_reward(form, task=CARD), EnvReward)
    assert isinstance(spec.build_reward("expert", task=CARD), ExpertReward)


def build_counting(*, task: TaskCard, seed: int, abstains: bool = False) -> Counting:
    return Counting(abstains)


def test_third_parties_register_by_function_or_name(registered: list[str]) -> None:
    register_reward("acme/count-v1", build_counting, owner="acme")
    register_reward("acme/count-v2", "tests.reward_models.test_spec:build_counting", owner="acme")
    registered += ["acme/count-v1", "acme/count-v2"]
    for name in registered:
        assert isinstance(spec.build_reward({"model": name, "abstains": True}, task=CARD), Counting)
    assert find_reward("acme/count").name == "acme/count-v2"
    with pytest.raises(UnknownNameError, match=r'"abstain".*Did you mean "abstains"'):
        spec.build_reward({"model": "acme/count", "abstain": 1}, task=CARD)
    with pytest.raises(RewardError, match="already registered by acme; evil must"):
        register_reward("acme/count-v1", build_counting, owner="evil")
    with pytest.raises(RewardError, match="family/name-v1"):
        register_reward("no good", build_counting)


def test_entry_points_are_read_once_and_a_broken_one_is_a_warning(monkeypatch, registered) -> None:
    from densegym.reward_models import registry

    broken = ImportError("no module named acme")
    points = [
        Point("acme/plugin-v1", build_counting, "acme-rewards"),
        Point("acme/broken-v1", broken, "acme-rewards"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    monkeypatch.setattr(registry, "_loaded", {"shipped"})
    find_reward("env")
    with pytest.warns(UserWarning, match='"acme/broken-v1" of acme-rewards could not be loaded'):
        assert find_reward("acme/plugin").owner == "acme-rewards"
    registered.append("acme/plugin-v1")
    assert "acme/plugin-v1" in [entry.name for entry in reward_entries()]


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_is_a_reward_or_a_clear_error(form) -> None:
    with contextlib.suppress(RewardError, UnknownNameError):
        engine = spec.build_engine(form, 1, task=CARD)
        assert isinstance(engine.reward, Reward)


def test_captions_are_words() -> None:
    card = task_card("DenseGym/ButtonPress-v0")
    given = {
        "model": "progress/gvl",
        "every": 8,
        "deferred": True,
        "cap": False,
        "cameras": ["corner2"],
    }
    said = spec.in_words(given, task=card)
    assert said == "progress/gvl, deferred, every 8, not cap, cameras corner2"
    assert spec.in_words(["env", "authored"], task=card).startswith("env + authored/")
    assert "{" not in said
