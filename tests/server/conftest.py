"""Both mounts for the tests of the server, started once for all of them; each test takes session ids of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.server.mounts import Mount, in_jupyter, standalone


@pytest.fixture(scope="session")
def standalone_mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    with standalone(tmp_path_factory.mktemp("standalone") / "store") as mount:
        yield mount


@pytest.fixture(scope="session")
def jupyter_mount(tmp_path_factory: pytest.TempPathFactory, jupyter_home: object) -> Iterator[Mount]:
    folder = tmp_path_factory.mktemp("jupyter")
    with in_jupyter(folder / "store", folder) as mount:
        yield mount


@pytest.fixture(params=["standalone", "jupyter"])
def mount(request: pytest.FixtureRequest) -> Mount:
    """Serve in each mount in turn."""
    found: Mount = request.getfixturevalue(f"{request.param}_mount")
    return found


_numbers = itertools.count(1)


@pytest.fixture
def new_id() -> Callable[[], str]:
    """Make session ids that no other test has."""
    return lambda: f"session-{next(_numbers)}"


@pytest.fixture
def session_id(new_id: Callable[[], str]) -> str:
    return new_id()
