"""The poll of docs/PROTOCOL.md: one answer with what came after a cursor, at once or within the time that the client waits.

Only translates: what a viewer gets next is the subscription's business. Who may ask is decided by the mount below.
"""

from __future__ import annotations

import asyncio
import time

from forge_widgets.core.metrics import check_session_id
from forge_widgets.core.packing import MIN_BYTES, gzip_envelope
from forge_widgets.core.subscription import Cursor
from forge_widgets.core.wire import PROTOCOL, encode, heartbeat_message
from forge_widgets.errors import StoreUnavailable
from forge_widgets.server.asking import coarse_of, cursor_of, detail_of, protocol_of, wish_of
from forge_widgets.server.body import Json
from forge_widgets.server.failures import CLOSED
from forge_widgets.server.handlers import ForgeHandler, number_argument
from forge_widgets.server.sent import Sent
from forge_widgets.server.waking import wait_at_most
from forge_widgets.server.watched import Watched


class EventsHandler(ForgeHandler):
    """``GET api/sessions/{session_id}/events``."""

    def initialize(self, *args: object, **kwargs: object) -> None:
        """Start as a viewer that nothing woke yet."""
        super().initialize(*args, **kwargs)  # type: ignore[arg-type]
        self._wake = asyncio.Event()
        self._client_gone = False

    async def get(self, session_id: str) -> None:
        """Answer with what came after the cursor, at once or within ``wait`` seconds."""
        context = self.context
        check_session_id(session_id)
        protocol = protocol_of(self) or PROTOCOL
        wait = number_argument(self.get_query_argument("wait", None), "wait", 0, context.limits.max_wait_s)
        cursor, store_id = cursor_of(self), await context.identity.store_id()
        with context.hub.watching(session_id, self._wake) as watched:
            try:
                await asyncio.wait_for(watched.fresh(), context.limits.max_wait_s)
            except asyncio.TimeoutError as error:
                raise StoreUnavailable(context.store.url, "it did not answer in time") from error
            sent = await self._frame_within(watched, cursor, wait or 0.0)
            heartbeat = heartbeat_message(watched.cursor, watched.arrears, context.clock())
        if self._client_gone:
            return
        answer: Json = {
            "type": "poll",
            "protocol": protocol,
            "sessionId": session_id,
            "storeId": store_id,
            "heartbeat": heartbeat,
        }
        if watched.closed == CLOSED or _is_gone(watched, cursor):
            answer["deleted"] = True
        await self._finish_with(answer, sent)

    def on_connection_close(self) -> None:
        """Leave off waiting for a client that has gone."""
        self._client_gone = True
        self._wake.set()

    async def _frame_within(self, watched: Watched, cursor: Cursor | None, wait_s: float) -> Sent | None:
        detail, refines, wish = detail_of(self), coarse_of(self), wish_of(self)
        deadline = time.monotonic() + wait_s
        while True:
            self._wake.clear()
            sent = await watched.frame_after(cursor, detail, refines=refines, brief=wish)
            left = deadline - time.monotonic()
            if (
                sent is not None
                or left <= 0
                or self._client_gone
                or watched.closed is not None
                or _is_gone(watched, cursor)
            ):
                return sent
            await wait_at_most(self._wake, left)

    async def _finish_with(self, answer: Json, sent: Sent | None) -> None:
        """Answer with a frame that was encoded, and packed, once for all who ask for the same."""
        frame = b"null" if sent is None else sent.text
        before, after = encode(answer)[:-1] + b',"frame":', b"}"
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.add_header("Vary", "Accept-Encoding")
        if sent is None or len(frame) < MIN_BYTES or not self._takes_gzip():
            self._finish_counted(before + frame + after)
            return
        packed = await sent.packed(self.context.pool)
        if not self._client_gone:
            self.set_header("Content-Encoding", "gzip")
            self._finish_counted(gzip_envelope(before, frame, packed.blocks, after))

    def _finish_counted(self, body: bytes) -> None:
        self.context.meter.traffic.count("http", len(body))
        self.finish(body)

    def _takes_gzip(self) -> bool:
        offered = self.request.headers.get("Accept-Encoding", "").lower().replace(" ", "").split(",")
        return any(one.partition(";")[0] in ("gzip", "*") and not one.endswith((";q=0", ";q=0.0")) for one in offered)


def _is_gone(watched: Watched, cursor: Cursor | None) -> bool:
    return cursor is not None and watched.gone
