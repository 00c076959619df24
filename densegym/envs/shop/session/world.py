"""What the shop's environments share: catalogue, goals, drawing one, and the step's ``info``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from densegym.envs.shop.goals.goals import Goal, Part, SplitRule, Style, from_original
from densegym.envs.shop.goals.scoring import Outcome, ScoringRule
from densegym.envs.shop.session.core import Rules, Shop, ShopCore
from densegym.envs.shop.session.stores import find_store, shared_goals, shared_store
from densegym.envs.shop.session.subgoals import subgoals
from densegym.errors import DenseGymError, require, unknown

MAX_STEPS = {"default": 15, "paper": 100, "spa": 10, "gigpo": 15}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a shop is set up; every environment takes these as keyword arguments.

    Attributes:
        store: see ``stores.find_store``.
        goals: ``"human"``, ``"synthetic"``, or ``"auto"``: human where the store has any.
        split: ``"train"``, ``"dev"``, ``"test"`` or ``"all"``.
        split_rule: ``"product"``: no product in two parts; ``"original"``: by place, which leaks.
        scoring: ``"strict"``, ``"webshop"`` (all defects kept) or ``"success"``.
        parity: the original in everything: its scoring, grammar, prices and silence on invalid
            actions.
        max_steps: actions until truncation, or ``"paper"`` (100), ``"spa"`` (10), ``"gigpo"`` (15).
        weighted: draw goals by their weights instead of evenly.
        results_per_page: products listed at a time.
        top_k: hits of a search.
        attributes_page: whether items have the ``attributes`` section.
        privileged: tell in ``info`` what reads the goal: the potential and the sub-goals.
    """

    store: str | Path = "synthetic-1k"
    goals: Style = "auto"
    split: Part = "train"
    split_rule: SplitRule = "product"
    scoring: ScoringRule = "strict"
    parity: bool = False
    max_steps: int | str = "default"
    weighted: bool = False
    results_per_page: int = 10
    top_k: int = 50
    attributes_page: bool = False
    privileged: bool = True


class ShopWorld:
    """A catalogue with its goals, as one environment or many see it.

    Args:
        setting: how it is set up.

    Raises:
        UnknownNameError: no such store, style, split, rule, scoring or number of steps.
        DenseGymError: the store cannot be had, or has no goal.
        MissingExtraError: rapidfuzz is not installed; some goals would do without, most not.
    """

    def __init__(self, setting: Setting) -> None:
        require("rapidfuzz", extra="shop")
        scoring = "webshop" if setting.parity else setting.scoring
        if scoring not in ("strict", "webshop", "success"):
            raise unknown("scoring rule", scoring, ("strict", "webshop", "success"))
        self.setting = dataclasses.replace(setting, scoring=scoring)
        self.max_steps = _max_steps(setting.max_steps)
        folder = find_store(setting.store)
        self.goals = shared_goals(
            folder, setting.goals, setting.parity, setting.split_rule, setting.split
        )
        rules = Rules(
            scoring=scoring,
            original=setting.parity,
            results_per_page=setting.results_per_page,
            top_k=setting.top_k,
            attributes_page=setting.attributes_page,
        )
        self.shop = Shop(shared_store(folder), rules)
        self._by_id = {goal.id: goal for goal in self.goals}
        weights = np.array([goal.weight for goal in self.goals]) if setting.weighted else None
        self._bounds = None if weights is None else np.cumsum(weights) / weights.sum()

    def goal(self, rng: np.random.Generator, options: Mapping[str, Any] | None = None) -> Goal:
        """Return the goal of an episode: as asked for in ``options``, else drawn.

        Args:
            rng: of the environment.
            options: of ``reset``: ``goal_id``, or ``goal`` with a ``Goal`` or a dict of the
                original's form (``asin``, ``instruction_text``, ``attributes``, ``goal_options``,
                ``price_upper``, ``name``, ``category``, ``query``, ``product_category``).

        Raises:
            DenseGymError: no such goal in this part.
        """
        asked = options or {}
        if "goal" in asked:
            return self._given_goal(asked["goal"])
        if "goal_id" in asked:
            return self.find_goal(asked["goal_id"])
        if self._bounds is None:
            return self.goals[int(rng.integers(len(self.goals)))]
        return self.goals[int(np.searchsorted(self._bounds, rng.random(), side="right"))]

    def _given_goal(self, given: Any) -> Goal:
        if isinstance(given, Goal):
            return given
        if not isinstance(given, Mapping):
            raise DenseGymError(
                "reset(options={'goal': ...}) takes a Goal, or a dict of the original's form; "
                f"given {given!r:.80}"
            )
        try:
            target = self.shop.store.index_of(given["asin"])
            return from_original(given, id=-1, product=-1 if target is None else target)
        except (KeyError, TypeError, AttributeError) as error:
            raise DenseGymError(f"the goal lacks or misspells a field: {error!r}") from error

    def find_goal(self, number: Any) -> Goal:
        """Return a goal by its id, a whole number.

        Raises:
            DenseGymError: no such goal in this part.
        """
        whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
        found = self._by_id.get(int(number)) if whole else None
        if found is None:
            shown = ", ".join(str(goal.id) for goal in self.goals[:5])
            raise DenseGymError(
                f"goal {number!r} is not among the {len(self.goals)} goals of the part "
                f'"{self.setting.split}"; they begin with {shown}'
            )
        return found

    def restore(self, core: ShopCore, values: Mapping[str, Any]) -> None:
        """Let a shopper go on from ``ShopCore.state_dict``; its own goal may be of another part.

        Raises:
            DenseGymError: it is no such dict, or of a goal that is neither its own nor in this
                part.
        """
        number = values.get("goal")
        own = core.begun and core.goal.id == number
        core.load_state_dict(values, core.goal if own else self.find_goal(number))

    def info(self, core: ShopCore, invalid: str = "") -> dict[str, Any]:
        """Return what ``info`` says of a step, but for the list of valid actions."""
        state, bought = core.state, core.outcome
        success = float(bought is not None and bought.success)
        told: dict[str, Any] = {
            "goal_id": core.goal.id,
            "page": state.page,
            "asin": core.shop.store.product(state.product).asin if state.product >= 0 else "",
            "options": dict(state.options),
            "invalid": invalid,
            "success_now": success,
            "is_success": success,
        }
        if self.setting.privileged:
            told["shop/potential"] = core.potential()
            told |= {f"shop/{name}": value for name, value in subgoals(core).items()}
        if bought is not None:
            told |= {"score": 100.0 * bought.reward, "success": bool(success)}
            told["reward_terms"] = reward_terms(core.goal, bought)
        return told


def reward_terms(goal: Goal, bought: Outcome) -> dict[str, Any]:
    """Return every term of a purchase's reward, and which attributes and options were met."""
    values = dataclasses.asdict(bought)
    met = dict(zip(goal.attributes, values.pop("attributes_met"), strict=True))
    wanted = goal.options.items() if isinstance(goal.options, Mapping) else goal.options
    names = [": ".join(item) if isinstance(item, tuple) else item for item in wanted]
    options = dict(zip(names, values.pop("options_met"), strict=True))
    return {**values, "attributes": met, "options": options}


def _max_steps(asked: int | str) -> int:
    if isinstance(asked, str):
        if asked not in MAX_STEPS:
            raise unknown("number of steps", asked, MAX_STEPS)
        return MAX_STEPS[asked]
    if asked < 1:
        raise DenseGymError(f"max_steps is at least 1; given {asked}")
    return int(asked)
