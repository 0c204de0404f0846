"""What a hostile client sends: answered with 4xx and a reason, changes nothing, and the server goes on."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pytest
from websockets.exceptions import ConnectionClosed

from tests.server.mounts import Json, Mount, until

BAD_IDS = ["..", ".", "a b", "a%2Fb", "%2e%2e", "%00", "a%0Ab", "%F0%9F%92%A5", "x" * 129, "a;b", "<b>", "%FF"]


@pytest.mark.parametrize("bad", BAD_IDS)
def test_a_bad_session_id_is_400(mount: Mount, bad: str) -> None:
    quoted = bad if "%" in bad else bad.replace(".", "%2e").replace(" ", "%20")
    for verb, path in (
        ("GET", "/api/progress/{}"),
        ("POST", "/api/progress/{}/update"),
        ("POST", "/api/progress/{}/error"),
        ("DELETE", "/api/sessions/{}"),
        ("GET", "/api/sessions/{}/events"),
    ):
        # requests normalises %2e%2e away, so the dots go out doubly hidden only where they survive
        answer = mount.ask(verb, path.format(quoted.replace("%2e", "%252e")), json={} if verb == "POST" else None)
        assert answer.status_code == 400, (verb, path, answer.text)
        assert set(answer.json()) >= {"error"}


@pytest.mark.parametrize("harmless", ["__proto__", "constructor", "a..b", "-", "x" * 128])
def test_an_odd_but_valid_session_id_is_a_session(mount: Mount, harmless: str) -> None:
    mount.update(harmless, metrics={"loss": 1.0})
    assert mount.get(f"/api/progress/{harmless}").json()["sessionId"] == harmless


@pytest.mark.parametrize(
    ("text", "status", "where"),
    [
        ("", 400, "body"),
        ("{", 400, "body"),
        ("nothing", 400, "body"),
        (b"\xff\xfe{}", 400, "body"),
        (gzip.compress(b"0" * 10_000_000), 400, "body"),
        ("[" * 100_000, 400, "body"),
        ('{"a":' * 100_000, 400, "body"),
        ('{"unknown": ' + "[" * 50 + "]" * 50 + "}", 400, "body"),
        ("[]", 422, "body"),
        ('"text"', 422, "body"),
        ("null", 422, "body"),
        ('{"metrics": []}', 422, "metrics"),
        ('{"metrics": {"loss": "0.5"}}', 422, "metrics.loss"),
        ('{"metrics": {"loss": null}}', 422, "metrics.loss"),
        ('{"metrics": {"loss": true}}', 422, "metrics.loss"),
        ('{"metrics": {"loss": {}}}', 422, "metrics.loss"),
        ('{"metrics": {"loss": 1e400}}', 422, "body"),
        ('{"metrics": {"loss": -1e400}}', 422, "body"),
        ('{"metrics": {"loss": ' + "9" * 5_000 + "}}", 422, "body"),
        ('{"metrics": {"": 1}}', 422, "metrics"),
        ('{"metrics": {"\\ud800": "0.5"}}', 422, "metrics.?"),
        ('{"metrics": {"a\\u0000b": 1}}', 422, "metrics"),
        (json.dumps({"metrics": {"n" * 201: 1}}), 422, "metrics"),
        (json.dumps({"metrics": {f"m{number}": 1 for number in range(10_000)}}), 422, "metrics"),
        ('{"eventType": "unheard-of"}', 422, "eventType"),
        ('{"eventType": "connection_lost"}', 422, "eventType"),
        ('{"eventType": 7}', 422, "eventType"),
        ('{"status": "odd"}', 422, "status"),
        ('{"message": {}}', 422, "message"),
        (json.dumps({"message": "x" * 100_001}), 422, "message"),
        ('{"timestamp": "yesterday"}', 422, "timestamp"),
        ('{"timestamp": -1}', 422, "timestamp"),
        ('{"timestamp": NaN}', 422, "timestamp"),
        ('{"timestamp": true}', 422, "timestamp"),
        ('{"timestamp": []}', 422, "timestamp"),
        ('{"timestamp": "0001-01-01T00:00:00Z"}', 422, "timestamp"),
        ('{"timestamp": "99999-01-01T00:00:00Z"}', 422, "timestamp"),
        (json.dumps({"idempotencyKey": "k" * 201}), 422, "idempotencyKey"),
        (json.dumps({"eventType": "phase_completed", "phase": "p" * 201}), 422, "phase"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(
    mount: Mount, session_id: str, text: str | bytes, status: int, where: str
) -> None:
    answer = mount.post_text(f"/api/progress/{session_id}/update", text)
    assert answer.status_code == status, answer.text[:500]
    assert f" in {where}: expected " in answer.json()["error"]
    assert len(answer.text) < 1_000
    assert answer.reason in ("Bad Request", "Unprocessable Entity", "Unprocessable Content")
    assert mount.get(f"/api/progress/{session_id}").status_code == 404


@pytest.mark.parametrize("text", ["{}", '{"error": 7}', '{"error": null}', json.dumps({"error": "x" * 100_001})])
def test_an_error_without_a_text_is_422(mount: Mount, session_id: str, text: str) -> None:
    answer = mount.post_text(f"/api/progress/{session_id}/error", text)
    assert (answer.status_code, " in error: expected " in answer.json()["error"]) == (422, True)
    assert mount.get(f"/api/progress/{session_id}").status_code == 404


def test_an_idempotency_key_of_the_header_is_bounded_too(mount: Mount, session_id: str) -> None:
    answer = mount.post(f"/api/progress/{session_id}/update", {}, headers={"Idempotency-Key": "k" * 201})
    assert answer.status_code == 422


def test_the_header_is_bounded_beside_a_key_of_the_body_too(mount: Mount, session_id: str) -> None:
    body = {"metrics": {"loss": 1.0}, "idempotencyKey": "short"}
    answer = mount.post(f"/api/progress/{session_id}/update", body, headers={"Idempotency-Key": "k" * 201})
    assert (answer.status_code, " in Idempotency-Key: expected " in answer.json()["error"]) == (422, True)
    assert mount.get(f"/api/progress/{session_id}").status_code == 404


@pytest.mark.parametrize("text", ["1_0", "nan", "-1", "1e3", "1.5", "9007199254740993", "9" * 500, "%D9%A1", "0x1"])
def test_an_offset_is_whole_and_written_in_digits(mount: Mount, session_id: str, text: str) -> None:
    for path in (f"/api/sessions?limit={text}", f"/api/sessions/{session_id}/events?epoch=e&after={text}"):
        answer = mount.get(path)
        assert (answer.status_code, "expected a whole number" in answer.json()["error"]) == (422, True)


@pytest.mark.parametrize("text", ["1_0", "nan", "inf", "-0.1", "20.1", "1e400", "%D9%A1", "0x1", "."])
def test_a_wait_is_a_number_within_its_bounds(mount: Mount, session_id: str, text: str) -> None:
    answer = mount.get(f"/api/sessions/{session_id}/events?wait={text}")
    assert (answer.status_code, "in wait: expected a number from 0 to 20" in answer.json()["error"]) == (422, True)


def test_an_address_that_is_no_utf_8_is_400_and_says_where(mount: Mount, session_id: str) -> None:
    for path, where in (
        ("/api/sessions?status=%FF", "status"),
        (f"/api/sessions/{session_id}/events?epoch=%FF", "epoch"),
    ):
        answer = mount.get(path)
        assert (answer.status_code, f" in {where}: expected UTF-8" in answer.json()["error"]) == (400, True)
    with mount.socket(f"/ws/{session_id}?protocol=%FF") as socket:
        assert " in protocol: expected UTF-8" in socket.hear()["error"]
        with pytest.raises(ConnectionClosed):
            socket.hear()
    until(lambda: session_id not in mount.context.hub.watched_sessions())


def test_the_address_of_a_socket_opened_by_hand_says_what_it_is(mount: Mount, session_id: str) -> None:
    answer = mount.get(f"/ws/{session_id}")
    assert (answer.status_code, " in Upgrade: expected websocket" in answer.json()["error"]) == (400, True)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_huge_body_is_413(mount: Mount, session_id: str, chunked: bool) -> None:
    piece = b"x" * 100_000
    body = (piece for _ in range(30)) if chunked else piece * 30
    answer = mount.ask(
        "POST", f"/api/progress/{session_id}/update", data=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
    assert "at most 1000000 bytes" in answer.json()["error"]


@pytest.mark.parametrize(
    "message",
    ["<script>alert(1)</script>", "\u202egnp.exe", "\x00\x07\x1b[31m", "\ud800", "__proto__", '"},{"', "\u2028"],
    ids=["markup", "bidi", "control", "surrogate", "proto", "quote", "line-separator"],
)
def test_odd_text_is_text_for_every_viewer(mount: Mount, session_id: str, message: str) -> None:
    with mount.socket(f"/ws/{session_id}") as naive, mount.socket(f"/ws/{session_id}?protocol=1") as own:
        naive.hear()
        own.hear_type("frame")
        metrics = {"__proto__": 1.0, "constructor": 2.0, "\u202eodd": 3.0}
        assert (
            mount.post(f"/api/progress/{session_id}/update", {"metrics": metrics, "message": message}).status_code
            == 200
        )
        shown = naive.hear_type("progress_update")
        assert shown["message"] == message.encode("utf-8", "replace").decode()
        assert shown["metrics"].items() >= metrics.items()
        assert own.hear_type("frame")["to"] == 1
    assert strict(mount.get(f"/api/progress/{session_id}").text)["metrics"].items() >= metrics.items()


def strict(text: str) -> Json:
    """Parse as a browser does: NaN and Infinity are no JSON."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    parsed: Json = json.loads(text, parse_constant=refuse)
    return parsed


def test_nothing_that_is_not_finite_reaches_json(mount: Mount, session_id: str) -> None:
    mount.post_text(f"/api/progress/{session_id}/update", '{"metrics": {"loss": NaN, "up": Infinity}}')
    for path in (f"/api/progress/{session_id}", "/api/sessions", f"/api/sessions/{session_id}/events", "/api/health"):
        strict(mount.get(path).text)
    for query in ("", "?protocol=1"):
        with mount.socket(f"/ws/{session_id}{query}") as socket:
            for _ in range(1 if not query else 3):
                text = socket.connection.recv(timeout=5)
                assert isinstance(text, str)
                strict(text)


def test_a_huge_message_closes_that_connection_and_no_other(mount: Mount, new_id: Callable[[], str]) -> None:
    with mount.socket("/ws") as rude, mount.socket("/ws") as other:
        rude.connection.send("x" * 100_000)
        with pytest.raises(ConnectionClosed):
            rude.hear()
        other.say(type="ping")
        assert other.hear()["type"] == "pong"
    assert mount.get("/api/health").status_code == 200
