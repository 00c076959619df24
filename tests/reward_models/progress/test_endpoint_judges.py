"""Judges that ask an endpoint, against a real local server in all its moods."""

from __future__ import annotations

import dataclasses
import math
import time

import cv2
import numpy as np
import pytest

from densegym.errors import DenseGymError, ProgressBackendError, RewardError, UnknownNameError
from densegym.reward_models.options import build
from densegym.reward_models.progress.judge import hop_between
from densegym.reward_models.progress.judges import grm, gvl, robometer, rynnvalue, vlac
from densegym.reward_models.registry import find_reward
from densegym.reward_models.spec import build_reward
from densegym.reward_models.types import Starts, TaskCard
from tests.chat_server import ChatServer, likely, slowly

CARD = TaskCard(id="Toy-v0", goal="open the drawer")
RNG = np.random.default_rng(0)
SHOWN = RNG.integers(0, 255, (4, 2, 32, 32, 3), dtype=np.uint8)
TEXT = ["open the drawer", "close the window"]


@pytest.fixture
def server(monkeypatch):
    import openai._base_client as sdk

    monkeypatch.setattr(sdk, "INITIAL_RETRY_DELAY", 0.001)
    monkeypatch.setattr(sdk, "MAX_RETRY_DELAY", 0.002)
    with ChatServer(lambda request: "+10%") as made:
        yield made


def texts(request):
    """Return the texts of a request's parts; pictures are ``"<image>"``."""
    parts = request["messages"][-1]["content"]
    return [part["text"] if part["type"] == "text" else "<image>" for part in parts]


def judge_of(server, factory, **options):
    reached = {"base_url": server.url, "served": "m", **options}
    return build(factory, "progress/judge", reached, task=CARD).judge


def hop(judge, before=(0, 0), after=(1, 2), text=TEXT):
    seen = judge.see(SHOWN)
    rows = [list(before), list(after), [0] * len(after)]
    return judge.hop(*(seen[row] for row in rows), None, text[: len(after)])


def test_vlac_asks_about_two_pictures_and_leaves_the_score_open(server):
    judge = judge_of(server, vlac.build)
    verdict = hop(judge)
    assert verdict.value.tolist() == [0.1, 0.1]
    assert verdict.valid.all()
    asked = {request["messages"][-1]["content"][-1]["text"]: request for request in server.seen}
    assert len(asked) == 2, "every pair keeps its own task"
    parts = texts(server.seen[0])
    assert parts[:4] == ["Image-1: ", "<image>", "\nImage-2: ", "<image>"]
    assert parts[-1].endswith("</task> <score>")
    assert server.seen[0]["temperature"] == 0.0
    url = server.seen[0]["messages"][-1]["content"][1]["image_url"]["url"]
    assert url.startswith("data:image/jpeg;base64,")


def test_vlac_shows_a_reference_attempt_first(server, tmp_path):
    for index in range(30):
        cv2.imwrite(str(tmp_path / f"{index:02d}.png"), np.full((16, 16, 3), index, np.uint8))
    judge = judge_of(server, vlac.build, reference=str(tmp_path))
    hop(judge, [0], [1])
    parts = texts(server.seen[0])
    assert parts.count("<image>") == 11 + 1 + 2
    whole = "".join(parts)
    assert whole.startswith("<trajectory> <task> open the drawer </task>: 0% <image>\n 10% <image>")
    assert " 100% <image>\n</trajectory>0% <image>" in whole


def test_grm_shows_eight_pictures_in_order(server):
    server.answer = lambda request: "<score>-25%</score>"
    judge = judge_of(server, grm.build)
    assert hop(judge, [0], [1]).value.tolist() == [-0.25]
    parts = texts(server.seen[0])
    assert parts.count("<image>") == 8
    urls = [
        p["image_url"]["url"] for p in server.seen[0]["messages"][-1]["content"] if "image_url" in p
    ]
    start, end, *rest = urls
    assert start == rest[0], "the reference start is the front view of the first picture"
    assert (rest[1], rest[4]) == (rest[2], rest[5]), "two cameras: the wrist stands in twice"
    assert len({start, end, rest[0], rest[1], rest[3], rest[4]}) == 5
    assert server.seen[0]["max_tokens"] == 16


