"""ChoicePPO's network and policy, imitation, and runs of ``densegym train``."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from densegym.agents.shop import rules
from densegym.agents.shop.choice_player import ChoicePlayer, likeliest, new_policy
from densegym.agents.shop.choice_ppo import CandidateScorer, ChoicePolicy
from densegym.agents.shop.episodes import play_episodes
from densegym.agents.shop.imitation import clone, demonstrate
from densegym.agents.shop.roster import run_player
from densegym.agents.training.config import resolve
from densegym.agents.training.load import load_learner
from densegym.agents.training.run import train as carry_out
from densegym.envs.shop.environments.choice import ShopChoiceEnv
from densegym.envs.shop.environments.lanes import observation_space
from densegym.errors import DenseGymError
from tests.small import SMALL

ID = "DenseGym/ShopChoice-v0"


def batch(count: int = 5, seed: int = 0) -> dict[str, torch.Tensor]:
    space = observation_space()
    space.seed(seed)
    drawn = [space.sample() for _ in range(count)]
    for obs in drawn:
        obs["mask"][0] = 1
    return {name: torch.as_tensor(np.stack([obs[name] for obs in drawn])) for name in drawn[0]}


def scorer(**kwargs) -> CandidateScorer:
    torch.manual_seed(0)
    made = CandidateScorer(observation_space(), **kwargs)
    torch.nn.init.normal_(made.score[-1].weight)  # it begins at zero: every choice equally likely
    return made


@pytest.mark.parametrize("goal", [True, False])
def test_the_scorer_is_permutation_equivariant(goal):
    obs, order = batch(), torch.randperm(64, generator=torch.Generator().manual_seed(1))
    network = scorer(goal=goal)
    mixed = {**obs, "cands": obs["cands"][:, order], "mask": obs["mask"][:, order]}
    torch.testing.assert_close(network(mixed), network(obs)[:, order])
    torch.testing.assert_close(network.values(mixed), network.values(obs))


def test_masked_candidates_are_never_taken_and_never_read():
    obs, network = batch(), scorer()
    chances = network(obs).softmax(-1)
    assert (chances[obs["mask"] == 0] == 0).all()
    noisy = {**obs, "cands": torch.where(obs["mask"][..., None] == 0, 9.0, obs["cands"])}
    torch.testing.assert_close(network(noisy), network(obs))
    nothing = {**obs, "mask": torch.zeros_like(obs["mask"])}
    assert torch.isfinite(network(nothing)).all()
    assert torch.isfinite(network.values(nothing)).all()


def test_probabilities_and_entropies_are_those_of_the_distribution():
    obs, policy = batch(), new_policy()
    torch.nn.init.normal_(policy.scorer.score[-1].weight)
    distribution = policy.get_distribution(obs)
    actions = distribution.get_actions()
    _, chosen, entropy = policy.evaluate_actions(obs, actions)
    torch.testing.assert_close(chosen, distribution.log_prob(actions))
    torch.testing.assert_close(entropy, distribution.entropy())


def test_the_anchor_costs_nothing_until_the_policy_moves():
    obs = batch()
    policy = new_policy(anchor=5.0)
    policy.drop_anchor()
    actions = policy.get_distribution(obs).get_actions()
    _, _, near = policy.evaluate_actions(obs, actions)
    torch.testing.assert_close(near, policy.get_distribution(obs).entropy())
    torch.nn.init.normal_(policy.scorer.score[-1].weight)
    _, _, far = policy.evaluate_actions(obs, actions)
    assert (far < policy.get_distribution(obs).entropy()).all()
    assert not any(item.requires_grad for item in policy.anchor.parameters())


def test_other_worlds_are_refused():
    with pytest.raises(DenseGymError, match="ShopChoice"):
        ChoicePolicy(spaces.Box(0, 1, (3,)), spaces.Discrete(2), lambda _: 0.0)


def test_demonstrations_are_valid_choices_and_reproducible(train):
    demos = demonstrate(train, episodes=6, seed=3)
    rows = np.arange(len(demos.actions))
    assert demos.obs["mask"][rows, demos.actions].all()
    again = demonstrate(train, episodes=6, seed=3)
    np.testing.assert_array_equal(demos.actions, again.actions)
    np.testing.assert_array_equal(demos.obs["cands"], again.obs["cands"])


def test_a_clone_finds_its_way(train, test):
    torch.manual_seed(0)
    policy, losses = new_policy(), []
    demos = demonstrate(train, episodes=300, seed=0)
    clone(policy.scorer, demos, epochs=6, on_epoch=lambda epoch, loss: losses.append(loss))
    assert losses[-1] < losses[0]
    cloned = play_episodes(ChoicePlayer(test, likeliest(policy)), test, test.goals)
    lost = play_episodes(rules.RandomPlayer(0), test, test.goals)
    assert np.mean(cloned.score) > np.mean(lost.score) + 30
    assert sum(cloned.invalid) == 0


def test_a_player_and_the_environment_choose_the_same(store, test):
    torch.manual_seed(0)
    policy = new_policy()
    torch.nn.init.normal_(policy.scorer.score[-1].weight)
    env = ShopChoiceEnv(store=store, goals="human", split="test")
    goal = test.goals[3]
    obs, _ = env.reset(options={"goal_id": goal.id})
    paid, ended, steps = 0.0, False, 0
    while not ended:
        action = likeliest(policy)({name: value[None] for name, value in obs.items()})[0]
        obs, reward, terminated, truncated, _ = env.step(action)
        paid, ended, steps = paid + reward, terminated or truncated, steps + 1
    seen = play_episodes(ChoicePlayer(test, likeliest(policy)), test, test.goals[:5])
    assert (seen.score[3], seen.steps[3]) == (100 * paid, steps)


@pytest.fixture
def settings(store) -> list[str]:
    return [*SMALL, f"env.store={store}", "env.goals=human"]


def test_a_run_trains_evaluates_on_the_test_part_and_plays(settings, test, tmp_path):
    config = resolve(ID, algo="choice-ppo", steps=128, overrides=settings)
    assert config.eval_kwargs == {"split": "test"}
    folder = carry_out(config, tmp_path / "run")
    learner, again = load_learner(folder)
    try:
        assert again == config
        world = learner.evaluator
        assert world.evaluate(learner.policy(), episodes=2, seed=0).length.min() >= 1
    finally:
        learner.close()
    player = run_player(folder, test)
    assert len(play_episodes(player, test, test.goals[:3]).score) == 3


def test_a_run_from_a_clone_goes_on_with_the_same_anchor(settings, tmp_path):
    cloned = [*settings, "clone_episodes=20", "kl_coef=0.05"]
    config = resolve(ID, algo="choice-ppo", steps=128, overrides=cloned)
    folder = carry_out(config, tmp_path / "run")
    learner, _ = load_learner(folder)
    try:
        policy = learner.model.policy
        assert isinstance(policy, ChoicePolicy)
        assert policy.anchor is not None
        moved = [a for a in policy.anchor.parameters() if a.abs().sum() > 0]
        assert moved
    finally:
        learner.close()


def test_an_anchor_without_a_clone_is_refused(settings, tmp_path):
    config = resolve(ID, algo="choice-ppo", steps=128, overrides=[*settings, "kl_coef=0.05"])
    with pytest.raises(DenseGymError, match="clone_episodes"):
        carry_out(config, tmp_path / "run")
