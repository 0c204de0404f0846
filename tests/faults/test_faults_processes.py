"""Servers and trainings that are killed and stopped, several at once, too fast, and viewers that never read."""

from __future__ import annotations

import random
import secrets
import signal
import socket
import time

import pytest

from forge_widgets.stores import open_store
from tests.faults.checker import events_of
from tests.faults.conftest import Effort
from tests.faults.house import TOKEN, House
from tests.faults.process import until


def test_a_server_that_is_killed_takes_nothing_with_it(house: House, chance: random.Random, effort: Effort) -> None:
    server = house.serve()
    training = house.train()
    viewers = [house.watch(), house.watch(transport="http")]
    for _ in range(effort(3, 100)):
        time.sleep(chance.uniform(0.0, 0.6))
        server.kill()
        training.goes_on()
        server = house.serve()
        at = time.monotonic()
        for viewer in viewers:
            viewer.until(lambda v=viewer, at=at: v.applied_at > at, "frame of the new server")  # type: ignore[misc]
    assert training.stop() == 0
    house.judge(training)
    # The same log all along: each has gone on from its cursor.
    assert all(viewer.unbroken for viewer in viewers)
    assert training.end["saved"]


def test_a_training_that_is_killed_keeps_what_was_flushed_and_is_lost_once(
    house: House, chance: random.Random, effort: Effort
) -> None:
    house.serve()
    viewers = [house.watch_early("s"), house.watch_early("s"), house.watch_early("s", transport="http")]
    trainings, waited = [], []
    for _ in range(effort(1, 25)):
        trainings.append(house.train(steps_per_s=500))
        for viewer in viewers:
            viewer.until(lambda v=viewer: not v.state.lost, "the next attempt")  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, 1.0))
        trainings[-1].kill()
        at = time.monotonic()
        for viewer in viewers:
            viewer.until(lambda v=viewer: v.state.lost, "connection_lost", 30)  # type: ignore[misc]
        waited.append(time.monotonic() - at)
    time.sleep(1.5)  # for a second one to come: three more looks
    log = house.judge(*trainings)
    assert events_of(log) == ["training_started", "connection_lost"] * len(trainings)
    assert all(viewer.unbroken for viewer in viewers)
    print(f"{len(trainings)} kills, noticed within {max(waited):.1f} s")


@pytest.mark.parametrize("whom", ["server", "training", "viewer"])
def test_who_was_stopped_takes_up_where_it_was(house: House, effort: Effort, whom: str) -> None:
    server = house.serve()
    training = house.train()
    viewers = [house.watch(), house.watch(transport="http")]
    watcher = house.watch_in_a_process()
    stopped = {"server": server, "training": training, "viewer": watcher}[whom]
    stopped.send(signal.SIGSTOP)
    # Longer than a viewer's pong may take, so that it is given up.
    time.sleep(effort(5.0 if whom == "viewer" else 3.0, 60.0))
    before = [viewer.connections for viewer in viewers]
    stopped.send(signal.SIGCONT)
    training.goes_on(100)
    assert training.stop() == 0
    away = watcher.arrive(house.end_of())
    log = house.judge(training, viewers=[*viewers, away])
    assert "connection_lost" not in events_of(log)
    # All go on from their cursors, and none comes back more than a few times.
    assert all(viewer.unbroken for viewer in (*viewers, away))
    assert viewers[0].connections - before[0] <= 3
    assert whom == "server" or away.connections <= 3, away


