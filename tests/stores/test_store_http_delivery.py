"""What waits for another machine's store, and its way there: in order, once, whatever is missing and whoever else delivers."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from forge_widgets.core.events import Batch, Producer
from forge_widgets.errors import SequenceGap, StoreUnavailable
from forge_widgets.server.limits import Limits
from forge_widgets.stores.http import HttpStore
from forge_widgets.stores.http_address import Address
from forge_widgets.stores.http_delivery import deliver
from forge_widgets.stores.http_outbox import outboxes_in
from tests.server.mounts import TOKEN, standalone
from tests.stores.batches import batch, event, recorded_steps, steps
from tests.stores.far import Far, beat_of, heard


def test_a_hole_in_what_waits_is_no_reason_to_append_behind_it(far: Far) -> None:
    outbox = far.outbox()
    outbox.put("s", batch("p", 1, steps(0, 5)))
    with pytest.raises(StoreUnavailable, match="expected 6"):
        outbox.put("s", batch("p", 10, steps(9, 1)))
    outbox.close()


def test_what_is_missing_for_good_holds_up_nothing(far: Far, caplog: pytest.LogCaptureFixture) -> None:
    far.mount.append("s", event("training_started"), steps(0, 3), producer="p", sequence=1)
    outbox, remote = far.outbox(), far.remote()
    outbox.put("s", batch("p", 10, steps(9, 3)))
    assert deliver(outbox, remote, "s", 5.0).rows == 3
    outbox.put("s", batch("p", 13, steps(12, 3)))
    assert deliver(outbox, remote, "s", 5.0).rows == 3
    outbox.put("s", batch("p", 20, steps(19, 3)))
    assert deliver(outbox, remote, "s", 5.0).rows == 3
    assert "events and steps 5 to 9 of producer p" in caplog.text
    assert recorded_steps(far.records()) == [0, 1, 2, 9, 10, 11, 12, 13, 14, 19, 20, 21]
    assert {record.attempt for record in far.records()} == {1}
    assert {record.producer for record in far.records()} == {"p", "p~5", "p~5~16"}
    outbox.close()
    remote.close()


class Holed(HttpStore):
    """A remote that misses something before whatever it is sent."""

    def append(self, session_id: str, batch: Batch) -> object:  # type: ignore[override]
        raise SequenceGap(batch.producer.id, 1, batch.sequence)


def test_a_remote_that_misses_something_each_time_is_not_asked_for_ever(far: Far) -> None:
    outbox, remote = far.outbox(), Holed(Address(far.url, TOKEN))
    outbox.put("s", batch("p", 5, steps(0, 1)))
    with pytest.raises(StoreUnavailable, match="too many holes"):
        deliver(outbox, remote, "s", 5.0)
    assert outbox.waiting("s") == 1
    outbox.close()
    remote.close()


def test_a_producers_note_that_is_lost_is_made_do_without(far: Far) -> None:
    outbox, remote = far.outbox(), far.remote()
    outbox.put("s", batch(Producer(id="p", group="g"), 1, steps(0, 5)))
    for note in (outbox.folder / "producers").iterdir():
        note.write_text("nonsense")
    assert deliver(outbox, remote, "s", 5.0).attempts == {"p": 1}
    (outbox.folder / "remote.json").write_text("nonsense")
    assert outboxes_in(outbox.folder.parent) == []
    outbox.close()
    remote.close()


def test_an_empty_file_goes_once_nobody_is_likely_to_record_there(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox, remote = far.outbox(), far.remote()
    outbox.put("s", batch("p", 1, steps(0, 5)))
    deliver(outbox, remote, "s", 5.0)
    monkeypatch.setattr("forge_widgets.stores.http_outbox.EMPTY_KEPT_S", float("inf"))
    assert outbox.sessions() == []
    assert (outbox.folder / "sessions" / "s.sqlite").exists()
    monkeypatch.setattr("forge_widgets.stores.http_outbox.EMPTY_KEPT_S", 0.0)
    other = far.outbox()
    assert other.sessions() == []
    assert not (outbox.folder / "sessions" / "s.sqlite").exists()
    # Whoever had it open remembers up to where it went; the remote has had more since.
    outbox.put("s", batch("p", 20, steps(19, 5)))
    assert other.sessions() == ["s"]
    other.close()
    outbox.close()
    remote.close()


def test_a_delivery_whose_time_is_over_says_that_something_is_left(far: Far) -> None:
    outbox, remote = far.outbox(), far.remote()
    for number in range(4):
        outbox.put("s", batch(f"p{number}", 1, steps(0, 2)))
    done = deliver(outbox, remote, "s", 0.0)
    assert (done.rows, done.complete, outbox.waiting("s")) == (2, False, 6)
    assert deliver(outbox, remote, "s", 5.0).complete
    assert deliver(outbox, remote, "nothing", 5.0).rows == 0
    outbox.close()
    remote.close()


def test_two_that_deliver_while_others_append_lose_and_repeat_nothing(far: Far) -> None:
    """Appending, delivering and removing race for the same file; each of them is a connection of its own."""
    ended = threading.Event()
    failures: list[Exception] = []

    def append(producer: str) -> None:
        outbox = far.outbox()
        try:
            for number in range(60):
                outbox.put("s", batch(producer, 1 + 2 * number, steps(2 * number, 2)))
        except Exception as error:  # noqa: BLE001 - told to the test's thread
            failures.append(error)
        outbox.close()

    def drain() -> None:
        outbox, remote = far.outbox(), far.remote()
        try:
            while not ended.is_set() or outbox.waiting("s"):
                deliver(outbox, remote, "s", 1.0)
        except Exception as error:  # noqa: BLE001 - told to the test's thread
            failures.append(error)
        outbox.close()
        remote.close()

    writers = [threading.Thread(target=append, args=(name,)) for name in ("a", "b")]
    drains = [threading.Thread(target=drain) for _ in range(2)]
    for thread in (*writers, *drains):
        thread.start()
    for thread in writers:
        thread.join(60)
    ended.set()
    for thread in drains:
        thread.join(60)
    assert failures == []
    for producer in "ab":
        ours = [record for record in far.records() if record.producer == producer]
        assert recorded_steps(ours) == list(range(120))
    assert {record.producer for record in far.records()} == {"a", "b"}
    assert far.outbox().waiting("s") == 0


def test_a_heartbeat_of_an_earlier_outage_does_not_replace_a_newer_one_there(far: Far) -> None:
    outbox, remote = far.outbox(), far.remote()
    outbox.beat("s", beat_of("alive", beat=1_000.0, unsaved=3))
    outbox.beat("s", beat_of("gone", beat=2_000.0, unsaved=5, reason="out of reach"))
    remote.beat("s", beat_of("alive", beat=5_000.0, attempt=1))
    remote.beat("s", beat_of("gone", beat=2_000.0, unsaved=5))
    outbox.put("s", batch("alive", 1, steps(0, 5)))
    outbox.put("s", batch("gone", 1, steps(0, 5)))
    assert deliver(outbox, remote, "s", 5.0).complete
    beats = {name: (heartbeat.beat, heartbeat.unsaved) for name, heartbeat in heard(far).items()}
    assert beats == {"alive": (5_000.0, 0), "gone": (2_000.0, 0)}
    outbox.close()
    remote.close()


def test_a_session_that_the_remote_refuses_holds_up_no_other(tmp_path: Path) -> None:
    with standalone(tmp_path / "store", limits=Limits(max_metrics=1)) as mount:
        far = Far(mount, tmp_path / "outbox")
        outbox = far.outbox()
        outbox.put("a-refused", batch("p", 1, steps(0, 5)))
        outbox.put("b-taken", batch("p", 1, event("training_started", at=1)))
        relay = far.relay()
        for _ in range(3):
            relay._leftovers_due = 0.0
            relay.beat("own", beat_of("other"))
        assert (outbox.waiting("a-refused"), outbox.waiting("b-taken")) == (5, 0)
        outbox.close()
        far.close()


def test_a_full_disk_leaves_no_drafts_behind(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    outbox = far.outbox()
    outbox.put("s", batch("p", 1, steps(0, 1)))
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(StoreUnavailable, match="No space left"):
            outbox.put("s", batch("q", 1, steps(0, 1)))
    assert not list(outbox.folder.rglob(".*"))
    outbox.close()


def test_notes_of_producers_go_with_the_file_however_many_deliveries_it_took(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox, remote = far.outbox(), far.remote()
    for name in "abc":
        outbox.put("s", batch(name, 1, steps(0, 2)))
    while not deliver(outbox, remote, "s", 0.0).complete:
        pass
    monkeypatch.setattr("forge_widgets.stores.http_outbox.EMPTY_KEPT_S", 0.0)
    assert outbox.sessions() == []
    assert not list((outbox.folder / "producers").iterdir())
    outbox.close()
    remote.close()
