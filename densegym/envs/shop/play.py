"""The shop in a terminal: numbered choices, the same actions as agents send."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.markup import escape

from densegym.envs.shop.demos import Recorder
from densegym.envs.shop.session.core import REASONS, ShopCore

QUIT = ("q", "quit", "exit")


def play(
    core: ShopCore,
    recorder: Recorder,
    ask: Callable[[str], str],
    show: Callable[[str], None],
    *,
    max_steps: int,
) -> float | None:
    """Play the episode that has begun until something is bought.

    Args:
        core: the shopper.
        recorder: keeps what is done.
        ask: shows a prompt and returns what was typed.
        show: prints a line of rich markup.
        max_steps: actions allowed.

    Returns:
        What the purchase paid, or None where the person gave up or ran out of steps.
    """
    recorder.began(core)
    while core.state.steps < max_steps:
        for line in page_lines(core):
            show(line)
        typed = ask("search for" if core.state.page == "index" else "number, or an action").strip()
        if typed.lower() in QUIT:
            return None
        action = as_action(core, typed)
        done = core.act(action)
        recorder.acted(core, action, done)
        if done.invalid:
            show(f"[red]{REASONS[done.invalid]}[/red]")
        if done.terminated:
            return done.reward
    show("[red]no steps are left[/red]")
    return None


def as_action(core: ShopCore, typed: str) -> str:
    """Return the action that was meant: a number of the list, search words, or an action itself."""
    if "[" in typed:
        return typed
    if core.state.page == "index":
        return f"search[{typed}]"
    targets = core.view.clickables
    if typed.isdecimal() and typed.isascii() and 1 <= int(typed) <= len(targets):
        return f"click[{targets[int(typed) - 1]}]"
    return f"click[{typed}]"


def page_lines(core: ShopCore) -> Iterator[str]:
    """Yield the page as rich markup: what can be clicked is numbered, chosen options are bold."""
    numbers = {target: n for n, target in enumerate(core.view.clickables, start=1)}
    yield f"\n[bold cyan]{escape(core.goal.instruction)}[/]  [dim]step {core.state.steps}[/]"
    for part in core.view.parts:
        text = escape(part.text.strip())
        if core.state.page == "index" or not part.target:
            style = "bold" if part.role == "title" else "green" if part.role == "price" else ""
            yield f"      [{style}]{text}[/]" if style else f"      {text}"
            continue
        chosen = part.kind == "option" and (part.role, part.text) in core.state.options
        yield f"[dim]{numbers[part.target]:4d}[/]  " + (
            f"[bold reverse]{text}[/]" if chosen else text
        )
