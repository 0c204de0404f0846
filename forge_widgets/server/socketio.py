"""Whether Socket.IO is served: where the extra is installed it is an annex of the stand-alone server, else the log says how.

Loads python-socketio only where it is there. ``application`` calls this; the annex itself is ``socketio_annex``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING

from forge_widgets.server.context import ServerContext

if TYPE_CHECKING:
    from forge_widgets.server.app import Rule
    from forge_widgets.server.application import Annex, Site

ADVICE = "Socket.IO is not served: python-socketio is missing. pip install 'forge-widgets[socketio]' brings it."


class NoSocketIO:
    """What is there without the extra: nothing."""

    def rules(self) -> Sequence[Rule]:
        """Return none."""
        return ()

    async def close(self) -> None:
        """Close nothing."""


def make_socketio(context: ServerContext, site: Site) -> Annex:
    """Make the annex that the installed packages allow."""
    if importlib.util.find_spec("socketio") is None:
        context.log.info(ADVICE)
        return NoSocketIO()
    from forge_widgets.server.socketio_annex import SocketIO

    return SocketIO(context, site)
