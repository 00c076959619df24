"""Recorded episodes of the reference, where this machine has them."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """Return the folder of fixtures, or skip."""
    given = os.environ.get("DENSEGYM_COOPETITION")
    candidates = [Path(given)] if given else [p / "shared/data/coopetition" for p in ROOT.parents]
    found = [folder for folder in candidates if folder.is_dir()]
    if not found:
        pytest.skip(f"no recorded episodes at {candidates[0]}; name them in DENSEGYM_COOPETITION")
    return found[0]


@pytest.fixture(scope="session")
def recorded(fixtures: Path) -> list[dict[str, Any]]:
    return json.loads(gzip.decompress((fixtures / "trajectories.json.gz").read_bytes()))
