import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.errors import RewardError
from densegym.reward_models import compose
from densegym.reward_models.base import BasePotential, BaseRewardModel, FunctionReward, reward
from densegym.reward_models.batch import all_true
from densegym.reward_models.checks import check_reward_model
from densegym.reward_models.types import Scores, Starts, Steps
from tests.toys import ACTIONS, SPACE, Counting, Height


def steps(values, *, terminated=False, truncated=False, t=0, valid_obs=True) -> Steps:
    obs = np.zeros((1, 3))
    obs[:, 0] = values
    return Steps(
        slot=np.array([0]),
        t=np.array([t]),
        obs=obs,
        action=np.zeros((1, 2)),
        next_obs=obs,
        env_reward=np.array([0.5]),
        terminated=np.array([terminated]),
        truncated=np.array([truncated]),
        info=[{}],
    )


class Table(BasePotential):
    """A potential that reads Φ from the first observation entry; NaN means it abstains."""

    name = "toy/table-v1"

    def initial(self, starts: Starts):
        return self.after(steps(starts.obs[:, 0]))

    def after(self, batch: Steps):
        phi = batch.next_obs[:, 0]
        return np.nan_to_num(phi), ~np.isnan(phi)


def shaped(phis, *, gamma, terminated=False, truncation="bootstrap"):
    model = compose.Shaped(Table(), gamma=gamma, truncation=truncation)
    obs = np.zeros((1, 3))
    obs[0, 0] = phis[0]
    model.begin(Starts(np.array([0]), obs, [{}]))
    paid, last = [], len(phis) - 2
    for t, phi in enumerate(phis[1:]):
        batch = steps(
            phi, t=t, terminated=terminated and t == last, truncated=not terminated and t == last
        )
        paid.append(model.score(batch))
    return paid


PHIS = st.lists(st.floats(-100, 100), min_size=2, max_size=12)


@given(phis=PHIS, gamma=st.floats(0.1, 1.0), terminated=st.booleans())
def test_shaping_telescopes(phis, gamma, terminated) -> None:
    paid = [scores.reward[0] for scores in shaped(phis, gamma=gamma, terminated=terminated)]
    total = sum(gamma**t * f for t, f in enumerate(paid))
    last = 0.0 if terminated else gamma ** len(paid) * phis[-1]
    assert total == pytest.approx(last - phis[0], abs=1e-9 * (1 + sum(map(abs, phis))))


@given(phis=PHIS, gamma=st.floats(0.3, 1.0), silent=st.sets(st.integers(1, 10)))
def test_shaping_telescopes_over_abstentions(phis, gamma, silent) -> None:
    gaps = [np.nan if 0 < i < len(phis) - 1 and i in silent else phi for i, phi in enumerate(phis)]
    scores = shaped(gaps, gamma=gamma)
    total = sum(gamma**t * one.reward[0] for t, one in enumerate(scores))
    assert total == pytest.approx(gamma ** len(scores) * phis[-1] - phis[0], abs=1e-6)
    for gap, one in zip(gaps[1:], scores, strict=True):
        assert one.valid[0] == (not np.isnan(gap))
        assert one.valid[0] or one.reward[0] == 0.0


def test_truncation_as_an_end_zeroes_the_potential() -> None:
    bootstrap = shaped([1.0, 3.0], gamma=0.5)[0].reward[0]
    terminal = shaped([1.0, 3.0], gamma=0.5, truncation="terminal")[0].reward[0]
    assert (bootstrap, terminal) == (0.5 * 3.0 - 1.0, -1.0)


def test_termination_wins_over_truncation() -> None:
    model = compose.Shaped(Table(), gamma=0.5)
    model.begin(Starts(np.array([0]), np.ones((1, 3)), [{}]))
    assert model.score(steps(3.0, terminated=True, truncated=True)).reward[0] == -1.0


def test_bad_gamma_and_truncation_are_refused() -> None:
    with pytest.raises(RewardError, match=r"gamma is in \(0, 1\]; given 1.5"):
        compose.Shaped(Table(), gamma=1.5)
    with pytest.raises(RewardError, match="bootstrap"):
        compose.Shaped(Table(), truncation="never")  # type: ignore[arg-type]


def play(model, length=6):
    model.begin(Starts(np.array([0]), np.zeros((1, 3)), [{}]))
    return [model.score(steps(float(t), t=t)) for t in range(length)]


def test_gate_pays_only_while_open() -> None:
    gate = FunctionReward(
        "toy/odd-v1", lambda s: {"odd": (s.next_obs[:, 0] % 2 == 1) * 1.0}, ["odd"]
    )
    paid = [scores.reward[0] for scores in play(compose.Gate(Counting(), gate))]
    assert paid == [0, 2, 0, 4, 0, 6]


