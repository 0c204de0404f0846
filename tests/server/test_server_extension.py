"""The extension in a real Jupyter server: its settings, its authorizer, and what a packaged server loads by name."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from jupyter_server.auth.authorizer import Authorizer
from websockets.exceptions import ConnectionClosed, InvalidStatus

from forge_widgets.server.extension import ForgeWidgetsExtension
from forge_widgets.server.settings import settings
from forge_widgets.server.websocket import SocketHandler
from tests.server.mounts import TOKEN, in_jupyter, rows, until


class Revoking(Authorizer):
    """Allows everything until it is told not to."""

    allowed = True
    asked: set[tuple[str, str]]

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        """Note what was asked."""
        type(self).asked.add((action, resource))
        return type(self).allowed


@pytest.fixture
def revoking() -> type[Revoking]:
    return type("RevokingHere", (Revoking,), {"asked": set()})


def test_the_stores_address_leads_a_browser_to_the_page_and_nobody_else(tmp_path: Path) -> None:
    with in_jupyter(tmp_path / "store", tmp_path) as mount:
        led = mount.get("", params={"session": "a b"}, allow_redirects=False)
        assert (led.status_code, led.headers["Location"]) == (302, "forge/?session=a+b")
        page = mount.get("", params={"session": "a"})
        assert (page.status_code, page.url) == (200, f"{mount.url}/?session=a")
        assert "text/html" in page.headers["Content-Type"]
        stranger = requests.get(mount.url, timeout=10, allow_redirects=False)
        assert stranger.status_code == 403 or "/login" in stranger.headers["Location"]


def test_every_route_asks_the_authorizer_by_its_resource(tmp_path: Path, revoking: type[Revoking]) -> None:
    with in_jupyter(tmp_path / "store", tmp_path, authorizer=revoking) as mount:
        mount.update("a", metrics={"loss": 1.0})
        for path in ("/api/health", "/api/progress/a", "/api/sessions", "/static/page.js", "/"):
            assert mount.get(path).status_code == 200
        assert mount.ask("DELETE", "/api/sessions/a").status_code == 200
        assert revoking.asked == {
            ("read", "forge_widgets:health"),
            ("read", "forge_widgets:progress"),
            ("read", "forge_widgets:sessions"),
            ("read", "forge_widgets:static"),
            ("read", "forge_widgets:page"),
            ("write", "forge_widgets:progress"),
            ("write", "forge_widgets:sessions"),
        }
        revoking.allowed = False
        assert mount.get("/api/sessions").status_code == 403
        with pytest.raises(InvalidStatus), mount.socket("/ws/a"):
            pass


def test_a_viewer_whose_credentials_are_revoked_gets_no_more(tmp_path: Path, revoking: type[Revoking]) -> None:
    with (
        in_jupyter(tmp_path / "store", tmp_path, authorizer=revoking, recheck_s=0.2) as mount,
        mount.socket("/ws/a?protocol=1") as watching,
        mount.socket("/ws/a?protocol=1") as talking,
    ):
        watching.hear_type("frame")
        talking.hear_type("frame")
        revoking.allowed = False
        talking.say(type="ping")
        for viewer in (talking, watching):
            with pytest.raises(ConnectionClosed):
                viewer.hear_until(lambda message: message["type"] == "pong")
            assert viewer.connection.close_code == 1008


def test_a_viewer_who_is_still_allowed_goes_on_after_being_asked_about_again(tmp_path: Path) -> None:
    with in_jupyter(tmp_path / "store", tmp_path, recheck_s=0.1) as mount, mount.socket("/ws/a?protocol=1") as viewer:
        for _ in range(3):
            viewer.hear_type("heartbeat")
        mount.append("a", rows(0, 2))
        assert viewer.hear_until(lambda message: message.get("to") == 2)


def test_an_authorizer_that_does_not_answer_is_asked_no_more_meanwhile(tmp_path: Path) -> None:
    waiting: list[object] = []

    class Hanging(Authorizer):
        def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> Any:
            """Answer the handshake alone."""
            if isinstance(handler, SocketHandler):
                return True
            waiting.append(handler)
            return asyncio.Event().wait()

    with (
        in_jupyter(tmp_path / "store", tmp_path, authorizer=Hanging, recheck_s=0.1) as mount,
        mount.socket("/ws/a?protocol=1") as viewer,
    ):
        until(lambda: waiting)
        for _ in range(3):
            viewer.hear_type("heartbeat")
        assert len(waiting) == 1


def test_every_setting_says_its_default_and_its_meaning() -> None:
    own = ForgeWidgetsExtension.class_own_traits(config=True)
    assert set(own) == {"store_url", *(setting.name for setting in settings())}
    for name, trait in own.items():
        assert "Default: " in trait.help, name
        assert not trait.allow_none or "None: " in trait.help or name == "store_url", name


@pytest.mark.slow
def test_a_real_jupyter_server_loads_it_by_name(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser", f"--port={port}"),
        *("--ServerApp.port_retries=0", "--ServerApp.base_url=/a%40b/", f"--IdentityProvider.token={TOKEN}"),
        *("--ServerApp.jpserver_extensions=forge_widgets=True", "--ServerApp.allow_unauthenticated_access=False"),
        *(f"--ServerApp.root_dir={tmp_path}", f"--ForgeWidgetsExtension.store_url={tmp_path / 'store'}"),
    ]
    log = tmp_path / "log"
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out, env=dict(os.environ)) as process:
        try:
            health = f"http://127.0.0.1:{port}/a%40b/forge/api/health?token={TOKEN}"
            answer = ask_until_it_serves(health, process)
            assert json.loads(answer.text)["status"] == "healthy", log.read_text()
        finally:
            process.terminate()
            process.wait(20)
    said = log.read_text()
    assert "forge_widgets | extension was successfully loaded" in said
    assert "destroyed but it is pending" not in said
    assert not [line for line in said.splitlines() if "AuthWarning" in line and "forge" in line]


def ask_until_it_serves(url: str, process: subprocess.Popen[bytes]) -> requests.Response:
    deadline = time.monotonic() + 40
    while True:
        assert process.poll() is None
        assert time.monotonic() < deadline
        try:
            return requests.get(url, timeout=10)
        except requests.ConnectionError:
            time.sleep(0.1)
