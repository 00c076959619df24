"""What a class that a user writes must say of itself, and what follows from its children."""

import numpy as np
import pytest

from densegym.reward_models.batch import all_true
from densegym.reward_models.checks import RewardModelSuite
from densegym.reward_models.model import FunctionReward, Potential, RewardModel, short_name, walk
from densegym.reward_models.progress.potential import ProgressPotential
from densegym.reward_models.reward import Reward, Term
from densegym.reward_models.shaping import Shaped
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Scores, Starts, Steps, Values
from tests.toys import SPACE, Counting, Height, Redistribute


def scores(self, steps: Steps) -> Scores:
    return Scores(np.zeros(len(steps.slot)), all_true(len(steps.slot)))


def many(self, events):
    return []


def value(self, event: Starts | Steps) -> Values:
    return Values(np.zeros(len(event.slot)), all_true(len(event.slot)))


@pytest.mark.parametrize(
    ("base", "body"),
    [
        (RewardModel, {"score": scores}),
        (RewardModel, {"score": scores, "score_many": many}),
        (RewardModel, {"score_many": many}),
        (Potential, {"value": value}),
        (Potential, {"values": many}),
    ],
)
def test_a_class_that_declares_no_traits_is_refused_when_it_is_made(base, body) -> None:
    with pytest.raises(TypeError, match=r"Bare declares no traits. Write traits = Traits\(...\)"):
        type("Bare", (base,), dict(body))
    made = type("Declared", (base,), {"traits": Traits(), **body})
    assert made.traits == Traits()
    assert type("Below", (made,), dict(body)).traits == Traits()


def test_traits_may_be_set_by_init_and_left_to_classes_below() -> None:
    class Later(RewardModel):
        traits: Traits

        def __init__(self) -> None:
            self.traits = Traits(mode="add")

        score = scores

    class Below(Later):
        score = scores

    class Abstract(RewardModel):
        """Shares something, and judges nothing yet."""

    assert Below().traits.mode == "add"
    with pytest.raises(TypeError, match="no traits"):
        type("Concrete", (Abstract,), {"score": scores})


def test_a_reward_model_without_score_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        type("Nothing", (RewardModel,), {"traits": Traits()})()


def test_a_potential_without_value_says_so_when_it_is_asked() -> None:
    silent = type("Silent", (Potential,), {"traits": Traits()})()
    with pytest.raises(NotImplementedError, match="Silent must define value"):
        silent.value(Starts(np.array([0]), np.zeros((1, 3)), [{}]))


def test_a_markov_model_without_predict_says_so_when_it_is_asked() -> None:
    model = type("Lazy", (Redistribute,), {"traits": Redistribute.traits.replace(markov=True)})()
    with pytest.raises(NotImplementedError, match="toy/uniform-v1 declares markov, but defines no"):
        model.predict(None, None, None)
    with pytest.raises(NotImplementedError, match="toy/uniform-v1 is no function of goals"):
        model.of_goals(np.zeros((1, 3)), np.zeros((1, 3)))


def test_a_suite_without_make_says_so_when_a_rule_is_tried() -> None:
    class Unfinished(RewardModelSuite):
        observation_space = action_space = SPACE

    suite = Unfinished()
    for rule in suite.rules:
        with pytest.raises(NotImplementedError, match=r"define make\(self\) -> RewardModel"):
            getattr(suite, rule)()


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("authored/reach-v2", "reach"),
        ("reach", "reach"),
        ("a/b/c-v10", "c"),
        ("x-very", "x-very"),
        ("-v2", "-v2"),
        ("fly-v", "fly-v"),
    ],
)
def test_short_names_lose_family_and_version_only(name: str, short: str) -> None:
    assert short_name(name) == short


@pytest.mark.parametrize(
    ("base", "one", "other"),
    [
        (Shaped, {"score": scores}, {"score_many": many}),
        (Reward, {"score": scores}, {"score_many": many}),
        (ProgressPotential, {"value": value}, {"values": many}),
    ],
)
def test_what_is_judged_one_by_one_and_at_once_is_overridden_together(base, one, other) -> None:
    name, partner = *one, *other
    says = f"Half overrides {name} of {base.__name__}, which also defines {partner}"
    with pytest.raises(TypeError, match=says):
        type("Half", (base,), dict(one))
    both = type("Both", (base,), {**one, **other})
    with pytest.raises(TypeError, match="which also defines"):
        type("Further", (both,), dict(one))
    type("OnlyMany", (base,), dict(other))


def test_score_alone_may_be_overridden_where_nothing_is_judged_at_once() -> None:
    class Twice(Counting):
        def score(self, steps: Steps) -> Scores:
            said = super().score(steps)
            return said._replace(reward=2.0 * said.reward)

    start = Starts(np.array([0]), np.zeros((1, 3)), [{}])
    batch = Steps(*([np.array([0])] * 8), [{}])
    said = Twice().score_many([start, batch, batch, start, batch])
    assert [one.reward[0] for one in said] == [2.0, 4.0, 2.0]


def test_a_potential_of_whole_rollouts_answers_single_states_as_well() -> None:
    class Rollouts(Potential):
        traits = Traits()

        def values(self, events):
            return [Values(1.0 * event.slot, all_true(len(event.slot))) for event in events]

    start = Starts(np.array([3]), np.zeros((1, 3)), [{}])
    assert Rollouts().value(start).phi.tolist() == [3.0]
    assert [one.phi.tolist() for one in Height().values([start])] == [
        Height().value(start).phi.tolist()
    ]


class Costly(Counting):
    """Knows what it cost and whether it was closed."""

    def __init__(self, name: str = "toy/costly-v1", calls: float = 1.0) -> None:
        super().__init__()
        self.name, self.calls, self.closed = name, calls, False

    def metrics(self) -> dict[str, float]:
        return {"model_calls": self.calls, "cost_usd": 0.5, "seen": self.calls}

    def close(self) -> None:
        self.closed = True


def test_costs_of_children_add_up_and_other_numbers_say_whose_they_are() -> None:
    one, two, gate = Costly(calls=1.0), Costly(calls=2.0), Costly("toy/door-v3", calls=4.0)
    assert Reward.of(one).metrics() == {"model_calls": 1.0, "cost_usd": 0.5, "seen": 1.0}
    model = Reward([Term(one), Term(two, gate=gate)])
    assert model.metrics() == {
        "model_calls": 7.0,
        "cost_usd": 1.5,
        "costly.seen": 1.0,
        "costly-2.seen": 2.0,
        "door.seen": 4.0,
    }
    assert walk(model) == [model, one, gate, two]
    model.close()
    assert one.closed
    assert two.closed
    assert gate.closed


def test_the_state_of_children_goes_along_and_nothing_is_left_over() -> None:
    start = Starts(np.array([0]), np.zeros((1, 3)), [{}])
    batch = Steps(*([np.array([0])] * 8), [{}])
    one, other = (Reward([Term(Counting()), Term(Reward.of(Counting()))]) for _ in range(2))
    one.begin(start)
    one.score(batch)
    other.load_state_dict(one.state_dict())
    assert other.score(batch).reward.tolist() == [4.0]
    with pytest.raises(ValueError, match=r"cannot hold the state \['stray'\]"):
        other.load_state_dict({**one.state_dict(), "stray": 1})
    stateless = FunctionReward("toy/none-v1", lambda steps: {}, ())
    assert stateless.state_dict() == {}
    with pytest.raises(ValueError, match="cannot hold the state"):
        stateless.load_state_dict({"stray": 1})
