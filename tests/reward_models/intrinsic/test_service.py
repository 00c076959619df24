"""The annotation service against annotators that misbehave, and against a real local server."""

import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from densegym.agents.studies.captions.server import CaptionServer, answer
from densegym.agents.studies.captions.stress import stress
from densegym.errors import DenseGymError, ResultsError, UnknownNameError
from densegym.reward_models.intrinsic.annotation.comparing import pair_of
from densegym.reward_models.intrinsic.annotation.grading import Grader, goal_text
from densegym.reward_models.intrinsic.annotation.labelling import build_service, llm_config
from densegym.reward_models.intrinsic.annotation.service import AnnotationService
from densegym.reward_models.intrinsic.annotation.sources import random_grade
from densegym.reward_models.intrinsic.annotation.table import CaptionTable, Provenance
from densegym.reward_models.llm.scripted import ScriptedClient
from densegym.reward_models.llm.types import BudgetExceeded, LLMError, Reply, Unreachable
from densegym.reward_models.spec import build_engine
from tests.reward_models.intrinsic.worlds import CARD, begin, say

GRADER = Grader(ScriptedClient([]), model="m")
CAPTIONS = ("you kill the newt!", "it's a wall.", "the door opens.")


class Scripted:
    """Answers each call by the next act: an error to raise, or a function of the captions."""

    provenance = Provenance(kind="grade", goal="progress", prompt="p-v1", annotator="test")

    def __init__(self, *acts):
        self.acts, self.asked, self.spent = list(acts), [], {}

    def annotate(self, captions, attempt=0):
        self.asked.append((sorted(captions), attempt))
        act = self.acts.pop(0) if self.acts else dict.fromkeys(captions, 7.0)
        if isinstance(act, Exception):
            raise act
        return act


def run(annotator, captions=CAPTIONS, **options):
    service = AnnotationService(
        annotator, CaptionTable(annotator.provenance), pause_s=0.001, **options
    )
    for caption in captions:
        service.ask(caption)
    service.start()
    service.drain(10.0)
    service.close()
    return service


def test_failures_are_repeated_and_never_become_labels():
    service = run(Scripted(LLMError("500"), Unreachable("gone"), LLMError("500"), Unreachable("x")))
    assert dict(service.table) == dict.fromkeys(CAPTIONS, 7.0)
    counted = service.metrics()
    assert (counted["failures"], counted["labelled"], counted["waiting"]) == (4, 3, 0)


def test_an_unusable_reply_is_asked_for_once_more_and_is_no_label():
    annotator = Scripted({"it's a wall.": 0.0}, {}, {})
    service = run(annotator)
    assert dict(service.table) == {"it's a wall.": 0.0}
    asked_again = sorted({"you kill the newt!", "the door opens."})
    assert annotator.asked == [(sorted(CAPTIONS), 0), (asked_again, 1)]
    counted = service.metrics()
    assert (counted["unusable"], counted["failed"], counted["waiting"]) == (4, 2, 0)
    assert not service.ask("the door opens.")  # worth the default until the next start


@pytest.mark.parametrize("error", [BudgetExceeded("spent"), RuntimeError("bug"), OSError("disk")])
def test_what_will_not_get_better_halts_the_service_alone(error):
    service = run(Scripted(error))
    assert service.halted
    assert service.metrics()["halted"] == 1.0
    assert service.metrics()["waiting"] == 3.0
    assert not service.ask("another caption")  # training goes on


def test_close_waits_for_nobody_for_long():
    started, released = threading.Event(), threading.Event()

    class Stuck(Scripted):
        def annotate(self, captions, attempt=0):
            started.set()
            released.wait(10.0)
            return super().annotate(captions, attempt)

    annotator = Stuck()
    service = AnnotationService(annotator, CaptionTable(annotator.provenance))
    service.start()
    service.ask("a caption")
    assert started.wait(5.0)
    begun = time.monotonic()
    service.close(timeout_s=0.0)
    took = time.monotonic() - begun
    released.set()
    assert took < 5.0  # the annotator alone would have kept it for ten
    assert not dict(service.table)


def reply(text, captions=CAPTIONS):
    return GRADER.read(Reply(text=text), captions)


