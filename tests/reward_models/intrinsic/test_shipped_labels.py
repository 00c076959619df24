"""The shipped tables are what the recorded replies say to the prompts of this version."""

import json
import re
import tomllib

import pytest

from densegym import assets
from densegym.reward_models.intrinsic.annotation.comparing import Comparer, pair_key
from densegym.reward_models.intrinsic.annotation.grading import Grader
from densegym.reward_models.intrinsic.annotation.judging import SubgoalJudge
from densegym.reward_models.intrinsic.annotation.proposing import propose_goals
from densegym.reward_models.intrinsic.annotation.sources import RECORDED
from densegym.reward_models.intrinsic.annotation.table import CaptionTable
from densegym.reward_models.intrinsic.captions.ellm import FILE
from densegym.reward_models.intrinsic.captions.subgoals import find_plan
from densegym.reward_models.llm.scripted import ScriptedClient
from densegym.reward_models.llm.transcript import request_key
from densegym.reward_models.llm.types import Reply


def exchanges(name):
    lines = assets.text(f"captions/replies/{name}.jsonl").splitlines()
    return [
        (line["request"]["messages"][0]["content"], line["reply"])
        for line in map(json.loads, lines)
    ]


def test_grades():
    said = {}
    for prompt, reply in exchanges("nethack-progress"):
        captions = re.findall(r"^\d+\. \{(.*)\}$", prompt, re.MULTILINE)
        grader = Grader(ScriptedClient([]), model="language-model")
        assert grader.prompt(captions) == prompt
        said |= grader.read(Reply(**reply), captions)
    assert said == dict(CaptionTable(path=assets.path(RECORDED), readonly=True))


def test_preferences():
    said = {}
    for prompt, reply in exchanges("nethack-preferences"):
        pairs = re.findall(r"^\d+\. \{(.*?)\} \{(.*)\}$", prompt, re.MULTILINE)
        keys = [pair_key(*pair) for pair in pairs]
        client = ScriptedClient([Reply(**reply)])
        said |= Comparer(client, model="language-model", annotator="x").annotate(keys)
        assert client.requests[0].messages[0]["content"] == prompt
    path = assets.path("captions/nethack-preferences.jsonl")
    assert said == dict(CaptionTable(path=path, readonly=True))


def test_subgoals():
    [(prompt, reply)] = exchanges("calm-keyroom")
    captions = re.findall(r"^\d+\. \{(.*)\}$", prompt.partition("Messages:")[2], re.MULTILINE)
    plan = find_plan("keyroom")
    client = ScriptedClient([Reply(**reply)])
    texts = [goal.text for goal in plan.subgoals]
    judge = SubgoalJudge(
        client, model="m", task=plan.task, subgoals=texts, key=plan.key, annotator="x"
    )
    said = judge.annotate(captions)
    assert client.requests[0].messages[0]["content"] == prompt
    assert said == dict(
        CaptionTable(path=assets.path("captions/calm-keyroom.jsonl"), readonly=True)
    )


def test_goals():
    [(prompt, reply)] = exchanges("goals-keyroom")
    captions = re.findall(r"^- (.*)$", prompt, re.MULTILINE)
    client = ScriptedClient([Reply(**reply)])
    goals = propose_goals(
        client, model="language-model", task=find_plan("keyroom").task, captions=captions
    )
    assert list(goals) == tomllib.loads(assets.text(FILE))["keyroom"]["goals"]
    assert client.requests[0].messages[0]["content"] == prompt
    stored = json.loads(assets.text("captions/replies/goals-keyroom.jsonl"))
    assert request_key(client.requests[0]) == stored["key"]


@pytest.mark.parametrize("name", ["nethack-progress", "nethack-preferences", "calm-keyroom"])
def test_every_reply_names_who_gave_it(name):
    assert {reply["model"] for _, reply in exchanges(name)} == {"language-model"}
