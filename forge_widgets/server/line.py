"""A WebSocket whose handshake is done: messages in and out without a task of its own, pings and the farewell.

What is said on it is its subclass's business (server/connection.py). A line that is idle costs no timer either: a Sweep
looks at all lines of a server.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

from tornado.iostream import IOStream

from forge_widgets.core.framing import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    Heard,
    Incoming,
    Violation,
    farewell,
    farewell_in_return,
    framed,
    text_of,
)
from forge_widgets.server.ends import End, end_of
from forge_widgets.server.failures import FAILED, SILENT
from forge_widgets.server.limits import Limits

FAREWELL_S = 5.0
"""Seconds that the other side has to answer a farewell."""


class Line:
    """One WebSocket."""

    __slots__ = (
        "_answered",
        "_deaf",
        "_end",
        "_farewell",
        "_incoming",
        "_limits",
        "_log",
        "_look_at",
        "_pong",
        "_task",
        "_waiting",
        "gone",
    )

    def __init__(self, limits: Limits, log: logging.Logger) -> None:
        self._limits = limits
        self._log = log
        self._end: End | None = None
        self._incoming = Incoming(limits.max_message_bytes)
        # What handles a message; the next is not read before it is done.
        self._task: asyncio.Task[None] | None = None
        # Set once the farewell was said: what ends the connection where it is not answered.
        self._farewell: asyncio.TimerHandle | None = None
        # True once nothing can be sent any more, for whatever reason; and once nothing that comes is of interest either.
        self.gone = self._deaf = False
        # Whether the newest ping was answered, None while none is out; and when to look at that, or to ping, next.
        self._answered: bool | None = None
        self._look_at = time.monotonic() + limits.ping_s
        # The answer to the newest ping of the other side, where earlier ones could not be sent yet.
        self._pong: bytes | None = None
        # Who waits until the line is worth another look: all was taken, something acknowledged, or it is gone.
        self._waiting: asyncio.Future[None] | None = None

    # --- what a subclass makes of it --------------------------------------------------------------

    async def on_message(self, message: str | bytes) -> None:
        """Take a message; the next comes when this is done."""

    def ping_data(self) -> bytes:
        """Return what a ping is to carry, and its answer."""
        return b""

    def on_pong(self, data: bytes) -> None:
        """Take the answer to a ping."""

    def on_room(self) -> None:
        """Note that the network has taken all that was sent."""

    def on_close(self) -> None:
        """Note, once, that the connection has ended."""

    # --- what a subclass does with it -------------------------------------------------------------

    def begin(self, stream: IOStream) -> None:
        """Take over a connection. Raises StreamClosedError."""
        stream.set_nodelay(True)  # small frames must not wait for the acknowledgement of those before
        self._end = end_of(stream, self)

    @property
    def writing(self) -> bool:
        """Whether something was sent that the network has not taken yet."""
        return self._end is not None and self._end.writing

    def put(self, frames: bytes) -> None:
        """Send frames as they are; to one that is gone, nothing."""
        if self._end is not None and not self.gone:
            self._end.send(frames)

    async def stir(self) -> None:
        """Wait until the line is worth another look."""
        if self.gone:
            return
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._waiting)

    async def taken(self) -> None:
        """Wait until the network has taken all that was sent, or the line is gone."""
        while self.writing and not self.gone:
            await self.stir()

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Say farewell and end the connection once that is answered, or not answered in time."""
        if self.gone or self._end is None:
            return
        self._end.send(farewell(1000 if code is None else code, reason or ""))
        self._set_gone()
        self._end_later(self._end)
        self._end.pause(reading=True)

    def abandon(self) -> None:
        """End the connection at once, whatever was not sent yet."""
        self._set_gone()
        if self._end is not None:
            self._end.close()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task of this line's; one that fails is logged, and lets the client come back."""
        task = asyncio.get_running_loop().create_task(coroutine)
        task.add_done_callback(self._ended)
        return task

    def look(self, now: float) -> None:
        """Ping, or see that the newest ping was answered; called by the sweep."""
        if now < self._look_at or self.gone:
            return
        pong_s = min(self._limits.pong_s, self._limits.ping_s)
        if self._answered is None:
            self._answered = False
            self._look_at = now + pong_s
            self.put(framed(self.ping_data(), PING))
        elif self._answered:
            self._answered = None
            self._look_at = now + self._limits.ping_s - pong_s
        else:
            # Who was only silent, a laptop that slept, may come back.
            self.close(SILENT, "ping timed out")

    # --- what its end tells it --------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Take what came."""
        self._incoming.feed(data)
        self._work_off()

    def drained(self) -> None:
        """Note that all that was sent has been taken."""
        if self._deaf and self._end is not None:
            self._end.close()
            return
        pong, self._pong = self._pong, None
        if pong is not None:
            self.put(pong)
        if not self.writing:
            self.notify()
            self.on_room()

    def lost(self) -> None:
        """Note that the connection has ended."""
        if self._farewell is not None:
            self._farewell.cancel()
        self._set_gone()
        if self._task is not None:
            self._task.cancel()
        self._end = None
        self.on_close()

    def notify(self) -> None:
        """Let whoever waits for the line have another look."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _set_gone(self) -> None:
        self.gone = True
        self.notify()

    def _work_off(self) -> None:
        try:
            # Once it is gone all but the farewell is thrown away, whatever is still being handled.
            while (self._task is None or self.gone) and not self._deaf and (heard := self._incoming.take()) is not None:
                self._take(heard)
        except Violation as violation:
            self._give_up(violation)

    def _take(self, heard: Heard) -> None:
        opcode, data = heard
        if opcode == PONG:
            self._answered = True if self._answered is False else self._answered
            self.on_pong(data)
        elif opcode == PING:
            self._answer(framed(data, PONG))
        elif opcode == CLOSE:
            self._answer_farewell(data)
        elif not self.gone:
            self._hand_over(data if opcode == BINARY else text_of(data))

    def _answer(self, pong: bytes) -> None:
        """Answer a ping; of many that come while nothing is taken only the newest, so that no queue of answers grows."""
        if self.writing:
            self._pong = pong
        else:
            self.put(pong)

    def _hand_over(self, message: str | bytes) -> None:
        self._task = self.spawn(self.on_message(message))
        self._task.add_done_callback(self._handled)
        if self._end is not None:
            self._end.pause(reading=False)

    def _handled(self, _: asyncio.Task[None]) -> None:
        self._task = None
        if self._end is not None and not self._deaf:
            self._end.pause(reading=True)
            self._work_off()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._log.log(logging.ERROR, "a viewer's task failed", exc_info=task.exception())
            self.close(FAILED)

    def _answer_farewell(self, data: bytes) -> None:
        """Say farewell in return, with the code that was said, and end the connection."""
        self.put(farewell_in_return(data))
        self._drop()

    def _give_up(self, violation: Violation) -> None:
        self.put(farewell(violation.code, violation.reason))
        self._drop()

    def _drop(self) -> None:
        """Hear no more, and end the connection once the network has taken what was said last, or doesn't take it in time."""
        self._set_gone()
        self._deaf = True
        if self._end is None:
            return
        if self._end.writing:
            self._end.pause(reading=False)
            self._end_later(self._end)
        else:
            self._end.close()

    def _end_later(self, end: End) -> None:
        if self._farewell is None:
            self._farewell = asyncio.get_running_loop().call_later(FAREWELL_S, end.close)
