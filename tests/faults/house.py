"""The processes of one fault test: a store, a server and trainings, each started, stopped, killed and ended by its id."""

from __future__ import annotations

import functools
import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forge_widgets.core.events import Record
from forge_widgets.core.subscription import Cursor, Slice
from forge_widgets.stores import open_store
from tests.faults.browser import QUICK, Browser, Kernel, bundle, check_curves
from tests.faults.checker import Acknowledged, check, read_all, units_of
from tests.faults.process import Process, until
from tests.faults.proxy import Proxy
from tests.faults.view import View
from tests.faults.viewer import Viewer
from tests.faults.watcher import Watcher

TOKEN = "a-token-of-the-faults"


class Training(Process):
    """A training that says what was acknowledged."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        super().__init__("trainer.py", *arguments, **environment)

    @property
    def acknowledged(self) -> list[Acknowledged]:
        """What it was told is durable, so far."""
        said = [line.split() for line in list(self.lines) if line.startswith("ack ")]
        return [Acknowledged(producer, int(sequence), int(step)) for _, producer, sequence, step in said]

    @property
    def step(self) -> int:
        """The newest step that was acknowledged."""
        return max((ack.step for ack in self.acknowledged), default=0)

    @property
    def end(self) -> dict[str, Any]:
        """What it said at its end."""
        said: dict[str, Any] = json.loads(next(line[4:] for line in self.lines if line.startswith("end ")))
        return said

    def goes_on(self, steps: int = 5, timeout_s: float = 20.0) -> None:
        """Wait until so many more steps are acknowledged."""
        goal = self.step + steps
        until(lambda: self.step >= goal, f"acknowledged step {goal} (there is {self.step})", timeout_s)


class Server(Process):
    """The stand-alone server, and what it says of itself."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        super().__init__("served.py", *arguments, **environment)

    @property
    def threads(self) -> int:
        """How many threads it has now."""
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def block(self, seconds: float) -> None:
        """Hold up its event loop, as another extension of the same server would; does not wait."""
        self.tell(f"block {seconds}")

    def lag(self) -> dict[str, float]:
        """How late its loop was since the last call: ``looks``, ``median``, ``p99`` and ``worst``, in seconds."""
        return self._ask("lag")

    def reads(self) -> dict[str, float]:
        """How often it has asked its store so far: ``version``, ``read``, ``rows`` and ``snapshot``."""
        return self._ask("reads")

    def _ask(self, word: str) -> dict[str, float]:
        def answers() -> list[str]:
            return [line for line in list(self.lines) if line.startswith(f"{word} ")]

        known = len(answers())
        self.tell(word)
        until(lambda: len(answers()) > known, f"answer to {word!r}", 30)
        said: dict[str, float] = json.loads(answers()[-1][len(word) + 1 :])
        return said


