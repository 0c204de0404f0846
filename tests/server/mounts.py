"""A real server in a thread of the test's process, in each of the two mounts: what the tests of the server talk to."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import requests
from jupyter_server.auth.authorizer import AllowAllAuthorizer, Authorizer
from jupyter_server.serverapp import ServerApp
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from traitlets.config import Config
from websockets.sync.client import ClientConnection, connect

from forge_widgets.core.events import Batch, Body, Event, Producer
from forge_widgets.core.steps import Row, block_of
from forge_widgets.server.access import Access
from forge_widgets.server.app import close_context, open_context
from forge_widgets.server.application import Site, StandaloneApplication, create_server
from forge_widgets.server.context import ServerContext
from forge_widgets.server.extension import ForgeWidgetsExtension
from forge_widgets.server.limits import Limits
from forge_widgets.server.proxies import Proxies
from forge_widgets.server.standalone import go
from forge_widgets.stores import Receipt, Store

TOKEN = "a-token-of-the-tests"
ODD_BASE = "/a%40b/"
Json = dict[str, Any]
Result = TypeVar("Result")


class Mount:
    """A server that answers at ``url``."""

    def __init__(self, url: str, context: ServerContext, loop: asyncio.AbstractEventLoop) -> None:
        # Without a slash at the end.
        self.url = url
        self.context = context
        self.loop = loop
        self.authorization = {"Authorization": f"token {TOKEN}"}

    def ask(self, verb: str, path: str, *, headers: dict[str, str] | None = None, **options: Any) -> requests.Response:
        """Send a request with the token."""
        return requests.request(
            verb, self.url + path, headers={**self.authorization, **(headers or {})}, timeout=15, **options
        )

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.ask("GET", path, **options)

    def post(self, path: str, body: object, **options: Any) -> requests.Response:
        return self.ask("POST", path, json=body, **options)

    def post_text(self, path: str, text: str | bytes) -> requests.Response:
        return self.ask("POST", path, data=text, headers={"Content-Type": "application/json"})

    def update(self, session_id: str, **body: Any) -> None:
        """Record an update over HTTP."""
        answer = self.post(f"/api/progress/{session_id}/update", body)
        assert answer.status_code == 200, answer.text

    @contextmanager
    def socket(self, path: str, **options: Any) -> Iterator[Socket]:
        """Open a WebSocket with the token."""
        with connect(
            self.url.replace("http", "ws", 1) + path, additional_headers=self.authorization, max_size=None, **options
        ) as connection:
            yield Socket(connection)

    def on_loop(self, make: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Run a coroutine on the server's loop and return its result."""
        return asyncio.run_coroutine_threadsafe(make(), self.loop).result(15)

    def append(self, session_id: str, *bodies: Body, producer: str = "p1", sequence: int = 0) -> Receipt:
        """Append to the store as a training would, without the server."""
        batch = Batch(producer=Producer(id=producer), sequence=sequence, bodies=list(bodies))
        return self.context.store.append(session_id, batch)


class Socket:
    """A client's end of a WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def say(self, **message: Any) -> None:
        self.connection.send(json.dumps(message))

    def hear(self, timeout: float = 5.0) -> Json:
        """Return the next message."""
        message: Json = json.loads(self.connection.recv(timeout=timeout))
        return message

    def hear_until(self, condition: Callable[[Json], bool], timeout: float = 8.0) -> list[Json]:
        """Return all messages up to the first that meets the condition, that one included."""
        deadline, heard = time.monotonic() + timeout, []
        while True:
            heard.append(self.hear(max(0.01, deadline - time.monotonic())))
            if condition(heard[-1]):
                return heard

    def hear_type(self, kind: str, timeout: float = 8.0) -> Json:
        """Return the next message of a type."""
        return self.hear_until(lambda message: message["type"] == kind, timeout)[-1]


def until(condition: Callable[[], object], timeout: float = 8.0) -> None:
    """Wait until a condition holds; fail at the deadline."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)


def rows(start: int, stop: int, **more: float) -> Body:
    """Make a block of step rows: steps from start up to stop, loss 1/(1+step)."""
    table: list[Row] = [
        (1_800_000_000.0 + step, {"currentStep": float(step), "loss": 1.0 / (1 + step), **more})
        for step in range(start, stop)
    ]
    return block_of(table)


def event(event_type: Any, at: float = 1_800_000_000.0, **fields: Any) -> Event:
    """Make an event."""
    return Event(event_type=event_type, timestamp=at, **fields)


class _Thread:
    """A loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def do(self, make: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        return asyncio.run_coroutine_threadsafe(make(), self.loop).result(30)

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


@contextmanager
def standalone(
    store: str | Path | Store,
    *,
    access: Access | None = None,
    limits: Limits | None = None,
    base: str = "",
    proxies: Proxies | None = None,
) -> Iterator[Mount]:
    """Serve stand-alone, at the root or below a path."""
    thread = _Thread()
    site = Site(access=access or Access(token=TOKEN), base=base, proxies=proxies or Proxies())

    async def start() -> tuple[HTTPServer, StandaloneApplication, ServerContext, int]:
        context = open_context(store, limits=limits or Limits(heartbeat_s=0.5))
        socket, port = bind_unused_port()
        application = StandaloneApplication(context, site)
        server = create_server(context, application)
        server.add_socket(socket)
        return server, application, context, port

    server, application, context, port = thread.do(start)
    try:
        yield Mount(f"http://127.0.0.1:{port}{base}", context, thread.loop)
    finally:

        async def stop() -> None:
            await go(context, application, server)
            await close_context(context)

        thread.do(stop)
        thread.end()


class _QuietServerApp(ServerApp):
    """A Jupyter server that leaves the process's signals alone: it runs in a thread."""

    def init_signal(self) -> None:
        """Take none."""


@contextmanager
def in_jupyter(
    store: str | Path, root: Path, *, authorizer: type[Authorizer] = AllowAllAuthorizer, **settings: Any
) -> Iterator[Mount]:
    """Serve inside a real Jupyter server, at an odd base URL, where nothing is public."""
    thread = _Thread()
    config = Config(
        {
            "ServerApp": {
                "jpserver_extensions": {"forge_widgets": True},
                "allow_unauthenticated_access": False,
                "authorizer_class": authorizer,
            },
            "IdentityProvider": {"token": TOKEN},
            "ForgeWidgetsExtension": {"store_url": str(store), "heartbeat_s": 0.5, **settings},
        }
    )

    async def start() -> tuple[ServerApp, HTTPServer, int]:
        app = _QuietServerApp(
            config=config, base_url=ODD_BASE, root_dir=str(root), allow_root=True, open_browser=False, log_level="ERROR"
        )
        app.initialize(argv=[], find_extensions=False, new_httpserver=False)
        socket, port = bind_unused_port()
        server = HTTPServer(app.web_app)
        server.add_socket(socket)
        return app, server, port

    app, server, port = thread.do(start)
    extension = app.extension_manager.extension_points["forge_widgets"].app
    assert isinstance(extension, ForgeWidgetsExtension)
    assert extension.context is not None
    try:
        yield Mount(f"http://127.0.0.1:{port}{ODD_BASE}forge", extension.context, thread.loop)
    finally:

        async def stop() -> None:
            server.stop()
            await app.cleanup_extensions()
            await app.cleanup_kernels()
            await server.close_all_connections()

        thread.do(stop)
        thread.end()
