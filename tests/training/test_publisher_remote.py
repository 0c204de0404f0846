"""Training into another machine's store: heeds the pace that it asks for, and loses nothing when it is out of reach."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import forge_widgets as forge
from forge_widgets.core.events import Event
from forge_widgets.server.limits import Limits
from forge_widgets.stores import open_store, outbox_folder
from forge_widgets.stores.http_outbox import outbox_of, outboxes_in
from forge_widgets.training.hooks import create_progress_hooks
from forge_widgets.training.publisher import FLUSH_INTERVAL_S, HELD_ROWS
from forge_widgets.training.run import Run
from tests.faults.proxy import Proxy
from tests.server.mounts import TOKEN, Mount, standalone


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("FORGE_WIDGETS_TOKEN", TOKEN)
    monkeypatch.setattr("forge_widgets.stores.http_relay.LAST_RETRY_S", 0.2)


@contextmanager
def served(folder: Path, rows_per_s: float | None = None) -> Iterator[Mount]:
    limits = Limits(publish_rows_per_s=rows_per_s, publish_requests_per_s=None, publish_burst_s=1.0)
    with standalone(folder, limits=limits) as mount:
        yield mount


def steps_of(mount: Mount, session_id: str = "s") -> list[float]:
    read = mount.context.store.read(session_id, 0)
    assert read is not None
    return [
        row["currentStep"]
        for record in read.records
        if not isinstance(record.body, Event)
        for _, row in record.body.rows()
    ]


def waiting(session_id: str = "s") -> int:
    count = 0
    for outbox in outboxes_in(outbox_folder()):
        count += outbox.waiting(session_id)
        outbox.close()
    return count


def wait_for(condition: object, what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.01)


def test_a_training_records_into_another_machines_store(tmp_path: Path) -> None:
    with served(tmp_path / "far") as mount:
        with forge.run("s", total_steps=100, store=f"{mount.url}/?token={TOKEN}") as run:
            for step in range(1, 101):
                run.log(step=step, loss=1.0 / step)
            assert run.flush(10)
            # A request is dearer than a commit, so more is gathered for each.
            assert run._publisher._flush_interval_s > FLUSH_INTERVAL_S
        assert steps_of(mount) == list(range(1, 101))
        snapshot = mount.context.store.snapshot("s")
        assert snapshot is not None
        assert snapshot.state.status == "completed"
        (heartbeat,) = mount.context.store.heartbeats("s")
        assert (heartbeat.attempt, heartbeat.unsaved, heartbeat.closed) == (1, 0, True)
        assert waiting() == 0


def test_a_store_that_was_given_open_is_recorded_into_and_left_open(tmp_path: Path) -> None:
    with served(tmp_path / "far") as mount:
        store = open_store(mount.url)
        hooks = create_progress_hooks("s", store=store)
        hooks.emit_training_started(total_steps=1)
        hooks.emit_step_update(step=1, loss=1.0)
        hooks.close()
        assert store.snapshot("s") is not None
        store.close()


def test_steps_wait_as_long_as_the_server_asks_and_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with served(tmp_path / "far", rows_per_s=200.0) as mount:
        run = Run("s", store=mount.url)
        run.start()
        for step in range(1, 601):
            run.log(step=step, loss=1.0)
            time.sleep(0.001)
        assert run.flush(30)
        run.complete()
        run.close()
        assert steps_of(mount) == list(range(1, 601))
    said = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len([text for text in said if "takes no more steps for now" in text]) == 1
    assert not [text for text in said if "saved again" in text or "can't be saved" in text]


def test_steps_that_have_to_wait_long_are_thinned_so_that_events_behind_them_need_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with served(tmp_path / "far", rows_per_s=10.0) as mount:
        run = Run("s", store=mount.url)
        for step in range(1_000):
            run.log(step=step, loss=1.0)
        run.flush(5)  # let in, and owed for half a minute
        run.log(step=1_000, loss=1.0)
        wait_for(lambda: "takes no more steps" in caplog.text, "request to wait")
        for step in range(1_001, 11_001):
            run.log(step=step, loss=1.0)
        assert len(run._buffer) <= HELD_ROWS + 1
        run.close()
        arrived = mount.context.store.read("s", 0)
    (outbox,) = outboxes_in(outbox_folder())
    read = outbox.read("s")
    assert arrived is not None
    assert read is not None
    records = [*arrived.records, *read.records]
    blocks = [record.body for record in records if not isinstance(record.body, Event)]
    assert sum(len(block) + block.thinned for block in blocks) == 11_001
    assert list(blocks[-1].rows())[-1][1]["currentStep"] == 11_000
    outbox.close()


def test_at_its_end_a_training_that_has_to_wait_records_here(tmp_path: Path) -> None:
    with served(tmp_path / "far", rows_per_s=1.0) as mount:
        run = Run("s", store=mount.url)
        run.start()
        run.log(step=1, loss=1.0)
        assert run.flush(10)
        for step in range(2, 501):
            run.log(step=step, loss=1.0)
        wait_for(lambda: run._publisher._retry_after_s, "wish to wait")
        run.complete()
        began = time.monotonic()
        run.close(5.0)
        assert time.monotonic() - began < 5.0
        arrived = mount.context.store.snapshot("s")
        assert arrived is not None
        assert arrived.cursor.offset + waiting() == 502
        assert waiting() > 0


def test_a_run_that_ends_while_nobody_answers_is_recorded_here_in_time(tmp_path: Path) -> None:
    with served(tmp_path / "far") as mount:
        proxy = Proxy(int(mount.url.rpartition(":")[2]))
        run = Run("s", store=f"http://127.0.0.1:{proxy.port}")
        run.start()
        assert run.flush(10)
        proxy.down.blackhole = True
        for step in range(1, 11):
            run.log(step=step, loss=1.0)
        run.complete()
        run.close()
        assert not run._publisher._thread.is_alive()
        # The remote may have taken what it could not acknowledge: it is sent again, and passed over.
        assert waiting() >= 1
        proxy.close()


def test_a_training_that_never_reached_its_store_goes_on_where_it_was_when_it_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with served(tmp_path / "far") as mount:
        proxy = Proxy(int(mount.url.rpartition(":")[2]))
        proxy.refuse()
        # Reports without a start, so that it wants to know what it joins, and nobody can say.
        run = Run("s", store=f"http://127.0.0.1:{proxy.port}")
        for step in range(1, 51):
            run.log(step=step, loss=1.0)
        assert run.flush(10)
        assert waiting() == 50
        proxy.accept()
        wait_for(lambda: run.flush(1) and not waiting(), "delivery")
        run.log(step=51, loss=1.0)
        assert run.flush(10)
        wait_for(lambda: mount.context.store.heartbeats("s"), "heartbeat")
        run.close()
        proxy.close()
        assert steps_of(mount) == list(range(1, 52))
        (heartbeat,) = mount.context.store.heartbeats("s")
        assert (heartbeat.attempt, heartbeat.durable, heartbeat.unsaved) == (1, 51, 0)
    assert "is out of reach" in caplog.text
    assert "50 events and steps that waited on this machine were delivered" in caplog.text


def test_two_attempts_of_one_run_are_two_attempts_there_although_both_waited(tmp_path: Path) -> None:
    with served(tmp_path / "far") as mount:
        proxy = Proxy(int(mount.url.rpartition(":")[2]))
        proxy.refuse()
        run = Run("s", store=f"http://127.0.0.1:{proxy.port}")
        for _ in range(2):
            run.start()
            run.log(step=1, loss=1.0)
            run.complete()
        assert run.flush(10)
        proxy.accept()
        wait_for(lambda: not waiting(), "delivery")
        run.close()
        proxy.close()
        read = mount.context.store.read("s", 0)
        assert read is not None
        assert [record.attempt for record in read.records] == [1, 1, 1, 2, 2, 2]


def test_a_damaged_outbox_and_a_store_out_of_reach_do_not_keep_a_training_from_recording(tmp_path: Path) -> None:
    proxy = Proxy(1)
    url = f"http://127.0.0.1:{proxy.port}"
    proxy.close()
    damaged(outbox_of(outbox_folder(), url).folder)
    run = Run("s", store=url)
    run.log(step=1, loss=1.0)
    assert run.flush(10)
    run.close()
    assert waiting() == 1


def test_a_damaged_session_does_not_keep_a_training_that_goes_on_in_it_from_recording(tmp_path: Path) -> None:
    damaged(tmp_path / "here")
    run = Run("s", store=tmp_path / "here")
    run.log(step=1, loss=1.0)
    assert run.flush(10)
    run.close()
    store = open_store(tmp_path / "here")
    read = store.read("s", 0)
    assert read is not None
    assert read.top == 1
    store.close()


def damaged(folder: Path) -> None:
    """Put a session ``s`` into a store that nobody can read."""
    store = open_store(folder)
    _ = store.store_id
    store.close()
    (folder / "sessions" / "s.sqlite").write_bytes(b"no database" * 1_000)
