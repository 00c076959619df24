"""Puts a search together: bank, judge, language model, engine, ledger; writes what it found."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from densegym.agents.authoring.engines import PooledEvaluator, check_engine
from densegym.agents.authoring.folder import (
    CLOCKS,
    LEDGER,
    PAGE,
    SUMMARY,
    TRANSCRIPT,
    WINNER,
    program_text,
    read_clocks,
    settle,
)
from densegym.agents.authoring.page import write_page
from densegym.agents.authoring.recorded import RecordedEvaluator
from densegym.agents.collecting.bank import load_or_collect, play_expert
from densegym.agents.training.config import resolve
from densegym.agents.training.provenance import installed_versions
from densegym.agents.training.results import append_jsonl, write_json
from densegym.envs.tasks import task_card
from densegym.errors import ResultsError
from densegym.reward_models.authored.authors import find_author
from densegym.reward_models.authored.screening.audit import Audit, audit, audit_expert
from densegym.reward_models.authored.screening.bank import Bank
from densegym.reward_models.authored.search.context import Desk
from densegym.reward_models.authored.search.evaluation import Evaluator, Job, Outcome
from densegym.reward_models.authored.search.judge import ProgramJudge
from densegym.reward_models.authored.search.ledger import Ledger
from densegym.reward_models.authored.search.search import Found, Moment, Search, SearchConfig
from densegym.reward_models.authored.search.summary import cost, halving_check, summarise
from densegym.reward_models.llm.build import LLMConfig, build_client, check_llm
from densegym.reward_models.llm.transcript import first_request, spent
from densegym.reward_models.llm.types import LLMError
from densegym.reward_models.types import TaskCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Where candidates are trained.

    Attributes:
        name: ``"process"`` or ``"ray"``.
        workers: jobs side by side.
        address: of a Ray cluster.
    """

    name: str = "process"
    workers: int = 2
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One search as a user asks for it.

    Attributes:
        config: what to search.
        folder: where it lies; a search found there is continued.
        llm: the language model, or None for authors that ask none.
        engine: where candidates are trained.
        replay: folder of a recorded search whose outcomes stand in for training.
        feedback: what a person says about iterations, by number.
        full: afterwards train every passing candidate in full, to measure what halving saved.
    """

    config: SearchConfig
    folder: Path
    llm: LLMConfig | None = None
    engine: Engine = field(default_factory=Engine)
    replay: Path | None = None
    feedback: Callable[[int], str] = lambda iteration: ""
    full: bool = False


def prepare(
    task: str, on_episode: Callable[[int, int], None] = lambda done, episodes: None
) -> Bank:
    """Return the trajectory bank of a task, collected on first use.

    Args:
        task: environment id.
        on_episode: told about collected and wanted episodes.
    """
    return load_or_collect(task, on_episode=on_episode)


def language_model(
    *,
    folder: Path,
    model: str = "",
    base_url: str | None = None,
    key_env: str = "OPENAI_API_KEY",
    mailbox: Path | None = None,
    record: Path | None = None,
    max_tokens: int | None = None,
    budget: tuple[float | None, int | None, int | None] = (None, None, None),
    prices: Path | None = None,
    parallel: int = 4,
) -> LLMConfig | None:
    """Return how a search reaches its language model, or None where nothing was named.

    Every reply is recorded in the search's folder, so a search that was killed asks for none
    twice.

    Args:
        folder: of the search.
        model: as the endpoint names it.
        base_url: of an OpenAI-compatible endpoint; None is the SDK's default.
        key_env: environment variable that holds the key.
        mailbox: folder for prompts and replies instead of an endpoint.
        record: folder of a recorded search whose replies are replayed.
        max_tokens: longest reply.
        budget: most USD, tokens and calls, over all calls of one search.
        prices: a price table of the user's.
        parallel: replies asked for at a time.
    """
    if record is not None:
        replies = record / TRANSCRIPT
        if not replies.is_file():
            return None  # an author without a model was recorded
        asked = first_request(replies)
        return LLMConfig(
            backend="replay",
            mode="replay",
            transcript=replies,
            model=asked["model"],
            max_tokens=asked["max_tokens"],
        )
    if not model and mailbox is None:
        return None
    return LLMConfig(
        backend="openai" if mailbox is None else "mailbox",
        mailbox=mailbox,
        model=model or "whoever answers the mailbox",
        base_url=base_url,
        key_env=key_env,
        mode="replay_or_live",
        transcript=folder / TRANSCRIPT,
        budget_usd=budget[0],
        budget_tokens=budget[1],
        budget_calls=budget[2],
        prices=prices,
        max_tokens=max_tokens,
        n_parallel=parallel,
    )


def check_request(request: Request) -> None:
    """Refuse what a search would stumble over later; makes no file and starts nothing.

    Raises:
        DenseGymError: an option, a training setting, an engine or a budget that cannot be used.
        LLMError: the author asks a language model and none can be asked.
    """
    config = request.config
    author = find_author(config.author)
    author.check_options(config.options)
    resolve(config.task, seed=config.seed, steps=config.steps, overrides=config.settings)
    check_engine(request.engine.name, request.engine.workers)
    if not author.asks:
        return
    if request.llm is None:
        raise LLMError(
            f"the author {author.name} asks a language model. Give --model (and --base-url), "
            "--mailbox FOLDER, or --replay RECORD."
        )
    check_llm(request.llm)


def audit_program(source: str | None, task: str, bank: Bank | None = None) -> Audit:
    """Audit a program on a bank, or with None the suite's hand-written reward."""
    if source is None:
        paid = play_expert(task)
        return audit_expert(paid.bank, paid.rewards, paid.largest)
    assert bank is not None
    return audit(source, task_card(task), bank)


