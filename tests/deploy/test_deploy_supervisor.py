"""The files of docs/deploy/supervisor in a real supervisor, as a user without root: start, kill, stop, and what is logged."""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.deploy.nginx import free_ports
from tests.deploy.ordinary import as_user, bare_environment, folder_of, program, user_of_this_clone
from tests.deploy.serving import AUTHORIZATION, answers
from tests.faults.house import TOKEN, House
from tests.faults.process import ROOT, until

FILES = ROOT / "docs" / "deploy" / "supervisor"


class Supervisor:
    """One supervisor with our program; made by ``supervisor`` below."""

    def __init__(self, folder: Path, user: pwd.struct_passwd) -> None:
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.user = user
        (folder / "token").write_text(f"{TOKEN}\n")
        (folder / "store").mkdir(mode=0o700)
        (folder / "supervisord.conf").write_text((FILES / "supervisord.conf").read_text())
        (folder / "forge-widgets.conf").write_text(self._placed((FILES / "forge-widgets.conf").read_text()))
        for path in folder.rglob("*"):
            os.chown(path, user.pw_uid, user.pw_gid)
        self._configured = ["-c", str(folder / "supervisord.conf")]
        command = [*as_user(user), program("supervisord"), "--nodaemon", *self._configured]
        with (folder / "out.log").open("wb") as out:
            self._process = subprocess.Popen(
                command, env=bare_environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder
            )

    @property
    def pid(self) -> int:
        """The server's process."""
        return int(self.control("pid", "forge-widgets"))

    def control(self, *arguments: str) -> str:
        """Ask supervisorctl."""
        command = [*as_user(self.user), program("supervisorctl"), *self._configured, *arguments]
        return subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=30, env=bare_environment()
        ).stdout.strip()

    def until_healthy(self) -> None:
        """Wait until the server answers."""
        until(lambda: answers(self.url), f"health ({self.said('out.log')})", 30)

    def said(self, name: str) -> str:
        """Return what is in a log."""
        return (self.folder / name).read_text()

    def end(self) -> None:
        """End it, and with it the server."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(40)

    def _placed(self, text: str) -> str:
        """Put our port, user and paths into the file."""
        text = text.replace("/opt/forge-widgets/bin/forge-widgets", f"{sys.executable} -m forge_widgets.cli")
        text = text.replace("/etc/forge-widgets/token", f"{self.folder}/token")
        text = text.replace("/var/lib/forge-widgets", f"{self.folder}/store")
        text = text.replace("/var/log/supervisor", str(self.folder))
        text = text.replace("--port 8001", f"--port {self.port}")
        return re.sub(r"(?m)^user=.*", f"user={self.user.pw_name}", text)


@pytest.fixture(scope="module")
def supervisor() -> Iterator[Supervisor]:
    user = user_of_this_clone()
    with folder_of(user) as folder:
        made = Supervisor(folder, user)
        try:
            made.until_healthy()
            yield made
        finally:
            made.end()


@contextmanager
def house_at(folder: Path) -> Iterator[House]:
    """A house whose store is this folder."""
    house = House(folder, seed=7)
    try:
        yield house
    finally:
        house.close()


def test_a_killed_server_is_started_again_and_training_and_viewers_go_on(supervisor: Supervisor) -> None:
    with house_at(supervisor.folder / "store") as house:
        house.url = supervisor.url
        training = house.train("supervised", store=supervisor.url, FORGE_WIDGETS_TOKEN=TOKEN)
        viewer, polling = house.watch("supervised"), house.watch("supervised", transport="http")
        killed = supervisor.pid
        assert Path(f"/proc/{killed}").stat().st_uid == supervisor.user.pw_uid
        os.kill(killed, signal.SIGKILL)
        training.goes_on(20)  # on its own machine meanwhile
        supervisor.until_healthy()
        assert supervisor.pid != killed
        # What it has recorded on its own machine is delivered while it goes on.
        step = training.step
        until(lambda: house.end_of("supervised").offset > step, "delivery", 40)
        assert training.stop() == 0
        until(lambda: house.end_of("supervised").offset > training.step, "delivery of the rest")
        house.judge(training, session_id="supervised")
        assert viewer.unbroken, viewer
        assert polling.unbroken, polling


def test_a_stopped_server_tells_its_viewers_to_come_back_and_ends_well(supervisor: Supervisor) -> None:
    url = f"{supervisor.url.replace('http', 'ws', 1)}/ws/told"
    with connect(url, additional_headers=AUTHORIZATION, proxy=None) as viewer:
        assert json.loads(viewer.recv(timeout=10))["type"] == "session_joined"
        assert "stopped" in supervisor.control("stop", "forge-widgets")
        with pytest.raises(ConnectionClosed):
            viewer.recv(timeout=10)
        assert viewer.close_code == 1012
    assert "stopped: forge-widgets (exit status 0)" in supervisor.said("supervisord.log")
    assert "started" in supervisor.control("start", "forge-widgets")
    supervisor.until_healthy()


def test_its_log_is_json_and_neither_log_holds_the_token(supervisor: Supervisor) -> None:
    records = [json.loads(line) for line in supervisor.said("forge-widgets.log").splitlines()]
    assert records
    said = "".join(supervisor.said(path.name) for path in supervisor.folder.glob("*.log"))
    assert f"Serving at {supervisor.url}/" in said
    assert TOKEN not in said
