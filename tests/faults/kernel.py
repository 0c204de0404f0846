"""The kernel's side of a widget in a process of its own: the real comm stream, its messages as lines of JSON on stdin and stdout.

kernel.py FOLDER SESSION: until stdin ends. Periods are scaled as the server's are (served.py).
"""

from __future__ import annotations

import json
import os
import sys

from forge_widgets.core.wire import Json
from forge_widgets.stores import open_store
from forge_widgets.widgets.comm import CommStream, read_wish
from forge_widgets.widgets.reader import SessionReader


def say(message: Json) -> bool:
    # One write a line.
    os.write(1, (json.dumps(message) + "\n").encode())
    return True


if __name__ == "__main__":
    folder, session_id = sys.argv[1:]
    store = open_store(folder)
    stream = CommStream(SessionReader(store, session_id), say, eager=False, heartbeat_s=0.5)
    stream.start()
    for line in sys.stdin:
        wish = read_wish(json.loads(line))
        if wish is not None:
            stream.receive(wish)
    stream.stop()
    store.close()
