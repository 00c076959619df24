"""What a row says to the author of the next program: pinned text, flags, no paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from densegym.reward_models.authored.programs.declarations import Component, declare
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.writing import reflection
from densegym.reward_models.sandbox.status import Status

GOLDEN = Path(__file__).parent / "reflection.txt"
RUNG = {"F_mean": 0.35, "F_std": 0.4, "success": 0.35, "length": 87.4, "episodes": 20}
RUNG |= {"training_success": 0.2, "env_steps": 100_000, "fraction": 1.0, "seed": 1}


def course(series, sums=None):
    mean = sum(series) / len(series)
    made = {"series": series, "max": max(series), "mean": mean, "min": min(series)}
    return made | ({"sums": sums} if sums else {})


def row(components, *, source="", **changes) -> Row:
    plain = {"id": "01-02", "iteration": 1, "source": source, "status": Status.TRAINED}
    return Row(**{**plain, "rungs": (RUNG,), "components": components, **changes})


def trained() -> Row:
    expected = (
        Component("reach", "closer to the bolt", "+", 0.0, 1.0),
        Component("turn", "the bolt turns", "+", 0.0, 0.01),
        Component("lift", "forgotten"),
    )
    components = {
        "reach": course([i / 100 for i in range(11)], [10.0 * i for i in range(11)]),
        "turn": course([0.001234 * (i % 3) - 0.0001 for i in range(11)], [0.0] * 10 + [1.5]),
        "bonus": course([20.0 + 0.001 * i for i in range(11)], [2000.0] * 11),
        "idle": course([0.0] * 11, [0.0] * 11),
        "total": course([21.0] * 11),
        "fitness": course([0.0, 0.0, 0.05, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.35]),
        "episode_length": course([150.0 - 6.5 * i for i in range(11)]),
    }
    measured = {"reach": {"min": -0.3, "max": 0.4}, "turn": {"min": 0.0, "max": 0.2}}
    source = declare("def compute_reward(x):\n    return x, {}", expected)
    return row(components, source=source, dynamic={"terms": measured})


def test_the_reflection_is_the_golden_one():
    assert reflection.reflect(trained()) + "\n" == GOLDEN.read_text(encoding="utf-8")


def test_it_has_at_most_ten_points_with_both_ends():
    line = next(item for item in reflection.courses(trained()) if item.startswith("`reach`"))
    points = line.partition(": ")[2].partition(";")[0].split(", ")
    assert len(points) == 10
    assert (points[0], points[-1]) == ("0.00", "0.10")
    assert "Max 0.10, Mean 0.050, Min 0.00" in line
    five = reflection.courses(trained(), points=5)
    assert all(item.count(",") <= 4 + 2 for item in five if item.startswith("`reach`"))


def test_the_total_is_left_out_and_outcomes_come_last():
    lines = [item for item in reflection.courses(trained()) if not item.startswith("  !")]
    assert [item.partition(":")[0] for item in lines] == [
        "`reach`",
        "`turn`",
        "`bonus`",
        "`idle`",
        "task score",
        "episode length",
    ]


def flags(components, **changes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    name = ""
    for line in reflection.courses(row(components, **changes)):
        if line.startswith("  !"):
            found[name].append(line)
        else:
            name = line.partition(":")[0].strip("`")
            found[name] = []
    return {key: lines for key, lines in found.items() if lines}


def test_constant_and_dominating_terms_are_flagged_and_others_not():
    moving = course([0.0, 0.5, 1.0])
    found = flags({"moving": moving, "still": course([1.0, 1.001, 1.0]), "nil": course([0.0] * 3)})
    assert found == {"still": ["  ! nearly constant"], "nil": ["  ! always zero"]}
    found = flags({"moving": moving, "huge": course([5.0, -30.0])})
    assert found == {"huge": ["  ! 30 times as large as the next largest term"]}
    assert flags({"moving": moving, "large": course([5.0, -10.0])}) == {}
    assert flags({"alone": course([100.0, 200.0])}) == {}
    assert flags({"one": course([1.0])}) == {}  # a single point tells of no change
    assert flags({"flat": course([0.5, 0.5]), "fitness": course([0.0, 0.0])}) == {
        "flat": ["  ! nearly constant"]
    }


@pytest.mark.parametrize(
    ("term", "measured", "flag"),
    [
        (Component("t", "", "+", 0.0, 1.0), (0.0, 1.0), None),
        (Component("t", "", "+", 0.0, 1.0), (0.0, 1.05), None),
        (Component("t", "", "+", 0.0, 1.0), (0.0, 1.2), "expected from 0.00 to 1.00, measured"),
        (Component("t", "", "+"), (-0.5, 1.0), "declared positive, measured down to -0.50"),
        (Component("t", "", "-"), (-0.5, 0.5), "declared negative, measured up to 0.50"),
        (Component("t", "", "±", -1.0, 1.0), (-1.0, 1.0), None),
        (Component("t", "", "-", -1.0, 0.0), (-1.0, 1e-9), None),
    ],
)
def test_declared_and_measured_are_compared(term, measured, flag):
    facts = {"terms": {"t": {"min": measured[0], "max": measured[1]}}}
    source = declare("x = 1", [term])
    found = flags({"t": course([0.0, 0.5, 1.0])}, source=source, dynamic=facts)
    told = " ".join(found.get("t", []))
    assert (flag in told) if flag else not told


def test_what_the_ledger_lost_to_nan_is_not_compared():
    facts = {"terms": {"t": {"min": None, "max": None}}}
    source = declare("x = 1", [Component("t", "", "+", 5.0, 6.0)])
    assert flags({"t": course([0.0, 1.0])}, source=source, dynamic=facts) == {}


def test_a_row_without_training_has_nothing_to_say():
    assert reflection.reflect(row({}, rungs=())) == ""
    assert "not" in reflection.describe(row({}, rungs=())) or "none" in reflection.describe(
        row({}, rungs=())
    )


def test_behaviour_is_told_in_words():
    told = reflection.describe(trained())
    assert "task score 0.35" in told
    assert "success in 35% of 20 episodes" in told
    assert "87 steps" in told
    assert "`reach` went from 0.00 to 0.10" in told
    assert "total" not in told


def test_a_failing_screen_is_told_with_its_figures_and_its_story():
    facts = {"auc": 0.31, "spearman": -0.2, "n_succ": 60, "n_fail": 140, "status": "tpe_fail"}
    failed = row(
        {}, status=Status.TPE_FAIL, feedback="Failed episodes earn more.\nsee above", screen=facts
    )
    told = reflection.screen_feedback(failed)
    for part in ("31% of all pairs", "60 successes", "140 failures", "-0.20", "earn more.\nsee"):
        assert part in told
    passed = failed.with_(status=Status.OK, feedback="")
    assert "31%" in reflection.screen_feedback(passed)
    assert reflection.screen_feedback(row({}, screen={"auc": None})) == ""


def test_an_error_is_one_line_without_paths():
    trace = (
        'Traceback (most recent call last):\n  File "/home/me/densegym/x.py", line 3\nIndexError: 9'
    )
    told = reflection.error_feedback(row({}, status=Status.RUNTIME_ERROR, feedback=trace))
    assert told == "That program cannot be used: IndexError: 9 (runtime_error)"
    path = "/root/results/runs/00-01/program.py does not pass (unstable): 3 m/s, 1/2 N/A"
    told = reflection.error_feedback(row({}, status=Status.RUNTIME_ERROR, feedback=path))
    assert "/root" not in told
    assert "program.py" not in told
    assert "3 m/s, 1/2 N/A" in told
    assert "timeout" in reflection.error_feedback(row({}, status=Status.TIMEOUT))
    windows = reflection.scrub(r"C:\Users\me\program.py failed")
    assert windows == "<file> failed"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (-0.0, "0.00"),
        (7.684, "7.68"),
        (-123.4, "-123"),
        (0.05678, "0.057"),
        (0.00123, "0.0012"),
        (1e-7, "1.0e-07"),
        (2.5e6, "2.5e+06"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_have_two_decimals_that_mean_something(value, text):
    assert reflection.number(value) == text
