"""Each way of reaching a viewer is thin: what a viewer gets next is decided in core/subscription, for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "forge_widgets"
MAX_LINES = 200

TRANSPORTS = (
    "server/websocket.py",
    "server/polling.py",
    "server/socketio_annex.py",
    "server/socketio_asking.py",
    "server/socketio_client.py",
    "server/socketio_engine.py",
    "server/socketio_handler.py",
    "server/socketio_packets.py",
    "server/socketio_reply.py",
    "widgets/comm.py",
    "ui/src/stream/websocket.ts",
    "ui/src/stream/http.ts",
    "ui/src/stream/comm.ts",
)


@pytest.mark.parametrize("file", TRANSPORTS)
def test_the_code_of_each_transport_stays_thin(file: str) -> None:
    assert len((ROOT / file).read_text(encoding="utf-8").splitlines()) < MAX_LINES


@pytest.mark.parametrize(
    "file", ["server/rooms.py", "server/polling.py", "server/socketio_client.py", "widgets/comm.py"]
)
def test_no_transport_decides_what_a_frame_holds(file: str) -> None:
    """Who sends a frame takes it as it was made: records and curves are none of its business."""
    source = (ROOT / file).read_text(encoding="utf-8")
    for name in ("StepBlock", "Series", "SessionLog", "frame_message"):
        assert name not in source, f"{file} makes frames of its own: {name}"
