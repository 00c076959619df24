import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.errors import RewardError
from densegym.reward_models.batch import all_true
from densegym.reward_models.checks import check_reward_model
from densegym.reward_models.model import FunctionReward, Potential, RewardModel, reward
from densegym.reward_models.reward import Reward, Term, worth
from densegym.reward_models.shaping import AdditiveUnsafe, Shaped
from densegym.reward_models.spec import build_reward
from densegym.reward_models.traits import Promises, Traits
from densegym.reward_models.types import Episode, Need, Scores, Starts, Steps, Values
from tests.toys import ACTIONS, CARD, SPACE, Counting, Height, Redistribute


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


class Table(Potential):
    """A potential that reads Φ from the first observation entry; NaN means it abstains."""

    name = "toy/table-v1"
    traits = Traits()

    def value(self, event: Starts | Steps) -> Values:
        phi = (event.obs if isinstance(event, Starts) else event.next_obs)[:, 0]
        return Values(np.nan_to_num(phi), ~np.isnan(phi))


def shaped(phis, *, gamma, terminated=False, truncation="bootstrap"):
    model = Shaped(Table(), gamma=gamma, truncation=truncation)
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
    model = Shaped(Table(), gamma=0.5)
    model.begin(Starts(np.array([0]), np.ones((1, 3)), [{}]))
    assert model.score(steps(3.0, terminated=True, truncated=True)).reward[0] == -1.0


def test_bad_gamma_and_truncation_are_refused() -> None:
    for gamma in (1.5, 0.0, -0.5):
        with pytest.raises(RewardError, match=rf"gamma is in \(0, 1\]; given {gamma}"):
            Shaped(Table(), gamma=gamma)
    assert Shaped(Table(), gamma=1).gamma == 1.0
    with pytest.raises(RewardError, match="bootstrap"):
        Shaped(Table(), truncation="never")  # type: ignore[arg-type]


def play(model, length=6):
    model.begin(Starts(np.array([0]), np.zeros((1, 3)), [{}]))
    return [model.score(steps(float(t), t=t)) for t in range(length)]


def test_gate_pays_only_while_open() -> None:
    gate = FunctionReward(
        "toy/odd-v1", lambda s: {"odd": (s.next_obs[:, 0] % 2 == 1) * 1.0}, ["odd"]
    )
    paid = [scores.reward[0] for scores in play(Reward([Term(Counting(), gate=gate)]))]
    assert paid == [0, 2, 0, 4, 0, 6]


def test_a_latched_gate_stays_open_until_the_episode_ends() -> None:
    gate = FunctionReward("toy/two-v1", lambda s: {"two": (s.next_obs[:, 0] == 2.0) * 1.0}, ["two"])
    model = Reward([Term(Counting(), gate=gate, latch=True)])
    assert [scores.reward[0] for scores in play(model)] == [0, 0, 3, 4, 5, 6]
    assert play(model, 1)[0].reward[0] == 0


def test_a_gate_that_abstains_keeps_its_state() -> None:
    class Silent(RewardModel):
        name = "toy/silent-v1"
        traits = Traits()

        def score(self, batch: Steps) -> Scores:
            return Scores(np.ones(1), batch.t < 1)

    gated = Reward([Term(Counting(), gate=Silent())])
    assert [s.reward[0] for s in play(gated)] == [1, 2, 3, 4, 5, 6]
    assert [s.valid[0] for s in play(gated)] == [True] * 6


def test_a_model_that_abstains_behind_a_closed_gate_counts_as_having_spoken() -> None:
    gate = FunctionReward("toy/late-v1", lambda s: {"late": (s.t > 3) * 1.0}, ["late"])
    scores = play(Reward([Term(Counting(abstains=True), gate=gate)]))
    assert [one.reward[0] for one in scores] == [0, 0, 0, 0, 5, 0]
    assert [one.valid[0] for one in scores] == [True] * 5 + [False]
    assert [one.parts["count"][0] for one in scores] == [0, 0, 0, 0, 5, 6]