def entry(n, label, grade):
    return {"n": n, "label": label, "grade": grade}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FOO",
        "I think FOO is right, not BAR.",
        "{}",
        '{"captions": []}',
        '{"captions": "FOO"}',
        '{"captions": [{"n": 1}]}',
        json.dumps({"captions": [entry(1, "BAZ", 3)]}),
        json.dumps({"captions": [entry(1, "FOO", 11)]}),
        json.dumps({"captions": [entry(9, "FOO", 7)]}),
        json.dumps({"captions": [entry(1, "FOO", 2), entry(2, "BAR", 7)]}),  # word against number
        json.dumps({"captions": [entry(1, "FOO", 7), entry(1, "BAR", 0)]}),  # twice
        "\x00\ud83d",
    ],
)
def test_unparsable_contradictory_and_empty_replies_label_nothing(text):
    assert set(reply(text).values()) == {None}


def test_what_a_reply_says_well_counts_whatever_stands_around_it():
    said = json.dumps({"captions": [entry(2, "BAR", 0), entry(1, "FOO", 8), entry(7, "FOO", 8)]})
    verdicts = reply(f"Sure! BAR means bad.\n```json\n{said}\n```")
    assert verdicts == {"you kill the newt!": 8.0, "it's a wall.": 0.0, "the door opens.": None}


def test_the_prompt_holds_the_goal_and_every_caption_once():
    captions = [*CAPTIONS, "$price {weird} 100% \\"]
    text = Grader(ScriptedClient([]), model="m", goal="gold").prompt(captions)
    assert goal_text("gold") in text
    assert all(text.count(f"{{{caption}}}") == 1 for caption in captions)
    assert answer(text)[1] == captions
    with pytest.raises(UnknownNameError, match="gold"):
        goal_text("golf")


def test_a_cut_off_reply_labels_nothing():
    whole = answer(GRADER.prompt(CAPTIONS))[0]
    cut = Reply(text=whole, finish="length")
    assert set(GRADER.read(cut, CAPTIONS).values()) == {None}


def test_repeats_never_replay_what_was_recorded():
    client = ScriptedClient(["nonsense", lambda_reply(CAPTIONS)])
    grader = Grader(client, model="m")
    assert set(grader.annotate(CAPTIONS).values()) == {None}
    assert None not in grader.annotate(CAPTIONS, 1).values()
    assert [request.sample for request in client.requests] == [0, 1]


def lambda_reply(captions):
    return answer(GRADER.prompt(captions))[0]


@pytest.fixture
def server():
    with CaptionServer() as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def live(server, path, **llm):
    return {
        "model": "intrinsic/oni-retrieval",
        "annotator": "endpoint",
        "table": str(path),
        "scale": 1.0,
        "llm": {"model": "m", "base_url": server.base_url, **llm},
    }


def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def test_labels_arrive_late_and_are_paid_from_then_on(server, tmp_path):
    engine = build_engine(live(server, tmp_path / "t.jsonl"), 1, task=CARD)
    model = engine.reward
    caption = next(
        f"caption {chr(97 + n)}"
        for n in range(26)
        if random_grade(f"caption {chr(97 + n)}", 0) >= 5
    )
    begin(model, [0])
    assert say(model, [[caption]]).reward.tolist() == [0.0]
    until(lambda: model.metrics()["labelled"])
    begin(model, [0])
    assert say(model, [[caption]]).reward.tolist() == [1.0]
    metrics = engine.metrics()
    assert metrics["model_calls"] == 1.0
    assert metrics["coverage"] == 0.5
    other = build_engine(live(server, tmp_path / "t.jsonl"), 1, task=CARD)  # the same service
    state = engine.state_dict()
    engine.close()
    begin(other.reward, [0])
    assert say(other.reward, [[caption]]).reward.tolist() == [1.0]
    other.close()
    resumed = build_engine(live(server, tmp_path / "t.jsonl"), 1, task=CARD)
    resumed.load_state_dict(state)
    begin(resumed.reward, [0])
    assert say(resumed.reward, [[caption]]).reward.tolist() == [1.0]
    assert resumed.metrics()["model_calls"] == 1.0  # nothing is asked twice
    resumed.close()
    replayed = build_engine(
        {"model": "intrinsic/oni-retrieval", "table": str(tmp_path / "t.jsonl"), "scale": 1.0},
        1,
        task=CARD,
    )
    begin(replayed.reward, [0])
    assert say(replayed.reward, [[caption]]).reward.tolist() == [1.0]


