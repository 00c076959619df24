"""What a language model is told: blocks filled from versioned templates in ``assets/prompts``.

Every block is a file of its own, so that an ablation can leave one out, and the hash of the files
that were used stands in every ledger row. Text of an environment is data: it is flattened to one
line and shown inside lists. Nothing here reads the environment of the process, or names a path.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from string import Template
from typing import Any

import numpy as np
from gymnasium.envs.registration import registry

from densegym import assets
from densegym.reward_models.authored.programs.renaming import aliases, inverse
from densegym.reward_models.authored.screening.bank import Bank, Trajectory
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.writing.retrieval import code_of, nearest_program
from densegym.reward_models.features import feature_names
from densegym.reward_models.types import Feature, TaskCard

LEVELS = (0.05, 0.5, 0.95)
_FOLDER = "prompts"
_EACH = 6  # larger vectors are summed up in one figure
_VERSION = re.compile(r"\A<!--.*?-->\n")
_BLANK = re.compile(r"\n{3,}")


def render(template: str, **values: str) -> str:
    """Fill in a template; a line is left out where all values that it names are empty.

    Args:
        template: its name, as ``assets/prompts/<name>.md``.
        values: of every ``$name`` in it.

    Raises:
        KeyError: a value is missing.
    """
    lines = []
    for line in _text(template).splitlines():
        named = Template(line).get_identifiers()
        if not named or any(values[name].strip() for name in named):
            lines.append(line)
    kept = _BLANK.sub("\n\n", "\n".join(lines)).strip()
    return Template(kept).substitute(values)


def prompt_hash(*templates: str) -> str:
    """Return the hash of the templates' texts, versions included; their order does not count."""
    digest = hashlib.sha256()
    for name in sorted(set(templates)):
        digest.update(f"{name}\0{assets.text(f'{_FOLDER}/{name}.md')}\0".encode())
    return digest.hexdigest()[:16]


def role() -> str:
    """Return who is asked, and that an environment's text is data."""
    return render("role")


def task(card: TaskCard, bank: Bank | None = None) -> str:
    """Return the goal, the success rule, and with a bank also how episodes end."""
    ends = None if bank is None else _ends_at_success(bank)
    told = {None: "", True: "It ends when the task is solved.", False: "It goes on after success."}
    steps = None if bank is None else _most_steps(card, bank)
    return render(
        "task",
        goal=_line(card.goal),
        success=_line(card.success),
        steps="" if steps is None else str(steps),
        ending=told[ends],
    )


def interface(card: TaskCard, bank: Bank, *, renamed: bool = False) -> str:
    """Return the feature table with what was observed on random and on successful steps.

    Args:
        card: the task.
        bank: labelled trajectories of the task.
        renamed: whether features are called ``f00``, ``f01``, ... and told by shape and unit alone.
    """
    names = inverse(aliases(card)) if renamed else {}
    observed = {title: _stacked(group) for title, group in _groups(bank).items()}
    lines = []
    for feature in card.features:
        lines.append(f"- {_entry(feature, names)}")
        lines += [
            f"  - {title}: {_quantiles(columns[feature.name])}"
            for title, columns in observed.items()
        ]
    twins = [f"`{names.get(name, name)}`" for name in _twins(card)]
    return render("interface", table="\n".join(lines), twins=", ".join(twins))


def abstraction(card: TaskCard, *, renamed: bool = False) -> str:
    """Return the environment as a compact class with typed, commented attributes."""
    names = inverse(aliases(card)) if renamed else {}
    twins = set(_twins(card))
    lines = ["class Environment:"]
    for item in card.features:
        lines.append(f"    {_attribute(item, item.name, names)}")
        if f"prev_{item.name}" in twins:
            lines.append(f"    {_attribute(item, f'prev_{item.name}', names)}")
    lines.append("    terminated: Bool[N]  # the world, not the clock, ended the episode")
    return render("text2reward-abstraction", listing="\n".join(lines))


def safety(sentence: str) -> str:
    """Return how the task should be done, or "" for no wish."""
    return render("safety", sentence=_line(sentence)) if sentence.strip() else ""


def contract() -> str:
    """Return what a reward program is, and what makes it a good one."""
    return render("contract")


