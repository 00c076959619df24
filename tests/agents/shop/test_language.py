"""The language-model player, against a server that speaks the chat-completions protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from densegym.agents.shop import rules
from densegym.agents.shop.episodes import play_episodes
from densegym.agents.shop.language import LanguagePlayer, read_action
from densegym.reward_models.llm.build import LLMConfig, build_client
from densegym.reward_models.llm.scripted import ScriptedClient
from densegym.reward_models.llm.types import BudgetExceeded, FatalLLMError, LLMError, Request
from tests.chat_server import ChatServer


def first_buyer(messages: list[dict[str, str]]) -> str:
    """Answer as the rule does, from what the conversation shows alone."""
    page = messages[-1]["content"]
    if "Clickable:" not in page:
        request = page.split(" [SEP] ")[2].partition(", and price lower than")[0]
        return f"Thought: search first.\nAction: search[{request}]"
    targets = page.partition("Clickable: ")[2].splitlines()[0].split(", ")
    if "buy now" in targets:
        return "Thought: this will do.\nAction: click[buy now]"
    found = next(target for target in targets if target not in ("back to search", "next >"))
    return f"Thought: the first.\nAction: click[{found}]"


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(lambda told: first_buyer(told["messages"])) as made:
        yield made


def player(url: str, **limits) -> LanguagePlayer:
    return LanguagePlayer(build_client(LLMConfig(model="m", base_url=url, **limits)), "m")


def test_a_model_that_follows_the_rule_plays_as_the_rule(server, test):
    url, asked = server.url, server.seen
    goals = test.goals[:6]
    language = player(url)
    seen = play_episodes(language, test, goals, lanes=3)
    rule = play_episodes(rules.first_item(test.shop), test, goals)
    assert (seen.score, seen.steps) == (rule.score, rule.steps)
    assert language.spent["calls"] == len(asked) == sum(seen.steps)
    assert language.spent["tokens_in"] == 7 * len(asked)
    longest = max(asked, key=lambda told: len(told["messages"]))["messages"]
    roles = [message["role"] for message in longest]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    assert str(test.max_steps) in longest[0]["content"]


def test_the_target_never_reaches_the_model(server, test):
    url, asked = server.url, server.seen
    goal = test.goals[0]
    play_episodes(player(url), test, [goal])
    first = json.dumps(asked[0]["messages"])
    assert goal.instruction in first
    assert goal.asin.lower() not in first.lower()


def test_replies_that_are_no_action_cost_a_step_and_are_explained(server, test):
    url, asked = server.url, server.seen
    server.answer = lambda told: "I would rather not."
    seen = play_episodes(player(url), test, test.goals[:1])
    assert seen.invalid == seen.steps == [test.max_steps]
    assert "Invalid action: write search[words]" in asked[1]["messages"][-1]["content"]
    assert "Actions left: 1" in asked[-1]["messages"][-1]["content"]


def test_a_recorded_play_needs_no_server(server, test, tmp_path):
    url, asked = server.url, server.seen
    goals, transcript = test.goals[:2], tmp_path / "replies.jsonl"
    live = play_episodes(player(url, transcript=transcript), test, goals)
    count = len(asked)
    replay = build_client(LLMConfig(backend="replay", transcript=transcript))
    again = play_episodes(LanguagePlayer(replay, "m"), test, goals)
    assert again.score == live.score
    assert len(asked) == count


def test_a_budget_stops_the_play(server, test):
    with pytest.raises(BudgetExceeded, match="budget"):
        play_episodes(player(server.url, budget_calls=2), test, test.goals[:2])


def test_one_failure_is_a_lost_step_and_a_fatal_one_stops(test):
    replies = [LLMError("cut off"), *["Action: search[lamp]"] * test.max_steps]
    language = LanguagePlayer(ScriptedClient(replies), "m", parallel=1)
    seen = play_episodes(language, test, test.goals[:1])
    assert language.spent["failures"] == 1
    assert seen.invalid[0] >= 1

    def down(request: Request) -> str:
        raise FatalLLMError("no server")

    with pytest.raises(FatalLLMError):
        play_episodes(LanguagePlayer(ScriptedClient(down), "m"), test, test.goals[:1])


@pytest.mark.parametrize(
    ("reply", "action"),
    [
        ("Thought: x\nAction: click[buy now]", "click[buy now]"),
        ("**Action:** `search[red lamp]`", "search[red lamp]"),
        ("action: Click[Buy Now]\nObservation: done\nAction: click[x]", "Click[Buy Now]"),
        ("I will click[a] and then click[b]", "click[a] and then click[b]"),
        ("Action: click[size [eu] 40]", "click[size [eu] 40]"),
        ("nothing", "nothing"),
        ("", ""),
    ],
)
def test_actions_are_read_from_replies(reply, action):
    assert read_action(reply) == action
