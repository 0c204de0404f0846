"""A process of a fault test: started, spoken to, stopped, killed and ended by its id; its lines are kept as they come."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def until(condition: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
    """Wait until a condition holds; fail at the deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"no {what} in {timeout_s} s"
        time.sleep(0.01)


class Process:
    """A script of this folder as a process; its lines are read by a thread, so that it never waits for us."""

    def __init__(
        self, script: str, *arguments: object, interpreter: Sequence[str] = (sys.executable,), **environment: str
    ) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [*interpreter, str(HERE / script), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """False once it has ended."""
        return self._process.poll() is None

    @property
    def memory_kb(self) -> int:
        """How much memory it holds now (resident, in KB)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))

    @property
    def cpu_s(self) -> float:
        """How many seconds of a core it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

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
        if self.running:
            self._process.kill()
        self._process.wait(20)
        self._reader.join(20)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # of what it did not read any more
                    pipe.close()

    def tell(self, line: str) -> None:
        """Write a line to its stdin; one that has ended is told nothing."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError, ValueError):
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def stop(self, timeout_s: float = 40.0) -> int:
        """Ask it to end by a line on stdin, and wait; return its exit code."""
        self.tell("stop")
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = 40.0) -> int:
        """Wait for its end; return its exit code."""
        code = self._process.wait(timeout_s)
        self._reader.join(20)
        return code

    def hear(self, line: str) -> None:
        """Take a line that it has said; called by the thread that reads."""
        self.lines.append(line)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):  # a line that a kill has cut was not said
                self.hear(line.strip())


def _link(path: Path) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 - a socket's name is no path
    except OSError:  # closed in between
        return ""
