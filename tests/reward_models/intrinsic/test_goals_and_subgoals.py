import json

import numpy as np
import pytest
from gymnasium import spaces

from densegym.errors import DenseGymError, RewardError, UnknownNameError
from densegym.reward_models.checks import check_reward_model
from densegym.reward_models.intrinsic.annotation.comparing import Comparer, pair_key, pair_of
from densegym.reward_models.intrinsic.annotation.judging import SubgoalJudge
from densegym.reward_models.intrinsic.annotation.proposing import propose_goals
from densegym.reward_models.intrinsic.captions.ellm import GoalSimilarity
from densegym.reward_models.intrinsic.captions.heads import PreferenceOptions
from densegym.reward_models.intrinsic.captions.motif import Preference
from densegym.reward_models.intrinsic.captions.vectors import ngrams, word_vectors
from densegym.reward_models.llm.scripted import ScriptedClient
from densegym.reward_models.llm.types import LLMError
from densegym.reward_models.spec import build_reward, label
from densegym.reward_models.types import TaskCard
from tests.reward_models.intrinsic.worlds import CARD, begin, say

KEYROOM = TaskCard(id="DenseGym/MiniHack-KeyRoom-S5-v0", goal="Find the key.")
KEY, UNLOCK, OPEN = "g - a key named Bob.", "You succeed in unlocking the door.", "The door opens."
LINES = (KEY, UNLOCK, OPEN, "It's a wall.", "You see here a key named Bob.")
MARKS = {KEY: "key-taken", UNLOCK: "door-unlocked", OPEN: "door-opened"}
OBS, ACT = spaces.Box(-1, 1, (2,)), spaces.Discrete(3)


def build(**options):
    return build_reward({"model": "intrinsic/calm", "scale": 1.0, **options}, task=KEYROOM)


def talk(rng):
    said = tuple(line for line in LINES if rng.random() < 0.4)
    return {"captions": said, "milestones": tuple(MARKS[line] for line in said if line in MARKS)}


@pytest.mark.parametrize("annotator", ["recorded", "random", "oracle"])
def test_calm_keeps_the_contract(annotator):
    check_reward_model(lambda: build(annotator=annotator), OBS, ACT, info=talk)


def test_ellm_keeps_the_contract():
    check_reward_model(lambda: build_reward("intrinsic/ellm", task=KEYROOM), OBS, ACT, info=talk)


def test_a_subgoal_pays_once_an_episode():
    model = build()
    begin(model, [0])
    paid = [say(model, [[line]]).reward[0] for line in (LINES[3], LINES[4], KEY, KEY, UNLOCK, OPEN)]
    assert paid == [0.0, 0.0, 1.0, 0.0, 1.0, 1.0]
    begin(model, [0])
    both = say(model, [[UNLOCK, OPEN]])
    assert both.reward.tolist() == [2.0]
    assert {name: part.tolist() for name, part in both.parts.items()} == {
        "subgoal-1": [0.0],
        "subgoal-2": [1.0],
        "subgoal-3": [1.0],
    }


def test_the_worlds_milestones_score_any_judge():
    model = build()
    begin(model, [0])
    say(model, [[KEY]], info={"milestones": ("key-taken",)})  # right
    say(model, [[UNLOCK]], info={"milestones": ()})  # claimed, not so
    say(model, [["It's a wall."]], info={"milestones": ("door-opened",)})  # missed
    metrics = model.metrics()
    assert (metrics["precision"], metrics["recall"], metrics["f1"]) == (0.5, 0.5, 0.5)
    oracle = build(annotator="oracle")
    begin(oracle, [0])
    assert say(oracle, [[]], info={"milestones": ("door-opened",)}).reward.tolist() == [1.0]
    assert oracle.metrics()["f1"] == 1.0


def test_calm_says_what_it_lacks():
    with pytest.raises(DenseGymError, match="no subgoals ship"):
        build_reward("intrinsic/calm", task=CARD)
    with pytest.raises(UnknownNameError, match="oracle"):
        build(annotator="oracel")
    with pytest.raises(DenseGymError, match="milestones; name them"):
        build(annotator="oracle", subgoals=["win"])
    with pytest.raises(DenseGymError, match="is a text"):
        build(subgoals=[3])
    model = build(annotator="oracle")
    begin(model, [0])
    with pytest.raises(RewardError, match="milestones"):
        say(model, [[]])


def test_a_goal_pays_its_similarity_once_an_episode():
    model = GoalSimilarity(["you kill the newt!", "the door opens."], threshold=0.5)
    begin(model, [0])
    assert say(model, [["The door opens."]]).reward[0] == pytest.approx(1.0)
    assert say(model, [["The door opens."]]).reward[0] == 0.0
    near = say(model, [["You kill the jackal!"]]).reward[0]
    assert 0.4 < near < 1.0 or near == 0.0
    assert say(model, [["Hark!"], []], lanes=[0, 0]).reward.tolist() == [0.0, 0.0]
    begin(model, [0])
    assert say(model, [["The door opens."]]).reward[0] == pytest.approx(1.0)


