"""``forge-widgets serve`` as a process: it says where it is, lets its token in, and ends on Ctrl-C."""

from __future__ import annotations

import signal
import socket
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from forge_widgets.cli.arguments import origin
from forge_widgets.core.steps import block_of
from tests.cli.conftest import CommandLine

STEP = block_of([(1_763_800_000.0, {"currentStep": 7.0, "loss": 0.5})])


def started(forge: CommandLine, *arguments: str) -> tuple[str, str]:
    """Start a server on a free port; return its URL without the query, and the token."""
    process = forge.start("serve", "--port", "0", *arguments)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Serving at http://127.0.0.1:"), line
    parts = urlsplit(line.split()[-1])
    return f"http://{parts.netloc}", parse_qs(parts.query).get("token", [""])[0]


def test_the_printed_url_lets_in_and_nothing_else_does(forge: CommandLine) -> None:
    forge.record("cognate-1", STEP)
    url, token = started(forge)
    assert len(token) >= 20
    assert requests.get(f"{url}/api/sessions", timeout=10).status_code == 403
    answer = requests.get(f"{url}/api/sessions", params={"token": token}, timeout=10)
    assert [found["sessionId"] for found in answer.json()["sessions"]] == ["cognate-1"]


def test_a_token_of_ones_own_and_open_mode_are_passed_on(forge: CommandLine) -> None:
    url, token = started(forge, "--token", "mine")
    assert token == "mine"
    url, token = started(forge, "--open", "--allow-origin", "https://a.example", "--allow-host", "b.example")
    assert token == ""
    answer = requests.get(f"{url}/api/health", headers={"Origin": "https://a.example", "Host": "b.example"}, timeout=10)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://a.example"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_good_order(forge: CommandLine, number: signal.Signals) -> None:
    process = forge.start("serve", "--port", "0")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")


def test_a_port_in_use_is_one_clear_line(forge: CommandLine) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        answer = forge.run("serve", "--port", str(port))
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"forge-widgets: port {port} is in use")
    assert answer.stderr.count("\n") == 1


def test_an_address_of_another_machine_is_one_clear_line(forge: CommandLine) -> None:
    answer = forge.run("serve", "--host", "192.0.2.1", "--port", "0")
    said = "192.0.2.1:0 can't be bound (Cannot assign requested address) in host: expected an address of this machine"
    assert (answer.returncode, answer.stderr) == (1, f"forge-widgets: {said}\n")


@pytest.mark.parametrize(
    "wrong",
    [("--open", "--token", "t"), ("--allow-origin", "example.org"), ("--allow-origin", "https://example.org/page")],
)
def test_what_makes_no_sense_together_or_alone_is_used_wrongly(forge: CommandLine, wrong: tuple[str, ...]) -> None:
    assert forge.run("serve", "--port", "0", *wrong).returncode == 2


@pytest.mark.parametrize("known", ["https://example.org", "http://localhost:8888", "vscode-webview://x", "null", "*"])
def test_an_origin_is_read(known: str) -> None:
    assert origin(known) == known


def test_a_limit_is_changed_by_its_name(forge: CommandLine) -> None:
    process = forge.start("serve", "--port", "0", "--token", "t", "--limit", "max_sessions=1", "--limit", "max_rooms=5")
    assert process.stdout is not None
    url = process.stdout.readline().split()[-1].partition("?")[0]
    statuses = [
        requests.post(
            f"{url}api/progress/{name}/update", json={}, headers={"Authorization": "token t"}, timeout=20
        ).status_code
        for name in ("a", "b", "a")
    ]
    assert statuses == [200, 507, 200]


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("max_roms=5", "'max_roms=5' is no limit in --limit: expected max_rooms=VALUE, perhaps"),
        ("colour=5", "'colour=5' is no limit in --limit: expected NAME=VALUE, NAME one of max_body_bytes, "),
        ("max_rooms", "'max_rooms' has no value in --limit: expected max_rooms=VALUE"),
        ("max_rooms=many", "'many' can't be used in max_rooms: expected a whole"),
    ],
)
def test_a_limit_that_makes_no_sense_is_one_clear_line(forge: CommandLine, limit: str, said: str) -> None:
    answer = forge.run("serve", "--port", "0", "--limit", limit)
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"forge-widgets: {said}")
    assert len(answer.stderr.splitlines()) == 1


def test_help_lists_every_limit(forge: CommandLine) -> None:
    said = forge.run("serve", "--help").stdout
    assert "max_rooms=100\n" in said
    assert "disk_quota_bytes=none\n" in said
