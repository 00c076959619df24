import numpy as np
import pytest
import torch

from densegym.errors import DenseGymError, UnknownNameError
from densegym.reward_models.intrinsic.annotation.sources import RuleSource
from densegym.reward_models.intrinsic.captions import learned_heads
from densegym.reward_models.intrinsic.captions.caption_reward import CaptionReward
from densegym.reward_models.intrinsic.captions.heads import ClassificationOptions, RankingOptions
from densegym.reward_models.intrinsic.captions.learned_heads import Classification, Ranking, moments
from densegym.reward_models.intrinsic.text_net import TextNet
from tests.reward_models.intrinsic.worlds import begin, say

GRADES = {
    **{f"you kill the {beast}!": 8.0 for beast in ("newt", "jackal", "goblin", "rat", "fox")},
    **{f"you miss the {beast}.": 1.0 for beast in ("newt", "jackal", "goblin", "rat", "fox")},
}


def source():
    made = RuleSource("lexicon", lambda caption: 8.0 if "kill" in caption else 1.0)
    made._grades = {}  # the shipped captions would only make this slow
    return made


def test_the_classifier_learns_and_speaks_of_what_nobody_labelled():
    head = Classification(ClassificationOptions(steps=40))
    assert head.values(["you kill the newt!"]).tolist() == [0.0]  # nothing is known yet
    for _ in range(4):
        head.update(GRADES)
    assert head.values(list(GRADES)).tolist() == [1.0] * 5 + [0.0] * 5
    assert head.values(["you kill the lichen!", "you miss the lichen."]).tolist() == [1.0, 0.0]
    assert head.metrics()["head_loss"] < 0.3


def test_the_ranking_puts_kills_above_misses_and_silences_the_lower_half():
    head = Ranking(RankingOptions(steps=40))
    for _ in range(4):
        head.update(GRADES)
    occurrences = dict.fromkeys(GRADES, 1)
    assert head.moved(occurrences, 10)
    assert not head.moved(occurrences, 11)
    values = head.values(list(GRADES))
    assert values[:5].min() > 0.0
    assert (values[5:] <= 0.0).all()
    assert head.moved(occurrences, 20)


def test_equal_seeds_learn_equal_numbers_and_torch_keeps_its_own():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    one, other = (Classification(ClassificationOptions(steps=3), seed=5) for _ in range(2))
    one.update(GRADES)
    other.update(GRADES)
    assert torch.equal(torch.rand(2), expected)
    np.testing.assert_array_equal(one._net(list(GRADES)), other._net(list(GRADES)))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Classification, ClassificationOptions(steps=4)),
        (Ranking, RankingOptions(steps=4)),
    ],
)
def test_a_checkpoint_goes_on_bit_for_bit(kind, options):
    model = CaptionReward("a/b-v1", source(), kind(options), update_every=1)
    begin(model, [0])
    lines = [[caption] for caption in GRADES]
    for line in lines[:6]:
        say(model, [line])
    again = CaptionReward("a/b-v1", source(), kind(options), update_every=1)
    again.load_state_dict(model.state_dict())
    for line in lines[6:]:
        assert say(model, [line]).reward.tolist() == say(again, [line]).reward.tolist()
    assert model.metrics() == again.metrics()


def test_moments_count_captions_as_often_as_they_occurred():
    scores, occurrences = np.array([1.0, 0.0, 3.0]), {"a": 2, "b": 7, "c": 1}
    mean, std, least = moments(scores, occurrences, 0.5)
    sample = np.repeat(scores, [2, 7, 1])
    assert (mean, std) == (pytest.approx(sample.mean()), pytest.approx(sample.std()))
    assert least == pytest.approx((0.0 - mean) / std)  # the median caption is b
    assert moments(scores, occurrences, 0.95)[2] == pytest.approx((3.0 - mean) / std)
    assert moments(np.ones(1), {"a": 1}, 0.5) == (1.0, 1e-8, 0.0)


def test_the_papers_network_takes_long_captions_and_none():
    net = TextNet(2, size="paper")
    assert net(["", "x" * 400, "caf\u00e9 \u2603"]).shape == (3, 2)
    assert sum(p.numel() for p in net.module.parameters()) > 400_000


def test_learning_stops_at_many_labels(monkeypatch):
    monkeypatch.setattr(learned_heads, "_MOST_LABELLED", 5)
    head = Classification(ClassificationOptions(steps=1))
    head.update(GRADES)
    steps = head._net._steps
    head.update(GRADES)
    assert head._net._steps == steps == 1


def test_wrong_options_are_refused():
    with pytest.raises(DenseGymError, match="probability"):
        Classification(ClassificationOptions(threshold=2.0))
    with pytest.raises(DenseGymError, match="quantile"):
        Ranking(RankingOptions(quantile=1.0))
    with pytest.raises(UnknownNameError, match="small"):
        Classification(ClassificationOptions(size="smal"))