@pytest.mark.again(3)
def test_a_viewer_that_never_reads_costs_little_and_is_sent_away(house: House) -> None:
    server = house.serve()
    training = house.train(steps_per_s=2_000)
    viewer = house.watch()
    files, memory = server.open_sockets, server.memory_kb
    deaf = [upgraded_and_deaf(house.port) for _ in range(10)]
    ages = []
    until(lambda: server.open_sockets > files, "connection")
    ends = time.monotonic() + 30
    # Closed once it has not answered a ping in time (2 s each here).
    while server.open_sockets > files and time.monotonic() < ends:
        ages.append(time.time() - viewer.state.updated_at)
        time.sleep(0.05)
    assert server.open_sockets <= files, f"{server.open_sockets} open files, {files} before"
    assert sorted(ages)[len(ages) // 2] < 0.5, ages
    assert server.memory_kb - memory < 60_000
    for connection in deaf:
        connection.close()
    assert training.stop() == 0
    house.judge(training)
    assert (viewer.unbroken, viewer.failures) == (True, [])


def upgraded_and_deaf(port: int) -> socket.socket:
    """Open a WebSocket by hand, and read nothing of it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.connect(("127.0.0.1", port))
    connection.sendall(
        f"GET /ws/s?protocol=1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: token {TOKEN}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    return connection


def test_a_flood_is_thinned_and_counted_and_loses_no_event(house: House, effort: Effort) -> None:
    server = house.serve()
    viewer = house.watch_early("s")
    seconds = effort(2.0, 60.0)
    server.lag()
    training = house.run("flood", "s", seconds)
    assert training.wait(seconds + 90) == 0
    lag, end = server.lag(), training.end
    assert end["saved"]
    log = house.judge(training)
    assert lag["p99"] < effort(1.0, 0.25), lag
    assert viewer.state.rows + viewer.state.thinned == end["emitted"]
    assert viewer.state.value("currentStep") == end["emitted"]
    assert events_of(log) == ["training_started", *["model_completed"] * end["completed"], "phase_completed"]
    print(
        f"flood: {end['perSecond']:.0f} steps/s, {viewer.state.thinned} of {end['emitted']} thinned, server's loop late by {lag}"
    )


@pytest.mark.again(5)
def test_a_fork_after_the_first_step_writes_as_a_producer_of_its_own(house: House) -> None:
    house.serve()
    viewer = house.watch_early("s")
    training = house.run("fork", "s", 300)
    assert training.wait(60) == 0
    log = house.judge(training)
    assert len({ack.producer for ack in training.acknowledged}) == 3
    assert viewer.state.rows == 900
    assert {record.attempt for record in log.records} == {1}


@pytest.mark.again(5)
def test_eight_ranks_at_once_share_an_attempt_and_lose_nothing(house: House) -> None:
    house.serve()
    viewer = house.watch_early("s")
    job = {"WORLD_SIZE": "8", "TORCHELASTIC_RUN_ID": secrets.token_hex(4), "MASTER_ADDR": "a"}
    ranks = [house.run("steady", "s", 50, **job, RANK=str(rank)) for rank in range(8)]
    for rank in ranks:
        until(lambda rank=rank: rank.step >= 20, "20 steps of each rank", 60)  # type: ignore[misc]
    assert [rank.stop() for rank in ranks] == [0] * 8
    log = house.judge(*ranks)
    assert {record.attempt for record in log.records} == {1}
    assert len({record.producer for record in log.records}) == 8
    assert viewer.state.rows == sum(rank.step for rank in ranks)


@pytest.mark.again(5)
def test_a_session_started_again_while_its_first_attempt_runs_is_two_attempts_never_mixed(house: House) -> None:
    house.serve()
    viewer = house.watch_early("s")
    first = house.train(steps_per_s=100)
    first.goes_on(20)
    second = house.train(steps_per_s=100)
    second.goes_on(20)
    first.goes_on(20)
    assert (first.stop(), second.stop()) == (0, 0)
    log = house.judge(first, second)
    attempts = {record.producer: record.attempt for record in log.records}
    assert sorted(attempts.values()) == [1, 2]
    assert all(attempts[record.producer] == record.attempt for record in log.records)
    # What is shown is the second one's alone.
    assert (viewer.state.attempt, viewer.state.rows) == (2, second.step)
    store = open_store(house.folder)
    assert [summary.attempts for summary in store.summaries()] == [2]
    store.close()
