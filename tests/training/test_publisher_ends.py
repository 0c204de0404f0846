"""How a publisher ends: what comes too late, what is given up, and that nobody waits for it in vain."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import pytest

from forge_widgets.core.events import Batch
from forge_widgets.stores.base import Receipt
from forge_widgets.stores.memory import MemoryStore
from forge_widgets.training.compactor import WORTH_ROWS
from forge_widgets.training.hooks import create_progress_hooks
from forge_widgets.training.run import Run
from tests.training.conftest import FailingStore, Recorded, wait_for


def test_what_is_never_saved_is_counted_at_the_end(failing: FailingStore, caplog: pytest.LogCaptureFixture) -> None:
    failing.full = True
    run = Run("s", store=failing)
    run.log(loss=1.0)
    run.log(loss=2.0)
    run.close(timeout_s=0.2)
    assert "s: 2 events and steps were not saved (the disk is full)" in caplog.text


def test_what_comes_after_the_end_is_counted_and_said(failing: FailingStore, caplog: pytest.LogCaptureFixture) -> None:
    run = Run("s", store=failing)
    run.log(loss=1.0)
    run.close()
    for _ in range(3):
        run.log(loss=2.0)
    assert not run.flush(0.1)
    assert run.refused == 3
    assert caplog.text.count("this run is closed") == 1
    assert len(Recorded(failing).rows("s")) == 1


def test_many_threads_may_go_on_with_hooks_that_are_closed(failing: FailingStore) -> None:
    hooks = create_progress_hooks("s", store=failing)
    hooks.emit_step_update(0, 1.0)
    hooks.close()
    raised: list[Exception] = []

    def go_on() -> None:
        try:
            for step in range(5_000):
                hooks.emit_step_update(step, 1.0, 0, accuracy=0.5, learning_rate=0.1, grad_norm=1.0)
        except Exception as error:  # noqa: BLE001  # whatever it is: an emit raises nothing
            raised.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that they meet often
    try:
        threads = [threading.Thread(target=go_on) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert raised == []
    assert len(Recorded(failing).rows("s")) == 1


class EndingStore(MemoryStore):
    """A real store in which something happens while a training that has ended compacts it."""

    meanwhile: Callable[[], None]

    def compact(self, session_id: str, *, whole: bool = False) -> bool:
        if whole:
            self.meanwhile()
        return False


@pytest.mark.parametrize("late", [0, 1])
def test_who_flushes_while_another_thread_ends_the_run_is_told_at_once_whether_all_is_saved(late: int) -> None:
    store = EndingStore("ending")
    run, flushed = Run("s", store=store), list[bool]()
    flush = threading.Thread(target=lambda: flushed.append(run.flush(600)), daemon=True)

    def meanwhile() -> None:
        for _ in range(late):
            run.log(loss=0.0)
        flush.start()
        wait_for(lambda: len(run._buffer) > late, "flush")

    store.meanwhile = meanwhile
    for step in range(WORTH_ROWS):
        run.log(loss=float(step))
    run.close()
    flush.join(20)
    assert flushed == [not late]


class SlowStore(FailingStore):
    """A store that takes its time for the first rows, and then nothing any more."""

    def __init__(self) -> None:
        super().__init__("slow")
        self.asked, self.answers = threading.Event(), threading.Event()

    def append(self, session_id: str, batch: Batch) -> Receipt:
        self.asked.set()
        self.answers.wait(20)
        receipt = super().append(session_id, batch)
        self.full = True
        return receipt


def test_who_flushes_is_told_at_once_that_saving_was_given_up() -> None:
    store = SlowStore()
    run, flushed = Run("s", store=store), list[bool]()
    run.log(loss=1.0)
    assert store.asked.wait(20)
    run.log(loss=2.0)
    flush = threading.Thread(target=lambda: flushed.append(run.flush(600)), daemon=True)
    flush.start()
    wait_for(lambda: len(run._buffer) == 2, "flush")
    store.answers.set()
    wait_for(lambda: store.refused > 0, "refusal")
    run.close(timeout_s=0.1)
    flush.join(20)
    assert flushed == [False]


def test_a_store_that_has_long_failed_is_given_up_in_time_to_say_so(
    failing: FailingStore, caplog: pytest.LogCaptureFixture
) -> None:
    failing.full = True
    run = Run("s", store=failing)
    run.log(loss=1.0)
    wait_for(lambda: failing.refused >= 4, "pause of a second between two attempts")
    run.close(timeout_s=0.2)
    assert "s: 1 events and steps were not saved (the disk is full)" in caplog.text
