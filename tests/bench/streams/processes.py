"""The processes that a measure starts, and what is asked of them from outside: processor time, memory, ports, lines.

Whoever starts one ends it, by its number. What is measured runs in one, the crowd that watches it in another.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.streams.reading import FIRST

ROOT = Path(__file__).parents[3]
ANSWER_S = 120.0


class Process:
    """A process that is spoken with by lines; ended when it is left."""

    def __init__(self, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        )
        self.pid = self._process.pid

    def say(self, line: str) -> None:
        """Write a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self, seconds: float = ANSWER_S) -> str:
        """Return the answer to what was said, or the greeting: one line. Raises TimeoutError and EOFError."""
        assert self._process.stdout is not None
        # Of a second line that came with the first nothing would be told: nobody here says two at once that are heard.
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            raise TimeoutError(f"{self._process.args!r} said nothing for {seconds:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise EOFError(f"{self._process.args!r} has ended")
        return line.strip()

    def rest(self, seconds: float = ANSWER_S) -> str:
        """Close its stdin, and return all that it says until it has ended."""
        said, _ = self._process.communicate("", timeout=seconds)
        if self._process.returncode != 0:
            raise EOFError(f"{self._process.args!r} ended with {self._process.returncode}")
        return said

    def end(self) -> None:
        """End it, at once where it doesn't go by itself."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def cpu_s(self) -> float:
        """Return the processor time that all its threads have used."""
        # The clock of another process, as clock_getcpuclockid makes it: exact, where /proc counts in hundredths of a second.
        return time.clock_gettime((~self.pid << 3) | 2)

    def rss_bytes(self) -> int:
        """Return what of its memory is resident."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def running(command: Sequence[str], environment: dict[str, str] | None = None) -> Iterator[Process]:
    """Start a process, and end it."""
    process = Process(command, environment)
    try:
        yield process
    finally:
        process.end()


@contextmanager
def serving(store: Path) -> Iterator[tuple[Process, int]]:
    """Run ``forge-widgets serve`` on a store; yield it and its port."""
    command = [sys.executable, "-m", "forge_widgets.cli", "serve", "--open", "--port", "0", "--store", str(store)]
    with running(command) as server:
        said = server.hear()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
        assert found, f"the server said {said!r}"
        yield server, int(found.group(1))


@contextmanager
def training(store: Path, session_id: str, rate: str) -> Iterator[Process]:
    """Run a training of so many steps a second, or ``quiet`` (tests/bench/trainer.py)."""
    command = [sys.executable, "-m", "tests.bench.trainer", session_id, rate]
    with running(command, {"FORGE_WIDGETS_STORE": str(store)}) as process:
        yield process


@contextmanager
def recording(store: Path, session_ids: Sequence[str], rate: float) -> Iterator[Process]:
    """Run a process that records so many steps a second in each of some sessions (recorder.py)."""
    command = [sys.executable, "-m", "tests.bench.streams.recorder", str(rate), *session_ids]
    with running(command, {"FORGE_WIDGETS_STORE": str(store)}) as process:
        assert process.hear() == "ready"
        yield process


def emitted(training: Process) -> dict[int, float]:
    """End a training, and return when it emitted what, by offset."""
    lines = (line.split() for line in training.rest().splitlines())
    return {FIRST - 1 + int(step): float(at) for step, at in lines}


class Crowd:
    """A process of viewers (crowd.py), or of pages that poll (polling.py)."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def begin(self) -> None:
        """Let it count from here."""
        self._process.say("begin")
        assert self._process.hear() == "begun"

    def counted(self) -> dict[str, Any]:
        """Return what it has counted by now."""
        self._process.say("tell")
        found: dict[str, Any] = json.loads(self._process.hear())
        return found


@contextmanager
def crowd(port: int, paths: Sequence[str], count: int, *wishes: str) -> Iterator[Crowd]:
    """Connect so many viewers to a port; they take the paths in turns."""
    with _watching("crowd", str(port), ",".join(paths), str(count), *wishes) as watching:
        yield watching


@contextmanager
def pages(port: int, path: str, count: int, *, every_s: float) -> Iterator[Crowd]:
    """Let so many pages poll a path."""
    with _watching("polling", str(port), path, str(count), str(every_s)) as watching:
        yield watching


@contextmanager
def _watching(module: str, *arguments: str) -> Iterator[Crowd]:
    with running([sys.executable, "-m", f"tests.bench.streams.{module}", *arguments]) as process:
        assert process.hear() == "ready"
        yield Crowd(process)
