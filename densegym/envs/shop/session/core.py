"""The shop's one state machine: what actions do, who may do them, and what buying is worth.

Every front end (text, choice, vector, web, terminal) plays through this class, so a person and an
agent see the same shop. Gymnasium is not needed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from densegym.envs.shop.goals.goals import Goal
from densegym.envs.shop.goals.scoring import Outcome, ScoringRule, score
from densegym.envs.shop.session.actions import MAX_ACTION, Action, parse
from densegym.envs.shop.session.pages import Click, Pages, View
from densegym.envs.shop.session.state import State, with_option
from densegym.envs.shop.store.store import Store
from densegym.errors import DenseGymError

CACHED_OUTCOMES = 32_768
SHOWN_WEIGHT = 0.5  # of a listed product in the potential, beside one whose page is open
REASONS = {
    "syntax": "write search[words] or click[target]",
    "unknown_target": "there is no such button, product or option on this page",
    "no_search_here": "this page has no search box; click[back to search] first",
    "empty_query": "a search needs words, such as search[red shoes]",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a shop is played by.

    Attributes:
        scoring: how a purchase is judged.
        original: keep the original's action grammar, collisions, and search from any page.
        results_per_page: products listed at a time.
        top_k: hits of a search.
        attributes_page: whether items have the ``attributes`` section.
    """

    scoring: ScoringRule = "strict"
    original: bool = False
    results_per_page: int = 10
    top_k: int = 50
    attributes_page: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """What an action did.

    Attributes:
        reward: the purchase's worth; 0 for every other action.
        terminated: whether something was bought.
        invalid: why nothing happened, a key of ``REASONS``; "" for a valid action.
    """

    reward: float = 0.0
    terminated: bool = False
    invalid: str = ""


_NOTHING = Transition()
_NOT_BEGUN = "no episode has begun; call begin(goal), or reset() of the env"


class Shop:
    """A store with its rules: what all sessions on it share, safe to share.

    Args:
        store: the catalogue.
        rules: what it is played by.
    """

    def __init__(self, store: Store, rules: Rules | None = None) -> None:
        self.store, self.rules = store, rules or Rules()
        self.pages = Pages(
            store,
            results_per_page=self.rules.results_per_page,
            top_k=self.rules.top_k,
            attributes_page=self.rules.attributes_page,
            original=self.rules.original,
        )
        self._judged = lru_cache(maxsize=CACHED_OUTCOMES)(self._judge)

    def outcome(self, goal: Goal, product: int, options: tuple[tuple[str, str], ...]) -> Outcome:
        """Return what buying a product with options would be worth for a goal."""
        return self._judged(goal, product, options)

    def require(self, state: State) -> None:
        """Refuse a state that no shopper here can be in.

        Raises:
            DenseGymError: says what does not fit.
        """
        inside = state.page in ("item", "section", "done")
        if inside != (0 <= state.product < len(self.store)):
            raise DenseGymError(f"no state here has the page {state.page!r} of {state.product}")
        offered = self.store.product(state.product).options if inside else {}
        for group, value in state.options:
            if value not in offered.get(group, ()):
                raise DenseGymError(f"the product offers no option {group!r}: {value!r}")
        if state.section not in (self.pages.sections if state.page == "section" else ("",)):
            raise DenseGymError(f"the page {state.page!r} has no section {state.section!r}")
        if min(state.number - 1, state.steps) < 0 or (state.page == "results") > bool(state.query):
            raise DenseGymError("a state has a page number from 1, and results have a query")

    def _judge(self, goal: Goal, product: int, options: tuple[tuple[str, str], ...]) -> Outcome:
        bought, chosen = self.store.product(product), dict(options)
        price = bought.price_with(chosen, self.store.price(product))
        return score(goal, bought, chosen, price, rule=self.rules.scoring)


