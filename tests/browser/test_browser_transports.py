"""Every way that a view is reached in a real browser: what of us is there, what is blocked, and what the badge says of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Route, WebSocketRoute, expect

from tests.browser.jupyter import JupyterServer, wait_for
from tests.browser.notebook_page import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SESSION_MIME = "application/vnd.forge-widgets.session.v1+json"
NO_SERVER_PART = "This server has no forge-widgets (404)."

TRAIN = """
import time
import forge_widgets as forge
from IPython.display import display

display({shown})
with forge.run("{name}", total_steps={steps}) as run:
    for step in range({steps}):
        run.log(loss=2 / (step + 1))
        time.sleep(0.02)
"""


def training(name: str, steps: int = 10_000, shown: str = "") -> str:
    """A cell that shows a session and then trains, longer than any test looks at it unless ``steps`` says less."""
    return TRAIN.format(name=name, steps=steps, shown=shown or f'forge.watch("{name}")')


class Gate:
    """Lets a page through to our part of its server, or not: sockets and requests alike."""

    def __init__(self, context: BrowserContext) -> None:
        self.open = True
        self._sockets: list[WebSocketRoute] = []
        context.route_web_socket(re.compile(r"/forge/ws/"), self._socket)
        context.route(re.compile(r"/forge/api/"), self._request)

    def shut(self) -> None:
        """Let nothing through any more, and cut what is open."""
        self.open = False
        for socket in self._sockets:
            socket.close(code=4400)
        self._sockets.clear()

    def _socket(self, socket: WebSocketRoute) -> None:
        if self.open:
            socket.connect_to_server()
            self._sockets.append(socket)
        else:
            socket.close(code=4400)

    def _request(self, route: Route) -> None:
        if self.open:
            route.continue_()
        else:
            route.abort()


def start_with(home: str, tmp_path_factory: pytest.TempPathFactory, *, server: bool, lab: bool) -> JupyterServer:
    """Start a JupyterLab in which part of us is disabled."""
    started = JupyterServer(tmp_path_factory.mktemp(home))
    if not server:
        started.disable_server_extension()
    if not lab:
        started.disable_lab_extension()
    started.start()
    return started


@pytest.fixture(scope="module")
def without_server_part(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    server = start_with("no-server-part", tmp_path_factory, server=False, lab=True)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def without_lab_part(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    server = start_with("no-lab-part", tmp_path_factory, server=True, lab=False)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def without_both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    server = start_with("neither", tmp_path_factory, server=False, lab=False)
    yield server
    server.stop()


def expect_rising(page: NotebookPage) -> int:
    """Wait until a step is shown and then a later one; return that."""
    return page.expect_step_above(page.expect_step_above(0, timeout_s=40), timeout_s=40)


def expect_badge(page: NotebookPage, label: str, explanation: str, timeout_s: float = 40.0) -> None:
    """Wait until the badge says this, and that when one asks it more."""
    badge = page.dashboard.locator(".forge-badge")
    expect(badge).to_have_attribute("title", explanation, timeout=timeout_s * 1000)
    expect(badge).to_contain_text(label)


def wait_until_saved(server: JupyterServer, notebook: str) -> None:
    """Wait until the renderer has saved its notebook, so that the output is there after a reload."""
    path = server.root / notebook
    wait_for(lambda: SESSION_MIME in path.read_text(), "save of the notebook")


def test_without_the_server_extension_it_goes_through_the_kernel_and_again_after_a_reload_in_mid_cell(
    without_server_part: JupyterServer, page: NotebookPage
) -> None:
    without_server_part.write_notebook("live.ipynb", training("live"))
    page.open(without_server_part, "live.ipynb")
    page.run_cell()
    before = expect_rising(page)
    expect_badge(page, "through the kernel", f"The kernel sends what is new. {NO_SERVER_PART}")
    wait_until_saved(without_server_part, "live.ipynb")
    page.reload("live.ipynb")
    page.expect_step_above(page.expect_step_above(before, timeout_s=30), timeout_s=30)
    expect_badge(page, "through the kernel", f"The kernel sends what is new. {NO_SERVER_PART}")
    page.interrupt()
    page.expect_text("KeyboardInterrupt")
    assert not page.errors


def test_without_the_lab_extension_the_widget_goes_to_the_server_by_itself(
    without_lab_part: JupyterServer, page: NotebookPage
) -> None:
    without_lab_part.write_notebook("live.ipynb", training("live"))
    page.open(without_lab_part, "live.ipynb")
    page.run_cell()
    shown = expect_rising(page)
    page.expect_text("WebSocket")
    page.save()
    page.reload("live.ipynb")
    # The lab asks the busy kernel for the widget's model, and says so itself until the cell has ended.
    expect(page.page.get_by_text("Loading widget")).to_be_visible(timeout=30_000)
    page.interrupt()
    page.expect_step_above(shown, timeout_s=30)
    page.expect_text("WebSocket")
    assert not page.errors


def test_without_either_extension_the_widget_goes_through_the_kernel(
    without_both: JupyterServer, page: NotebookPage
) -> None:
    without_both.write_notebook("live.ipynb", training("live"))
    page.open(without_both, "live.ipynb")
    page.run_cell()
    expect_rising(page)
    expect_badge(page, "through the kernel", f"The kernel sends what is new. {NO_SERVER_PART}")
    page.interrupt()
    page.expect_text("KeyboardInterrupt")
    assert not page.errors


def test_where_the_kernel_keeps_another_store_than_the_server_it_goes_through_the_kernel_and_says_so(
    lab: JupyterServer, page: NotebookPage
) -> None:
    elsewhere = lab.root.parent / "kernels-own-store"
    set_store = f"import os\nos.environ['FORGE_WIDGETS_STORE'] = {os.fspath(elsewhere)!r}\n"
    lab.write_notebook("other-store.ipynb", set_store + training("other-store"))
    page.open(lab, "other-store.ipynb")
    page.run_cell()
    before = expect_rising(page)
    expect_badge(page, "through the kernel", "The kernel sends what is new. This server keeps another store.")
    wait_until_saved(lab, "other-store.ipynb")
    page.reload("other-store.ipynb")
    page.expect_step_above(before, timeout_s=30)
    page.expect_text("through the kernel")
    page.interrupt()
    page.expect_text("KeyboardInterrupt")
    assert "other-store" not in {session["sessionId"] for session in lab.get("forge/api/sessions")["sessions"]}
    assert not page.errors


def test_when_the_server_is_out_of_reach_in_mid_cell_the_kernel_goes_on_and_the_server_again_later(
    lab: JupyterServer, page: NotebookPage, context: BrowserContext
) -> None:
    gate = Gate(context)
    lab.write_notebook("gate.ipynb", training("gate"))
    page.open(lab, "gate.ipynb")
    page.run_cell()
    shown = expect_rising(page)
    page.expect_text("WebSocket")
    gate.shut()
    expect_badge(page, "through the kernel", "The kernel sends what is new. The server can’t be reached.")
    shown = page.expect_step_above(page.expect_step_above(shown), timeout_s=30)
    gate.open = True
    page.expect_text("WebSocket", timeout_s=60)
    page.expect_step_above(shown)
    page.interrupt()
    page.expect_text("KeyboardInterrupt")
    assert not page.errors


def test_a_curve_holds_every_step_once_though_the_server_was_out_of_reach_for_a_while(
    without_lab_part: JupyterServer, page: NotebookPage, context: BrowserContext
) -> None:
    gate = Gate(context)
    steps = 700
    chart = 'forge.MetricChart("curve")'
    without_lab_part.write_notebook("curve.ipynb", training("curve", steps=steps, shown=chart))
    page.open(without_lab_part, "curve.ipynb")
    page.run_cell()
    drawn = page.expect_points_above(30, timeout_s=40)
    gate.shut()
    # It goes down to the kernel, and up again.
    drawn = page.expect_points_above(drawn + 120, timeout_s=40)
    gate.open = True
    page.wait_for_cell(timeout_s=90)
    numbers = "plot => plot.data.filter(trace => trace.mode === 'lines').map(trace => [...trace.x])"
    expect(page.page.get_by_text("curve · completed")).to_be_visible(timeout=30_000)
    for drawn_steps in page.chart.evaluate(numbers):
        assert drawn_steps == sorted(set(drawn_steps))
        assert drawn_steps[-1] in (steps - 1, steps)
    assert not page.errors


def test_two_tabs_on_one_notebook_show_the_same_and_one_goes_on_when_the_other_is_closed(
    lab: JupyterServer, page: NotebookPage, context: BrowserContext
) -> None:
    lab.write_notebook("two-tabs.ipynb", training("two-tabs"))
    page.open(lab, "two-tabs.ipynb")
    page.run_cell()
    expect_rising(page)
    wait_until_saved(lab, "two-tabs.ipynb")
    other = NotebookPage(context.new_page())
    other.open(lab, "two-tabs.ipynb", kernel=False, workspace="another-tab")
    shown = expect_rising(other)
    page.expect_step_above(shown)
    page.page.close()
    other.expect_step_above(other.expect_step_above(shown))
    other.interrupt()
    other.expect_text("KeyboardInterrupt")
    assert not page.errors + other.errors
