"""The processes of one fault test: a store, a server and trainings, each started, stopped, killed and ended by its id."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forge_widgets.core.subscription import Slice
from forge_widgets.stores import open_store
from tests.faults.checker import Acknowledged, check, read_all, units_of
from tests.faults.proxy import Proxy
from tests.faults.viewer import Viewer

TOKEN = "a-token-of-the-faults"
_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]


def until(condition: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
    """Wait until a condition holds; fail at the deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"no {what} in {timeout_s} s"
        time.sleep(0.01)


class Process:
    """A Python script of this folder as a process; its lines are read by a thread, so that it never waits for us."""

    def __init__(self, script: str, *arguments: object, **environment: str) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, str(_HERE / script), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(_ROOT), **environment},
        )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def memory_kb(self) -> int:
        """How much memory it holds now (resident, in KB)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))

    @property
    def open_sockets(self) -> int:
        """How many sockets it has open now."""
        links = [_link(path) for path in Path(f"/proc/{self.pid}/fd").iterdir()]
        return sum(link.startswith("socket:") for link in links)

    def until_at_most(self, sockets: int, timeout_s: float = 20.0) -> None:
        """Wait until it has no more sockets open than this."""
        until(lambda: self.open_sockets <= sockets, f"end of sockets ({sockets} before)", timeout_s)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it (SIGKILL), also where it is stopped, and see it gone."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(20)
        self._reader.join(20)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def stop(self, timeout_s: float = 40.0) -> int:
        """Ask it to end by a line on stdin, and wait; return its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.write("stop\n")
        self._process.stdin.flush()
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = 40.0) -> int:
        """Wait for its end; return its exit code."""
        code = self._process.wait(timeout_s)
        self._reader.join(20)
        return code

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):  # a line that a kill has cut was not said
                self.lines.append(line.strip())


def _link(path: Path) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 - a socket's name is no path
    except OSError:  # closed in between
        return ""


class Training(Process):
    """A training that says what was acknowledged."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        super().__init__("trainer.py", *arguments, **environment)

    @property
    def acknowledged(self) -> list[Acknowledged]:
        """What it was told is durable, so far."""
        said = [line.split() for line in list(self.lines) if line.startswith("ack ")]
        return [Acknowledged(producer, int(sequence), int(step)) for _, producer, sequence, step in said]

    @property
    def step(self) -> int:
        """The newest step that was acknowledged."""
        return max((ack.step for ack in self.acknowledged), default=0)

    @property
    def end(self) -> dict[str, Any]:
        """What it said at its end."""
        said: dict[str, Any] = json.loads(next(line[4:] for line in self.lines if line.startswith("end ")))
        return said

    def goes_on(self, steps: int = 5, timeout_s: float = 20.0) -> None:
        """Wait until so many more steps are acknowledged."""
        goal = self.step + steps
        until(lambda: self.step >= goal, f"acknowledged step {goal} (there is {self.step})", timeout_s)


class House:
    """A store's folder and what runs around it; ``close`` ends all of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.server: Process | None = None
        self._processes: list[Process] = []
        self._viewers: list[Viewer] = []
        self._proxies: list[Proxy] = []

    def serve(self) -> Process:
        """Start the server (again, on the same port), and wait until it answers."""
        server = Process("served.py", self.folder, self.port, TOKEN)
        self._processes.append(server)
        until(lambda: server.lines, "server", 30)
        self.server = server
        return server

    def train(self, session_id: str = "s", steps_per_s: float = 100, **environment: str) -> Training:
        """Start a steady training, and wait until something is acknowledged."""
        training = self.run("steady", session_id, steps_per_s, **environment)
        until(lambda: training.acknowledged, "acknowledged step", 30)
        return training

    def run(self, task: str, session_id: str, argument: object, **environment: str) -> Training:
        """Start a training."""
        training = Training(task, self.folder, session_id, argument, **environment)
        self._processes.append(training)
        return training

    def proxy(self) -> Proxy:
        """Put a proxy before the server."""
        proxy = Proxy(self.port, seed=self.seed)
        self._proxies.append(proxy)
        return proxy

    def view(self, session_id: str = "s", through: Proxy | None = None, **options: Any) -> Viewer:
        """Make a viewer; it is closed at the end."""
        url = self.url if through is None else f"http://127.0.0.1:{through.port}"
        viewer = Viewer(url, session_id, TOKEN, seed=self.seed, **options)
        self._viewers.append(viewer)
        return viewer

    def watch(self, session_id: str = "s", through: Proxy | None = None, **options: Any) -> Viewer:
        """Start a viewer, and wait until it has applied something."""
        viewer = self.view(session_id, through, **options).start()
        viewer.until(lambda: viewer.chapters, "first frame", 20)
        return viewer

    def watch_early(self, session_id: str, **options: Any) -> Viewer:
        """Start a viewer of a session that does not exist yet, and wait until it waits."""
        viewer = self.view(session_id, **options).start()
        viewer.until(lambda: viewer.delivering, "answer", 20)
        return viewer

    def assert_durable(self, training: Training, session_id: str = "s") -> None:
        """See that what a training was told is durable is in the log now, whatever is wrong with it."""
        acknowledged = training.acknowledged[-1]
        store = open_store(self.folder)
        try:
            read = read_all(store, session_id)
        finally:
            store.close()
        newest = max(unit.sequence for unit in units_of(read.records) if unit.producer == acknowledged.producer)
        assert newest >= acknowledged.sequence, f"{acknowledged} is not in the log, which ends at {newest}"

    def judge(
        self,
        *trainings: Training,
        session_id: str = "s",
        viewers: list[Viewer] | None = None,
        before: tuple[Slice, ...] = (),
    ) -> Slice:
        """Wait until the session's viewers stand where its log stands, end them, and let the checker judge."""
        watching = [v for v in self._viewers if v.session_id == session_id] if viewers is None else viewers
        store = open_store(self.folder)
        try:
            snapshot = store.snapshot(session_id)
            assert snapshot is not None
            goal = (snapshot.cursor.epoch, snapshot.cursor.offset)
            for viewer in watching:
                viewer.until(lambda v=viewer: v.position == goal, f"arrival at {goal}", 30)  # type: ignore[misc]
                viewer.close()
            acknowledged = [ack for training in trainings for ack in training.acknowledged]
            return check(store, session_id, acknowledged, watching, before=before)
        finally:
            store.close()

    def close(self) -> None:
        """End everything, whatever state it is in."""
        for viewer in self._viewers:
            viewer.close()
        for process in self._processes:
            process.kill()
        for proxy in self._proxies:
            proxy.close()
