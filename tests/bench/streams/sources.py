"""Those whose broadcasts are compared: bare sockets, the peers, and the real server; each sends one message to all who watch.

A source is asked for one message at a time, so that its cost and its way are measured in the same manner for all.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import forge_widgets as forge
from tests.bench.peers import ENVIRONMENTS
from tests.bench.streams.processes import Crowd, Process, crowd, running, serving
from tests.bench.streams.reading import FIRST

OURS: dict[str, dict[str, str]] = {"ours": {}, "ours in brief": {"brief": "rows"}}
"""How our viewers ask: for frames as text, which are of some 300 bytes for a step, or in brief, as our pages do."""

PEERS = {
    "bare": "",
    "protocols": "",
    "picows": "picows",
    "websockets": "websockets",
    "uvicorn": "uvicorn",
    "tornado": "tornado",
    "tornado_prebuilt": "tornado",
    "socketio": "socketio",
}
"""Each with the environment (peers.py) that it runs in; what is of the standard library needs none."""

FRAME_BYTES = 300

_SESSION = "crowd"


@dataclass(frozen=True)
class Source:
    """Where messages come from."""

    server: Process
    port: int
    # What a viewer connects to, and what the crowd has to know of it.
    path: str
    wishes: tuple[str, ...]
    say: Callable[[int], None]
    # When it was told to send which message, by its offset or number.
    sent: dict[int, float] = field(default_factory=dict)

    def send(self) -> None:
        """Let one message go to all."""
        number = FIRST + len(self.sent)
        self.sent[number] = time.time()
        self.say(number)

    def watched(self, count: int) -> AbstractContextManager[Crowd]:
        """Connect so many viewers."""
        return crowd(self.port, [self.path], count, *self.wishes)


@contextmanager
def source(name: str, *, compress: bool = False) -> Iterator[Source]:
    """Start a source; ``compress`` compresses what viewers are sent."""
    with _ours(name, compress) if name in OURS else _peer(name, compress) as started:
        yield started


@contextmanager
def _peer(name: str, compress: bool) -> Iterator[Source]:
    wishes = ("compress",) if compress else ()
    # Installed by the measure (watching.py): no contestant reaches a registry.
    python = str(ENVIRONMENTS / PEERS[name] / "bin" / "python") if PEERS[name] else sys.executable
    if not Path(python).exists():
        raise SystemExit(f"{PEERS[name]} is not installed")
    with running([python, "-m", "tests.bench.streams.broadcaster", name, *wishes]) as server:
        port = int(server.hear())

        def say(_: int) -> None:
            server.say(str(FRAME_BYTES))

        if name == "socketio":
            yield Source(server, port, "/socket.io/?EIO=4&transport=websocket", (*wishes, "socketio"), say)
        else:
            yield Source(server, port, "/", wishes, say)


@contextmanager
def _ours(name: str, compress: bool) -> Iterator[Source]:
    query = {"protocol": "1", **OURS[name], **({"encoding": "deflate"} if compress else {})}
    with (
        tempfile.TemporaryDirectory(prefix="forge-bench-") as folder,
        serving(Path(folder) / "store") as (server, port),
    ):
        hooks = forge.create_progress_hooks(_SESSION, store=str(Path(folder) / "store"))
        hooks.emit_training_started(total_steps=1_000_000, total_models=1)
        hooks.flush()

        def say(step: int) -> None:
            hooks.emit_step_update(step, 2.0 / step)

        try:
            yield Source(server, port, f"/ws/{_SESSION}?{urlencode(query)}", (), say)
        finally:
            hooks.close()
