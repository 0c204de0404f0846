"""What a viewer gets whose link is slow, on real sockets of both mounts: little at once, and every event."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from forge_widgets.core.link import FIRST_WINDOW, LEAST_WINDOW
from tests.server.mounts import Json, Mount, event, rows


class Reluctant:
    """A viewer that acknowledges what it got only when it is told to: a link that is as slow as a test likes."""

    def __init__(self, mount: Mount, path: str) -> None:
        url = mount.url.replace("http", "ws", 1) + path
        at = urlsplit(url)
        self._protocol = ClientProtocol(parse_uri(url), max_size=None)
        self._socket = socket.create_connection((at.hostname, at.port or 0), timeout=5)
        request = self._protocol.connect()
        request.headers.update(mount.authorization)
        self._protocol.send_request(request)
        self.answers = True
        self.received = 0
        self.messages: list[Json] = []
        self._answer()

    def read(self, seconds: float) -> None:
        """Take what comes in so many seconds."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(65_536)
            except TimeoutError:
                return
            self.received += len(data)
            self._protocol.receive_data(data)
            for happened in self._protocol.events_received():
                if isinstance(happened, Frame) and happened.opcode is Opcode.TEXT:
                    self.messages.append(json.loads(bytes(happened.data)))
            if self.answers:
                self._answer()

    def read_until(self, condition: Callable[[Json], bool]) -> Json:
        """Take messages until one meets the condition."""
        deadline = time.monotonic() + 10
        while True:
            for message in self.messages:
                if condition(message):
                    return message
            assert time.monotonic() < deadline, self.messages
            self.read(0.05)

    def acknowledge(self) -> None:
        """Acknowledge all that was received, and from now on all that comes."""
        self.answers = True
        self._answer()

    def close(self) -> None:
        self._socket.close()

    def _answer(self) -> None:
        for data in self._protocol.data_to_send():
            self._socket.sendall(data)


def test_a_viewer_that_is_slow_gets_little_at_once_and_no_event_is_left_out(mount: Mount, session_id: str) -> None:
    mount.append(session_id, event("training_started"), rows(0, 1_000, own=0.5))
    viewer = Reluctant(mount, f"/ws/{session_id}?protocol=1")
    try:
        viewer.answers = False
        first = viewer.read_until(lambda message: message["type"] == "frame")
        assert (first["coarse"], first["to"]) == (True, 1_001)
        assert sum(len(line["steps"]) for line in first["series"]) <= 400
        for number in range(1, 61):
            mount.append(
                session_id, event("model_completed", message=str(number)), rows(1_000 + number, 1_041 + number)
            )
        viewer.read(0.5)
        # Nothing of what is on its way has been acknowledged.
        assert viewer.received < LEAST_WINDOW + 16_000
        viewer.acknowledge()
        viewer.read_until(lambda message: message.get("to") == 1_001 + 60 * 42)
        frames = [message for message in viewer.messages if message["type"] == "frame"][1:]
        offset, heard = 1_001, []
        for frame in frames:
            events = frame["events"] if frame["key"] else frame["records"]
            heard += [record["event"]["message"] for record in events if "event" in record]
            assert frame["key"] or frame["from"] == offset + 1
            offset = frame["to"]
        assert any(frame.get("coalesced", 0) > 100 for frame in frames)
        assert heard == [str(number) for number in range(1, 61)]
        # Once it is known to be a good link, it gets all points.
        for number in range(200):
            mount.append(session_id, rows(6_000 + 50 * number, 6_050 + 50 * number))
            viewer.read(0.04)
            if any(message.get("coarse") is False for message in viewer.messages):
                break
        viewer.read_until(lambda message: message.get("coarse") is False)
    finally:
        viewer.close()


def test_a_naive_viewer_that_is_slow_hears_of_every_event(mount: Mount, session_id: str) -> None:
    mount.append(session_id, event("training_started"))
    viewer = Reluctant(mount, f"/ws/{session_id}")
    try:
        viewer.read_until(lambda message: message["type"] == "session_joined")
        viewer.answers = False
        for number in range(1, 121):
            mount.append(
                session_id, event("model_completed", message=f"number {number}"), rows(40 * number, 40 * number + 40)
            )
            viewer.read(0.01)
        assert viewer.received < FIRST_WINDOW + 8_000
        viewer.acknowledge()
        viewer.read_until(lambda message: message.get("message") == "number 120")
        told = [message["message"] for message in viewer.messages if message.get("eventType") == "model_completed"]
        assert told == [f"number {number}" for number in range(1, 121)]
        viewer.read_until(lambda message: message.get("metrics", {}).get("currentStep") == 40 * 120 + 39)
    finally:
        viewer.close()