class ShopCore:
    """One shopper with one goal.

    Args:
        shop: where; any number of shoppers may share one.
    """

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self._goal: Goal | None = None
        self.state = State()
        self.outcome: Outcome | None = None

    def begin(self, goal: Goal) -> None:
        """Start an episode on the index page."""
        self._goal, self.state, self.outcome = goal, State(), None

    @property
    def goal(self) -> Goal:
        """Return what is to be bought.

        Raises:
            DenseGymError: no episode has begun.
        """
        if self._goal is None:
            raise DenseGymError(_NOT_BEGUN)
        return self._goal

    @property
    def begun(self) -> bool:
        """Return whether there is a goal yet."""
        return self._goal is not None

    @property
    def over(self) -> bool:
        """Return whether something was bought."""
        return self.state.page == "done"

    @property
    def view(self) -> View:
        """Return the page on which the shopper stands."""
        return self.shop.pages.view(self.state)

    def act(self, text: str) -> Transition:
        """Carry out an action string; see ``perform``."""
        return self.perform(parse(text, original=self.shop.rules.original))

    def perform(self, action: Action) -> Transition:
        """Carry out an action; one that is invalid changes nothing but the number of steps.

        Raises:
            DenseGymError: the episode is over, or none has begun.
        """
        if self._goal is None:
            raise DenseGymError(_NOT_BEGUN)
        if self.over:
            raise DenseGymError("the episode is over: something was bought. Begin a new one")
        state, click = self.state, None
        if action.verb == "click":
            click = self._target(action.argument)
            invalid = "" if click else "unknown_target"
        else:
            invalid = self._refused_search(action)
        if invalid:
            self.state = state._replace(steps=state.steps + 1)
            return Transition(invalid=invalid)
        if click is not None:
            return self.press(click)
        self.state = self._moved(page="results", query=action.argument)
        return _NOTHING

    def press(self, click: Click) -> Transition:
        """Follow a click of the page on which the shopper stands, as ``perform`` does by name."""
        if click.move != "buy":
            self.state = self._clicked(click)
            return _NOTHING
        state = self.state
        self.outcome = self.shop.outcome(self.goal, state.product, state.options)
        self.state = state._replace(page="done", steps=state.steps + 1)
        return Transition(reward=self.outcome.reward, terminated=True)

    def valid_actions(self) -> list[str]:
        """Return actions that would be carried out, in page order.

        Where one may search, the words of the request stand for any others.
        """
        if self.over:
            return []
        if self.state.page == "index":
            return [f"search[{fit_search(request_words(self.goal))}]"]
        return [f"click[{target}]" for target in self.view.clickables]

    def potential(self) -> float:
        """Return how much of the reward is in reach (privileged: it reads the goal).

        On an item or section page what buying now would pay; on results half of the best listed
        product's worth without options; 0 on the index and at the end.
        """
        state = self.state
        if state.page in ("item", "section"):
            return self.shop.outcome(self.goal, state.product, state.options).reward
        if state.page != "results":
            return 0.0
        worth = (self.shop.outcome(self.goal, index, ()).reward for index in self.view.shown)
        return SHOWN_WEIGHT * max(worth, default=0.0)

    def state_dict(self) -> dict[str, Any]:
        """Return plain values from which the episode goes on."""
        return {"goal": self.goal.id, "state": self.state.as_dict()}

    def load_state_dict(self, values: Mapping[str, Any], goal: Goal) -> None:
        """Go on from ``state_dict``, with the goal that it names.

        Raises:
            DenseGymError: it is no such dict, of another goal, or of a page that this shop has not.
        """
        if values.get("goal") != goal.id:
            raise DenseGymError(f"the state is of goal {values.get('goal')}, not of {goal.id}")
        state = State.from_dict(values.get("state"))
        self.shop.require(state)
        self._goal, self.state = goal, state
        bought = self.over
        self.outcome = (
            self.shop.outcome(goal, self.state.product, self.state.options) if bought else None
        )

    def copy(self) -> ShopCore:
        """Return another shopper at the same point; neither sees what the other does."""
        twin = ShopCore(self.shop)
        twin._goal, twin.state, twin.outcome = self._goal, self.state, self.outcome
        return twin

    def _refused_search(self, action: Action) -> str:
        if not action.verb:
            return "syntax"
        if not action.argument:
            return "empty_query"
        if self.state.page != "index" and not self.shop.rules.original:
            return "no_search_here"
        return ""

    def _target(self, argument: str) -> Click | None:
        view = self.view
        found = view.clicks.get(argument)
        if found is None and not self.shop.rules.original:
            found = view.aliases.get(argument)
        return found

    def _clicked(self, click: Click) -> State:
        state, move, steps = self.state, click.move, self.state.steps + 1
        if move == "back":
            return State(steps=steps)
        if move == "next":
            return self._moved(page="results", query=state.query, number=state.number + 1)
        if move == "previous" and state.page == "section":
            return state._replace(page="item", section="", steps=steps)
        if move == "previous":
            number = state.number - (state.page == "results")
            return self._moved(page="results", query=state.query, number=number)
        if move == "open":
            opened = state.opened | {click.product}
            return state._replace(page="item", product=click.product, opened=opened, steps=steps)
        if move == "section":
            return state._replace(page="section", section=click.name, steps=steps)
        options = with_option(state.options, click.name, click.value)
        return state._replace(options=options, steps=steps)

    def _moved(self, **fields: Any) -> State:
        """Return a fresh page: product, section and options are left behind."""
        return State(opened=self.state.opened, steps=self.state.steps + 1, **fields)


def request_words(goal: Goal) -> str:
    """Return the request as search words: without the price, in lower case."""
    return goal.instruction.partition(", and price lower than")[0].replace("[", " ").lower()


def fit_search(words: str) -> str:
    """Return search words cut, between two words, to what an action string may hold."""
    most = MAX_ACTION - len("search[]")
    return words if len(words) <= most else words[: most + 1].rpartition(" ")[0] or words[:most]
