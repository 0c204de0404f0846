"""A WebSocket's frames: built once for all, and taken apart however the network cuts them (RFC 6455)."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from forge_widgets.core.framing import (
    BINARY,
    CLOSE,
    CONTINUED,
    PING,
    PONG,
    TEXT,
    Heard,
    Incoming,
    Violation,
    farewell,
    farewell_in_return,
    framed,
)

MAX = 100_000


def masked(opcode: int, data: bytes, *, final: bool = True) -> bytes:
    """Make a client's frame."""
    return Frame(Opcode(opcode), data, fin=final).serialize(mask=True)


def parsed(data: bytes) -> Frame:
    """Read a server's frame as a client of another make does."""
    reader = StreamReader()
    reader.feed_data(data)
    reading = Frame.parse(reader.read_exact, mask=False)
    try:
        while True:
            next(reading)
    except StopIteration as done:
        frame: Frame = done.value
        return frame


def taken(incoming: Incoming) -> list[Heard]:
    return list(iter(incoming.take, None))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_payload_of_any_length_is_one_frame(opcode: int, size: int) -> None:
    frame = parsed(framed(b"x" * size, opcode))
    assert (frame.opcode, frame.data, frame.fin) == (opcode, b"x" * size, True)


def test_a_farewell_says_as_much_of_its_reason_as_fits() -> None:
    said = parsed(farewell(1012, "ü" * 100)).data
    assert (said[:2], bytes(said[2:]).decode()) == ((1012).to_bytes(2, "big"), "ü" * 61)
    assert parsed(farewell(1000)).data == b"\x03\xe8"


@pytest.mark.parametrize("size", [0, 5, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("piece", [1, 7, 1_000_000])
def test_messages_are_taken_however_the_network_cuts_them(size: int, piece: int) -> None:
    size = min(size, 3_000) if piece == 1 else size
    sent = masked(TEXT, b"a" * size) + masked(PING, b"now") + masked(BINARY, bytes(range(256)))
    incoming, heard = Incoming(MAX), []
    for start in range(0, len(sent), piece):
        incoming.feed(sent[start : start + piece])
        heard += taken(incoming)
    assert heard == [(TEXT, b"a" * size), (PING, b"now"), (BINARY, bytes(range(256)))]
    assert incoming.take() is None


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"", b""),
        ((1001).to_bytes(2, "big") + "ü".encode(), (1001).to_bytes(2, "big")),
        ((4999).to_bytes(2, "big"), (4999).to_bytes(2, "big")),
    ],
)
def test_a_farewell_is_answered_with_its_code(said: bytes, answer: bytes) -> None:
    frame = parsed(farewell_in_return(said))
    assert (frame.opcode, frame.data) == (CLOSE, answer)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"\x03", 1002),
        *(((number).to_bytes(2, "big"), 1002) for number in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000)),
        (b"\x03\xe8\xff", 1007),
    ],
)
def test_what_may_not_be_said_in_a_farewell_is_not_said_in_return(said: bytes, code: int) -> None:
    with pytest.raises(Violation) as violation:
        farewell_in_return(said)
    assert violation.value.code == code


def test_control_frames_take_no_room_from_the_message_that_they_come_between() -> None:
    incoming = Incoming(100)
    incoming.feed(masked(TEXT, b"a" * 99, final=False) + masked(PING, b"0123456789") + masked(CONTINUED, b"b"))
    assert taken(incoming) == [(PING, b"0123456789"), (TEXT, b"a" * 99 + b"b")]


def test_a_message_in_parts_is_put_together_and_control_frames_come_between_them() -> None:
    incoming = Incoming(MAX)
    incoming.feed(masked(BINARY, b"one ", final=False) + masked(PONG, b"5") + masked(CONTINUED, b"two ", final=False))
    assert taken(incoming) == [(PONG, b"5")]
    incoming.feed(masked(CONTINUED, b"three") + masked(CLOSE, b"\x03\xe8"))
    assert taken(incoming) == [(BINARY, b"one two three"), (CLOSE, b"\x03\xe8")]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (framed(b"plain"), 1002),  # no mask
        (b"\xc1\x80", 1002),  # an extension that was not agreed on
        (b"\x83\x80", 1002),  # an opcode that there is not
        (b"\x8b\x80", 1002),
        (b"\x09\x80", 1002),  # a ping in parts
        (b"\x89\xfe\x00\x80", 1002),  # a ping that is too long
        (masked(CONTINUED, b"of nothing"), 1002),
        (masked(TEXT, b"a", final=False) + masked(TEXT, b"b"), 1002),
        (b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 1009),  # nine million terabytes, said before any of them came
        (masked(TEXT, b"a" * 60_000, final=False) + masked(CONTINUED, b"a" * 60_000), 1009),
    ],
    ids=[f"case-{number}" for number in range(10)],  # masks are drawn anew in each process
)
def test_what_breaks_the_rules_is_refused_with_its_code(sent: bytes, code: int) -> None:
    incoming = Incoming(MAX)
    incoming.feed(sent)
    with pytest.raises(Violation) as violation:
        taken(incoming)
    assert violation.value.code == code
