"""What a viewer costs in bytes, both ways, headers and frames included: each viewer behind a counting proxy of its own.

All viewers watch the same training at the same time. Counting begins once a view shows steps, so that pages and curves
that it opened with are not in it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from playwright.sync_api import Page
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.bench.counting import CountingProxy
from tests.bench.measured import Json
from tests.bench.stage import Stage, open_when_rising

RATES = {"10": 100, "1000": 50}
"""Steps a second, and how often a page has to poll to be as fresh as our view (milliseconds): once a step, or 20 times a
second, which is as often as ours is painted."""


def measure(stage: Stage, seconds: float) -> Json:
    """Measure each rate for so long; bytes a minute."""
    found: Json = {}
    for rate, fresh_ms in RATES.items():
        with ExitStack() as opened, stage.training(session_id := f"traffic-{rate}", rate):
            proxies = {name: opened.enter_context(_counting(stage.port)) for name in _NAMES}
            pages = [
                opened.enter_context(stage.page("cell.html", session_id, proxies["websocket"].port)),
                opened.enter_context(stage.page("cell.html", session_id, proxies["http"].port, sockets=False)),
                opened.enter_context(stage.page("polled.html", session_id, proxies["polling once a second"].port)),
                opened.enter_context(
                    stage.page("polled.html", session_id, proxies["polling as fresh"].port, every_ms=fresh_ms)
                ),
            ]
            opened.enter_context(_naive(session_id, proxies["the contract's socket"].port))
            for page in pages:
                open_when_rising(page)
            # Past the views' first, whole picture.
            pages[0].wait_for_timeout(3_000)
            before = {name: proxy.total for name, proxy in proxies.items()}
            pages[0].wait_for_timeout(1000.0 * seconds)
            found[rate] = {
                name: round((proxy.total - before[name]) * 60.0 / seconds) for name, proxy in proxies.items()
            }
            _check_all_followed(pages)
    return {"unit": "bytes a viewer-minute", "steps a second": found}


_NAMES = ("websocket", "http", "the contract's socket", "polling once a second", "polling as fresh")


def _check_all_followed(pages: list[Page]) -> None:
    """Fail where a page has stopped to follow: its few bytes would look like a success."""
    newest = [page.evaluate("window.seen.at(-1)[0]") for page in pages]
    assert min(newest) > 0.7 * max(newest), f"a page has fallen behind: {newest}"


@contextmanager
def _counting(port: int) -> Iterator[CountingProxy]:
    proxy = CountingProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()


@contextmanager
def _naive(session_id: str, port: int) -> Iterator[None]:
    """Follow as a client of the contract's WebSocket table does: the whole document, at most 20 times a second."""
    with connect(f"ws://127.0.0.1:{port}/forge/ws/{session_id}", max_size=None, compression=None) as socket:

        def hear() -> None:
            try:
                for _ in socket:
                    pass
            except ConnectionClosed:
                return

        listener = threading.Thread(target=hear, daemon=True)
        listener.start()
        yield
    listener.join(10)
