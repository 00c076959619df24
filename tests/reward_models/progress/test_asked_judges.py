"""GVL, TOPReward, RoboReward and stages, asked of a local server that may know the true state."""

from __future__ import annotations

import math

import numpy as np
import pytest

from densegym.errors import RewardError
from densegym.reward_models.llm.types import Reply
from densegym.reward_models.options import build
from densegym.reward_models.progress.judges import gvl, roboreward, stages, topreward
from densegym.reward_models.types import TaskCard
from tests.chat_server import ChatServer, likely
from tests.reward_models.progress.test_features import way
from tests.reward_models.progress.true_state import TrueState

CARD = TaskCard(id="Toy-v0", goal="bring the square to the right")
TEXT = [CARD.goal]


@pytest.fixture
def server():
    with ChatServer(lambda request: "ANSWER: 3") as made:
        yield made


def judge_of(server, factory, **options):
    reached = {"base_url": server.url, "served": "m", **options}
    return build(factory, "progress/judge", reached, task=CARD).judge


def hop(judge, film, before, after):
    seen = judge.see(film[:, None])
    return judge.hop(seen[[before]], seen[[after]], seen[[0]], None, TEXT)


def ranks(value):
    return np.argsort(np.argsort(value))


@pytest.mark.parametrize(("made", "frames"), [(gvl, None), (gvl, 7), (topreward, 4)])
def test_a_film_is_valued_by_its_true_state(server, made, frames):
    (film,) = way((21,))
    server.answer = true = TrueState(noise=0.03)
    options = {} if frames is None else {"frames": frames}
    judge = judge_of(server, made.build, **options)
    seen = judge.see(film[:, None])
    for t, picture in enumerate(seen[:, 0]):
        true.show(picture, t / 20)
    said = judge.film(seen, CARD.goal)
    assert said.valid.all()
    assert np.corrcoef(ranks(said.value), np.arange(21))[0, 1] > 0.95
    assert np.abs(said.value - np.arange(21) / 20).max() < 0.15
    back = judge.film(seen[::-1], CARD.goal).value
    assert np.corrcoef(ranks(back[1:]), np.arange(20))[0, 1] < -0.95
    asked = [request["messages"][-1]["content"] for request in server.seen]
    shown = [sum(part["type"] == "image_url" for part in parts) for parts in asked]
    if made is gvl:  # all frames in one prompt beside the start, or pieces of at most seven
        assert sorted(shown) == [21] * 2 if frames is None else max(shown) == 8
    else:  # every prefix, thinned
        assert sorted(shown)[:4] == [1, 1, 2, 2]
        assert max(shown) == 4


@pytest.mark.parametrize("made", [gvl, topreward])
def test_hops_are_those_of_the_true_state(server, made):
    (film,) = way((5,))
    server.answer = true = TrueState(noise=0.0)
    judge = judge_of(server, made.build)
    for t, picture in enumerate(judge.see(film[:, None])[:, 0]):
        true.show(picture, t / 4)
    assert hop(judge, film, 0, 3).value == pytest.approx([0.75], abs=1e-3)
    assert hop(judge, film, 1, 3).value == pytest.approx([2 / 3], abs=1e-3)
    assert hop(judge, film, 3, 1).value == pytest.approx([-2 / 3], abs=1e-3)


def replied(text, alternatives):
    spent = {"tokens_in": 1, "tokens_out": 1, "usd": 0.0, "latency_s": 0.0}
    return Reply(text=text, finish="stop", model="m", alternatives=alternatives, **spent)


def told(text="", **logprobs):
    """Return a reply with the log-probabilities of tokens, named in small letters."""
    kept = {key.capitalize(): value for key, value in logprobs.items()}
    return replied(text, (kept,) if kept else ())


def test_how_likely_true_is():
    read = topreward.read_true
    assert read(told(true=-2.0, false=-0.2), -10.0) == pytest.approx(-2.0)
    spelt = {"True": math.log(0.3), " true": math.log(0.2), "False": math.log(0.5)}
    both = replied("", (spelt,))
    assert read(both, -10.0) == pytest.approx(math.log(0.5)), "spellings count together"
    assert read(told(false=-0.01), -10.0) == -10.0
    assert read(told(true=-30.0), -10.0) == -10.0
    assert read(told(maybe=-0.01), -10.0) is None
    assert read(told("True."), -10.0) == 0.0
    assert read(told("False"), -10.0) == -10.0
    assert read(told("It depends"), -10.0) is None


def test_topreward_asks_for_probabilities_and_refuses_what_cannot_be(server):
    (film,) = way((5,))
    server.answer = lambda request: likely("True", {"True": -5.0, "False": -0.01})
    judge = judge_of(server, topreward.build, floor=-5.0)
    assert hop(judge, film, 0, 2).value.tolist() == [0.0]
    assert server.seen[0]["top_logprobs"] == 20
    with pytest.raises(RewardError, match="below 0"):
        judge_of(server, topreward.build, floor=0.0)


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("ANSWER: 5", 1.0),
        ("It holds the cup, so\nANSWER: 2.", 0.25),
        ("answer: **4**", 0.75),
        (" 1 ", 0.0),
        ("ANSWER: 6", None),
        ("ANSWER: 3.5", None),
        ("between 2 and 4", None),
        ("", None),
    ],
)
def test_grades(reply, value):
    assert roboreward.read_grade(reply) == value


def test_roboreward_grades_states_online_and_films_at_their_end(server):
    (film,) = way((6,))
    judge = judge_of(server, roboreward.build)
    assert hop(judge, film, 0, 3).value.tolist() == [0.5]
    said = judge.film(judge.see(film[:, None]), CARD.goal)
    assert said.valid.tolist() == [False] * 5 + [True]
    assert said.value[-1] == 0.5
    server.answer = lambda request: "good"
    assert not judge.film(judge.see(film[::-1, None]), CARD.goal).valid.any()


def test_stages_add_up(server):
    (film,) = way((4,))
    named = ["reach it", "push it", "stop"]
    server.answer = lambda request: "[2, 50]"
    judge = judge_of(server, stages.build, stages=named)
    assert hop(judge, film, 0, 2).value == pytest.approx([0.5])
    parts = server.seen[0]["messages"][-1]["content"]
    whole = "".join(p["text"] if p["type"] == "text" else "<image>" for p in parts)
    assert "\n1. reach it\n2. push it\n3. stop\n" in whole
    assert whole.count("<image>") == 2
    judge = judge_of(server, stages.build, stages=named, shares=[2, 1, 1])
    assert hop(judge, film, 0, 2).value == pytest.approx([0.625])
    server.answer = lambda request: "[4, 10]"
    assert not hop(judge_of(server, stages.build, stages=named), film, 0, 3).valid.any()
    with pytest.raises(RewardError, match="two sentences"):
        judge_of(server, stages.build, stages=["one"])
    with pytest.raises(RewardError, match="one number above 0 per stage"):
        judge_of(server, stages.build, stages=named, shares=[1, 0, 1])
