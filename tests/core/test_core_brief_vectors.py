"""The shared vectors of frames in brief: vitest reads them and has to come to the same states."""

from __future__ import annotations

import base64
import math

from forge_widgets.core.brief import Ending, Shapes, Wish, brief_of, shape_message
from forge_widgets.core.events import Record
from forge_widgets.core.exponential import likely_perplexity
from forge_widgets.core.state import State, fold
from forge_widgets.core.steps import Row, StepBlock, block_of
from forge_widgets.core.subscription import Cursor, SessionLog, Slice
from forge_widgets.core.wire import frame_message, state_message
from tests.core.test_core_vectors import INF, NAN, START, Case, hold, log_of, logs, steps


def brief_cases() -> list[Case]:
    """Logs of rows as frames in brief after the first row, one on one connection each, and the state that the view is in then."""
    fast = steps(1, 60, apart=0.002, at=START + 1, currentModel=2.0, accuracy=0.5)
    still = block_of(
        [(START + 1 + at / 500, {"currentStep": 7.0, "loss": loss}) for at, loss in enumerate((1.1, 5.3, 0.2, 1.7))]
    )
    odd = block_of(
        [(START + at, {"currentStep": 7.0, "loss": value}) for at, value in enumerate((NAN, -INF, -0.0, 0.0, -2.5))]
    )
    far = block_of(
        [(START + 1 + at / 500, {"currentStep": 1.0 + at, "x": x}) for at, x in enumerate((1.0, 1e-12, 5e11, 2.0))]
    )
    patchy = log_of(logs()["rows that lack metrics"][0].body)
    great = block_of([(START + at, {"currentStep": at, "x": -1e15 * at, "y": -0.1 * at}) for at in range(3)])
    chosen: dict[str, tuple[Wish, list[Record], tuple[int, ...]]] = {
        "one row": ("outline", log_of(steps(0, 2)), ()),
        "rows of two blocks": ("outline", log_of(steps(0, 5), steps(5, 70, at=START + 2)), ()),
        "rows that lack metrics, and numbers that are none": ("outline", patchy, (2,)),
        "rows of several models": ("outline", log_of(logs()["rows of several models in one block"][0].body), ()),
        "great numbers, and negative ones": ("rows", log_of(great), ()),
        "numbers that are odd": ("rows", log_of(steps(0, 1), odd), (2, 3, 4, 5)),
        "rows that come fast": ("outline", log_of(steps(0, 1), fast), ()),
        "rows that come fast, every one": ("rows", log_of(steps(0, 1), fast), (20, 50)),
        "rows that come fast, all of one step": ("outline", log_of(steps(0, 1), still), ()),
        "rows that come fast, over many magnitudes": ("outline", log_of(steps(0, 1), far), ()),
        "a training, row by row": ("rows", log_of(trained(0, 40, 0.1)), tuple(range(2, 40))),
        "a training that is fast, every row": ("rows", log_of(trained(0, 200, 0.001)), (20, 70, 71, 130)),
        "a training that is fast": (
            "outline",
            log_of(trained(0, 1, 1), trained(500, 700, 0.001)),
            tuple(range(101, 701, 50)),
        ),
    }
    return [{"name": name, **_briefly(records, wish, cuts)} for name, (wish, records, cuts) in chosen.items()]


def trained(first: int, count: int, apart: float) -> StepBlock:
    """Build rows as a training has them: noise, a schedule, and what is derived."""
    rows: list[Row] = []
    for step in range(first, first + count):
        loss = 2.0 / (1 + step / 5_000) + step * 7919 % 1009 / 20_000
        row = {"currentStep": float(step), "currentModel": 1.0, "loss": loss, "learningRate": 1e-3 / (1 + step / 1_000)}
        # Some libraries' exp is a bit off; the machine's own would make vectors of its own.
        exact = likely_perplexity(loss)
        row |= {"perplexity": math.nextafter(exact, 9.0) if step % 9 == 0 else exact, "grokProgress": float(step // 10)}
        rows.append((START + apart * step, row))
    return block_of(rows)


def _briefly(records: list[Record], wish: Wish, cuts: tuple[int, ...]) -> Case:
    """Return a log as frames that end at ``cuts`` and at its top, each going on from the one before where it can."""
    whole = SessionLog("s")
    whole.apply(Slice("e1", 1, records[-1].last, records))
    shapes, frames = Shapes(), list[Case]()
    told: set[int] = set()
    ending: Ending | None = None
    after = 1
    for upto in (*cuts, records[-1].last):
        log = SessionLog("s")
        log.apply(Slice("e1", 1, upto, [record.up_to(upto) for record in records if record.offset <= upto]))
        frame = log.frame(Cursor("e1", after))
        assert frame is not None
        brief = brief_of(frame, shapes, wish, ending)
        assert brief is not None
        ending, after = brief.ending, upto
        frames.append(
            {
                "shape": None if brief.shape.number in told else shape_message(brief.shape),
                "message": base64.b64encode(brief.message).decode(),
                "frame": frame_message("s", frame, log.series),
                "outlined": brief.outlined,
            }
        )
        told.add(brief.shape.number)
    begun = fold(State(), records[0].up_to(1))
    return {"begun": state_message(begun), "frames": frames, "state": state_message(whole.state)}


def test_the_vectors_of_frames_in_brief_are_what_this_implementation_computes() -> None:
    hold("brief", brief_cases())
