"""The contract's HTTP calls: each verb translates, and nothing more.

Who may call is decided by the mount below (jupyter, standalone). No verb touches the store on the event loop.
"""

from __future__ import annotations

from tornado.web import HTTPError

from forge_widgets._version import __version__
from forge_widgets.core.document import iso_time
from forge_widgets.core.events import STATUSES, Batch
from forge_widgets.core.metrics import check_session_id
from forge_widgets.core.state import State
from forge_widgets.core.wire import PROTOCOL, PROTOCOLS
from forge_widgets.errors import InvalidInput, SessionNotFound
from forge_widgets.server.documents import session_document
from forge_widgets.server.handlers import BodyHandler, ForgeHandler, count_argument
from forge_widgets.server.listing import list_entry
from forge_widgets.server.rates import client_of
from forge_widgets.server.update import Update, body_of, parse_error, parse_update
from forge_widgets.stores import Receipt

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
                "storeId": await context.identity.store_id(),
                "version": __version__,
                "protocol": PROTOCOL,
                "protocols": list(PROTOCOLS),
            }
        )


class ProgressHandler(ForgeHandler):
    """``GET api/progress/{session_id}``."""

    async def get(self, session_id: str) -> None:
        """Answer with the progress document."""
        context = self.context
        snapshot = await self.ask_store(session_id, lambda store: store.snapshot(session_id))
        self.write_json(session_document(session_id, snapshot.state, context.hub.viewers(session_id)))


class RecordingHandler(BodyHandler):
    """What the two calls that record have in common."""

    async def record(self, session_id: str, update: Update) -> None:
        """Append an update; when this returns it is durable."""
        context = self.context
        context.rates.let_in(client_of(self), 1, steps=update.event_type == "step_update")

        def append() -> Receipt:
            snapshot = context.store.snapshot(session_id)
            body = body_of(update, State() if snapshot is None else snapshot.state, context.clock())
            return context.store.append(session_id, Batch(producer=context.producer, sequence=0, bodies=[body]))

        async with context.admission.turn(session_id):
            receipt = await context.pool.run(append)
        context.meter.recorded(1, receipt.repeated)
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
        store_id = await context.identity.store_id()
        self.write_json({"sessions": sessions, "total": len(summaries), "storeId": store_id})


class SessionHandler(ForgeHandler):
    """``DELETE api/sessions/{session_id}``."""

    async def delete(self, session_id: str) -> None:
        """Delete a session and close its viewers."""
        context = self.context
        check_session_id(session_id)
        if not await context.pool.run(lambda: context.store.delete(session_id)):
            raise SessionNotFound(session_id, context.store.url)
        context.listing.forget()
        context.admission.forget(session_id)
        context.hub.drop(session_id)
        self.write_json({"status": "session_closed", "sessionId": session_id})


class NothingHandler(ForgeHandler):
    """Whatever no route is for."""

    async def prepare(self) -> None:
        """Answer 404 whatever the verb."""
        prepared = super().prepare()
        if prepared is not None:
            await prepared
        raise HTTPError(404)
