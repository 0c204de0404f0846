"""The rest of a store over HTTP: who it is, what is in it, where a session stands, and who is still there.

Besides the records (records.py) all that the store interface has (stores/base.py), a route for each call. Each verb
translates, and nothing more.
"""

from __future__ import annotations

from msgspec import Struct, to_builtins

from forge_widgets._version import __version__
from forge_widgets.core.document import Json
from forge_widgets.core.intake import Count, HeartbeatMessage, read_message
from forge_widgets.core.metrics import check_session_id
from forge_widgets.core.wire import PROTOCOL, encode, state_message
from forge_widgets.server.handlers import BodyHandler, ForgeHandler
from forge_widgets.stores.base import Summary


class StoreHandler(ForgeHandler):
    """``GET api/store``."""

    async def get(self) -> None:
        """Say which store this is, and what it takes."""
        context = self.context
        self.write_json(
            {
                "storeId": await context.identity.store_id(),
                "version": __version__,
                "protocol": PROTOCOL,
                "maxBodyBytes": context.limits.max_body_bytes,
            }
        )


class SummariesHandler(ForgeHandler):
    """``GET api/store/summaries``."""

    async def get(self) -> None:
        """List the sessions with their states, newest update first."""
        store = self.context.store
        # Encoded there, too: thousands of states would hold up the loop.
        self.write_encoded(
            await self.context.pool.run(lambda: encode({"summaries": list(map(summary_message, store.summaries()))}))
        )


class SnapshotHandler(ForgeHandler):
    """``GET api/sessions/{session_id}/snapshot``."""

    async def get(self, session_id: str) -> None:
        """Answer with the newest state and its position in the log."""
        snapshot = await self.ask_store(session_id, lambda store: store.snapshot(session_id))
        cursor = snapshot.cursor
        self.write_json({"epoch": cursor.epoch, "offset": cursor.offset, "state": state_message(snapshot.state)})


class VersionHandler(ForgeHandler):
    """``GET api/sessions/{session_id}/version``."""

    async def get(self, session_id: str) -> None:
        """Answer with something that differs from the last answer once the log has changed."""
        version = await self.ask_store(session_id, lambda store: store.version(session_id))
        self.write_json({"version": str(version)})


class HeartbeatsHandler(BodyHandler):
    """``GET`` and ``PUT api/sessions/{session_id}/heartbeats``."""

    async def get(self, session_id: str) -> None:
        """List the newest heartbeat of each producer; an unknown session has none."""
        context = self.context
        check_session_id(session_id)
        heartbeats = await context.pool.run(lambda: context.store.heartbeats(session_id))
        self.write_json({"heartbeats": [to_builtins(heartbeat) for heartbeat in heartbeats]})

    async def put(self, session_id: str) -> None:
        """Take a producer's heartbeat. Nothing here is durable, and nothing is refused for its rate."""
        context = self.context
        check_session_id(session_id)
        heartbeat = read_message(self.received(), HeartbeatMessage).heartbeat()
        await context.pool.run(lambda: context.store.beat(session_id, heartbeat))
        self.write_json({"status": "heard", "sessionId": session_id})


class TrimMessage(Struct, frozen=True):
    """What is asked of a trim."""

    upto: Count


class TrimHandler(BodyHandler):
    """``POST api/sessions/{session_id}/trim``."""

    async def post(self, session_id: str) -> None:
        """Drop the records up to an offset; their state stays."""
        context = self.context
        upto = read_message(self.received(), TrimMessage).upto
        floor = await self.ask_store(session_id, lambda store: store.trim(session_id, upto))
        context.listing.forget()
        context.hub.nudge(session_id)
        self.write_json({"floor": floor})


def summary_message(summary: Summary) -> Json:
    """Build the message of a session in a list."""
    return {
        "sessionId": summary.session_id,
        "createdAt": summary.created_at,
        "updatedAt": summary.updated_at,
        "attempts": summary.attempts,
        "state": state_message(summary.state),
    }
