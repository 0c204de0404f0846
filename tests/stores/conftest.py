"""Every store that there is, empty, and the folders and processes that the tests of SQLite need."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forge_widgets.server.limits import Limits
from forge_widgets.stores import open_store
from forge_widgets.stores.base import Store
from forge_widgets.stores.sqlite import SqliteStore
from tests.server.mounts import TOKEN, standalone
from tests.stores.far import AT_ONCE, Far


@pytest.fixture(params=["memory", "sqlite", "sqlite on a network file system", "http"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Give an empty store of each kind."""
    if request.param == "http":
        monkeypatch.setenv("FORGE_WIDGETS_TOKEN", TOKEN)
        # As fast as a test goes: what is refused for its rate is another test's.
        limits = Limits(
            publish_rows_per_s=None, publish_requests_per_s=None, rows_a_read=100_000, max_body_bytes=4_000_000
        )
        # Nor is it told how a batch is cut for its way.
        monkeypatch.setattr("forge_widgets.stores.http.MAX_SENT_BYTES", 4_000_000)
        with standalone(tmp_path / "store", limits=limits) as mount:
            opened = open_store(mount.url)
            yield opened
            opened.close()
        return
    if request.param == "memory":
        opened = open_store(f"memory://{secrets.token_hex(8)}")
    else:
        opened = open_store(tmp_path / "store")
        # Where the folder really is makes no difference but to the journal that it chooses.
        monkeypatch.setattr("forge_widgets.stores.folder.is_network", lambda path: "network" in request.param)
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def sqlite(folder: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(folder, busy_timeout_s=0.2)
    yield opened
    opened.close()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a remote that was out of reach be tried again with the next call."""
    for name in AT_ONCE:
        monkeypatch.setattr(f"forge_widgets.stores.http_relay.{name}", 0.0)


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Far]:
    with standalone(tmp_path / "store") as mount:
        made = Far(mount, tmp_path / "outbox")
        yield made
        made.close()


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Far]:
    """A server that lets in ten rows a second."""
    limits = Limits(publish_rows_per_s=10.0, publish_requests_per_s=None, publish_burst_s=1.0)
    with standalone(tmp_path / "store", limits=limits) as mount:
        made = Far(mount, tmp_path / "outbox")
        yield made
        made.close()


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start ``python tests/stores/writer.py arguments...``; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []
    root = Path(__file__).parents[2]

    def run(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("writer.py")), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait for a condition with a deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.01)
