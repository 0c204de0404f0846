"""What this machine knows of processes: does a heartbeat's process still live?

Called by whoever judges liveness (core.liveness takes the answer as an argument) and by producers, which name their host.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from forge_widgets.core.liveness import Heartbeat

GONE_AFTER_LEASES = 10
"""Where nothing says when a process began: one that has not beaten for so many leases counts as gone although its number is
in use, by another one."""


def this_host() -> str:
    """Name the realm in which this process's number means something: host, boot and number space (containers)."""
    return "/".join((socket.gethostname(), *_realm(os.getpid())))


@lru_cache(maxsize=1)
def _realm(pid: int) -> tuple[str, ...]:  # noqa: ARG001 - a fork may be born into another space of numbers
    """Return boot and number space, which never change while a process lives: read once, 60 µs."""
    parts = []
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with suppress(OSError, AttributeError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return tuple(parts)


def process_start(pid: int) -> int:
    """Return when a process began, in clock ticks since the machine did; 0 where that can't be known (not Linux)."""
    return _look_up(pid)[1]


def process_alive(heartbeat: Heartbeat) -> bool | None:
    """Say whether a heartbeat's process lives; None where that can't be known: another host, or Windows."""
    if heartbeat.pid <= 0 or os.name != "posix" or heartbeat.host != this_host():
        return None
    try:
        os.kill(heartbeat.pid, 0)
    except (ProcessLookupError, OverflowError):  # no process, and no number that one could have
        return False
    except PermissionError:
        pass  # another user's, and there
    condition, started = _look_up(heartbeat.pid)
    if condition in ("Z", "X"):  # it has ended, and only waits for its parent to ask how
        return False
    if started and heartbeat.started:
        return started == heartbeat.started
    # Only a guess, since wall clocks jump and machines sleep.
    return time.time() - heartbeat.beat <= GONE_AFTER_LEASES * heartbeat.lease_s


def _look_up(pid: int) -> tuple[str, int]:
    """Return a process's condition and when it began (Linux; elsewhere "" and 0)."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - 9 µs instead of 27, for each of a list
            status = file.read(4_096).decode(errors="replace")
    except OSError:
        return "", 0
    fields = status.rpartition(")")[2].split()  # proc(5): "pid (name) state ...", and the 22nd is starttime
    return (fields[0], int(fields[19])) if len(fields) > 19 else ("", 0)
