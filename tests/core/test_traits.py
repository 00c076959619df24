"""No combination loses what a part needs, promises, costs or holds, without a written rule."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import densegym
from densegym.errors import RewardError
from densegym.reward_models.authored.programs.sign import SignConstrained
from densegym.reward_models.batch import all_true
from densegym.reward_models.credit.pipelines.channels import (
    CausalChannels,
    Channel,
    HindsightChannels,
)
from densegym.reward_models.credit.pipelines.pipeline import CreditPipeline
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.intrinsic.novelty.product import Product
from densegym.reward_models.model import Potential, RewardModel
from densegym.reward_models.reward import Reward, Term
from densegym.reward_models.shaping import AdditiveUnsafe, Shaped
from densegym.reward_models.traits import Promises, Traits
from densegym.reward_models.types import Need, Pictures, Scores, Starts, Steps, Values

RICH = Traits(
    needs=Need.FRAME | Need.TASK,
    when="rollout",
    gamma=0.9,
    pictures=Pictures(("top",), 32),
    ends_at_success=False,
    bootstraps=False,
    terms=("dense", "sparse"),
    promises=Promises(bounds=(-1.0, 1.0)),
)


class _Counted:
    """Costs two calls and a cent, remembers a number, and may be closed."""

    def __init__(self, traits: Traits, name: str = "toy/leaf-v1") -> None:
        self.traits, self.name, self.closed, self.kept = traits, name, 0, 1.0

    def metrics(self) -> dict[str, float]:
        return {"model_calls": 2.0, "cost_usd": 0.01, "height": 3.0}

    def close(self) -> None:
        self.closed += 1

    def state_dict(self) -> dict[str, Any]:
        return {"kept": self.kept}

    def load_state_dict(self, state: Any) -> None:
        self.kept = state["kept"]


class Leaf(_Counted, RewardModel):
    traits: Traits

    def score(self, steps: Steps) -> Scores:
        zero = np.zeros(len(steps.slot))
        return Scores(zero, all_true(len(zero)), {"dense": zero, "sparse": zero})


class LeafPotential(_Counted, Potential):
    traits: Traits

    def value(self, event: Starts | Steps) -> Values:
        zero = np.zeros(len(event.slot))
        return Values(zero, all_true(len(zero)))


def plain() -> Leaf:
    return Leaf(Traits(needs=Need.NOTHING), "toy/plain-v1")


COMBINED: dict[str, Callable[[Any], RewardModel]] = {
    "scale": lambda leaf: Reward([Term(leaf, scale=2.0)]),
    "clip": lambda leaf: Reward([Term(leaf, clip=(-0.5, 0.5))]),
    "sum": lambda leaf: Reward([Term(plain()), Term(leaf)]),
    "gated": lambda leaf: Reward([Term(leaf, gate=plain())]),
    "gate": lambda leaf: Reward([Term(plain(), gate=leaf)]),
    "nested": lambda leaf: Reward([Term(plain()), Term(Reward([Term(leaf, scale=2.0)]))]),
    "pipeline": lambda leaf: CreditPipeline([leaf]),
    "ensemble": lambda leaf: CreditPipeline([plain(), leaf]),
    "hindsight channels": lambda leaf: HindsightChannels([Channel(plain()), Channel(leaf)]),
    "causal channels": lambda leaf: CausalChannels([Channel(plain()), Channel(leaf)]),
    "product": lambda leaf: Product([plain(), leaf]),
    "sign": SignConstrained,
    "shaped": Shaped,
    "unsafe": AdditiveUnsafe,
}
OF_POTENTIALS = ("shaped", "unsafe")
OF_EPISODES = ("pipeline", "ensemble", "hindsight channels")
RULES = {
    ("shaped", "gamma"): "shaping has the discount it was given",
    ("gate", "ends_at_success"): "a gate is not paid, so its wishes do not count",
    ("gate", "bootstraps"): "a gate is not paid, so nothing of it is bootstrapped",
    ("gate", "promises"): "a gate is not paid, so it promises nothing",
    ("shaped", "promises"): "shaping is a difference of values, whatever bounds Φ has",
    ("unsafe", "terms"): "shown beside the potential itself",
    ("shaped", "terms"): "shown beside the shaping itself",
    ("product", "terms"): "the factors are the terms",
    ("gate", "terms"): "what a gate says is not paid, so it is no term",
    ("causal channels", "terms"): "the channels are the terms",
    **{(how, "when"): "paid when the episode has ended" for how in OF_EPISODES},
}


def leaf_for(how: str, traits: Traits = RICH) -> Any:
    if how in OF_EPISODES:
        traits = traits.replace(when="step")
    return LeafPotential(traits) if how in OF_POTENTIALS else Leaf(traits)


@pytest.mark.parametrize("field", ["needs", "pictures", "gamma", "ends_at_success", "bootstraps"])
@pytest.mark.parametrize("how", COMBINED)
def test_a_need_or_a_wish_reaches_the_top(how: str, field: str) -> None:
    traits = COMBINED[how](leaf_for(how)).traits
    if (how, field) in RULES:
        assert getattr(traits, field) != getattr(RICH, field), "the rule is no longer needed"
        return
    if field == "needs":
        assert traits.needs & RICH.needs == RICH.needs
    else:
        assert getattr(traits, field) == getattr(RICH, field)


@pytest.mark.parametrize("how", COMBINED)
def test_pay_is_known_no_earlier_than_that_of_a_part(how: str) -> None:
    traits = COMBINED[how](leaf_for(how)).traits
    assert traits.when == ("episode" if (how, "when") in RULES else "rollout")


@pytest.mark.parametrize("how", COMBINED)
def test_terms_are_named_at_the_top(how: str) -> None:
    terms = COMBINED[how](leaf_for(how)).traits.terms
    if how in ("scale", "clip", "gated", "sign"):
        assert terms == RICH.terms
    elif how in ("sum", "nested"):
        assert terms[-2:] == ("leaf.dense", "leaf.sparse")
    else:
        assert how in OF_EPISODES or (how, "terms") in RULES
        assert bool(terms) == (how not in (*OF_EPISODES, "gate"))


@pytest.mark.parametrize(
    ("how", "bounds"),
    [
        ("scale", (-2.0, 2.0)),
        ("clip", (-0.5, 0.5)),
        ("gated", (-1.0, 1.0)),
        ("sign", (-1.1, 1.1)),
        ("sum", (-np.inf, np.inf)),
        ("pipeline", (-1.0, 1.0)),
    ],
)
def test_promises_follow_what_is_done_to_the_pay(how: str, bounds: tuple[float, float]) -> None:
    assert COMBINED[how](leaf_for(how)).traits.promises.bounds == bounds


def test_a_sum_promises_and_wishes_what_its_parts_do() -> None:
    step, low = Promises(bounds=(-1.0, 2.0)), Promises(bounds=(-3.0, 0.5))
    late = Promises("episode", causal=False, conserves="return", bounds=(0.0, 1.0))
    assert step.joined() is step
    assert step.joined(low) == Promises(bounds=(-4.0, 2.5))
    assert step.joined(late) == Promises("episode", causal=False, bounds=(-1.0, 3.0))
    assert late.joined(Promises("episode")).causal is False
    for wishes, expected in {
        (None, None): None,
        (None, True): True,
        (True, True): True,
        (True, False): False,
        (False, None): False,
    }.items():
        one, other = (Traits(ends_at_success=wish) for wish in wishes)
        assert one.joined(other).ends_at_success is other.joined(one).ends_at_success is expected
    markov, episodic = Traits(when="episode", markov=True), Traits(when="episode")
    assert markov.joined(Traits()).markov
    assert not markov.joined(episodic).markov
    assert not Traits(markov=True).joined(Traits()).markov
    assert Traits(when="rollout").joined(Traits()).when == "rollout"
    assert Traits(when="rollout").joined(episodic, Traits()).when == "episode"


def test_what_is_done_to_pay_is_done_to_its_promises() -> None:
    kept = Promises(conserves="potential", bounds=(-2.0, 4.0))
    assert kept.scaled(1.0) is kept
    assert kept.scaled(-0.5) == Promises(conserves="potential", bounds=(-2.0, 1.0))
    assert Promises(bounds=(-np.inf, np.inf)).scaled(0.0).bounds == (0.0, 0.0)
    whole = Promises("episode", causal=False, conserves="return")
    assert whole.scaled(2.0).conserves == "none"
    assert whole.scaled(1.0).conserves == "return"
    assert kept.clipped(-1.0, 9.0) == Promises(bounds=(-1.0, 4.0))
    assert Promises(bounds=(5.0, 6.0)).clipped(0.0, 1.0).bounds == (1.0, 1.0)
    assert Promises(bounds=(1.0, 4.0)).gated() == Promises(bounds=(0.0, 4.0))
    assert Promises(bounds=(-4.0, -1.0)).gated().bounds == (-4.0, 0.0)
    with pytest.raises(ValueError, match="not causal"):
        Promises(causal=False)


def test_only_what_adds_nothing_to_the_return_conserves_it() -> None:
    kept = Promises("episode", causal=False, conserves="return")
    credit = Leaf(Traits(when="episode", promises=kept))
    told = {
        how: COMBINED[how](credit).traits.promises.conserves for how in ("scale", "clip", "sum")
    }
    assert told == dict.fromkeys(told, "none")
    assert Reward([Term(credit)]).traits.promises.conserves == "return"
    shaped = Shaped(LeafPotential(Traits()))
    assert Reward([Term(shaped, scale=3.0)]).traits.promises.conserves == "potential"


MARKOV = Traits(when="episode", markov=True)


@pytest.mark.parametrize(
    ("how", "markov"),
    [("scale", True), ("clip", True), ("sum", True), ("nested", True), ("pipeline", False)],
)
def test_lazy_labels_survive_what_acts_on_single_transitions(how: str, markov: bool) -> None:
    """Gates, refinements and orders of channels look at whole episodes; factors do not."""
    assert COMBINED[how](Leaf(MARKOV)).traits.markov is markov
    other = Leaf(Traits(when="episode"), "toy/whole-v1")
    assert Reward([Term(Leaf(MARKOV)), Term(other)]).traits.markov is False


def test_parts_that_cannot_be_paid_together_are_refused() -> None:
    with pytest.raises(RewardError, match="disagree on gamma"):
        Reward([Term(Leaf(Traits(gamma=0.9))), Term(Leaf(Traits(gamma=0.8)))])
    with pytest.raises(RewardError, match="disagree on gamma"):
        Reward([Term(Leaf(Traits(gamma=0.9)), gate=Leaf(Traits(gamma=0.8)))])
    at_step = RICH.replace(when="step")
    with pytest.raises(RewardError, match="disagree on pictures"):
        CreditPipeline([Leaf(at_step), Leaf(at_step.replace(pictures=Pictures(("side",))))])
    late = Leaf(Traits(when="episode"))
    for gated, gate in ((late, plain()), (plain(), late)):
        with pytest.raises(RewardError, match="gate acts at step time"):
            Term(gated, gate=gate)
    with pytest.raises(RewardError, match="causal channels act at step time"):
        CausalChannels([Channel(plain()), Channel(late)])
    for how in OF_EPISODES:
        with pytest.raises(RewardError, match="one by one; leave out"):
            COMBINED[how](Leaf(RICH))
    with pytest.raises(RewardError, match="pay the world twice"):
        Term(plain(), mode="add", fallback="env")


@pytest.mark.parametrize("how", COMBINED)
def test_costs_are_counted_and_everything_is_closed(how: str) -> None:
    leaf = leaf_for(how)
    combined = COMBINED[how](leaf)
    parts = sum(isinstance(one, _Counted) for one in _inside(combined))
    engine = RewardEngine(combined, 1)
    assert engine.metrics()["model_calls"] == 2.0 * parts
    assert engine.metrics()["cost_usd"] == pytest.approx(0.01 * parts)
    assert 3.0 in [value for name, value in engine.metrics().items() if name.endswith("height")]
    engine.close()
    assert [one.closed for one in _inside(combined) if isinstance(one, _Counted)] == [1] * parts


@pytest.mark.parametrize("how", COMBINED)
def test_state_reaches_every_part(how: str) -> None:
    leaf = leaf_for(how)
    leaf.kept = 7.0
    state = COMBINED[how](leaf).state_dict()
    fresh = leaf_for(how)
    COMBINED[how](fresh).load_state_dict(state)
    assert fresh.kept == 7.0


def _inside(model: Any) -> list[Any]:
    return [model, *(inner for child in model.children for inner in _inside(child))]


FOREIGN = {
    "agents": "SB3 models, buffers, normalisers and vector environments",
    "envs": "simulators and other packages' environments",
    "reward_models/llm": "replies of the openai package",
    "reward_models/progress/local/allocator.py": "the C library",
    "reward_models/progress/vlm/loading.py": "torch",
}
"""Where attributes of other packages' objects are looked up by name."""
OURS = ("model", "potential", "reward", "engine", "traits", "judge", "term", "gate", "part")
"""Names that reward models and potentials go by; none of them is ever asked by attribute name."""


def test_no_reward_model_is_asked_for_an_attribute_by_name() -> None:
    root, found = Path(densegym.__file__).parent, []
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if not named or node.func.id not in ("getattr", "hasattr", "setattr"):
                continue
            asked = ast.unparse(node.args[0]).lower()
            where = path.relative_to(root).as_posix()
            foreign = where.startswith(tuple(FOREIGN)) and not asked.startswith(
                ("engine", "self.engine", "reward", "potential")
            )
            mine = asked.rpartition(".")[2].strip("_[]0") in OURS
            if mine and not foreign:
                found.append(f"{where}:{node.lineno}: {ast.unparse(node)}")
    assert not found