def test_what_the_gate_knows_is_kept_by_a_checkpoint() -> None:
    gate = FunctionReward("toy/two-v1", lambda s: {"two": (s.next_obs[:, 0] == 2.0) * 1.0}, ["two"])
    one, other = (Reward([Term(Counting(), gate=gate, latch=True)]) for _ in range(2))
    play(one, 4)
    other.load_state_dict(one.state_dict())
    assert other.score(steps(9.0, t=4)).reward[0] == 5.0


def test_gates_refuse_models_of_whole_episodes() -> None:
    with pytest.raises(RewardError, match="end of an episode"):
        Term(Redistribute(), gate=Counting())
    with pytest.raises(RewardError, match="end of an episode"):
        Term(Counting(), gate=Redistribute())


def test_a_sum_adds_and_names_its_terms() -> None:
    model = Reward([Term(Counting()), Term(Counting(), scale=-0.5), Term(Counting(abstains=True))])
    scores = play(model)
    assert [one.reward[0] for one in scores[:2]] == [1.5, 3.0]
    assert model.name == "toy/counting-v1 + toy/counting-v1 + toy/counting-v1"
    assert model.traits.terms == ("counting.count", "counting-2.count", "counting-3.count")
    assert tuple(scores[0].parts) == model.traits.terms
    assert [part[0] for part in scores[1].parts.values()] == [2.0, -1.0, 2.0]
    assert scores[2].valid[0] is np.False_
    assert scores[2].reward[0] == 3 - 1.5


def test_a_term_without_parts_is_its_own() -> None:
    model = Reward([Term(Redistribute()), Term(Counting(), scale=2.0)])
    assert model.traits.terms == ("uniform", "counting.count")
    assert {name: part[0] for name, part in play(model, 1)[0].parts.items()} == {
        "uniform": 0.0,
        "counting.count": 2.0,
    }
    assert Reward.of(Counting()).traits.terms == ("count",)


@pytest.mark.parametrize(
    ("fallback", "third"), [("zero", 3 + 0), ("env", 3 + 0.5), ("last", 3 + 4)]
)
def test_only_the_term_that_abstains_takes_its_fallback(fallback, third) -> None:
    silent = Term(Counting(abstains=True), scale=2.0, fallback=fallback)
    scores = play(Reward([Term(Counting()), silent]), 4)
    assert [one.reward[0] for one in scores] == [3, 6, third, 12]
    assert [one.valid[0] for one in scores] == [True, True, False, True]


def test_the_share_before_belongs_to_the_episode_and_survives_a_checkpoint() -> None:
    one, other = (Reward.of(Counting(abstains=True), fallback="last") for _ in range(2))
    play(one, 2)
    other.load_state_dict(one.state_dict())
    assert other.score(steps(0.0, t=2)).reward[0] == 2.0
    one.begin(Starts(np.array([0]), np.zeros((1, 3)), [{}]))
    one.terms[0].model.count.reset(np.array([0]), 2.0)
    assert one.score(steps(0.0)).reward[0] == 0.0  # the third count abstains; nothing came before


def test_an_abstention_may_be_an_error_of_its_own_term() -> None:
    model = Reward([Term(Counting()), Term(Counting(abstains=True), fallback="raise")])
    with pytest.raises(RewardError, match="abstained and fallback"):
        play(model)


def test_the_fallback_of_a_nested_reward_is_paid_already() -> None:
    inner = Reward.of(Counting(abstains=True), fallback="env")
    scores = play(Reward([Term(inner, scale=2.0), Term(Counting())]), 4)
    assert [one.reward[0] for one in scores] == [2 + 1, 4 + 2, 1 + 3, 8 + 4]
    assert [one.valid[0] for one in scores] == [True, True, False, True]


def test_clip_bounds_the_reward_but_shows_the_terms() -> None:
    scores = play(Reward.of(Counting(), clip=(0.0, 2.0)))
    assert [one.reward[0] for one in scores] == [1, 2, 2, 2, 2, 2]
    assert scores[5].parts["count"][0] == 6
    with pytest.raises(RewardError, match="low <= high"):
        Reward.of(Counting(), clip=(1.0, 0.0))


