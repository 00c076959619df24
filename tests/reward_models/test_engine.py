import time

import numpy as np
import pytest

from densegym.envs.wrappers.single import DenseReward
from densegym.errors import RewardError
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.model import RewardModel
from densegym.reward_models.reward import Reward
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Need, Scores, Starts
from tests.toys import CARD, Counting, Redistribute, Wander


class Says(RewardModel):
    """Returns whatever it is told to."""

    name = "toy/says-v1"
    traits = Traits()

    def __init__(self, reward, valid=True, parts=None) -> None:
        self.reward, self.valid, self.parts = reward, valid, parts or {}

    def score(self, steps) -> Scores:
        return Scores(np.array(self.reward, dtype=float), np.array(self.valid), self.parts)


def advance(engine: RewardEngine, env_reward: float = 0.5, terminated: bool = False):
    return engine.advance(
        slot=engine.slots,
        action=np.zeros((1, 2)),
        next_obs=np.zeros((1, 3)),
        env_reward=np.array([env_reward]),
        terminated=np.array([terminated]),
        truncated=np.array([False]),
        info=[{}],
    )


def begin(engine: RewardEngine):
    return engine.begin(engine.slots, np.zeros((1, 3)), [{}])


def begun(model, **settings) -> RewardEngine:
    engine = RewardEngine(Reward.of(model, **settings), 1)
    begin(engine)
    return engine


@pytest.mark.parametrize(
    ("fallback", "paid"), [("zero", [1, 2, 0, 4]), ("env", [1, 2, 0.5, 4]), ("last", [1, 2, 2, 4])]
)
def test_an_abstention_takes_the_fallback(fallback, paid) -> None:
    engine = begun(Counting(abstains=True), fallback=fallback)
    outcomes = [advance(engine) for _ in paid]
    assert [outcome.reward[0] for outcome in outcomes] == paid
    assert [outcome.columns[2][0] for outcome in outcomes] == [1, 1, 0, 1]
    assert (engine.usage.steps, engine.usage.abstentions) == (4, 1)


def test_an_abstention_may_be_an_error() -> None:
    engine = begun(Counting(abstains=True), fallback="raise")
    advance(engine)
    advance(engine)
    with pytest.raises(RewardError, match="abstained"):
        advance(engine)


def test_an_unknown_fallback_is_refused() -> None:
    with pytest.raises(RewardError, match="zero, env, last, raise; given 'guess'"):
        begun(Counting(), fallback="guess")


def test_an_abstention_on_top_of_the_world_cannot_be_the_world_again() -> None:
    with pytest.raises(RewardError, match="pay the world twice"):
        begun(Counting(), mode="add", fallback="env")


def test_a_bare_model_is_paid_in_its_own_mode_and_scale() -> None:
    model = Counting()
    model.traits = model.traits.replace(mode="add", scale=0.25)
    assert advance(begun(model)).reward[0] == 0.5 + 0.25
    engine = RewardEngine(model, 1)
    assert engine.reward.terms[0].model is model
    assert engine.reward.adds_world


def test_add_pays_on_top_of_the_world() -> None:
    assert advance(begun(Counting(), mode="add")).reward[0] == 1.5
    assert advance(begun(Counting(), mode="add", clip=(0.0, 0.25))).reward[0] == 0.75


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (Says([1.0, 2.0], [True, True]), r"shape \(2,\).*batch of 1 steps; expected \(1,\)"),
        (Says([1.0], [True, True]), r"valid of shape \(2,\)"),
        (Says([1.0], True), r"valid of shape \(\)"),
        (Says(1.0, [True]), r"reward of shape \(\)"),
        (Says([np.nan], [True]), "returned nan in lane 0 at step 0"),
        (Says([np.inf], [True], {"a": np.ones(1), "b": np.array([np.inf])}), r"inf \(term b\)"),
        (Says([-np.inf], [True]), "finite"),
    ],
)
def test_broken_scores_are_errors(model, complaint) -> None:
    with pytest.raises(RewardError, match=complaint):
        advance(begun(model))


def test_a_nan_on_an_abstaining_row_is_no_error() -> None:
    assert advance(begun(Says([np.nan], [False]))).reward[0] == 0.0


