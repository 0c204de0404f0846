"""The contract's HTTP calls, and the poll of our own client: each verb translates, and nothing more.

Who may call is decided by the mount below (jupyter, standalone). No verb touches the store on the event loop.
"""

from __future__ import annotations

import asyncio
import time

from msgspec import Raw
from tornado.web import HTTPError

from forge_widgets._version import __version__
from forge_widgets.core.document import Json, iso_time
from forge_widgets.core.events import STATUSES, Batch
from forge_widgets.core.metrics import check_session_id
from forge_widgets.core.state import State
from forge_widgets.core.subscription import Cursor
from forge_widgets.core.wire import PROTOCOL, heartbeat_message
from forge_widgets.errors import InvalidInput, SessionNotFound, StoreUnavailable
from forge_widgets.server.documents import session_document
from forge_widgets.server.handlers import BodyHandler, ForgeHandler, count_argument, number_argument
from forge_widgets.server.listing import list_entry
from forge_widgets.server.rates import client_of
from forge_widgets.server.update import Update, body_of, parse_error, parse_update
from forge_widgets.server.waking import wait_at_most
from forge_widgets.server.watched import Sent, Watched

_ACTIVE = ("running", "paused")


class HealthHandler(ForgeHandler):
    """``GET api/health``."""

    async def get(self) -> None:
        """Say that the server works, for which store, and what goes on in it."""
        context = self.context
        summaries = await context.listing.summaries()
        active = {summary.session_id for summary in summaries if summary.state.status in _ACTIVE}
        sessions = sorted(active.union(context.hub.watched_sessions()))
        self.write_json(
            {
                "status": "healthy",
                "websocket_enabled": True,
                "active_sessions": len(sessions),
                "sessions": sessions,
                "timestamp": iso_time(context.clock()),
                "storeId": context.store.store_id,
                "version": __version__,
                "protocol": PROTOCOL,
            }
        )


class ProgressHandler(ForgeHandler):
    """``GET api/progress/{session_id}``."""

    async def get(self, session_id: str) -> None:
        """Answer with the progress document."""
        context = self.context
        check_session_id(session_id)
        snapshot = await context.pool.run(lambda: context.store.snapshot(session_id))
        if snapshot is None:
            raise SessionNotFound(session_id, context.store.url)
        self.write_json(session_document(session_id, snapshot.state, context.hub.viewers(session_id)))


class RecordingHandler(BodyHandler):
    """What the two calls that record have in common."""

    async def record(self, session_id: str, update: Update) -> None:
        """Append an update; when this returns it is durable."""
        context = self.context
        context.rates.let_in(client_of(self), 1, steps=update.event_type == "step_update")

        def append() -> None:
            snapshot = context.store.snapshot(session_id)
            body = body_of(update, State() if snapshot is None else snapshot.state, context.clock())
            context.store.append(session_id, Batch(producer=context.producer, sequence=0, bodies=[body]))

        await context.pool.run(append)
        context.listing.forget()
        context.hub.nudge(session_id)

    @property
    def header_key(self) -> str:
        """The idempotency key of the request's header, "" where there is none."""
        return self.request.headers.get("Idempotency-Key", "")


class UpdateHandler(RecordingHandler):
    """``POST api/progress/{session_id}/update``."""

    async def post(self, session_id: str) -> None:
        """Record an update; a first one makes the session."""
        check_session_id(session_id)
        await self.record(session_id, parse_update(self.body(), self.context.limits, self.header_key))
        self.write_json({"status": "success", "sessionId": session_id})


class ErrorHandler(RecordingHandler):
    """``POST api/progress/{session_id}/error``."""

    async def post(self, session_id: str) -> None:
        """Record that the training failed."""
        check_session_id(session_id)
        await self.record(session_id, parse_error(self.body(), self.context.limits, self.header_key))
        self.write_json({"status": "error_sent", "sessionId": session_id})


