"""A frame as it goes out: encoded once, in brief or as JSON, and deflated once, for all viewers that get it.

Made by a watched session; the transports take of it what their viewer reads.
"""

from __future__ import annotations

import asyncio
from functools import cached_property

from msgspec import Struct

from forge_widgets.core.brief import Brief, Ending, brief_text
from forge_widgets.core.packing import pack, zlib_envelope
from forge_widgets.core.subscription import Cursor, Frame
from forge_widgets.core.wire import encode
from forge_widgets.server.pool import StorePool


class Packed(Struct, frozen=True):
    """A frame deflated: as blocks that stand in any envelope, and as a message of its own."""

    blocks: bytes
    message: bytes


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

    @property
    def ending(self) -> Ending | None:
        """What a frame in brief that follows on the same connection can go on from."""
        return None if self.brief is None else self.brief.ending

    @cached_property
    def text(self) -> bytes:
        """What stands in a text: a message in brief in the shape of a frame."""
        return self.encoded if self.brief is None else encode(brief_text(self.brief))

    async def packed(self, pool: StorePool) -> Packed:
        """Return it deflated; the first who asks has it done in a thread."""
        async with self._turn:
            if self._packed is None:
                self._packed = await pool.run(self._pack)
            return self._packed

    def _pack(self) -> Packed:
        blocks = pack(self.text)
        return Packed(blocks, zlib_envelope(self.text, blocks))
