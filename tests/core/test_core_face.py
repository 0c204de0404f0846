"""The static faces of a session."""

from __future__ import annotations

import base64
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_widgets.core.events import Body, Event, Record
from forge_widgets.core.face import html_face, text_face
from forge_widgets.core.metrics import complete
from forge_widgets.core.series import Series
from forge_widgets.core.state import State, fold
from forge_widgets.core.steps import StepBlock, block_of

TOTALS = {"totalSteps": 1000.0, "totalModels": 3.0}


class Seen(HTMLParser):
    """What a browser sees in a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[dict[str, str | None]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.words)


def session(bodies: Sequence[Body], producer: str = "p", attempt: int = 1) -> tuple[State, Series]:
    state, series, offset = State(), Series(), 1
    for body in bodies:
        record = Record(offset=offset, attempt=attempt, producer=producer, sequence=offset, body=body)
        state = fold(state, record)
        if isinstance(body, StepBlock):
            series.add_block(body)
        offset = record.last + 1
    return state, series


def started(at: float = 100.0) -> Event:
    return Event(event_type="training_started", timestamp=at, metrics=dict(TOTALS))


def steps(model: int, count: int, at: float = 101.0, **more: float) -> StepBlock:
    rows = [
        {"loss": 3 * math.exp(-step / 200), "currentStep": float(step), "currentModel": float(model), **TOTALS, **more}
        for step in range(1, count + 1)
    ]
    return block_of((at + step / 100, complete(row, 1000.0)) for step, row in enumerate(rows))


def training(at: float = 100.0) -> list[Body]:
    bodies: list[Body] = [started(at), Event(event_type="phase_completed", timestamp=at, name="initialization")]
    for model in (1, 2, 3):
        bodies.append(steps(model, 1000, at + 100 * model))
        metrics = {"currentModel": float(model), "loss": 0.0213}
        bodies.append(Event(event_type="model_completed", timestamp=at + 100 * model + 50, metrics=metrics))
    return [*bodies, Event(event_type="phase_completed", timestamp=at + 500, name="training_complete")]


def picture_of(html: str) -> ET.Element:
    match = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    assert match is not None
    return ET.fromstring(base64.b64decode(match[1]))


def test_a_completed_session_is_one_line() -> None:
    state, _ = session(training())
    assert text_face("cognate-1", state) == "cognate-1: completed · model 3 of 3 · step 1,000 of 1,000 · loss 0.0213"


def test_a_session_that_nothing_was_recorded_of_waits() -> None:
    assert text_face("cognate-7", State()) == "cognate-7: waiting · nothing recorded yet"
    assert "Nothing recorded yet" in html_face("cognate-7", State(), Series())


def test_only_what_was_recorded_is_shown() -> None:
    state, series = session([block_of([(1.0, {"speed": 3.0})])])
    assert text_face("s", state) == "s: running"
    assert text_face("s", state, "speed") == "s: running · speed 3"
    seen = Seen(html_face("s", state, series))
    assert "perplexity" not in seen.text
    assert "%" not in seen.text
    assert "No curve of loss yet." in seen.words


def test_a_model_and_a_step_without_totals_stand_alone() -> None:
    state, series = session([block_of([(1.0, {"loss": 1.0, "currentStep": 4.0, "currentModel": 2.0})])])
    assert text_face("s", state) == "s: running · model 2 · step 4 · loss 1"
    assert "No curve" not in html_face("s", state, series)


def test_one_model_is_not_counted() -> None:
    state, _ = session([block_of([(1.0, {"currentStep": 4.0, "totalSteps": 8.0, "totalModels": 1.0})])])
    assert text_face("s", state) == "s: running · step 4 of 8"


def test_an_error_is_said_by_its_first_line() -> None:
    failed = Event(event_type="training_error", timestamp=300.0, error="CUDA out of memory\nTried to allocate …")
    state, series = session([started(), failed])
    assert text_face("s", state).endswith("· CUDA out of memory")
    assert "✗ error" in Seen(html_face("s", state, series)).text
    assert "Tried to allocate" not in html_face("s", state, series)


def test_a_lost_training_is_said() -> None:
    state, series = session([started(), Event(event_type="connection_lost", timestamp=300.0)])
    assert "running, connection to the training lost" in text_face("s", state)
    assert "connection to the training lost" in html_face("s", state, series)


def test_the_dashboard_reads_in_order() -> None:
    state, series = session([started(), steps(1, 1000), steps(2, 450, 200.0, accuracy=0.42)])
    seen = Seen(html_face("cognate-123456", state, series))
    assert seen.words[:3] == ["● running · ", "cognate-123456", " · model 2 of 3 · step 450 of 1,000"]
    assert re.fullmatch("━+─+ 48 %", seen.words[3])
    assert seen.words[4] == "model 1 ▸ 0.0202 │ model 2 ▸ 0.316 │ model 3 ·"
    assert seen.words[-1] == "1,450 steps recorded"
    now, best = seen.words.index("now"), seen.words.index("best")
    assert seen.words[now + 1 : now + 5] == ["0.316", "1.37", "0.42", "45 %"]
    assert seen.words[best + 1 : best + 4] == ["0.0202", "1.02", "0.42"]


def test_dropped_steps_are_counted() -> None:
    block = steps(1, 1)
    state, series = session([started(), StepBlock(block.timestamps, block.columns, thinned=12)])
    assert "1 step recorded, 12 more dropped at full speed" in html_face("s", state, series)


def test_the_curve_is_a_picture_with_words_for_those_who_do_not_see_it() -> None:
    state, series = session(training())
    html = html_face("s", state, series)
    seen = Seen(html)
    image = seen.attributes[seen.tags.index("img")]
    assert image["alt"] == "loss of 3 models over their steps; newest 0.0202, 0.0202, 0.0202"
    assert len(picture_of(html)[-1]) == 3
    assert set(seen.tags) <= {"div", "p", "b", "br", "small", "table", "tr", "th", "td", "img"}


def test_another_metric_can_be_drawn_logarithmically() -> None:
    state, series = session(training())
    html = html_face("s", state, series, "perplexity", log_y=True)
    assert 'alt="perplexity of 3 models over their steps, logarithmic; newest' in html


def test_the_same_training_gives_the_same_bytes_at_any_time_by_anyone() -> None:
    first, first_series = session(training())
    second, second_series = session(training(at=9_000_000.5), producer="q", attempt=7)
    assert text_face("s", first) == text_face("s", second)
    assert html_face("s", first, first_series) == html_face("s", second, second_series)


def test_how_rows_were_cut_into_blocks_does_not_show() -> None:
    whole = steps(1, 1000)
    cut = [whole.slice(0, 1), whole.slice(1, 333), whole.slice(333, 999), whole.slice(999)]
    assert html_face("s", *session([started(), whole])) == html_face("s", *session([started(), *cut]))


def test_not_a_number_is_shown_as_such() -> None:
    rows = [(1.0, {"loss": 1.0, "currentStep": 1.0}), (2.0, {"loss": math.nan, "currentStep": 2.0})]
    state, series = session([block_of(rows)])
    assert text_face("s", state).endswith("loss NaN")
    assert "newest NaN" in html_face("s", state, series)


@pytest.mark.parametrize("totals", [(math.nan, 3.0), (0.0, 3.0), (-5.0, -2.0), (1000.0, math.inf), (1e308, 1e308)])
def test_totals_that_make_no_sense_break_nothing(totals: tuple[float, float]) -> None:
    metrics = {"totalSteps": totals[0], "totalModels": totals[1], "currentStep": 4.0, "currentModel": 2.0}
    state, series = session([Event(event_type="training_started", timestamp=1.0, metrics=metrics)])
    assert text_face("s", state)
    assert html_face("s", state, series)


HOSTILE = st.text(
    st.sampled_from("<>&\"'/=\\ \u202e\u2066\u200f\x07aé漢💥") | st.characters(), min_size=1, max_size=200
)


@settings(max_examples=60)
@given(HOSTILE, HOSTILE, HOSTILE)
def test_what_users_write_is_text_and_never_markup(metric: str, phase: str, error: str) -> None:
    bodies: list[Body] = [
        block_of([(1.0, {metric: 1.0, "loss": 2.0, "currentStep": 1.0})]),
        Event(event_type="phase_completed", timestamp=2.0, name=phase),
        Event(event_type="training_error", timestamp=3.0, error=error),
    ]
    state, series = session(bodies)
    html = html_face("s", state, series, metric)
    seen = Seen(html)
    assert set(seen.tags) <= {"div", "p", "b", "br", "small", "table", "tr", "th", "td", "img"}
    assert all(set(found) <= {"src", "alt", "width", "height"} for found in seen.attributes)
    for face in (seen.text.replace("\n", ""), text_face("s", state, metric)):
        assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069\x00-\x1f\x7f]", face)
    html.encode()


def test_a_script_in_a_name_is_only_read() -> None:
    name = "<script>alert(1)</script>"
    state, series = session([block_of([(1.0, {name: 1.0, "currentStep": 1.0})])])
    html = html_face("s", state, series, name)
    assert "<script" not in html
    assert name in Seen(html).words
    assert name in [element.text for element in picture_of(html).iter()]


def test_a_thousand_metrics_and_fifty_models_stay_under_fifteen_kilobytes() -> None:
    bodies: list[Body] = []
    for model in range(1, 51):
        rows = [
            {"loss": math.sin(step) * 10**model, "currentStep": float(step), "currentModel": float(model)}
            for step in range(400)
        ]
        bodies.append(block_of((float(model), row) for row in rows))
    many = {f"\"&<>' metric of a very long name {number:04d}" * 3: 1 / 3e-7 for number in range(1000)}
    bodies.append(block_of([(60.0, {**many, "currentStep": 401.0, "currentModel": 50.0})]))
    bodies += [Event(event_type="phase_completed", timestamp=61.0, name='"' * 200) for _ in range(60)]
    bodies.append(Event(event_type="training_error", timestamp=70.0, error='"💥' * 500))
    html = html_face("s" * 128, *session(bodies))
    assert "and 993 more metrics" in html
    assert "38 earlier │ model 39" in html
    assert len(picture_of(html)[-1]) == 50
    assert len(html.encode()) < 15_000
