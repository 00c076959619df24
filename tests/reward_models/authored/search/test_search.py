"""The search: ids that never shift, halving, resume after a kill at any point, fresh seeds."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from densegym.errors import DenseGymError, ResultsError
from densegym.reward_models.authored.screening.bank import Bank, Trajectory
from densegym.reward_models.authored.search.context import Desk, Judgement
from densegym.reward_models.authored.search.evaluation import Outcome
from densegym.reward_models.authored.search.ledger import Ledger
from densegym.reward_models.authored.search.search import (
    REPORT_SEED,
    SELECTION_SEED,
    Search,
    SearchConfig,
)
from densegym.reward_models.llm.scripted import ScriptedClient
from densegym.reward_models.llm.types import BudgetExceeded, Reply
from densegym.reward_models.sandbox.status import Status
from tests.toys import CARD


class Killed(BaseException):
    """Stands for kill -9: nothing may catch it."""


def judge(source: str) -> Judgement:
    code = source.split("#")[0].strip()
    status = Status.PARSE_ERROR if "broken" in code else Status.OK
    return Judgement(status=status, ast_hash=hashlib.sha256(code.encode()).hexdigest())


class Numbers:
    """Submits programs whose F is the number in their text; later ones improve on the best."""

    name = "numbers"
    asks = False

    def propose(self, context):
        best = max((row.fitness or 0.0 for row in context.rows), default=0.0)
        parent = [row.id for row in context.rows if row.fitness == best][:1]
        for k in range(context.candidates):
            value = best + 0.01 * (k + context.rng.integers(5))
            context.submit("broken" if k == 1 else f"value {value:.3f} {k}", parents=parent)


class Reader:
    """F is what the source says, reached in proportion to the steps trained."""

    def __init__(self, die_after: int | None = None) -> None:
        self.jobs, self.die_after, self.kept = [], die_after, {}

    def evaluate(self, jobs, on_done):
        outcomes = []
        for job in jobs:
            key = (job.candidate, job.seed, job.until)
            if key not in self.kept:
                if self.die_after is not None and len(self.jobs) >= self.die_after:
                    raise Killed
                self.jobs.append(job)
                self.kept[key] = self._outcome(job)
            outcomes.append(self.kept[key])
            on_done(job, outcomes[-1])
        return outcomes

    def _outcome(self, job) -> Outcome:
        if "crash" in job.source:
            return Outcome(status="runtime_error", feedback="it crashed")
        value = float(job.source.split()[1]) * job.until / job.steps
        result = {
            "F_mean": value,
            "F_std": 0.0,
            "success": 0.0,
            "length": 10.0,
            "episodes": job.eval_episodes,
            "training_success": 0.0,
            "env_steps": job.until,
        }
        course = {"series": [value], "sums": [value], "max": value, "mean": value, "min": value}
        return Outcome(result=result, components={"term": course}, clocks={"cpu_s": 1.0})


def bank() -> Bank:
    features = {"terminated": np.zeros(3, bool), "height": np.arange(3.0)}
    trajectory = Trajectory(features=features, source="random", success=False, fitness=0.0)
    return Bank(task=CARD.id, gamma=0.99, trajectories=(trajectory,))


def search(path: Path, *, author=None, evaluator=None, desk=None, **changes) -> Search:
    plain = {"task": CARD.id, "author": "numbers", "candidates": 6, "iterations": 3, "steps": 1000}
    return Search(
        SearchConfig(**{**plain, **changes}),
        card=CARD,
        author=author or Numbers(),
        bank=bank(),
        evaluator=evaluator or Reader(),
        ledger=Ledger(path),
        desk=desk or Desk(judge=judge),
    )


def test_halving_trains_few_and_confirms_the_best_on_fresh_seeds(tmp_path):
    evaluator = Reader()
    found = search(tmp_path / "ledger.jsonl", evaluator=evaluator).run()
    first = [job for job in evaluator.jobs if job.candidate.startswith("00-")]
    selecting = [job.until for job in first if job.eval_seed == SELECTION_SEED]
    assert selecting == [100] * 5 + [300] + [1000]  # 5 pass of 6: one each goes on
    best = max((row for row in found.rows if row.fitness), key=lambda row: row.fitness)
    assert found.winner.id == best.id
    assert len(found.winner.final) == 5
    confirming = [job for job in evaluator.jobs if job.eval_seed == REPORT_SEED]
    assert len(confirming) == 3 * 5
    assert not {job.seed for job in confirming} & {
        job.seed for job in evaluator.jobs if job.eval_seed == SELECTION_SEED
    }
    assert len({job.seed for job in confirming}) == 5


def test_a_failing_candidate_shifts_no_id(tmp_path):
    rows = search(tmp_path / "ledger.jsonl").run().rows
    assert [row.id for row in rows[:6]] == [f"00-0{k}" for k in range(6)]
    assert rows[1].status is Status.PARSE_ERROR
    assert rows[1].rungs == ()
    for row in rows:
        if row.rungs:
            value = float(row.source.split()[1])
            assert row.rungs[-1]["F_mean"] == pytest.approx(
                value * row.rungs[-1]["fraction"], rel=1e-4
            )


@pytest.mark.parametrize("jobs", [0, 1, 4, 6, 7, 9, 16, 23, 30])
def test_killed_anywhere_it_goes_on_and_leaves_the_same_bytes(tmp_path, jobs):
    search(tmp_path / "whole.jsonl").run()
    evaluator = Reader(die_after=jobs)
    with pytest.raises(Killed):
        search(tmp_path / "killed.jsonl", evaluator=evaluator).run()
    torn = (tmp_path / "killed.jsonl").read_bytes() if jobs else b""
    (tmp_path / "killed.jsonl").write_bytes(torn + b'{"id": "00-')
    evaluator.die_after = None
    search(tmp_path / "killed.jsonl", evaluator=evaluator).run()
    assert (tmp_path / "killed.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    keys = [(job.candidate, job.seed, job.until) for job in evaluator.jobs]
    assert len(keys) == len(set(keys))  # nothing is trained twice


def test_a_finished_search_does_nothing_more(tmp_path):
    path = tmp_path / "ledger.jsonl"
    search(path).run()
    before = path.read_bytes()
    again = Reader()
    found = search(path, evaluator=again).run()
    assert again.jobs == []
    assert path.read_bytes() == before
    assert found.winner is not None


class Twins(Numbers):
    def propose(self, context):
        context.submit("value 0.5")
        context.submit("value 0.5  # the same, with a remark")
        context.submit("value 0.25")


def test_the_same_code_is_trained_once(tmp_path):
    evaluator = Reader()
    found = search(tmp_path / "l.jsonl", author=Twins(), evaluator=evaluator, iterations=1).run()
    assert found.rows[1].duplicate_of == "00-00"
    assert not [job for job in evaluator.jobs if job.candidate == "00-01"]


class Crash(Numbers):
    def propose(self, context):
        context.submit("crash 0.9")
        context.submit("value 0.1")


def test_a_program_that_fails_in_training_loses_its_place(tmp_path):
    found = search(tmp_path / "l.jsonl", author=Crash(), iterations=1).run()
    assert found.rows[0].status is Status.RUNTIME_ERROR
    assert found.rows[0].feedback == "it crashed"
    assert found.winner.id == "00-01"


class Asker(Numbers):
    asks = True

    def propose(self, context):
        for reply in context.ask([{"role": "user", "content": "write"}], samples=3):
            if reply is not None:
                context.submit(reply.text, reply=reply)
        context.ask([{"role": "user", "content": "more"}])


def test_a_budget_hit_in_the_middle_keeps_the_best_so_far(tmp_path):
    priced = [
        Reply(text=f"value 0.{k}", tokens_in=10, tokens_out=5, usd=0.5, model="m", key=f"k{k}")
        for k in (1, 2, 3)
    ]
    client = ScriptedClient([*priced, BudgetExceeded("the budget of 1 USD is spent")])
    desk = Desk(judge=judge, client=client, model="m", parallel=1)
    found = search(tmp_path / "l.jsonl", author=Asker(), desk=desk).run()
    assert found.stopped.startswith("the budget")
    assert found.winner.source == "value 0.3"
    assert found.winner.usd == 0.5
    assert found.winner.author["model"] == "m"
    assert [row.iteration for row in Ledger(tmp_path / "l.jsonl").rows()] == [0, 0, 0]


def test_another_search_in_the_same_ledger_is_refused(tmp_path):
    path = tmp_path / "ledger.jsonl"
    search(path).run()
    with pytest.raises(ResultsError, match="another search"):
        search(path, author=Twins()).run()


def test_restarts_are_independent(tmp_path):
    found = search(tmp_path / "l.jsonl", iterations=2, restarts=2).run()
    assert sorted({row.iteration for row in found.rows}) == [0, 1, 2, 3]
    assert all(not row.parents for row in found.rows if row.iteration == 2)
    assert all(row.parents for row in found.rows if row.iteration == 3)


def test_training_in_full_measures_what_halving_missed(tmp_path):
    from densegym.reward_models.authored.search.summary import halving_check

    path = tmp_path / "l.jsonl"
    engine = search(path, final_top=1, final_seeds=1)
    found = engine.run()
    engine.train_in_full()
    rows = Ledger(path).rows()
    check = halving_check(rows, (0.1, 0.3, 1.0))
    assert check["candidates"] == 15
    assert check["full_steps"] == 15 * 1000
    assert check["halving_steps"] == 3 * (4 * 100 + 1000)
    assert check["full_best_F"] == check["halving_best_F"] == found.winner.fitness
    assert check["spearman"]["0.1"] == pytest.approx(1.0)
    again = search(path, final_top=1, final_seeds=1, evaluator=Reader(die_after=0))
    assert again.run().winner.id == found.winner.id  # audited rows do not disturb a resume


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"candidates": 0}, "candidates is at least 1"),
        ({"fractions": (0.3, 0.1, 1.0)}, "fractions rise"),
        ({"fractions": (0.1, 0.5)}, "fractions rise"),
        ({"eta": 1}, "eta is at least 2"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, told):
    with pytest.raises(DenseGymError, match=told):
        SearchConfig(task="x", **changes)