def rules() -> str:
    """Return which code a program of any kind may use."""
    return render("rules")


def example(card: TaskCard) -> str:
    """Return the shipped program of the most similar other task, or "" where none is similar."""
    header = nearest_program(card)
    if header is None:
        return ""
    return render("example", summary=_line(header.summary), code=code_of(header))


def output() -> str:
    """Return the form of the answer."""
    return render("output")


def outcome(row: Row) -> str:
    """Return in words what an agent trained on a program reached."""
    if not row.rungs:
        return "nothing yet, for none was trained on it"
    last = row.rungs[-1]
    told = [f"task score {last['F_mean']:.3g}"]
    if "success" in last:
        told.append(f"success in {last['success']:.0%} of {last.get('episodes', 'the')} episodes")
    if "length" in last:
        told.append(f"{last['length']:.0f} steps an episode")
    if last.get("fraction", 1.0) < 1.0:
        told.append(f"after {last['fraction']:.0%} of a full run")
    return ", ".join(told)


@lru_cache(maxsize=64)
def _text(template: str) -> str:
    return _VERSION.sub("", assets.text(f"{_FOLDER}/{template}.md"))


def _line(text: str) -> str:
    """Return foreign text on one line, unable to close a fence."""
    return " ".join(text.replace("`", "'").split())


def _most_steps(card: TaskCard, bank: Bank) -> int | None:
    """Return the time limit of the registered world, else the longest recorded episode."""
    spec = registry.get(card.id)
    if spec is not None and spec.max_episode_steps is not None:
        return spec.max_episode_steps
    return max(bank.lengths(), default=None)


def _ends_at_success(bank: Bank) -> bool | None:
    """Return whether recorded successes ended their episode; None where there is none."""
    ended = [bool(item.features["terminated"][-1]) for item in bank.trajectories if item.success]
    return all(ended) if ended else None


def _groups(bank: Bank) -> dict[str, list[Trajectory]]:
    random = [item for item in bank.trajectories if item.source == "random"]
    solved = [item for item in bank.trajectories if item.success]
    expert = [item for item in solved if item.source == "expert"]
    groups = {"random actions": random, "successful episodes": expert or solved}
    return {title: group for title, group in groups.items() if group}


def _stacked(group: list[Trajectory]) -> dict[str, Any]:
    return Bank(task="", gamma=1.0, trajectories=tuple(group)).stacked()


def _twins(card: TaskCard) -> Iterator[str]:
    own = {item.name for item in card.features}
    return (name for name in feature_names(card) if name not in own and name != "terminated")


def _entry(feature: Feature, names: Mapping[str, str]) -> str:
    if names:
        return f"`{names[feature.name]}` {_shape(feature)} [{_line(feature.unit)}]"
    frame = "" if feature.frame in ("", "-") else f", {_line(feature.frame)} frame"
    unit = f"[{_line(feature.unit)}{frame}]"
    return f"`{feature.name}` {_shape(feature)} {unit}: {_line(feature.meaning)}"


def _attribute(feature: Feature, name: str, names: Mapping[str, str]) -> str:
    typed = f"{names.get(name, name)}: Float[{_shape(feature).strip('(,)')}]"
    unit = f"  # [{_line(feature.unit)}]"
    if names:
        return typed + unit
    before = "before the step" if name != feature.name else _line(feature.meaning)
    frame = "" if feature.frame in ("", "-") else f" in the {_line(feature.frame)} frame"
    return f"{typed}{unit} {before}{frame if name == feature.name else ''}"


def _shape(feature: Feature) -> str:
    return f"(N, {', '.join(map(str, feature.shape))})" if feature.shape else "(N,)"


def _quantiles(values: Any) -> str:
    """Return 5, 50 and 95 % of a feature, entry by entry where there are few."""
    columns = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    pooled = columns.shape[1] > _EACH
    if pooled:
        columns = columns.reshape(-1, 1)
    told = [_numbers(level) for level in np.quantile(columns, LEVELS, axis=0)]
    return " | ".join(told) + (" over all its entries" if pooled else "")


def _numbers(values: Any) -> str:
    told = ", ".join(f"{float(value) + 0.0:.3g}" for value in values)
    return f"({told})" if len(values) > 1 else told
