"""Which rewards let a learner add the value of the last state at a time limit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.agents.relabel.scripted import lanes
from tests.toys import Counting, Redistribute

DELAYED = {"model": "delayed", "of": "env"}


@pytest.mark.parametrize(
    ("reward", "bootstraps"),
    [
        ("env", True),
        (DELAYED, False),
        ({**DELAYED, "scale": 0.5}, False),
        ({**DELAYED, "bootstrap": True}, True),
        ({"model": Counting(), "bootstrap": False}, False),
        (["env", DELAYED], False),
        ([{**DELAYED, "bootstrap": True}, "env"], True),
        ({"model": Redistribute(), "hindsight": True}, True),
    ],
)
def test_rewards_that_have_paid_everything_end_with_the_clock(reward, bootstraps):
    env = lanes([[(2, "truncated")], [(3, "terminated")]], reward)
    assert env.engine.bootstraps is bootstraps
    env.reset()
    told = [env.step(np.zeros(2, dtype=int))[2:] for _ in range(3)]
    assert [done.tolist() for done, _ in told] == [[False, False], [True, False], [False, True]]
    assert told[1][1][0]["TimeLimit.truncated"] is bootstraps
    assert told[2][1][1]["TimeLimit.truncated"] is False
    assert "terminal_observation" in told[1][1][0]
