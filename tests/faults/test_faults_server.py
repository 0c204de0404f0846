"""What a server goes through with many viewers and with others in its process: a crowd, a blocked loop, a right that ends."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from forge_widgets.server.failures import REFUSED
from tests.faults.checker import events_of
from tests.faults.conftest import Effort
from tests.faults.house import TOKEN, House
from tests.faults.process import Process, until
from tests.faults.viewer import Viewer


@pytest.mark.parametrize("transport", ["websocket", "http"])
def test_a_crowd_that_comes_back_at_once_is_served_and_reads_the_store_once(
    house: House, effort: Effort, transport: str
) -> None:
    house.serve().kill()
    training = house.train(steps_per_s=200)
    training.goes_on(400)
    cursor = house.end_of()
    server = house.serve()
    count = effort(200, 2_000)
    crowd = Process("crowd.py", house.port, "s", TOKEN, count, transport, cursor.epoch, cursor.offset - 100)
    try:
        until(lambda: crowd.lines, "crowd", 30)
        before = server.reads()
        sockets = server.open_sockets
        cpu_s = server.cpu_s
        server.lag()
        crowd.tell("come back")
        assert crowd.wait(90) == 0
        lag, reads, cpu_s = server.lag(), server.reads(), server.cpu_s - cpu_s
    finally:
        crowd.kill()
    served = json.loads(crowd.lines[-1].split(" ", 1)[1])
    rows = house.end_of().offset
    print(f"{served}, {cpu_s:.1f} s of a core, server's loop late by {lag}, reads {before} and {reads} of {rows} rows")
    assert served["count"] == count
    # By the clock it takes as long as others leave of the machine.
    assert min(served["last"], cpu_s) < 10.0
    # The log is read for the first of them, and then on as it grows.
    assert reads["rows"] - before["rows"] <= rows
    assert reads["snapshot"] - before["snapshot"] <= 1
    server.until_at_most(sockets)
    assert training.stop() == 0
    house.judge(training)


def test_a_loop_that_another_extension_blocks_recovers_by_itself(house: House, effort: Effort) -> None:
    server = house.serve()
    training = house.train()
    viewers = [house.watch() for _ in range(10)] + [house.watch(transport="http"), house.watch(transport="auto")]
    sockets, before = server.open_sockets, [viewer.connections for viewer in viewers]
    blocked_s, took = effort(3.0, 10.0), []
    for _ in range(effort(1, 3)):
        at = time.monotonic()
        server.block(blocked_s)
        # Who trains notices nothing of it.
        training.goes_on(20)
        assert time.monotonic() - at < blocked_s
        for viewer in viewers:
            over = at + blocked_s
            viewer.until(lambda v=viewer, over=over: v.applied_at > over, "frame after it", blocked_s + 10)  # type: ignore[misc]
        took.append(time.monotonic() - at - blocked_s)
    print(f"all served within {max(took):.2f} s of the end of a block of {blocked_s} s")
    server.until_at_most(sockets)
    assert training.stop() == 0
    log = house.judge(training)
    assert "connection_lost" not in events_of(log)
    assert all(viewer.unbroken for viewer in viewers)
    # Given up after three and a half heartbeats, and tried again at most every five seconds.
    tried = [viewer.connections - was for viewer, was in zip(viewers[:10], before, strict=False)]
    assert max(tried) <= 4 * effort(1, 3), tried


def test_who_may_no_longer_see_gets_nothing_more(house: House, tmp_path: Path, effort: Effort) -> None:
    recheck_s = effort(0.5, 30.0)
    revoked = tmp_path / "revoked"
    revoked.write_text("")
    training = house.train()
    server = Process("jupyter_served.py", house.folder, house.port, recheck_s, revoked, "stays", "goes")
    url = f"http://127.0.0.1:{house.port}/forge"
    stay, go = (
        [Viewer(url, "s", token, transport=way) for way in ("websocket", "http")] for token in ("stays", "goes")
    )
    try:
        until(lambda: server.lines, "Jupyter server", 60)
        for viewer in (*stay, *go):
            viewer.start().until(lambda v=viewer: v.chapters, "first frame")  # type: ignore[misc]
        revoked.write_text("goes")
        at = time.monotonic()
        for viewer in go:
            viewer.until(lambda v=viewer: v.sent_away or v.failures, "refusal", 2 * recheck_s + 5)  # type: ignore[misc]
        print(f"refused after {time.monotonic() - at:.1f} s, asked again every {recheck_s} s")
        assert go[0].sent_away == REFUSED
        assert "403" in go[1].failures[0]
        for viewer in stay:
            viewer.until(lambda v=viewer: v.applied_at > at + recheck_s + 1, "more", 2 * recheck_s + 5)  # type: ignore[misc]
        assert max(viewer.applied_at for viewer in go) <= at + 2 * recheck_s
        assert training.stop() == 0
        house.judge(training, viewers=stay)
    finally:
        for viewer in (*stay, *go):
            viewer.close()
        server.kill()