def test_ellm_says_what_it_lacks(tmp_path):
    with pytest.raises(DenseGymError, match="no goals ship"):
        build_reward("intrinsic/ellm", task=CARD)
    with pytest.raises(DenseGymError, match="at least one sentence"):
        GoalSimilarity([])
    (tmp_path / "bad.vec").write_text("door 1 0\nkey 1\nkey x y\n")
    with pytest.raises(DenseGymError, match="no word vectors"):
        word_vectors(tmp_path / "bad.vec")


def test_texts_as_vectors(tmp_path):
    assert np.linalg.norm(ngrams("the door opens")) == pytest.approx(1.0)
    assert ngrams("the door opens") @ ngrams("the door closes") > 0.3
    assert not ngrams("of the").any()
    (tmp_path / "t.vec").write_text("2 2\ndoor 1 0\nkey 0 2\n")
    embed = word_vectors(tmp_path / "t.vec")
    np.testing.assert_allclose(embed("The door, the key!"), np.array([1, 2]) / 5**0.5)
    assert not embed("nothing known").any()


def said(name, entries):
    return json.dumps({name: entries})


def test_pairs_are_read_strictly():
    keys = [pair_key("a", "b"), pair_key("c", "d"), pair_key("e", "f")]
    reply = said("pairs", [{"n": 1, "best": 2}, {"n": 2, "best": 1}, {"n": 2, "best": 0}])
    comparer = Comparer(ScriptedClient([reply, "2"]), model="m", annotator="x")
    assert comparer.annotate(keys) == {keys[0]: 1.0, keys[1]: None, keys[2]: None}
    assert set(comparer.annotate(keys, 1).values()) == {None}
    assert pair_of(keys[0]) == ("a", "b")
    with pytest.raises(DenseGymError, match="no pair"):
        pair_of("alone")


def test_subgoals_are_read_strictly():
    reply = said("captions", [{"n": 1, "subgoal": 2}, {"n": 2, "subgoal": 0}])
    made = {"model": "m", "task": "t", "subgoals": ["x", "y"], "key": "k", "annotator": "x"}
    judge = SubgoalJudge(ScriptedClient([reply]), **made)
    assert judge.annotate(["p", "q", "r"]) == {"p": 1.0, "q": -1.0, "r": None}
    wrong = said("captions", [{"n": 1, "subgoal": 3}])
    assert set(SubgoalJudge(ScriptedClient([wrong]), **made).annotate(["p"]).values()) == {None}


def test_goals_are_asked_for_twice_at_most():
    good = json.dumps({"goals": ["Open it.", "open it.", "Go."]})
    client = ScriptedClient(["no", good])
    assert propose_goals(client, model="m", task="t", captions=["c"]) == ("open it.", "go.")
    with pytest.raises(LLMError, match="no goals"):
        propose_goals(ScriptedClient(["no", "{}"]), model="m", task="t", captions=["c"])


BEASTS = ("newt", "jackal", "goblin", "rat", "fox", "bat", "dog", "ant", "imp", "orc")


def test_motif_learns_once_and_judges_captions_it_never_saw():
    grades = {f"you kill the {b}!": 8.0 for b in BEASTS} | {
        f"you miss the {b}.": 0.0 for b in BEASTS
    }
    options = PreferenceOptions(drawn=400, epochs=6)
    head = Preference(options, pairs=None, seen=dict.fromkeys(grades, 1))
    head.update(grades)
    assert head.metrics()["held_out_accuracy"] > 0.9
    before = head.values(list(grades))
    assert before[:10].min() > 0.0 >= before[10:].max()
    head.update({"x": 1.0})
    np.testing.assert_array_equal(before, head.values(list(grades)))
    again = Preference(PreferenceOptions(drawn=400), pairs=None, seen=grades)
    again.load_state_dict(head.state_dict())
    np.testing.assert_array_equal(before, again.values(list(grades)))


def test_motif_takes_recorded_pairs():
    motif = {"model": "intrinsic/motif", "scale": 1.0, "pairs": "recorded"}
    model = build_reward({**motif, "epochs": 4}, task=CARD)
    begin(model, [0])
    say(model, [["It's a wall."]])
    assert model.metrics()["held_out_accuracy"] > 0.4
    with pytest.raises(UnknownNameError, match="epochs"):
        build_reward({**motif, "epoch": 3}, task=CARD)
    assert label("intrinsic/motif", task=CARD).endswith('{"annotator": "recorded"}')
