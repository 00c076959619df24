import pytest

from densegym.reward_models.sandbox.process import Worker
from tests.reward_models.authored.scripted_context import make_bank


@pytest.fixture(scope="module")
def worker():
    with Worker() as hired:
        yield hired


@pytest.fixture(scope="module")
def bank():
    return make_bank()
