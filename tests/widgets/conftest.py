"""A real kernel for the widgets' tests: cells are run, and what it publishes meanwhile is kept with its moment."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

DEADLINE_S = 30.0

Message = dict[str, Any]


class Kernel:
    """A kernel, and all that it has published."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client
        self.published: list[Message] = []

    def send_cell(self, code: str) -> str:
        """Start a cell and return the id of its request."""
        return str(self.client.execute(code, store_history=False, allow_stdin=False))

    def run(self, code: str) -> str:
        """Run a cell to its end and return what it printed."""
        request = self.send_cell(code)
        self.until(lambda: self.is_done(request), f"the end of {code[:60]!r}")
        answers = [message for message in self.published if message["parent_header"].get("msg_id") == request]
        errors = ["\n".join(m["content"]["traceback"]) for m in answers if m["msg_type"] == "error"]
        assert not errors, errors[0]
        return "".join(m["content"]["text"] for m in answers if m["msg_type"] == "stream")

    def is_done(self, request: str) -> bool:
        """Say whether a request was worked off."""
        return any(
            message["msg_type"] == "status"
            and message["content"]["execution_state"] == "idle"
            and message["parent_header"].get("msg_id") == request
            for message in self.published
        )

    def until(self, held: Callable[[], object], what: str) -> None:
        """Read what is published until a condition holds."""
        deadline = time.monotonic() + DEADLINE_S
        while not held():
            assert time.monotonic() < deadline, f"waited {DEADLINE_S} s for {what}"
            try:
                message = self.client.get_iopub_msg(timeout=0.2)
            except queue.Empty:
                assert self.manager.is_alive(), "the kernel has died"
                continue
            self.published.append(message)

    def drain(self) -> None:
        """Read what has been published by now, and forget all of it."""
        self.run("pass")
        self.published.clear()

    def make_widget(self, code: str) -> str:
        """Run a cell that makes a widget ``w`` and return the id of its comm."""
        return self.run(f"{code}\nprint(w.model_id)").strip()

    def custom(self, comm_id: str, kind: str = "") -> list[Message]:
        """Return the custom messages that a widget has sent, of one type or all."""
        contents = [
            message["content"]["data"]["content"]
            for message in self.published
            if message["msg_type"] == "comm_msg"
            and message["content"]["comm_id"] == comm_id
            and message["content"]["data"]["method"] == "custom"
        ]
        return [content for content in contents if kind in ("", content["type"])]

    def frames(self, comm_id: str, *, key: bool) -> list[Message]:
        """Return the frames that a widget has sent."""
        return [frame for frame in self.custom(comm_id, "frame") if frame["key"] is key]

    def tell(self, comm_id: str, content: Message, subshell: str | None = None) -> str:
        """Send a front end's custom message to a widget and return the id of the request."""
        data = {"method": "custom", "content": content}
        message = self.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def open_subshell(self) -> str:
        """Ask the kernel for a subshell."""
        message = self.client.session.msg("create_subshell_request", {})
        self.client.control_channel.send(message)
        reply = self.client.control_channel.get_msg(timeout=DEADLINE_S)
        return str(reply["content"]["subshell_id"])


@pytest.fixture(scope="module")
def shared_kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """Start a kernel with a store of its own, once for a file of tests."""
    store = tmp_path_factory.mktemp("store")
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env={**os.environ, "FORGE_WIDGETS_STORE": os.fspath(store)})
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=DEADLINE_S)
        kernel = Kernel(manager, client)
        kernel.run("import time, threading, gc\nimport forge_widgets as forge")
        yield kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


@pytest.fixture
def kernel(shared_kernel: Kernel) -> Iterator[Kernel]:
    """Give a test the kernel without the widgets and the messages of the one before."""
    yield shared_kernel
    shared_kernel.run("import ipywidgets; ipywidgets.Widget.close_all()")
    shared_kernel.drain()


@pytest.fixture
def jupyter_server_file(jupyter_home: Path) -> Iterator[Path]:
    """Write the runtime file of a Jupyter server that is this process, which starts the kernels."""
    file = Path(os.environ["JUPYTER_RUNTIME_DIR"]) / f"jpserver-{os.getpid()}.json"
    file.write_text('{"base_url": "/a b/", "token": "secret-token", "url": "http://127.0.0.1:1/"}', "utf-8")
    yield file
    file.unlink()
