"""Where a random generator stands, as text that checkpoints and states keep."""

from __future__ import annotations

import json

import numpy as np


def generator_state(random: np.random.Generator) -> str:
    """Return where a generator stands, as JSON, because its numbers exceed 64 bits."""
    return json.dumps(random.bit_generator.state)


def restore_generator(random: np.random.Generator, state: str) -> None:
    """Put a generator where ``generator_state`` found it."""
    random.bit_generator.state = json.loads(state)
