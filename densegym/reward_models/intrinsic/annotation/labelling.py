"""Builds the annotation service of a language model, and labels lists of captions with it."""

from __future__ import annotations

import dataclasses
import fcntl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

from densegym.errors import DenseGymError, ResultsError, unknown
from densegym.reward_models.intrinsic.annotation.asking import Asking
from densegym.reward_models.intrinsic.annotation.grading import Grader
from densegym.reward_models.intrinsic.annotation.queue import Priority
from densegym.reward_models.intrinsic.annotation.service import AnnotationService
from densegym.reward_models.intrinsic.annotation.source import BaseSource
from densegym.reward_models.intrinsic.annotation.table import CaptionTable
from densegym.reward_models.llm.build import LLMConfig, build_plain_client
from densegym.reward_models.model import COSTS

MakeAnnotator: TypeAlias = Callable[..., Asking]


def llm_config(options: Mapping[str, Any]) -> LLMConfig:
    """Return the configuration of a language model from JSON-friendly options.

    The SDK's own retries are off unless asked for: the service repeats failed calls itself.

    Raises:
        UnknownNameError: an unknown option; names the closest.
        DenseGymError: no model is named.
    """
    known = [item.name for item in dataclasses.fields(LLMConfig)]
    for key in options:
        if key not in known:
            raise unknown("language-model option", key, known)
    if not options.get("model"):
        raise DenseGymError(
            'a language model needs a name: {"annotator": "endpoint", "llm": {"model": "qwen3", '
            '"base_url": "http://localhost:8000/v1"}}'
        )
    paths = {
        key: Path(options[key])
        for key in ("mailbox", "transcript", "prices")
        if options.get(key) is not None
    }
    if "mailbox" in paths:
        paths["backend"] = "mailbox"  # type: ignore[assignment]  # not a path
    return LLMConfig(**{"max_retries": 0, "mode": "record", **options, **paths})


def build_service(
    config: LLMConfig,
    path: Path,
    *,
    make: MakeAnnotator = Grader,
    batch: int = 50,
    priority: Priority = "recency",
    capacity: int = 10_000,
) -> AnnotationService:
    """Return a service, not started, that keeps its labels in a file and its queue beside it.

    Args:
        config: how the language model is reached; ``n_parallel`` prompts are asked at a time.
        path: of the table; begun where it does not exist.
        make: what asks, given the client, ``model=`` and ``annotator=``, its type.
        batch: most captions a prompt.
        priority: which captions are asked first.
        capacity: most captions waiting in memory.

    Raises:
        ResultsError: the table is damaged, of other provenance, or in use.
    """
    annotator = "language model, by mailbox" if config.backend == "mailbox" else "language model"
    asking = make(build_plain_client(config), model=config.model, annotator=annotator)
    asking.max_tokens = config.max_tokens
    lock = _lock(path)
    table = CaptionTable(asking.provenance, path)
    table.on_close(lock.close)
    return AnnotationService(
        asking,
        table,
        journal=path.with_name(f"{path.name}.queue"),
        batch=batch,
        workers=config.n_parallel,
        priority=priority,
        capacity=capacity,
    )


def _lock(path: Path) -> IO[str]:
    """Hold a table for this process until it is closed, or the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f"{path.name}.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise ResultsError(
            f"another run is labelling into {path}. Give each run a table of its own and join them "
            "later: densegym captions merge OUT TABLE..."
        ) from None
    return file


class LiveSource(BaseSource):
    """Labels that arrive while the policy learns, from a service that every user shares."""

    name = "endpoint"

    def __init__(self, service: AnnotationService, key: Path) -> None:
        self.service = service
        self._key = key
        self._users = 0
        self._earlier: dict[str, float] = {}

    @property
    def version(self) -> int:
        """Number of labels."""
        return len(self.service.table)

    @property
    def grades(self) -> Mapping[str, float]:
        """Every label that arrived."""
        return self.service.table

    def ask(self, caption: str) -> bool:
        """Queue a caption without a label; return whether it has one."""
        return self.service.ask(caption)

    def metrics(self) -> dict[str, float]:
        """Return the service's counters; calls and cost count earlier starts of the run too."""
        now = self.service.metrics()
        return {**now, **{name: now[name] + before for name, before in self._earlier.items()}}

    def state_dict(self) -> dict[str, Any]:
        """Return calls and cost; labels and queue are on disk."""
        counted = self.metrics()
        return {name: counted[name] for name in COSTS}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore calls and cost."""
        self._earlier = {name: float(state[name]) for name in COSTS}

    def close(self) -> None:
        """Stop the service when its last user has left."""
        self._users -= 1
        if self._users <= 0 and _OPEN.get(self._key) is self:
            del _OPEN[self._key]
            self.service.close()

    def shared(self) -> LiveSource:
        """Count one more user."""
        self._users += 1
        return self


_OPEN: dict[Path, LiveSource] = {}


def open_live(
    llm: Mapping[str, Any], path: Path, *, make: MakeAnnotator, batch: int, priority: str
) -> LiveSource:
    """Return the running source of a table; within a process there is one.

    Raises:
        DenseGymError: the options fit no language model.
        ResultsError: the table is damaged, of other provenance, or in use by another process.
    """
    key = path.resolve()
    if key not in _OPEN:
        service = build_service(
            llm_config(llm), path, make=make, batch=batch, priority=cast(Priority, priority)
        )
        service.start()
        _OPEN[key] = LiveSource(service, key)
    return _OPEN[key].shared()
