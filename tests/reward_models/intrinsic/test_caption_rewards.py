import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from densegym.errors import DenseGymError, RewardError, UnknownNameError
from densegym.reward_models.checks import check_reward_model
from densegym.reward_models.intrinsic.annotation.sources import (
    ScoreSource,
    lexicon_grade,
    random_grade,
    shipped_captions,
)
from densegym.reward_models.intrinsic.annotation.table import CaptionTable, Provenance
from densegym.reward_models.intrinsic.captions.first_seen import FirstSeen
from densegym.reward_models.spec import build_engine, build_reward, label
from densegym.reward_models.types import Steps
from tests.reward_models.intrinsic.worlds import CARD, begin, say

OBS = spaces.Box(-1, 1, (2,))
ACT = spaces.Discrete(3)
LINES = ("You see here a key named Bob.", "The door opens.", "It's a wall.", "Hark!")


def retrieval(**options):
    return build_reward({"model": "intrinsic/oni-retrieval", "scale": 1.0, **options}, task=CARD)


def talk(rng):
    return {"captions": tuple(line for line in LINES if rng.random() < 0.4)}


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "labels.jsonl"
    made = CaptionTable(
        Provenance(kind="grade", goal="progress", prompt="p-v1", annotator="by hand"), path
    )
    made.add({"you see here a key named x": 9.0, "the door opens.": 5.0, "it's a wall.": 4.0})
    made.close()
    return str(path)


@pytest.mark.parametrize(
    "name", ["oni-retrieval", "first-seen", "oni-retrieval:lexicon", "oni-retrieval:random"]
)
def test_contract(name):
    name, _, annotator = name.partition(":")
    options = {"annotator": annotator} if annotator else {}
    spec = {"model": f"intrinsic/{name}", **options}
    check_reward_model(lambda: build_reward(spec, task=CARD), OBS, ACT, info=talk)


def test_labels_are_damped_by_repetition_within_the_episode(table):
    model = retrieval(table=table)
    begin(model, [0, 1])
    key, wall = LINES[0], LINES[2]
    paid = [say(model, [[key], [wall]]).reward.tolist() for _ in range(3)]
    assert paid == [[1.0, 0.0], [1 / 8, 0.0], [1 / 27, 0.0]]
    begin(model, [0])
    assert say(model, [[key], [key]]).reward.tolist() == [1.0, 1.0]  # lanes count apart


def test_captions_of_one_step_are_summed_and_silence_is_worth_nothing(table):
    model = retrieval(table=table, graded=True, beta=0.0)
    begin(model, [0])
    scores = say(model, [[f"{LINES[0]}  {LINES[1]}", LINES[1]]])
    assert scores.reward[0] == pytest.approx(9 / 9 + 5 / 9)
    assert scores.reward[0] == pytest.approx(sum(part[0] for part in scores.parts.values()))
    assert say(model, [[]]).reward.tolist() == [0.0]


def test_what_the_table_does_not_know_is_worth_nothing_and_counted(table):
    model = retrieval(table=table)
    begin(model, [0])
    say(model, [["You hear the splashing of a naiad."]])
    say(model, [[LINES[1]]])
    say(model, [[]])
    assert model.metrics()["coverage"] == 0.5


def test_a_table_of_another_goal_is_refused(table):
    with pytest.raises(DenseGymError, match="judges by the goal"):
        retrieval(table=table, goal="gold")


def test_labels_name_the_annotator_even_by_default():
    assert label("intrinsic/oni-retrieval", task=CARD).endswith('-v1{"annotator": "recorded"}')
    spec = {"model": "intrinsic/oni-ranking", "annotator": "random", "scale": 0.1}
    assert label(spec, task=CARD).endswith('{"annotator": "random", "scale": 0.1}')


