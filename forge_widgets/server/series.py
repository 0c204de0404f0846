"""Curves of a session for a picture of so many pixels: what a view asks for on opening and on zooming (docs/PROTOCOL.md, "Series").

Downsampled by the store, and written in the pool's thread: nothing of it holds up the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from forge_widgets.core.curves import LEAST_POINTS, MAX_POINTS, MOST_POINTS, Curve, Curves, SeriesQuery
from forge_widgets.core.document import Json
from forge_widgets.server.failures import MalformedArgument
from forge_widgets.server.handlers import FURTHEST, ForgeHandler, count_argument, number_argument
from forge_widgets.stores.base import Store

_FARTHEST_STEP = 1e300


class SeriesHandler(ForgeHandler):
    """``GET api/sessions/{session_id}/series``."""

    async def get(self, session_id: str) -> None:
        """Answer with the curves that are asked for, and the offset that they reach to."""
        query = query_of(self)
        store_id = await self.context.identity.store_id()

        def read(store: Store) -> Json | None:
            curves = store.series(session_id, query)
            return None if curves is None else {"sessionId": session_id, "storeId": store_id, **curves_message(curves)}

        await self.answer_from_store(session_id, read)


def query_of(handler: ForgeHandler) -> SeriesQuery:
    """Read what is asked for. Raises InvalidInput, and MalformedArgument where a metric's name is no UTF-8."""
    most = count_argument(handler.get_query_argument("max_points", None), "max_points", LEAST_POINTS, MOST_POINTS)
    attempt = count_argument(handler.get_query_argument("attempt", None), "attempt", least=1)
    return SeriesQuery(
        metrics=_names(handler.get_query_argument("metrics", "", strip=False)),
        max_points=MAX_POINTS if most is None else most,
        from_step=_step(handler, "from_step"),
        to_step=_step(handler, "to_step"),
        attempt=attempt,
    )


def curves_message(curves: Curves) -> Json:
    """Build the message of curves."""
    return {
        "epoch": curves.epoch,
        "top": curves.top,
        "attempt": curves.attempt,
        "series": [_curve_message(curve) for curve in curves.curves],
    }


def _names(text: str) -> tuple[str, ...] | None:
    """Read names of metrics, each quoted by itself: one may hold the comma that stands between two."""
    if not text:
        return None
    try:
        return tuple(unquote(name, errors="strict") for name in text.split(","))
    except UnicodeDecodeError as error:
        raise MalformedArgument(f"{text[:40]!r} can't be used", where="metrics", expected="names in UTF-8") from error


def _step(handler: ForgeHandler, name: str) -> float | None:
    return number_argument(handler.get_query_argument(name, None), name, -_FARTHEST_STEP, _FARTHEST_STEP)


def _curve_message(curve: Curve) -> Json:
    return {
        "metric": curve.metric,
        "model": curve.model,
        "steps": _whole(curve.steps),
        "values": _whole(curve.values),
        "rows": curve.rows,
    }


def _whole(numbers: Sequence[float]) -> Sequence[float]:
    """Return whole numbers as integers, where all are: steps take a fifth less then; others end the look at once."""
    if all(number.is_integer() and abs(number) <= FURTHEST for number in numbers):
        return list(map(int, numbers))
    return numbers
