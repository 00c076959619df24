"""Scores a film by a progress reward, and draws what its judge says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from densegym.agents.films.curves import write_strip
from densegym.agents.films.footage import Footage
from densegym.envs.tasks import task_card
from densegym.errors import RewardError
from densegym.reward_models.model import walk
from densegym.reward_models.options import options_of
from densegym.reward_models.progress.potential import ProgressPotential
from densegym.reward_models.progress.scoring import Curve, read_for, score_film
from densegym.reward_models.registry import find_reward
from densegym.reward_models.shaping import Paying
from densegym.reward_models.spec import RewardSpec, build_engine, in_words
from densegym.reward_models.types import TaskCard

_BARS = "▁▂▃▄▅▆▇█"
_SILENT = "x"
_FILM = TaskCard(id="film")


@dataclass(frozen=True, slots=True)
class Scored:
    """A film with what was said of it.

    Attributes:
        films: its files, one per camera.
        name: of the reward.
        curve: what its judge says.
    """

    films: Sequence[str]
    name: str
    curve: Curve

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"films": list(self.films), "reward": self.name, **self.curve.as_dict()}

    def line(self) -> str:
        """Return Φ as a line of bars, one per judged picture, x where the judge was silent."""
        heights = np.clip(self.curve.phi * len(_BARS), 0, len(_BARS) - 1).astype(int)
        pairs = zip(heights.tolist(), self.curve.valid.tolist(), strict=True)
        return "".join(_BARS[height] if spoke else _SILENT for height, spoke in pairs)

    def draw(self, path: Path) -> None:
        """Write pictures of the film above the curve, as ``densegym play`` does.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        curve = self.curve
        judged = not np.isnan(curve.hop).all()
        path.parent.mkdir(parents=True, exist_ok=True)
        footage = Footage(
            frames=[np.concatenate(list(views), axis=1) for views in curve.pictures],
            paid=np.zeros(len(curve.phi) - 1),
            success=None,
            abstained=~curve.valid[1:],
            fps=1,
            title=f"{' + '.join(Path(film).name for film in self.films)}  {self.name}",
            phi=curve.phi,
            hop=curve.hop[1:] if judged else None,
            done=None if np.isnan(curve.done[1:]).all() else curve.done[1:],
            at=curve.at,
        )
        write_strip(footage, path)


def score(
    films: Sequence[str],
    reward: RewardSpec,
    *,
    task: str = "",
    sentence: str = "",
    every: int | None = None,
    whole: bool = True,
    seed: int = 0,
    on_picture: Callable[[int, int], None] = lambda done, wanted: None,
) -> Scored:
    """Score a film by one progress reward.

    Args:
        films: one per camera of the judge, in their order.
        reward: a name or a mapping with ``model``; nothing that is a sum.
        task: environment id whose card and whose fitted weights are meant; "" for none.
        sentence: what is to be done, instead of the card's.
        every: pictures between two that are judged; None judges 60 at most.
        whole: let judges that can value the film at once, as GVL does as published.
        seed: of judges that draw numbers.
        on_picture: told about judged and wanted pictures.

    Raises:
        UnknownNameError: no such reward, task or option; names the closest.
        RewardError: the reward is none that looks at pictures.
        DenseGymError: unreadable films, or not one for every camera.
        ProgressBackendError: the judge cannot be asked any more.
    """
    card = task_card(task) if task else _FILM
    potential = _potential(reward, card, sentence, seed)
    try:
        at, pictures = read_for(potential, list(films), every)
        text = sentence or potential.sentence or card.goal
        curve = score_film(potential, pictures, at, text, whole=whole, on_picture=on_picture)
    finally:
        potential.close()
    return Scored(films, in_words(reward, task=card), curve)


def _potential(reward: RewardSpec, card: TaskCard, sentence: str, seed: int) -> ProgressPotential:
    stated: Mapping[str, Any] = {"model": reward} if isinstance(reward, str) else {}
    if isinstance(reward, Mapping):
        stated = reward
    if not str(stated.get("model", "")).startswith("progress/"):
        raise RewardError(
            f"films are scored by one progress reward, such as progress/local; given {reward!r}"
        )
    known = [option.name for option in options_of(find_reward(str(stated["model"])))]
    if "every" not in known:
        raise RewardError(f'"{stated["model"]}" reads states, and a film shows none')
    spoken = {"sentence": sentence} if sentence and "sentence" in known else {}
    # Pictures that nobody is to judge were left out when the film was read.
    engine = build_engine({**stated, **spoken, "every": 1}, 1, task=card, seed=seed)
    paying = next(one for one in walk(engine.reward) if isinstance(one, Paying))
    assert isinstance(paying.potential, ProgressPotential)
    return paying.potential