def test_sums_cover_every_row_since_they_were_taken() -> None:
    engine = begun(Counting())
    for _ in range(70):  # more than one batch of additions
        advance(engine)
    sums = engine.pop_sums()
    assert sums["reward/dense"] == sums["reward/part/count"] == 70 * 71 / 2
    assert sums["reward/env"] == 35.0
    assert engine.pop_sums()["reward/dense"] == 0.0


def test_a_checkpoint_keeps_the_model_and_its_usage() -> None:
    engine, again = begun(Counting(abstains=True)), begun(Counting(abstains=True))
    for _ in range(3):
        advance(engine)
    again.load_state_dict(engine.state_dict())
    assert again.usage == engine.usage
    assert advance(again).reward[0] == advance(engine).reward[0] == 4.0


def test_a_checkpoint_of_another_reward_is_refused() -> None:
    state = begun(Counting()).state_dict()
    with pytest.raises(RewardError, match='trained on reward "toy/counting-v1"'):
        begun(Says([0.0])).load_state_dict(state)


def test_info_is_flat_floats_on_every_step_and_on_reset() -> None:
    env = DenseReward(Wander(0.0), Counting(), task=CARD)
    _, info = env.reset(seed=0)
    ours = [key for key in info if key.startswith(("reward/", "return/"))]
    expected = ["reward/env", "reward/dense", "reward/valid", "return/env", "return/dense"]
    assert ours == [*expected, "reward/part/count"]
    for _ in range(3):
        info = env.step(np.zeros(2))[4]
        assert all(type(info[key]) is float for key in ours)
    assert info["return/dense"] == 6.0


def test_the_worlds_outcome_is_never_touched() -> None:
    plain, dense = Wander(0.0), DenseReward(Wander(0.0), Counting(), task=CARD)
    plain.reset(seed=3)
    dense.reset(seed=3)
    total = 0.0
    for _ in range(20):
        _, reward, _, _, info = plain.step(np.ones(2))
        total += reward
        shown = dense.step(np.ones(2))[4]
        assert (shown["reward/env"], shown["is_success"]) == (reward, info["is_success"])
    assert shown["return/env"] == total


def test_pay_of_whole_episodes_needs_somebody_who_pays_or_shows_it() -> None:
    with pytest.raises(RewardError, match="known only when an episode has ended"):
        begin(RewardEngine(Redistribute(), 1))
    for engine in (RewardEngine(Redistribute(), 1), RewardEngine(Redistribute(), 1, shown=True)):
        if engine.payer == "step":
            engine.show()
        begin(engine)
        assert advance(engine, 1.0).credits == []
        outcome = advance(engine, 2.0, terminated=True)
        ((slot, worth),) = outcome.credits
        assert (slot, worth.tolist()) == (0, [1.5, 1.5])
        assert outcome.columns[4][0] == engine.pop_sums()["reward/dense"] == 0.0
        assert engine.late() == []


def test_credits_that_somebody_pays_are_in_the_returns_and_the_sums() -> None:
    engine = RewardEngine(Redistribute(), 1)
    engine.collect()
    begin(engine)
    advance(engine, 1.0)
    outcome = advance(engine, 2.0, terminated=True)
    assert outcome.reward[0] == 0.0
    assert outcome.columns[1][0] == 0.0
    assert outcome.columns[4][0] == 3.0
    (late,) = engine.late()
    assert (late.tick.tolist(), late.slot.tolist()) == ([0, 1], [0, 0])
    assert late.worth.tolist() == [1.5, 1.5]
    assert engine.late() == []
    assert engine.pop_sums()["reward/dense"] == 3.0


def test_an_unfinished_episode_is_worth_its_provisional_credits_until_it_ends() -> None:
    engine = RewardEngine(Redistribute(), 1)
    engine.collect()
    begin(engine)
    advance(engine, 1.0, terminated=True)
    begin(engine)
    advance(engine, 4.0)
    assert [one.tick.tolist() for one in engine.late()] == [[0]]
    (late,) = engine.late(provisional=True)
    assert (late.tick.tolist(), late.worth.tolist()) == ([1], [1.0])  # the rate of the past
    assert engine.pay.return_dense[0] == 1.0
    advance(engine, 2.0, terminated=True)
    (late,) = engine.late()
    assert (late.tick.tolist(), late.worth.tolist()) == ([1, 2], [3.0, 3.0])
    assert engine.pay.return_dense[0] == 6.0
    assert engine.pay.rows(np.arange(3))[2][:, 0].tolist() == [1.0, 3.0, 3.0]
    assert engine.pop_sums()["reward/dense"] == 7.0


