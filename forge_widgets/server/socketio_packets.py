"""What a Socket.IO client may send: its packets are looked at here before python-socketio sees them. Pure.

What breaks the protocol ends the transport, what only can't be used is answered. The handler calls this for every packet.
"""

from __future__ import annotations

from typing import Any

from engineio.packet import CLOSE, MESSAGE, PONG
from engineio.packet import Packet as EnginePacket
from socketio.packet import ACK, BINARY_ACK, BINARY_EVENT, CONNECT, DISCONNECT, EVENT
from socketio.packet import Packet as SocketPacket

from forge_widgets.errors import InvalidInput
from forge_widgets.server.body import check_depth, too_deep
from forge_widgets.server.failures import MalformedPacket
from forge_widgets.server.limits import Limits

_SEPARATOR = "\x1e"
# What Engine.IO itself says: close, ping, pong, upgrade, noop.
_ENGINE_WORDS = frozenset({"1", "2", "2probe", "3", "3probe", "5", "6"})
# Of these python-socketio would run what it keeps for its own use.
_RESERVED = frozenset({"connect", "disconnect"})


def check_packet(packet: str | bytes, limits: Limits) -> None:
    """Look at one packet. Raises MalformedPacket where it breaks the protocol, InvalidInput where it only can't be used."""
    if isinstance(packet, bytes) or packet.startswith("b"):
        raise InvalidInput("a binary message can't be used", where="message", expected="an event with JSON arguments")
    if packet in _ENGINE_WORDS:
        return
    if not packet.startswith("4"):
        raise _broken(packet)
    try:
        said = SocketPacket(encoded_packet=packet[1:])
    except RecursionError as error:
        raise too_deep(limits) from error
    except (ValueError, IndexError, TypeError) as error:
        raise _broken(packet) from error
    if said.packet_type in (BINARY_EVENT, BINARY_ACK):
        raise InvalidInput("a binary event can't be used", where="message", expected="an event with JSON arguments")
    if said.packet_type not in (CONNECT, DISCONNECT, EVENT, ACK) or said.attachment_count:
        raise _broken(packet)
    if said.packet_type == EVENT:
        _check_event(said.data)
    check_depth(said.data, limits)


def posted_packets(body: bytes, limits: Limits) -> list[EnginePacket | InvalidInput]:
    """Read what a polling client posted: each packet, or why it can't be used. Raises MalformedPacket for all of it."""
    try:
        texts = body.decode().split(_SEPARATOR)
    except UnicodeDecodeError as error:
        raise _broken(repr(body[:20])) from error
    return [packet for packet in (_posted(text, limits) for text in texts) if packet is not None]


def _posted(text: str, limits: Limits) -> EnginePacket | InvalidInput | None:
    try:
        check_packet(text, limits)
    except MalformedPacket:
        raise
    except InvalidInput as error:
        return error
    packet = EnginePacket(encoded_packet=text)
    # A ping or an upgrade has no place here.
    return packet if packet.packet_type in (CLOSE, PONG, MESSAGE) else None


def _check_event(data: Any) -> None:
    if not isinstance(data, list) or not data or not isinstance(data[0], str):
        raise InvalidInput("an event without a name can't be used", where="message", expected="its name and arguments")
    if data[0] in _RESERVED:
        raise InvalidInput(f"{data[0]!r} can't be used", where="event", expected="a name that Socket.IO does not keep")


def _broken(packet: str) -> MalformedPacket:
    return MalformedPacket(f"no packet ({packet[:20]!r})", where="message", expected="Engine.IO 4 and Socket.IO 5")
