"""The log of a session over HTTP: another machine's training appends to it, another machine's reader reads it.

These are the routes of the store over HTTP (docs/PROTOCOL.md). Each verb translates, and nothing more.
"""

from __future__ import annotations

from msgspec import to_builtins

from forge_widgets.core.document import Json
from forge_widgets.core.events import Batch, Body, Event, length
from forge_widgets.core.intake import BatchMessage, read_message
from forge_widgets.core.metrics import check_session_id
from forge_widgets.core.subscription import Slice
from forge_widgets.core.wire import record_message, state_message
from forge_widgets.errors import InvalidInput
from forge_widgets.server.handlers import BodyHandler, count_argument
from forge_widgets.server.limits import Limits
from forge_widgets.server.rates import client_of
from forge_widgets.stores.base import Store


class RecordsHandler(BodyHandler):
    """``GET`` and ``POST api/sessions/{session_id}/records``."""

    async def get(self, session_id: str) -> None:
        """Answer with the records after an offset, about ``max_rows`` rows of them, and where the log stands."""
        after = count_argument(self.get_query_argument("after", None), "after") or 0
        asked = count_argument(self.get_query_argument("max_rows", None), "max_rows")
        most = self.context.limits.rows_a_read
        max_rows = most if asked is None else min(asked, most)

        def read(store: Store) -> Json | None:
            found = store.read(session_id, after, max_rows)
            return None if found is None else slice_message(found)

        await self.answer_from_store(session_id, read)

    async def post(self, session_id: str) -> None:
        """Append a batch of one producer; when this answers it is durable. 409 says where a hole begins."""
        context = self.context
        check_session_id(session_id)
        batch = await context.pool.run(lambda: read_batch(self.received(), context.limits))
        count, steps = sum(map(length, batch.bodies)), any(map(is_steps, batch.bodies))
        context.rates.let_in(client_of(self), count, steps=steps)
        async with context.admission.turn(session_id):
            receipt = await context.pool.run(lambda: context.store.append(session_id, batch))
        context.meter.recorded(count, receipt.repeated)
        context.listing.forget()
        context.hub.nudge(session_id)
        self.write_json(to_builtins(receipt))


def read_batch(encoded: bytes, limits: Limits) -> Batch:
    """Read the body of an append. Raises InvalidInput."""
    batch = read_message(encoded, BatchMessage).batch()
    for body in batch.bodies:
        names = body.metrics if isinstance(body, Event) else body.columns
        if len(names) > limits.max_metrics:
            raise InvalidInput(
                f"{len(names)} are too many", where="bodies", expected=f"at most {limits.max_metrics} metrics in each"
            )
        if isinstance(body, Event):
            for field in ("message", "name", "error"):
                text: str = getattr(body, field)
                if len(text) > limits.max_text_chars:
                    raise InvalidInput(
                        f"{len(text)} characters are too many",
                        where=f"event.{field}",
                        expected=f"at most {limits.max_text_chars} characters",
                    )
    return batch


def is_steps(body: Body) -> bool:
    """Say whether a body is steps, which may be asked to wait: a lifecycle event never is."""
    return not isinstance(body, Event) or body.event_type == "step_update"


def slice_message(read: Slice) -> Json:
    """Build the message of a run of a log."""
    message: Json = {
        "epoch": read.epoch,
        "floor": read.floor,
        "top": read.top,
        "records": [record_message(record) for record in read.records],
    }
    # Most logs begin with nothing before them.
    return {**message, "base": state_message(read.base)} if read.base.attempt else message
