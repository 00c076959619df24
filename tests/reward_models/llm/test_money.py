"""Money is exact: every paid reply counts, in every run of a search, and none is thrown away."""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path

import pytest

from densegym.errors import DenseGymError
from densegym.reward_models.llm.budget import Budget, Budgeted, load_prices, price, spent_before
from densegym.reward_models.llm.build import LLMConfig, build_plain_client, check_llm
from densegym.reward_models.llm.endpoint import EndpointClient
from densegym.reward_models.llm.sampling import sample
from densegym.reward_models.llm.transcript import Transcript, spent
from densegym.reward_models.llm.types import BudgetExceeded, LLMError, Reply, Request
from tests.chat_server import ChatServer, completion

ASK = Request(messages=({"role": "user", "content": "write" * 9},), model="m", max_tokens=50)
PRICES = {"m": {"in": 1e3, "out": 1e4}}


class Paid:
    """Every reply costs ten tokens in and five out; odd samples hold no text."""

    def __init__(self, wait_s: float = 0.0) -> None:
        self.asked, self.wait_s = 0, wait_s

    def complete(self, request: Request) -> Reply:
        self.asked += 1
        time.sleep(self.wait_s)
        if request.sample % 2:
            error = LLMError("no text")
            error.tokens_in, error.tokens_out = 10, 5
            raise error
        return Reply(text="x", tokens_in=10, tokens_out=5)


def asked(k: int) -> Request:
    return dataclasses.replace(ASK, sample=2 * k)


def test_common_models_have_a_price_and_their_dated_versions_the_same():
    table = load_prices()
    assert price(table, "gpt-4.1", 1_000_000, 1_000_000) == 10.0
    assert price(table, "gpt-4.1-2025-04-14", 1_000_000, 0) == 2.0
    assert price(table, "gpt-4.1-mini", 1_000_000, 0) == 0.4
    for stranger in ("gpt-5-pro", "gpt-5.9", "gpt-4.1-turbo", "llama3", "gpt-4"):
        assert price(table, stranger, 1, 1) is None


def test_a_table_of_ones_own_goes_over_the_shipped_one(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('["llama"]\nin = 0.5\nout = 1.0\n["gpt-4.1"]\nin = 1.0\nout = 1.0\n')
    table = load_prices(mine)
    assert price(table, "llama-3-70b", 1_000_000, 0) == 0.5
    assert price(table, "gpt-4.1", 1_000_000, 0) == 1.0
    assert price(table, "gpt-4o", 1_000_000, 0) == 2.5
    with pytest.raises(DenseGymError, match="cannot be read as a price table"):
        load_prices(tmp_path / "none.toml")


def test_a_budget_in_usd_for_an_unknown_model_says_what_to_type(tmp_path):
    config = LLMConfig(model="llama3", base_url="http://localhost:1/v1", budget_usd=2.0)
    with pytest.raises(BudgetExceeded, match=r'\["llama3"\] .*--prices FILE'):
        check_llm(config)
    mine = tmp_path / "mine.toml"
    mine.write_text('["llama3"]\nin = 1.0\nout = 2.0\n')
    check_llm(dataclasses.replace(config, prices=mine))


def test_the_first_command_of_the_readme_passes_its_check(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    assert "--model gpt-4.1 --budget-usd 2" in readme
    check_llm(LLMConfig(model="gpt-4.1", budget_usd=2.0))


def test_unusable_replies_cost_what_they_cost(tmp_path):
    path = tmp_path / "t.jsonl"
    client = Budgeted(Paid(), Budget(), PRICES)
    sample(Transcript(path, "record", client), ASK, 4, parallel=1)
    assert client.spent == {"usd": pytest.approx(0.24), "tokens": 60.0, "calls": 4.0}
    told = {"calls": 4, "tokens_in": 40, "tokens_out": 20, "usd": pytest.approx(0.24)}
    assert spent(path) == told
    assert spent_before(path, PRICES) == client.spent


def test_one_budget_holds_however_often_a_search_is_continued(tmp_path):
    path = tmp_path / "t.jsonl"
    for run in range(3):
        before = spent_before(path, PRICES)
        live = Budgeted(Paid(), Budget(calls=4), PRICES, before=before)
        client = Transcript(path, "replay_or_live", live)
        for k in range(3):  # the same three again: nobody is asked
            client.complete(asked(k))
        if run == 0:
            client.complete(asked(3))
        with pytest.raises(BudgetExceeded):
            client.complete(asked(4 + run))
    assert spent_before(path, PRICES)["calls"] == 4.0


def test_what_was_recorded_without_a_price_is_priced_later(tmp_path):
    path = tmp_path / "t.jsonl"
    Transcript(path, "record", Budgeted(Paid(), Budget(), {})).complete(ASK)
    assert spent(path)["usd"] is None
    assert spent_before(path, PRICES)["usd"] == pytest.approx(0.06)


def test_parallel_estimates_wait_for_each_other_and_refuse_only_what_does_not_fit():
    # Estimated at 66 tokens, each costs 15: four fit into 120, two at a time do not.
    client = Budgeted(Paid(wait_s=0.02), Budget(tokens=120), {})
    failures = []

    def ask(k: int) -> None:
        try:
            client.complete(asked(k))
        except BudgetExceeded as error:
            failures.append(error)

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10.0)
    assert not failures
    assert client.spent["tokens"] == 60.0
    with pytest.raises(BudgetExceeded):
        client.complete(dataclasses.replace(ASK, max_tokens=100))


@pytest.mark.parametrize("parallel", [1, 4])
def test_replies_before_the_budgets_end_are_kept(parallel):
    class Even(Paid):
        def complete(self, request):
            return super().complete(dataclasses.replace(request, sample=0))

    client = Budgeted(Even(), Budget(calls=3), {})
    said = sample(client, ASK, 6, parallel=parallel)
    kept = [item for item in said if isinstance(item, Reply)]
    assert 1 <= len(kept) <= 3
    if parallel == 1:
        assert len(kept) == 3
    assert [isinstance(item, Reply) for item in said] == [True] * len(kept) + [False] * (
        6 - len(kept)
    )
    with pytest.raises(BudgetExceeded):
        sample(client, ASK, 2, parallel=parallel)


def test_a_server_that_tells_no_tokens_is_counted_from_the_text(tmp_path: Path):
    def silent(request):
        answer = completion("hello there")
        answer.pop("usage", None)
        return answer

    with ChatServer(silent) as server:
        path = tmp_path / "t.jsonl"
        config = LLMConfig(model="m", base_url=server.url, transcript=path)
        reply = build_plain_client(config).complete(ASK)
    assert reply.estimated
    assert (reply.tokens_in, reply.tokens_out) == (15, 4)
    assert spent(path)["calls_estimated"] == 1
    assert Transcript(path, "replay").complete(ASK).estimated


def test_an_empty_reply_is_paid_for_too():
    def empty(request):
        return completion("")

    with ChatServer(empty) as server:
        client = EndpointClient(base_url=server.url, max_retries=0)
        with pytest.raises(LLMError, match="without text") as caught:
            client.complete(ASK)
        client.close()
    assert caught.value.tokens_in > 0
