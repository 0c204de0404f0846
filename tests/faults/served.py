"""The stand-alone server in a process of its own, with periods that are scaled: served.py FOLDER PORT TOKEN."""

from __future__ import annotations

import sys

from forge_widgets.server.limits import Limits
from forge_widgets.server.standalone import serve

if __name__ == "__main__":
    folder, port, token = sys.argv[1:]
    serve(
        folder,
        port=int(port),
        token=token,
        limits=Limits(heartbeat_s=0.5, ping_s=2.0, pong_s=2.0, liveness_s=0.5),
        on_ready=lambda url: print(url, flush=True),
    )
