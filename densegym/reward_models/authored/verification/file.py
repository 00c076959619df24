"""A user's program file as a reward: ``{"model": "authored/file", "path": "my_reward.py"}``."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path

from densegym.errors import RewardError
from densegym.reward_models.authored.programs.program import (
    ProgramPotential,
    ProgramReward,
    build_program,
    has_header,
    plain_header,
    read_header,
)
from densegym.reward_models.authored.programs.sign import SignConstrained
from densegym.reward_models.authored.verification.verify import Verdict, verify
from densegym.reward_models.sandbox.status import Status
from densegym.reward_models.types import TaskCard


def build_file(
    *, task: TaskCard, path: str = "", sign_constrained: bool = False, isolated: bool = False
) -> ProgramReward | ProgramPotential | SignConstrained:
    """Verify a program file in a worker process, then load it into this one.

    Batches larger than those that it was tried on go to a worker process of their own.

    The file may carry a provenance header, whose ``stops_at_success`` counts. The model is called
    ``authored/file:<stem>@<hash of the code>``, so that two versions of a file are never one.

    Args:
        task: the task, which needs the features that the program reads.
        path: of the file.
        sign_constrained: pay only the signs of its terms ``dense`` and ``sparse``; see
            ``SignConstrained``.
        isolated: run it in a worker process all the time.

    Raises:
        RewardError: the file cannot be read, or the program does not pass; quotes the status and
            the feedback.
    """
    source = _read(path)
    verdict = _verdict(source, task)
    if verdict.status is not Status.OK:
        raise RewardError(f"{path} does not pass ({verdict.status}): {verdict.feedback}")
    name = f"authored/file:{Path(path).stem}@{verdict.ast_hash[:8]}"
    if has_header(source):
        header = dataclasses.replace(read_header(source, path), name=name)
    else:
        header = plain_header(source, task.id, name)
    model = build_program(header, task, isolated=isolated)
    if not sign_constrained:
        return model
    if isinstance(model, ProgramPotential):
        raise RewardError(f"{path} holds a potential; sign_constrained takes compute_reward")
    return SignConstrained(model)


@lru_cache(maxsize=32)
def _verdict(source: str, task: TaskCard) -> Verdict:
    """Verify once, however many environments are made with the file."""
    return verify(source, task)


def _read(path: str) -> str:
    if not path or not isinstance(path, str):
        raise RewardError(
            'authored/file needs the path of a program: {"model": "authored/file", "path": '
            f'"my_reward.py"}}; given {path!r}'
        )
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RewardError(f"{path} cannot be read as a reward program: {error}") from error
