"""Runs contestants: each in a fresh process of the Python that it belongs to, in a folder of its own, with a time limit.

What a contestant prints last is its result, as JSON. Whatever it started is killed by its process group when it has ended.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.bench import peers
from tests.bench.measured import Json, Spread

ROOT = Path(__file__).parents[2]
SCRATCH = ROOT / "build" / "bench"
"""Where contestants' folders are made: on the disk that the repository lies on, since /tmp may be none."""

SEED = 5

Role = Literal["floor", "peer", "aside", "ours"]
"""What a contestant is in a table: the floor that ratios are to, a peer, one beside (it does less, or more), ours."""


class Failed(Exception):
    """A contestant could not be installed, did not end in time or in good order, or said nothing that is JSON."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One of those that are measured side by side."""

    name: str
    role: Role
    # What its Python is called with; see script().
    arguments: tuple[str, ...]
    # Whose virtual environment (peers.py) its Python is; "" is the one that runs the suite.
    peer: str = ""
    limit_s: float = 60.0

    def command(self) -> list[str]:
        """Return the whole command line. Raises Failed where its environment can't be made."""
        try:
            python = peers.python_of(self.peer) if self.peer else sys.executable
        except peers.Missing as missing:
            raise Failed(str(missing)) from missing
        return [python, *self.arguments]


def script(name: str, *arguments: object) -> tuple[str, ...]:
    """Return what Python is called with to run tests/bench/contestants/NAME.py."""
    return ("-m", f"tests.bench.contestants.{name}", *map(str, arguments))


@dataclass(slots=True)
class Outcome:
    """What came of a contestant: one result a run, or why there is none."""

    contestant: Contestant
    runs: list[Json] = field(default_factory=list)
    failed: str = ""


Outcomes = dict[str, Outcome]
"""By the contestants' names, in their order."""


def rounds(contestants: Sequence[Contestant], runs: int, *, seed: int = SEED) -> Outcomes:
    """Run everybody once a round, in an order that changes, so that what else the machine does meets all alike.

    Who fails is left out of the rounds that follow.
    """
    found = {contestant.name: Outcome(contestant) for contestant in contestants}
    order = random.Random(seed)
    for _ in range(runs):
        for contestant in order.sample(contestants, len(contestants)):
            outcome = found[contestant.name]
            if outcome.failed:
                continue
            try:
                outcome.runs.append(run(contestant))
            except Failed as failure:
                outcome.failed = str(failure)
    return found


def figures(outcomes: Outcomes, unit: str, pick: Callable[[Json], float]) -> Json:
    """Sum up one figure of every contestant's runs, by name; a contestant that failed stands there with its reason."""
    return {
        name: {"role": outcome.contestant.role}
        | ({"failed": outcome.failed} if outcome.failed else Spread.of(list(map(pick, outcome.runs)), unit).json())
        for name, outcome in outcomes.items()
    }


def run(contestant: Contestant) -> Json:
    """Run a contestant to its end; its result, and of its whole process ``wall_s`` and ``cpu_s``. Raises Failed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with _process(contestant) as (process, said):
        # wait() with a timeout looks only every 50 ms; _process has set a limit anyway.
        code = process.wait()
        wall_s = time.perf_counter() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
        if code != 0:
            late = " (over its time)" if wall_s > contestant.limit_s else ""
            raise Failed(f"ended with {code}{late}: {said.last_error()}")
        return {**_result(said.last()), "wall_s": wall_s, "cpu_s": cpu_s}


@dataclass(frozen=True, slots=True)
class Served:
    """A contestant that goes on: a server, a training."""

    pid: int
    # The first line that it printed: where it is to be reached.
    said: str

    def cpu_s(self) -> float:
        """Return how long all its threads have been on a core: in nanoseconds, where /proc/PID/stat has ticks of 10 ms."""
        threads = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def memory_mb(self) -> float:
        """Return its resident memory in MB of 1,000,000 bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6


@contextmanager
def serving(contestant: Contestant) -> Iterator[Served]:
    """Start a contestant that prints a line once it is ready, and end it with SIGTERM afterwards. Raises Failed."""
    with _process(contestant) as (process, said):
        while not (line := said.first()):
            if process.poll() is not None:
                raise Failed(f"did not come up: {said.last_error()}")
            time.sleep(0.02)
        yield Served(process.pid, line)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)


@dataclass(frozen=True, slots=True)
class _Said:
    """What a process prints, in files: a pipe that nobody empties would hold it up."""

    out: Path
    error: Path

    def first(self) -> str:
        """Return the first line, once it is whole."""
        line, end, _ = self.out.read_text("utf-8", "replace").partition("\n")
        return line if end else ""

    def last(self) -> str:
        """Return the last line that is not empty."""
        return _last_line(self.out)

    def last_error(self) -> str:
        """Return the last line of its complaints."""
        return _last_line(self.error)[:300] or "no word"


@contextmanager
def _process(contestant: Contestant) -> Iterator[tuple[subprocess.Popen[bytes], _Said]]:
    command = contestant.command()
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH, ignore_cleanup_errors=True) as folder:
        said = _Said(Path(folder, "out"), Path(folder, "error"))
        with said.out.open("wb") as out, said.error.open("wb") as error:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=error,
                start_new_session=True,
            )
        limit = threading.Timer(contestant.limit_s, _kill, (process.pid,))
        limit.start()
        try:
            yield process, said
        finally:
            limit.cancel()
            _kill(process.pid)
            process.wait()


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _environment(folder: str) -> dict[str, str]:
    """Return the environment of contestants: their home is their folder, and nothing of theirs leaves the machine.

    Each peer's own switch is thrown, and the proxy that all of them ask for what is not on the loopback is a closed port.
    """
    nowhere = "http://127.0.0.1:9"
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HOME": folder,
        "TMPDIR": folder,
        "FORGE_WIDGETS_STORE": f"{folder}/store",
        "OPENBLAS_NUM_THREADS": "1",
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), nowhere),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
        "TRACKIO_DIR": f"{folder}/trackio",
    }


def _last_line(path: Path) -> str:
    lines = path.read_text("utf-8", "replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _result(line: str) -> Json:
    if not line:
        return {}
    try:
        result: Json = json.loads(line)
    except ValueError as error:
        raise Failed(f"said {line[:200]!r}, which is no JSON") from error
    return result
