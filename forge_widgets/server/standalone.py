"""The stand-alone server as a process: what it binds, the signals that end it, and in which order it goes.

Never a Jupyter ServerApp: there is no kernel, no file and no terminal to reach here. The command line calls ``serve``.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import Callable, Sequence

from tornado.httpserver import HTTPServer

from forge_widgets._version import __version__
from forge_widgets.errors import InvalidInput
from forge_widgets.server.access import Access, host_of, is_loopback
from forge_widgets.server.app import close_context, open_context
from forge_widgets.server.application import Site, StandaloneApplication, create_server
from forge_widgets.server.binding import DEFAULT_HOST, EVERYWHERE, base_of, bind, netloc_of, url_of
from forge_widgets.server.collector import set_aside_what_is_there
from forge_widgets.server.context import ServerContext
from forge_widgets.server.limits import Limits
from forge_widgets.server.proxies import proxies_of
from forge_widgets.stores import Store

DEFAULT_PORT = 8001


def serve(
    store_url: str | os.PathLike[str] | Store | None = None,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    base_url: str = "/",
    token: str | None = None,
    open_: bool = False,
    allow_origin: Sequence[str] = (),
    allow_host: Sequence[str] = (),
    trust_proxy: Sequence[str] = (),
    on_ready: Callable[[str], None] | None = None,
    limits: Limits | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; a second one ends the process at once.

    Args:
        store_url: where sessions are kept; None as in ``open_store``.
        host: the address to bind. Names other than the loopback's have to be in ``allow_host`` too.
        port: the port to bind; 0 takes a free one.
        base_url: the path that everything lies below.
        token: what clients have to know; None makes one.
        open_: True asks for no token, and serves this machine alone.
        allow_origin: Origins of pages that may ask besides our own: ``https://a.example``, ``null``, ``*``.
        allow_host: Host names that lead here besides the loopback's; ``*`` is any.
        trust_proxy: addresses and networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.
        on_ready: called once with the URL to open, token included.
        limits: bounds and periods; None for the defaults.

    Raises InvalidInput for a port in use or an address that can't be bound, and InvalidStoreURL.
    """
    if open_ and not is_loopback(host):
        raise InvalidInput(
            f"{host!r} can be reached by others, and open mode asks for no token",
            where="host",
            expected="127.0.0.1, ::1 or localhost, or no open mode",
        )
    site = Site(
        access=Access(
            token=None if open_ else token or new_token(),
            allow_host=(*allow_host, *([] if host in EVERYWHERE else [host_of(netloc_of(host, port))])),
            allow_origin=tuple(allow_origin),
        ),
        base=base_of(base_url),
        proxies=proxies_of(trust_proxy),
    )
    raise_file_limit()
    asyncio.run(_serve(store_url, host, port, site, on_ready, limits))


def new_token() -> str:
    """Make a token that nobody can guess."""
    return secrets.token_urlsafe(24)


def raise_file_limit() -> None:
    """Let this process open as many files as it may: each connection is one, and the usual 1,024 are few."""
    try:
        import resource
    except ImportError:  # Windows has none
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # macOS says "unlimited" and takes less
            return


async def _serve(
    store_url: str | os.PathLike[str] | Store | None,
    host: str,
    port: int,
    site: Site,
    on_ready: Callable[[str], None] | None,
    limits: Limits | None,
) -> None:
    context = open_context(store_url, limits=limits)
    try:
        application = StandaloneApplication(context, site)
        server = create_server(context, application)
        sockets = bind(host, port)
        server.add_sockets(sockets)
        stopping = _stop_signal()
        bound = sockets[0].getsockname()[1]
        context.log.info(
            "serving %s at %s", context.store.url, url_of(host, bound, site.base, None), extra={"version": __version__}
        )
        set_aside_what_is_there()
        if on_ready is not None:
            on_ready(url_of(host, bound, site.base, site.access.token))
        context.log.info("stopping: %s", (await stopping).name)
        await go(context, application, server)
    finally:
        await close_context(context)
    context.log.info("stopped")


async def go(context: ServerContext, application: StandaloneApplication, server: HTTPServer) -> None:
    """End a server in good order: nobody new, those who watch told to come back, those who wait for an answer answered."""
    server.stop()
    application.in_flight.closing = True
    await context.hub.close()
    for annex in application.annexes:
        await annex.close()
    await application.in_flight.ended(context.limits.drain_s)
    await server.close_all_connections()


def _stop_signal() -> asyncio.Future[signal.Signals]:
    """Return what will hold the first SIGINT or SIGTERM; the next one does what it does to any process."""
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[signal.Signals] = loop.create_future()

    def stop(number: signal.Signals) -> None:
        for handled in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(handled)
            signal.signal(handled, signal.SIG_DFL)
        if not stopping.done():
            stopping.set_result(number)

    for handled in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(handled, stop, handled)
    return stopping
