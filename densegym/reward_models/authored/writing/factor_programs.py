"""Factor programs in the answers of a language model: read, verified, evaluated on a bank."""

from __future__ import annotations

import re

from densegym.reward_models.authored.programs.runner import open_runner
from densegym.reward_models.authored.screening.bank import Bank
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.context import Context
from densegym.reward_models.authored.writing import extract
from densegym.reward_models.authored.writing.dialogue import FaultyAnswerError
from densegym.reward_models.llm.structured import json_object
from densegym.reward_models.llm.types import Reply
from densegym.reward_models.sandbox.allowlist import Inspection
from densegym.reward_models.sandbox.process import SandboxError
from densegym.reward_models.types import Float

_ENTRY = re.compile(r"^def factors\b", re.MULTILINE)


def factors_source(text: str, key: str) -> str:
    """Return the code of an answer: of its JSON's ``key``, else of its block, else all of it."""
    data = json_object(text)
    code = data.get(key) if data is not None else None
    return extract.code(code if isinstance(code, str) else text) or text


def submit_factors(context: Context, source: str, reply: Reply, *, prompt_hash: str) -> Row:
    """Submit a factor program for verification alone and return its row.

    Raises:
        FaultyAnswerError: it did not pass, or is no factor program.
    """
    row = context.submit(source, reply=reply, note="factors", train=False, prompt_hash=prompt_hash)
    if not _ENTRY.search(source):
        raise FaultyAnswerError("it must define factors(feature, ...) -> {name: value}")
    if not row.status.passed:
        raise FaultyAnswerError(row.feedback)
    return row


def renamed(source: str, name: str) -> str:
    """Return a factor program whose function has another name."""
    return _ENTRY.sub(f"def {name}", source.strip())


def factors_on_bank(bank: Bank, inspection: Inspection) -> dict[str, Float]:
    """Return every factor at every step of a bank, (steps,) each.

    Raises:
        FaultyAnswerError: the program fails there.
    """
    try:
        with open_runner(inspection, isolated=True) as runner:
            return dict(runner(bank.stacked()).parts)
    except SandboxError as error:
        raise FaultyAnswerError(error.feedback) from error
