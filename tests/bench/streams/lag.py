"""An extension of Jupyter Server that measures how late its event loop runs: a timer every 5 ms, in the server's own process.

``GET {base_url}bench/lag`` returns how late each tick was since the last call, in seconds, as a JSON list.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado.web import authenticated

TICK_S = 0.005


class Lag:
    """What was measured since somebody asked."""

    def __init__(self) -> None:
        self._late_s: list[float] = []

    async def run(self) -> None:
        """Tick until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += TICK_S
            await asyncio.sleep(max(0.0, due - loop.time()))
            # Where the loop was held up longer, the ticks that were due meanwhile count as late, too, not as one.
            self._late_s.append(loop.time() - due)

    def taken(self) -> list[float]:
        """Return what was measured, and begin again."""
        late_s, self._late_s = self._late_s, []
        return late_s


class LagHandler(JupyterHandler):
    """Tells it."""

    def initialize(self, lag: Lag) -> None:
        """Take what measures."""
        self._lag = lag

    @authenticated
    def get(self) -> None:
        """Answer with what was measured since the last call."""
        self.finish(json.dumps(self._lag.taken()))


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "tests.bench.streams.lag"}]


def _load_jupyter_server_extension(server: Any) -> None:
    lag = Lag()
    path = url_path_join(server.web_app.settings["base_url"], "bench", "lag")
    server.web_app.add_handlers(".*$", [(path, LagHandler, {"lag": lag})])
    # Held by the application, since a loop forgets its tasks.
    server.web_app.settings["bench_lag"] = asyncio.get_event_loop().create_task(lag.run())
