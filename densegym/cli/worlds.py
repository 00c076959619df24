"""The verbs that look: ``envs``, ``rewards``, ``doctor``, ``constraints``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from densegym import assets
from densegym.cli.shared.options import CONSOLE, Json, table_console
from densegym.envs import tasks
from densegym.envs.levels import levels, record, told
from densegym.envs.protocols import OWN, terms_of
from densegym.envs.world import OFFERS, World
from densegym.errors import DenseGymError, unknown
from densegym.reward_models.catalogue import RewardEntry
from densegym.reward_models.options import Option, options_of
from densegym.reward_models.registry import find_reward, reward_entries
from densegym.reward_models.spec import WRAPPING_KEYS
from densegym.reward_models.types import TaskCard

_ROOM = 120  # columns of a terminal from which on goals are shown


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.command()(envs)
    app.command()(rewards)
    app.command()(doctor)
    app.command()(constraints)


def envs(
    which: Annotated[
        str, typer.Argument(help="An id for its task card, or part of an id or family.")
    ] = "",
    offers: Annotated[
        list[str] | None,
        typer.Option(help=f"Only worlds that offer it: {', '.join(OFFERS)}."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List environments, or show one task card.

    Examples:
      densegym envs

      densegym envs locomotion

      densegym envs --offers expert

      densegym envs DenseGym/ButtonPress-v0
    """
    for name in offers or ():
        if name not in OFFERS:
            raise unknown("capability", name, OFFERS)
    foreign = tasks.find_foreign(which)
    if foreign is not None:
        print(json.dumps(_plain(foreign), indent=2)) if as_json else _show_card(foreign)
        return
    rows = {row.card.id: row for row in tasks.worlds()}
    wanted = set(offers or ())
    cards = [row.card for row in rows.values() if wanted <= set(row.capabilities.offered())]
    exact = [card for card in cards if card.id == which]
    found = exact or [
        card for card in cards if which.lower() in card.id.lower() or which.lower() in card.family
    ]
    if not found:
        raise unknown("environment", which, [card.id for card in cards], see="densegym envs")
    if as_json:
        print(json.dumps([_plain(rows[card.id]) for card in found], indent=2))
    elif exact:
        _show_card(rows[exact[0].id])
    else:
        _show_cards(found)


def _plain(world: World) -> dict[str, Any]:
    """Return a card as plain values, with protocols and stored levels."""
    card = world.card
    protocols = {
        name: {
            **terms_of(world, name).as_dict(),
            **{
                policy: dataclasses.asdict(level)
                for policy, level in levels(card.id, card.family, name).items()
            },
        }
        for name in (OWN, *world.protocols)
    }
    return {**dataclasses.asdict(card), "protocols": protocols}


def _show_cards(cards: list[TaskCard]) -> None:
    """Print a row per world, ids whole; with its goal where there is room.

    A file or a pipe gets one line per world, its columns parted by tabs.
    """
    names = ("id", "chance", "ceiling", "expert", "family", "goal")
    if not CONSOLE.is_terminal:
        for row in (names, *map(_row, cards)):
            CONSOLE.print("\t".join(row))
        return
    console = table_console()
    count = len(names) if console.width >= _ROOM else len(names) - 1
    table = Table(*names[:count], header_style="bold")
    for column in table.columns[:4]:
        column.no_wrap = True
    for card in cards:
        table.add_row(*(Text(cell) for cell in _row(card)[:count]))
    console.print(table)
    console.print(
        "chance: stored success of idling or random actions, whichever is larger; ceiling: of the "
        f'scripted expert; both under protocol "{OWN}".'
    )


def _row(card: TaskCard) -> tuple[str, ...]:
    found = told(card.id, card.family)
    chances = [found[name] for name in ("chance_idle", "chance_random")]
    known = [rate for rate in chances if rate is not None]
    ceiling = found["expert_ceiling"]
    return (
        card.id,
        f"{max(known):.2f}" if known else "-",
        "-" if ceiling is None else f"{ceiling:.2f}",
        "yes" if card.expert else "-",
        card.family,
        card.goal,
    )


def _show_card(world: World) -> None:
    console, card = table_console(), world.card
    console.print(f"[bold]{card.id}[/bold]  ({card.family})")
    for label in ("goal", "success", "expert", "provenance"):
        console.print(f"{label:>11}: {getattr(card, label) or 'none'}", markup=False)
    offers = ", ".join(world.capabilities.offered()) or "none"
    console.print(f"{'offers':>11}: {offers}", markup=False)
    for protocol in (OWN, *world.protocols):
        console.print(f"{'protocol':>11}: {_told(world, protocol)}", markup=False)
    if provenance := _provenance(record(card.id, card.family)):
        console.print(f"{'levels':>11}: {provenance}", markup=False)
    table = Table("feature", "shape", "unit", "frame", "meaning", header_style="bold")
    for item in card.features:
        shape = "x".join(map(str, item.shape)) or "scalar"
        table.add_row(item.name, shape, item.unit, item.frame, item.meaning)
    console.print(table)
    console.print("Programs may also take prev_<feature> of the observation, and terminated.")


