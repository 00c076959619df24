"""Protocols: the episode limit, the ending and the success rule behind a success number, by name.

Figures of one world differ with all three: an expert of Disassemble reaches in 500 steps what it
does not in 150, and a random FetchReach meets its goal in passing far more often than it rests
there. So each set of three has a name, which every label, table and record carries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from densegym.envs.world import World
from densegym.errors import DenseGymError, unknown

OWN = "densegym"
"""The protocol of worlds as they are registered."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """How episodes are limited, ended and judged.

    Attributes:
        name: what users type.
        limit: steps of an episode, or None for the world's own.
        ends: whether an episode may end before its limit, as the world decides.
        last_step: whether success is what holds at the last step; else what held at any.
    """

    name: str
    limit: int | None
    ends: bool
    last_step: bool

    def ends_at_success(self, given: bool | None, own: bool) -> bool:
        """Return whether the first success ends an episode.

        Args:
            given: what the user says, or None.
            own: what the world does where nobody says anything.

        Raises:
            DenseGymError: the user says what the protocol rules out.
        """
        if self.ends:
            return own if given is None else given
        if given:
            raise DenseGymError(
                f'protocol "{self.name}" goes on at success; given terminate_on_success=True. '
                f'Leave it out, or use protocol="{OWN}".'
            )
        return False


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(OWN, limit=None, ends=True, last_step=False),
        # Meta-World: 500 steps, never terminated; success at any step (its issues 176, 331).
        Protocol("metaworld-500", limit=500, ends=False, last_step=False),
        # As HER is reported (Plappert et al., 2018): 50 steps, success is that of the last.
        Protocol("fetch-last-step", limit=50, ends=False, last_step=True),
        # Every episode lasts as long, so that its length tells a learner nothing.
        Protocol("fixed-horizon", limit=None, ends=False, last_step=False),
    )
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What a protocol means in one world.

    Attributes:
        protocol: its name.
        limit: steps of an episode, or None where the world keeps its own clock.
        ends_at_success: whether the first success ends an episode; None where the world has no
            such choice.
        ends: whether an episode may end before its limit.
        success: ``"latched"``, true if the rule held at any step, or ``"last step"``.
    """

    protocol: str
    limit: int | None
    ends_at_success: bool | None
    ends: bool
    success: str

    def __str__(self) -> str:
        limit = "the world's own clock" if self.limit is None else f"{self.limit} steps"
        ending = {True: ", ends at success", False: ", goes on at success", None: ""}
        ends = ending[self.ends_at_success] if self.ends else ", never ends early"
        success = "success latched" if self.success == "latched" else "success at the last step"
        return f"{self.protocol} ({limit}{ends}, {success})"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as they stand in JSON beside a success number."""
        return {
            "protocol": self.protocol,
            "episode_limit": self.limit,
            "ends_at_success": self.ends_at_success,
            "success_rule": self.success,
        }


def find_protocol(name: str) -> Protocol:
    """Return a protocol by its name.

    Raises:
        UnknownNameError: no such protocol; names the closest.
    """
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def terms_of(world: World, protocol: str = OWN) -> Terms:
    """Return what a protocol means in a world.

    Raises:
        UnknownNameError: no such protocol; names the closest.
        DenseGymError: it does not fit the world; names those that do.
    """
    rule = find_protocol(protocol)
    fitting = (OWN, *world.protocols)
    if protocol not in fitting:
        these = " or ".join(f'"{name}"' for name in fitting)
        raise DenseGymError(
            f'protocol "{protocol}" does not fit {world.card.id}; type protocol={these}'
        )
    return Terms(
        protocol=protocol,
        limit=world.max_episode_steps if rule.limit is None else rule.limit,
        ends_at_success=world.ends_at_success if rule.ends else False,
        ends=rule.ends,
        success="last step" if rule.last_step else "latched",
    )