def test_equal_pictures_are_not_asked_about(server):
    judge = judge_of(server, grm.build)
    verdict = hop(judge, [1, 2], [1, 2])
    assert verdict.value.tolist() == [0, 0]
    assert verdict.valid.all()
    assert not server.seen
    assert judge.metrics()["questions_same"] == 2


def test_small_changes_are_asked_about_or_abstain(server):
    """A small object that moves is progress, whatever share of the picture it fills."""
    server.answer = lambda request: "+7%"
    start = np.zeros((1, 1, 448, 448, 3), np.uint8)
    before, after = start.copy(), start.copy()
    before[0, 0, 100:200, 100:200] = 255
    after[0, 0, 100:200, 102:202] = 255  # 400 of 200,704 pixels; 10,200 since the start
    judge = judge_of(server, vlac.build)
    asked = judge.hop(before, after, start, None, TEXT[:1])
    assert (asked.value.tolist(), asked.valid.tolist()) == ([0.07], [True])
    silent = judge_of(server, vlac.build, still=0.05)
    assert not silent.hop(before, after, start, None, TEXT[:1]).valid.any()
    assert silent.metrics()["questions_still"] == 1
    assert silent.hop(start, after, start, None, TEXT[:1]).valid.all()
    with pytest.raises(RewardError, match="still is a share"):
        judge_of(server, vlac.build, still=1.5)


def test_a_judge_must_be_told_the_task(server):
    empty = dataclasses.replace(CARD, goal="")
    reached = {"base_url": server.url, "served": "m"}
    for factory in (vlac.build, grm.build, gvl.build, robometer.build, rynnvalue.build):
        with pytest.raises(RewardError, match='"sentence": "Open the drawer'):
            build(factory, "progress/judge", reached, task=empty)
        told = build(factory, "progress/judge", {**reached, "sentence": "Close it."}, task=empty)
        assert told.sentence == "Close it."
        told.close()


def test_letters_give_the_mean_over_their_probabilities(server):
    said = {"K": math.log(0.5), "U": math.log(0.4), "?": math.log(0.1)}
    server.answer = lambda request: likely("K", said)
    judge = judge_of(server, vlac.build, soft=True)
    assert hop(judge, [0], [1]).value == pytest.approx([0.4 / 0.9])
    assert server.seen[0]["top_logprobs"] == 20


@pytest.mark.parametrize(
    "said", ["I am sorry, I cannot help.", "nan", "1e9", "{}", "<score>?</score>"]
)
def test_malformed_scores_abstain_and_are_asked_for_once_more(server, said):
    server.answer = lambda request: said
    judge = judge_of(server, grm.build)
    verdict = hop(judge, [0], [1])
    assert not verdict.valid.any()
    assert verdict.value.tolist() == [0.0]
    assert len(server.seen) == 2
    assert "nothing but the score" in texts(server.seen[1])[-1]
    assert judge.counts["unreadable"] == 1


def test_a_second_try_is_kept(server):
    server.answer = lambda request: "hm" if len(server.seen) % 2 else "+5"
    judge = judge_of(server, vlac.build)
    assert hop(judge, [0], [1]).value.tolist() == [0.05]
    assert hop(judge, [0], [1]).value.tolist() == [0.05]
    assert len(server.seen) == 2
    assert judge.counts["cached"] == 1


def test_nonsense_without_end_stops_training(server):
    server.answer = lambda request: "as a language model"
    judge = judge_of(server, vlac.build)
    seen = judge.see(RNG.integers(0, 255, (30, 1, 32, 32, 3), dtype=np.uint8))
    with pytest.raises(ProgressBackendError, match="could not be read"):
        judge.hop(seen[:-1], seen[1:], seen[:-1], None, ["x"] * 29)


