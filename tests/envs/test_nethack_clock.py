"""What of a seeded game depends on the wall clock: the names of shopkeepers, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("nle")

_SHIFTED = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
time_t time(time_t *out) {
    time_t (*real)(time_t *) = (time_t (*)(time_t *))dlsym(RTLD_NEXT, "time");
    time_t now = real(0) + atol(getenv("CLOCK_SHIFT"));
    if (out) *out = now;
    return now;
}
"""
_PLAY = """
import hashlib, sys
import numpy as np
from densegym.envs.nethack.layer import NetHackEnv
SHOP = '''
MAZE: "mylevel", ' '
FLAGS:hardfloor
INIT_MAP: solidfill,' '
GEOMETRY:center,center
MAP
|---------|
|.........|
|.........|
|.........|
|----+----|
...........
ENDMAP
REGION:(0,0,10,5),lit,"ordinary"
REGION:(1,1,9,3),lit,"food shop"
DOOR:open,(5,4)
BRANCH:(2,2,2,2),(0,0,0,0)
'''
keys = ("glyphs", "chars", "colors", "blstats", "message", "screen_descriptions")
for task, options, steps in (
    ("NetHackScore-v0", {}, 300),
    ("NetHackChallenge-v0", {}, 150),
    ("MiniHack-Skill-Custom-v0", {"des_file": SHOP}, 60),
):
    env = NetHackEnv(task, observation_keys=keys, **options)
    seen, names = {key: hashlib.md5() for key in keys}, set()
    for seed in range(3):
        rng = np.random.default_rng(seed)
        obs, _ = env.reset(seed=seed)
        if options:
            people = np.argwhere(obs["chars"] == ord("@"))
            names |= {bytes(obs["screen_descriptions"][r, c]).split(b"\\0")[0] for r, c in people}
        for _ in range(steps):
            for key in keys[: 4 if options else 6]:  # names are said in texts
                seen[key].update(obs[key].tobytes())
            obs, _, ended, cut, _ = env.step(rng.integers(env.action_space.n))
            if ended or cut:
                break
    print(task, *(seen[key].hexdigest() for key in keys))
    print(sorted(names))
"""


@pytest.fixture(scope="module")
def clock(tmp_path_factory) -> Path:
    if sys.platform != "linux" or shutil.which("cc") is None:
        pytest.skip("the clock is shifted by a library that must be compiled")
    folder = tmp_path_factory.mktemp("clock")
    (folder / "clock.c").write_text(_SHIFTED)
    command = ["cc", "-shared", "-fPIC", "-o", "clock.so", "clock.c", "-ldl"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "clock.so"


def play(clock: Path, shift: int) -> list[str]:
    """Return what was seen by a process whose clock is ``shift`` seconds ahead."""
    given = {**os.environ, "LD_PRELOAD": str(clock), "CLOCK_SHIFT": str(shift)}
    done = subprocess.run(
        [sys.executable, "-c", _PLAY], env=given, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_seeded_games_depend_on_the_date_by_the_names_of_shopkeepers_alone(clock: Path) -> None:
    hours, year = 6 * 3600, 200 * 24 * 3600
    now, *shifted = (play(clock, shift) for shift in (0, hours, year))
    for later in shifted:
        assert later[0::2] == now[0::2], "screens, and texts where nobody keeps a shop"
        assert later[:5] == now[:5]
    names = {line for told in (now, *shifted) for line in told[5:]}
    assert len(names) > 1, "if names no longer change, docs/nethack.md claims too little"
    assert all("peaceful" in line for line in names)
