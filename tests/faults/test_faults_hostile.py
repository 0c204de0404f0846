"""Hostile input at a real server: answered with 4xx, the process lives, its memory is bounded, every viewer can parse all
that it is sent, and nothing of another session changes."""

from __future__ import annotations

import gzip
import json
import random
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from forge_widgets.stores import open_store
from tests.faults.checker import read_all
from tests.faults.conftest import Effort
from tests.faults.house import TOKEN, House
from tests.faults.process import until

AUTHORIZATION = {"Authorization": f"token {TOKEN}"}
JSON_BODY = {**AUTHORIZATION, "Content-Type": "application/json"}
Json = dict[str, Any]

# Every message of every viewer, as a browser would read it: JSON.parse, and nothing that is not what it was sent as.
PARSE = """
const messages = JSON.parse(require("fs").readFileSync(0, "utf8"));
for (const message of messages) {
  const parsed = JSON.parse(message);
  if (typeof parsed !== "object" || parsed === null) throw new Error(message.slice(0, 200));
}
if ({}.polluted !== undefined) throw new Error("a prototype was changed");
console.log(messages.length);
"""


class Ear:
    """A viewer that keeps every message as it came."""

    def __init__(self, url: str, path: str) -> None:
        self.heard: list[str] = []
        self.path = path
        self._open = ExitStack()
        address = url.replace("http", "ws", 1) + path
        self._connection = self._open.enter_context(
            connect(address, additional_headers=AUTHORIZATION, max_size=None, close_timeout=1, proxy=None)
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def connected(self) -> bool:
        """False once the server has closed it."""
        return self._thread.is_alive()

    def say(self, message: str | bytes) -> None:
        """Send a message."""
        self._connection.send(message)

    def close(self) -> None:
        """Close it."""
        self._open.close()
        self._thread.join(10)

    def _listen(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                message = self._connection.recv()
                assert isinstance(message, str)
                self.heard.append(message)


@contextmanager
def viewers(house: House, *sessions: str) -> Iterator[list[Ear]]:
    """Watch sessions, each as a naive client and by our own protocol; in the end all that they heard has to be JSON."""
    ears = [Ear(house.url, path) for name in sessions for path in (f"/ws/{name}", f"/ws/{name}?protocol=1")]
    try:
        for ear in ears:
            until(lambda ear=ear: ear.heard, f"message at {ear.path}")  # type: ignore[misc]
        yield ears
    finally:
        for ear in ears:
            ear.close()
    assert_parsed([message for ear in ears for message in ear.heard])


def assert_parsed(messages: list[str]) -> None:
    """See that a browser's JSON.parse understands every message."""
    told = subprocess.run(
        ["node", "-e", PARSE], input=json.dumps(messages), text=True, capture_output=True, timeout=60, check=False
    )
    assert told.returncode == 0, told.stderr[-2_000:]
    assert int(told.stdout) == len(messages)


def ask(house: House, verb: str, path: str, **options: Any) -> requests.Response:
    return requests.request(
        verb, house.url + path, headers=JSON_BODY | options.pop("headers", {}), timeout=30, **options
    )


def quiet_session(house: House, name: str = "quiet") -> list[object]:
    """Record something into a session that is to stay as it is, and return its log."""
    for body in ({"eventType": "training_started"}, {"metrics": {"loss": 1.0, "currentStep": 1}}, {"message": "calm"}):
        assert ask(house, "POST", f"/api/progress/{name}/update", json=body).status_code == 200
    return log_of(house, name)


def log_of(house: House, name: str) -> list[object]:
    with closing(open_store(house.folder)) as store:
        return list(read_all(store, name).records)


REFUSED: list[tuple[str, bytes]] = [
    ("a number beyond doubles", b'{"metrics": {"loss": 1e400}}'),
    ("5,000 digits", b'{"metrics": {"loss": ' + b"9" * 5_000 + b"}}"),
    ("nesting 100,000 deep", b"[" * 100_000 + b"]" * 100_000),
    ("objects 100,000 deep", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    ("nesting in an unknown field", b'{"unknown": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ("10,000 metrics", json.dumps({"metrics": {f"m{number}": 1 for number in range(10_000)}}).encode()),
    ("a name of 100,000", json.dumps({"metrics": {"n" * 100_000: 1}}).encode()),
    ("control characters in a name", b'{"metrics": {"a\\u0000b": 1}}'),
    ("no UTF-8", b'{"message": "\xff\xfe"}'),
    ("no JSON", b"{'loss': 1}"),
    ("no object", b'["__proto__"]'),
    ("gzip that is not announced", gzip.compress(bytes(100_000))),
]

ODD: list[Json] = [
    {"metrics": {"__proto__": 1.0, "constructor": 2.0, "toString": 3.0, "polluted": 4.0}},
    {"metrics": {"\u202egnol\u2066": 1.0, "\u200b": 2.0, "a\u2028b": 3.0}, "message": "\u202e\u2066 txt.exe"},
    {"message": "\x00\x07\x1b[31m\x7f \u2028\u2029 </script><!--"},
    {"message": "\ud800 and \udfff", "metrics": {"\ud800": 5.0}},
    {"eventType": "phase_completed", "phase": "__proto__"},
    {"eventType": "training_error", "error": "<img src=x onerror=alert(1)>\u202e"},
    {"metrics": {"loss": float("nan"), "up": float("inf"), "down": float("-inf"), "least": 5e-324, "most": 1.7e308}},
    {"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}, "metrics": {"loss": 1.0}},
]


def test_hostile_updates_are_refused_or_are_text_for_every_viewer(
    house: House, effort: Effort, chance: random.Random
) -> None:
    server = house.serve()
    before = quiet_session(house)
    assert ask(house, "POST", "/api/progress/loud/update", json={"metrics": {"loss": 1.0}}).status_code == 200
    with viewers(house, "loud", "quiet") as ears:
        memory = server.memory_kb
        for _ in range(effort(1, 30)):
            for what, body in chance.sample(REFUSED, len(REFUSED)):
                for path in ("/api/progress/loud/update", "/api/progress/new/error", "/api/sessions/new/records"):
                    answer = ask(house, "POST", path, data=body)
                    assert 400 <= answer.status_code < 500, (what, path, answer.status_code)
                    assert " expected " in answer.json()["error"], (what, answer.text)
                    assert len(answer.content) < 2_000, what
            for odd in ODD:
                answer = ask(house, "POST", "/api/progress/loud/update", data=json.dumps(odd).encode())
                assert answer.status_code == 200, (odd, answer.text)
        goal = ask(house, "GET", "/api/sessions/loud/events").json()["frame"]["to"]
        own = next(ear for ear in ears if ear.path == "/ws/loud?protocol=1")
        until(lambda: f'"to":{goal},' in own.heard[-1] or f'"top":{goal},' in own.heard[-1], f"arrival at {goal}")
        assert server.memory_kb < memory + 60_000
    answers = [
        ask(house, "GET", path).text
        for path in ("/api/progress/loud", "/api/sessions", "/api/sessions/loud/events", "/api/sessions/loud/records")
    ]
    assert_parsed(answers)
    assert json.loads(answers[0])["nonfinite"].items() >= {"up": "Infinity", "down": "-Infinity"}.items()
    assert ask(house, "GET", "/api/progress/new").status_code == 404
    assert log_of(house, "quiet") == before


def test_hostile_messages_leave_other_viewers_alone(house: House) -> None:
    house.serve()
    before = quiet_session(house)
    said: list[str | bytes] = [
        "[" * 60_000,
        '{"type": "\\ud800"}',
        '{"type": 1e400}',
        b"\x00\xff",
        '{"type":"ping"',
        "NaN",
    ]
    said += [
        '{"type": "join_room", "sessionId": "../quiet"}',
        '{"type": "__proto__"}',
        '{"__proto__": {"type": "ping"}}',
    ]
    with viewers(house, "quiet") as ears:
        for path in ("/ws", "/ws/quiet", "/ws/quiet?protocol=1"):
            rude = Ear(house.url, path)
            for message in said:
                rude.say(message)
            rude.say('{"type": "ping"}')
            until(lambda rude=rude: any('"pong"' in heard for heard in rude.heard), "pong")  # type: ignore[misc]
            assert sum('"error"' in heard for heard in rude.heard) >= len(said)
            rude.close()
            assert_parsed(rude.heard)
        huge = Ear(house.url, "/ws/quiet")
        huge.say("x" * 1_000_000)
        until(lambda: not huge.connected, "end of who sends too much")
        assert all(ear.connected for ear in ears)
    assert log_of(house, "quiet") == before


def test_odd_ids_are_refused_and_lead_nowhere(house: House) -> None:
    house.serve()
    before = quiet_session(house)
    files = {
        path for path in house.folder.parent.rglob("*") if path.name not in ("quiet.sqlite-wal", "quiet.sqlite-shm")
    }
    for bad in (
        "..",
        ".",
        "%2e%2e",
        "%2e",
        "..%2f..%2fetc",
        "a%00",
        "%ff",
        "a%0d%0ab",
        "%E2%80%AE",
        "x" * 129,
        "a%5cb",
        "~",
    ):
        for verb, path in (
            ("GET", f"/api/progress/{bad}"),
            ("POST", f"/api/progress/{bad}/update"),
            ("DELETE", f"/api/sessions/{bad}"),
            ("GET", f"/api/sessions/{bad}/records"),
            ("POST", f"/api/sessions/{bad}/records"),
            ("PUT", f"/api/sessions/{bad}/heartbeats"),
        ):
            status = int(raw(house, verb, path, b"{}").split(b" ", 2)[1])
            assert status in (400, 404), (verb, path, status)
    left = {
        path for path in house.folder.parent.rglob("*") if path.name not in ("quiet.sqlite-wal", "quiet.sqlite-shm")
    }
    assert left == files
    assert log_of(house, "quiet") == before


def raw(house: House, verb: str, path: str, body: bytes) -> bytes:
    """Send a request as it is: no client library tidies the address up."""
    head = "\r\n".join(
        [
            *(f"{verb} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: token {TOKEN}", "Connection: close"),
            *(f"Content-Length: {len(body)}", "Content-Type: application/json"),
        ]
    )
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        heard = b""
        while piece := connection.recv(65_536):
            heard += piece
    return heard


def test_a_bomb_and_a_body_of_100_megabytes_take_no_memory(house: House, effort: Effort) -> None:
    server = house.serve()
    before = quiet_session(house)
    memory = server.memory_kb
    # A thousand times as large when it is inflated.
    bomb = gzip.compress(bytes(900_000_000) if effort(0, 1) else bytes(300_000_000), 9)
    assert len(bomb) < 1_000_000
    for path in ("/api/progress/new/update", "/api/sessions/new/records"):
        answer = ask(house, "POST", path, data=bomb, headers={"Content-Encoding": "gzip"})
        assert answer.status_code == 413
        assert "at most 8000000 bytes" in answer.json()["error"]
    for verb, path, announced in (
        ("POST", "/api/progress/new/update", True),
        ("POST", "/api/progress/new/update", False),
        ("POST", "/api/sessions/new/records", False),
        ("GET", "/api/progress/quiet", True),
        ("GET", "/nothing", False),
    ):
        status, taken = pour(house, verb, path, 100_000_000, announced=announced)
        assert status in (400, 404, 413, 0), (verb, path, status)
        assert taken < 100_000_000, (verb, path)
        assert server.memory_kb < memory + 60_000, (verb, path)
    assert ask(house, "GET", "/api/progress/new").status_code == 404
    assert log_of(house, "quiet") == before


def pour(house: House, verb: str, path: str, size: int, *, announced: bool) -> tuple[int, int]:
    """Send a large body, announced or in chunks; return the status (0: none) and the bytes that the server has taken."""
    length = f"Content-Length: {size}" if announced else "Transfer-Encoding: chunked"
    head = f"{verb} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: token {TOKEN}\r\n{length}\r\n\r\n"
    piece = b"x" * 100_000
    sent = piece if announced else b"186a0\r\n" + piece + b"\r\n"
    taken, heard = 0, b""
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as connection:
        with suppress(ConnectionError):
            connection.sendall(head.encode())
            while taken < size:
                connection.sendall(sent)
                taken += len(piece)
        with suppress(ConnectionError):
            heard = connection.recv(1_000)
    return (int(heard.split(b" ", 2)[1]) if heard else 0), taken


def test_clients_that_trickle_or_say_nothing_are_let_go_and_keep_nobody_waiting(house: House, effort: Effort) -> None:
    server = house.serve(FORGE_FAULTS_PATIENCE_S="2")
    before = quiet_session(house)
    sockets, memory = server.open_sockets, server.memory_kb
    headers = f"POST /api/progress/slow/update HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: token {TOKEN}\r\n"
    begun = [
        b"",
        b"POST /api/pro",
        headers.encode(),
        (headers + "Content-Length: 1000\r\n\r\n").encode(),
        (headers + "Transfer-Encoding: chunked\r\n\r\n5\r\n").encode(),
        headers.replace("POST", "GET").encode() + b"Content-Length: 1000\r\n\r\n",
    ]
    count = effort(120, 600)
    with ExitStack() as opened:
        slow = [
            opened.enter_context(socket.create_connection(("127.0.0.1", house.port), timeout=10)) for _ in range(count)
        ]
        started = time.monotonic()
        for number, connection in enumerate(slow):
            connection.sendall(begun[number % len(begun)])
        # Not all at one moment, perhaps: on a busy machine the first are let go before the last have come.
        until(lambda: server.open_sockets >= sockets + count // 2, "their connections")
        slowest = 0.0
        while server.open_sockets > sockets + 2:
            assert time.monotonic() - started < 30, f"{server.open_sockets - sockets} of {count} are still held"
            for connection in slow:
                with suppress(OSError):  # it was let go
                    connection.sendall(b"x")
            asked = time.monotonic()
            assert ask(house, "GET", "/api/progress/quiet").status_code == 200
            slowest = max(slowest, time.monotonic() - asked)
            time.sleep(0.2)  # the trickle
        print(
            f"{count} connections were let go after {time.monotonic() - started:.1f} s; an answer took {slowest:.3f} s at most"
        )
    assert slowest < 5
    assert server.memory_kb < memory + 60_000
    assert ask(house, "GET", "/api/progress/slow").status_code == 404
    assert log_of(house, "quiet") == before