def test_a_ranking_has_new_captions_compared(server, tmp_path):
    spec = live(server, tmp_path / "pairs.jsonl") | {
        "model": "intrinsic/oni-ranking",
        "opponents": 3,
        "update_every": 1,
        "steps": 30,
        "lr": 0.01,
    }
    model = build_engine(spec, 1, task=CARD).reward
    begin(model, [0])
    captions = [f"caption {chr(97 + n)}{chr(97 + n // 2)} said." for n in range(16)]
    for caption in captions:
        say(model, [[caption]])
    until(lambda: not model.metrics()["waiting"])
    for _ in range(4):
        say(model, [captions])
    inner = model.terms[0].model
    table = CaptionTable(path=tmp_path / "pairs.jsonl", readonly=True)
    assert table.provenance.kind == "preference"
    assert 16 <= len(table) <= 3 * 16
    assert inner.metrics()["coverage"] > 0.0
    scores = inner.head._net(captions)[:, 0]
    better = [(pair_of(key), value) for key, value in table.items() if value != 0.5]
    index = {caption: i for i, caption in enumerate(captions)}
    right = [(scores[index[b]] > scores[index[a]]) == (v == 1.0) for (a, b), v in better]
    assert np.mean(right) > 0.75
    state = model.state_dict()
    model.close()
    again = build_engine(spec, 1, task=CARD).reward
    again.load_state_dict(state)
    begin(again, [0])
    calls = again.metrics()["model_calls"]
    say(again, [captions])  # nothing is asked about again
    assert again.metrics()["model_calls"] == calls
    again.close()
    with pytest.raises(DenseGymError, match="comparisons asked"):
        build_engine({"model": "intrinsic/oni-ranking", "opponents": 2}, 1, task=CARD)


def test_a_server_that_is_not_there_yet_only_delays(tmp_path):
    gone = CaptionServer()
    url, port = gone.base_url, gone.server_address[1]
    gone.server_close()
    service = build_service(llm_config({"model": "m", "base_url": url}), tmp_path / "t.jsonl")
    service.pauses = 0.01, 0.05
    service.start()
    service.ask("a caption")
    until(lambda: service.metrics()["failures"] >= 2)
    with CaptionServer(port) as late:
        thread = threading.Thread(target=late.serve_forever, daemon=True)
        thread.start()
        assert service.drain(20.0)
        late.shutdown()
    service.close()
    assert list(service.table) == ["a caption"]


def test_calls_are_bounded(server, tmp_path):
    config = llm_config({"model": "m", "base_url": server.base_url, "budget_calls": 2})
    service = build_service(config, tmp_path / "t.jsonl", batch=1)
    for n in range(10):
        service.ask(f"caption {n}")
    service.start()
    until(lambda: service.halted)
    service.close()
    assert len(service.table) == 2
    assert "budget" in service.halted


def test_a_second_process_is_told_to_use_its_own_table(server, tmp_path):
    path = tmp_path / "t.jsonl"
    code = (
        "import sys; from pathlib import Path\n"
        "from densegym.reward_models.intrinsic.annotation import labelling\n"
        "build_service, llm_config = labelling.build_service, labelling.llm_config\n"
        f"config = llm_config({{'model': 'm', 'base_url': {server.base_url!r}}})\n"
        "build_service(config, Path(sys.argv[1]))\n"
        "print('open', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "open\n"
    config = llm_config({"model": "m", "base_url": server.base_url})
    with pytest.raises(ResultsError, match="captions merge"):
        build_service(config, path)
    holder.communicate()
    build_service(config, path).close()


def test_options_of_the_language_model_are_checked(tmp_path):
    with pytest.raises(UnknownNameError, match="base_url"):
        llm_config({"model": "m", "base_urls": "x"})
    with pytest.raises(DenseGymError, match="needs a name"):
        llm_config({})
    with pytest.raises(DenseGymError, match='needs "llm"'):
        build_engine({"model": "intrinsic/oni-retrieval", "annotator": "endpoint"}, 1, task=CARD)


def test_a_failing_server_that_is_killed_loses_and_doubles_nothing(tmp_path):
    counted = stress(tmp_path / "stress", captions=1_500, capacity=400, batch=25)
    assert counted["lost"] == counted["labelled_twice"] == 0
    assert counted["answered_twice"] <= 2 * 4 * 25  # on their way when the server was killed
    assert counted["server_kills"] == 2
    assert counted["failed_calls"] > 5
    assert counted["most_in_memory"] <= 400


@pytest.mark.slow
def test_a_hundred_thousand_captions(tmp_path):
    counted = stress(tmp_path / "stress", captions=100_000)
    assert counted["lost"] == counted["labelled_twice"] == 0
    assert counted["answered_twice"] <= 2 * 4 * 50
    assert counted["server_kills"] == 2
    assert counted["most_in_memory"] <= 10_000
    assert counted["grown_mib"] < 100
