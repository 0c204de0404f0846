"""What this machine knows of processes: does a heartbeat's process still live?

Called by whoever judges liveness (core.liveness takes the answer as an argument) and by producers, which name their host.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from forge_widgets.core.liveness import Heartbeat

GONE_AFTER_LEASES = 10
"""A process that has not beaten for so many leases counts as gone although its number is in use: by another one."""


def this_host() -> str:
    """Name the realm in which this process's number means something: host, boot and number space (containers)."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with suppress(OSError, AttributeError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return "/".join(parts)


def process_alive(heartbeat: Heartbeat) -> bool | None:
    """Say whether a heartbeat's process lives; None where that can't be known: another host, or Windows."""
    if heartbeat.pid <= 0 or os.name != "posix" or heartbeat.host != this_host():
        return None
    if time.time() - heartbeat.beat > GONE_AFTER_LEASES * heartbeat.lease_s:
        return False
    try:
        os.kill(heartbeat.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(heartbeat.pid)


def _is_zombie(pid: int) -> bool:
    """Say whether a process has ended and only waits for its parent to ask how (Linux; elsewhere False)."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[:1] in (["Z"], ["X"])  # proc(5): "pid (name) state ..."
