"""The shop in a browser: the same state machine as for agents, on this machine only.

Binds to the loopback, answers only requests addressed to it and sent from its own pages, serves
nothing from disk but recorded sessions of its own folder, and loads nothing from elsewhere.
"""

from __future__ import annotations

import contextlib
import math
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from densegym.envs.shop.demos import Recorder, load_demos
from densegym.envs.shop.session.core import REASONS, ShopCore
from densegym.envs.shop.session.render_html import page_html, templates
from densegym.envs.shop.session.render_text import SEPARATOR
from densegym.envs.shop.session.world import ShopWorld
from densegym.errors import DenseGymError, ResultsError, require

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_SESSIONS = 256
MAX_BODY = 8_192  # bytes of a posted form
GOALS_PER_PAGE = 50
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class NotHereError(DenseGymError):
    """What was asked for is not part of this shop."""


class Sessions:
    """Shoppers by name; the least recently seen of more than 256 is forgotten, its file is not.

    Args:
        world: the shop.
        folder: where sessions are recorded.
    """

    def __init__(self, world: ShopWorld, folder: Path) -> None:
        self.world, self.folder = world, folder
        self._shoppers: OrderedDict[str, tuple[ShopCore, Recorder, threading.Lock]] = OrderedDict()
        self._lock = threading.Lock()

    def shopper(self, name: str) -> tuple[ShopCore, Recorder, threading.Lock]:
        """Return a shopper, its recorder and the lock under which it acts.

        Raises:
            NotHereError: the name is none that a session may have.
        """
        if not _NAME.fullmatch(name):
            raise NotHereError("a session is named by letters, digits, - and _")
        with self._lock:
            if name not in self._shoppers:
                recorder = Recorder(self.folder / f"{name}.jsonl", self.world)
                self._shoppers[name] = (ShopCore(self.world.shop), recorder, threading.Lock())
            self._shoppers.move_to_end(name)
            while len(self._shoppers) > MAX_SESSIONS:
                self._shoppers.popitem(last=False)
            return self._shoppers[name]

    def show(self, name: str, goal: str | None) -> str:
        """Return the page of a shopper, who begins anew if a goal is given.

        Raises:
            NotHereError: no such goal, or no episode has begun.
        """
        core, recorder, lock = self.shopper(name)
        with lock:
            if goal is not None:
                if not goal.isascii() or not goal.isdigit():
                    raise NotHereError("a goal is named by its number")
                core.begin(self.world.find_goal(int(goal)))
                recorder.began(core)
            return page_html(core, target=f"/play/{name}", again="/goals")

    def act(self, name: str, action: str) -> str:
        """Carry out an action and return why it was invalid, or ""."""
        core, recorder, lock = self.shopper(name)
        with lock:
            done = core.act(action)
            recorder.acted(core, action, done)
            return done.invalid

    def records(self) -> list[str]:
        """Return the names of recorded sessions, newest first."""
        paths = self.folder.glob("*.jsonl")
        newest = sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)
        return [path.stem for path in newest if _NAME.fullmatch(path.stem)]


def make_app(world: ShopWorld, folder: Path) -> Starlette:
    """Return the web application.

    Args:
        world: the shop.
        folder: where sessions are recorded.

    Raises:
        MissingExtraError: Starlette is not installed.
    """
    require("starlette", extra="shop")
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import RedirectResponse
    from starlette.routing import Route

    sessions = Sessions(world, folder)

    async def root(request: Request) -> Response:
        return RedirectResponse("/goals")

    return Starlette(
        routes=[
            Route("/", root),
            Route("/goals", _goals(sessions)),
            Route("/play/{session}", _play(sessions), methods=["GET"]),
            Route("/play/{session}", _act(sessions), methods=["POST"]),
            Route("/replay/{name}", _replay(sessions)),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK[:2], "[::1]"])],
        exception_handlers={404: _missing, NotHereError: _refused, DenseGymError: _refused},
        lifespan=_lifespan,
    )


