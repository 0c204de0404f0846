"""A viewer in a process of its own, so that it can be stopped and killed: watcher.py URL SESSION TOKEN FILE.

Says ``watching`` once it has applied something; at the line ``until EPOCH OFFSET`` it goes on until it stands there, leaves
what it has applied in the file, and ends. ``Watcher`` is the test's side of it.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from forge_widgets.core.subscription import Cursor
from tests.faults.process import Process, until
from tests.faults.view import View
from tests.faults.viewer import Viewer

ARRIVAL_S = 40.0


class Left(View):
    """What a viewer of another process has left behind."""

    def __init__(self, session_id: str, file: Path) -> None:
        super().__init__(session_id)
        # How often it has connected.
        self.connections = 0
        self.chapters, self.state, self.offset, self.connections = pickle.loads(file.read_bytes())


class Watcher(Process):
    """The process."""

    def __init__(self, url: str, session_id: str, token: str, file: Path) -> None:
        super().__init__("watcher.py", url, session_id, token, file)
        self._session_id = session_id
        self._file = file
        until(lambda: "watching" in self.lines, "first frame of another process", 30)

    def arrive(self, goal: Cursor) -> Left:
        """Let it go on until it stands there, and end; return what it has applied."""
        self.tell(f"until {goal.epoch} {goal.offset}")
        assert self.wait(ARRIVAL_S + 10) == 0
        return Left(self._session_id, self._file)


def watch(url: str, session_id: str, token: str, file: str) -> None:
    viewer = Viewer(url, session_id, token).start()
    viewer.until(lambda: viewer.chapters, "first frame", 30)
    print("watching", flush=True)
    _, epoch, offset = sys.stdin.readline().split()
    viewer.until(lambda: viewer.position == (epoch, int(offset)), f"arrival at {offset}", ARRIVAL_S)
    viewer.close()
    Path(file).write_bytes(pickle.dumps((viewer.chapters, viewer.state, viewer.offset, viewer.connections)))


if __name__ == "__main__":
    watch(*sys.argv[1:])
