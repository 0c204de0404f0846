"""A house for each fault test, how much each does, and the seed that it draws its accidents by.

``make test`` does a little of each fault, ``make soak`` (FORGE_FAULTS=long) a lot; FORGE_FAULTS_SEED draws the same
accidents again.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from tests.faults.house import House

Amount = TypeVar("Amount", int, float)

LONG_TIMEOUT_S = 1_200
"""What one test may take in the long pass."""


class Effort(Protocol):
    """Chooses between a short pass and a long one."""

    def __call__(self, short: Amount, long: Amount) -> Amount:
        """Return how often, or for how many seconds, a test does what it does."""


def is_long() -> bool:
    """Say whether this is the long pass."""
    return os.environ.get("FORGE_FAULTS", "short") == "long"


def pytest_configure(config: pytest.Config) -> None:
    """Know the mark of this folder."""
    config.addinivalue_line("markers", "again(times): done so often in the long pass, each time in a house of its own")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Do what is marked again and again in the long pass."""
    mark = metafunc.definition.get_closest_marker("again")
    if mark is not None and is_long():
        metafunc.fixturenames.append("time_number")
        metafunc.parametrize("time_number", range(1, 1 + mark.args[0]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this folder the time that the long pass takes."""
    here = Path(__file__).parent
    for item in items:
        if is_long() and here in item.path.parents:
            item.add_marker(pytest.mark.timeout(LONG_TIMEOUT_S))


@pytest.fixture(scope="session")
def effort() -> Effort:
    """Give what a test asks how much it is to do."""

    def choose(short: Amount, long: Amount) -> Amount:
        return long if is_long() else short

    return choose


@pytest.fixture
def seed() -> int:
    """Draw a seed, or take the one that is asked for; pytest shows it where the test fails."""
    drawn = int(os.environ.get("FORGE_FAULTS_SEED") or random.SystemRandom().randrange(2**32))
    print(f"FORGE_FAULTS_SEED={drawn}")
    return drawn


@pytest.fixture
def chance(seed: int) -> random.Random:
    """Give what accidents are drawn by."""
    return random.Random(seed)


@pytest.fixture
def house(tmp_path: Path, seed: int) -> Iterator[House]:
    """Give a house with nothing running in it yet; what runs at the end is ended."""
    made = House(tmp_path / "store", seed)
    yield made
    made.close()
