"""The publisher: what it survives, and that what it could not save yet comes later, in order, once."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from forge_widgets.core.steps import StepBlock
from forge_widgets.stores.base import Store
from forge_widgets.training.buffer import Buffer, Dropped, RawEvent
from forge_widgets.training.clock import ProducerClock
from forge_widgets.training.hooks import create_progress_hooks
from forge_widgets.training.identity import job_group, new_producer
from forge_widgets.training.publisher import BATCH_ITEMS, FLUSH_INTERVAL_S
from forge_widgets.training.run import Run
from tests.training.conftest import FailingStore, Recorded, wait_for


@pytest.mark.parametrize("fault", [FailingStore.fault, ValueError("a fault nobody thought of")])
def test_what_a_full_store_could_not_take_is_kept_said_and_saved_later_in_order(
    failing: FailingStore, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    failing.fault = fault
    run = Run("s", store=failing)
    run.log(loss=0.0)
    assert run.flush()
    failing.full = True
    for step in range(2, 50):
        run.log(loss=float(step))
    wait_for(lambda: any(beat.unsaved and beat.reason for beat in failing.heartbeats("s")), "heartbeat that says so")
    assert not run.flush(0.01)
    failing.full = False
    assert run.flush()
    assert [row["currentStep"] for row in Recorded(failing).rows("s")] == [float(step) for step in range(1, 50)]
    wait_for(lambda: all(not beat.unsaved for beat in failing.heartbeats("s")), "heartbeat that takes it back")
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "training goes on, they are kept and saved later" in said[0]
    assert said[1:] == ["s: steps are saved again"]
    run.close()


def test_a_producer_that_joins_an_attempt_counts_by_its_totals(failing: FailingStore) -> None:
    with_totals = create_progress_hooks("s", store=failing)
    with_totals.emit_training_started(total_steps=50)
    assert with_totals.flush()
    for resume in (False, True):
        joining = create_progress_hooks("s", store=failing, resume=resume)
        joining.emit_step_update(step=25, loss=1.0)
        joining.close()
    with_totals.close()
    assert [row["grokProgress"] for row in Recorded(failing).rows("s", attempt=1)] == [50.0, 50.0]
    next_attempt = Run("s", store=failing)
    next_attempt.start()
    next_attempt.log(step=25)
    next_attempt.close()
    assert [row["grokProgress"] for row in Recorded(failing).rows("s", attempt=2)] == [2.0]


def test_a_start_waits_for_no_store_and_what_was_before_it_is_saved_before_it(failing: FailingStore) -> None:
    failing.full = True
    hooks = create_progress_hooks("s", store=failing)
    began = time.monotonic()
    for loss in (1.0, 2.0, 3.0):
        hooks.emit_training_started(total_steps=1)
        hooks.emit_step_update(step=1, loss=loss)
    assert time.monotonic() - began < 2.0
    failing.full = False
    assert hooks.flush(10.0)
    recorded = Recorded(failing)
    assert [[row["loss"] for row in recorded.rows("s", attempt)] for attempt in (1, 2, 3)] == [[1.0], [2.0], [3.0]]
    assert [beat.closed for beat in sorted(failing.heartbeats("s"), key=lambda beat: beat.attempt)] == [
        True,
        True,
        False,
    ]
    hooks.close()


def test_a_store_that_cannot_be_opened_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    in_the_way = tmp_path / "store"
    in_the_way.write_text("a file where the folder should be")
    run = Run("s", store=in_the_way)
    run.log(loss=1.0)
    assert not run.flush(0.3)
    assert "training goes on" in caplog.text
    in_the_way.unlink()
    assert run.flush(10.0)
    run.close()
    from forge_widgets.stores import open_store

    store = open_store(in_the_way)
    assert len(Recorded(store).rows("s")) == 1
    store.close()


def test_a_log_that_was_put_back_by_hand_is_gone_on_with(folder: Path, recorded: Recorded) -> None:
    run = Run("s", store=folder)
    run.log(loss=1.0)
    assert run.flush()
    recorded.store.delete("s")
    run.log(loss=2.0)
    assert run.flush(10.0)
    assert recorded.rows("s")[-1]["loss"] == 2.0
    run.close()


def test_a_full_ring_drops_rows_and_counts_them_but_keeps_events_and_the_newest_row() -> None:
    ring = Buffer(capacity=10)
    rows = [bytes([step]) for step in range(30)]
    for row in rows:
        ring.add_row(row)
    assert len(ring) == 11
    ring.add(RawEvent(99.0, "model_completed", {}))
    for row in rows[:3]:
        ring.add_row(row)
    drained = ring.drain(100)
    assert drained[:10] == rows[:10]
    assert drained[10] == Dropped(19)
    assert drained[11] == rows[-1]
    assert isinstance(drained[12], RawEvent)
    assert drained[13:] == [Dropped(2), rows[2]]
    assert not len(ring)


def test_a_ring_that_was_narrowed_is_widened_again_up_to_what_it_was_made_for() -> None:
    ring = Buffer(capacity=10)
    row = b"a packed row"
    held = []
    for narrowed_to in (3, 50, None, None, None):
        if narrowed_to is None:
            ring.widen()
        else:
            ring.narrow(narrowed_to)
        for _ in range(30):
            ring.add_row(row)
        held.append(sum(item is row for item in ring.drain(100)))
    assert held == [4, 4, 7, 11, 11]


def test_thinned_rows_are_counted_in_the_log(failing: FailingStore) -> None:
    failing.full = True
    run = Run("s", store=failing)
    run._buffer.narrow(100)
    for step in range(1_000):
        run.log(step=step, loss=1.0)
    failing.full = False
    assert run.flush(10.0)
    snapshot = failing.snapshot("s")
    assert snapshot is not None
    assert snapshot.state.rows + snapshot.state.thinned == 1_000
    assert snapshot.state.thinned > 0
    assert snapshot.state.value("currentStep") == 999
    run.close()


def test_a_heartbeat_holds_while_a_training_is_quiet_and_says_goodbye(folder: Path, recorded: Recorded) -> None:
    run = Run("s", store=folder)
    run.log(loss=1.0)
    assert run.flush()
    wait_for(lambda: len(recorded.store.heartbeats("s")) == 1, "heartbeat")
    first = recorded.store.heartbeats("s")[0]
    assert (first.pid, first.attempt, first.durable, first.closed) == (os.getpid(), 1, 1, False)
    wait_for(lambda: recorded.store.heartbeats("s")[0].beat > first.beat, "second heartbeat")
    run.close()
    assert recorded.store.heartbeats("s")[0].closed


def test_a_run_that_is_forgotten_saves_what_it_has_and_ends_its_thread(folder: Path, recorded: Recorded) -> None:
    def publishes() -> bool:
        return any(thread.name == "forge-publisher-forgotten" for thread in threading.enumerate())

    run = Run("forgotten", store=folder)
    run.log(loss=1.0)
    assert publishes()
    del run
    wait_for(lambda: not publishes(), "end of the thread")
    assert len(recorded.rows("forgotten")) == 1


def test_a_run_that_is_forgotten_while_the_store_is_full_is_saved_later(failing: FailingStore) -> None:
    run = Run("s", store=failing)
    run.log(loss=1.0)
    assert run.flush()
    failing.full = True
    run.log(loss=2.0)
    began = time.monotonic()
    del run
    assert time.monotonic() - began < 4.0
    assert len(Recorded(failing).rows("s")) == 1
    failing.full = False
    wait_for(lambda: len(Recorded(failing).rows("s")) == 2, "row that was kept")
    wait_for(lambda: failing.heartbeats("s")[0].closed, "goodbye")


def script(source: str, folder: Path) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(source), os.fspath(folder)]


def test_a_script_that_just_ends_has_everything_recorded(folder: Path, recorded: Recorded) -> None:
    source = """
        import sys
        import forge_widgets as forge
        hooks = forge.create_progress_hooks("s", store=sys.argv[1])
        for step in range(5_000):
            hooks.emit_step_update(step=step, loss=1.0)
    """
    subprocess.run(script(source, folder), check=True, timeout=60)
    assert [row["currentStep"] for row in recorded.rows("s")] == list(range(5_000))


def test_what_was_flushed_survives_a_kill_of_the_training(folder: Path, recorded: Recorded) -> None:
    source = """
        import sys
        import forge_widgets as forge
        run = forge.run("s", store=sys.argv[1])
        step = 0
        while True:
            step += 1
            run.log(loss=1.0 / step)
            if step % 100 == 0 and run.flush():
                print(step, flush=True)
    """
    with subprocess.Popen(script(source, folder), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(8)][-1]
        process.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *(int(line) for line in process.stdout if line.endswith("\n"))])
    steps = [int(row["currentStep"]) for row in recorded.rows("s")]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= acknowledged


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
def test_a_fork_goes_on_as_a_producer_of_its_own_in_the_same_attempt(folder: Path, recorded: Recorded) -> None:
    source = """
        import os, sys
        import forge_widgets as forge
        hooks = forge.create_progress_hooks("s", store=sys.argv[1])
        hooks.emit_training_started(total_steps=100)
        hooks.emit_step_update(step=0, loss=1.0, model_idx=0)
        assert hooks.flush()
        children = []
        for model in (1, 2):
            child = os.fork()
            if not child:
                for step in range(100):
                    hooks.emit_step_update(step=step, loss=1.0, model_idx=model)
                hooks.close()
                os._exit(0)
            children.append(child)
        for step in range(1, 100):
            hooks.emit_step_update(step=step, loss=1.0, model_idx=0)
        assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    """
    subprocess.run(script(source, folder), check=True, timeout=60)
    rows = recorded.rows("s", attempt=1)
    for model in (1, 2, 3):
        assert sorted(row["currentStep"] for row in rows if row["currentModel"] == model) == list(range(100))
    assert len({record.producer for record in recorded.records("s")}) == 3


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system can't fork")
def test_a_forked_worker_that_just_ends_has_everything_recorded(folder: Path, recorded: Recorded) -> None:
    source = """
        import multiprocessing, sys
        import forge_widgets as forge
        def train(folder):
            hooks = forge.create_progress_hooks("s", store=folder)
            for step in range(300):
                hooks.emit_step_update(step=step, loss=1.0)
        worker = multiprocessing.get_context("fork").Process(target=train, args=(sys.argv[1],))
        worker.start()
        worker.join(30)
        assert worker.exitcode == 0
    """
    subprocess.run(script(source, folder), check=True, timeout=60)
    assert len(recorded.rows("s")) == 300


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system can't fork")
def test_a_forked_worker_that_goes_on_with_its_parents_hooks_has_everything_recorded(
    folder: Path, recorded: Recorded
) -> None:
    source = """
        import multiprocessing, sys
        import forge_widgets as forge
        hooks = forge.create_progress_hooks("s", store=sys.argv[1])
        hooks.emit_training_started(total_steps=50)
        assert hooks.flush()
        def train(model):
            for step in range(50):
                hooks.emit_step_update(step=step, loss=1.0, model_idx=model)
        context = multiprocessing.get_context("fork")
        workers = [context.Process(target=train, args=(model,)) for model in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(30)
        assert all(worker.exitcode == 0 for worker in workers)
    """
    subprocess.run(script(source, folder), check=True, timeout=60)
    assert len(recorded.rows("s", attempt=1)) == 150


def test_hooks_that_are_sent_to_a_spawned_worker_go_on_there_in_the_same_attempt(
    folder: Path, recorded: Recorded, tmp_path: Path
) -> None:
    worker = tmp_path / "spawned.py"
    worker.write_text(
        textwrap.dedent("""
            import multiprocessing, sys
            import forge_widgets as forge

            def train(hooks):
                for step in range(100):
                    hooks.emit_step_update(step=step, loss=1.0, model_idx=1)

            if __name__ == "__main__":
                hooks = forge.create_progress_hooks("s", store=sys.argv[1])
                hooks.emit_training_started(total_steps=100)
                worker = multiprocessing.get_context("spawn").Process(target=train, args=(hooks,))
                worker.start()
                worker.join(60)
                assert worker.exitcode == 0
        """)
    )
    subprocess.run([sys.executable, os.fspath(worker), os.fspath(folder)], check=True, timeout=90)
    assert [row["currentStep"] for row in recorded.rows("s", attempt=1)] == list(range(100))
    assert len({record.producer for record in recorded.records("s")}) == 2


def test_ranks_of_one_job_share_an_attempt() -> None:
    torchrun = {"WORLD_SIZE": "8", "TORCHELASTIC_RUN_ID": "r1", "MASTER_ADDR": "a"}
    assert job_group(torchrun) == job_group({**torchrun, "RANK": "3"}) != ""
    assert job_group({**torchrun, "TORCHELASTIC_RESTART_COUNT": "1"}) != job_group(torchrun)
    assert job_group({"WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "9"}) == "job:a:9:0"
    assert job_group({"WORLD_SIZE": "2"}) == ""
    assert job_group({"SLURM_JOB_ID": "5"}) == ""
    parent = new_producer()
    child = new_producer(parent=parent)
    assert (child.group, child.id != parent.id) == (parent.group, True)


def test_the_clock_neither_falls_nor_jumps_with_the_walls() -> None:
    wall, elapsed, asleep = [1_000.0], [50.0], [0.0]
    clock = ProducerClock(lambda: wall[0], lambda: elapsed[0], lambda: asleep[0])
    assert clock.stamp(50.0) == 1_000.0
    wall[0] = 5.0
    assert clock.stamp(51.0) == 1_001.0
    assert 1_001.0 < clock.stamp(51.0) < 1_001.001
    asleep[0] = 3_600.0
    clock.refresh()
    assert clock.stamp(52.0) == pytest.approx(4_602.0)
    clock.seed(9_000.0)
    assert clock.stamp(52.0) >= 9_000.0
    clock.seed(10.0)
    assert clock.stamp(53.0) == pytest.approx(9_003.0)
    # What waited while the clock was found to be behind comes after what was there: it was emitted by who joins.
    clock.seed(20_000.0)
    assert 20_000.0 < clock.stamp(53.1) < clock.stamp(53.2) < 20_003.3


def test_moments_are_stamped_together_as_they_are_one_by_one() -> None:
    moments = [1.0, 1.0, 1.0 + 1e-9, 2.0, 1.5, 3.0]
    clocks = [ProducerClock(lambda: 1_000.0, lambda: 1.0, lambda: 0.0) for _ in range(2)]
    for _ in range(2):
        together, one_by_one = list(clocks[0].stamps(moments)), [clocks[1].stamp(moment) for moment in moments]
        assert together == one_by_one
        assert all(earlier < later for earlier, later in pairwise(together))
    assert list(clocks[0].stamps([])) == []


def test_blocks_hold_the_rows_between_two_flushes(folder: Path, recorded: Recorded) -> None:
    run = Run("s", store=folder)
    began = time.monotonic()
    for _ in range(20_000):
        run.log(loss=1.0)
    assert run.flush(30.0)
    intervals = (time.monotonic() - began) / FLUSH_INTERVAL_S
    bodies = [record.body for record in recorded.records("s")]
    assert sum(len(body) for body in bodies if isinstance(body, StepBlock)) == 20_000
    # One at once, one for each interval or each full batch, one for the flush that does not wait for its end.
    assert len(bodies) <= intervals + 20_000 / BATCH_ITEMS + 3
    run.close()


def test_stores_stay_open_for_whoever_gave_them(failing: FailingStore) -> None:
    store: Store = failing
    hooks = create_progress_hooks("s", store=store)
    hooks.emit_step_update(step=1, loss=1.0)
    hooks.close()
    assert store.snapshot("s") is not None
