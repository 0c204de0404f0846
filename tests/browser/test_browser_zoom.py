"""A long session, looked at closely: it opens at once, gets finer, is zoomed into, and shown whole again, in every view."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from forge_widgets.core.events import Batch, Event, Producer
from forge_widgets.core.steps import Row, block_of
from forge_widgets.stores import open_store
from tests.browser.jupyter import JupyterServer
from tests.browser.notebook_page import NotebookPage
from tests.browser.standalone import StandaloneServer
from tests.browser.test_browser_transports import start_with

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

ROWS = 200_000
BLOCK = 5_000
START = 1_800_000_000.0

# The steps of the points that the dashboard's chart draws of its first line, as shares of its width in thousandths.
DRAWN = """() => {
    const path = document.querySelector('.forge-line-raw')?.getAttribute('d') ?? '';
    return path.split(/[ML]/).slice(1).map((point) => Number(point.split(' ')[0])).filter((x) => x >= 0 && x <= 1000);
}"""
# The same of Plotly's chart, as steps.
PLOTTED = """() => {
    const plot = document.querySelector('.js-plotly-plot');
    const [low, high] = plot?._fullLayout?.xaxis?.range ?? [0, 0];
    return [...(plot?.data?.[0]?.x ?? [])].filter((x) => x >= low && x <= high);
}"""


def record(store_url: str, session_id: str, rows: int = ROWS) -> None:
    """Record a session that is over: a wave every 300 steps, which no overview of so many shows."""
    store, producer = open_store(store_url), Producer(id="p1")
    started = Event(event_type="training_started", timestamp=START, metrics={"totalSteps": float(rows)})
    store.append(session_id, Batch(producer=producer, sequence=1, bodies=[started]))
    for first in range(0, rows, BLOCK):
        table: list[Row] = [
            (START + 0.01 * step, {"currentStep": float(step), "loss": 2 + math.sin(step / 50)})
            for step in range(first, first + BLOCK)
        ]
        store.append(session_id, Batch(producer=producer, sequence=first + 2, bodies=[block_of(table)]))
    done = Event(event_type="phase_completed", timestamp=START + 0.01 * rows, name="training_complete")
    store.append(session_id, Batch(producer=producer, sequence=rows + 2, bodies=[done]))
    store.close()


def expect_more(page: Page, drawn: str, than: int) -> list[float]:
    """Wait until more points than that are drawn; return them."""
    more = page.wait_for_function(
        f"than => {{ const drawn = ({drawn})(); return drawn.length > than && drawn; }}", arg=than
    )
    points: list[float] = more.json_value()
    return points


def drag(plot: Locator, start: float, end: float) -> None:
    """Drag a pointer across a plot, from one share of its width to another."""
    box, mouse = plot.bounding_box(), plot.page.mouse
    assert box is not None
    middle = box["y"] + box["height"] / 2
    mouse.move(box["x"] + start * box["width"], middle)
    mouse.down()
    mouse.move(box["x"] + end * box["width"], middle, steps=8)
    mouse.up()


def zoom_in_and_out(page: Page, screenshots: Path, name: str) -> None:
    """Look closely at a twentieth of the dashboard's chart, and back."""
    plot = page.locator(".forge-plot-area").first
    # As its key frame told it at first, and then in as many points as it has room for.
    whole = len(expect_more(page, DRAWN, 1_500))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/series?" in request.url else None)
    drag(plot, 0.4, 0.45)
    zoomed = page.locator(".forge-zoomed").first
    expect(zoomed).to_contain_text("show all")
    page.screenshot(path=screenshots / f"zoom-{name}-at-once.png")
    closer = len(expect_more(page, DRAWN, whole // 10))
    assert closer > 1_500
    page.screenshot(path=screenshots / f"zoom-{name}-finer.png")
    assert len(asked) == 1
    # Closer by the keyboard, until every single step is a point.
    for _ in range(4):
        plot.press("+")
    page.wait_for_function(f"() => {{ const drawn = ({DRAWN})(); return drawn.length > 600 && drawn.length < 660; }}")
    steps = page.evaluate(DRAWN)
    apart = [after - before for before, after in pairwise(steps)]
    assert max(apart) < 1.5 * min(apart), "every step is there once"
    plot.press("Escape")
    expect(zoomed).to_have_count(0)
    # What is known is not asked for again.
    before = len(asked)
    assert len(page.evaluate(DRAWN)) == whole
    drag(plot, 0.4, 0.45)
    expect(zoomed).to_contain_text("show all")
    assert len(expect_more(page, DRAWN, 1_500)) == closer
    assert len(asked) == before
    zoomed.get_by_role("button").click()
    expect(zoomed).to_have_count(0)
    assert len(page.evaluate(DRAWN)) == whole


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneServer]:
    server = StandaloneServer(tmp_path_factory.mktemp("long"))
    record(str(server.store), "long")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1400), ("dark", 1400), ("light", 400), ("light", 270)])
