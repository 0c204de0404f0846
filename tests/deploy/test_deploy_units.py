"""The systemd unit and the JupyterHub fragment: read by those who will read them, and the commands in them run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from traitlets.config.loader import PyFileConfigLoader

from tests.deploy.ordinary import program
from tests.deploy.serving import answers, serving
from tests.faults.house import TOKEN
from tests.faults.process import ROOT

FILES = ROOT / "docs" / "deploy"
COMMAND = "/opt/forge-widgets/bin/forge-widgets"


def serves(options: list[str], folder: Path, below: str = "") -> None:
    """Start a server with the options that a file gives it, in a folder and on a port of our own, and see that it answers."""
    (folder / "token").write_text(TOKEN)
    text = " ".join(options).replace("--base-url=", "--base-url ").replace("--port=", "--port ")
    assert "--port 8001" in text
    text = text.replace("--port 8001", "").replace("/var/lib/forge-widgets", f"{folder}/store")
    with serving(folder / "store", *text.replace("/etc/forge-widgets", str(folder)).split()) as server:
        assert server.url.endswith(below)
        assert answers(server.url)


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "forge-widgets.service"
    unit.write_text((FILES / unit.name).read_text().replace(COMMAND, "/bin/true"))
    found = subprocess.run(
        [program("systemd-analyze"), "verify", "--man=no", unit],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (found.returncode, found.stderr) == (0, "")


def test_the_units_command_serves(tmp_path: Path) -> None:
    text = (FILES / "forge-widgets.service").read_text().replace("\\\n", " ")
    command = re.findall(r"(?m)^ExecStart=(.*)", text)[0].split()
    assert command[:2] == [COMMAND, "serve"]
    # What systemd makes of its specifiers.
    options = [word.replace("%S", "/var/lib").replace("%d", "/etc/forge-widgets") for word in command[2:]]
    serves(options, tmp_path)


def test_the_hubs_service_is_served_where_the_hub_leads_to(tmp_path: Path) -> None:
    config = PyFileConfigLoader("jupyterhub_config.py", path=str(FILES)).load_config()
    initial: list[dict[str, Any]] = []
    (service,) = config.JupyterHub.services.get_value(initial)
    command = service["command"]
    assert command[:2] == [COMMAND, "serve"]
    assert f"--base-url=/services/{service['name']}/" in command
    assert f"--port={service['url'].rsplit(':', 1)[1]}" in command
    serves(command[2:], tmp_path, f"/services/{service['name']}")
