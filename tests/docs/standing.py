"""What a place is made of where a reader stands: a store, a server, and what the reader's shell knows of them.

Real processes and real files in a folder of their own. Called by ``troubles``, which makes places of it, and by the
programs that documents hold.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from forge_widgets.core.events import Batch, Body, Producer
from forge_widgets.core.steps import block_of
from forge_widgets.stores import open_store

TOKEN = "a-token-of-the-documents"
# The sessions that documents speak of, and how far each has come.
SESSIONS = ("my-training", "cognate-123456")
# Lies in the reader's folder, so that "python train.py" is a command.
TRAIN = """import forge_widgets as forge

with forge.run("my-training", total_steps=3) as run:
    for step in range(3):
        run.log(loss=1 / (step + 1))
"""

# A training as it stands in somebody's project, written for another package (docs/MIGRATION.md).
EXISTING = """from src.agent_forge_integration import create_progress_hooks

progress_hooks = create_progress_hooks("my-training-session-123")
progress_hooks.emit_training_started(total_steps=20, total_models=1)
for step in range(20):
    loss = 1 / (step + 1)
    if step % 10 == 0:
        print(f"Step {step}: Loss = {loss:.4f}")
    progress_hooks.emit_step_update(step=step, loss=loss, total_steps=20)
progress_hooks.emit_phase_completed("training_complete")
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the lines of a document are run."""

    # The reader's current folder.
    folder: Path
    # SERVER, TOKEN, FORGE_WIDGETS_STORE and whatever else the lines use.
    environment: Mapping[str, str]

    @property
    def netloc(self) -> str:
        """Return ``host:port`` of the server."""
        return self.environment["SERVER"].partition("//")[2]


def standing(folder: Path, server: str, token: str = TOKEN, **more: str) -> Place:
    """Return a place in a folder of which ``store`` is the store, Jupyter's data beside it."""
    here = folder / "here"
    here.mkdir(exist_ok=True)
    (here / "train.py").write_text(TRAIN, "utf-8")
    (here / "existing.py").write_text(EXISTING, "utf-8")
    # A curl line that is refused would go well else: what a document shows to be refused says so (exits=22).
    (here / ".curlrc").write_text("fail-with-body\n", "utf-8")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONIOENCODING": "utf-8",
        "CURL_HOME": os.fspath(here),
        "FORGE_WIDGETS_STORE": os.fspath(folder / "store"),
        "JUPYTER_DATA_DIR": os.fspath(folder / "data"),
        "STORE": os.fspath(folder / "store"),
        "SERVER": server,
        "TOKEN": token,
        **more,
    }
    return Place(here, environment)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@contextmanager
def serving(folder: Path, *arguments: str, port: int = 0, **environment: str) -> Iterator[str]:
    """Run ``forge-widgets serve`` on the folder's store; return its address without a slash at the end."""
    command = [sys.executable, "-m", "forge_widgets.cli", "serve", "--port", str(port), *arguments]
    known = {**os.environ, "FORGE_WIDGETS_STORE": os.fspath(folder / "store"), **environment}
    with (folder / "server.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=known)
        assert process.stdout is not None
        (folder / "server.pid").write_text(str(process.pid), "utf-8")
        try:
            line = process.stdout.readline()
            assert line.startswith("Serving at "), f"{line}{(folder / 'server.log').read_text('utf-8')}"
            yield line.split()[-1].partition("?")[0].rstrip("/")
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=60)
            finally:
                process.kill()  # does nothing to one that has ended


def record(folder: Path, session_id: str, *bodies: Body, producer: str = "reader", pid: int = 0) -> None:
    """Record into the folder's store; without bodies a start and a few steps of a training that goes on."""
    store = open_store(folder / "store")
    now = time.time()
    rows = [
        (now + step / 100, {"currentStep": float(step), "totalSteps": 1_000.0, "loss": 2 / step})
        for step in range(1, 6)
    ]
    batch = Batch(
        producer=Producer(id=producer, pid=pid or os.getpid()), sequence=0, bodies=list(bodies) or [block_of(rows)]
    )
    store.append(session_id, batch)
    store.close()


def fill(folder: Path) -> None:
    """Let the sessions that documents speak of be there, whatever a document did to them before."""
    store = open_store(folder / "store")
    missing = [session_id for session_id in SESSIONS if store.snapshot(session_id) is None]
    store.close()
    for session_id in missing:
        record(folder, session_id)