def test_bounds_apply_before_the_factor_and_to_credits_as_well() -> None:
    assert [one.reward[0] for one in play(Reward.of(Counting(), clip=(0, 2), scale=3.0))][:3] == [
        3,
        6,
        6,
    ]
    episode = type("Played", (), {"env_reward": np.array([4.0, 6.0])})()
    late = Reward([Term(Counting()), Term(Redistribute(), clip=(0.0, 2.0), scale=-1.0)])
    (credit,) = late.finish([episode])
    assert credit.tolist() == [-2.0, -2.0]
    assert Reward.of(Counting()).finish([episode]) == [None]


def test_a_sum_replaces_the_world_as_soon_as_one_term_does() -> None:
    added = Term(Counting(), mode="add")
    assert Reward([added, Term(Shaped(Height()), mode="shape")]).adds_world
    assert not Reward([added, Term(Counting())]).adds_world
    assert Reward.of(Shaped(Height())).adds_world
    assert Reward.of(Shaped(Height())).traits.mode == "add"


def test_parts_that_assume_two_discounts_are_refused() -> None:
    with pytest.raises(RewardError, match="disagree on gamma"):
        Reward([Term(Shaped(Height(), gamma=0.9)), Term(Shaped(Height(), gamma=0.8))])


def test_a_reward_needs_what_its_gate_needs_and_promises_less() -> None:
    gate = Counting()
    gate.traits = gate.traits.replace(needs=Need.OBS | Need.TASK, ends_at_success=True)
    bounded = Counting()
    bounded.traits = bounded.traits.replace(
        promises=Promises(conserves="potential", bounds=(1.0, 4.0))
    )
    traits = Reward([Term(bounded, gate=gate, clip=(2.0, 9.0), scale=-2.0)]).traits
    assert traits.needs == Need.OBS | Need.TASK
    assert traits.ends_at_success is None
    assert traits.promises == Promises(bounds=(-8.0, 0.0))
    assert traits.terms == ("count",)


def test_deferral_makes_a_step_reward_one_of_rollouts() -> None:
    terms = [Term(Counting())]
    assert Reward(terms).traits.when == "step"
    assert Reward(terms, deferred=True).traits.when == "rollout"
    with pytest.raises(RewardError, match='Leave out "deferred" and "interpolate"'):
        Reward([Term(Redistribute())], deferred=True)
    lines = Counting()
    lines.traits = lines.traits.replace(when="rollout")
    assert Reward([Term(lines), Term(Counting())]).traits.when == "rollout"
    with pytest.raises(RewardError, match='Leave out "deferred" and "interpolate"'):
        Reward([Term(lines), Term(Redistribute())])
    assert not Reward(terms, bootstraps=False).traits.bootstraps


@pytest.mark.parametrize("seed", range(3))
def test_a_rollout_judged_at_once_is_paid_the_same_to_the_bit(seed: int) -> None:
    def made() -> Reward:
        gate = Counting(abstains=True)
        return Reward(
            [
                Term(Counting(abstains=True), scale=0.3, fallback="last"),
                Term(Shaped(Height(abstains=True)), gate=gate, threshold=2.0),
                Term(Counting(), clip=(0.0, 2.5), gate=Counting(), threshold=1.0, latch=True),
            ]
        )

    rng = np.random.default_rng(seed)
    events: list[Starts | Steps] = []
    for length in rng.integers(1, 6, size=5).tolist():
        events.append(Starts(np.array([0]), rng.normal(size=(1, 3)), [{}]))
        events += [
            steps(rng.normal(), t=t, terminated=bool(t == length - 1)) for t in range(length)
        ]
    stepwise, once = made(), made()
    together = once.score_many(events)
    alone = RewardModel.score_many(stepwise, events)
    assert len(together) == len(alone)
    for one, other in zip(together, alone, strict=True):
        assert one.reward.tolist() == other.reward.tolist()
        assert one.valid.tolist() == other.valid.tolist()
        assert {k: v.tolist() for k, v in one.parts.items()} == {
            k: v.tolist() for k, v in other.parts.items()
        }
    after = steps(1.0, t=9)
    assert once.score(after).reward.tolist() == stepwise.score(after).reward.tolist()


