"""``forge-widgets sync`` as a person runs it: what waits is listed, delivered, and said."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from forge_widgets.core.events import Batch, Event, Producer
from forge_widgets.core.steps import block_of
from forge_widgets.server.limits import Limits
from forge_widgets.stores.http_outbox import Outbox, outbox_of
from tests.cli.conftest import CommandLine
from tests.faults.proxy import Proxy
from tests.server.mounts import TOKEN, Mount, standalone


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    limits = Limits(publish_rows_per_s=1_000.0, publish_requests_per_s=None, publish_burst_s=1.0)
    with standalone(tmp_path / "far", limits=limits) as served:
        yield served


@pytest.fixture
def line(forge: CommandLine) -> CommandLine:
    forge.environment["FORGE_WIDGETS_TOKEN"] = TOKEN
    return forge


def put(line: CommandLine, url: str, session_id: str, rows: int) -> Outbox:
    """Leave a training's start and its steps for a remote on the command line's machine."""
    outbox = outbox_of(line.home / "data" / "forge_widgets" / "outbox", url)
    start = Event(event_type="training_started", timestamp=1.0)
    block = block_of((2.0 + n, {"currentStep": float(n)}) for n in range(rows))
    outbox.put(session_id, Batch(producer=Producer(id="p"), sequence=1, bodies=[start, block]))
    outbox.close()
    return outbox


def test_where_nothing_waits_it_says_so(line: CommandLine) -> None:
    done = line.run("sync")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Nothing waits.\n", "")
    done = line.run("sync", "--store", "http://127.0.0.1:1/x/?token=y")
    assert (done.returncode, done.stdout) == (0, "Nothing waits for http://127.0.0.1:1/x.\n")


def test_what_waits_is_listed_delivered_and_gone(line: CommandLine, mount: Mount) -> None:
    put(line, mount.url, "one", 1_499)
    outbox = put(line, mount.url, "two", 9)
    listed = line.run("sync", "--dry-run")
    waits = [f"one: 1,500 events and steps wait for {mount.url}", f"two: 10 events and steps wait for {mount.url}"]
    assert (listed.returncode, listed.stdout.splitlines()) == (1, waits)
    shown = line.run("sessions", "--store", os.fspath(outbox.folder))
    assert "one" in shown.stdout
    done = line.run("sync")
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert said[:2] == waits
    assert "one: 1,500 events and steps delivered" in said
    assert "two: 10 events and steps delivered" in said
    # 1,500 of 1,000 a second: the second session had to wait.
    assert [text for text in said if text.startswith(f"{mount.url} asks to wait")]
    assert line.run("sync").stdout == "Nothing waits.\n"
    read = mount.context.store.read("one", 0)
    assert read is not None
    assert read.top == 1_500


def test_one_remote_that_is_out_of_reach_is_told_and_the_others_get_theirs(line: CommandLine, mount: Mount) -> None:
    proxy = Proxy(1)
    nowhere = f"http://127.0.0.1:{proxy.port}"
    proxy.close()
    put(line, nowhere, "far-away", 5)
    put(line, mount.url, "near", 5)
    unnamed = line.run("sync")
    # Of two remotes nobody has said whose the token is: neither is sent it.
    assert "near: 6 events and steps delivered" not in unnamed.stdout
    assert "does not let us in" in unnamed.stderr
    done = line.run("sync", FORGE_WIDGETS_STORE=mount.url)
    assert done.returncode == 1
    assert "near: 6 events and steps delivered" in done.stdout
    assert "nothing answers there" in done.stderr
    assert "It waits in " in done.stderr
    only = line.run("sync", "--store", mount.url)
    assert (only.returncode, only.stdout) == (0, f"Nothing waits for {mount.url}.\n")


def test_what_waits_for_an_address_that_is_no_more_goes_to_another(line: CommandLine, mount: Mount) -> None:
    gone = "http://127.0.0.1:9/forge"
    put(line, gone, "s", 5)
    nowhere = line.run("sync", "--instead-of", gone)
    assert nowhere.returncode == 1
    assert "--store URL beside it" in nowhere.stderr
    done = line.run("sync", "--instead-of", gone, "--store", mount.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "s: 6 events and steps delivered" in done.stdout
    assert line.run("sync").stdout == "Nothing waits.\n"
    read = mount.context.store.read("s", 0)
    assert read is not None
    assert read.top == 6


def test_the_token_of_the_argument_or_of_the_stores_url_is_used(line: CommandLine, mount: Mount) -> None:
    put(line, mount.url, "s", 5)
    refused = line.run("sync", FORGE_WIDGETS_TOKEN="wrong")
    assert refused.returncode == 1
    assert "does not let us in" in refused.stderr
    with_token = f"{mount.url}/?token={TOKEN}"
    assert line.run("sync", FORGE_WIDGETS_TOKEN="wrong", FORGE_WIDGETS_STORE=with_token).returncode == 0
    put(line, mount.url, "t", 5)
    done = line.run("sync", "--store", with_token, FORGE_WIDGETS_TOKEN="wrong")
    assert done.returncode == 0
    assert TOKEN not in done.stdout + done.stderr


def test_a_store_that_nothing_can_wait_for_is_refused(line: CommandLine) -> None:
    done = line.run("sync", "--store", "some/folder")
    assert done.returncode == 1
    assert "'some/folder' is no other machine's store" in done.stderr
    assert "expected another machine's store, http(s)://host:port/prefix" in done.stderr
    assert "secret" not in line.run("sync", "--store", "ftp://here/?token=secret").stderr


def test_a_session_that_the_store_refuses_or_that_is_damaged_is_told_and_the_others_get_theirs(
    line: CommandLine, tmp_path: Path
) -> None:
    with standalone(tmp_path / "narrow", limits=Limits(max_metrics=1)) as mount:
        for name in ("a-damaged", "c-taken"):
            put(line, mount.url, name, 5)
        outbox = outbox_of(line.home / "data" / "forge_widgets" / "outbox", mount.url)
        rows = block_of((0.1 * n, {"currentStep": float(n), "loss": 1.0}) for n in range(5))
        outbox.put("b-refused", Batch(producer=Producer(id="p"), sequence=1, bodies=[rows]))
        outbox.sessions()  # lists know them all
        outbox.close()
        damaged = outbox.folder / "sessions" / "a-damaged.sqlite"
        damaged.write_bytes(damaged.read_bytes()[:100] + b"\xff" * (damaged.stat().st_size - 100))
        done = line.run("sync")
        assert done.returncode == 1
        assert "c-taken: 6 events and steps delivered" in done.stdout
        assert "too many in bodies" in done.stderr
        assert f"It waits in {outbox.folder}" in done.stderr
        assert "b-refused: 5 events and steps wait" in line.run("sync", "--dry-run").stdout
