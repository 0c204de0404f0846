"""What one Socket.IO event asks, and what its acknowledgement says.

A client makes one for each event, so that an answer goes to whoever asked and into the acknowledgement alike.
"""

from __future__ import annotations

from forge_widgets.server.body import Json
from forge_widgets.server.conversation import Talker


class Reply:
    """What answers one event (conversation.Talker), and keeps what was said for its acknowledgement."""

    def __init__(self, client: Talker) -> None:
        self.context = client.context
        self.said: Json = {}
        self._client = client

    @property
    def own_session(self) -> str | None:
        """The session that is meant where an event names none."""
        return self._client.own_session

    async def send(self, message: Json) -> None:
        """Send an answer."""
        self.said = message
        await self._client.send(message)

    def join(self, session_id: str) -> None:
        """Follow a session."""
        self._client.join(session_id)
        self.said = {"status": "joined", "sessionId": session_id}

    def leave(self, session_id: str) -> None:
        """Follow a session no longer."""
        self._client.leave(session_id)


def asked_of(arguments: tuple[object, ...]) -> Json:
    """Read an event's arguments: a bare session id, an object that names it, or nothing."""
    first = arguments[0] if arguments else None
    if first is None:
        return {}
    return first if isinstance(first, dict) else {"sessionId": first}
