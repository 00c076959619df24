"""Run as a program: asks for everything by name as if no extra were installed, and tells as JSON.

Modules of extras are refused as Python refuses what is not there. ``base_only.py all`` asks for
every world, and without the word for one of each class.
"""

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from densegym.requirements import needed

BASE = {need.module for need in needed() if not need.extra}
for module in {need.module for need in needed() if need.extra} - BASE:
    sys.modules[module] = None  # type: ignore[assignment]  # Python's own mark

VERBS = (
    "envs --json",
    "rewards --json",
    "constraints",
    "task draft CartPole-v1",
    "author authors",
    "author records",
    "train CartPole-v1",
    "eval run",
    "play run",
    "bench demo",
    "bench overhead",
    "report results",
    "fit progress/local --task DenseGym/ButtonPress-v0",
    "demos collect DenseGym/ButtonPress-v0",
    "push run folder",
    "pull folder",
    "author run DenseGym/DoorUnlock-v0 --author gp",
    "author audit --task DenseGym/DoorUnlock-v0",
    "author compare one two",
    "captions harvest DenseGym/NetHackScore-v0 --out out",
    "shop eval --agent random",
    "market film run",
)


def asked() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield every name and how it is asked for."""
    from densegym.agents.studies.registry import list_studies
    from densegym.agents.training.algorithms import algorithms
    from densegym.envs import tasks
    from densegym.envs.experts import new_expert
    from densegym.errors import require
    from densegym.plugins import resolve
    from densegym.reward_models.authored.authors import AUTHORS, find_author
    from densegym.reward_models.registry import reward_entries

    worlds = {world.card.id: world for world in tasks.worlds()}
    if "all" not in sys.argv:
        worlds = {str(world.entry_point): world for world in reversed(worlds.values())}
    for world in worlds.values():
        yield f"world {world.card.id}", partial(play, world.card.id)
        if world.capabilities.demos:
            yield f"expert {world.card.id}", partial(new_expert, world)
    for entry in reward_entries():
        yield f"reward {entry.name}", entry.factory
    for algorithm in algorithms():
        yield f"algorithm {algorithm.name}", algorithm.load
    for name in AUTHORS:
        yield f"author {name}", partial(find_author, name)
    yield "trackers", partial(resolve, "densegym.agents.tracking.trackers:TRACKERS")
    for study in list_studies():

        def begin(study: Any = study) -> None:
            for module, extra in study.needs.items():
                require(module, extra=extra)
            resolve(study.target)

        yield f"study {study.name}", begin
    for verb in VERBS:
        yield f"densegym {verb}", partial(command, verb)


def play(env_id: str) -> None:
    """Play one step of a world."""
    import gymnasium as gym

    env = gym.make(env_id)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    env.close()


def command(line: str) -> None:
    """Run one command line; what it says on stderr is raised."""
    from densegym.cli.main import main
    from densegym.errors import DenseGymError

    sys.argv = ["densegym", *line.split()]
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as ended:
            if ended.code not in (0, None):
                raise DenseGymError(said.getvalue().removeprefix("error: ").strip()) from ended


def main() -> None:
    """Tell for each name "works", what a user reads, or the bare error."""
    from densegym.errors import DenseGymError

    told = {}
    for name, ask in list(asked()):
        try:
            ask()
            told[name] = "works"
        except DenseGymError as error:
            told[name] = str(error)
        except Exception as error:  # what a user must never see
            told[name] = f"bare {error!r}"
    print(json.dumps(told))


if __name__ == "__main__":
    main()
