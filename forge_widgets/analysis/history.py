"""The recorded rows of a session: what a person plots, compares and keeps.

Reads one attempt of a log into columns. Notebooks, export and the command line call it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from forge_widgets.analysis.reading import StoreLike, opened, slices
from forge_widgets.analysis.table import Table, TableColumn
from forge_widgets.core.events import Event, Record
from forge_widgets.core.metrics import check_session_id
from forge_widgets.core.steps import StepBlock
from forge_widgets.errors import InvalidInput, MissingDependency
from forge_widgets.stores import pending

if TYPE_CHECKING:
    import pandas as pd

FLUSH_TIMEOUT_S = 2.0

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# Where the contract's metrics stand under a column's name of their own.
_STEP, _MODEL = "currentStep", "currentModel"
_OWN_COLUMNS = ("step", "model", "timestamp")


class History:
    """The step rows of one attempt of a session, in the order of its log.

    Columns are ``step``, ``model`` (from 1; a row that names none is of model 1), ``timestamp`` (UTC), and each
    metric by its name on the wire. A user's metric that is called like one of those three is ``metrics.NAME``.
    """

    __slots__ = ("_metrics", "_table", "attempt", "attempts", "events", "session_id", "trimmed")

    def __init__(
        self,
        session_id: str,
        attempt: int,
        attempts: Sequence[int],
        table: Table,
        events: Sequence[Event],
        *,
        trimmed: int = 0,
    ) -> None:
        self.session_id = session_id
        # The attempt that these rows are of, and all that the log has; 0 and none where nothing is recorded.
        self.attempt = attempt
        self.attempts = tuple(attempts)
        # The lifecycle events of the attempt, in order; a step_update among the rows is not repeated here.
        self.events = tuple(events)
        # Rows and events at the log's beginning, of whichever attempt, that were trimmed.
        self.trimmed = trimmed
        self._table = table
        self._metrics = _metric_columns(table)

    def __len__(self) -> int:
        return len(self._table)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return (*_OWN_COLUMNS, *self._metrics)

    @property
    def metrics(self) -> dict[str, str]:
        """The metrics by column: each column's name and the metric's name on the wire."""
        return dict(self._metrics)

    @property
    def thinned(self) -> int:
        """Rows that training had to drop because it recorded faster than the store could take."""
        return self._table.thinned

    def column(self, name: str) -> Sequence[float]:
        """Return the values of a column as doubles, NaN where a row has none; ``timestamp`` in seconds since the epoch.

        Raises InvalidInput for a column that is not there.
        """
        if name == "timestamp":
            return self._table.timestamps
        return self._column(name).values

    def presence(self, name: str) -> bytes:
        """Return one byte a row, 1 where the row has the column: it tells a recorded NaN from none."""
        return b"\x01" * len(self) if name == "timestamp" else bytes(self._column(name).present)

    def whole(self, name: str) -> bool:
        """Say whether a column is whole numbers throughout, as ``step`` and ``model`` usually are."""
        return name != "timestamp" and self._column(name).whole()

    def __iter__(self) -> Iterator[dict[str, float | datetime]]:
        """Yield each row by column; what a row has not recorded is left out of it."""
        columns = [(name, self._column(name)) for name in self.columns if name != "timestamp"]
        for index, timestamp in enumerate(self._table.timestamps):
            row: dict[str, float | datetime] = {}
            for name, column in columns:
                if column.present[index]:
                    row[name] = column.values[index]
            row["timestamp"] = moment(timestamp)
            yield row

    def to_dataframe(self) -> pd.DataFrame:
        """Return the rows as a pandas data frame, a row each, missing values NaN.

        ``step`` and ``model`` are int64 where every row has one, ``timestamp`` is datetime64 in UTC to the microsecond,
        metrics are float64. Raises MissingDependency where pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingDependency("pandas", "History.to_dataframe()", "forge-widgets[pandas]") from error
        import numpy as np

        microseconds = np.rint(np.array(self._table.timestamps) * 1e6).astype("int64")
        data: dict[str, Any] = {}
        for name in self.columns:
            if name == "timestamp":
                data[name] = pd.DatetimeIndex(microseconds.astype("datetime64[us]")).tz_localize("UTC")
                continue
            values = np.array(self._column(name).values)
            data[name] = values.astype("int64") if name in ("step", "model") and self.whole(name) else values
        frame: pd.DataFrame = pd.DataFrame(data)
        return frame

    def __str__(self) -> str:
        """Return one line that is the same whenever the same was recorded."""
        attempt = f"attempt {self.attempt} of {max(self.attempts, default=0)}"
        if self.trimmed:
            attempt += f", {self.trimmed:,} earlier rows and events were trimmed"
        return f"history of {self.session_id}: {len(self):,} rows, {attempt}{self._thinned_words()}"

    def __repr__(self) -> str:
        """Return a few lines that are the same whenever the same was recorded: no clock is in them."""
        names = [name for name in self.columns if name != "timestamp"] if len(self) else []
        width = max((len(name) for name in names), default=0)
        return "\n".join([str(self), *(f"  {name:<{width}}  {self._span(name)}" for name in names)])

    def _thinned_words(self) -> str:
        return f", {self.thinned:,} more dropped while training" if self.thinned else ""

    def _span(self, name: str) -> str:
        column = self._column(name)
        recorded = [index for index in (column.present.find(1), column.present.rfind(1)) if index >= 0]
        ends = [f"{column.values[index]:.6g}" for index in recorded]
        return " … ".join(dict.fromkeys(ends)) or "nothing recorded"

    def _column(self, name: str) -> TableColumn:
        wire = {"step": _STEP, "model": _MODEL}.get(name) or self._metrics.get(name)
        if wire is None:
            raise InvalidInput(f"no column {name!r}", where="column", expected=f"one of {', '.join(self.columns)}")
        return self._table.column(wire)


