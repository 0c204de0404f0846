"""The store over HTTP under fire: the server killed, never there, too slow or refusing; batches twice, out of order, with holes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from forge_widgets.core.events import Batch, Event, Producer
from forge_widgets.core.steps import block_of
from forge_widgets.core.subscription import Slice
from forge_widgets.errors import SequenceGap
from forge_widgets.stores import open_store
from forge_widgets.stores.http_outbox import outboxes_in
from tests.faults.checker import Acknowledged, check, units_of
from tests.faults.conftest import Effort
from tests.faults.house import TOKEN, House, Training
from tests.faults.process import until
from tests.faults.proxy import Proxy


class Remote:
    """A house whose trainings are on another machine: they reach its store over HTTP alone, and have a home of their own."""

    def __init__(self, house: House, home: Path) -> None:
        self.house = house
        self.home = home
        self.environment = {"JUPYTER_DATA_DIR": str(home), "FORGE_WIDGETS_TOKEN": TOKEN}

    def url(self, through: Proxy | None) -> str:
        return self.house.url if through is None else f"http://127.0.0.1:{through.port}"

    def train(self, session_id: str = "s", steps_per_s: float = 100, through: Proxy | None = None) -> Training:
        """Start a steady training, and wait until something is acknowledged."""
        return self.house.train(session_id, steps_per_s, self.url(through), **self.environment)

    def waiting(self) -> int:
        """Count what waits on the trainings' machine."""
        count = 0
        for outbox in outboxes_in(self.home / "forge_widgets" / "outbox"):
            count += sum(outbox.waiting(session_id) for session_id in outbox.sessions())
            outbox.close()
        return count

    def sync(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``forge-widgets sync`` on the trainings' machine."""
        return subprocess.run(
            [sys.executable, "-m", "forge_widgets.cli", "sync", *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, **self.environment},
        )

    def judge(self, *trainings: Training) -> Slice:
        """Judge, and see that nothing waits any more."""
        log = self.house.judge(*trainings)
        assert self.waiting() == 0
        return log


@pytest.fixture
def remote(house: House, tmp_path: Path) -> Remote:
    return Remote(house, tmp_path / "home")


def test_a_remote_that_is_killed_and_comes_back_has_everything_once(
    remote: Remote, chance: random.Random, effort: Effort
) -> None:
    server = remote.house.serve()
    viewer = remote.house.watch_early("s")
    training = remote.train()
    for _ in range(effort(2, 50)):
        time.sleep(chance.uniform(0.05, 0.8))
        server.kill()
        training.goes_on(10)
        server = remote.house.serve()
        at = time.monotonic()
        viewer.until(lambda at=at: viewer.applied_at > at, "frame of the new server")  # type: ignore[misc]
    assert training.stop() == 0
    # One that ends while it still leaves the remote alone has its last steps here.
    assert remote.sync().returncode == 0
    remote.judge(training)
    assert training.end["saved"]
    assert viewer.state.rows == training.step


def test_what_is_trained_while_the_remote_was_never_there_is_delivered_by_sync(remote: Remote) -> None:
    training = remote.train()
    training.goes_on(50)
    assert training.stop() == 0
    assert remote.waiting() == training.step + 2
    listed = remote.sync("--dry-run")
    assert (listed.returncode, "s: " in listed.stdout) == (1, True), listed
    failed = remote.sync()
    assert failed.returncode == 1, failed
    assert "nothing answers there" in failed.stderr
    assert remote.waiting() == training.step + 2
    remote.house.serve()
    synced = remote.sync()
    assert synced.returncode == 0, synced
    assert f"{training.step + 2:,} events and steps delivered" in synced.stdout
    log = remote.judge(training)
    assert [unit.what.event_type for unit in units_of(log.records) if isinstance(unit.what, Event)] == [
        "training_started",
        "phase_completed",
    ]
    assert remote.sync().stdout == "Nothing waits.\n"


def test_a_training_that_is_killed_while_its_outbox_is_full_has_lost_nothing(
    remote: Remote, chance: random.Random, effort: Effort
) -> None:
    server = remote.house.serve()
    trainings = []
    for _ in range(effort(1, 20)):
        training = remote.train(steps_per_s=300)
        server.kill()
        training.goes_on(50)
        time.sleep(chance.uniform(0.0, 0.3))
        training.kill()
        trainings.append(training)
        server = remote.house.serve()
        # Killed in the middle of its work: what it had delivered comes again, and is passed over.
        sync = subprocess.Popen(
            [sys.executable, "-m", "forge_widgets.cli", "sync"],
            stdout=subprocess.DEVNULL,
            env={**os.environ, **remote.environment},
        )
        time.sleep(chance.uniform(0.2, 0.7))
        sync.kill()
        sync.wait(20)
    assert remote.sync().returncode == 0
    remote.judge(*trainings)


def test_the_next_training_delivers_what_a_dead_one_left(remote: Remote) -> None:
    dead = remote.train("dead")
    dead.goes_on(20)
    dead.kill()
    assert remote.waiting() > 0
    remote.house.serve()
    training = remote.train("s")
    until(lambda: not remote.waiting(), "delivery of what was left", 30)
    assert training.stop() == 0
    assert remote.sync().returncode == 0
    remote.judge(training)
    store = open_store(remote.house.folder)
    check(store, "dead", dead.acknowledged)
    store.close()


def test_a_network_that_comes_and_goes_costs_nothing(remote: Remote, chance: random.Random, effort: Effort) -> None:
    remote.house.serve()
    viewer = remote.house.watch_early("s")
    proxy = remote.house.proxy()
    training = remote.train(through=proxy)
    for _ in range(effort(3, 60)):
        time.sleep(chance.uniform(0.05, 0.4))
        fault = chance.choice(["reset", "half-close", "refuse", "lost answer"])
        if fault == "reset":
            proxy.reset()
        elif fault == "half-close":
            proxy.half_close()
        elif fault == "refuse":
            proxy.refuse()
            proxy.reset()
            training.goes_on(10)
            proxy.accept()
        else:  # the remote appends, and nobody hears of it
            proxy.down.blackhole = True
            time.sleep(0.3)
            proxy.reset()
            proxy.down.blackhole = False
    training.goes_on(10, 40)
    assert training.stop() == 0
    assert remote.sync().returncode == 0
    remote.judge(training)
    assert viewer.state.rows == training.step


def test_a_remote_that_asks_to_wait_gets_thinned_steps_and_every_event(remote: Remote, effort: Effort) -> None:
    remote.house.serve(FORGE_FAULTS_ROWS_PER_S="2000")
    viewer = remote.house.watch_early("s")
    training = remote.house.run("flood", "s", effort(3, 30), remote.house.url, **remote.environment)
    assert training.wait(180) == 0
    end = training.end
    if remote.waiting():
        assert remote.sync().returncode == 0
    log = remote.judge(training)
    assert viewer.state.rows + viewer.state.thinned == end["emitted"]
    assert viewer.state.thinned > 0
    assert viewer.state.value("currentStep") == end["emitted"]
    events = [unit.what.event_type for unit in units_of(log.records) if isinstance(unit.what, Event)]
    assert events == ["training_started", *["model_completed"] * end["completed"], "phase_completed"]
    print(f"429: {end['perSecond']:.0f} steps/s, {viewer.state.thinned} of {end['emitted']} thinned")


def test_batches_repeated_reordered_and_with_holes_are_applied_once_and_in_order(
    remote: Remote, monkeypatch: pytest.MonkeyPatch, chance: random.Random, effort: Effort
) -> None:
    remote.house.serve()
    monkeypatch.setenv("FORGE_WIDGETS_TOKEN", TOKEN)
    store = open_store(remote.house.url)
    steps = effort(300, 2_000)
    cuts = sorted({1, steps + 1, *(chance.randint(2, steps) for _ in range(steps // 10))})
    batches = {first: _steps(first, stop) for first, stop in pairwise(cuts)}
    firsts, newest, holes = list(batches), 0, 0
    while newest < steps:
        # The next one, one from before, or one too far ahead.
        due = firsts.index(newest + 1)
        first = firsts[min(max(0, due + chance.choice((0, 0, -1, -2, -3, 1, 2, 3))), len(firsts) - 1)]
        batch = batches[first]
        if first > newest + 1 and newest:
            with pytest.raises(SequenceGap) as raised:
                store.append("s", batch)
            assert (raised.value.expected, raised.value.got) == (newest + 1, first)
            holes += 1
        elif first == 1 or newest:  # a producer that the log does not know may begin anywhere: here it begins at 1
            receipt = store.append("s", batch)
            newest = max(newest, first + len(batch.bodies[0]) - 1)  # type: ignore[arg-type]
            assert receipt.sequence == newest
    assert holes
    store.close()
    there = open_store(remote.house.folder)
    log = check(there, "s", [Acknowledged("p", step, step) for step in range(1, steps + 1)])
    there.close()
    assert [unit.sequence for unit in units_of(log.records)] == list(range(1, steps + 1))


def _steps(first: int, stop: int) -> Batch:
    rows = block_of((1_800_000_000.0 + step, {"currentStep": float(step)}) for step in range(first, stop))
    return Batch(producer=Producer(id="p"), sequence=first, bodies=[rows])
