"""A house for each fault test, and the seed that it draws its accidents by: printed, and set by FORGE_FAULTS_SEED."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.house import House


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
