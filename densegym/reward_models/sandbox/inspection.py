"""What the static check says of a reward program."""

from __future__ import annotations

from dataclasses import dataclass, field

from densegym.reward_models.sandbox.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A program that was looked at and not run.

    Attributes:
        status: ``OK``, ``PARSE_ERROR`` or ``STATIC_REJECT``.
        feedback: what an author is told, with the author's line number; "" for ``OK``.
        kind: name of the entry function, one of ``vocabulary.KINDS``; "" unless ``OK``.
        parameters: names of the entry function's parameters, ``"memory"`` among them where the
            program keeps one.
        memory: M, or 0 for a program without memory.
        nodes: syntax nodes of the cleaned program.
        work: syntax nodes that one call evaluates, at most ``vocabulary.MAX_WORK``.
        ast_hash: sha256 of the cleaned program, so comments, docstrings, annotations and layout
            do not count; "" where the text does not parse.
        code: the cleaned program, which is what runs: no imports, docstrings or annotations.
        lines: the author's line number for every line of ``code``.
    """

    status: Status
    feedback: str = ""
    kind: str = ""
    parameters: tuple[str, ...] = ()
    memory: int = 0
    nodes: int = 0
    work: int = 0
    ast_hash: str = ""
    code: str = field(default="", repr=False)
    lines: tuple[int, ...] = field(default=(), repr=False)
