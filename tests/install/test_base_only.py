"""Without any extra everything works, or answers with the line that installs what it wants."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from densegym.requirements import by_extra

PROGRAM = Path(__file__).with_name("base_only.py")
LINE = re.compile(r" is not installed\. Type: pip install 'densegym\[([\w-]+)\]'$")
WORKING = ("world DenseGym/HarmlessStep-v0", "reward authored", "author gp", "densegym constraints")


@pytest.mark.parametrize("most", ["few", pytest.param("all", marks=pytest.mark.slow)])
def test_nothing_fails_bare(most: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), most],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    told: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    lines = {name: LINE.search(said) for name, said in told.items() if said != "works"}
    bare = {name: told[name] for name, line in lines.items() if line is None}
    assert bare == {}
    assert {line[1] for line in lines.values() if line} <= set(by_extra())
    assert set(WORKING) <= {name for name, said in told.items() if said == "works"}
    assert len(lines) > 40
