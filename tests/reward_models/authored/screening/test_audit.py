"""The audit: published defects are found, shipped programs are not accused, Meta-World's own is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from densegym import assets
from densegym.agents.collecting.bank import Paid, collect_bank, play_expert
from densegym.envs.tasks import task_card
from densegym.errors import DenseGymError, RewardError
from densegym.reward_models.authored.programs.runner import Scored
from densegym.reward_models.authored.screening.audit import Audit, audit, audit_expert
from densegym.reward_models.authored.screening.bank import Bank
from densegym.reward_models.authored.screening.gaps import Gap, wanted_gaps
from densegym.reward_models.authored.screening.screens import screen
from tests.reward_models.authored.toy_bank import CARD, bank

pytest.importorskip("metaworld")
pytest.importorskip("gymnasium_robotics")
PROGRAMS = Path(__file__).parent / "programs"
EPISODES = {"ButtonPress": 40, "DoorUnlock": 40, "DrawerOpen": 40, "AdroitHandDoor": 4}


@pytest.fixture(scope="module")
def banks() -> dict[str, Bank]:
    return {
        name: collect_bank(f"DenseGym/{name}-v0", episodes=episodes)
        for name, episodes in EPISODES.items()
    }


@pytest.fixture(scope="module")
def button_expert() -> Paid:
    return play_expert("DenseGym/ButtonPress-v0", episodes=5)


def audited(source: str, task: str, banks: dict[str, Bank]) -> Audit:
    return audit(source, task_card(f"DenseGym/{task}-v0"), banks[task])


def found(audit: Audit) -> set[tuple[str, str]]:
    return {(item.kind, item.term) for item in audit.findings}


@pytest.mark.parametrize(
    ("program", "task", "defects"),
    [
        ("button_press_equality", "ButtonPress", {("dead", "reached")}),
        ("button_press_cosine", "ButtonPress", {("constant", "solved"), ("exploitable", "")}),
        ("door_unlock_cosine", "DoorUnlock", {("dominating", "solved")}),
        ("adroit_door_sign", "AdroitHandDoor", {("wrong_sign", "reach")}),
    ],
)
def test_published_defects_are_found(program, task, defects, banks) -> None:
    seen = audited((PROGRAMS / f"{program}.py").read_text(encoding="utf-8"), task, banks)
    assert defects <= found(seen)
    blamed = {term for kind, term in found(seen) if kind in ("dead", "constant", "wrong_sign")}
    assert blamed <= {term for _, term in defects}
    json.dumps(seen.as_dict(), allow_nan=False)


def test_the_sign_test_acquits_the_repaired_reward(banks) -> None:
    source = (PROGRAMS / "adroit_door_sign.py").read_text(encoding="utf-8")
    repaired = source.replace("reach = 0.1", "reach = -0.1")
    assert repaired != source
    assert found(audited(repaired, "AdroitHandDoor", banks)) == set()


def test_the_sign_test_sees_the_gap_as_the_card_measures_it(banks) -> None:
    source = program("np.linalg.norm(palm_from_handle, axis=1)", names="palm_from_handle")
    assert ("wrong_sign", "t0") in found(audited(source, "AdroitHandDoor", banks))


@pytest.mark.parametrize("task", ["ButtonPress", "DoorUnlock", "DrawerOpen"])
def test_shipped_programs_are_not_accused(task, banks) -> None:
    stem = "".join(f"-{c.lower()}" if c.isupper() else c for c in task).lstrip("-")
    seen = audited(assets.text(f"rewards/{stem}-v1.py"), task, banks)
    assert not {item.kind for item in seen.findings} - {"dominating"}
    assert seen.measured["auc"] > 0.95


def test_meta_worlds_button_reward_pays_its_expert_a_ninth(button_expert) -> None:
    seen = audit_expert(*button_expert)
    assert found(seen) == {("expert_share", "")}
    assert seen.measured["expert_share"] == pytest.approx(562 / 5000, rel=0.1)


def test_meta_worlds_drawer_reward_pays_its_expert_most() -> None:
    seen = audit_expert(*play_expert("DenseGym/DrawerOpen-v0", episodes=2))
    assert seen.measured["expert_share"] == pytest.approx(3996 / 5000, rel=0.1)
    assert "expert_share" not in {item.kind for item in seen.findings}


def test_the_hand_written_reward_passes_the_ranking_and_its_negation_fails(button_expert) -> None:
    bank, rewards, _ = button_expert
    for sign, verdict in ((1.0, "pass"), (-1.0, "fail")):
        scored = [Scored(sign * reward, {"expert": sign * reward}) for reward in rewards]
        assert screen(bank, scored).verdicts["auc"] == verdict


def test_tasks_without_an_expert_cannot_have_theirs_audited() -> None:
    with pytest.raises(DenseGymError, match="densegym author audit FILE"):
        play_expert("DenseGym/AdroitHandDoor-v0")


def program(*terms: str, names: str = "walker_position, goal_position, action") -> str:
    body = "\n".join(f"    t{i} = {term}" for i, term in enumerate(terms))
    total = " + ".join(f"t{i}" for i in range(len(terms)))
    parts = ", ".join(f'"t{i}": t{i}' for i in range(len(terms)))
    return (
        "import numpy as np\n\n\n"
        f"def compute_reward({names}):\n{body}\n    return {total}, {{{parts}}}\n"
    )


APART = "np.abs(walker_position - goal_position)[:, 0]"


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([f"-{APART}"], set()),
        (
            [APART],
            {("wrong_sign", "t0"), ("uncorrelated", ""), ("exploitable", ""), ("expert_share", "")},
        ),
        ([f"-{APART}", f"-900.0 * {APART}"], {("dominating", "t1")}),
        ([f"-{APART}", "0.0 * action[:, 0]"], {("dead", "t1")}),
        ([f"-{APART}", "-3.0 + 0.0 * action[:, 0]"], {("constant", "t1")}),
        # It falls on the way to the goal, but measures no gap, and is outweighed.
        ([f"-{APART}", "0.25 * (2.0 * walker_position - goal_position)[:, 0]"], set()),
    ],
)
def test_each_defect_is_found_alone(terms, expected) -> None:
    assert found(audit(program(*terms), CARD, bank())) == expected


def test_a_term_that_pays_the_expert_least_and_outweighs_the_rest_is_backwards() -> None:
    """No gap is measured here: the evidence is that noisier episodes earn more."""
    small = "0.1 * np.abs(action[:, 0])"
    speed = "-np.abs(action[:, 0])"
    assert ("wrong_sign", "t0") in found(audit(program(speed, names="action"), CARD, bank()))
    outweighed = program(f"-{APART}", f"-{small}")
    assert ("wrong_sign", "t1") not in found(audit(outweighed, CARD, bank()))


def test_difference_rewards_have_no_expert_share_and_presence_rewards_do() -> None:
    names = "walker_position, prev_walker_position"
    steps = program("10.0 * (prev_walker_position - walker_position)[:, 0]", names=names)
    assert "expert_share" not in audit(steps, CARD, bank()).measured
    presence = program(f"1.0 / (0.1 + {APART})")
    assert audit(presence, CARD, bank()).measured["expert_share"] > 0.5
    spike = program(f"1.0 / (0.1 + {APART}) + 30.0 * (np.abs({APART} - 0.5) < 0.025)")
    assert audit(spike, CARD, bank()).measured["expert_share"] > 0.3
    far = program(f"1.0 + 20.0 * np.exp(-np.square(({APART} - 0.6) / 0.03))")
    assert ("expert_share", "") in found(audit(far, CARD, bank()))


def test_potentials_are_audited_as_a_whole() -> None:
    source = (
        "import numpy as np\n\n\ndef potential(walker_position, goal_position):\n    return {}\n"
    )
    assert found(audit(source.format(f"-{APART}"), CARD, bank())) == set()
    assert ("wrong_sign", "potential") in found(audit(source.format(APART), CARD, bank()))


def test_without_successes_no_term_is_called_dead(banks) -> None:
    source = (PROGRAMS / "adroit_door_sign.py").read_text(encoding="utf-8")
    seen = audited(source, "AdroitHandDoor", banks)
    assert "dead" not in {item.kind for item in seen.findings}


def test_gaps_are_those_the_card_names_and_those_experts_close(banks) -> None:
    assert wanted_gaps(task_card("DenseGym/AdroitHandDoor-v0"), banks["AdroitHandDoor"]) == [
        Gap("palm", "handle")
    ]
    closed = wanted_gaps(task_card("DenseGym/DrawerOpen-v0"), banks["DrawerOpen"])
    assert Gap("goal", "object") in closed
    assert Gap("hand", "object") in closed
    assert wanted_gaps(CARD, Bank(task="Toy", gamma=0.99, trajectories=())) == []


def test_a_refused_program_is_an_error() -> None:
    with pytest.raises(RewardError):
        audit("import os\n\n\ndef compute_reward(action):\n    return os.getcwd()\n", CARD, bank())


def test_numbers_of_the_whole_reward_are_plain(button_expert) -> None:
    measured = audit_expert(*button_expert).as_dict()["measured"]
    assert all(isinstance(value, float) and np.isfinite(value) for value in measured.values())
