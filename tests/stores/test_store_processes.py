"""What a machine knows of a heartbeat's process."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from msgspec.structs import replace

from forge_widgets.core.liveness import Heartbeat
from forge_widgets.stores.processes import GONE_AFTER_LEASES, process_alive, process_start, this_host

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows says nothing of processes")


def beat_of(pid: int, *, host: str | None = None, age_s: float = 0.0) -> Heartbeat:
    return Heartbeat(
        producer="p", pid=pid, host=this_host() if host is None else host, beat=time.time() - age_s, lease_s=1.0
    )


def test_a_running_process_lives_though_its_lease_has_ended() -> None:
    assert process_alive(beat_of(os.getpid(), age_s=5)) is True


def test_a_process_that_has_not_beaten_for_long_is_taken_for_another_of_its_number() -> None:
    assert process_alive(beat_of(os.getpid(), age_s=GONE_AFTER_LEASES + 1)) is False


@pytest.mark.skipif(not process_start(os.getpid()), reason="only Linux says when a process began")
def test_a_process_is_known_by_when_it_began_whatever_clocks_say() -> None:
    for age_s in (-86_400, 0, 86_400):
        beat = beat_of(os.getpid(), age_s=age_s)
        assert process_alive(replace(beat, started=process_start(os.getpid()))) is True
        assert process_alive(replace(beat, started=process_start(os.getpid()) - 1)) is False


def test_nothing_is_known_of_other_hosts_and_of_producers_without_a_process() -> None:
    assert process_alive(beat_of(os.getpid(), host="elsewhere")) is None
    assert process_alive(beat_of(0)) is None


def test_a_killed_process_is_gone_before_and_after_its_parent_has_asked() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    heartbeat = beat_of(process.pid)
    assert process_alive(heartbeat) is True
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and still in the table
    assert process_alive(heartbeat) is False
    process.communicate()
    assert process_alive(heartbeat) is False


def test_the_first_process_of_the_machine_lives() -> None:
    assert process_alive(beat_of(1)) is True
