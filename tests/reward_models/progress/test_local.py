"""The local judge: labels, weights on disk, the protocol and its control, judging at once."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from densegym.errors import DenseGymError, RewardError
from densegym.reward_models.progress import demos as files
from densegym.reward_models.progress import protocol
from densegym.reward_models.progress.demos import FAILURES, Demo
from densegym.reward_models.progress.local import cards, curve, fit, fitting, labels, local_judge
from densegym.reward_models.progress.local.network import BINS, ProgressNetwork, two_hot
from densegym.reward_models.progress.oracle import OraclePotential
from densegym.reward_models.progress.potential import ProgressPotential
from densegym.reward_models.shaping import Shaped
from densegym.reward_models.spec import build_reward
from densegym.reward_models.types import Pictures, Places, TaskCard
from tests.reward_models.progress.reading import Reading, picture, potential, starts, steps

SIZE = 64


def film(phi, rng) -> np.ndarray:
    """A white square that moves across as Φ rises, on a noisy ground; one view."""
    frames = rng.integers(0, 60, (len(phi), 1, SIZE, SIZE, 3)).astype(np.uint8)
    for frame, value in zip(frames, phi, strict=True):
        left = round(value * 48)
        frame[0, 24:40, left : left + 16] = 255
    return frames


def demos(rng) -> list[Demo]:
    made = []
    for i in range(10):
        phi = np.concatenate([np.linspace(0, 1, 25 + i), np.ones(4)])
        made.append(Demo("expert", film(phi, rng), phi >= 1.0, held_out=i >= 6))
    for kind in FAILURES:
        for i in range(4):
            still = rng.uniform(0, 0.03, 20)
            never = np.zeros(20, dtype=bool)
            made.append(Demo(kind, film(still, rng), never, held_out=i >= 2))
    return made


@pytest.fixture(scope="module")
def trained():
    made = demos(np.random.default_rng(0))
    network, cost = fit.train(made, updates=60)
    return (
        made,
        local_judge.LocalJudge(network, fit.references(made), ("front",), {"task": "toy"}),
        cost,
    )


def build(judge, **options) -> ProgressPotential:
    return ProgressPotential(judge, name="progress/local", every=2, **options)


def test_a_minute_of_training_orders_films_and_the_frame_counter_fails(trained) -> None:
    made, judge, cost = trained
    assert cost["updates"] == 60
    seen = protocol.evaluate(lambda: build(judge), made)
    assert seen.measures["order"] > 0.9
    assert seen.measures["auc_phi"] == 1.0
    assert max(seen.max_phi.values()) < 0.45  # where they started
    counter = fitting.controls(judge, 0)["frame counter"]
    demo = next(demo for demo in made if demo.held_out)
    assert protocol.judge_episode(counter(), demo).order == pytest.approx(1.0)
    control = protocol.evaluate(counter, made)
    assert not control.passed
    assert control.measures["order"] < -0.9
    assert min(control.max_phi.values()) > 0.3


def test_weights_survive_the_disk(trained, tmp_path) -> None:
    made, judge, _ = trained
    path = tmp_path / "toy.safetensors"
    judge.save(path)
    again = local_judge.LocalJudge.load(path)
    assert again.card["task"] == "toy"
    assert again.pictures == Pictures(("front",), SIZE)
    images = made[0].pictures
    assert np.array_equal(judge.see(images), again.see(images))
    task = TaskCard(id="Toy/Square-v0")
    taken = {"weights": str(path), "unchecked": True}
    assert local_judge.build(task=task, **taken).judge.name == "local"
    options = {**taken, "every": 3, "curve": 1.0, "smooth": 0.5, "fusion": "min"}
    given = build_reward({"model": "progress/local", "cap": False, **options}, task=task).potential
    assert (given.cap, given.curve, given.smooth, given.fusion) == (False, 1.0, 0.5, "min")
    assert given.pictures == Pictures(("front",), SIZE, every=3)


def test_bad_weights_and_pictures_are_named(trained, tmp_path, monkeypatch) -> None:
    _, judge, _ = trained
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\xff" * 64)
    with pytest.raises(DenseGymError, match="no readable safetensors"):
        local_judge.LocalJudge.load(broken)
    from safetensors.torch import save_file

    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(2)}, str(other))
    with pytest.raises(DenseGymError, match="another kind of model"):
        local_judge.LocalJudge.load(other)
    reference = torch.zeros(1, 1, SIZE, SIZE, 3, dtype=torch.uint8)
    odd = {"reference": reference, "network.layers.0.weight": torch.zeros(1)}
    told = {"format": local_judge.FORMAT, "card": '{"cameras": []}'}
    save_file(odd, str(other), {**told, "checksum": cards.checksum(odd, told["card"])})
    with pytest.raises(DenseGymError, match="another network"):
        local_judge.LocalJudge.load(other)
    bare = {"reference": reference}
    told["card"] = "{}"
    save_file(bare, str(other), {**told, "checksum": cards.checksum(bare, "{}")})
    with pytest.raises(DenseGymError, match="lacks its cameras"):
        local_judge.LocalJudge.load(other)
    judge.save(other)
    whole = other.read_bytes()
    other.write_bytes(whole[:-1000])
    with pytest.raises(DenseGymError, match="no readable safetensors"):
        local_judge.LocalJudge.load(other)
    flipped = bytearray(whole)
    flipped[-1000] ^= 1  # one bit of a weight
    other.write_bytes(bytes(flipped))
    with pytest.raises(DenseGymError, match="its checksum is that of other weights"):
        local_judge.LocalJudge.load(other)
    other.write_bytes(whole.replace(b"toy", b"boy"))  # the card's task
    with pytest.raises(DenseGymError, match="or another card"):
        local_judge.LocalJudge.load(other)
    poisoned = copy.deepcopy(judge)
    with torch.no_grad():
        poisoned.network.code[0].weight[3, 5] = float("nan")
    poisoned.save(other)
    with pytest.raises(DenseGymError, match="no finite numbers"):
        local_judge.LocalJudge.load(other)
    with pytest.raises(DenseGymError, match="pictures; given"):
        judge.see(np.zeros((1, 2, SIZE, SIZE, 3), np.uint8))
    with pytest.raises(DenseGymError, match="uint8"):
        judge.see(np.zeros((1, 1, SIZE, SIZE, 3)))
    monkeypatch.setenv("DENSEGYM_CACHE", str(tmp_path))
    with pytest.raises(RewardError, match="densegym fit progress/local --task Toy/None-v0"):
        local_judge.build(task=TaskCard(id="Toy/None-v0"))


def test_a_judge_of_whole_rollouts_says_what_it_says_step_by_step(trained) -> None:
    made, judge, _ = trained
    events = list(_events(made[0].pictures, made[-1].pictures))
    once, stepwise = (Shaped(build(judge, curve=3.0), gamma=0.99) for _ in range(2))
    at_once = once.score_many(events)
    one_by_one = []
    for event in events:
        if hasattr(event, "t"):
            one_by_one.append(stepwise.score(event))
        else:
            stepwise.begin(event)
    for one, other in zip(at_once, one_by_one, strict=True):
        assert one.reward.tolist() == other.reward.tolist()
        assert {k: v.tolist() for k, v in one.parts.items()} == {
            k: v.tolist() for k, v in other.parts.items()
        }


def _events(*films):
    slots = tuple(range(len(films)))
    first = np.stack([film[0] for film in films])
    yield starts(0.0, slot=slots)._replace(frame=first)
    length = min(len(film) for film in films) - 1
    for t in range(length):
        shown = np.stack([film[t + 1] for film in films])
        yield steps(0.0, t, slot=slots, truncated=t == length - 1)._replace(frame=shown)
    yield starts(0.0, slot=slots)._replace(frame=first)
    yield steps(0.0, 0, slot=slots)._replace(frame=first)


def test_rollouts_at_once_ask_a_judge_once_per_view() -> None:
    judge = Reading()
    model = potential(judge, fusion="mean", every=2)
    events = [starts(0.0), *[steps(0.1 * t, t - 1) for t in range(1, 9)]]
    values = model.values(events)
    assert judge.batches == [4, 4, 4]
    assert values[-1].phi == pytest.approx([0.8])
    assert [set(one.terms) for one in values] == [set(), *[{"phi", "hop", "done"}] * 8]


def test_false_progress_is_the_height_of_failed_episodes() -> None:
    model = potential(fusion="forward", cap=False)
    assert model.metrics() == {}
    model.value(starts(0.0))
    model.value(steps(0.6, 0))
    model.value(steps(0.2, 1, truncated=True))
    assert model.metrics()["false_progress"] == pytest.approx(0.6)
    model.value(starts(0.0))
    won = steps(1.0, 0, terminated=True)._replace(info=[{"is_success": 1.0}])
    model.value(won)
    assert model.metrics()["false_progress"] == pytest.approx(0.6)


def test_order_of_films() -> None:
    assert protocol.voc(np.array([0.1, 0.2, 0.3])) == pytest.approx(1.0)
    assert protocol.voc(np.array([0.3, 0.2, 0.1])) == pytest.approx(-1.0)
    assert protocol.voc(np.full(5, 0.3)) == 0.0
    tied = protocol.voc(np.array([0.0, 0.5, 0.5, 1.0]))
    assert 0.9 < tied < 1.0


def test_hops_lie_between_two_bins() -> None:
    hop = torch.tensor([-1.0, -0.33, 0.0, 0.97, 1.0])
    shares = two_hot(hop)
    assert shares.shape == (5, BINS)
    assert torch.allclose(shares.sum(dim=1), torch.ones(5))
    assert torch.allclose(shares @ torch.linspace(-1, 1, BINS), hop, atol=1e-6)


def test_the_network_has_the_size_it_says() -> None:
    network = ProgressNetwork(2)
    count = sum(weights.numel() for weights in network.parameters())
    assert 115_000 < count < 125_000


def test_labels_are_shares_of_the_steps_that_an_expert_would_need() -> None:
    shown = np.linspace(0, 1, 20)  # done at step 19
    demo = Demo("expert", film(shown, np.random.default_rng(1)), shown >= 1.0)
    assert labels.label(demo).phi.tolist() == pytest.approx((0.4 + 0.6 * shown).tolist())
    left = np.array([30.0, 45.0, 60.0, *np.linspace(15.0, 0.0, 17)])
    strayed = labels.label(dataclasses.replace(demo, left=left)).phi
    assert strayed[:4].tolist() == pytest.approx([0.4, 0.1, 0.0, 0.7])
    assert (np.diff(strayed[3:]) > 0).all()
    assert strayed[-1] == 1.0
    missed = dataclasses.replace(demo, kind="near-miss", success=shown > 1.0)
    assert set(labels.label(missed).phi) == {0.4}
    missed = labels.label(dataclasses.replace(missed, left=left))
    assert missed.phi.tolist() == strayed.tolist()
    assert not missed.expert
    already = dataclasses.replace(demo, left=np.zeros(20))
    assert set(labels.label(already).phi) == {1.0}


def test_every_pair_and_every_goal_is_judged() -> None:
    rng = np.random.default_rng(0)
    phi = np.linspace(0, 1, 9)
    episode = labels.label(Demo("expert", film(phi, rng), phi >= 1.0))
    rows = np.array([0, 3, 8])
    before, after, start, hop = fit._pairs([(episode, rows)], goals=2)
    assert len(hop) == 9 + 2 * 3
    assert set(start) == {2}
    of_goals = before < 2
    assert hop[of_goals] == pytest.approx(episode.phi[rows][after[of_goals] - 2] - 1.0)
    assert hop[(before == 2) & (after == 4)].item() == pytest.approx(1.0)
    assert hop[(before == 4) & (after == 2)].item() == pytest.approx(-0.6)


def test_pictures_move_together_and_only_where_asked() -> None:
    shown, rng = np.zeros((2, 1, 16, 16, 3), np.uint8), np.random.default_rng(0)
    shown[:, :, 8, 8] = 255
    seen = set()
    for shift in (0, 3):
        places = {
            tuple(int(i) for i in np.argwhere(frame[0, :, :, 0] > 120).ravel())
            for _ in range(40)
            for frame in [*fit._augment(shown, rng, shift).numpy()]
        }
        seen.add(len(places))
        assert all(abs(row - 8) <= shift and abs(column - 8) <= shift for row, column in places)
    assert min(seen) == 1
    assert max(seen) > 10


def test_hands_are_learnt_where_they_are_known(monkeypatch) -> None:
    made = demos(np.random.default_rng(3))[:6]
    wanted = []
    whole = fit.functional.mse_loss
    monkeypatch.setattr(
        fit.functional,
        "mse_loss",
        lambda said, truth, **how: (wanted.append(truth), whole(said, truth, **how))[1],
    )
    states = [np.tile(np.linspace(0, i, len(d.pictures))[:, None], 5) for i, d in enumerate(made)]
    half = [
        dataclasses.replace(demo, state=state if i % 2 else None, places=Places())
        for i, (demo, state) in enumerate(zip(made, states, strict=True))
    ]
    for shown, most in ((half, 1), (made, 0)):
        wanted.clear()
        fit.train(shown, updates=3)
        assert all(truth.isfinite().all() for truth in wanted)
        assert min(1, max(truth.numel() for truth in wanted)) == most


def test_the_oracle_rises_towards_object_and_goal() -> None:
    oracle = OraclePotential(task=TaskCard(id="DenseGym/DoorClose-v0", gives=("places",)))
    far, near, there = (np.zeros((1, 39)) for _ in range(3))
    far[0, 0:3], far[0, 4:7] = 0.3, 0.2
    near[0, 0:3] = near[0, 4:7] = 0.2
    values = [oracle.value(starts(0.0)._replace(obs=obs)).phi[0] for obs in (far, near, there)]
    assert values == sorted(values)
    assert values[2] == pytest.approx(1.0)
    with pytest.raises(RewardError, match="Meta-World"):
        OraclePotential(task=TaskCard(id="DenseGym/HopperForward-v0", family="locomotion"))


def test_one_demonstration_and_its_parts_are_enough_to_go_on_from_other_weights(
    trained, tmp_path, monkeypatch
) -> None:
    made, judge, _ = trained
    other = tmp_path / "other.safetensors"
    judge.save(other)
    # The square moves the other way, so the weights as they are read every film backwards.
    turned = [demo.pictures[:, :, :, ::-1].copy() for demo in made]
    made = [
        dataclasses.replace(demo, pictures=film) for demo, film in zip(made, turned, strict=True)
    ]
    monkeypatch.setattr(fitting.files, "load", lambda env_id, **_: made)
    seen: list[Demo] = []
    whole = fit.train
    monkeypatch.setattr(
        fit, "train", lambda demos, **said: (seen.extend(demos), whole(demos, **said))[1]
    )
    card = TaskCard(id="Toy/Square-v0", cameras=("front",))
    out = tmp_path / "one.safetensors"
    fitted = fitting.fit_local(card, episodes=1, adapt=other, updates=40, out=out)
    assert [demo.kind for demo in seen] == ["expert", "random", "random"]
    assert fitted.evaluation.measures["order"] > 0.9
    kept = local_judge.LocalJudge.load(out).card
    assert kept["adapted"] == "other.safetensors"
    fitted_with = {"updates": 40, "rate": fit.RATE, **fitting.FEW}
    paid_with = {"fusion": fitting.FUSION, "every": fitting.EVERY, "curve": fitted.curve}
    assert kept["options"] == {**fitted_with, **paid_with}
    with pytest.raises(DenseGymError, match="1 to 6 expert episodes to learn from; given 7"):
        fitting.fit_local(card, episodes=7, out=out)
    narrow = [dataclasses.replace(demo, pictures=demo.pictures[:, :, :48, :48]) for demo in made]
    monkeypatch.setattr(fitting.files, "load", lambda env_id, **_: narrow)
    with pytest.raises(DenseGymError, match=r"1 views of 48 pixels, and the weights .* 1 of 64"):
        fitting.fit_local(card, adapt=other, out=out)


def test_parts_of_an_expert_keep_its_progress_and_never_succeed() -> None:
    rng = np.random.default_rng(2)
    phi = np.linspace(0, 1, 30)
    expert = labels.label(Demo("expert", film(phi, rng), phi >= 1.0))
    stops, returns = labels.parts(expert, rng)
    assert 0.55 < stops.phi[-1] < 0.92
    assert np.ptp(stops.phi[-6:]) == 0
    assert returns.phi[0] == stops.phi[-1]
    assert returns.phi[-1] == labels.ORIGIN
    assert (np.diff(returns.phi) < 0).all()
    assert not stops.done.any()
    assert not returns.done.any()


def test_one_expert_is_too_few() -> None:
    with pytest.raises(DenseGymError, match="two expert episodes; given 0"):
        fit.train([Demo("random", picture(np.zeros(4)), np.zeros(4, dtype=bool))])


def test_what_is_paid_by_must_have_passed_on_this_task_here(trained, tmp_path) -> None:
    _, judge, _ = trained
    path, task = tmp_path / "toy.safetensors", TaskCard(id="Toy/Square-v0", cameras=("front",))
    good = {
        "task": task.id,
        "versions": cards.versions(),
        "metrics": {"passed": True},
        "options": {"curve": 2.5},
    }
    refused = [
        ({"task": "Toy/Square-v1"}, task, "fitted for Toy/Square-v1; given Toy/Square-v0"),
        ({"task": None}, task, "no task that it names"),
        ({}, dataclasses.replace(task, cameras=("side",)), "cameras front, and .* has side now"),
        ({"versions": {"mujoco": "1.0"}}, task, r"pictures of mujoco 1.0 \(here"),
        ({"metrics": {}}, task, "never evaluated"),
        (
            {"metrics": {"passed": False}, "missed": ["rank 0.10, at least 0.8 wanted"]},
            task,
            "0.10",
        ),
    ]
    for told, given, message in refused:
        judge.card = {**good, **told}
        judge.save(path)
        with pytest.raises(RewardError, match=message) as refusal:
            local_judge.build(task=given, weights=str(path))
        assert f"densegym fit progress/local --task {given.id}" in str(refusal.value)
        assert '"unchecked": true' in str(refusal.value)
        local_judge.build(task=given, weights=str(path), unchecked=True)
    judge.card = good
    judge.save(path)
    assert local_judge.build(task=task, weights=str(path)).curve == 2.5
    assert local_judge.build(task=task, weights=str(path), curve=1.0).curve == 1.0


def test_the_curve_follows_from_the_error_at_the_start(trained) -> None:
    made, judge, _ = trained

    class Off(type(judge)):
        def hop(self, before, after, start, goal, text):
            told = super().hop(before, after, start, goal, text)
            return told._replace(value=told.value * 0.0 + error)

    chosen, wrong, error = [], Off(judge.network, judge.reference, ("front",)), 0.0
    for size in (0.0, 0.05, 0.6):
        error = size
        told = curve.choose_curve(lambda: build(wrong, fusion="forward", cap=False), made)
        chosen += [told]
    # A judge that never leaves the start makes no error on failures that stay there.
    assert chosen == sorted(chosen)
    assert chosen[-1] == 10.0
    assert curve.slope(0.0, 0.4) == 1.0
    assert curve.slope(1e-9, 0.4) == pytest.approx(1.0)
    straight, bent = build(judge), build(judge, curve=5.0)
    rise = bent.bend(np.array([0.4001])) - bent.bend(np.array([0.4]))
    assert rise[0] / 1e-4 == pytest.approx(curve.slope(5.0, 0.4), rel=1e-3)
    assert straight.bend(np.array([0.3]))[0] == 0.3


def test_controllers_that_only_serve_evaluation_are_never_learnt_from(trained) -> None:
    made, _, _ = trained
    poison = [
        dataclasses.replace(made[0], kind=kind, pictures=made[0].pictures[::-1].copy())
        for kind in files.UNTAUGHT
    ]
    one, _ = fit.train(made, updates=3)
    other, _ = fit.train([*poison, *made], updates=3)
    for mine, its in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, its)
    assert not fit.kept_back(poison * 40)
    many = [dataclasses.replace(demo, held_out=False) for demo in made[:1] * 40]
    assert len(fit.kept_back(many)) == 5


def test_other_controllers_teach_their_successes_and_failures() -> None:
    way, rng = np.linspace(0, 1, 20), np.random.default_rng(0)
    left = 30.0 * (1.0 - way)
    won = Demo("sweep", film(way, rng), way >= 1.0, left=left)
    lost = dataclasses.replace(won, success=way > 1.0)
    harvested = Demo("harvest", film(np.array([0.0, 1.0]), rng), np.array([False, True]))
    for demo, top in ((won, 1.0), (lost, 1.0), (harvested, 1.0)):
        told = labels.label(demo)
        assert told.foreign
        assert not told.expert
        assert (told.phi[0], told.phi[-1]) == (pytest.approx(labels.ORIGIN), top)
    assert labels.label(harvested).done.tolist() == [0.0, 1.0]
    assert not labels.label(Demo("harvest", film(way, rng), way > 1.0)).foreign


def test_weights_are_evaluated_again_without_training(trained, tmp_path, monkeypatch) -> None:
    made, judge, _ = trained
    path, card = tmp_path / "toy.safetensors", TaskCard(id="Toy/Square-v0", cameras=("front",))
    monkeypatch.setattr(fitting.files, "load", lambda env_id, **_: made)
    with pytest.raises(DenseGymError, match="densegym fit progress/local --task Toy/Square-v0"):
        fitting.check_local(card, weights=path)
    judge.card = {"task": card.id, "seed": 0, "options": {"curve": 2.0}, "cost": {"cpu_s": 1.0}}
    judge.save(path)
    checked = fitting.check_local(card, weights=path)
    again = local_judge.LocalJudge.load(path)
    assert again.card["metrics"]["order"] == checked.evaluation.measures["order"]
    assert checked.curve == 2.0
    assert np.array_equal(again.see(made[0].pictures), judge.see(made[0].pictures))
    assert set(checked.controls) == {"random weights", "frame counter", "constant"}
    assert "constant" not in checked.void
    with pytest.raises(DenseGymError, match="fitted for Toy/Square-v0; given Toy/Square-v1"):
        fitting.check_local(dataclasses.replace(card, id="Toy/Square-v1"), weights=path)
