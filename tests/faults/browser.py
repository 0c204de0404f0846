"""The TypeScript client of the browser as a viewer of the fault suite: the real session stream in a process of node.

It is bundled here, told what to do by lines, and heard; what it says that it has applied is folded again by Python, and each
state that it says it has is compared with that.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from forge_widgets.core.events import Record
from forge_widgets.core.series import Series
from forge_widgets.core.steps import StepBlock
from forge_widgets.core.subscription import Slice
from forge_widgets.core.wire import record_message
from tests.faults.process import HERE, ROOT, Process
from tests.faults.view import Json, View, state_of

_UI = ROOT / "forge_widgets" / "ui"
_ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

QUICK: Json = {
    "welcomeTimeoutMs": 1_000,
    "backoffBaseMs": 50,
    "backoffCapMs": 500,
    "stableMs": 1_000,
    "seldomMs": 2_000,
    "longPollS": 1,
    "pollIdleMs": 100,
    "pollBusyMs": 50,
    "answerTimeoutMs": 1_000,
    "checkTimeoutMs": 500,
    "resumeSpacingMs": 200,
    "heartbeatMs": 500,
    "brief": "rows",  # the judge compares every row; pages with the settings that people have are sent outlines
}
"""The stream's settings, scaled as the server's periods are (served.py): about a tenth."""


def bundle(script: str, folder: Path) -> Path:
    """Bundle a TypeScript program of this folder with what it imports; return the file for node."""
    made = folder / f"{Path(script).stem}.cjs"
    if not made.exists():
        esbuild = _UI / "node_modules" / ".bin" / "esbuild"
        assert esbuild.exists(), f"{esbuild} is not there; make setup installs it"
        options = ["--bundle", "--platform=node", "--format=cjs", "--log-level=warning", f"--outfile={made}"]
        subprocess.run([str(esbuild), str(HERE / script), *options], check=True, timeout=60, env=_ENVIRONMENT)
    return made


class NodeProcess(Process):
    """A bundled program in node; each line that it says goes to ``heard``."""

    def __init__(self, program: Path, *arguments: object, heard: Callable[[str], None] | None = None) -> None:
        node = shutil.which("node", path=_ENVIRONMENT["PATH"])
        assert node is not None, "node is not there; make setup finds or installs it"
        self._heard = heard
        super().__init__(str(program), *arguments, interpreter=(node,))

    def hear(self, line: str) -> None:
        """Pass a line on; what is passed on is not kept."""
        if self._heard is None:
            super().hear(line)
        else:
            self._heard(line)


class Kernel(Process):
    """The kernel's side of the comm (kernel.py); what it says goes to whoever listens."""

    def __init__(self, folder: Path, session_id: str) -> None:
        self.listener: Callable[[str], None] = lambda line: None
        self.said = 0
        super().__init__("kernel.py", folder, session_id)

    def hear(self, line: str) -> None:
        """Pass a message on."""
        self.said += 1
        self.listener(line)


@dataclass(frozen=True, slots=True)
class Counts:
    """What a page has open now: timers, sockets, requests, listeners; and how often it ever opened a socket, or asked."""

    timers: int
    sockets: int
    requests: int
    listeners: int
    opened: int
    asked: int


