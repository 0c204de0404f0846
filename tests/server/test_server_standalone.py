"""``serve`` as a process of its own: a port, a token, a signal; and never a Jupyter server."""

from __future__ import annotations

import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from forge_widgets.errors import InvalidInput
from forge_widgets.server.standalone import serve
from tests.server.mounts import Mount

SERVE = """
import sys
from forge_widgets.server.standalone import serve
serve(sys.argv[1], port=0, open_=sys.argv[2] == "open", on_ready=lambda url: print(url, flush=True))
"""


@contextmanager
def served(store: Path, mode: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Serve in a process; give it and the URL that it says."""
    command = [sys.executable, "-c", SERVE, str(store), mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        lines: queue.Queue[str] = queue.Queue(maxsize=1)
        assert process.stdout is not None
        reader = threading.Thread(target=lambda stdout=process.stdout: lines.put(stdout.readline()), daemon=True)
        reader.start()
        try:
            yield process, lines.get(timeout=30).strip()
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal_and_asks_viewers_to_come_back(tmp_path: Path, number: signal.Signals) -> None:
    with served(tmp_path / "store", "token") as (process, url):
        parts = urlsplit(url)
        token = parse_qs(parts.query)["token"][0]
        assert (parts.scheme, parts.hostname, parts.path) == ("http", "127.0.0.1", "/")
        assert len(token) >= 32
        base = f"http://{parts.netloc}"
        headers = {"Authorization": f"Bearer {token}"}
        assert requests.get(f"{base}/health", timeout=10).status_code == 403
        update = {"metrics": {"loss": 1.5}}
        assert requests.post(f"{base}/api/progress/a/update", json=update, headers=headers, timeout=10).ok
        with connect(f"ws://{parts.netloc}/ws/a?token={token}") as viewer:
            viewer.recv(timeout=10)
            process.send_signal(number)
            with pytest.raises(ConnectionClosed):
                viewer.recv(timeout=10)
            assert viewer.close_code == 1012
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    with served(tmp_path / "store", "open") as (process, url):
        assert requests.get(f"{url}api/progress/a", timeout=10).json()["metrics"]["loss"] == 1.5


def test_there_is_no_kernel_and_no_file_to_reach(standalone_mount: Mount) -> None:
    for path in ("/api/kernels", "/api/contents", "/api/terminals", "/api/kernelspecs", "/lab", "/tree", "/login"):
        for verb in ("GET", "POST", "DELETE"):
            assert standalone_mount.ask(verb, path).status_code == 404, (verb, path)
            assert requests.request(verb, standalone_mount.url + path, timeout=10).status_code == 404, (verb, path)


def test_it_loads_no_jupyter_server() -> None:
    check = "import sys, forge_widgets.server.standalone; print('jupyter_server' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", check], text=True, timeout=30).strip() == "False"


def refused(store: str, **options: Any) -> None:
    """Call ``serve`` in a thread, which has no loop of its own yet, and raise what it raises."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: serve(store, **options)).result(20)


def test_a_port_in_use_is_said_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=rf"port {port} is in use in port: expected .*--port"):
            refused("memory://port-in-use", port=port)


def test_an_address_of_another_machine_is_said() -> None:
    with pytest.raises(InvalidInput, match=r"192\.0\.2\.1:0 can't be bound"):
        refused("memory://other-address", host="192.0.2.1", port=0)


def test_open_mode_is_never_served_to_others() -> None:
    for host in ("0.0.0.0", "192.0.2.1", "", "example.org"):
        with pytest.raises(InvalidInput, match="open mode"):
            refused("memory://open", host=host, port=0, open_=True)
