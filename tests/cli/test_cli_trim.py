"""``forge-widgets trim``: says what would go, asks, and drops no more than that."""

from __future__ import annotations

import argparse
import os
import pty
import subprocess

import pytest

from forge_widgets.cli.arguments import size
from forge_widgets.core.events import Event
from forge_widgets.core.steps import block_of
from forge_widgets.stores import open_store
from tests.cli.conftest import COMMAND, CommandLine

T0 = 1_763_800_000.0
ROWS = 20_000


def recorded(forge: CommandLine, name: str, *, at: float = 0.0, ends: bool = True) -> None:
    rows = [(T0 + at + step / 10, {"currentStep": float(step), "loss": 1.0 / (1 + step)}) for step in range(ROWS)]
    last = Event(event_type="training_error", timestamp=T0 + at + ROWS, error="out of memory")
    forge.record(
        name, Event(event_type="training_started", timestamp=T0 + at), block_of(rows), *([last] if ends else [])
    )


def floors(forge: CommandLine) -> dict[str, int]:
    """Return the floor of each session."""
    store = open_store(forge.store)
    found = {}
    for summary in store.summaries():
        read = store.read(summary.session_id, 0, 1)
        assert read is not None
        found[summary.session_id] = read.floor
    store.close()
    return found


def test_a_session_is_trimmed_by_its_name_and_stays_in_the_list(forge: CommandLine) -> None:
    recorded(forge, "old")
    recorded(forge, "other")
    answer = forge.run("trim", "old", "--yes")
    assert answer.returncode == 0, answer.stderr
    first, second = answer.stdout.splitlines()
    assert first.startswith("old: 20000 steps of its latest attempt are recorded, ")
    assert second.startswith("trimmed old: ")
    assert second.endswith(" KB freed")
    assert floors(forge) == {"old": ROWS + 3, "other": 1}
    assert "20000" in forge.run("sessions", "--json").stdout


@pytest.mark.parametrize("how", [("old",), ("--to", "1KB"), ("--to", "1KB", "--delete")])
def test_without_a_yes_nothing_is_dropped(forge: CommandLine, how: tuple[str, ...]) -> None:
    recorded(forge, "old")
    answer = forge.run("trim", *how)
    assert answer.returncode == 1
    assert "say --yes" in answer.stderr
    assert floors(forge) == {"old": 1}


@pytest.mark.parametrize(("said", "floor"), [(b"n\n", 1), (b"\n", 1), (b"y\n", ROWS + 3)])
def test_whoever_sits_at_a_terminal_is_asked(forge: CommandLine, said: bytes, floor: int) -> None:
    recorded(forge, "old")
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "trim", "old"], stdin=end, stdout=subprocess.PIPE, text=True, env=forge.environment
    )
    os.close(end)
    os.write(terminal, said)
    out, _ = process.communicate(timeout=60)
    os.close(terminal)
    assert "Drop all recorded steps of these sessions? [y/N]" in out
    assert process.returncode == (0 if floor > 1 else 1)
    assert floors(forge) == {"old": floor}


def test_sessions_are_trimmed_oldest_first_until_they_take_no_more_than_was_said(forge: CommandLine) -> None:
    recorded(forge, "new", at=50_000)
    recorded(forge, "old")
    recorded(forge, "running", at=10_000, ends=False)
    answer = forge.run("trim", "--to", "600KB", "--yes")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "to trim: old, which takes " in answer.stdout
    assert "session old was trimmed, its last state is kept: " in answer.stdout
    assert floors(forge) == {"new": 1, "old": ROWS + 3, "running": 1}
    answer = forge.run("trim", "--to", "1KB", "--delete", "--yes")
    assert answer.returncode == 1
    assert "No more can be trimmed" in answer.stderr
    assert floors(forge) == {"running": 1}


def test_where_there_is_room_nothing_is_done(forge: CommandLine) -> None:
    recorded(forge, "old")
    answer = forge.run("trim", "--to", "1GB")
    assert answer.returncode == 0
    assert answer.stdout.startswith("All sessions take ")


def test_a_trimmed_session_says_that_it_is_trimmed(forge: CommandLine) -> None:
    recorded(forge, "old")
    forge.run("trim", "old", "--yes")
    assert forge.run("trim", "old").stdout.startswith("old: trimmed already, nothing but its last state is left, ")
    exported = forge.run("export", "old", "--format", "csv")
    assert (exported.returncode, exported.stdout) == (0, "step,model,timestamp\n")
    assert f"{ROWS + 2:,} earlier rows and events were trimmed" in exported.stderr
    answer = forge.run("export", "old", "--format", "csv", "--attempt", "1")
    assert (answer.returncode, "what was recorded of this session was trimmed" in answer.stderr) == (1, True)


def test_no_less_than_nothing_is_freed_where_a_server_has_the_file_open(forge: CommandLine) -> None:
    forge.record("small", Event(event_type="training_started", timestamp=T0))
    forge.record("small", block_of([(T0 + step, {"loss": 1.0}) for step in range(50)]))
    forge.record("small", Event(event_type="training_error", timestamp=T0 + 60, error="out of memory"))
    server = open_store(forge.store)
    assert server.read("small", 0) is not None
    answer = forge.run("trim", "small", "--yes")
    server.close()
    assert answer.returncode == 0
    assert "-" not in answer.stdout.splitlines()[-1]


def test_a_session_that_runs_or_is_unknown_is_not_trimmed(forge: CommandLine) -> None:
    recorded(forge, "running", ends=False)
    answer = forge.run("trim", "running", "--yes")
    assert (answer.returncode, "expected a finished session" in answer.stderr) == (1, True)
    answer = forge.run("trim", "nobody", "--yes")
    assert (answer.returncode, "'nobody' is not in the store" in answer.stderr) == (1, True)
    assert floors(forge) == {"running": 1}


@pytest.mark.parametrize("wrong", [(), ("old", "--to", "1GB"), ("--to", "much")])
def test_what_makes_no_sense_is_used_wrongly(forge: CommandLine, wrong: tuple[str, ...]) -> None:
    assert forge.run("trim", *wrong).returncode == 2


def test_sessions_that_are_named_are_not_deleted(forge: CommandLine) -> None:
    answer = forge.run("trim", "old", "--delete", "--yes")
    assert (answer.returncode, "expected --to SIZE --delete" in answer.stderr) == (1, True)


def test_a_store_that_is_no_folder_takes_no_disk(forge: CommandLine) -> None:
    answer = forge.run("trim", "--to", "1GB", "--store", "memory://x")
    assert (answer.returncode, "expected a folder" in answer.stderr) == (1, True)


@pytest.mark.parametrize(
    ("text", "count"),
    [("800", 800), ("500MB", 500_000_000), ("1.5 gb", 1_500_000_000), ("2T", 2 * 10**12), ("3kb", 3_000)],
)
def test_a_size_is_read(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "much", "-1", "1e9", "1_000", "5 XB", "٣"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        size(text)
