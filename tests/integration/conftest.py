"""A system for each test, and one server for those that leave it alive."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.processes import System

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Give a system whose server no test ends; each test takes session ids of its own."""
    made = System(tmp_path_factory.mktemp("system"))
    made.serve()
    yield made
    made.close()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[System]:
    """Give a system of the test's own, with nothing running in it yet."""
    made = System(tmp_path)
    yield made
    made.close()


@pytest.fixture
def session_id() -> str:
    """Give an id that no other test takes."""
    return f"training-{next(_numbers)}"