def test_what_is_late_is_asked_of_late_terms_alone() -> None:
    class Halves(Redistribute):
        def estimate(self, prefix):
            return np.full(len(prefix.env_reward), 0.5)

        def predict(self, obs, action, next_obs):
            return np.full(len(action), 2.0)

    prefix = Episode(
        0, np.zeros((3, 3)), np.zeros((2, 2)), np.ones(2), np.zeros(2), False, [{}] * 2
    )
    mixed = Reward([Term(Counting()), Term(Halves(), scale=3.0), Term(Halves(), clip=(0.0, 0.25))])
    assert mixed.estimate(prefix).tolist() == [1.75, 1.75]
    assert (
        mixed.predict(np.zeros((4, 3)), np.zeros((4, 2)), np.zeros((4, 3))).tolist() == [6.25] * 4
    )
    assert Reward([Term(Halves()), Term(Redistribute())]).estimate(prefix) is None
    assert Reward.of(Counting()).estimate(prefix) is None


def test_a_potential_must_answer_every_event() -> None:
    class Short(Table):
        def values(self, events):
            return [self.value(event) for event in events[:-1]]

    batch = steps(1.0)
    for paid in (Shaped(Short()), AdditiveUnsafe(Short())):
        with pytest.raises(ValueError, match=r"shorter|longer"):
            paid.score_many([Starts(np.array([0]), np.zeros((1, 3)), [{}]), batch])


def test_an_abstention_inside_another_reward_is_worth_nothing() -> None:
    silent = Scores(np.array([5.0, 7.0]), np.array([True, False]))
    assert worth(Counting(), silent).tolist() == [5.0, 0.0]
    assert worth(Reward.of(Counting()), silent).tolist() == [5.0, 7.0]


@pytest.mark.parametrize(
    ("threshold", "opens"),
    [({}, 1.0), ({"gate_threshold": 0.5}, 1.0), ({"gate_threshold": 0.6}, 0.0)],
)
def test_a_gate_opens_at_its_threshold(threshold: dict[str, float], opens: float) -> None:
    """The world pays 0.5; without a threshold anything above 0 opens."""
    spec = {"model": "env", "gate": "env", **threshold}
    gated = build_reward(spec, task=CARD)
    gated.begin(Starts(np.array([0]), np.zeros((1, 3)), [{}]))
    assert gated.score(steps(1.0)).reward.tolist() == [0.5 * opens]
    nothing = steps(1.0)._replace(env_reward=np.zeros(1))
    assert gated.score(nothing).reward.tolist() == [0.0]


def test_a_term_is_plain_until_something_is_done_to_its_pay() -> None:
    model = Counting()
    assert Term(model).plain
    assert Term(model, mode="add").plain
    others = {"scale": 2.0, "clip": (0.0, 1.0), "gate": Counting(), "fallback": "last"}
    assert not any(Term(model, **{key: value}).plain for key, value in others.items())


MODELS = {
    "shaped": lambda: Shaped(Height(), gamma=0.9),
    "shaped abstaining": lambda: Shaped(Height(abstains=True)),
    "gate": lambda: Reward(
        [Term(Counting(), gate=Counting(abstains=True), threshold=2.0, latch=True)]
    ),
    "sum": lambda: Reward([Term(Counting()), Term(Shaped(Height()), scale=3.0)]),
    "clip": lambda: Reward.of(Counting(abstains=True), clip=(0.0, 2.5)),
    "last": lambda: Reward([Term(Counting()), Term(Counting(abstains=True), fallback="last")]),
    "unsafe": lambda: AdditiveUnsafe(Height()),
}


@pytest.mark.parametrize("name", MODELS)
def test_compositions_pass_the_shipped_check(name: str) -> None:
    check_reward_model(MODELS[name], SPACE, ACTIONS)


def test_the_check_catches_what_breaks_the_contract() -> None:
    def broken(score, **attributes):
        traits = Traits(**attributes)
        return type("Broken", (RewardModel,), {"name": "x/y-v1", "score": score, "traits": traits})

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
