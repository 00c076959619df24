"""The credits by name; nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from densegym import assets
from densegym.reward_models.catalogue import RewardEntry
from densegym.reward_models.types import TaskCard

_CREDIT = "densegym.reward_models.credit"
_ORDERED: Mapping[str, Any] = {
    "channels": [{"reward": "env", "threshold": 0.5}, {"reward": "credit/uniform"}]
}


def _has_factors(task: TaskCard) -> bool:
    texts = (assets.text(f"factors/{stem}.py") for stem in assets.names("factors", ".py"))
    return any(f'"{task.id}"' in text.partition("# ///\n")[0] for text in texts)


def _row(name: str, target: str, summary: str, **more: Any) -> RewardEntry:
    return RewardEntry(f"credit/{name}", f"{_CREDIT}.{target}", summary, **more)


def _spread(name: str, target: str, summary: str, **more: Any) -> RewardEntry:
    return _row(name, f"redistribution.{target}", summary, **more)


CATALOGUE = (
    _spread(
        "uniform",
        "uniform:UniformCredit",
        "the whole return, spread evenly in hindsight: a control",
    ),
    _spread(
        "ircr", "ircr:IRCRCredit", "how good the whole episode was, from 0 to 1; a survival bonus"
    ),
    _spread("rd", "rrd:RDCredit", "a network of one step, fitted to returns by least squares"),
    _spread("rrd", "rrd:RRDCredit", "a network of one step, fitted to returns on drawn steps"),
    _spread(
        "lare",
        "lare:LaReCredit",
        "authored factors of a step, and a decoder fitted to returns",
        fits=_has_factors,
        remedy='--reward \'{"model": "credit/lare", "path": "factors.py"}\', with factors of yours',
    ),
    _spread(
        "spa", "sequence:SPACredit", "contributions that add up to the return, grounded in validity"
    ),
    _spread(
        "rudder", "sequence:RudderCredit", "differences of returns predicted from every prefix"
    ),
    _spread(
        "diaster", "sequence:DiasterCredit", "differences of sub-trajectory rewards, of one step"
    ),
    _spread(
        "oprl",
        "implicit:OPRLCredit",
        "log-ratio of policies, fitted to pairs of episodes",
        asks=("numbers",),
    ),
    _spread(
        "prime",
        "implicit:PRIMECredit",
        "log-ratio of policies, fitted to success or failure",
        asks=("numbers",),
    ),
    _spread(
        "information-gain", "gain:InformationGainCredit", "rises of the probability of success"
    ),
    _spread("siop", "siop:SIOPCredit", "gains towards the answer given, by how many gave it"),
    _spread(
        "uniform-team",
        "team:UniformTeamCredit",
        "a team's return, spread evenly over agents and steps: a control",
        asks=("team",),
    ),
    _spread(
        "rrd-team",
        "team:RRDTeamCredit",
        "a network of an agent's step, fitted to team returns on drawn steps",
        asks=("team",),
    ),
    _spread(
        "lare-team",
        "team:LaReTeamCredit",
        "authored factors of an agent's step, and one decoder fitted to team returns",
        asks=("team",),
        fits=_has_factors,
        remedy='--reward \'{"model": "credit/lare-team", "path": "factors.py"}\', with yours',
    ),
    _row(
        "pipeline",
        "pipelines.pipeline:build_pipeline",
        "rewards in hindsight, refined and gated by outcome",
    ),
    _row(
        "channels",
        "pipelines.channels:build_channels",
        "ordered rewards, each only where higher ones are met",
        supply=_ORDERED,
    ),
)
