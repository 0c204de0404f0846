"""The troubles that documents tell of, made to happen: each is a place where a reader's lines show them.

Called by ``places``, which knows them by name; a document says ``at=NAME`` behind a block's language.
"""

from __future__ import annotations

import asyncio
import os
import resource
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from forge_widgets.analysis.sessions import sessions
from forge_widgets.core.events import Event
from forge_widgets.stores import open_store
from tests.docs.standing import TOKEN, Place, fill, free_port, record, serving, standing
from tests.faults.process import until
from tests.faults.proxy import Proxy

_TRAINED_AND_KILLED = """
import os, signal
import forge_widgets as forge
run = forge.run("my-training", total_steps=1000)
run.log(loss=0.5)
run.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


@contextmanager
def working(folder: Path) -> Iterator[Place]:
    """No trouble: a server with a token, and two sessions in its store."""
    fill(folder)
    with serving(folder, "--token", TOKEN) as server:
        yield standing(folder, server)


@contextmanager
def opened(folder: Path) -> Iterator[Place]:
    """No trouble: a server that asks for no token."""
    fill(folder)
    with serving(folder, "--open") as server:
        yield standing(folder, server)


@contextmanager
def down(folder: Path) -> Iterator[Place]:
    """Nobody listens where the server should be."""
    fill(folder)
    yield standing(folder, f"http://127.0.0.1:{free_port()}")


@contextmanager
def below(folder: Path) -> Iterator[Place]:
    """Everything lies below a path, and whoever asks leaves it out."""
    fill(folder)
    with serving(folder, "--token", TOKEN, "--base-url", "/training") as server:
        yield standing(folder, server.removesuffix("/training"))


@contextmanager
def refusing(folder: Path) -> Iterator[Place]:
    """A proxy stands before the server and answers each Upgrade with 502."""
    fill(folder)
    with serving(folder, "--token", TOKEN) as server:
        proxy = Proxy(int(server.rpartition(":")[2]))
        proxy.upgrade = 502
        try:
            yield standing(folder, f"http://127.0.0.1:{proxy.port}", BEHIND=server)
        finally:
            proxy.close()


@contextmanager
def untrusted(folder: Path) -> Iterator[Place]:
    """The server is reached by TLS whose certificate nobody vouches for."""
    fill(folder)
    certificate = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    paths = ["-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*certificate, *paths], check=True, capture_output=True, cwd=folder)
    with serving(folder, "--token", TOKEN) as server, _tls(folder, int(server.rpartition(":")[2])) as port:
        yield standing(folder, f"https://localhost:{port}", CERTIFICATE=os.fspath(folder / "cert.pem"))


@contextmanager
def elsewhere(folder: Path) -> Iterator[Place]:
    """The training and the server keep different stores, and both know the session."""
    (folder / "other").mkdir()
    record(folder / "other", "my-training")
    fill(folder)
    with serving(folder, "--token", TOKEN) as server:
        yield standing(folder, server, FORGE_WIDGETS_STORE=os.fspath(folder / "other" / "store"))


@contextmanager
def waiting(folder: Path) -> Iterator[Place]:
    """A training has recorded for a server that was out of reach; now the server is there."""
    port = free_port()
    place = standing(
        folder, f"http://127.0.0.1:{port}", FORGE_WIDGETS_STORE=f"http://127.0.0.1:{port}", FORGE_WIDGETS_TOKEN=TOKEN
    )
    command = [sys.executable, "train.py"]
    subprocess.run(command, check=True, capture_output=True, cwd=place.folder, env=dict(place.environment))
    with serving(folder, "--token", TOKEN, port=port):
        yield place


@contextmanager
def limited(folder: Path) -> Iterator[Place]:
    """The server lets in a request in ten seconds."""
    fill(folder)
    slow = ("--limit", "publish_requests_per_s=0.1", "--limit", "publish_burst_s=1")
    with serving(folder, "--token", TOKEN, *slow) as server:
        yield standing(folder, server)


@contextmanager
def trimmed(folder: Path) -> Iterator[Place]:
    """A finished session from which steps can be dropped."""
    record(folder, "my-training")
    record(folder, "my-training", Event(event_type="phase_completed", name="training_complete", timestamp=2e9))
    with serving(folder, "--token", TOKEN) as server:
        yield standing(folder, server)


@contextmanager
def early(folder: Path) -> Iterator[Place]:
    """A phase whose name says complete came before the training was."""
    record(folder, "my-training")
    record(folder, "my-training", Event(event_type="phase_completed", name="warmup_complete", timestamp=2e9))
    with serving(folder, "--token", TOKEN) as server:
        yield standing(folder, server)


@contextmanager
def killed(folder: Path) -> Iterator[Place]:
    """A training was killed in the midst of it."""
    place = standing(folder, "")
    command = [sys.executable, "-c", _TRAINED_AND_KILLED]
    subprocess.run(command, check=False, capture_output=True, env=dict(place.environment))
    # Who has recorded within the last second is not asked for.
    until(lambda: any(one.lost for one in sessions(store=folder / "store")), "the loss in a list")
    with serving(folder, "--token", TOKEN) as server:
        yield standing(folder, server)


@contextmanager
def damaged(folder: Path) -> Iterator[Place]:
    """A session's file holds garbage behind its head."""
    fill(folder)
    store = open_store(folder / "store")
    store.close()
    file = folder / "store" / "sessions" / "my-training.sqlite"
    file.write_bytes(file.read_bytes()[:100] + b"x" * 8_000)
    with serving(folder, "--token", TOKEN) as server:
        yield standing(folder, server)


@contextmanager
def bare(folder: Path) -> Iterator[Place]:
    """The server runs where python-socketio is not installed."""
    fill(folder)
    (folder / "without").mkdir()
    (folder / "without" / "sitecustomize.py").write_text("import sys\nsys.modules['socketio'] = None\n", "utf-8")
    with serving(folder, "--token", TOKEN, PYTHONPATH=os.fspath(folder / "without")) as server:
        yield standing(folder, server)


@contextmanager
def jupyter(folder: Path) -> Iterator[Place]:
    """No trouble: a Jupyter server with the extension, and two sessions in its store."""
    fill(folder)
    (folder / "runtime").mkdir()
    (folder / "notebooks").mkdir()
    port = free_port()
    place = standing(folder, f"http://localhost:{port}/forge", JUPYTER_RUNTIME_DIR=os.fspath(folder / "runtime"))
    settings = [f"--ServerApp.port={port}", f"--IdentityProvider.token={TOKEN}", "--ServerApp.open_browser=False"]
    if os.getuid() == 0:
        settings.append("--ServerApp.allow_root=True")
    with (folder / "jupyter.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", *settings],
            stdout=log,
            stderr=log,
            cwd=folder / "notebooks",
            env=dict(place.environment),
        )
        try:
            until(lambda: "is running at" in (folder / "jupyter.log").read_text("utf-8"), "Jupyter server", 60)
            yield place
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def full(folder: Path) -> Iterator[Place]:
    """Nothing more can be written: files may not grow."""
    fill(folder)
    most, largest = resource.getrlimit(resource.RLIMIT_FSIZE)
    with serving(folder, "--token", TOKEN) as server:
        pid = int((folder / "server.pid").read_text("utf-8"))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, largest))
        try:
            yield standing(folder, server)
        finally:
            # Whatever it has still to say goes well.
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, largest))


@contextmanager
def _tls(folder: Path, target: int) -> Iterator[int]:
    """Put TLS before a port; return the port that takes it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    loop = asyncio.new_event_loop()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up, down = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(carry(reader, down), carry(up, writer))

    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever, name="tls", daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
