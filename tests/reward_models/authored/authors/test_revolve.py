"""REvolve: islands rebuilt from rows, admission, migration, parents, one question a pair."""

from __future__ import annotations

import re

import numpy as np
import pytest

from densegym.errors import RewardError
from densegym.reward_models.authored.authors.revolve import RevolveOptions, populations
from densegym.reward_models.authored.search.candidate import Row
from tests.reward_models.authored.fake_context import (
    answer,
    program,
    propose,
    trained,
)


def founders(count: int = 8) -> list[Row]:
    return [trained(f"00-0{i}", 0.1 * i, 1.0 + i, f"island-{i % 4} founder") for i in range(count)]


def test_revolve_founds_islands_in_turn():
    context = propose("revolve", [answer(program(i)) for i in range(6)], candidates=6)
    assert [row.author["note"] for row in context.submitted] == [
        f"island-{i % 4} founder" for i in range(6)
    ]
    assert context.asked[0]["samples"] == 6  # one question, so that the samples differ


def test_revolve_children_name_their_parents_and_what_was_asked():
    rows = founders()
    replies = [answer(program(20.0 + i)) for i in range(12)]
    context = propose("revolve", replies, rows=rows, candidates=12)
    by_id = {row.id: row for row in rows}
    assert len(context.submitted) == 12
    kinds = set()
    for row in context.submitted:
        parents = [by_id[name] for name in row.parents]
        island = re.match(r"island-(\d)", row.author["note"]).group(1)
        assert {parent.author["note"][7] for parent in parents} == {island}
        kinds.add((len(parents), row.author["note"].split()[1]))
    assert kinds == {(1, "mutation"), (2, "crossover")}
    asked = [question["messages"][-1]["content"] for question in context.asked]
    assert len(set(asked)) == len(asked)  # equal questions would share a recorded reply
    for told in asked:
        shown = [row.id for row in rows if row.source in told]
        assert len(shown) == (2 if "Merge the two" in told else 1)
        assert ("Change one term" in told) == (len(shown) == 1)
    assert sum(question["samples"] for question in context.asked) == 12


def test_revolve_without_crossover_only_mutates_and_with_nothing_else_only_merges():
    replies = [answer(program(20.0 + i)) for i in range(6)]
    for share, count in ((0.0, 1), (1.0, 2)):
        context = propose("revolve", replies, rows=founders(), candidates=6, crossover=share)
        assert {len(row.parents) for row in context.submitted} == {count}


def test_revolve_islands_admit_only_what_is_no_worse_than_their_mean():
    still = RevolveOptions(migration=0.0)
    rows = [*founders(4), trained("00-04", 0.4, 9.0, "island-0 founder")]
    rows += [
        trained("01-00", 0.19, 20.0, "island-0 mutation"),  # below the mean 0.2 of island 0
        trained("01-01", 0.2, 21.0, "island-0 mutation"),
        trained("01-02", 0.05, 22.0, "island-1 repair"),
        trained("01-03", 0.99, 23.0, "elsewhere"),
    ]
    islands = populations(rows, still)
    assert [[row.id for row in home] for home in islands] == [
        ["00-04", "01-01", "00-00"],
        ["00-01"],
        ["00-02"],
        ["00-03"],
    ]
    many = [trained(f"00-{i:02d}", 0.01 * i, i, "island-0") for i in range(20)]
    assert [row.id for row in populations(many, still)[0]] == [f"00-{i}" for i in range(19, 11, -1)]


def test_revolve_migration_resets_the_weaker_half():
    rows = founders()
    assert populations(rows, RevolveOptions(migration=1.0)) == populations(
        rows, RevolveOptions(migration=1.0)
    )
    islands = populations(rows, RevolveOptions(migration=1.0))
    for strong in (2, 3):
        assert {row.id for row in islands[strong]} == {f"00-0{strong}", f"00-0{strong + 4}"}
    for weak in (0, 1):
        ids = {row.id for row in islands[weak]}
        assert f"00-0{weak + 4}" in ids  # its best
        assert ids - {f"00-0{weak + 4}"} <= {"00-02", "00-03", "00-06", "00-07"}
        assert len(ids) == 2
    happened = [
        len(populations([trained("00-00", 0.5, seed, "island-0")], RevolveOptions())[3])
        for seed in range(200)
    ]
    assert 0.2 < np.mean(happened) < 0.4  # an empty island is filled by migration alone


def test_revolve_draws_the_fitter_more_often():
    rows = [trained("00-00", 0.0, 1.0, "island-0"), trained("00-01", 3.0, 2.0, "island-0")]
    replies = [answer(program(20.0 + i)) for i in range(60)]
    how = {"islands": 1, "crossover": 0.0, "candidates": 60}
    drawn = propose("revolve", replies, rows=rows, **how).submitted
    share = np.mean([row.parents == ("00-01",) for row in drawn])
    assert 0.85 < share < 1.0  # softmax: 0.95
    flat = propose("revolve", replies, rows=rows, softmax=1000.0, **how).submitted
    assert 0.3 < np.mean([row.parents == ("00-01",) for row in flat]) < 0.7


def test_revolve_crosses_even_with_a_hopeless_parent():
    rows = [trained("00-00", -1e6, 1.0, "island-0"), trained("00-01", 3.0, 2.0, "island-0")]
    how = {"islands": 1, "crossover": 1.0}
    (row,) = propose("revolve", [answer(program(9))], rows=rows, **how).submitted
    assert row.parents == ("00-00", "00-01")


@pytest.mark.parametrize(
    "options", [{"islands": 0}, {"softmax": 0.0}, {"crossover": 1.5}, {"migration": -0.1}]
)
def test_revolve_refuses_what_it_cannot_do(options):
    with pytest.raises(RewardError):
        propose("revolve", [], **options)