def test_a_long_session_gets_finer_is_zoomed_into_and_shown_whole_again(
    server: StandaloneServer, browser: Browser, screenshots: Path, scheme: str, width: int
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(error.message))
    page.goto(f"{server.url}/?session=long")
    zoom_in_and_out(page, screenshots, f"{scheme}-{width}")
    # Nothing sticks out, zoomed or not.
    drag(page.locator(".forge-plot-area"), 0.2, 0.8)
    assert page.locator(".forge-dashboard").evaluate("element => element.scrollWidth <= element.clientWidth + 1")
    back, chart = (page.locator(part).first.bounding_box() for part in (".forge-zoomed", ".forge-chart"))
    assert back is not None
    assert chart is not None
    assert back["x"] + back["width"] <= chart["x"] + chart["width"]
    assert not errors
    context.close()


def test_a_chart_that_is_zoomed_to_the_past_stays_there_and_the_newest_steps_are_followed(
    server: StandaloneServer, browser: Browser
) -> None:
    store, producer = open_store(str(server.store)), Producer(id="p1")
    total = Event(event_type="training_started", timestamp=START, metrics={"totalSteps": 4_000.0})
    store.append("live", Batch(producer=producer, sequence=1, bodies=[total]))

    def train(first: int, stop: int) -> None:
        table: list[Row] = [
            (START + 0.01 * step, {"currentStep": float(step), "loss": 2 + math.sin(step / 50)})
            for step in range(first, stop)
        ]
        store.append("live", Batch(producer=producer, sequence=first + 2, bodies=[block_of(table)]))

    train(0, 2_000)
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"{server.url}/?session=live")
    expect_more(page, DRAWN, 1_500)
    plot, zoomed = page.locator(".forge-plot-area"), page.locator(".forge-zoomed")
    drag(plot, 0.25, 0.375)
    past = zoomed.inner_text()
    train(2_000, 3_000)
    expect(page.locator(".forge-dashboard")).to_contain_text("step 2,999 of 4,000")
    assert zoomed.inner_text() == past
    plot.press("Escape")
    # From a sixteenth before the newest step to a sixteenth behind it.
    drag(plot, 0.6875, 0.8125)
    expect_more(page, DRAWN, 240)
    train(3_000, 3_800)
    expect(page.locator(".forge-dashboard")).to_contain_text("step 3,799 of 4,000")
    expect(zoomed).to_contain_text("–3,799")
    steps = expect_more(page, DRAWN, 400)
    apart = [after - before for before, after in pairwise(steps)]
    assert max(apart) < 1.5 * min(apart), "every step is there once, those that came meanwhile too"
    page.close()
    store.close()


def test_the_plotly_chart_of_a_notebook_gets_finer_where_it_is_zoomed_into(
    lab: JupyterServer, page: NotebookPage, screenshots: Path
) -> None:
    record(str(lab.store), "plotted")
    lab.write_notebook("plotted.ipynb", 'import forge_widgets as forge\nforge.MetricChart("plotted")')
    page.open(lab, "plotted.ipynb")
    page.run_cell()
    whole = len(expect_more(page.page, PLOTTED, 1_500))
    drag(page.chart.locator(".nsewdrag").first, 0.4, 0.45)
    words = page.page.locator(".forge-plotly p")
    expect(words).to_contain_text("show all")
    assert len(expect_more(page.page, PLOTTED, whole // 10)) > 1_500
    page.page.screenshot(path=screenshots / "zoom-plotly.png")
    words.get_by_role("button").click()
    expect(words).not_to_contain_text("show all")
    page.page.wait_for_function(f"whole => ({PLOTTED})().length === whole", arg=whole)
    assert not page.errors


def test_the_widget_fetches_its_lens_from_the_server(
    tmp_path_factory: pytest.TempPathFactory, page: NotebookPage, screenshots: Path
) -> None:
    without_lab_part = start_with("zoomed-widget", tmp_path_factory, server=True, lab=False)
    record(str(without_lab_part.store), "widget")
    without_lab_part.write_notebook("widget.ipynb", 'import forge_widgets as forge\nforge.watch("widget")')
    page.open(without_lab_part, "widget.ipynb")
    page.run_cell()
    zoom_in_and_out(page.page, screenshots, "widget")
    assert not page.errors
    without_lab_part.stop()
