"""ChoicePPO: MaskablePPO that scores the shop's candidates one by one with the same network.

The score of a candidate depends on its own features, on goal and page, and on the mean of all
candidates, so reordering candidates reorders the policy (Deep Sets, Zaheer et al. 2017,
arXiv 1703.06114). PPO with masks is sb3-contrib's (Huang and Ontanon 2022, arXiv 2006.14171).
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.distributions import MaskableDistribution
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from densegym.agents.shop.imitation import clone, demonstrate
from densegym.errors import DenseGymError

Observation = dict[str, Tensor]


class CandidateScorer(nn.Module):
    """Scores every candidate of an observation, and the state as a whole.

    Args:
        space: of ``DenseGym/ShopChoice-v0``.
        hidden: width of both layers.
        goal: whether the hashed words of the request are read, besides what the candidates'
            features say of them.
    """

    def __init__(self, space: spaces.Dict, hidden: int = 128, goal: bool = True) -> None:
        super().__init__()
        sizes = {name: sub.shape[-1] for name, sub in space.items() if sub.shape}
        self._goal = goal
        around = goal * sizes["goal"] + sizes["page"] + sizes["cands"]
        self.context = nn.Linear(around, hidden)
        self.candidate = nn.Linear(sizes["cands"], hidden, bias=False)
        last = nn.Linear(hidden, 1)
        self.score = nn.Sequential(nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), last)
        self.value = nn.Sequential(
            nn.Linear(around, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, 1),
        )  # fmt: skip
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, obs: Observation) -> Tensor:
        """Return logits, (B, K); masked candidates have -inf's place holder, -1e8.

        Only candidates that exist are run through the network, a fifth of the 64 on average.
        """
        mask = obs["mask"].bool()
        context = self.context(self._around(obs))
        lane, place = mask.nonzero(as_tuple=True)
        hidden = context[lane] + self.candidate(obs["cands"][lane, place].float())
        logits = torch.full(mask.shape, -1e8, dtype=hidden.dtype, device=hidden.device)
        return logits.index_put((lane, place), self.score(hidden).squeeze(-1))

    def values(self, obs: Observation) -> Tensor:
        """Return state values, (B, 1)."""
        values: Tensor = self.value(self._around(obs))
        return values

    def _around(self, obs: Observation) -> Tensor:
        """Return goal, page and mean candidate, (B, 184), or without the goal, (B, 56)."""
        mask = obs["mask"].float()
        count = mask.sum(-1, keepdim=True).clamp(min=1.0)
        mean = (obs["cands"].float() * mask[..., None]).sum(-2) / count
        goal = (obs["goal"].float(),) if self._goal else ()
        return torch.cat((*goal, obs["page"].float(), mean), dim=-1)


class ChoicePolicy(MaskableActorCriticPolicy):
    """The scorer as an actor-critic policy; it takes the mask from the observation.

    Args:
        observation_space: of ``DenseGym/ShopChoice-v0``.
        action_space: its choices.
        lr_schedule: learning rate.
        hidden: width of both layers.
        goal: see ``CandidateScorer``.
        anchor: weight of KL(policy || clone) over that of the entropy; 0 keeps no clone. PPO
            adds ``ent_coef`` times the entropy, from which the weighted KL is taken off.
        **kwargs: see ``MaskableActorCriticPolicy``.

    Raises:
        DenseGymError: the observations are not those of the choice interface.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Any,
        hidden: int = 128,
        goal: bool = True,
        anchor: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if (
            not isinstance(observation_space, spaces.Dict)
            or "cands" not in observation_space.spaces
        ):
            raise DenseGymError(
                "ChoicePPO acts in DenseGym/ShopChoice-v0, whose observations hold candidates; "
                f"given {observation_space}"
            )
        self._hidden, self._goal = hidden, goal
        self._anchor_weight = anchor
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    def _build(self, lr_schedule: Any) -> None:
        space = self.observation_space
        assert isinstance(space, spaces.Dict)
        self.scorer = CandidateScorer(space, self._hidden, self._goal)
        options: dict[str, Any] = {"lr": lr_schedule(1), **self.optimizer_kwargs}
        self.optimizer = self.optimizer_class(self.parameters(), **options)
        self.anchor: CandidateScorer | None = None
        if self._anchor_weight:
            self.anchor = CandidateScorer(space, self._hidden, self._goal).requires_grad_(False)

    def drop_anchor(self) -> None:
        """Make the present policy the clone that learning is held near to."""
        if self.anchor is not None:
            self.anchor.load_state_dict(self.scorer.state_dict())

    def forward(
        self, obs: Any, deterministic: bool = False, action_masks: Any = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions (B,), values (B, 1) and log-probabilities (B,)."""
        distribution = self.get_distribution(obs, action_masks)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, self.predict_values(obs), distribution.log_prob(actions)

    def evaluate_actions(
        self, obs: Any, actions: Tensor, action_masks: Any = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return values (B, 1), log-probabilities (B,) and entropies less the anchor's KL (B,)."""
        logits = self.scorer(obs).log_softmax(-1)
        chances = logits.exp()
        entropy = -(chances * logits).sum(-1)
        if self.anchor is not None:
            clone = self.anchor(obs).log_softmax(-1)
            entropy = entropy - self._anchor_weight * (chances * (logits - clone)).sum(-1)
        chosen = logits.gather(-1, actions.long().view(-1, 1)).squeeze(-1)
        return self.predict_values(obs), chosen, entropy

    def get_distribution(self, obs: Any, action_masks: Any = None) -> MaskableDistribution:
        """Return the distribution over candidates; masks given beside the observation are ANDed."""
        distribution = self.action_dist.proba_distribution(action_logits=self.scorer(obs))
        if action_masks is not None:
            distribution.apply_masking(action_masks)
        return distribution

    def predict_values(self, obs: Any) -> Tensor:
        """Return state values, (B, 1)."""
        return self.scorer.values(obs)


class ChoicePPO(MaskablePPO):
    """MaskablePPO with ``ChoicePolicy``, from scratch or from a clone of the scripted expert.

    Args:
        policy: ``"MultiInputPolicy"`` or a subclass of ``ChoicePolicy``.
        env: lanes of ``DenseGym/ShopChoice-v0``.
        clone_episodes: demonstrations to imitate before learning; 0 for none.
        kl_coef: weight of KL(policy || clone) in the loss; needs ``ent_coef`` above 0.
        **kwargs: see ``MaskablePPO``.

    Raises:
        DenseGymError: ``kl_coef`` without demonstrations or without entropy.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"MultiInputPolicy": ChoicePolicy}
    policy: ChoicePolicy

    def __init__(
        self, policy: Any, env: Any, clone_episodes: int = 0, kl_coef: float = 0.0, **kwargs: Any
    ) -> None:
        entropy = kwargs.get("ent_coef", 0.0)
        if kl_coef and not (clone_episodes and entropy):
            raise DenseGymError(
                "kl_coef holds the policy near its clone, so it needs clone_episodes and ent_coef "
                f"above 0; given {clone_episodes} and {entropy}"
            )
        self.clone_episodes = clone_episodes
        if kl_coef:
            given = kwargs.get("policy_kwargs") or {}
            kwargs["policy_kwargs"] = {**given, "anchor": kl_coef / entropy}
        super().__init__(policy, env, **kwargs)

    def learn(self, total_timesteps: int, callback: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """Imitate if asked to, then learn; masks come with the observations."""
        if self.clone_episodes and not self.num_timesteps:
            self._imitate()
        return super().learn(total_timesteps, callback, **{**kwargs, "use_masking": False})

    def _imitate(self) -> None:
        assert self.env is not None
        world, seed = self.env.get_attr("world")[0], self.seed or 0
        demos = demonstrate(world, episodes=self.clone_episodes, seed=seed)
        clone(self.policy.scorer, demos, seed=seed)
        self.policy.drop_anchor()
