"""The commands that read a store, and how the command line says what went wrong."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import pty
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from forge_widgets.cli import main
from forge_widgets.core.events import Event
from forge_widgets.core.steps import block_of
from forge_widgets.stores import open_store
from tests.cli.conftest import COMMAND, CommandLine

T0 = 1_763_800_000.0
ROWS = [
    (T0, {"currentStep": 0.0, "currentModel": 1.0, "loss": 2.5, "totalSteps": 10.0, "totalModels": 1.0}),
    (T0 + 1, {"currentStep": 1.0, "currentModel": 1.0, "loss": math.nan}),
]


def recorded(forge: CommandLine) -> None:
    forge.record("cognate-1", Event(event_type="training_started", timestamp=T0), block_of(ROWS))


def test_sessions_are_a_table(forge: CommandLine) -> None:
    recorded(forge)
    answer = forge.run("sessions")
    head, line = answer.stdout.splitlines()
    assert head.split() == ["SESSION", "STATUS", "MODEL", "STEP", "LOSS", "LEFT", "UPDATED"]
    assert line.split()[:5] == ["cognate-1", "stalled", "1/1", "1/10", "NaN"]
    assert line.endswith(" ago")
    assert (answer.returncode, answer.stderr) == (0, "")


def test_sessions_are_strict_json(forge: CommandLine) -> None:
    recorded(forge)
    answer = forge.run("sessions", "--json", "--status", "running", "--limit", "5")
    document = json.loads(answer.stdout, parse_constant=pytest.fail)
    (found,) = document["sessions"]
    assert document["total"] == 1
    assert (found["sessionId"], found["status"], found["standing"], found["rows"]) == (
        "cognate-1",
        "running",
        "stalled",
        2,
    )
    assert found["metrics"]["loss"] is None
    assert found["nonfinite"] == {"loss": "NaN"}
    assert found["createdAt"] == "2025-11-22T08:26:40.000Z"
    store = open_store(forge.store)
    assert (document["store"], document["storeId"]) == (store.url, store.store_id)
    store.close()
    none = {"sessions": [], "total": 0, "store": document["store"]}
    assert json.loads(forge.run("sessions", "--json", "--status", "error").stdout) == none


def test_an_empty_store_says_what_to_do(forge: CommandLine) -> None:
    answer = forge.run("sessions")
    assert answer.stdout.startswith("No sessions in sqlite://")
    assert answer.stdout.endswith(" yet. 'forge-widgets demo' runs a training to watch.\n")
    assert not forge.store.exists()


def test_an_export_goes_to_standard_output_or_a_file(forge: CommandLine, tmp_path: Path) -> None:
    recorded(forge)
    answer = forge.run("export", "cognate-1", "--format", "csv")
    lines = list(csv.DictReader(io.StringIO(answer.stdout)))
    assert [(line["step"], line["loss"]) for line in lines] == [("0", "2.5"), ("1", "NaN")]
    target = tmp_path / "rows.parquet"
    answer = forge.run("export", "cognate-1", "--format", "parquet", "--output", str(target), "--attempt", "1")
    assert answer.stderr == f"{target}: history of cognate-1: 2 rows, attempt 1 of 1\n"
    assert pd.read_parquet(target)["step"].tolist() == [0, 1]
    document = json.loads(forge.run("export", "cognate-1", "--format", "json").stdout, parse_constant=pytest.fail)
    assert [row["step"] for row in document["rows"]] == [0, 1]


def test_parquet_is_not_written_to_a_terminal(forge: CommandLine) -> None:
    recorded(forge)
    ours, theirs = pty.openpty()
    answer = subprocess.run(
        [*COMMAND, "export", "cognate-1", "--format", "parquet"],
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        env=forge.environment,
        timeout=60,
        check=False,
    )
    os.close(theirs)
    os.close(ours)
    assert answer.returncode == 1
    assert (
        answer.stderr == "forge-widgets: Parquet is binary in output: expected --output FILE, or a pipe to write to\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "nobody", "--format", "csv"], "session 'nobody' is not in the store"),
        (["export", "../etc", "--format", "csv"], "'../etc' is no session id"),
        (["export", "cognate-1", "--format", "csv", "--attempt", "7"], "no attempt 7 of cognate-1"),
        (["export", "cognate-1", "--format", "csv", "--output", "/nowhere/rows.csv"], "/nowhere"),
        (["sessions", "--store", "ftp://here"], "scheme 'ftp' is unknown"),
        (["demo", "--store", "memory://here", "--exit", "--no-browser"], "can't see this memory"),
    ],
)
def test_an_error_is_one_clear_line_and_exit_code_1(forge: CommandLine, arguments: list[str], said: str) -> None:
    recorded(forge)
    answer = forge.run(*arguments)
    assert answer.returncode == 1
    assert answer.stderr.startswith("forge-widgets: ")
    assert said in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert answer.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["export", "a"],
        ["export", "a", "--format", "xlsx"],
        ["sessions", "--limit", "0"],
        ["serve", "--port", "70000"],
        ["demo", "--mode", "slow"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: forge-widgets" in capsys.readouterr().err


def test_every_command_has_a_help_that_says_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("serve", "demo", "sessions", "export"):
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        assert len(capsys.readouterr().out) > 400
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("forge-widgets ")


def test_a_reader_that_has_enough_ends_the_output_quietly(forge: CommandLine) -> None:
    many = [(T0 + step, {"currentStep": float(step), "loss": 0.123456789}) for step in range(60_000)]
    forge.record("long", block_of(many))
    process = forge.start("export", "long", "--format", "csv")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == ""


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from forge_widgets.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = ('tornado', 'numpy', 'pandas', 'apsw', 'jupyter_server', 'jupyter_core', 'anywidget')\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert answer.stderr == "[]\n"
