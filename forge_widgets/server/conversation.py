"""What a naive client may say on its WebSocket or by Socket.IO, and what it is answered: the contract's table of messages.

Called for each message that is not of our own protocol. Rooms are tasks, and those are the socket's or the client's.
"""

from __future__ import annotations

from typing import Protocol

from forge_widgets.core.document import iso_time
from forge_widgets.core.metrics import check_session_id
from forge_widgets.core.state import State
from forge_widgets.errors import InvalidInput
from forge_widgets.server.body import Json
from forge_widgets.server.context import ServerContext
from forge_widgets.server.documents import session_document, shown
from forge_widgets.server.limits import Limits


class Talker(Protocol):
    """What answering needs of whoever is answered."""

    context: ServerContext

    @property
    def own_session(self) -> str | None:
        """The session that is meant where a message names none; None where there is none."""

    async def send(self, message: Json) -> None:
        """Send an answer."""

    def join(self, session_id: str) -> None:
        """Follow a session as a naive client; the greeting is sent by who follows. Raises InvalidInput."""

    def leave(self, session_id: str) -> None:
        """Follow a session no longer."""


def check_room_for_one(session_id: str, rooms: int, limits: Limits) -> None:
    """Raise InvalidInput where a session would be one room too many beside those that a client is in."""
    if rooms >= limits.max_rooms:
        raise InvalidInput(
            f"room {session_id!r} is one too many", where="sessionId", expected=f"at most {limits.max_rooms} rooms"
        )


async def answer(talker: Talker, kind: str, asked: Json) -> None:
    """Answer a message. Raises InvalidInput where it can't be understood."""
    if kind == "ping":
        await talker.send({"type": "pong", "timestamp": iso_time(talker.context.clock())})
    elif kind in ("get_status", "get_session_status"):
        await _answer_status(talker, kind, _meant(talker, asked))
    elif kind == "join_room":
        talker.join(_meant(talker, asked))
    elif kind == "leave_room":
        session_id = _meant(talker, asked)
        talker.leave(session_id)
        await talker.send({"type": "room_left", "sessionId": session_id})
    else:
        raise InvalidInput(
            f"{kind!r} can't be answered",
            where="type",
            expected="ping, get_status, get_session_status, join_room or leave_room",
        )


def _meant(talker: Talker, asked: Json) -> str:
    spelled = (asked.get(name) for name in ("sessionId", "session_id"))
    return check_session_id(next((named for named in spelled if named is not None), talker.own_session))


async def _answer_status(talker: Talker, kind: str, session_id: str) -> None:
    context = talker.context
    snapshot = await context.pool.run(lambda: context.store.snapshot(session_id))
    state = shown(State() if snapshot is None else snapshot.state, context.clock())
    data = session_document(session_id, state, context.hub.viewers(session_id))
    if kind == "get_status":
        await talker.send({"type": "status_response", "sessionId": session_id, "data": data})
    elif snapshot is None:
        await talker.send({"type": "session_status", "sessionId": session_id, "exists": False})
    else:
        await talker.send({"type": "session_status", "sessionId": session_id, "exists": True, "data": data})
