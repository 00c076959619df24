"""Program files as rewards: verified in a worker, named by content, refused with a reason."""

from __future__ import annotations

import numpy as np
import pytest

from densegym.errors import RewardError
from densegym.reward_models.authored.programs import runner, shipped
from densegym.reward_models.authored.verification import file
from densegym.reward_models.authored.verification.verify import verify
from densegym.reward_models.registry import find_reward
from densegym.reward_models.spec import build_engine, build_reward
from tests.toys import CARD

SOURCE = """
def compute_reward(height):
    high = np.tanh(height)
    return high, {"high": high}
"""
HEADER = """# /// densegym-reward
# name = "high"
# version = 3
# task = "Toy/Wander-v0"
# author = "a person"
# date = 2026-01-01
# summary = "pays height"
# stops_at_success = true
# ///
"""


def spec(path, text=None):
    if text is not None:
        path.write_text(text, encoding="utf-8")
    return {"model": "authored/file", "path": str(path)}


def paid(engine, obs):
    engine.begin(engine.slots, obs, [{}, {}])
    flags = np.zeros(2, bool)
    return engine.advance(
        slot=engine.slots, action=np.zeros((2, 2)), next_obs=obs, env_reward=np.ones(2),
        terminated=flags, truncated=flags, info=[{}, {}],
    ).reward  # fmt: skip


def test_a_file_pays_through_the_engine(tmp_path):
    engine = build_engine(spec(tmp_path / "mine.py", SOURCE), 2, task=CARD)
    obs = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(paid(engine, obs), np.tanh(obs[:, 2]))
    assert engine.keys[-1] == "reward/part/high"


def test_the_name_follows_the_code_and_not_its_layout(tmp_path):
    names = [
        build_reward(spec(tmp_path / "mine.py", text), task=CARD).name
        for text in (SOURCE, "# remark\n" + SOURCE, SOURCE.replace("tanh", "sin"), HEADER + SOURCE)
    ]
    assert names[0] == names[1] == names[3] != names[2]
    assert names[0].startswith("authored/file:mine@")
    assert len(names[0].partition("@")[2]) == 8


def test_a_file_is_verified_once_however_many_environments_read_it(tmp_path, monkeypatch):
    sources = []

    def counted(source, task):
        sources.append(source)
        return verify(source, task)

    monkeypatch.setattr(file, "verify", counted)
    file._verdict.cache_clear()
    for text in (SOURCE, SOURCE, SOURCE.replace("tanh", "cos"), SOURCE):
        build_reward(spec(tmp_path / "mine.py", text), task=CARD)
    assert len(sources) == 2


def test_a_header_is_read_where_there_is_one(tmp_path):
    with_header = build_reward(spec(tmp_path / "a.py", HEADER + SOURCE), task=CARD)
    assert with_header.traits.ends_at_success is True
    assert with_header.header.author == "a person"
    bare = build_reward(spec(tmp_path / "b.py", SOURCE), task=CARD)
    assert bare.traits.ends_at_success is None
    with pytest.raises(RewardError, match="lacks"):
        build_reward(
            spec(tmp_path / "c.py", HEADER.replace("# version = 3\n", "") + SOURCE), task=CARD
        )


def test_potentials_become_shaping(tmp_path):
    text = "def potential(height):\n    return np.tanh(height)"
    assert build_reward(spec(tmp_path / "phi.py", text), task=CARD).traits.terms == ("shaping",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import os\n" + SOURCE, "static_reject"),
        ("def compute_reward(height:", "parse_error"),
        (SOURCE.replace("np.tanh(height)", "height.sum()"), "bad_shape"),
        (SOURCE.replace("np.tanh(height)", "0.0 * height"), "constant"),
        ("def factors(height):\n    return {'height': height}", "credit/lare"),
        ("", "static_reject|parse_error"),
    ],
)
def test_bad_files_are_refused_with_status_and_reason(tmp_path, text, says):
    with pytest.raises(RewardError, match=says):
        build_reward(spec(tmp_path / "bad.py", text), task=CARD)


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(RewardError, match=r"gone\.py cannot be read"):
        build_reward(spec(tmp_path / "gone.py"), task=CARD)
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RewardError, match="cannot be read"):
        build_reward(spec(tmp_path / "bytes.py"), task=CARD)
    with pytest.raises(RewardError, match="path"):
        build_reward("authored/file", task=CARD)


def test_it_is_listed():
    entry = find_reward("authored/file")
    assert "path" in entry.supply
    assert entry.tasks == ()
    assert entry.name not in [header.name for header in shipped.headers()]


TWO_TERMS = """
def compute_reward(height):
    dense = 7.0 * height
    sparse = 9.0 * (height > 4.0)
    return dense + sparse, {"dense": dense, "sparse": sparse}
"""


def test_only_the_signs_of_two_terms_may_be_paid(tmp_path):
    asked = {**spec(tmp_path / "mine.py", TWO_TERMS), "sign_constrained": True}
    engine = build_engine(asked, 2, task=CARD)
    obs = np.array([[0.0, 0.0, -2.0], [0.0, 0.0, 5.0]])
    np.testing.assert_allclose(paid(engine, obs), [-0.1, 1.1])


@pytest.mark.parametrize(
    ("text", "told"),
    [(SOURCE, "dense and sparse"), ("def potential(height):\n    return height", "compute_reward")],
)
def test_signs_of_other_programs_are_refused(tmp_path, text, told):
    asked = {**spec(tmp_path / "mine.py", text), "sign_constrained": True}
    with pytest.raises(RewardError, match=told):
        build_engine(asked, 2, task=CARD)


def test_it_runs_here_up_to_the_batches_it_was_tried_on_and_isolated_beyond_or_when_asked(
    tmp_path,
):
    plain = build_reward(spec(tmp_path / "mine.py", SOURCE), task=CARD)
    apart = build_reward(spec(tmp_path / "mine.py") | {"isolated": True}, task=CARD)
    engines = [build_engine(spec(tmp_path / "mine.py") | more, 2, task=CARD)
               for more in ({}, {"isolated": True})]  # fmt: skip
    obs = np.arange(6.0).reshape(2, 3)
    assert paid(engines[0], obs).tolist() == paid(engines[1], obs).tolist()
    assert plain._runner.isolation == "ast"
    assert apart._runner.isolation.startswith("ast+process")
    rows = runner.VETTED + 1
    here = plain._runner.run([np.linspace(0.0, 1.0, rows)], rows)
    assert plain._runner.isolation.startswith("ast+process")
    np.testing.assert_array_equal(here.total, np.tanh(np.linspace(0.0, 1.0, rows)))