def test_refused_requests_say_why_and_are_not_asked_again(server):
    server.answer = lambda request: (400, "at most 1 image may be provided")
    judge = judge_of(server, grm.build)
    with pytest.warns(RuntimeWarning, match="at most 1 image may be provided"):
        verdict = hop(judge, [0], [1])
    assert not verdict.valid.any()
    assert len(server.seen) == 1
    assert judge.metrics()["questions_refused"] == 1
    seen = judge.see(RNG.integers(0, 255, (30, 1, 32, 32, 3), dtype=np.uint8))
    with pytest.raises(ProgressBackendError, match="at most 1 image may be provided"):
        judge.hop(seen[:-1], seen[1:], seen[:-1], None, ["x"] * 29)


def test_all_questions_about_a_picture_share_one_deadline(server):
    """Three views, a question whether it is done, and second tries: one deadline, not eight."""
    server.answer = slowly(0.4, "hm")
    made = build(
        grm.build,
        "progress/judge",
        {
            "base_url": server.url,
            "served": "m",
            "deadline_s": 0.6,
            "cap": True,
            "fusion": "incremental",
        },
        task=CARD,
    )
    slot = np.zeros(1, dtype=np.int64)
    made.value(Starts(slot, None, [{}], SHOWN[:1], [TEXT[0]]))
    asked = made.ask(slot, SHOWN[1:2])
    answers = made.answer(asked * 4)
    assert len(server.seen) <= 2  # the second try was late, and there was no time for the rest
    assert not answers.heard["step"].any()
    assert np.isnan(answers.done).all()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_overloaded_server_is_tried_again(server, status):
    server.answer = lambda request: (status, "busy") if len(server.seen) < 3 else "+20%"
    assert hop(judge_of(server, vlac.build), [0], [1]).value.tolist() == [0.2]
    server.answer = lambda request: (status, "busy")
    judge = judge_of(server, vlac.build)
    verdict = hop(judge, [0], [2])
    assert not verdict.valid.any()
    assert judge.counts["silent"] == 1


def test_a_wrong_key_or_model_is_an_error(server):
    server.answer = lambda request: (401, "bad key")
    with pytest.raises(ProgressBackendError, match="key"):
        hop(judge_of(server, vlac.build), [0], [1])
    server.answer = lambda request: (404, "no such model")
    with pytest.raises(ProgressBackendError, match="no model"):
        hop(judge_of(server, vlac.build), [0], [1])


def test_late_answers_abstain_and_are_kept_for_the_next_time(server):
    server.answer = slowly(0.5, "+30%")
    judge = judge_of(server, vlac.build, deadline_s=0.45)
    began = time.monotonic()
    verdict = hop(judge, [0], [1])
    assert not verdict.valid.any()
    assert time.monotonic() - began < 2.0
    assert judge.counts["silent"] == 1


def test_a_silent_endpoint_never_holds_training_up(server):
    server.answer = slowly(60.0, "+30%")
    judge = judge_of(server, vlac.build, deadline_s=0.1)
    seen = judge.see(SHOWN)
    began = time.monotonic()
    for _ in range(60):
        assert not judge.hop(seen[:1], seen[1:2], seen[:1], None, TEXT[:1]).valid.any()
    assert time.monotonic() - began < 4.5, "left alone after three deadlines"
    assert judge.counts["silent"] == 60


def test_silence_without_end_is_an_error(server):
    server.answer = slowly(60.0, "+30%")
    judge = judge_of(server, vlac.build, deadline_s=0.05, give_up_s=1.5)
    hop(judge, [0], [1])
    time.sleep(1.5)
    with pytest.raises(ProgressBackendError, match="has not answered"):
        hop(judge, [0], [1])


def test_an_unreachable_endpoint_abstains(server):
    nowhere = {"base_url": "http://127.0.0.1:9/v1", "served": "m", "deadline_s": 5.0}
    judge = build(vlac.build, "progress/vlac", nowhere, task=CARD).judge
    assert not hop(judge, [0], [1]).valid.any()


