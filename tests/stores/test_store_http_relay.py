"""What a training writes while another machine's store is out of reach, slow or unwilling: kept here, delivered once, in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from forge_widgets.core.events import Producer
from forge_widgets.errors import RateLimited, SequenceGap, StoreUnavailable
from forge_widgets.server.limits import Limits
from forge_widgets.stores import open_for_recording, open_store, outbox_folder
from forge_widgets.stores.base import Distant
from forge_widgets.stores.http_delivery import deliver
from forge_widgets.stores.http_relay import Relay
from tests.server.mounts import TOKEN, standalone
from tests.stores.batches import batch, event, recorded_steps, steps
from tests.stores.far import Far, beat_of, heard


def test_while_the_remote_is_there_nothing_is_kept_here(far: Far) -> None:
    relay = far.relay()
    assert isinstance(relay, Distant)
    assert relay.append("s", batch("p", 1, event("training_started"), steps(0, 5))).attempt == 1
    relay.beat("s", beat_of(attempt=1))
    assert recorded_steps(far.records()) == [0, 1, 2, 3, 4]
    assert heard(far)["p"].unsaved == 0
    assert not far.outbox().folder.exists()


def test_what_is_appended_while_the_remote_is_away_waits_here_and_arrives_in_order(far: Far, at_once: None) -> None:
    relay = far.relay()
    relay.append("s", batch("p", 1, event("training_started"), steps(0, 5)))
    far.go()
    receipts = [relay.append("s", batch("p", 7 + 5 * n, steps(5 + 5 * n, 5))) for n in range(3)]
    assert [receipt.sequence for receipt in receipts] == [11, 16, 21]
    assert {receipt.attempt for receipt in receipts} == {1}
    assert far.outbox().waiting("s") == 15
    far.come()
    assert relay.append("s", batch("p", 22, steps(20, 5))).top == 26
    assert recorded_steps(far.records()) == list(range(25))
    assert [record.sequence for record in far.records()][0:2] == [1, 2]
    assert (far.outbox().waiting("s"), far.outbox().sessions()) == (0, [])
    assert not list((far.outbox().folder / "producers").iterdir())


def test_a_beat_delivers_too_and_says_what_waits(far: Far, at_once: None) -> None:
    far.go()
    relay = far.relay()
    assert relay.append("s", batch("p", 1, event("training_started"), steps(0, 5))).attempt == 0
    relay.beat("s", beat_of(pid=1))
    (local,) = far.outbox().heartbeats("s")
    assert (local.unsaved, local.attempt) == (6, 0)
    assert "nothing answers there" in local.reason
    assert "they wait on the training's machine" in local.reason
    far.come()
    relay.beat("s", beat_of())
    assert recorded_steps(far.records()) == [0, 1, 2, 3, 4]
    assert (heard(far)["p"].unsaved, heard(far)["p"].attempt, heard(far)["p"].reason) == (0, 1, "")
    assert far.outbox().heartbeats("s") == []


def test_a_remote_out_of_reach_is_left_alone_for_a_while_and_said_once(
    far: Far, caplog: pytest.LogCaptureFixture
) -> None:
    far.go()
    relay = far.relay()
    for number in range(1, 30):
        relay.append("s", batch("p", number, steps(number, 1)))
        relay.beat("s", beat_of())
    said = [record for record in caplog.records if "is out of reach" in record.message]
    assert len(said) == 1
    assert said[0].message.startswith(f"s: {relay.url} is out of reach (")
    assert "forge-widgets sync" in said[0].message
    assert str(far.outbox().folder) in said[0].message
    assert relay._failures < 5


def test_the_group_of_a_producer_and_that_it_resumes_are_delivered_with_it(far: Far, at_once: None) -> None:
    far.mount.append("s", event("training_started"), producer="earlier", sequence=1)
    far.mount.append("s", event("training_error", at=2), producer="earlier", sequence=2)
    far.go()
    relay = far.relay()
    relay.append("s", batch(Producer(id="r", resume=True), 1, event("training_started", at=3)))
    ranks = [Producer(id=f"rank-{n}", group="job", pid=7, host="h") for n in range(2)]
    for rank in ranks:
        relay.append("s", batch(rank, 1, event("training_started", at=4), steps(0, 2)))
    far.come()
    relay.beat("s", beat_of("r"))
    attempts = {record.producer: record.attempt for record in far.records()}
    assert attempts == {"earlier": 1, "r": 1, "rank-0": 2, "rank-1": 2}


def test_another_process_delivers_what_one_that_is_gone_left(far: Far, at_once: None) -> None:
    far.go()
    gone = far.relay()
    gone.append("left", batch("p", 1, event("training_started"), steps(0, 20_000)))
    gone.beat("left", beat_of(pid=0, beat=1.0))
    far.come()
    other = far.relay()
    for _ in range(10):
        other.beat("own", beat_of("other"))
    assert recorded_steps(far.records("left")) == list(range(20_000))
    # What is missing there of it: nothing any more, and it is in the attempt that the remote gave.
    assert (heard(far, "left")["p"].unsaved, heard(far, "left")["p"].attempt) == (0, 1)


def test_what_a_living_process_records_is_left_to_it(far: Far, at_once: None) -> None:
    far.go()
    living = far.relay()
    living.append("s", batch("p", 1, steps(0, 5)))
    living.beat("s", beat_of())
    far.come()
    other = far.relay()
    other.beat("own", beat_of("other"))
    assert far.outbox().waiting("s") == 5


def test_a_log_that_was_delivered_by_somebody_else_is_not_remembered_here(far: Far, at_once: None) -> None:
    relay = far.relay()
    far.go()
    relay.append("s", batch("p", 1, steps(0, 5)))
    far.come()
    outbox, remote = far.outbox(), far.remote()
    assert deliver(outbox, remote, "s", 5.0).rows == 5
    outbox.close()
    # The relay still has the file open that is gone now.
    relay.append("s", batch("p", 6, steps(5, 5)))
    far.go()
    relay.append("s", batch("p", 11, steps(10, 5)))
    far.come()
    relay.beat("s", beat_of())
    remote.close()
    assert recorded_steps(far.records()) == list(range(15))


def test_a_damaged_outbox_is_set_aside_and_the_rest_goes_on(far: Far, at_once: None) -> None:
    relay = far.relay()
    relay.append("s", batch("p", 1, event("training_started"), steps(0, 5)))
    far.go()
    relay.append("s", batch("p", 7, steps(5, 500)))
    (file,) = far.outbox().folder.glob("sessions/s.sqlite")
    for journal in file.parent.glob("s.sqlite-*"):
        journal.unlink()
    file.write_bytes(file.read_bytes()[:100] + b"\xff" * 20_000)
    for number in range(3):
        relay.append("s", batch("p", 507 + number, steps(505 + number, 1)))
    far.come()
    with pytest.raises(SequenceGap) as raised:
        relay.append("s", batch("p", 510, steps(508, 1)))
    relay.append("s", batch("p", raised.value.expected, steps(508, 1)))  # as the publisher does
    arrived = recorded_steps(far.records())
    assert arrived[:5] == [0, 1, 2, 3, 4]
    assert arrived[-4:] == [505, 506, 507, 508]
    assert list(far.outbox().folder.glob("sessions/*damaged*"))


def test_a_remote_that_asks_to_wait_is_not_asked_meanwhile_and_gets_events_at_once(slow: Far) -> None:
    relay = slow.relay()
    relay.append("s", batch("p", 1, event("training_started"), steps(0, 30)))
    with pytest.raises(RateLimited):
        relay.append("s", batch("p", 32, steps(30, 5)))
    asked = slow.proxy.accepted
    slow.proxy.reset()
    with pytest.raises(RateLimited) as raised:
        relay.append("s", batch("p", 32, steps(30, 5)))
    assert 0 < raised.value.retry_after_s <= 3.0
    assert slow.proxy.accepted == asked
    assert relay.append("s", batch("p", 32, event("alert", at=1))).top == 32
    # At the end of a training nobody can wait.
    assert relay.keep("s", batch("p", 33, steps(30, 5))).sequence == 37
    with pytest.raises(RateLimited):
        relay.append("s", batch("p", 38, steps(35, 5)))
    assert relay.append("s", batch("p", 38, event("alert", at=2))).sequence == 38
    assert slow.outbox().waiting("s") == 6
    relay.beat("s", beat_of())
    assert heard(slow)["p"].unsaved == 6
    relay.close()
    assert slow.outbox().waiting("s") == 6


def test_what_the_remote_refuses_waits_here_and_the_producer_is_heard(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with standalone(tmp_path / "store", limits=Limits(max_metrics=1)) as mount:
        far = Far(mount, tmp_path / "outbox")
        relay = far.relay()
        relay.append("s", batch("p", 1, event("training_started")))
        relay.append("s", batch("p", 2, steps(0, 5)))
        assert "does not take what is recorded" in caplog.text
        assert far.outbox().waiting("s") == 5
        relay.beat("s", beat_of())
        assert heard(far)["p"].unsaved == 5
        assert "too many" in heard(far)["p"].reason
        far.close()
        assert "wait in" in caplog.text


def test_another_sessions_trouble_is_said_and_ours_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, at_once: None
) -> None:
    with standalone(tmp_path / "store", limits=Limits(max_metrics=1)) as mount:
        far = Far(mount, tmp_path / "outbox")
        outbox = far.outbox()
        outbox.put("other", batch("p", 1, steps(0, 5)))
        outbox.close()
        relay = far.relay()
        relay.append("s", batch("p", 1, event("training_started")))
        relay.beat("s", beat_of())
        assert "what others left" in caplog.text
        assert relay.append("s", batch("p", 2, event("alert"))).top == 2
        far.close()


def test_a_rate_is_heeded_for_what_others_left_too(slow: Far, at_once: None) -> None:
    outbox = slow.outbox()
    for name in "abc":
        outbox.put(name, batch("p", 1, steps(0, 100)))
    outbox.close()
    relay = slow.relay()
    for _ in range(4):
        relay.beat("s", beat_of())
    with pytest.raises(RateLimited):
        relay.append("s", batch("p", 1, steps(0, 1)))


def test_it_reads_what_is_there_and_in_need_what_waits_here(far: Far) -> None:
    relay = far.relay()
    relay.append("s", batch("p", 1, event("training_started"), steps(0, 5)))
    assert relay.store_id == far.mount.context.store.store_id
    assert relay.version("s") is not None
    assert relay.snapshot("s") == far.mount.context.store.snapshot("s")
    assert relay.read("s", 0) is not None
    assert [summary.session_id for summary in relay.summaries()] == ["s"]
    assert relay.heartbeats("s") == []
    assert relay.trim("s", 2) == 3
    assert relay.delete("s") is True
    far.go()
    assert relay.snapshot("s") is None
    relay.append("s", batch("p", 7, steps(5, 5)))
    snapshot = relay.snapshot("s")
    assert snapshot is not None
    assert snapshot.state.rows == 5


def test_a_full_disk_here_is_not_taken_for_a_remote_out_of_reach(far: Far, tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file stands where the folder should be")
    relay = far.relay()
    far.go()
    with pytest.raises(StoreUnavailable) as raised:
        relay.append("s", batch("p", 1, steps(0, 5)))
    assert "outbox" in str(raised.value)


def test_recording_into_a_url_is_by_a_relay_and_into_anything_else_by_the_store_itself(
    far: Far, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FORGE_WIDGETS_TOKEN", TOKEN)
    local = open_for_recording(tmp_path / "x")
    assert not isinstance(local, (Relay, Distant))
    local.close()
    with_url = open_for_recording(far.url)
    given = open_store(far.url)
    around = open_for_recording(given)
    assert isinstance(with_url, Relay)
    assert isinstance(around, Relay)
    assert open_for_recording(around) is around
    assert outbox_folder() == tmp_path / "data" / "forge_widgets" / "outbox"
    for store in (with_url, around):
        store.append("s", batch("p", 1, steps(0, 1)))
        store.close()
    assert given.snapshot("s") is not None  # was given, so it is not closed
    given.close()
