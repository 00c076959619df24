"""An author's context without a search: scripted replies, rows in memory, any judge."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json

import numpy as np

from densegym.reward_models.authored.authors import find_author
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.context import Judgement
from densegym.reward_models.llm.types import Reply
from densegym.reward_models.sandbox.status import Status
from tests.reward_models.authored import toy_bank

CARD = dataclasses.replace(toy_bank.CARD, goal="Walk to the goal.", success="At the goal.")
BANK = toy_bank.bank()
CRASH, MISRANKS = "CRASHES", "MISRANKS"
RUNG = {"F_std": 0.0, "success": 0.5, "length": 40.0, "training_success": 0.1, "episodes": 20}
RUNG |= {"env_steps": 1000, "fraction": 1.0, "seed": 1}


def program(number: float = 1.0, remark: str = "") -> str:
    return (
        f"def compute_reward(walker_position, goal_position):\n"
        f"    near = {number} * np.abs(walker_position - goal_position)[:, 0]  # {remark}\n"
        f'    return near, {{"near": near}}'
    )


def crashing(number: float = 1.0) -> str:
    return program(number).replace("near =", f"{CRASH} = near =")


def misranking(number: float = 1.0) -> str:
    return program(number).replace("near =", f"{MISRANKS} = near =")


def answer(code: str, **more) -> str:
    return json.dumps({"analysis": "a", "plan": "p", "code": code, **more})


def judge(source: str) -> Judgement:
    """Judge as the real one would, without a sandbox: by what the program is called."""
    try:
        digest = hashlib.sha256(ast.unparse(ast.parse(source)).encode()).hexdigest()[:12]
    except SyntaxError:
        return Judgement(status=Status.PARSE_ERROR, feedback="line 1: invalid syntax")
    if "def compute_reward" not in source:
        return Judgement(status=Status.STATIC_REJECT, feedback="no entry", ast_hash=digest)
    if CRASH in source:
        told = "line 2: IndexError: walker_position has no axis 7"
        return Judgement(status=Status.RUNTIME_ERROR, feedback=told, ast_hash=digest)
    if MISRANKS in source:
        return Judgement(
            status=Status.TPE_FAIL,
            feedback="Failed episodes earn more.\n  near: 1, 2, 3",
            ast_hash=digest,
            screen={"status": "tpe_fail", "auc": 0.2, "n_succ": 8, "n_fail": 8},
        )
    return Judgement(status=Status.OK, ast_hash=digest, screen={"status": "ok", "auc": 0.9})


class FakeContext:
    """Stands for ``context.Context``; replies come from a list of texts, Replies, and Nones."""

    def __init__(
        self,
        replies,
        *,
        judge=judge,
        bank=BANK,
        card=CARD,
        rows=(),
        candidates=1,
        feedback="",
        **options,
    ):
        self.card, self.bank, self.rows, self.options = card, bank, list(rows), options
        self.iteration = max((row.iteration for row in rows), default=-1) + 1
        self.candidates, self.feedback = candidates, feedback
        self.rng = np.random.default_rng([0, self.iteration])
        self.asked: list[dict] = []
        self.submitted: list[Row] = []
        self._replies, self._judge = list(replies), judge

    def ask(self, messages, *, samples=1, temperature=None, schema=None, purpose=""):
        self.asked.append(
            {"messages": list(messages), "samples": samples, "temperature": temperature}
            | {"purpose": purpose, "text": "\n".join(turn["content"] for turn in messages)}
        )
        replies = [self._replies.pop(0) for _ in range(samples)]
        return [Reply(text=item) if isinstance(item, str) else item for item in replies]

    def submit(self, source, *, parents=(), reply=None, note="", train=True, prompt_hash=""):
        judged = self._judge(source)
        known = [*self.rows, *self.submitted]
        twins = (r.id for r in known if judged.ast_hash and r.ast_hash == judged.ast_hash)
        row = Row(
            id=f"{self.iteration:02d}-{len(self.submitted):02d}",
            iteration=self.iteration,
            parents=tuple(parents),
            source=source,
            duplicate_of=next(twins, None),
            author={"note": note, "train": train, "prompt_hash": prompt_hash},
            **{key: getattr(judged, key) for key in ("status", "feedback", "ast_hash", "screen")},
        )
        self.submitted.append(row)
        return row

    def told(self, index: int = -1) -> str:
        """What the model read in one question."""
        return self.asked[index]["text"]

    @property
    def trained(self) -> list[Row]:
        rows = [row for row in self.submitted if row.status.passed and row.author["train"]]
        return [row for row in rows if row.duplicate_of is None]


def propose(name, replies, **context) -> FakeContext:
    made = FakeContext(replies, **context)
    find_author(name).propose(made)
    return made


def after(row: Row, fitness: float, **changes) -> Row:
    """Return a row as training leaves it."""
    made = {"series": [0.1, 0.5], "sums": [1.0, 5.0], "max": 0.5, "mean": 0.3, "min": 0.1}
    rungs = ({**RUNG, "F_mean": fitness, **changes},)
    return row.with_(status=Status.TRAINED, rungs=rungs, components={"near": made})


def trained(identity: str, fitness: float, number: float = 1.0, note: str = "") -> Row:
    row = Row(
        id=identity,
        iteration=int(identity.split("-")[0]),
        source=program(number),
        status=Status.OK,
        ast_hash=f"hash-{number}",
        author={"note": note},
        screen={"status": "ok", "auc": 0.9},
    )
    return after(row, fitness)