def history(session_id: str, *, attempt: int | None = None, store: StoreLike = None) -> History:
    """Return the recorded rows of a session's latest attempt, or of another one by its number.

    ``store`` is an open store, a folder or a URL, None the user's own. What this process has recorded and not yet saved is saved
    first. Raises SessionNotFound, InvalidSessionId, and InvalidInput for an attempt that the log does not have.
    """
    check_session_id(session_id)
    pending.flush(session_id, FLUSH_TIMEOUT_S)
    with opened(store) as source:
        reading = _Reading(session_id, attempt)
        for part in slices(source, session_id):
            if part.epoch != reading.epoch:
                reading = _Reading(session_id, attempt, part.epoch, part.floor)
            for record in part.records:
                reading.take(record)
    return reading.result()


def moment(timestamp: float) -> datetime:
    """Return seconds since the epoch as a time in UTC, to the microsecond."""
    return _EPOCH + timedelta(microseconds=round(timestamp * 1e6))


class _Reading:
    """One attempt of a log while it is read: the one that was asked for, or the latest that has come by."""

    def __init__(self, session_id: str, attempt: int | None, epoch: str = "", floor: int = 1) -> None:
        self.epoch = epoch
        self._trimmed = max(0, floor - 1)
        self._session_id = session_id
        self._asked = attempt
        self._latest = 0
        self._attempts: set[int] = set()
        self._table = Table()
        self._events: list[Event] = []

    def take(self, record: Record) -> None:
        self._attempts.add(record.attempt)
        if self._asked is None and record.attempt > self._latest:
            self._latest, self._table, self._events = record.attempt, Table(), []
        if record.attempt != (self._latest if self._asked is None else self._asked):
            return
        body = record.body
        if isinstance(body, StepBlock):
            self._table.add_block(body)
        elif body.event_type == "step_update":
            self._table.add_row(body.timestamp, body.metrics)
        else:
            self._events.append(body)

    def result(self) -> History:
        there = sorted(self._attempts)
        if self._asked is not None and self._asked not in self._attempts:
            listed = ("one of " if len(there) > 1 else "") + ", ".join(map(str, there)) if there else self._why_none()
            raise InvalidInput(f"no attempt {self._asked!r} of {self._session_id}", where="attempt", expected=listed)
        self._table.complete(_STEP)
        self._table.complete(_MODEL, 1.0)
        attempt = self._latest if self._asked is None else self._asked
        return History(self._session_id, attempt, there, self._table, self._events, trimmed=self._trimmed)

    def _why_none(self) -> str:
        if self._trimmed:
            return "nothing: what was recorded of this session was trimmed"
        return "nothing: this session has no attempt yet"


def _metric_columns(table: Table) -> dict[str, str]:
    """Name the columns of the metrics, each once: ``step``, ``model`` and ``timestamp`` are taken."""
    named: dict[str, str] = {}
    names = [name for name in table.names() if name not in (_STEP, _MODEL)]
    for name in names:
        column = name
        while column in _OWN_COLUMNS or (column != name and column in names):
            column = f"metrics.{column}"
        named[column] = name
    return named
