"""What others would send of the same steps, as bytes on a socket: the floor and the peers of what a viewer is sent. Pure.

Each encoder takes what came since its last message, as rows of step, moment, loss, accuracy and learning rate, and returns the
bytes of one message or more, with the heads of WebSocket frames.
"""

from __future__ import annotations

import json
import math
import random
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone

from jupyter_client.session import Session
from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1

from tests.bench.streams import speech

Row = tuple[float, float, float, float, float]
Encoder = Callable[[Sequence[Row]], int]

_SESSION = "traffic"


def rows(rate: float, seconds: float) -> Iterator[Row]:
    """Yield the steps of tests/bench/trainer.py."""
    source = random.Random(11)
    for step in range(1, round(rate * seconds) + 1):
        loss = 2.0 * math.exp(-step / 5_000) + 0.05 * source.random()
        # No clock is so regular that its differences deflate to nothing.
        moment = 1.8e9 + (step + 0.05 * source.random()) / rate
        yield step, moment, loss, 1.0 - loss / 3.0, 1e-3 / (1 + step / 1_000)


def columns() -> Encoder:
    """Send every row: single-precision columns, deflated in one stream."""
    stream = zlib.compressobj(9, wbits=-15)

    begun = 1.8e9

    def encode(came: Sequence[Row]) -> int:
        since = [(row[0], row[1] - begun, *row[2:]) for row in came]
        plain = b"".join(struct.pack(f"<{len(came)}f", *column) for column in zip(*since, strict=True))
        return _deflated(stream, plain)

    return encode


def envelope() -> Encoder:
    """Send the newest step, and the least and the greatest value of each metric: single-precision, deflated in one stream."""
    stream = zlib.compressobj(9, wbits=-15)

    def encode(came: Sequence[Row]) -> int:
        ends = [value for column in list(zip(*came, strict=True))[2:] for value in (min(column), max(column))]
        return _deflated(stream, struct.pack(f"<{2 + len(ends)}f", came[-1][0], came[-1][1] - came[0][1], *ends))

    return encode


def _deflated(stream: zlib._Compress, plain: bytes) -> int:
    # As permessage-deflate has it: the four bytes that end each flush are not sent.
    message = stream.compress(plain) + stream.flush(zlib.Z_SYNC_FLUSH)
    return len(speech.frame(speech.BINARY, message[:-4]))


def json_a_step() -> Encoder:
    """Send each step as JSON with the contract's names."""

    def encode(came: Sequence[Row]) -> int:
        return sum(len(speech.frame(speech.TEXT, json.dumps(_document(row)).encode())) for row in came)

    return encode


def comm() -> Encoder:
    """Send each step as ipywidgets do: the update of a widget's state, as Jupyter's kernel socket carries it."""
    session = Session(key=b"")
    parent = session.msg("execute_request", {"code": "train()"})["header"]

    def encode(came: Sequence[Row]) -> int:
        sent = 0
        for row in came:
            data = {"method": "update", "state": {"value": _metrics(row)}, "buffer_paths": []}
            message = session.msg("comm_msg", {"comm_id": "0" * 32, "data": data}, parent=parent)
            # Without delimiter and signature, as the server passes it on.
            parts = session.serialize(message)[2:]
            sent += len(speech.frame(speech.BINARY, _on_a_socket(parts)))
        return sent

    return encode


def _on_a_socket(parts: list[bytes]) -> bytes:
    message: bytes = serialize_msg_to_ws_v1(parts, "iopub")  # type: ignore[no-untyped-call]  # Jupyter's own
    return message


ENCODERS: dict[str, Callable[[], Encoder]] = {
    "columns": columns,
    "envelope": envelope,
    "json": json_a_step,
    "comm": comm,
}


def _document(row: Row) -> dict[str, object]:
    moment = datetime.fromtimestamp(row[1], tz=timezone.utc).isoformat()
    return {"type": "step_update", "sessionId": _SESSION, "timestamp": moment, "metrics": _metrics(row)}


def _metrics(row: Row) -> dict[str, float]:
    step, _, loss, accuracy, learning_rate = row
    return {
        "currentStep": int(step),
        "totalSteps": 1_000_000,
        "currentModel": 1,
        "totalModels": 1,
        "loss": loss,
        "perplexity": math.exp(loss),
        "accuracy": accuracy,
        "learningRate": learning_rate,
        "grokProgress": 0.0,
    }