def test_a_deferred_reward_pays_a_rollout_as_it_would_have_paid_its_steps() -> None:
    stepwise = begun(Counting(abstains=True), fallback="last")
    once = RewardEngine(
        Reward(Reward.of(Counting(abstains=True), fallback="last").terms, deferred=True), 1
    )
    once.collect()
    begin(once)
    paid = [advance(stepwise).reward[0] for _ in range(5)]
    shown = [advance(once) for _ in range(5)]
    assert [(one.reward[0], one.columns[2][0]) for one in shown] == [(0.0, 1.0)] * 5
    assert [one.worth[0] for one in once.late()] == paid == [1, 2, 2, 4, 5]
    assert once.pay.return_dense.tolist() == stepwise.pay.return_dense.tolist() == [14.0]
    assert once.pop_sums() == stepwise.pop_sums()
    assert (once.usage.steps, once.usage.abstentions) == (5, 1)
    assert once.late() == []


def test_seconds_are_those_inside_the_models(monkeypatch) -> None:
    clock = iter([100.0, 101.0, 200.0, 200.5, 300.0, 304.0, 400.0, 402.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    engine = begun(Counting())  # the first two
    advance(engine)
    assert engine.usage.seconds == 1.5
    late = RewardEngine(Reward(Reward.of(Counting()).terms, deferred=True), 1)
    late.collect()
    begin(late)
    advance(late)
    late.late()
    assert late.usage.seconds == 4.0


@pytest.mark.parametrize("count", [1, 2])
def test_a_tasks_sentence_is_told_to_those_who_need_it(count: int) -> None:
    told: list[Starts] = []

    class Listening(Counting):
        def begin(self, starts: Starts) -> None:
            told.append(starts)
            super().begin(starts)

    for needs, tasks in ((Need.OBS, ()), (Need.OBS | Need.TASK, ["push"] * count)):
        model = Listening()
        model.traits = model.traits.replace(needs=needs)
        engine = RewardEngine(model, count, task="push")
        engine.begin(engine.slots, np.zeros((count, 3)), [{}] * count)
        assert told[-1].task == tasks
        assert not engine.needs_frames
        assert engine.needs_transitions


def test_a_reward_of_steps_pays_at_once_although_somebody_pays_late() -> None:
    engine = RewardEngine(Counting(), 1)
    engine.collect()
    begin(engine)
    assert advance(engine).reward[0] == 1.0
    assert engine.late() == []


def test_rows_that_stepped_alone_are_counted_alone() -> None:
    model = Counting(abstains=True)
    engine = RewardEngine(model, 4)
    engine.begin(engine.slots, np.zeros((4, 3)), [{}] * 4)
    zeros = np.zeros(4)
    for slot in ([0, 1, 2, 3], [0, 2], [0, 1, 2, 3], [1]):
        rows = len(slot)
        outcome = engine.advance(
            slot=engine.slots if rows == 4 else np.array(slot),
            action=np.zeros((rows, 2)),
            next_obs=np.zeros((rows, 3)),
            env_reward=zeros[:rows] + 0.5,
            terminated=np.zeros(rows, dtype=bool),
            truncated=np.zeros(rows, dtype=bool),
            info=[{}] * rows,
        )
    assert outcome.columns[4].tolist() == [3.0]  # of lane 1: 1 and 2, and silence on the third
    assert outcome.columns[3].tolist() == [1.5]
    assert engine.pay.return_dense.tolist() == [3.0, 3.0, 3.0, 3.0]
    assert (engine.usage.steps, engine.usage.abstentions) == (11, 3)
    sums = engine.pop_sums()
    assert (sums["reward/env"], sums["reward/valid"]) == (5.5, 8.0)


def test_shared_ones_cannot_be_written_to() -> None:
    outcome = advance(begun(Counting()))
    with pytest.raises(ValueError, match="read-only"):
        outcome.columns[2][0] = 0.0
    outcome.reward[0] = 7.0  # SB3 adds values to what it is handed
    assert outcome.columns[1][0] == 1.0
