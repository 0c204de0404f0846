"""The contract as bytes: requests and frames written by hand, as clients of any make may write them."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Callable

import pytest

from tests.contract.servers import Server
from tests.contract.wire import CLOSE, PING, PONG, TEXT, Frames, Line

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
UPDATE = json.dumps({"eventType": "step_update", "metrics": {"loss": 0.5, "currentStep": 7}})
JSON = "Content-Type: application/json"
LENGTH = f"Content-Length: {len(UPDATE)}"


def test_one_connection_carries_several_requests(mount: Server, session_id: str) -> None:
    """
    a client written against it works unchanged
    """
    with Line(mount) as line:
        line.write(line.head("POST", f"/api/progress/{session_id}/update", JSON, LENGTH) + UPDATE)
        assert line.answer().json == {"status": "success", "sessionId": session_id}
        line.write(line.head("GET", f"/api/progress/{session_id}"))
        first = line.answer()
        assert (first.version, first.status, first.json["metrics"]["loss"]) == ("HTTP/1.1", 200, 0.5)
        line.write(line.head("GET", "/api/progress/no-such-session"))
        assert line.answer().status == 404
        line.write(line.head("GET", "/api/sessions?limit=1"))
        assert line.answer().json["sessions"]


def test_two_requests_in_one_go_are_answered_in_their_order(mount: Server, session_id: str) -> None:
    """
    a client written against it works unchanged
    """
    with Line(mount) as line:
        update = line.head("POST", f"/api/progress/{session_id}/update", JSON, LENGTH) + UPDATE
        line.write(update + line.head("GET", f"/api/progress/{session_id}"))
        assert line.answer().json["status"] == "success"
        assert line.answer().json["metrics"]["currentStep"] == 7


def test_a_refused_request_does_not_spoil_the_connection(mount: Server, session_id: str) -> None:
    """
    Bad input is answered 400 or 422
    """
    with Line(mount) as line:
        line.write(line.head("POST", f"/api/progress/{session_id}/update", JSON, "Content-Length: 5") + "{nope")
        assert line.answer().status == 400
        line.write(line.head("POST", f"/api/progress/{session_id}/update", JSON, LENGTH) + UPDATE)
        assert line.answer().status == 200


def test_a_body_may_come_in_chunks(mount: Server, session_id: str) -> None:
    """
    `POST PREFIX/api/progress/{session_id}/update`
    """
    with Line(mount) as line:
        line.write(line.head("POST", f"/api/progress/{session_id}/update", JSON, "Transfer-Encoding: chunked"))
        for start in range(0, len(UPDATE), 9):
            piece = UPDATE[start : start + 9]
            line.write(f"{len(piece):x}\r\n{piece}\r\n")
        line.write("0\r\n\r\n")
        assert line.answer().json == {"status": "success", "sessionId": session_id}


def test_a_client_may_wait_to_be_asked_for_its_body(mount: Server, session_id: str) -> None:
    """
    `POST PREFIX/api/progress/{session_id}/update`
    """
    with Line(mount) as line:
        line.write(line.head("POST", f"/api/progress/{session_id}/update", JSON, LENGTH, "Expect: 100-continue"))
        assert line.answer(bodiless=True).status == 100
        line.write(UPDATE)
        assert line.answer().json == {"status": "success", "sessionId": session_id}


@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_headers_may_be_written_in_any_case(mount: Server, session_id: str, spelling: Callable[[str], str]) -> None:
    """
    a client written against it works unchanged
    """
    with Line(mount) as line:
        verb_line, *headers = line.head("POST", f"/api/progress/{session_id}/update", JSON, LENGTH).split("\r\n")
        spelled = [
            spelling(name) + ":" + value for name, _, value in (header.partition(":") for header in headers) if name
        ]
        line.write("\r\n".join([verb_line, *spelled, "", ""]) + UPDATE)
        assert line.answer().status == 200


def test_an_old_client_is_answered_and_let_go(mount: Server, session_id: str) -> None:
    """
    a client written against it works unchanged
    """
    mount.step(session_id, loss=0.5)
    with Line(mount) as line:
        line.write(line.head("GET", f"/api/progress/{session_id}", version="HTTP/1.0"))
        answer = line.answer()
        assert (answer.status, answer.json["metrics"]["loss"]) == (200, 0.5)
        assert line.read(1) == b"", "an HTTP/1.0 client reads to the end of the connection"


def test_the_content_type_need_not_be_said_by_who_has_the_token(mount: Server, session_id: str) -> None:
    """
    `POST PREFIX/api/progress/{session_id}/update`
    """
    with Line(mount) as line:
        line.write(line.head("POST", f"/api/progress/{session_id}/update", LENGTH) + UPDATE)
        assert line.answer().status == 200


# --- WebSocket ------------------------------------------------------------------------------------


def test_a_handshake_by_hand_is_answered_as_the_standard_says(mount: Server, session_id: str) -> None:
    """
    WebSocket `PREFIX/ws/{session_id}`
    """
    with Frames(mount, f"/ws/{session_id}") as frames:
        shaken = frames.handshake
        accepted = base64.b64encode(hashlib.sha1((frames.key + GUID).encode()).digest()).decode()
        assert (shaken.status, shaken.headers["sec-websocket-accept"]) == (101, accepted)
        assert shaken.headers["upgrade"].lower() == "websocket"
        assert "sec-websocket-extensions" not in shaken.headers
        assert frames.hear()["type"] == "session_joined"


def test_a_message_may_come_in_pieces_with_a_ping_between_them(mount: Server, session_id: str) -> None:
    """
    JSON text messages
    """
    with Frames(mount, f"/ws/{session_id}") as frames:
        assert frames.hear()["type"] == "session_joined"
        frames.frame(TEXT, '{"type": "get_', final=False)
        frames.frame(PING, "between")
        frames.frame(0, "session_st", final=False)
        frames.frame(0, 'atus"}')
        heard = [frames.next_frame(), frames.next_frame()]
        # The server's own pings come when they like.
        heard = [frame for frame in heard if frame[0] != PING] or [frames.next_frame()]
        assert (PONG, b"between") in heard
        status = next((json.loads(payload) for code, payload in heard if code == TEXT), None) or frames.hear()
        assert status == {"type": "session_status", "sessionId": session_id, "exists": False}


def test_an_empty_ping_is_answered_too(mount: Server, session_id: str) -> None:
    """
    Stale connections are noticed
    """
    with Frames(mount, f"/ws/{session_id}") as frames:
        frames.hear()
        frames.frame(PING)
        while (heard := frames.next_frame())[0] == PING:
            pass
        assert heard == (PONG, b"")


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_a_close_is_answered_with_its_code(mount: Server, session_id: str, code: int) -> None:
    """
    WebSocket `PREFIX/ws/{session_id}`
    """
    with Frames(mount, f"/ws/{session_id}") as frames:
        frames.hear()
        frames.frame(CLOSE, struct.pack("!H", code))
        while (heard := frames.next_frame())[0] not in (CLOSE, 0):
            pass
        assert heard == (CLOSE, struct.pack("!H", code))
        assert frames.read(1) == b""


def test_a_deleted_session_closes_with_1000_on_the_line(mount: Server, session_id: str) -> None:
    """
    its viewers are closed with code 1000
    """
    mount.step(session_id, loss=0.5)
    with Frames(mount, f"/ws/{session_id}") as frames:
        frames.hear()
        assert mount.ask("DELETE", f"/api/sessions/{session_id}").status_code == 200
        while (heard := frames.next_frame())[0] not in (CLOSE, 0):
            pass
        assert heard[0] == CLOSE
        assert heard[1][:2] == struct.pack("!H", 1000)
