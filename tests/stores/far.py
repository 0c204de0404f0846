"""A server behind a network that a test takes away and gives back, and a machine that records into it."""

from __future__ import annotations

import time
from pathlib import Path

from msgspec.structs import replace

from forge_widgets.core.events import Record
from forge_widgets.core.liveness import Heartbeat
from forge_widgets.core.subscription import Slice
from forge_widgets.stores.http import HttpStore
from forge_widgets.stores.http_address import Address
from forge_widgets.stores.http_outbox import Outbox, outbox_of
from forge_widgets.stores.http_relay import Relay
from tests.faults.proxy import Proxy
from tests.server.mounts import TOKEN, Mount

AT_ONCE = ("FIRST_RETRY_S", "LAST_RETRY_S", "LEFTOVERS_EVERY_S")


class Far:
    """A server behind a network that a test takes away and gives back, and a machine that records into it."""

    def __init__(self, mount: Mount, root: Path) -> None:
        self.mount = mount
        self.proxy = Proxy(int(mount.url.rpartition(":")[2]))
        self.url = f"http://127.0.0.1:{self.proxy.port}"
        self._root = root
        self._made: list[Relay] = []

    def outbox(self) -> Outbox:
        return outbox_of(self._root, self.url)

    def remote(self) -> HttpStore:
        return HttpStore(Address(self.url, TOKEN))

    def relay(self) -> Relay:
        """Make what a training would write through."""
        made = Relay(self.remote(), self.outbox(), owns_remote=True)
        self._made.append(made)
        return made

    def go(self) -> None:
        """Take the network away."""
        self.proxy.refuse()
        self.proxy.reset()

    def come(self) -> None:
        """Give it back."""
        self.proxy.accept()

    def read(self, session_id: str = "s") -> Slice:
        """Read what has arrived."""
        read = self.mount.context.store.read(session_id, 0)
        assert read is not None
        return read

    def records(self, session_id: str = "s") -> list[Record]:
        return list(self.read(session_id).records)

    def close(self) -> None:
        for relay in self._made:
            relay.close()
        self.proxy.close()


def beat_of(producer: str = "p", **fields: object) -> Heartbeat:
    return replace(Heartbeat(producer=producer, beat=time.time()), **fields)


def heard(far: Far, session_id: str = "s") -> dict[str, Heartbeat]:
    return {heartbeat.producer: heartbeat for heartbeat in far.mount.context.store.heartbeats(session_id)}
