"""The registry of what this process has not yet made durable."""

from __future__ import annotations

import os
import time

import pytest

from forge_widgets.stores import pending


def test_every_publisher_of_the_session_is_flushed_and_no_other() -> None:
    called: list[str] = []

    def publisher(name: str, *, durable: bool) -> pending.Flush:
        def flush(timeout_s: float) -> bool:
            called.append(name)
            return durable

        return flush

    unregister = [
        pending.register("pending-a", publisher("first", durable=True)),
        pending.register("pending-a", publisher("second", durable=True)),
        pending.register("pending-b", publisher("other", durable=False)),
    ]
    assert pending.flush("pending-a")
    assert called == ["first", "second"]
    assert not pending.flush("pending-b")
    for take_back in [*unregister, *unregister]:
        take_back()
    called.clear()
    assert pending.flush("pending-a")
    assert called == []


def test_publishers_share_one_deadline() -> None:
    given: list[float] = []

    def slow(timeout_s: float) -> bool:
        given.append(timeout_s)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            pass
        return False

    unregister = [pending.register("pending-slow", slow) for _ in range(2)]
    assert not pending.flush("pending-slow", timeout_s=0.05)
    assert given[0] == pytest.approx(0.05, abs=0.02)
    assert given[1] == pytest.approx(0.0, abs=0.02)
    for take_back in unregister:
        take_back()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_starts_with_nothing_to_flush() -> None:
    unregister = pending.register("pending-fork", lambda timeout_s: False)
    child = os.fork()
    if child == 0:
        os._exit(0 if pending.flush("pending-fork") else 1)
    _, status = os.waitpid(child, 0)
    unregister()
    assert os.waitstatus_to_exitcode(status) == 0
