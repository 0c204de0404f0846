"""What ``forge-widgets serve`` logs: a record for each request, start and end, in text or JSON, and never the token."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from websockets.sync.client import connect

from forge_widgets.server.logs import LogFormat, configure_logs
from forge_widgets.stores.memory import MemoryStore
from tests.server.mounts import Mount, standalone, until
from tests.server.serving import serving

SECRET = "a token/that+is=secret"


@contextmanager
def logged(log_format: LogFormat, level: str = "info", token: str | None = SECRET) -> Iterator[io.StringIO]:
    """Log into a text for a while."""
    root, stream = logging.getLogger(), io.StringIO()
    before = root.level
    handler = configure_logs(log_format, level, token=token, stream=stream)
    try:
        yield stream
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


def test_a_served_session_leaves_records_that_a_machine_can_read(tmp_path: Path) -> None:
    token = "an-own-token-for-the-log"
    with serving(tmp_path / "store", "--token", token, "--log-format", "json", "--trust-proxy", "127.0.0.1") as server:
        client = {"X-Forwarded-For": "203.0.113.7"}
        server.ask("POST", "/api/progress/a/update", token, json={"metrics": {"loss": 1.0}}, headers=client)
        server.ask("GET", f"/api/progress/a?token={token}")
        server.ask("GET", "/api/sessions?token=a-wrong-one")
        server.ask("GET", "/api/health", token)
        server.ask("GET", "/nothing%0Ahere", token)
        with connect(f"{server.url.replace('http', 'ws', 1)}/ws/a?token={token}") as socket:
            socket.recv(timeout=10)
        server.stop()
        assert server.wait() == 0
    assert not [line for line in server.logged if token in line or "a-wrong-one" in line]
    start, *requests, stopping, stopped = server.records
    assert start["message"] == f"serving sqlite:///{tmp_path / 'store'} at {server.url}/"
    assert (stopping["message"], stopped["message"]) == ("stopping: SIGTERM", "stopped")
    assert all({"timestamp", "level", "logger", "message"} <= set(record) for record in server.records)
    facts = [
        (one["status"], one["method"], one["path"], one.get("session_id"), one.get("reason"), one["remote"])
        for one in requests
    ]
    here = "127.0.0.1"
    assert facts == [
        (200, "POST", "/api/progress/a/update", "a", None, "203.0.113.7"),
        (200, "GET", "/api/progress/a", "a", None, here),
        (403, "GET", "/api/sessions", None, "the token is a wrong one", here),
        (404, "GET", "/nothing%0Ahere", None, None, here),
        (101, "GET", "/ws/a", "a", None, here),
    ]
    assert all(0 <= one["duration_ms"] < 20_000 for one in requests)


def test_text_is_a_line_each_and_probes_are_seen_with_debug_alone(tmp_path: Path) -> None:
    for level, probes in (("info", 0), ("debug", 2)):
        with logged("text", level) as stream, standalone(tmp_path / level) as mount:
            for path in ("/api/health", "/metrics", "/api/sessions", "/api/sessions/a/records"):
                mount.get(path)
            until(lambda stream=stream: "404 GET" in stream.getvalue())  # type: ignore[misc]
            lines = [line for line in stream.getvalue().splitlines() if "server.requests" in line]
        assert len(lines) == 2 + probes
        assert lines[-1].split(" ms ")[0].rpartition(" ")[0].endswith("404 GET /api/sessions/a/records")
        assert lines[-1].endswith("127.0.0.1")


def test_at_the_default_level_a_request_costs_no_record(standalone_mount: Mount) -> None:
    with logged("text", "warning") as stream:
        standalone_mount.get("/api/sessions")
        assert standalone_mount.ask("GET", "/api/health", headers={"Authorization": "token no"}).status_code == 403
        assert stream.getvalue() == ""


def test_the_first_page_and_the_first_name_that_an_option_would_let_in_are_told_at_the_default_level(
    tmp_path: Path,
) -> None:
    with logged("text", "warning") as stream, standalone(tmp_path / "store") as mount:
        for headers in ({"Origin": "null"}, {"Origin": "https://elsewhere.example"}, {"Host": "elsewhere.example"}) * 2:
            assert requests.get(f"{mount.url}/api/sessions", headers=headers, timeout=10).status_code == 403
        assert requests.get(f"{mount.url}/api/sessions", timeout=10).status_code == 403
        until(lambda: "--allow-host" in stream.getvalue())
    first, second = stream.getvalue().splitlines()
    assert "WARNING forge_widgets.server.requests: 403 GET /api/sessions" in first
    assert first.endswith("(the Origin is not known; --allow-origin names further ones)")
    assert second.endswith("(the Host is not known; --allow-host names further ones)")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_token_is_taken_out_of_whatever_a_library_says(log_format: LogFormat) -> None:
    with logged(log_format) as stream:
        log = logging.getLogger("some.library")
        log.warning("GET /?token=%s", SECRET)
        log.warning("GET /?token=%s", quote(SECRET, safe=""))
        try:
            raise ValueError(f"no such thing: {SECRET}")
        except ValueError:
            log.exception("it failed")
        said = stream.getvalue()
    assert said.count("[token]") >= 3
    assert SECRET not in said
    assert quote(SECRET, safe="") not in said


def test_a_word_that_is_a_token_too_is_left_in_the_log() -> None:
    with logged("text", token="is") as stream:
        logging.getLogger("some.library").warning("this is said")
        assert "this is said" in stream.getvalue()


class OddStore(MemoryStore):
    """A store that fails as nobody foresaw."""

    def version(self, session_id: str) -> object:
        raise RuntimeError("odd")


def test_a_request_that_fails_is_an_error_with_its_cause() -> None:
    with logged("json") as stream, standalone(OddStore()) as mount:
        mount.get("/api/sessions/a/version")
        until(lambda: "500 GET" in stream.getvalue())
        cause, request = map(json.loads, stream.getvalue().splitlines())
    assert cause["message"] == "GET /api/sessions/a/version failed"
    assert "RuntimeError: odd" in cause["exc_info"]
    assert (cause["level"], request["level"], request["status"]) == ("ERROR", "ERROR", 500)
