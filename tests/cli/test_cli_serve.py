"""``forge-widgets serve`` as a process: it says where it is, lets its token in, and ends on Ctrl-C."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
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


def printed(forge: CommandLine, *arguments: str, **environment: str) -> str:
    """Start a server on a free port and return the URL that it prints."""
    process = forge.start("serve", "--port", "0", *arguments, **environment)
    assert process.stdout is not None
    return process.stdout.readline().split()[-1]


def lets_in(url: str, token: str) -> bool:
    answer = requests.get(f"{url}api/health", headers={"Authorization": f"Bearer {token}"}, timeout=20)
    return answer.status_code == 200


def test_a_token_in_a_file_or_the_environment_is_asked_for_and_not_printed(forge: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("kept-in-a-file\n")
    url = printed(forge, "--token-file", str(file), FORGE_WIDGETS_TOKEN="kept-in-the-environment")
    assert url.endswith("/")
    assert [lets_in(url, token) for token in ("kept-in-a-file", "kept-in-the-environment", "")] == [True, False, False]
    url = printed(forge, FORGE_WIDGETS_TOKEN="kept-in-the-environment")
    assert url.endswith("/")
    assert [lets_in(url, token) for token in ("kept-in-the-environment", "other")] == [True, False]


def test_what_the_command_line_says_goes_before_the_environment(forge: CommandLine) -> None:
    environment = {"FORGE_WIDGETS_TOKEN": "kept-in-the-environment"}
    assert printed(forge, "--token", "mine", **environment).endswith("?token=mine")
    assert lets_in(printed(forge, "--open", **environment), "")
    # One that is empty names none: it would let in everybody.
    assert "?token=" in printed(forge, FORGE_WIDGETS_TOKEN="")


def test_the_token_of_a_store_elsewhere_is_not_asked_for_here(forge: CommandLine) -> None:
    url = printed(forge, "--token", "of-the-remote")
    passed_on = printed(forge, "--store", url.partition("?")[0], FORGE_WIDGETS_TOKEN="of-the-remote")
    here, _, token = passed_on.partition("?token=")
    assert token
    assert not lets_in(here, "of-the-remote")
    assert lets_in(here, token)


@pytest.mark.parametrize("text", ["", "two words", "ä", "x" * 1_001])
def test_a_token_that_no_header_can_hold_is_one_clear_line_that_does_not_repeat_it(
    forge: CommandLine, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "token"
    file.write_text(text, encoding="utf-8")
    answer = forge.run("serve", "--port", "0", "--token-file", str(file))
    said = "can't be used in token: expected 1 to 1,000 characters of ASCII without spaces"
    assert (answer.returncode, answer.stderr) == (1, f"forge-widgets: the token in {file} {said}\n")


def test_a_token_file_that_is_not_there_is_one_clear_line(forge: CommandLine, tmp_path: Path) -> None:
    answer = forge.run("serve", "--port", "0", "--token-file", str(tmp_path / "none"))
    assert answer.returncode == 1
    assert "No such file" in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_it_is_mounted_below_a_path(forge: CommandLine) -> None:
    url = printed(forge, "--base-url", "/training", "--token", "t")
    assert urlsplit(url).path == "/training/"
    assert requests.get(url, timeout=20).url == url.partition("?")[0]
    root = url.partition("/training/")[0]
    assert requests.get(f"{root}/api/health?token=t", timeout=20).status_code == 404


@pytest.mark.parametrize(
    ("option", "value"), [("--base-url", "/a b"), ("--trust-proxy", "nginx"), ("--trust-proxy", "10.0.0.1/8")]
)
def test_a_path_or_a_proxy_that_is_none_is_one_clear_line(forge: CommandLine, option: str, value: str) -> None:
    answer = forge.run("serve", "--port", "0", option, value)
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"forge-widgets: {value!r} can't be used in {option}: expected ")
    assert answer.stderr.count("\n") == 1


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
    [
        ("--open", "--token", "t"),
        ("--open", "--token-file", "f"),
        ("--token", ""),
        ("--token", "two words"),
        ("--log-format", "xml"),
        ("--log-level", "loud"),
        ("--allow-origin", "example.org"),
        ("--allow-origin", "https://example.org/page"),
    ],
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