class SessionsHandler(ForgeHandler):
    """``GET api/sessions``."""

    async def get(self) -> None:
        """List the sessions, newest update first, narrowed by ``status`` and ``limit``."""
        context = self.context
        status = self.get_query_argument("status", None)
        if status and status not in STATUSES:
            raise InvalidInput(
                f"{status[:40]!r} can't be used", where="status", expected=f"one of {', '.join(sorted(STATUSES))}"
            )
        limit = count_argument(self.get_query_argument("limit", None), "limit")
        summaries = [
            summary for summary in await context.listing.summaries() if not status or summary.state.status == status
        ]
        listed = summaries if limit is None else summaries[:limit]
        now = context.clock()
        sessions = [list_entry(summary, context.hub.viewers(summary.session_id), now) for summary in listed]
        self.write_json({"sessions": sessions, "total": len(summaries), "storeId": context.store.store_id})


class SessionHandler(ForgeHandler):
    """``DELETE api/sessions/{session_id}``."""

    async def delete(self, session_id: str) -> None:
        """Delete a session and close its viewers."""
        context = self.context
        check_session_id(session_id)
        if not await context.pool.run(lambda: context.store.delete(session_id)):
            raise SessionNotFound(session_id, context.store.url)
        context.listing.forget()
        context.hub.drop(session_id)
        self.write_json({"status": "session_closed", "sessionId": session_id})


class EventsHandler(ForgeHandler):
    """``GET api/sessions/{session_id}/events``: the poll of docs/PROTOCOL.md."""

    def initialize(self, *args: object, **kwargs: object) -> None:
        """Start as a viewer that nothing woke yet."""
        super().initialize(*args, **kwargs)  # type: ignore[arg-type]
        self._wake = asyncio.Event()
        self._client_gone = False

    async def get(self, session_id: str) -> None:
        """Answer with what came after the cursor, at once or within ``wait`` seconds."""
        context = self.context
        check_session_id(session_id)
        asked = self.get_query_argument("protocol", "") or str(PROTOCOL)
        if asked != str(PROTOCOL):
            raise InvalidInput(f"{asked[:20]!r} can't be used", where="protocol", expected=f"{PROTOCOL}")
        wait = number_argument(self.get_query_argument("wait", None), "wait", 0, context.limits.max_wait_s)
        cursor = self.cursor_of_query()
        with context.hub.watching(session_id, self._wake) as watched:
            try:
                await asyncio.wait_for(watched.fresh(), context.limits.max_wait_s)
            except asyncio.TimeoutError as error:
                raise StoreUnavailable(context.store.url, "it did not answer in time") from error
            sent = await self._frame_within(watched, cursor, wait or 0.0)
            heartbeat = heartbeat_message(watched.cursor, watched.arrears, context.clock())
        if not self._client_gone:
            self.write_json(self._poll(session_id, sent, heartbeat))

    def cursor_of_query(self) -> Cursor | None:
        """Read ``epoch`` and ``after``; None where the viewer has nothing yet."""
        after = count_argument(self.get_query_argument("after", None), "after")
        epoch = self.get_query_argument("epoch", "")
        return Cursor(epoch, after or 0) if epoch else None

    def on_connection_close(self) -> None:
        """Leave off waiting for a client that has gone."""
        self._client_gone = True
        self._wake.set()

    async def _frame_within(self, watched: Watched, cursor: Cursor | None, wait_s: float) -> Sent | None:
        deadline = time.monotonic() + wait_s
        while True:
            self._wake.clear()
            sent = await watched.frame_after(cursor)
            left = deadline - time.monotonic()
            if sent is not None or left <= 0 or self._client_gone or watched.closed is not None:
                return sent
            await wait_at_most(self._wake, left)

    def _poll(self, session_id: str, sent: Sent | None, heartbeat: Json) -> Json:
        return {
            "type": "poll",
            "protocol": PROTOCOL,
            "sessionId": session_id,
            "storeId": self.context.store.store_id,
            "frame": None if sent is None else Raw(sent.encoded),
            "heartbeat": heartbeat,
        }


class NothingHandler(ForgeHandler):
    """Whatever no route is for."""

    async def prepare(self) -> None:
        """Answer 404 whatever the verb."""
        prepared = super().prepare()
        if prepared is not None:
            await prepared
        raise HTTPError(404)
