import os
import signal
from collections.abc import Iterator

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, which reads it then

import pytest
from hypothesis import HealthCheck, settings

# What a shell starts in the background is deaf to Ctrl-C, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "densegym",
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("densegym")


@pytest.fixture
def registered() -> Iterator[list[str]]:
    """Names put into this list are unregistered after the test."""
    from densegym.reward_models.registry import unregister_reward

    names: list[str] = []
    yield names
    for name in names:
        unregister_reward(name)
