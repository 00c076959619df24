"""Every study that ships, a row each: what it is called, what it takes and what it needs.

To add one, write a module with ``run(request, monitor) -> Result`` and add its row here.
"""

from __future__ import annotations

from functools import partial

from densegym.agents.studies.study import Study

_HERE = "densegym.agents.studies"
_AGENTS = {"stable_baselines3": "agents"}
_row = partial(Study, owner="densegym")

STUDIES: tuple[Study, ...] = (
    _row(
        name="overhead",
        title="what rewards cost per step",
        target=f"{_HERE}.overhead:run",
        needs=_AGENTS,
    ),
    _row(
        name="render",
        title="pictures per second",
        target=f"{_HERE}.render_speed:run",
        needs=_AGENTS,
    ),
    _row(
        name="chance",
        title="what idling, chance and scripted experts reach in robot worlds",
        target=f"{_HERE}.chance:run",
        needs={"metaworld": "robot", "gymnasium_robotics": "robot"},
        envs=(),
        out=True,
        settings={"episodes": 100, "protocols": ""},
    ),
    _row(
        name="landscape",
        title="whether climbing a judge's potential leads there",
        target=f"{_HERE}.landscape:run",
        needs=_AGENTS,
        seeds=(0, 1),
        envs=("ButtonPress", "WindowOpen", "WindowClose", "DoorUnlock", "DoorClose", "DrawerOpen"),
    ),
    _row(
        name="nethack-speed",
        title="steps of NetHack and MiniHack per CPU second",
        target=f"{_HERE}.nethack_speed:run",
        needs={"nle": "nethack"},
        settings={"rounds": 12},
    ),
    _row(
        name="shop-speed",
        title="steps, resets and searches of the shop per CPU second",
        target=f"{_HERE}.shop_speed:run",
        needs={"rapidfuzz": "shop"},
        steps=30_000,
        settings={"store": "synthetic-1k", "goals": "auto", "searches": False},
    ),
    _row(
        name="relabel",
        title="plumbing and cost of credits, for PPO and SAC",
        target=f"{_HERE}.relabel:run",
        needs=_AGENTS,
        seeds=(0, 1, 2),
        workers=2,
        out=True,
    ),
    _row(
        name="delayed",
        title="redistributors on delayed HalfCheetah",
        target=f"{_HERE}.delayed:run",
        needs=_AGENTS,
        seeds=(0, 1, 2),
        steps=500_000,
        workers=2,
        out=True,
    ),
    _row(
        name="fidelity",
        title="credits against the dense rewards they never saw",
        target=f"{_HERE}.fidelity:run",
        needs=_AGENTS,
        seeds=(0, 1, 2, 3, 4),
        envs=(),
        workers=2,
    ),
    _row(
        name="hacking",
        title="which process rewards are farmed on a probe",
        target=f"{_HERE}.hacking:run",
        needs=_AGENTS,
        seeds=(0, 1, 2),
        steps=40_000,
    ),
    _row(
        name="resume",
        title="whether stopped and killed runs equal those left alone",
        target=f"{_HERE}.resume.study:run",
        needs=_AGENTS,
        seeds=(0,),
        steps=384,
        envs=(),
        workers=2,
        out=True,
    ),
    _row(
        name="hosts",
        title="every id in every host, paid alike",
        target=f"{_HERE}.hosts:run",
        needs=_AGENTS,
        steps=5,
        envs=(),
        workers=2,
        out=True,
        settings={"start_methods": "all"},
    ),
    _row(
        name="market",
        title="what agents of a market learn, reward by reward",
        target=f"{_HERE}.market:run",
        needs={**_AGENTS, "pettingzoo": "multi"},
        seeds=(0, 1, 2, 3, 4),
        steps=160_000,
        envs=("DenseGym/Market-PublicGoods-v0",),
        settings={
            "rewards": "private;cooperative;difference;delayed;delayed, undiscounted;"
            "credit/uniform-team;credit/lare-team;credit/lare-team, no agent part",
            "learners": "shared",
        },
    ),
    _row(
        name="caption-stress",
        title="the annotation service with a server that fails and is killed",
        target=f"{_HERE}.captions.stress:run",
        needs={"psutil": "agents"},
        workers=4,
        out=True,
        settings={"captions": 100_000, "failure": 0.2, "kills": 2},
    ),
)
