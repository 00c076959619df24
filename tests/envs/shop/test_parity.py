import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from densegym.envs.shop import parity
from densegym.errors import DenseGymError

PREFIXES = (
    "reward_parity",
    "lucene_parity",
    "lucene_termvectors",
    "goals_synthetic",
    "human_trajs",
    "page_parity",
)
CHECKS = ("rewards", "search", "term_vectors", "goals", "human_sessions", "pages")


def data(folder: Path) -> Path:
    record = {
        "asin": "A1",
        "name": "Lamp",
        "full_description": "",
        "small_description": [],
        "product_category": "",
        "category": "garden",
        "query": "lamps",
    }
    (folder / "items_shuffle.json").write_text(json.dumps([record]))
    row = {"attributes": ["x"], "instruction": "Find", "instruction_attributes": ["x"]}
    (folder / "items_ins_v2.json").write_text(json.dumps({"A1": row}))
    return folder


def test_all_of_the_original_is_matched(webshop: Path) -> None:
    report = parity.check(webshop, webshop)
    assert report["passed"] is True
    assert report["products"] == 1_000
    assert tuple(report["checks"]) == CHECKS
    assert {name: part["cases"] for name, part in report["checks"].items()} == {
        "rewards": 250,
        "search": 64,
        "term_vectors": 1_000,
        "goals": 20,
        "human_sessions": 9,
        "pages": 92,
    }
    assert json.loads(json.dumps(report)) == report


def _spoil(record: dict[str, Any], name: str) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "reward_parity": {"reward": record.get("reward", 0) + 1e-9},
        "lucene_parity": {"top50": record.get("top50", [])[::-1]},
        "lucene_termvectors": {"tf": {}},
        "goals_synthetic": {"price_upper": 1.0},
        "human_trajs": {},
        "page_parity": {},
    }
    if name == "human_trajs":
        record["steps"][-1]["reward"] += 0.01
    if name == "page_parity":
        for step in record["steps"]:
            step["obs"] += " "
    return {**record, **changes[name]}


def test_every_check_can_fail(webshop: Path, tmp_path: Path) -> None:
    for prefix in PREFIXES:
        (path,) = webshop.glob(f"{prefix}*")
        with gzip.open(path, "rt") as lines:
            spoilt = [json.dumps(_spoil(json.loads(line), prefix)) for line in lines]
        (tmp_path / path.name.removesuffix(".gz")).write_text("\n".join(spoilt))
    report = parity.check(webshop, tmp_path)
    assert report["passed"] is False
    for part in report["checks"].values():
        assert part["passed"] is False
        assert part["failed"] >= min(part["cases"], 20) * 0.9
        assert 0 < len(part["failures"]) <= 10


def test_absent_fixtures_are_said_and_prove_nothing(tmp_path: Path) -> None:
    report = parity.check(data(tmp_path), tmp_path)
    assert report["passed"] is False
    assert all(part["passed"] is None for part in report["checks"].values())
    assert "no fixture" in report["checks"]["rewards"]["skipped"]


def test_fixtures_of_another_form_are_named(tmp_path: Path) -> None:
    (tmp_path / "reward_parity_x.jsonl").write_text('{"asin": "A1"}')
    with pytest.raises(DenseGymError, match='of the check "rewards" has another form'):
        parity.check(data(tmp_path), tmp_path)
    shutil.copy(tmp_path / "reward_parity_x.jsonl", tmp_path / "human_trajs_x.jsonl")
    (tmp_path / "reward_parity_x.jsonl").write_text('{"asin": "elsewhere"}')
    with pytest.raises(DenseGymError, match="human_sessions"):
        parity.check(data(tmp_path), tmp_path)
