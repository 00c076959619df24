"""The four authors in a search: equal bytes twice, after a kill, and no id that shifts."""

from __future__ import annotations

import hashlib
import json

import pytest

from densegym.reward_models.authored.authors import find_author
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.context import Desk
from densegym.reward_models.authored.search.evaluation import Outcome
from densegym.reward_models.authored.search.ledger import Ledger
from densegym.reward_models.authored.search.search import Search, SearchConfig
from densegym.reward_models.authored.writing.prompts import prompt_hash
from densegym.reward_models.llm.types import Reply
from tests.reward_models.authored.fake_context import (
    BANK,
    CARD,
    RUNG,
    answer,
    crashing,
    judge,
    program,
)

FOUR = ("eureka", "text2reward", "card", "revolve")


class Oracle:
    """A language model that answers from the request alone; every seventh answer is unusable."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def complete(self, request) -> Reply:
        told = json.dumps([request.messages, request.sample])
        self.asked.append(told)
        number = int(hashlib.sha256(told.encode()).hexdigest()[:8], 16)
        first = len(request.messages) == 2 and request.sample % 100 == 0
        text = answer(program(number / 1e9))
        if first or number % 7 == 0:
            text = "I would rather not."
        elif number % 5 == 0:
            text = answer(crashing(float(number)))
        return Reply(text=text, model="oracle", key=hashlib.sha256(told.encode()).hexdigest()[:8])


class Killed(BaseException):
    """Stands for kill -9."""


class Trainer:
    """F is a function of the source; some runs fail, and the process may be killed."""

    def __init__(self, die_after: int | None = None) -> None:
        self.jobs, self.die_after = 0, die_after

    def evaluate(self, jobs, on_done):
        outcomes = []
        for job in jobs:
            if self.die_after is not None and self.jobs >= self.die_after:
                raise Killed
            self.jobs += 1
            outcomes.append(self._outcome(job))
            on_done(job, outcomes[-1])
        return outcomes

    def _outcome(self, job) -> Outcome:
        number = int(hashlib.sha256(job.source.encode()).hexdigest()[:8], 16)
        if number % 11 == 0:
            return Outcome(status="unstable", feedback="/tmp/x/program.py was unstable")
        result = {**RUNG, "F_mean": number / 2**32 * job.until / job.steps, "env_steps": job.until}
        del result["fraction"], result["seed"]
        made = {"series": [0.0, 1.0], "sums": [0.0, 9.0], "max": 1.0, "mean": 0.5, "min": 0.0}
        return Outcome(result=result, components={"near": made})


def search(path, author: str, *, trainer=None, client=None, **config) -> list[Row]:
    plain = {"task": CARD.id, "author": author, "steps": 1000, "iterations": 2, "final_seeds": 1}
    found = Search(
        SearchConfig(**{**plain, "candidates": 6, **config}),
        card=CARD,
        author=find_author(author),
        bank=BANK,
        evaluator=trainer or Trainer(),
        ledger=Ledger(path),
        desk=Desk(judge=judge, client=client or Oracle(), model="oracle"),
    ).run()
    return list(found.rows)


@pytest.mark.parametrize("author", FOUR)
def test_two_searches_leave_the_same_bytes(tmp_path, author):
    sixteen = {"candidates": 16}
    rows = search(tmp_path / "one.jsonl", author, **sixteen)
    search(tmp_path / "two.jsonl", author, **sixteen)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    assert len({row.id for row in rows}) == len(rows)
    assert {row.iteration for row in rows} == {0, 1}
    by_id = {row.id: row for row in rows}
    for row in rows:
        assert all(parent in by_id for parent in row.parents)


def test_an_unparsable_first_reply_shifts_no_id(tmp_path):
    oracle = Oracle()
    rows = search(tmp_path / "l.jsonl", "eureka", candidates=16, client=oracle)
    assert rows[0].source == "I would rather not."
    written = [row for row in rows if row.source.startswith("def ")]
    assert len(written) > 32
    for row in written:
        number = int(row.author["reply"], 16)
        assert f"{number}.0 *" in row.source or f"{number / 1e9} *" in row.source
    children = [row for row in rows if row.author["note"] == "mutation"]
    (winner,) = (row for row in rows if (row.id,) == children[0].parents)
    assert len(winner.rungs) == 3
    shown = [told for told in oracle.asked if '"role": "assistant"' in told]
    assert any(json.dumps(winner.source.strip())[1:-1] in told for told in shown)
    assert {child.parents for child in children} == {(winner.id,)}


@pytest.mark.parametrize("author", FOUR)
@pytest.mark.parametrize("jobs", [0, 1, 3, 6, 8])
def test_a_killed_search_goes_on_and_leaves_the_same_bytes(tmp_path, author, jobs):
    search(tmp_path / "whole.jsonl", author, iterations=3)
    with pytest.raises(Killed):
        search(tmp_path / "killed.jsonl", author, iterations=3, trainer=Trainer(die_after=jobs))
    search(tmp_path / "killed.jsonl", author, iterations=3)
    assert (tmp_path / "killed.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_the_prompt_hash_names_the_templates_that_were_used(tmp_path):
    rows = search(tmp_path / "l.jsonl", "eureka")
    first = prompt_hash("role", "task", "interface", "contract", "rules", "output")
    assert rows[0].author["prompt_hash"] == first
    later = [row.author["prompt_hash"] for row in rows if row.iteration == 1]
    assert first not in later
