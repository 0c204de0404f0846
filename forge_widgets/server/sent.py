"""A frame as it goes out: encoded once, in brief or as JSON, and deflated once, for all viewers that get it.

Made by a watched session; the transports take of it what their viewer reads.
"""

from __future__ import annotations

import asyncio
from functools import cached_property

from msgspec import Struct

from forge_widgets.core.brief import Brief, brief_text, shape_message
from forge_widgets.core.framing import BINARY, TEXT, framed
from forge_widgets.core.packing import MIN_BYTES, pack, zlib_envelope
from forge_widgets.core.subscription import Cursor, Frame
from forge_widgets.core.wire import encode
from forge_widgets.server.pool import StorePool


class Later:
    """Says of a frame that making it is worth a thread."""


class Packed(Struct, frozen=True):
    """A frame deflated: as blocks that stand in any envelope, and as a message of its own."""

    blocks: bytes
    message: bytes


class Framed(Struct, frozen=True):
    """A message as it stands on a WebSocket, built once for all who get it."""

    frame: bytes
    # Bytes of the message alone.
    size: int


class Sent:
    """An encoded frame, shared by all viewers that stood at the same cursor, and packed once for all of them."""

    def __init__(self, encoded: bytes, frame: Frame, *, coarse: bool = False, brief: Brief | None = None) -> None:
        self.encoded = encoded
        # What it is in brief: then ``encoded`` is that message. None: JSON.
        self.brief = brief
        # Where the frame leads.
        self.cursor = Cursor(frame.epoch, frame.last)
        self.key = frame.key
        # A key frame whose curves have fewer points than there are.
        self.coarse = coarse
        self._turn = asyncio.Lock()
        self._packed: Packed | None = None
        # The packed message on a WebSocket.
        self._deflated: Framed | None = None

    @cached_property
    def text(self) -> bytes:
        """What stands in a text: a message in brief in the shape of a frame."""
        return self.encoded if self.brief is None else encode(brief_text(self.brief))

    @cached_property
    def plain(self) -> Framed:
        """The message, as it is encoded."""
        return framed_message(self.encoded, binary=self.brief is not None)

    @cached_property
    def shape(self) -> Framed:
        """What a viewer has to be told once before a frame in brief."""
        if self.brief is None:
            raise ValueError("a frame that is not in brief has no shape")
        return framed_message(encode(shape_message(self.brief.shape)))

    def ready(self, *, packs: bool) -> Framed | None:
        """Return the message for a viewer that reads deflated ones, or doesn't; None where it is to be ``packed`` first."""
        if not packs or self.brief is not None or len(self.encoded) < MIN_BYTES:
            return self.plain
        return self._deflated

    async def packed(self, pool: StorePool) -> Packed:
        """Return it deflated; the first who asks has it done in a thread."""
        async with self._turn:
            if self._packed is None:
                self._packed = await pool.run(self._pack)
                self._deflated = framed_message(self._packed.message, binary=True)
            return self._packed

    def _pack(self) -> Packed:
        blocks = pack(self.text)
        return Packed(blocks, zlib_envelope(self.text, blocks))


def framed_message(message: bytes, *, binary: bool = False) -> Framed:
    """Return a message as it stands on a WebSocket."""
    return Framed(framed(message, BINARY if binary else TEXT), len(message))
