"""All lines of a server are looked at by one timer, whichever of them fails."""

from __future__ import annotations

import asyncio
import logging

import pytest

from forge_widgets.server.sweep import Sweep


class Line:
    """Counts looks; may fail at them."""

    def __init__(self, sweep: Sweep, *, fails: bool = False) -> None:
        self.looks = 0
        # Set by the fifth look.
        self.looked = asyncio.Event()
        self.abandoned = False
        self._sweep = sweep
        self._fails = fails
        sweep.enter(self)

    def look(self, _: float) -> None:
        self.looks += 1
        if self.looks == 5:
            self.looked.set()
        if self._fails:
            raise ZeroDivisionError

    def abandon(self) -> None:
        self.abandoned = True
        self._sweep.leave(self)


def test_a_line_that_fails_is_ended_and_the_others_are_looked_at_again_and_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene() -> None:
        sweep = Sweep(0.05, logging.getLogger("forge_widgets.server"))
        before, bad, behind = Line(sweep), Line(sweep, fails=True), Line(sweep)
        for line in (before, behind):
            await asyncio.wait_for(line.looked.wait(), 8)
        assert (bad.looks, bad.abandoned) == (1, True)
        sweep.close()
        assert before.abandoned
        assert behind.abandoned

    asyncio.run(scene())
    assert "a connection could not be looked at" in caplog.text


def test_without_lines_it_rests_and_with_a_new_one_it_goes_on() -> None:
    async def scene() -> None:
        sweep = Sweep(0.05, logging.getLogger("forge_widgets.server"))
        sweep.close()
        first = Line(sweep)
        await asyncio.wait_for(first.looked.wait(), 8)
        sweep.leave(first)
        looks = first.looks
        await asyncio.sleep(0.02)
        second = Line(sweep)
        await asyncio.wait_for(second.looked.wait(), 8)
        assert first.looks == looks
        sweep.close()

    asyncio.run(scene())