class House:
    """A store's folder and what runs around it; ``close`` ends all of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.server: Server | None = None
        self._processes: list[Process] = []
        self._viewers: list[Viewer] = []
        self._pages: list[Browser] = []
        self._proxies: list[Proxy] = []

    def serve(self, **environment: str) -> Server:
        """Start the server (again, on the same port), and wait until it answers."""
        server = Server(self.folder, self.port, TOKEN, **environment)
        self._processes.append(server)
        until(lambda: server.lines, "server", 30)
        self.server = server
        return server

    def train(self, session_id: str = "s", steps_per_s: float = 100, store: str = "", **environment: str) -> Training:
        """Start a steady training, and wait until something is acknowledged."""
        training = self.run("steady", session_id, steps_per_s, store=store, **environment)
        until(lambda: training.acknowledged, "acknowledged step", 30)
        return training

    def run(self, task: str, session_id: str, argument: object, store: str = "", **environment: str) -> Training:
        """Start a training; it records into the house's folder, or into another store."""
        training = Training(task, store or self.folder, session_id, argument, **environment)
        self._processes.append(training)
        return training

    def proxy(self) -> Proxy:
        """Put a proxy before the server."""
        proxy = Proxy(self.port, seed=self.seed)
        self._proxies.append(proxy)
        return proxy

    def view(self, session_id: str = "s", through: Proxy | None = None, **options: Any) -> Viewer:
        """Make a viewer; it is closed at the end."""
        url = self.url if through is None else f"http://127.0.0.1:{through.port}"
        viewer = Viewer(url, session_id, TOKEN, seed=self.seed, **options)
        self._viewers.append(viewer)
        return viewer

    def watch(self, session_id: str = "s", through: Proxy | None = None, **options: Any) -> Viewer:
        """Start a viewer, and wait until it has applied something."""
        viewer = self.view(session_id, through, **options).start()
        viewer.until(lambda: viewer.chapters, "first frame", 20)
        return viewer

    def view_browser(
        self,
        session_id: str = "s",
        through: Proxy | None = None,
        *,
        url: str = "",
        comm: bool = False,
        scaled: bool = True,
        expects_frames: bool = True,
        **settings: Any,
    ) -> Browser:
        """Open a page with the browser's client, with a kernel behind it or not, and wait until it has applied something.

        ``url`` is another server's; ``settings`` replace the stream's, which are about a tenth where ``scaled``.
        """
        store = open_store(self.folder)
        store_id = store.store_id
        store.close()
        kernel = Kernel(self.folder, session_id) if comm else None
        if kernel is not None:
            self._processes.append(kernel)
        place = url or (self.url if through is None else f"http://127.0.0.1:{through.port}")
        task = {"url": f"{place}/", "token": TOKEN, "sessionId": session_id, "storeId": store_id}
        program = bundle("browser.ts", self.folder.parent)
        settings = {**(QUICK if scaled else {}), **settings}
        page = Browser(
            program, task, rows_of=functools.partial(self._rows, session_id), kernel=kernel, settings=settings
        )
        self._pages.append(page)
        if expects_frames:
            page.until(lambda: page.chapters, "first frame", 20)
        return page

    def _rows(self, session_id: str, first: int, last: int) -> list[Record]:
        """Return what a session's log has at a range of offsets."""
        store = open_store(self.folder)
        try:
            read = store.read(session_id, first - 1)
        finally:
            store.close()
        assert read is not None
        return [
            record.after(first - 1).up_to(last)
            for record in read.records
            if record.last >= first and record.offset <= last
        ]

    def watch_early(self, session_id: str, **options: Any) -> Viewer:
        """Start a viewer of a session that does not exist yet, and wait until it waits."""
        viewer = self.view(session_id, **options).start()
        viewer.until(lambda: viewer.delivering, "answer", 20)
        return viewer

    def watch_in_a_process(self, session_id: str = "s") -> Watcher:
        """Start a viewer in a process of its own, and wait until it has applied something."""
        watcher = Watcher(self.url, session_id, TOKEN, self.folder.parent / f"watcher-{len(self._processes)}")
        self._processes.append(watcher)
        return watcher

    def end_of(self, session_id: str = "s") -> Cursor:
        """Return where a session's log ends now."""
        store = open_store(self.folder)
        try:
            snapshot = store.snapshot(session_id)
        finally:
            store.close()
        assert snapshot is not None, f"no session {session_id!r}"
        return snapshot.cursor

    @contextmanager
    def locked(self, session_id: str = "s") -> Iterator[None]:
        """Let another process hold the lock of a session's file."""
        holder = Process("../stores/writer.py", "lock", self.folder, session_id)
        self._processes.append(holder)
        until(lambda: holder.lines == ["locked"], "lock", 30)
        yield
        holder.tell("")
        assert holder.wait() == 0

    def until_lost(self, session_id: str = "s") -> None:
        """Wait until the log says that its training has gone without a word."""
        store = open_store(self.folder)
        try:

            def lost() -> bool:
                snapshot = store.snapshot(session_id)
                return snapshot is not None and snapshot.state.lost

            until(lost, "connection_lost", 30)
        finally:
            store.close()

    def assert_durable(self, training: Training, session_id: str = "s") -> None:
        """See that what a training was told is durable is in the log now, whatever is wrong with it."""
        acknowledged = training.acknowledged[-1]
        store = open_store(self.folder)
        try:
            read = read_all(store, session_id)
        finally:
            store.close()
        newest = max(unit.sequence for unit in units_of(read.records) if unit.producer == acknowledged.producer)
        assert newest >= acknowledged.sequence, f"{acknowledged} is not in the log, which ends at {newest}"

    def judge(
        self,
        *trainings: Training,
        session_id: str = "s",
        viewers: Sequence[View] | None = None,
        before: tuple[Slice, ...] = (),
        said: Sequence[Acknowledged] = (),
    ) -> Slice:
        """Wait until the session's viewers stand where its log stands, end them, and let the checker judge.

        ``said`` is what was acknowledged to others than the trainings.
        """
        everybody = [*self._viewers, *self._pages]
        watching = [v for v in everybody if v.session_id == session_id] if viewers is None else viewers
        store = open_store(self.folder)
        try:
            end = self.end_of(session_id)
            goal = (end.epoch, end.offset)
            for viewer in watching:
                viewer.until(lambda v=viewer: v.position == goal, f"arrival at {goal}", 30)  # type: ignore[misc]
            curves = [viewer.report()["series"] for viewer in watching if isinstance(viewer, Browser)]
            for viewer in watching:
                viewer.close()
            acknowledged = [*said, *(ack for training in trainings for ack in training.acknowledged)]
            log = check(store, session_id, acknowledged, watching, before=before)
            for lines in curves:
                check_curves(lines, log)
            return log
        finally:
            store.close()

    def close(self) -> None:
        """End everything, whatever state it is in."""
        for viewer in self._viewers:
            viewer.close()
        for page in self._pages:
            page.kill()
        for process in self._processes:
            process.kill()
        for proxy in self._proxies:
            proxy.close()
