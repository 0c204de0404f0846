"""From the training's call to the text on the page: our view, by either transport, beside a page that polls once a second.

A step counts as shown when the page first shows it or a later one. All pages watch the same training, in one browser.
"""

from __future__ import annotations

from contextlib import ExitStack

from tests.bench.measured import Json, Spread
from tests.bench.stage import Seen, Stage, open_when_rising, seen

PATTERNS = {"quiet": "quiet", "10 a second": "10"}
"""What the training does: a step after each quiet second, or ten a second."""


def measure(stage: Stage, seconds: float) -> Json:
    """Measure each pattern for so long; milliseconds from emit to page."""
    found: Json = {}
    for pattern, rate in PATTERNS.items():
        session_id = f"latency-{rate}"
        with ExitStack() as pages, stage.training(session_id, rate) as training:
            views = {
                "websocket": pages.enter_context(stage.page("cell.html", session_id, stage.port)),
                "http": pages.enter_context(stage.page("cell.html", session_id, stage.port, sockets=False)),
                "polling once a second": pages.enter_context(stage.page("polled.html", session_id, stage.port)),
            }
            for page in views.values():
                open_when_rising(page)
            started = max(seen(page)[-1][1] for page in views.values())
            # Playwright hears the pages only while it is asked something.
            next(iter(views.values())).wait_for_timeout(1000.0 * seconds)
            training.stop()
            found[pattern] = {
                name: Spread.of(delays_ms(training.emitted, seen(page), after=started), "ms").json()
                for name, page in views.items()
            }
    return found


def delays_ms(emitted: dict[int, float], shown: Seen, *, after: float) -> list[float]:
    """Return for each step emitted after a moment how long it took until it or a later one was shown, in milliseconds.

    Steps that were never shown, because the page was closed first, are left out.
    """
    delays, moments = [], iter(shown)
    now = next(moments, None)
    for step, at in sorted(emitted.items()):
        while now is not None and now[0] < step:
            now = next(moments, None)
        if now is not None and at > after:
            delays.append(1000.0 * (now[1] - at))
    return delays