def test_paid_on_top_of_the_world_at_half_scale(table):
    engine = build_engine({"model": "intrinsic/oni-retrieval", "table": table}, 1, task=CARD)
    engine.begin(engine.slots, None, [{"captions": ()}])
    row = {"slot": engine.slots, "action": None, "next_obs": None, "env_reward": np.array([2.0])}
    never = np.zeros(1, dtype=np.bool_)
    said = [{"captions": (LINES[0],)}]
    outcome = engine.advance(**row, terminated=never, truncated=never, info=said)
    assert outcome.reward.tolist() == [2.5]


def test_worlds_without_captions_are_named():
    model = FirstSeen()
    begin(model, [0])
    with pytest.raises(RewardError, match="captions"):
        model.score(silent_world())


def silent_world():
    one, never = np.zeros(1), np.zeros(1, dtype=np.bool_)
    return Steps(np.arange(1), one.astype(np.int64), None, None, None, one, never, never, [{}])


def test_unknown_annotator_names_the_closest():
    with pytest.raises(UnknownNameError, match="lexicon"):
        retrieval(annotator="lexikon")


def test_first_seen_pays_each_caption_once_an_episode():
    model = FirstSeen()
    begin(model, [0, 1])
    assert say(model, [[LINES[0], LINES[1]], [LINES[0]]]).reward.tolist() == [2.0, 1.0]
    assert say(model, [[LINES[0]], [LINES[1]]]).reward.tolist() == [0.0, 1.0]
    begin(model, [1])
    assert say(model, [[LINES[1]], [LINES[1]]]).reward.tolist() == [0.0, 1.0]


def test_first_seen_globally_shares_between_lanes():
    model = FirstSeen(scope="global")
    begin(model, [0, 1])
    assert say(model, [[LINES[0]], [LINES[0], LINES[1]]]).reward.tolist() == [0.5, 1.5]
    again = FirstSeen(scope="global")
    again.load_state_dict(model.state_dict())
    begin(again, [0, 1])
    assert say(again, [[LINES[0]], [LINES[2]]]).reward.tolist() == [0.0, 1.0]


def test_the_score_annotator_grades_by_gain():
    source = ScoreSource()
    for gain in (0.0, 20.0, -5.0):
        source.learn("you kill the newt!", gain)
    source.learn("it's a wall.", 0.0)
    assert dict(source.grades) == {"you kill the newt!": 9.0, "it's a wall.": 0.0}
    again = ScoreSource()
    again.load_state_dict(source.state_dict())
    assert dict(again.grades) == dict(source.grades)


def test_the_score_annotator_reads_blstats():
    model = retrieval(annotator="score")
    begin(model, [0], obs={})
    stats = np.zeros((1, 27), dtype=np.int64)
    after = stats.copy()
    after[0, 9] = 20
    scores = say(
        model, [["You kill the newt!"]], obs={"blstats": stats}, next_obs={"blstats": after}
    )
    assert scores.reward.tolist() == [1.0]
    with pytest.raises(DenseGymError, match="blstats"):
        say(model, [["Hark!"]], obs={}, next_obs={})


@settings(max_examples=50)
@given(st.lists(st.lists(st.sampled_from(LINES), max_size=3), min_size=1, max_size=20))
def test_an_episode_of_labels_pays_at_most_zeta_of_beta(said):
    model = retrieval(annotator="lexicon")
    begin(model, [0])
    total = sum(float(say(model, [row]).reward[0]) for row in said)
    positive = {line for row in said for line in row if line in LINES[:2]}
    assert len(positive) <= total + 1e-12 <= len(positive) * 1.2021 + 1e-9


def test_hand_written_rules_and_chance():
    assert lexicon_grade("you kill the newt!") >= 5 > lexicon_grade("it's a wall.")
    drawn = [random_grade(caption, 0) for caption in shipped_captions()]
    assert drawn == [random_grade(caption, 0) for caption in shipped_captions()]
    assert 0.4 < np.mean(np.array(drawn) >= 5) < 0.6