class Browser(View):
    """One page that follows one session."""

    def __init__(
        self,
        program: Path,
        task: Json,
        *,
        rows_of: Callable[[int, int], list[Record]],
        kernel: Kernel | None = None,
        settings: Json | None = None,
    ) -> None:
        super().__init__(task["sessionId"])
        # Reads a range of the log: what an outline stands for.
        self._rows_of = rows_of
        # Whether some rows came as outlines: then how fast it goes is sampled from others than in the log.
        self.outlined = False
        # What delivers, why nothing better, and every transport that ever delivered, in order.
        self.delivering: str | None = None
        self.reason = ""
        self.history: list[str | None] = []
        # When that changed last (monotonic seconds).
        self.changed_at = 0.0
        # True while it says that nothing can be reached.
        self.offline = False
        # What it said last of what is not saved, and of records that it has only seen thinned.
        self.view: Json = {}
        # Frames that lay behind, and holes.
        self.dropped = 0
        self.holes = 0
        # What must not be, as it was noticed by the thread that reads.
        self.wrong: list[str] = []
        self._reports: list[Json] = []
        self.kernel = kernel
        # Guards what a command writes: the kernel's thread and the test's tell.
        self._telling = threading.Lock()
        if kernel is not None:
            kernel.listener = lambda line: self._tell("comm", json.loads(line))
        arguments = {**task, "comm": kernel is not None, "settings": settings or {}}
        self.process = NodeProcess(program, json.dumps(arguments), heard=self._hear)

    def __repr__(self) -> str:
        return (
            f"at {self.offset} by {self.delivering} ({self.reason!r}), before that {self.history[-8:]}, "
            f"{len(self.chapters)} chapters, {self.holes} holes, {self.dropped} dropped, wrong: {self.wrong[:3]}"
        )

    @property
    def always_recovered(self) -> bool:
        """True where its cursor was honoured each time, and where it does not show a gap."""
        return all(chapter.recovered for chapter in self.chapters) and not self.view["gap"]

    def until(self, condition: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
        """Wait until a condition holds; fail at the deadline, or where something was wrong by then."""
        super().until(condition, what, timeout_s)
        assert not self.wrong, self

    def until_by(self, transport: str, timeout_s: float = 20.0) -> None:
        """Wait until a transport delivers."""
        self.until(lambda: self.delivering == transport, f"delivery by {transport}", timeout_s)

    def until_more(self, offsets: int = 20, timeout_s: float = 20.0) -> None:
        """Wait until so many more offsets were applied."""
        goal = self.offset + offsets
        self.until(lambda: self.offset >= goal, f"offset {goal}", timeout_s)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the page's process."""
        self.process.send(number)

    def wake(self, event: str = "online") -> None:
        """Let the page hear an event of its window."""
        self._tell("wake", event)

    def stop_following(self) -> None:
        """Close the stream; the page stays."""
        self._tell("close")

    def follow_again(self) -> None:
        """Start the stream again."""
        self._tell("start")

    def report(self) -> Json:
        """Ask what the page shows and has open now."""
        wanted = len(self._reports) + 1
        self._tell("report", wanted)
        self.until(lambda: len(self._reports) >= wanted, "report")
        return self._reports[-1]

    @property
    def counts(self) -> Counts:
        """What the page has open now."""
        return Counts(**self.report()["counts"])

    def close(self) -> None:
        """End the stream and see the process end by itself: nothing is left open that would keep it."""
        if self.process.running:
            self.process.send(signal.SIGCONT)
            self._tell("stop")
            assert self.process.wait(20) == 0, f"the page ended badly: {self}"
        assert not self.wrong, self

    def kill(self) -> None:
        """Kill the process, whatever state it is in."""
        self.process.kill()

    def _tell(self, command: str, argument: Any = None) -> None:
        with self._telling:
            self.process.tell(json.dumps({"do": command, "argument": argument}))

    # --- what it says, on the thread that reads --------------------------------------------------

    def _hear(self, line: str) -> None:
        said = json.loads(line)
        kind = said["type"]
        if kind == "applied":
            self._apply_told(said)
        elif kind == "dropped":
            self.dropped += 1
        elif kind == "hole":
            self.holes += 1
        elif kind == "view":
            self._look(said)
        elif kind == "comm" and self.kernel is not None:
            self.kernel.tell(json.dumps(said["message"]))
        elif kind == "report":
            self._reports.append(said)

    def _apply_told(self, said: Json) -> None:
        """Take the same frame: Python's rules and Python's fold have to come to the same."""
        frame = said["frame"]
        if not frame["key"]:
            frame = {**frame, "records": [whole for record in frame["records"] for whole in self._whole(record)]}
        outcome = self.take(frame)
        if outcome != "applied":
            self.wrong.append(f"applied {frame['from']}..{frame['to']} at {said['before']}, by the rules {outcome}")
        shown = state_of(said["state"])
        if (replace(shown, pace=self.state.pace) if self.outlined else shown) != self.state:
            self.wrong.append(f"at {frame['to']} the state is {said['state']}, the fold is {self.state}")
        if frame["epoch"] and (said["cursor"]["epoch"], said["cursor"]["offset"]) != self.position:
            self.wrong.append(f"the cursor is {said['cursor']} where {self.position} was applied")

    def _whole(self, message: Json) -> list[Json]:
        """Return a record, or those of the log that an outline stands for: its newest row and its extremes have to be theirs."""
        rows = message.get("rows", {})
        if "outline" not in rows:
            return [message]
        self.outlined = True
        first, outline = message["offset"], rows["outline"]
        records = self._rows_of(first, first + outline["count"] - 1)
        table = [row for record in records if isinstance(record.body, StepBlock) for _, row in record.body.rows()]
        newest = {name: column[0] for name, column in rows["columns"].items()}
        if len(table) != outline["count"] or table[-1] != newest:
            self.wrong.append(
                f"an outline of {outline['count']} from {first} on ends in {newest}, the log in {table[-1:]}"
            )
        for line in outline["lines"]:
            values = [row[line["metric"]] for row in table]
            told = sorted(value for _, value in line["points"])
            if told != _about([min(values), max(values)], line["metric"]):
                self.wrong.append(f"an outline of {first} on has {line}, the log {min(values)} to {max(values)}")
        return [record_message(record) for record in records]

    def _look(self, said: Json) -> None:
        self.view = said
        self.reason, self.offline = said["reason"], said["offlineSince"] is not None
        if said["transport"] != self.delivering:
            self.delivering, self.changed_at = said["transport"], time.monotonic()
            self.history.append(self.delivering)


def check_curves(lines: list[Json], log: Slice) -> None:
    """See that curves hold every extreme of a log's latest attempt and its newest point, and nothing that is not in it.

    A key frame writes the values of curves with six digits.
    """
    attempt = max(record.attempt for record in log.records)
    whole = Series()
    points: dict[tuple[str, int], dict[float, float]] = {}
    for record in log.records:
        if record.attempt != attempt or not isinstance(record.body, StepBlock):
            continue
        whole.add_block(record.body)
        for _, metrics in record.body.rows():
            for name, value in metrics.items():
                line = points.setdefault((name, int(metrics.get("currentModel", 1.0))), {})
                assert metrics["currentStep"] not in line, "the faults' trainings do each step once"
                line[metrics["currentStep"]] = value
    shown = {(line["metric"], line["model"]): line for line in lines}
    assert sorted(shown) == sorted((metric, model) for metric, model, _ in whole.lines())
    for place, drawn in shown.items():
        recorded, steps, values = points[place], drawn["steps"], drawn["values"]
        assert values == _about([recorded.get(step, math.nan) for step in steps], place[0]), (
            f"{place} shows what was not recorded"
        )
        assert steps == sorted(set(steps)), f"{place} goes back"
        assert steps[-1] == max(recorded), f"{place} has not the newest"
        assert [min(values), max(values)] == _about([min(recorded.values()), max(recorded.values())], place[0]), place


def _about(values: list[float], metric: str) -> Any:
    """Return values as they may be drawn; perplexities that an outline derives are as exact as exp lets them be of their losses."""
    return pytest.approx(values, rel=1e-4 if metric == "perplexity" else 1e-5)
