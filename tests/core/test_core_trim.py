"""What a reader and its viewers see of a log that was trimmed: the fold is whole, and what the curves lack is counted."""

from __future__ import annotations

from forge_widgets.core import wire
from forge_widgets.core.events import Record
from forge_widgets.core.state import State, fold_all
from forge_widgets.core.steps import block_of
from forge_widgets.core.subscription import Cursor, SessionLog, Slice


def log_of(sizes: list[int]) -> list[Record]:
    """Build a log of blocks."""
    records, offset = [], 1
    for size in sizes:
        steps = range(offset, offset + size)
        block = block_of([(float(step), {"currentStep": float(step), "loss": 1.0 / step}) for step in steps])
        records.append(Record(offset=offset, attempt=1, producer="p", sequence=offset, body=block))
        offset += size
    return records


def test_a_key_frame_counts_the_rows_of_its_attempt_that_were_trimmed() -> None:
    records = log_of([10, 5, 5])
    log = SessionLog("s")
    log.apply(Slice("e", 11, 20, records[1:], fold_all(State(), records[:1])))
    frame = log.frame(None)
    assert frame is not None
    assert (frame.trimmed, frame.state.rows) == (10, 20)
    assert wire.frame_message("s", frame, log.series)["trimmed"] == 10
    [(_, _, points)] = [line for line in log.series.lines() if line[0] == "loss"]
    assert points[0][0] == 11.0
    log.apply(Slice("e", 11, 21, [Record(offset=21, attempt=2, producer="q", sequence=1, body=block_of([(30.0, {})]))]))
    again = log.frame(None)
    assert again is not None
    assert again.trimmed == 0
    assert "trimmed" not in wire.frame_message("s", again, log.series)


def test_a_reader_that_has_all_tells_of_no_trim_behind_it() -> None:
    records = log_of([10, 5])
    log = SessionLog("s")
    log.apply(Slice("e", 1, 15, records))
    assert not log.apply(Slice("e", 11, 15, [], fold_all(State(), records[:1])))
    frame = log.frame(None)
    assert frame is not None
    assert frame.trimmed == 0
    delta = log.frame(Cursor("e", 3))
    assert delta is not None
    assert not delta.key


def test_a_log_that_was_trimmed_to_its_end_past_a_reader_is_news_to_it() -> None:
    records = log_of([10, 5])
    log = SessionLog("s")
    log.apply(Slice("e", 1, 10, records[:1]))
    assert log.apply(Slice("e", 16, 15, [], fold_all(State(), records)))
    assert (log.top, log.state.rows) == (15, 15)
    frame = log.frame(Cursor("e", 10))
    assert frame is not None
    assert (frame.key, frame.recovered, frame.trimmed) == (True, False, 15)