def run_search(
    request: Request,
    bank: Bank,
    *,
    on_change: Callable[[Moment], None] = lambda moment: None,
) -> Found:
    """Carry out a search, or go on with the one in its folder.

    Writes ``ledger.jsonl``, ``summary.json``, ``winner.py`` and ``page.html`` into the folder.

    Args:
        request: what to search, and where.
        bank: labelled trajectories of the task; see ``prepare``.
        on_change: told about every step.

    Raises:
        ResultsError: the folder holds another search, or one that is still running.
        LLMError: the author asks a language model and none was given.
    """
    check_request(request)
    config, folder = request.config, request.folder
    author = find_author(config.author)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        settle(folder, config)
        card = task_card(config.task)
        failures: list[str] = []
        with ProgramJudge(card, bank) as judge, _evaluator(request) as evaluator:
            desk = Desk(
                judge=judge,
                client=build_client(request.llm) if request.llm and author.asks else None,
                model=request.llm.model if request.llm else "",
                max_tokens=request.llm.max_tokens if request.llm else None,
                parallel=request.llm.n_parallel if request.llm else 1,
                feedback=request.feedback,
                facts=_facts(card),
                on_failed=lambda error: failures.append(str(error)),
            )
            search = Search(
                config,
                card=card,
                author=author,
                bank=bank,
                evaluator=evaluator,
                ledger=Ledger(folder / LEDGER),
                desk=desk,
                on_change=on_change,
                on_outcome=_clock(folder / CLOCKS),
            )
            found = search.run()
            if request.full:
                search.train_in_full()
        _conclude(request, found, card, failures)
    return found


@contextlib.contextmanager
def _evaluator(request: Request) -> Iterator[Evaluator]:
    if request.replay is not None:
        yield RecordedEvaluator(request.replay / LEDGER, request.config.steps)
        return
    engine = request.engine
    with PooledEvaluator(
        request.folder / "runs", engine=engine.name, workers=engine.workers, address=engine.address
    ) as evaluator:
        yield evaluator


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ResultsError(
            f"a search is running in {folder}. Wait for it, or choose another --out."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _facts(card: TaskCard) -> dict[str, Any]:
    versions = installed_versions()
    named = {k: versions[k] for k in ("gymnasium", "mujoco", "metaworld") if k in versions}
    table = json.dumps([dataclasses.asdict(item) for item in card.features], sort_keys=True)
    digest = hashlib.sha256(table.encode()).hexdigest()[:16]
    return {"env": {"id": card.id, "versions": named}, "features_hash": digest}


def _clock(path: Path) -> Callable[[Job, Outcome], None]:
    def note(job: Job, outcome: Outcome) -> None:
        if outcome.clocks:
            line = {"candidate": job.candidate, "seed": job.seed, "until": job.until}
            append_jsonl(path, {**line, **outcome.clocks})

    return note


def _transcript(request: Request) -> Path:
    """Return where the replies of a search lie: with its record, or in its own folder."""
    known = request.llm.transcript if request.llm else None
    return known or request.folder / TRANSCRIPT


def _conclude(request: Request, found: Found, card: TaskCard, failures: list[str]) -> None:
    folder, config = request.folder, request.config
    rows = Ledger(folder / LEDGER).rows()
    summary = {
        "schema": 1,
        "task": config.task,
        "author": config.author,
        "stopped": found.stopped,
        "failed_replies": failures,
        **summarise(rows, config.steps),
        **spent(_transcript(request)),
        **cost(read_clocks(folder)),
    }
    if request.full:
        summary["halving"] = halving_check(rows, config.fractions)
    write_json(folder / SUMMARY, summary)
    if found.winner is not None:
        text = program_text(found.winner, config, name=folder.name.lower())
        (folder / WINNER).write_text(text, encoding="utf-8")
    write_page(folder / PAGE, rows, summary, card)
