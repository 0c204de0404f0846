"""Rows in brief (docs/PROTOCOL.md) as a viewer of either mount gets them, over WebSocket and by polls."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest

from forge_widgets.core.steps import StepBlock, block_of
from forge_widgets.server.limits import Limits
from tests.core.briefs import Reader
from tests.server.mounts import Json, Mount, Socket, event, rows, standalone


def poll(mount: Mount, session_id: str, query: str = "") -> Json:
    answer = mount.get(f"/api/sessions/{session_id}/events?protocol=1{query}")
    assert answer.status_code == 200, answer.text
    polled: Json = answer.json()
    return polled


def shape_and_frame(socket: Socket) -> tuple[Json, bytes]:
    """Return the next frame in brief, and its shape, which has to be told before."""
    shape: Json = {}
    while True:
        message = socket.connection.recv(timeout=5)
        if isinstance(message, bytes):
            return shape, message
        heard = json.loads(message)
        shape = heard if heard["type"] == "shape" else shape


def is_outline(message: bytes) -> bool:
    return message[0] & 0x40 != 0


def test_who_asks_gets_rows_in_brief_and_their_shape_once(mount: Mount, session_id: str) -> None:
    mount.append(session_id, rows(0, 5))
    with mount.socket(f"/ws/{session_id}?protocol=1&brief=outline", compression=None) as socket:
        assert socket.hear_type("frame")["key"]
        mount.append(session_id, rows(5, 7), sequence=6)
        shape, message = shape_and_frame(socket)
        reader = Reader(shape)
        told = reader.read(message)
        assert (told.first, told.count, told.sequence) == (6, 2, 6)
        assert [metrics["currentStep"] for _, metrics in told.rows()] == [5, 6]
        mount.append(session_id, rows(7, 8), sequence=8)
        again, message = shape_and_frame(socket)
        assert again == {}
        told = reader.read(message)
        # It goes on from the frame before.
        assert (told.first, told.alone, told.shape["id"]) == (8, False, shape["id"])
        mount.append(session_id, event("phase_completed", name="warm-up"), sequence=9)
        assert socket.hear_type("frame")["records"][0]["event"]["name"] == "warm-up"


def fast_rows(first: int, count: int) -> StepBlock:
    """Rows a millisecond apart."""
    return block_of(
        [
            (1_800_000_000.0 + step / 1000, {"currentStep": float(step), "loss": step % 7 + 0.1})
            for step in range(first, first + count)
        ]
    )


@pytest.mark.parametrize(("wish", "told"), [("outline", 1), ("rows", 40)])
def test_rows_that_come_fast_are_outlined_for_who_takes_that(
    mount: Mount, session_id: str, wish: str, told: int
) -> None:
    mount.append(session_id, fast_rows(0, 5))
    with mount.socket(f"/ws/{session_id}?protocol=1&brief={wish}", compression=None) as socket:
        socket.hear_type("frame")
        mount.append(session_id, fast_rows(5, 40), sequence=6)
        shape, message = shape_and_frame(socket)
        read = Reader(shape).read(message)
        assert (read.count, len(read.timestamps)) == (40, told)
        assert read.column("currentStep")[-1] == 44


def test_an_event_does_not_wait_as_long_as_the_next_outline_would(tmp_path: Path) -> None:
    with standalone(tmp_path / "store", limits=Limits(frames_per_s=0.8)) as served:
        served.append("s", fast_rows(0, 5))
        with served.socket("/ws/s?protocol=1&brief=outline", compression=None) as socket:
            socket.hear_type("frame")
            served.append("s", fast_rows(5, 40), sequence=6)
            _, message = shape_and_frame(socket)
            assert is_outline(message)
            began = time.monotonic()
            served.append("s", event("phase_completed", name="warm-up"), sequence=46)
            assert socket.hear_type("frame")["records"][0]["event"]["name"] == "warm-up"
            # Frames are 1.25 s apart, outlines 2.5 s.
            assert time.monotonic() - began < 2.2


def test_a_poll_gets_rows_in_brief_as_text(mount: Mount, session_id: str) -> None:
    mount.append(session_id, fast_rows(0, 5))
    epoch = poll(mount, session_id)["frame"]["epoch"]
    mount.append(session_id, fast_rows(5, 40), sequence=6)
    frame = poll(mount, session_id, f"&brief=outline&epoch={epoch}&after=5")["frame"]
    assert (frame["type"], frame["key"], frame["shape"]["epoch"]) == ("frame", False, epoch)
    assert Reader(frame["shape"]).read(base64.b64decode(frame["brief"])).count == 40
    # A key frame, and what nobody asked for in brief, comes as ever.
    assert poll(mount, session_id, "&brief=outline")["frame"]["key"]
    assert len(poll(mount, session_id, f"&epoch={epoch}&after=5")["frame"]["records"]) == 1
