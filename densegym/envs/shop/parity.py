"""Does this shop agree with the original? Checks against fixture files, one summary.

Fixture files are found by the beginning of their names (``reward_parity*``, ``lucene_parity*``,
``lucene_termvectors*``, ``goals_synthetic*``, ``human_trajs*``, ``page_parity*``), JSON lines,
plain or gzip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from densegym.envs.shop.goals.goals import build_goals, from_original
from densegym.envs.shop.goals.option_rules import webshop_met
from densegym.envs.shop.goals.scoring import combined, score, type_reward
from densegym.envs.shop.page_parity import differences
from densegym.envs.shop.sources.json_stream import JsonStream
from densegym.envs.shop.sources.original import read_products
from densegym.envs.shop.store.analysis import terms
from densegym.envs.shop.store.catalogue import indexed_text
from densegym.envs.shop.store.store import Store, build_store, open_store
from densegym.errors import DenseGymError

TOLERANCE = 1e-12
MIN_TOP_1, MIN_OVERLAP, MIN_EXACT = 1.0, 0.999, 0.97
MIN_TERM_VECTORS = 0.998
KEPT_FAILURES = 10
# The original's README prints this count for its file of 1,000 products.
GOALS_OF_1000 = 6_910


@dataclass(frozen=True, slots=True)
class Context:
    """What a check gets.

    Attributes:
        store: the products of ``data``, built in parity mode.
        fixtures: folder of the fixture files.
    """

    store: Store
    fixtures: Path

    def records(self, prefix: str) -> list[dict[str, Any]]:
        """Return the records of every fixture file whose name begins with ``prefix``."""
        paths = sorted(self.fixtures.glob(f"{prefix}*.jsonl*"))
        return [record for path in paths for record in JsonStream(path).elements()]


Check = Callable[[Context], dict[str, Any]]


def summary(
    cases: int, failures: list[Any], *, passed: bool | None = None, **figures: float
) -> dict[str, Any]:
    """Return what a check reports.

    Args:
        cases: how many were compared; 0 means that the fixture file is absent.
        failures: JSON-ready descriptions; ten are kept.
        passed: whether the bar holds; by default, whether nothing failed.
        figures: more numbers to print.
    """
    if not cases:
        return {"passed": None, "skipped": "no fixture file"}
    return {
        "passed": not failures if passed is None else passed,
        "cases": cases,
        "failed": len(failures),
        **figures,
        "failures": failures[:KEPT_FAILURES],
    }


def check_rewards(context: Context) -> dict[str, Any]:
    """Compare every reward and its parts to 1e-12."""
    cases, failures, store = context.records("reward_parity"), [], context.store
    for number, case in enumerate(cases):
        index = store.index_of(case["asin"])
        if index is None:
            failures.append({"case": number, "asin": case["asin"], "why": "not in the data"})
            continue
        goal = from_original(case["goal"], id=number)
        found = score(goal, store.product(index), case["options"], case["price"], rule="webshop")
        expected = {"reward": case["reward"], "r_option": None, "w_option": 0.0, **case["info"]}
        differing = {
            name: [getattr(found, name), value]
            for name, value in expected.items()
            if not _same(getattr(found, name), value)
        }
        if differing:
            failures.append({"case": number, "found_expected": differing})
    return summary(len(cases), failures)


def _same(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return abs(found - expected) <= TOLERANCE


def check_search(context: Context) -> dict[str, Any]:
    """Compare rankings: top-1, overlap of the first ten, their exact order, all fifty."""
    cases, failures, store = context.records("lucene_parity"), [], context.store
    top_1 = exact_10 = exact = 0
    overlap = 0.0
    for case in cases:
        expected = case["top50"]
        found = [store.product(index).asin for index in store.search.search(case["query"])]
        ten = expected[:10]
        top_1 += found[:1] == expected[:1]
        exact_10 += found[:10] == ten
        exact += found == expected
        overlap += len(set(found[:10]) & set(ten)) / len(ten) if ten else not found
        if found[:10] != ten:
            failures.append({"query": case["query"], "found": found[:10], "expected": ten})
    size = max(len(cases), 1)
    figures = {
        "top_1": top_1 / size,
        "overlap_at_10": overlap / size,
        "exact_top_10": exact_10 / size,
        "exact_top_50": exact / size,
    }
    bars = zip(figures.values(), (MIN_TOP_1, MIN_OVERLAP, MIN_EXACT), strict=False)
    return summary(len(cases), failures, passed=all(got >= bar for got, bar in bars), **figures)


def check_term_vectors(context: Context) -> dict[str, Any]:
    """Compare the analysed terms of every product, with their counts."""
    cases, failures, store = context.records("lucene_termvectors"), [], context.store
    for case in cases:
        index = store.index_of(case["id"])
        found = Counter(terms(indexed_text(store.product(index)))) if index is not None else None
        if found != case["tf"]:
            failures.append(case["id"])
    same = 1 - len(failures) / max(len(cases), 1)
    return summary(len(cases), failures, passed=same >= MIN_TERM_VECTORS, identical=same)


def check_goals(context: Context) -> dict[str, Any]:
    """Compare the first goals after the shuffle, and how many there are."""
    goals = build_goals(context.store, style="synthetic", parity=True)
    cases, failures = context.records("goals_synthetic"), []
    for place, case in enumerate(cases):
        known = goals[place] if place < len(goals) else None
        if known is None or known != from_original(
            {**case, "weight": known.weight}, id=place, product=known.product
        ):
            failures.append({"place": place, "expected": case["instruction_text"]})
    if len(context.store) == 1_000 and len(goals) != GOALS_OF_1000:
        failures.append({"goals": len(goals), "expected": GOALS_OF_1000})
    return summary(len(cases), failures, goals=len(goals))


def check_human_sessions(context: Context) -> dict[str, Any]:
    """Recombine the recorded parts of people's rewards, and judge their options and price anew."""
    cases, failures = context.records("human_trajs"), []
    for case in cases:
        goal, end = from_original(case["goal"]), case["steps"][-1]
        parts = end["reward_info"]
        attributes, options = len(goal.attributes), len(goal.options)
        met = parts["r_att"] * attributes + parts.get("r_option", 0.0) * options + parts["r_price"]
        related = parts["query_match"] or parts["category_match"]
        options_met = webshop_met(goal.options, end["options"])
        found = {
            "reward": combined(parts["r_type"], met, attributes + options + 1),
            "r_type": type_reward(related, parts["title_score"]),
            "r_option": sum(options_met) / options if options else None,
            "r_price": end["price"] <= goal.price_upper,
        }
        expected = {"reward": end["reward"], "r_option": None, **parts}
        differing = {n: [v, expected[n]] for n, v in found.items() if not _same(v, expected[n])}
        if differing:
            failures.append({"session": case["id"], "found_expected": differing})
    return summary(len(cases), failures)