def test_a_spent_budget_abstains_and_says_so(server):
    judge = judge_of(server, vlac.build, budget_calls=1)
    assert hop(judge, [0], [1]).valid.all()
    with pytest.warns(RuntimeWarning, match="budget"):
        assert not hop(judge, [0], [2]).valid.any()
    for _ in range(10):
        assert not hop(judge, [0], [3]).valid.any()
    assert len(server.seen) == 1


def test_replies_are_kept_between_runs(server, tmp_path):
    path = str(tmp_path / "replies.sqlite")
    first = judge_of(server, grm.build, cache=path)
    told = hop(first)
    first.close()
    server.answer = lambda request: (500, "nobody is to be asked")
    second = judge_of(server, grm.build, cache=path)
    assert np.array_equal(hop(second).value, told.value)
    assert second.counts == {"cached": 2}
    second.close()


def test_batches_equal_single_questions(server):
    server.answer = lambda request: f"+{len(texts(request)[-1]) % 90}%"
    one, many = judge_of(server, vlac.build), judge_of(server, vlac.build)
    together = hop(many).value
    alone = [hop(one, [0], [1], [TEXT[0]]).value[0], hop(one, [0], [2], [TEXT[1]]).value[0]]
    assert together.tolist() == alone


def test_done_is_asked_in_vlacs_own_way(server):
    server.answer = lambda request: likely("K", {"1": math.log(0.8), "0": math.log(0.2)})
    judge = judge_of(server, vlac.build)
    assert judge.done(judge.see(SHOWN[:1]), ["x"]).value == pytest.approx([0.8])
    assert "<done>" in texts(server.seen[0])[-1]


def test_gvl_shuffles_what_follows_the_start(server):
    server.answer = lambda request: "[10, 90]"
    judge = judge_of(server, gvl.build)
    found = hop(judge, [1], [2]).value[0]
    assert found in (hop_between(np.array([0.1]), np.array([0.9]))[0], -8 / 9)
    server.answer = lambda request: "[40]"
    assert hop(judge, [0], [3]).value.tolist() == [0.4]
    whole = judge.film(judge.see(SHOWN), "x")
    assert whole.valid.tolist() == [True, False, False, False], "one number for three frames"


def test_robometer_and_rynnvalue_in_words(server):
    server.answer = lambda request: "[0.0, 0.7]"
    assert hop(judge_of(server, robometer.build), [0], [1]).value.tolist() == [0.7]
    server.answer = lambda request: "[20, 5]"
    assert hop(judge_of(server, rynnvalue.build), [0], [1]).value.tolist() == [0.75]
    server.answer = lambda request: "Yes."
    judge = judge_of(server, robometer.build)
    assert judge.done(judge.see(SHOWN[:1]), ["x"]).value.tolist() == [1.0]


def test_wrong_pictures_and_options_are_named(server):
    judge = judge_of(server, vlac.build)
    with pytest.raises(DenseGymError, match="uint8"):
        judge.see(SHOWN.astype(np.float32))
    with pytest.raises(DenseGymError, match="V, H, W, 3"):
        judge.see(SHOWN[:, 0])
    with pytest.raises(UnknownNameError, match="deadline_s"):
        judge_of(server, vlac.build, deadlines=3)
    with pytest.raises(RewardError, match="checkpoint="):
        build(vlac.build, "progress/vlac", {}, task=CARD)
    with pytest.raises(RewardError, match="served"):
        build(vlac.build, "progress/vlac", {"base_url": server.url}, task=CARD)
    with pytest.raises(DenseGymError, match="no film"):
        judge_of(server, grm.build, goal="nowhere.png")


@pytest.mark.parametrize("name", ["vlac", "grm", "robometer", "rynnvalue", "gvl", "perceptual"])
def test_registered(name):
    assert callable(find_reward(f"progress/{name}").factory())


def test_every_option_can_be_written_in_a_specification(server):
    spec = {"model": "progress/vlac", "base_url": server.url, "served": "m", "cap": True}
    assert build_reward({**spec, "every": 7, "curve": 2.0}, task=CARD).potential.cap