def _told(world: World, protocol: str) -> str:
    """Return what a protocol means in a world, and what idling, chance and the expert reach."""
    found = levels(world.card.id, world.card.family, protocol)
    rates = (f"{name} {one.latched:.2f} (last step {one.last:.2f})" for name, one in found.items())
    shown = ", ".join(rates)
    if not found and world.protocols:
        shown = f"not measured; densegym bench chance --envs {world.card.id} does"
    return f"{terms_of(world, protocol)}" + (f": {shown}" if shown else "")


def _provenance(stored: Mapping[str, Any]) -> str:
    """Return how the stored levels of a world were measured."""
    if not stored:
        return ""
    made = {"densegym": stored["densegym"], **stored["versions"]}
    versions = ", ".join(f"{name} {version}" for name, version in made.items())
    return f"success of {stored['episodes']} episodes each, seed {stored['seed']}, {versions}"


def rewards(
    name: Annotated[str, typer.Argument(help="One reward, to see what can be chosen of it.")] = "",
    task: Annotated[
        str | None, typer.Option(help="Only rewards that fit this environment.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List rewards, shipped, registered and of plug-ins, or show one with its options.

    Examples:
      densegym rewards

      densegym rewards --task DenseGym/ButtonPress-v0

      densegym rewards credit/rrd
    """
    entries = reward_entries()
    card = None if task is None else tasks.task_card(task)
    if name:
        _show_reward(find_reward(name), card, as_json)
        return
    if card is not None:
        entries = [entry for entry in entries if entry.possible(card)]
    unready = [] if card is None else [entry for entry in entries if not entry.ready(card)]
    entries = [entry for entry in entries if entry not in unready]
    if as_json:
        print(json.dumps([_as_json(entry) for entry in entries], indent=2))
        return
    table = Table("reward", "summary", "mode", "owner", header_style="bold")
    table.columns[0].no_wrap = True
    for entry in entries:
        made_for = f" ({', '.join(entry.tasks)})" if entry.tasks and card is None else ""
        supply = f"; write {json.dumps(entry.example())}" if entry.supply else ""
        summary = Text(entry.summary + made_for + supply)
        table.add_row(entry.name, summary, entry.mode, entry.owner)
    console = table_console()
    console.print(table)
    for entry in unready:
        if card is not None and entry.remedy:
            console.print(_not_ready(entry, card), markup=False)


def _show_reward(entry: RewardEntry, card: TaskCard | None, as_json: bool) -> None:
    options = options_of(entry)
    if as_json:
        told = {**_as_json(entry), "options": [option.as_dict() for option in options]}
        print(json.dumps(told, indent=2, default=repr))
        return
    console = table_console()
    console.print(f"[bold]{entry.name}[/bold]  ({entry.owner})")
    facts = {
        "summary": entry.summary,
        "mode": entry.mode,
        "world gives": ", ".join(entry.asks) or "anything",
        "tasks": ", ".join(entry.tasks) or "any",
        "write": json.dumps(entry.example()),
    }
    for label, fact in facts.items():
        console.print(f"{label:>11}: {fact}", markup=False)
    if options:
        console.print(_table_of(options))
    shaping = ("gamma", "truncation")  # of potentials alone
    also = [key for key in WRAPPING_KEYS if entry.mode == "shape" or key not in shaping]
    console.print(f"Besides, as every reward: {', '.join(also)}.", markup=False)
    if card is not None:
        fits = f"{entry.name} fits {card.id}"
        console.print(fits if entry.ready(card) else _not_ready(entry, card), markup=False)


def _table_of(options: Sequence[Option]) -> Table:
    table = Table("option", "type", "default", "meaning", header_style="bold")
    table.columns[0].no_wrap = True
    for option in options:
        cells = (option.name, option.type, option.default_text, option.meaning)
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _not_ready(entry: RewardEntry, card: TaskCard) -> str:
    if not entry.possible(card):
        return f"{entry.name} does not fit {card.id}"
    remedy = entry.remedy.format(task=card.id) if "{task}" in entry.remedy else entry.remedy
    return f"{entry.name} is not ready for {card.id}: {remedy}"


def _as_json(entry: RewardEntry) -> dict[str, Any]:
    shown = ("name", "summary", "owner", "tasks", "asks", "mode")
    return {**{name: getattr(entry, name) for name in shown}, "example": entry.example()}


def doctor(as_json: Json = False) -> None:
    """Say what is installed, whether it was tested, how fast pictures render, and what to type.

    Exits with 2 if something is missing, outside the tested versions, or does not work.

    Example:
      densegym doctor
    """
    from densegym.agents.doctor import examine

    findings = examine()
    if as_json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        table = Table("", "looked at", "found", "type", header_style="bold")
        for item in findings:
            mark = Text("-" if item.cure else "ok", "" if item.cure else "green")
            shown = mark if item.ok else Text("wrong", "yellow")
            table.add_row(shown, Text(item.topic), Text(item.found), Text(item.cure))
        table_console().print(table)
    wrong = [finding.sentence() for finding in findings if not finding.ok]
    if wrong:
        raise DenseGymError("\n".join(wrong))


def constraints() -> None:
    """Print the exact versions that this release was tested with, for pip's ``-c``.

    Examples:
      densegym constraints > constraints.txt

      pip install 'densegym[robot,agents,vision]' -c constraints.txt
    """
    print(assets.text("constraints.txt"), end="")