def serve(world: ShopWorld, folder: Path, *, host: str = "127.0.0.1", port: int = 3000) -> None:
    """Serve the shop until interrupted.

    Raises:
        DenseGymError: the host is not the loopback.
        MissingExtraError: Starlette or uvicorn is not installed.
    """
    if host not in LOOPBACK:
        raise DenseGymError(
            f"the shop is served on this machine only: {', '.join(LOOPBACK)}; given {host}"
        )
    uvicorn = require("uvicorn", extra="shop")
    uvicorn.run(make_app(world, folder), host=host, port=port, log_level="warning")


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    yield


def _html(text: str, status: int = 200) -> Response:
    from starlette.responses import HTMLResponse

    headers = {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(text, status_code=status, headers=headers)


def _page(name: str, **values: Any) -> str:
    return templates().get_template(f"{name}.html.j2").render(**values)


async def _missing(request: Request, error: Exception) -> Response:
    return _html(_page("error", status="Not here", told="There is no such page."), 404)


async def _refused(request: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, NotHereError) else 400
    return _html(_page("error", status="That did not work", told=str(error)), status)


def _goals(sessions: Sessions) -> Any:
    async def goals(request: Request) -> Response:
        found = sessions.world.goals
        last = math.ceil(len(found) / GOALS_PER_PAGE)
        asked = request.query_params.get("page", "1")
        number = min(max(int(asked) if asked.isdecimal() and asked.isascii() else 1, 1), last)
        first = (number - 1) * GOALS_PER_PAGE
        page = _page(
            "goals",
            goals=found[first : first + GOALS_PER_PAGE],
            total=len(found),
            number=number,
            last=last,
            session=secrets.token_urlsafe(9).strip("-_"),
            records=sessions.records()[:20],
        )
        return _html(page)

    return goals


def _play(sessions: Sessions) -> Any:
    async def play(request: Request) -> Response:
        name = request.path_params["session"]
        goal = request.query_params.get("goal")
        if goal is not None:
            from starlette.responses import RedirectResponse

            sessions.show(name, goal)  # a reload must not begin anew
            return RedirectResponse(f"/play/{name}", status_code=303)
        return _html(sessions.show(name, None))

    return play


def _act(sessions: Sessions) -> Any:
    async def act(request: Request) -> Response:
        from starlette.responses import RedirectResponse

        name = request.path_params["session"]
        _same_origin(request)
        action = _action(await _form(request))
        invalid = sessions.act(name, action)
        if not invalid:
            return RedirectResponse(f"/play/{name}", status_code=303)
        core, _, lock = sessions.shopper(name)
        with lock:
            page = page_html(core, target=f"/play/{name}", note=REASONS[invalid])
        return _html(page, 400)

    return act


def _replay(sessions: Sessions) -> Any:
    async def replay(request: Request) -> Response:
        name = request.path_params["name"]
        if not _NAME.fullmatch(name) or name not in sessions.records():
            raise NotHereError("no such recorded session")
        demos = load_demos(sessions.folder / f"{name}.jsonl", sessions.world)
        steps = [(demo, step) for demo in demos for step in demo.steps]
        if not steps:
            raise ResultsError(f"{name} holds no step yet")
        asked = request.query_params.get("step", "0")
        number = int(asked) if asked.isascii() and asked.isdigit() else 0
        number = min(number, len(steps) - 1)
        demo, step = steps[number]
        page = _page(
            "replay",
            record=name,
            instruction=demo.goal.instruction,
            step=number,
            last=len(steps) - 1,
            action=step.action,
            reward=step.reward,
            lines=step.text.split(SEPARATOR),
        )
        return _html(page)

    return replay


def _same_origin(request: Request) -> None:
    """Refuse what another site's page makes a browser send here."""
    origin = request.headers.get("origin")
    if origin not in (None, "null") and urlsplit(origin).netloc != request.headers.get("host"):
        raise NotHereError("actions are taken from the shop's own pages only")


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise NotHereError(f"a form has at most {MAX_BODY} bytes")
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


def _action(form: dict[str, str]) -> str:
    """Return the action string of a form, the very one an agent would send."""
    if form.get("action") == "search":
        return f"search[{form.get('words', '')}]"
    return form.get("action", "")
