"""The servers of the black-box suite, started once for all of it, on one store; each test takes session ids of its own.

Nothing in this folder imports the package: it knows the contract (CONTRACT.md beside this file), public commands and
public names, and speaks as clients would that nobody here wrote. test_contract_whole.py sees to it that every sentence
and every row of the contract is held by a test: a test's docstring quotes, line by line, what it holds.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.servers import Server, in_jupyter, standalone
from tests.contract.wire import SilentViewer

CONTRACT = Path(__file__).with_name("CONTRACT.md").read_text(encoding="utf-8")
Script = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def jp_asyncio_loop() -> None:
    """Keep away the loop that pytest-jupyter gives each test: the servers here are processes of their own."""


@pytest.fixture
def jp_server_cleanup() -> None:
    """Keep away what needs that loop."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, jupyter_home: object) -> Path:
    """Where the servers' one store is, and what they say."""
    return tmp_path_factory.mktemp("contract")


def _started(server: Server) -> Iterator[Server]:
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def jupyter_mount(folder: Path) -> Iterator[Server]:
    """The extension in Jupyter Server: PREFIX is ``{base_url}forge``."""
    yield from _started(in_jupyter(folder))


@pytest.fixture(scope="session")
def standalone_mount(folder: Path) -> Iterator[Server]:
    """The stand-alone server: PREFIX is empty."""
    yield from _started(standalone(folder))


@pytest.fixture(scope="session")
def open_mount(folder: Path) -> Iterator[Server]:
    """The stand-alone server without a token, also for pages that were opened from a file."""
    yield from _started(standalone(folder, "--allow-origin", "null", token=None))


@pytest.fixture(params=["jupyter", "standalone"])
def mount(request: pytest.FixtureRequest) -> Server:
    """Serve at each of the two prefixes in turn."""
    server: Server = request.getfixturevalue(f"{request.param}_mount")
    return server


@pytest.fixture(scope="session")
def silent_viewers(jupyter_mount: Server, standalone_mount: Server) -> Iterator[list[SilentViewer]]:
    """Connect viewers that say nothing any more."""
    viewers = [SilentViewer(server) for server in (jupyter_mount, standalone_mount)]
    yield viewers
    for viewer in viewers:
        viewer.frames.close()


@pytest.fixture(scope="session", autouse=True)
def silent_from_the_beginning(request: pytest.FixtureRequest) -> None:
    """Connect them first of all, where a test asks for them: what takes half a minute then passes beside the others."""
    if any("silent_viewers" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("silent_viewers")


_numbers = itertools.count(1)


@pytest.fixture
def new_id() -> Callable[[], str]:
    """Make session ids that no other test has."""
    return lambda: f"contract-{next(_numbers)}"


@pytest.fixture
def session_id(new_id: Callable[[], str]) -> str:
    return new_id()


@pytest.fixture
def script(folder: Path) -> Iterator[Script]:
    """Start Python scripts as users write them, recording into the servers' store; what still runs is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(source: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", source],
            env={**os.environ, "FORGE_WIDGETS_STORE": os.fspath(folder / "store"), **environment},
            cwd=folder,  # the package is the installed one, whatever lies beside the tests
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=10)


@pytest.fixture
def run(script: Script) -> Callable[..., str]:
    """Run a script to its end; it has to succeed. Return what it printed."""

    def finish(source: str, **environment: str) -> str:
        out, err = (process := script(source, **environment)).communicate(timeout=60)
        assert process.returncode == 0, err[-2000:]
        return out

    return finish