def test_a_latched_gate_stays_open_until_the_episode_ends() -> None:
    gate = FunctionReward("toy/two-v1", lambda s: {"two": (s.next_obs[:, 0] == 2.0) * 1.0}, ["two"])
    model = compose.Gate(Counting(), gate, latch=True)
    assert [scores.reward[0] for scores in play(model)] == [0, 0, 3, 4, 5, 6]
    assert play(model, 1)[0].reward[0] == 0


def test_a_gate_that_abstains_keeps_its_state() -> None:
    class Silent(BaseRewardModel):
        name = "toy/silent-v1"

        def score(self, batch: Steps) -> Scores:
            return Scores(np.ones(1), batch.t < 1)

    assert [s.reward[0] for s in play(compose.Gate(Counting(), Silent()))] == [1, 2, 3, 4, 5, 6]


def test_gates_refuse_models_of_whole_episodes() -> None:
    from tests.toys import Redistribute

    with pytest.raises(RewardError, match="end of an episode"):
        compose.Gate(Redistribute(), Counting())


def test_sum_adds_and_names_its_terms() -> None:
    model = compose.Sum([Counting(), compose.Scale(Counting(), -0.5), Counting(abstains=True)])
    scores = play(model)
    assert [one.reward[0] for one in scores[:2]] == [1.5, 3.0]
    assert model.terms == ("counting.count", "counting-2.count", "counting-3.count")
    assert tuple(scores[0].parts) == model.terms
    assert scores[2].valid[0] is np.False_
    assert scores[2].reward[0] == 3 - 1.5


def test_clip_bounds_the_reward_but_shows_the_terms() -> None:
    scores = play(compose.Clip(Counting(), 0.0, 2.0))
    assert [one.reward[0] for one in scores] == [1, 2, 2, 2, 2, 2]
    assert scores[5].parts["count"][0] == 6
    with pytest.raises(RewardError, match="low <= high"):
        compose.Clip(Counting(), 1.0, 0.0)


def test_parts_that_assume_two_discounts_are_refused() -> None:
    with pytest.raises(RewardError, match="disagree on gamma"):
        compose.Sum([compose.Shaped(Height(), gamma=0.9), compose.Shaped(Height(), gamma=0.8)])


MODELS = {
    "shaped": lambda: compose.Shaped(Height(), gamma=0.9),
    "shaped abstaining": lambda: compose.Shaped(Height(abstains=True)),
    "gate": lambda: compose.Gate(Counting(), Counting(abstains=True), threshold=2.0, latch=True),
    "sum": lambda: compose.Sum([Counting(), compose.Scale(compose.Shaped(Height()), 3.0)]),
    "clip": lambda: compose.Clip(Counting(abstains=True), 0.0, 2.5),
    "unsafe": lambda: compose.AdditiveUnsafe(Height()),
}


@pytest.mark.parametrize("name", MODELS)
def test_compositions_pass_the_shipped_check(name: str) -> None:
    check_reward_model(MODELS[name], SPACE, ACTIONS)


def test_the_check_catches_what_breaks_the_contract() -> None:
    def broken(score, **attributes):
        return type("Broken", (BaseRewardModel,), {"name": "x/y-v1", "score": score, **attributes})

    rng = np.random.default_rng(0)
    one = np.zeros
    cases = {
        "shape": broken(lambda self, s: Scores(np.zeros((len(s.slot), 1)), all_true(len(s.slot)))),
        "float64": broken(
            lambda self, s: Scores(one(len(s.slot)).astype("f4"), all_true(len(s.slot)))
        ),
        "non-finite": broken(
            lambda self, s: Scores(one(len(s.slot)) * np.nan, all_true(len(s.slot)))
        ),
        "disagree": broken(
            lambda self, s: Scores(rng.normal(size=len(s.slot)), all_true(len(s.slot)))
        ),
        "batch differs": broken(
            lambda self, s: Scores(
                s.next_obs[:, 0] - s.next_obs[:, 0].mean(), all_true(len(s.slot))
            )
        ),
        "announces terms": broken(
            lambda self, s: Scores(
                one(len(s.slot)), all_true(len(s.slot)), {"b": one(len(s.slot))}
            ),
            terms=("a",),
        ),
    }

    def mutate(self, s):
        s.next_obs[:] = 0.0
        return Scores(one(len(s.slot)), all_true(len(s.slot)))

    cases["changed its inputs"] = broken(mutate)
    for complaint, model in cases.items():
        with pytest.raises(RewardError, match=complaint):
            check_reward_model(model, SPACE, ACTIONS)


def test_a_checkpoint_that_forgets_is_caught() -> None:
    class Forgetful(Counting):
        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            self.count.reset(np.arange(5))

    with pytest.raises(RewardError, match="state_dict loses"):
        check_reward_model(Forgetful, SPACE, ACTIONS)


def test_a_function_is_a_model() -> None:
    @reward("mine/forward-v1", terms=["forward"])
    def forward(batch: Steps):
        return {"forward": batch.next_obs[:, 0]}

    assert play(forward, 3)[2].reward[0] == 2.0
    check_reward_model(lambda: forward, SPACE, ACTIONS)