def check_pages(context: Context) -> dict[str, Any]:
    """Compare the text, clickables, address and reward of every page, byte for byte."""
    cases, failures = context.records("page_parity"), []
    for number, case in enumerate(cases):
        failures += [{"episode": number, **told} for told in differences(context.store, case)]
    pages = sum(len(case["steps"]) for case in cases)
    return summary(pages, failures, episodes=len(cases))


_CHECKS: dict[str, Check] = {
    "rewards": check_rewards,
    "search": check_search,
    "term_vectors": check_term_vectors,
    "goals": check_goals,
    "human_sessions": check_human_sessions,
    "pages": check_pages,
}


def check(data: Path, fixtures: Path) -> dict[str, Any]:
    """Run every check.

    Args:
        data: folder with the original's product files.
        fixtures: folder with fixture files (may be the same).

    Returns:
        ``{"passed": bool, "products": int, "checks": {name: report}}``; ``passed`` is true where
        every check that found its fixtures holds its bar, and at least one ran.

    Raises:
        DenseGymError: the product or fixture files cannot be read.
    """
    with TemporaryDirectory(prefix="densegym-parity-") as folder:
        path = Path(folder) / "store"
        build_store(read_products(Path(data), parity=True), path)
        context = Context(open_store(path), Path(fixtures))
        reports = {name: _report(name, context) for name in _CHECKS}
        products = len(context.store)
    verdicts = [report["passed"] for report in reports.values()]
    passed = False not in verdicts and True in verdicts
    return {"passed": passed, "products": products, "checks": reports}


def _report(name: str, context: Context) -> dict[str, Any]:
    try:
        return _CHECKS[name](context)
    except (KeyError, TypeError) as error:
        raise DenseGymError(
            f'{context.fixtures}: a fixture of the check "{name}" has another form: {error!r}.'
        ) from error
