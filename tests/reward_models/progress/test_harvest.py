"""Failures of the policy in training are learnt, at resets only, and survive a checkpoint."""

import numpy as np
import pytest
import torch

from densegym.agents.training.checkpoint import _to_arrays, _to_tensors
from densegym.errors import DenseGymError, RewardError, UnknownNameError
from densegym.reward_models.progress.demos import FAILURES, Demo
from densegym.reward_models.progress.local import fit, local_judge
from densegym.reward_models.progress.local.harvest import Harvest, HarvestingPotential
from densegym.reward_models.progress.local.labels import ORIGIN
from densegym.reward_models.shaping import Shaped
from densegym.reward_models.types import Starts, TaskCard
from tests.reward_models.progress.reading import starts, steps
from tests.reward_models.progress.test_local import SIZE, demos, film

STEPS = 12  # of an episode
HARVEST = Harvest(every=100, updates=6, episodes=8)


def decoy(rng) -> np.ndarray:
    """A film in which the square moves as if to finish, with a bar above that spoils it."""
    frames = film(np.linspace(0, 1, STEPS + 1), rng)
    frames[:, :, 4:12] = 255
    return frames


@pytest.fixture(scope="module")
def fitted():
    made = demos(np.random.default_rng(0))
    network, _ = fit.train(made, updates=60)
    return made, local_judge.LocalJudge(network, fit.references(made), ("front",))


def potential(fitted, tmp_path, *, seed=0, harvest=HARVEST) -> HarvestingPotential:
    """Build one with a judge of its own, as every run has."""
    made, judge = fitted
    path = tmp_path / "weights.safetensors"
    judge.save(path)
    return HarvestingPotential(
        local_judge.LocalJudge.load(path),
        harvest=harvest,
        demos=lambda: made,
        seed=seed,
        name="progress/local",
        every=2,
    )


