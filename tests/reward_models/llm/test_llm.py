"""The language-model room against a real local server: failures, records, budgets, mailboxes."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.errors import ResultsError
from densegym.reward_models.llm.budget import Budget, Budgeted, load_prices, price
from densegym.reward_models.llm.build import LLMConfig, build_client
from densegym.reward_models.llm.endpoint import EndpointClient
from densegym.reward_models.llm.mailbox import MailboxClient
from densegym.reward_models.llm.sampling import sample
from densegym.reward_models.llm.scripted import ScriptedClient
from densegym.reward_models.llm.structured import Structured
from densegym.reward_models.llm.transcript import Transcript, request_key, spent
from densegym.reward_models.llm.types import (
    BudgetExceeded,
    FatalLLMError,
    Late,
    LLMError,
    Reply,
    Request,
)
from tests.chat_server import ChatServer, Stream, completion, in_turn, slowly

KEY = "sk-secret-of-the-test"
ASK = Request(messages=({"role": "user", "content": "write"},), model="m", max_tokens=50)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(lambda request: "hello") as made:
        yield made


@pytest.fixture
def client(server, monkeypatch) -> Iterator[EndpointClient]:
    monkeypatch.setenv("TEST_KEY", KEY)
    import openai._base_client as sdk

    monkeypatch.setattr(sdk, "INITIAL_RETRY_DELAY", 0.001)
    monkeypatch.setattr(sdk, "MAX_RETRY_DELAY", 0.002)
    made = EndpointClient(base_url=server.url, key_env="TEST_KEY", timeout_s=0.6, max_retries=2)
    yield made
    made.close()


def test_a_reply_comes_with_its_tokens(server, client):
    reply = client.complete(ASK)
    assert (reply.text, reply.tokens_in, reply.tokens_out, reply.model) == ("hello", 7, 3, "m-1")
    assert server.seen[0]["max_tokens"] == 50
    assert "n" not in server.seen[0]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_passing_trouble_is_retried(server, client, status):
    server.answer = in_turn([(status, "busy"), (status, "busy"), "at last"])
    assert client.complete(ASK).text == "at last"
    assert len(server.seen) == 3


def test_lasting_trouble_is_told(server, client):
    server.answer = in_turn([(500, "broken")])
    with pytest.raises(LLMError, match=r"failed: .*broken"):
        client.complete(ASK)
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        ((401, f"bad key {KEY}"), FatalLLMError, "refuses the key in TEST_KEY"),
        ((403, "no"), FatalLLMError, "refuses the key"),
        ((404, "no such model"), FatalLLMError, "knows no model m"),
        ((400, "too long"), LLMError, "refused the request"),
        (slowly(1.0, "late"), LLMError, "took too long"),
        (b"{half", LLMError, "."),
        (b"[]", LLMError, "."),
        ({"choices": []}, LLMError, "without text"),
        (completion(None), LLMError, "without text"),
        (completion(""), LLMError, "without text"),
    ],
)
def test_every_failure_has_its_words_and_none_holds_the_key(server, client, answer, kind, told):
    server.answer = answer if callable(answer) else in_turn([answer])
    with pytest.raises(kind, match=told) as caught:
        client.complete(ASK)
    assert KEY not in str(caught.value)
    assert KEY not in repr(client)


def said(finish="stop", **message):
    body = completion(None, finish)
    body["choices"][0]["message"].update(message)
    return body


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (said("length"), "raise --max-tokens"),
        (said("content_filter"), "content filter"),
        (said("tool_calls", tool_calls=[]), "called a tool"),
        (said(refusal="I cannot help"), "declined: I cannot help"),
        (said(reasoning_content="hmm"), "sent reasoning"),
        ({"error": {"message": "upstream overloaded"}}, "inside its reply: upstream overloaded"),
    ],
)
def test_why_there_is_no_text_is_told_by_name(server, client, answer, told):
    server.answer = in_turn([answer])
    with pytest.raises(LLMError, match=told):
        client.complete(ASK)


def test_an_empty_account_is_no_passing_trouble(server, client):
    body = {"error": {"message": "exceeded", "code": "insufficient_quota", "type": "x"}}
    server.answer = in_turn([(429, body)])
    with pytest.raises(FatalLLMError, match="no quota left"):
        client.complete(ASK)


def test_parts_of_a_text_are_joined(server, client):
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}]
    server.answer = in_turn([said(content=[*parts, {"type": "text", "text": "b"}])])
    assert client.complete(ASK).text == "ab"


def chunks(*texts, pause_s=0.0, usage=True):
    def line(**more):
        return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m-1", **more}

    sent = [
        line(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}])
        for text in texts
    ]
    sent.append(line(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    if usage:
        told = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        sent.append(line(choices=[], usage=told))
    return Stream(sent, pause_s)


@pytest.mark.parametrize("usage", [True, False])
def test_a_server_that_only_streams_is_asked_for_a_stream(server, client, usage):
    def answer(request):
        if not request.get("stream"):
            return 400, "this model needs stream=true"
        return chunks("hel", "lo", usage=usage)

    server.answer = answer
    for _ in range(2):
        reply = client.complete(ASK)
        assert (reply.text, reply.finish, reply.estimated) == ("hello", "stop", not usage)
    assert [bool(asked.get("stream")) for asked in server.seen] == [False, True, True]


def test_a_stream_that_drips_ends_at_the_total_deadline(server, client):
    def answer(request):
        if not request.get("stream"):
            return 400, "this model needs stream=true"
        return chunks(*"drip" * 20, pause_s=0.1)

    server.answer = answer
    started = time.monotonic()
    with pytest.raises(Late, match="took too long"):
        client.complete(ASK)
    assert time.monotonic() - started < 4.0


def test_a_server_that_is_down_is_named(monkeypatch):
    client = EndpointClient(base_url="http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(FatalLLMError, match=r"127\.0\.0\.1:9/v1 cannot be reached"):
        client.complete(ASK)
    client.close()


def test_without_key_and_endpoint_it_says_what_to_set(monkeypatch):
    monkeypatch.delenv("NO_KEY", raising=False)
    with pytest.raises(FatalLLMError, match="set the environment variable NO_KEY"):
        EndpointClient(key_env="NO_KEY")


def test_refused_parameters_are_renamed_or_dropped_once(server, client):
    server.answer = in_turn(
        [
            (400, "max_tokens is not supported, use max_completion_tokens instead"),
            (400, "temperature does not support 1.0"),
            "fine",
        ]
    )
    assert client.complete(ASK).text == "fine"
    assert server.seen[-1]["max_completion_tokens"] == 50
    assert "temperature" not in server.seen[-1]
    client.complete(ASK)
    assert len(server.seen) == 4  # it remembers


def test_samples_stay_at_their_index(server, client):
    server.answer = in_turn([completion("cut", "length")])
    replies = sample(client, dataclasses.replace(ASK, seed=100), 3)
    assert [type(reply) for reply in replies] == [LLMError] * 3
    assert sorted(item["seed"] for item in server.seen) == [100, 101, 102]
    scripted = ScriptedClient(lambda r: LLMError("no") if r.sample == 1 else f"reply {r.sample}")
    replies = sample(scripted, ASK, 3)
    assert [getattr(reply, "text", None) for reply in replies] == ["reply 0", None, "reply 2"]


def test_a_fatal_error_ends_the_sampling():
    with pytest.raises(FatalLLMError):
        sample(ScriptedClient([FatalLLMError("wrong key")]), ASK, 2, parallel=1)


def test_record_then_replay_without_anybody(tmp_path):
    path = tmp_path / "t.jsonl"
    live = ScriptedClient(["a", "b"])
    recording = Transcript(path, "replay_or_live", live)
    first = sample(recording, ASK, 2, parallel=1)
    again = sample(recording, ASK, 2, parallel=1)
    assert [reply.text for reply in first] == [reply.text for reply in again] == ["a", "b"]
    assert len(live.requests) == 2
    replayed = sample(Transcript(path, "replay"), ASK, 2)
    assert [reply.text for reply in replayed] == ["a", "b"]
    assert all(reply.cached for reply in replayed)
    with pytest.raises(FatalLLMError, match="another version of the prompts"):
        Transcript(path, "replay").complete(dataclasses.replace(ASK, temperature=0.5))
    with pytest.raises(ResultsError, match="no recorded replies"):
        Transcript(tmp_path / "none.jsonl", "replay")


@pytest.mark.parametrize("cut", [1, 7, 100])
def test_a_torn_record_goes_on(tmp_path, cut):
    path = tmp_path / "t.jsonl"
    sample(Transcript(path, "record", ScriptedClient(["a", "b"])), ASK, 2, parallel=1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    live = ScriptedClient(["b"])
    replies = sample(Transcript(path, "replay_or_live", live), ASK, 2, parallel=1)
    assert [reply.text for reply in replies] == ["a", "b"]
    assert len(live.requests) == 1
    assert path.read_bytes() == whole


def test_a_damaged_record_is_named(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text("nonsense\n")
    with pytest.raises(ResultsError, match="line 1 is damaged"):
        Transcript(path, "replay")


def test_threads_record_whole_lines(tmp_path):
    path = tmp_path / "t.jsonl"
    recording = Transcript(path, "record", ScriptedClient(lambda r: "x" * 5000 + str(r.sample)))
    sample(recording, ASK, 40, parallel=8)
    assert len({json.loads(line)["key"] for line in path.read_text().splitlines()}) == 40


@given(st.text(), st.text(), st.integers(0, 5), st.integers(0, 5))
def test_keys_differ_exactly_where_requests_do(one, two, first, second):
    a = dataclasses.replace(ASK, messages=({"role": "user", "content": one},), sample=first)
    b = dataclasses.replace(ASK, messages=({"role": "user", "content": two},), sample=second)
    assert (request_key(a) == request_key(b)) == ((one, first) == (two, second))
    assert request_key(a) == request_key(dataclasses.replace(a, purpose="another"))


def test_a_budget_is_checked_before_the_call():
    inner = ScriptedClient(lambda r: Reply(text="x", tokens_in=10, tokens_out=5))
    client = Budgeted(inner, Budget(calls=2), {})
    client.complete(ASK)
    client.complete(ASK)
    with pytest.raises(BudgetExceeded, match="calls spent to 3"):
        client.complete(ASK)
    assert len(inner.requests) == 2
    assert client.spent == {"usd": 0.0, "tokens": 30.0, "calls": 2.0}
    with pytest.raises(BudgetExceeded, match="tokens"):
        Budgeted(inner, Budget(tokens=40), {}).complete(ASK)  # 1 in and 50 out at most
    with pytest.raises(BudgetExceeded, match="a price for m"):
        Budgeted(inner, Budget(usd=1.0), {}).complete(ASK)
    priced = Budgeted(inner, Budget(usd=1.0), {"m": {"in": 1e3, "out": 1e4}})
    assert priced.complete(ASK).usd == pytest.approx(0.06)


def test_prices_go_by_the_longest_beginning(tmp_path):
    table = {"m": {"in": 1.0, "out": 1.0}, "m-large": {"in": 2.0, "out": 4.0}}
    assert price(table, "m-large-2", 1_000_000, 1_000_000) == 6.0
    assert price(table, "other", 1, 1) is None
    assert load_prices()["whoever answers the mailbox"]["in"] == 0.0


def test_a_mailbox_waits_for_a_file(tmp_path):
    mailbox = MailboxClient(tmp_path, timeout_s=10, poll_s=0.02)

    def answer():
        while not (waiting := list(tmp_path.glob("*.prompt.md"))):
            time.sleep(0.01)
        text = waiting[0].read_text()
        assert "write" in text
        assert "reply.md" in text
        Path(str(waiting[0]).replace("prompt", "reply")).write_text("from a person")

    person = threading.Thread(target=answer)
    person.start()
    assert mailbox.complete(dataclasses.replace(ASK, purpose="a try")).text == "from a person"
    person.join()
    assert mailbox.complete(dataclasses.replace(ASK, purpose="a try")).text == "from a person"


def test_a_mailbox_takes_json_and_tires(tmp_path):
    mailbox = MailboxClient(tmp_path, timeout_s=0.1, poll_s=0.02)
    with pytest.raises(FatalLLMError, match="nobody wrote"):
        mailbox.complete(ASK)
    (prompt,) = tmp_path.glob("*.prompt.md")
    reply = {"text": "hi", "model": "person", "tokens_in": 4, "tokens_out": 2}
    Path(str(prompt).replace(".prompt.md", ".reply.json")).write_text(json.dumps(reply))
    told = MailboxClient(tmp_path, timeout_s=5, poll_s=0.02).complete(ASK)
    assert (told.text, told.model, told.tokens_in) == ("hi", "person", 4)


def test_a_replay_needs_neither_key_nor_package(tmp_path, monkeypatch):
    path = tmp_path / "t.jsonl"
    sample(Transcript(path, "record", ScriptedClient(["a"])), ASK, 1)
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    client = build_client(LLMConfig(backend="replay", transcript=path))
    assert client.complete(ASK).text == "a"


def test_the_key_never_reaches_the_record(tmp_path, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    path = tmp_path / "t.jsonl"
    client = build_client(LLMConfig(model="m", base_url=server.url, transcript=path))
    assert client.complete(ASK).text == "hello"
    assert KEY not in path.read_text()
    client._client._live._client.close()


SCHEMA = {"type": "object", "properties": {"mark": {"type": "number"}}, "required": ["mark"]}
MARK = dataclasses.replace(ASK, schema=SCHEMA, purpose="marking")


def test_json_is_asked_for_by_schema_then_as_an_object_then_in_words(server, client):
    server.answer = in_turn(
        [
            (400, "response_format of type json_schema is not supported"),
            (400, "response_format json_object is not supported"),
            '{"mark": 1}',
        ]
    )
    client.complete(MARK)
    client.complete(MARK)
    asked = [item.get("response_format", {}).get("type") for item in server.seen]
    assert asked == ["json_schema", "json_object", None, None]
    assert server.seen[0]["response_format"]["json_schema"]["schema"] == SCHEMA


def test_a_reply_that_does_not_meet_its_schema_is_repaired_twice_at_most(server, client):
    server.answer = in_turn(
        ["no idea", 'Sure: {"mark": "high"}', '```json\n{"mark": 3}\n```', '{"x": 1}']
    )
    asked = Structured(client)
    reply = asked.complete(MARK)
    assert json.loads(reply.text) == {"mark": 3}
    assert (reply.tokens_in, reply.tokens_out) == (21, 9)
    told = [item["messages"][-1]["content"] for item in server.seen[1:]]
    assert "no JSON object" in told[0]
    assert "$.mark: 'high' is not of type 'number'" in told[1]
    with pytest.raises(LLMError, match=r"after 2 repairs.*'mark' is a required property"):
        asked.complete(MARK)
    assert len(server.seen) == 6


def test_a_request_without_schema_passes_through(server, client):
    server.answer = in_turn(["anything"])
    assert Structured(client).complete(ASK).text == "anything"


class Costing:
    """Fails for odd samples, and says what the others cost."""

    def __init__(self, usd):
        self.usd, self.asked = usd, 0

    def complete(self, request):
        self.asked += 1
        if request.sample % 2:
            raise LLMError("took too long")
        return Reply(text="x", tokens_in=10, tokens_out=5, usd=self.usd)


def test_failures_are_recorded_too_so_that_a_repeated_search_is_the_same(tmp_path):
    path, live = tmp_path / "t.jsonl", Costing(0.5)
    first = sample(Transcript(path, "replay_or_live", live), ASK, 4)
    for mode in ("replay_or_live", "replay"):
        again = sample(Transcript(path, mode, live), ASK, 4)
        assert [type(item) for item in again] == [type(item) for item in first]
        assert str(again[1]) == "took too long"
    assert live.asked == 4


def test_what_was_spent_is_read_from_the_record(tmp_path):
    path = tmp_path / "t.jsonl"
    assert spent(path) == {"calls": 0, "tokens_in": 0, "tokens_out": 0, "usd": 0.0}
    sample(Transcript(path, "record", Costing(0.5)), ASK, 4)
    assert spent(path) == {"calls": 4, "tokens_in": 20, "tokens_out": 10, "usd": 1.0}
    sample(Transcript(path, "record", Costing(None)), ASK, 1)
    assert spent(path)["usd"] is None
