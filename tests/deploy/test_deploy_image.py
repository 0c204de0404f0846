"""The Dockerfile without docker: linted, its start and its health check run; and, in `make soak`, all its steps, in order."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.deploy.dockerfile import Instruction, copy_context, instructions
from tests.deploy.nginx import free_ports
from tests.deploy.serving import AUTHORIZATION, answers
from tests.faults.conftest import is_long
from tests.faults.house import TOKEN
from tests.faults.process import ROOT, until

DOCKERFILE = ROOT / "docs" / "deploy" / "Dockerfile"
STEPS = instructions(DOCKERFILE)
LAST_STAGE = STEPS[max(index for index, step in enumerate(STEPS) if step.word == "FROM") :]


def the_last(word: str) -> Instruction:
    return [step for step in LAST_STAGE if step.word == word][-1]


class Container:
    """The image's file system as a folder of this machine, and a port of its own in the place of 8001."""

    def __init__(self, root: Path, programs: Path) -> None:
        self.root = root
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        # Where commands run: WORKDIR, the root in the last stage.
        self.place = root
        for folder in ("data", "src", "opt/forge-widgets", "run/secrets"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "PYTHON", "VIRTUAL"))
        }
        self.environment = {**kept, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

    def placed(self, text: str) -> str:
        """Put this folder and this port in the place of the image's."""
        text = re.sub(r"(?<![\w./-])/(data|src|opt|run)\b", lambda found: f"{self.root}{found[0]}", text)
        return text.replace("8001", str(self.port))

    def become(self, step: Instruction) -> None:
        """Take ENV."""
        for name, value in re.findall(r"(\w+)=(\S+)", step.rest):
            self.environment[name] = self.placed(value).replace("$PATH", self.environment["PATH"])

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command of the image to its end."""
        return subprocess.run(
            [self.placed(word) for word in command],
            check=False,
            capture_output=True,
            text=True,
            timeout=900,
            env=self.environment,
            cwd=self.place,
        )

    @contextmanager
    def started(self) -> Iterator[subprocess.Popen[str]]:
        """Run ENTRYPOINT and CMD."""
        command = [self.placed(word) for word in the_last("ENTRYPOINT").command + the_last("CMD").command]
        with (self.root / "log").open("w") as log:
            process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, cwd=self.root, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.wait(20)

    def healthy(self) -> int:
        """Run HEALTHCHECK; 0 is healthy."""
        return self.run(the_last("HEALTHCHECK").command).returncode


def serves_and_is_healthy(container: Container) -> None:
    """Start it, ask it, ask for its health, and let docker stop it."""
    container.environment["FORGE_WIDGETS_TOKEN"] = TOKEN
    with container.started() as process:
        until(lambda: answers(container.url), f"health ({(container.root / 'log').read_text()})", 60)
        assert container.healthy() == 0
        update = {"metrics": {"loss": 0.5}}
        url = f"{container.url}/api/progress/contained/update"
        assert requests.post(url, json=update, headers=AUTHORIZATION, timeout=10).ok
        container.environment["FORGE_WIDGETS_TOKEN"] = "another-token"
        assert container.healthy() == 1
        (container.root / "run/secrets/forge-widgets-token").write_text(f"{TOKEN}\n")
        assert container.healthy() == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert container.healthy() == 1
    assert list((container.root / "data").rglob("contained*"))
    assert (container.root / "log").read_text().startswith("{")
    assert TOKEN not in (container.root / "log").read_text()


def test_hadolint_finds_nothing() -> None:
    found = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), DOCKERFILE],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (found.returncode, found.stdout) == (0, "")


def test_nobody_special_runs_it_and_what_it_writes_is_in_the_volume() -> None:
    assert the_last("USER").rest == "10001:10001"
    assert the_last("VOLUME").rest == "/data"
    assert the_last("EXPOSE").rest == "8001"
    assert (
        "token" not in " ".join(step.rest for step in STEPS if step.word in ("ENV", "ARG", "ENTRYPOINT", "CMD")).lower()
    )


def test_the_images_command_serves_and_its_health_check_tells(tmp_path: Path) -> None:
    container = Container(tmp_path, Path(sys.executable).parent)
    container.become(the_last("ENV"))
    (tmp_path / "opt/forge-widgets/health.py").write_text(
        container.placed((DOCKERFILE.parent / "health.py").read_text())
    )
    serves_and_is_healthy(container)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.skipif(not is_long(), reason="builds and installs the package anew: part of make soak")
def test_the_steps_of_the_image_in_order_make_an_environment_that_serves(tmp_path: Path) -> None:
    # The python of python:3.11-slim is the one that this environment was made from.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to(getattr(sys, "_base_executable", sys.executable))
    container = Container(tmp_path, tmp_path / "bin")
    for step in STEPS:
        if step.word == "FROM":
            container.place = tmp_path
        elif step.word == "WORKDIR":
            container.place = Path(container.placed(step.rest))
        elif step.word == "COPY" and step.rest == ". .":
            copy_context(ROOT, tmp_path / "src")
        elif step.word == "COPY" and not step.rest.startswith("--from"):
            source, place = step.rest.split()
            assert (tmp_path / "src" / source).is_file(), f"{source} is kept away by .dockerignore"
            Path(container.placed(place)).write_text(container.placed((tmp_path / "src" / source).read_text()))
        elif step.word == "ENV":
            container.become(step)
        elif step.word == "RUN":
            line = step.rest if os.getuid() == 0 else re.sub("10001", str(os.getuid()), step.rest)
            done = container.run(["/bin/sh", "-c", line])
            assert done.returncode == 0, f"{line}\n{done.stdout[-3_000:]}{done.stderr[-3_000:]}"
    installed = container.run(["python", "-c", "import forge_widgets, socketio; print(forge_widgets.__file__)"])
    assert installed.stdout.startswith(str(tmp_path / "opt")), installed
    serves_and_is_healthy(container)