def episodes(count, seed=3):
    """Yield what an engine tells of ``count`` failed episodes in each of two lanes."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        films = [decoy(rng), decoy(rng)]
        yield starts(0.0, slot=(0, 1))._replace(frame=np.stack([f[0] for f in films]))
        for t in range(STEPS):
            shown = np.stack([f[t + 1] for f in films])
            yield steps(0.0, t, slot=(0, 1), truncated=t == STEPS - 1)._replace(frame=shown)


def play(model, count, seed=3):
    """Return everything that was paid, and the judge of lane 0 after every event."""
    paid, judges = [], []
    for event in episodes(count, seed):
        if isinstance(event, Starts):
            model.begin(event)
        else:
            paid.append(model.score(event).reward)
        judges.append(model.potential._lanes[0].judge)
    return np.concatenate(paid), judges


def test_false_progress_falls_on_failures_that_were_not_learnt_from(fitted, tmp_path) -> None:
    enough = Harvest(every=100, updates=50, episodes=8)
    model = Shaped(potential(fitted, tmp_path, harvest=enough))
    play(model, 8)
    told = model.metrics()
    assert told["harvests"] == told["harvest_kept"] == 1
    assert told["harvest_before"] > 0.5
    assert told["harvest_after"] < 0.5 * told["harvest_before"]
    high = told["false_progress"]
    play(model, 2, seed=9)
    latest = list(model.potential._watch._failed)[-4:]
    assert np.mean(latest) - ORIGIN < 0.5 * (high - ORIGIN)


def test_the_judge_changes_at_resets_only(fitted, tmp_path) -> None:
    _, judges = play(Shaped(potential(fitted, tmp_path)), 8)
    changes = [i for i in range(1, len(judges)) if judges[i] is not judges[i - 1]]
    assert len(changes) == 1
    assert changes[0] % (STEPS + 1) == 0, "the first event of an episode is its reset"


def test_a_rollout_judged_at_once_is_paid_the_same_to_the_bit(fitted, tmp_path) -> None:
    stepwise, once = (Shaped(potential(fitted, tmp_path)) for _ in range(2))
    paid, _ = play(stepwise, 10)
    together = np.concatenate([scores.reward for scores in once.score_many(list(episodes(10)))])
    assert stepwise.metrics()["harvests"] == 2
    assert paid.tolist() == together.tolist()
    assert stepwise.metrics() == once.metrics()


def test_a_checkpoint_brings_the_learnt_judge_back(fitted, tmp_path) -> None:
    model = Shaped(potential(fitted, tmp_path))
    play(model, 5)
    saved = tmp_path / "state.pt"
    torch.save(_to_tensors(model.state_dict()), saved)
    resumed = Shaped(potential(fitted, tmp_path))
    resumed.load_state_dict(_to_arrays(torch.load(saved, weights_only=True)))
    assert resumed.metrics()["harvest_after"] == model.metrics()["harvest_after"]
    one, other = play(model, 4, seed=5)[0], play(resumed, 4, seed=5)[0]
    assert model.metrics()["harvests"] == 2
    assert one.tolist() == other.tolist()
    for name in ("harvest_before", "harvest_after"):
        assert model.metrics()[name] == resumed.metrics()[name]


def test_seeds_decide_what_is_learnt(fitted, tmp_path) -> None:
    weights = []
    for seed in (0, 0, 1):
        model = potential(fitted, tmp_path, seed=seed, harvest=Harvest(every=100, updates=3))
        play(Shaped(model), 5)
        weights.append(model.judge.state_dict()["code.0.weight"])
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_a_harvest_that_spoils_the_judge_is_thrown_away(fitted, tmp_path, monkeypatch) -> None:
    model = potential(fitted, tmp_path)
    before = model.judge
    spoilt = local_judge.LocalJudge.load(tmp_path / "weights.safetensors")
    with torch.no_grad():
        for weight in spoilt.network.parameters():
            weight.zero_()
    monkeypatch.setattr(local_judge.LocalJudge, "refit", lambda *_, **__: spoilt)
    play(Shaped(model), 5)
    told = model.metrics()
    assert (told["harvests"], told["harvest_kept"]) == (1, 0)
    assert told["harvest_after"] == told["harvest_before"]
    assert model.judge is before


def test_successes_and_too_few_failures_are_not_harvested(fitted, tmp_path) -> None:
    model = potential(fitted, tmp_path, harvest=Harvest(every=5))
    for event in episodes(3):
        if isinstance(event, Starts):
            model.value(event)
        else:
            model.value(event._replace(info=[{"is_success": 1.0}, {}]))
    assert len(model._films.latest) == 3
    assert len(model._films.won) == 3
    assert "harvests" not in model.metrics()


def test_ends_of_successes_are_learnt_as_done(fitted, tmp_path, monkeypatch) -> None:
    model, shown = potential(fitted, tmp_path), []
    whole = fit.train
    monkeypatch.setattr(
        fit, "train", lambda demos, **said: (shown.extend(demos), whole(demos, **said))[1]
    )
    for event in episodes(8):
        if isinstance(event, Starts):
            model.value(event)
        else:
            model.value(event._replace(info=[{"is_success": 1.0, "success_now": 1.0}, {}]))
    won = [demo for demo in shown if demo.kind == "harvest" and demo.success.any()]
    assert len(won) == 4
    assert all(demo.success.tolist() == [False, True] for demo in won)
    lost = [demo for demo in shown if demo.kind == "harvest" and not demo.success.any()]
    assert len(lost) == 3
    again = potential(fitted, tmp_path)
    again.load_state_dict(model.state_dict())
    assert len(again._positives) == 4


def test_bad_settings_are_refused(tmp_path, fitted, monkeypatch) -> None:
    with pytest.raises(UnknownNameError, match="every"):
        Harvest.read({"evry": 3})
    with pytest.raises(RewardError, match="whole number from 4; given 2"):
        Harvest.read({"episodes": 2})
    with pytest.raises(RewardError, match="takes settings"):
        Harvest.read(50_000)
    path = tmp_path / "weights.safetensors"
    fitted[1].save(path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "none"))
    with pytest.raises(DenseGymError, match="densegym demos collect Toy/Square-v0"):
        local_judge.build(
            task=TaskCard(id="Toy/Square-v0"), weights=str(path), unchecked=True, harvest={}
        )


def test_the_shapes_of_what_is_kept(fitted, tmp_path) -> None:
    model = potential(fitted, tmp_path)
    play(Shaped(model), 5)
    films = [*model.state_dict()["latest"], *model.state_dict()["negatives"]]
    assert {f.shape for f in films} == {(STEPS // 2 + 1, 1, SIZE, SIZE, 3)}
    assert len(model._negatives) == 6
    assert not set(FAILURES) & {demo.kind for demo in model._negatives}
    assert all(isinstance(demo, Demo) for demo in model._negatives)
