"""The model card of a shared run: what it reached, a film, and the commands that use it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from densegym.agents.bench.report import train_command
from densegym.agents.bench.statistics import wilson
from densegym.agents.training.results import Run
from densegym.envs.terms import meta_terms

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|!])")
_FILMS = (".mp4", ".webm")


def model_card(run: Run, media: Sequence[PurePath]) -> str:
    """Return ``README.md`` with the front matter that the Hugging Face Hub reads.

    Args:
        run: what is shared.
        media: films and pictures, relative to the card.
    """
    meta = run.meta
    title = f"{meta['algo']} on {meta['env']}, paid {meta['reward']}"
    sections = [
        _front_matter(run),
        f"# {_text(title)}",
        f"An agent that DenseGym {_text(str(meta['densegym']))} trained for {meta['steps']:,} "
        f"steps with seed {meta['seed']}. The numbers are the world's own outcome in "
        f"{len(run.success)} deterministic episodes; the learned reward is not among them. One "
        "seed proves nothing about a method.",
        _table(run),
        *(_medium(path) for path in media),
        "## Use it",
        "```sh\npip install 'densegym[agents]'\n"
        "densegym pull WHERE_THIS_LIES     # a folder, or hf:owner/name\n"
        "densegym eval FOLDER              # what pull printed\n```",
        "The checkpoint holds plain tensors and is read without unpickling anything.",
        "## Train it again",
        f"```sh\n{train_command(run)}\n```",
        "## Made with",
        "\n".join(f"- {_text(name)} {_text(str(v))}" for name, v in meta["versions"].items()),
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(run: Run) -> str:
    """Return YAML, of which JSON is a part."""
    meta = run.meta
    metrics = [{"type": "return_env", "value": float(run.return_env.mean())}]
    if run.success_rate is not None:
        metrics.insert(0, {"type": "success_rate", "value": run.success_rate})
    result = {
        "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
        "dataset": {"name": meta["env"], "type": meta["env"]},
        "metrics": metrics,
    }
    told: dict[str, Any] = {
        "library_name": "densegym",
        "tags": ["reinforcement-learning", "densegym", "stable-baselines3", meta["env"]],
        "model-index": [{"name": meta["algo"], "results": [result]}],
    }
    lines = [f"{key}: {json.dumps(value)}" for key, value in told.items()]
    return "\n".join(["---", *lines, "---"])


def _table(run: Run) -> str:
    terms = meta_terms(run.meta)
    spread = run.return_env.std()
    rows = [
        ("return/env", f"{run.return_env.mean():.3f} (sd {spread:.3f} over episodes)"),
        ("episodes", str(len(run.return_env))),
        ("protocol", str(terms or run.meta.get("protocol", "-"))),
        ("CPU seconds of training", f"{run.meta['cpu_s']:.0f}"),
    ]
    if run.success_rate is not None:
        low, high = wilson(float(run.success.sum()), len(run.success))
        told = f"{run.success_rate:.2f}, 95 % Wilson interval [{low:.2f}, {high:.2f}]"
        rows.insert(0, ("success", told))
    lines = [f"| {_text(name)} | {_text(value)} |" for name, value in rows]
    return "\n".join(["| outcome | |", "| --- | --- |", *lines])


def _medium(path: PurePath) -> str:
    source = str(path.as_posix())
    if path.suffix in _FILMS:
        return f'<video controls src="{_attribute(source)}"></video>'
    return f"![{_text(path.stem)}](<{source}>)"


def _text(text: str) -> str:
    """Return text in which Markdown and HTML mean nothing."""
    return _MARKDOWN.sub(r"\\\1", text.replace("&", "&amp;").replace("\n", " "))


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
