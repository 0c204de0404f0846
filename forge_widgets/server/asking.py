"""What a client of our own protocol asks for by its query, the same over WebSocket and HTTP (docs/PROTOCOL.md).

Each function reads one thing and raises InvalidInput; called by the two transports' handlers.
"""

from __future__ import annotations

from forge_widgets.core.brief import WISHES, Wish
from forge_widgets.core.subscription import FINE, MAX_ROWS, Cursor, Detail
from forge_widgets.core.wire import PROTOCOLS, agreed_protocol
from forge_widgets.server.failures import UnknownProtocol
from forge_widgets.server.handlers import ForgeHandler, count_argument


def protocol_of(handler: ForgeHandler) -> int | None:
    """Return the newest version that both sides speak; None where none is offered. Raises UnknownProtocol."""
    offered = handler.get_query_argument("protocol", "")
    if not offered:
        return None
    agreed = agreed_protocol(offered)
    if agreed is None:
        spoken = " or ".join(map(str, PROTOCOLS))
        raise UnknownProtocol(
            f"of {offered[:40]!r} none is spoken here", where="protocol", expected=f"a list with {spoken} in it"
        )
    return agreed


def cursor_of(handler: ForgeHandler) -> Cursor | None:
    """Return the cursor to go on from (``epoch`` and ``after``); None where the viewer has nothing yet."""
    after = count_argument(handler.get_query_argument("after", None), "after")
    epoch = handler.get_query_argument("epoch", "")
    return Cursor(epoch, after or 0) if epoch else None


def detail_of(handler: ForgeHandler) -> Detail:
    """Return how much the viewer takes at once: ``limit`` rows, and four points for each in a frame that has no rows."""
    limit = count_argument(handler.get_query_argument("limit", None), "limit")
    if limit is None or limit >= MAX_ROWS:
        return FINE
    points = 4 * max(limit, 1)
    return Detail(rows=limit, points=points, opening=points)


def coarse_of(handler: ForgeHandler) -> bool:
    """Say whether the viewer's curves came in few points, so that it is to be sent more (``coarse=1``)."""
    return handler.get_query_argument("coarse", "") == "1"


def takes_packed(handler: ForgeHandler) -> bool:
    """Say whether the viewer reads binary messages that are deflated (``encoding=deflate``)."""
    return "deflate" in handler.get_query_argument("encoding", "").split(",")


def wish_of(handler: ForgeHandler) -> Wish | None:
    """Say how the viewer takes rows in brief (``brief=rows`` or ``outline``); None where it reads JSON alone."""
    asked = handler.get_query_argument("brief", "")
    return next((wish for wish in WISHES if wish == asked), None)
