"""What a person sees of a training when the kernel is all there is, and when the kernel dies."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.jupyter import JupyterServer, wait_for
from tests.browser.notebook_page import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

HOST = Path(__file__).with_name("bare_host.html")

# As under VS Code or Colab: no Jupyter server has started this kernel.
ALONE = "import os; os.environ.pop('JPY_PARENT_PID', None)"

TRAIN = """
import sys, time
import forge_widgets as forge
from IPython.display import display

display(forge.watch("{name}"))
with forge.run("{name}", total_steps={steps}) as run:
    for step in range({steps}):
        run.log(loss=2 / (step + 1))
        {meanwhile}
        time.sleep(0.02)
"""


class BareHost:
    """The bare host of widgets in a page, with a kernel of its own."""

    def __init__(self, page: Page, served: str, server: JupyterServer) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type in ("error", "warning") else None)
        page.goto(f"{served}?server={server.url}&kernel={server.start_kernel()}&token={server.token}")
        page.wait_for_function("() => window.host.ready.then(() => true)", timeout=30_000)

    def run(self, code: str) -> str:
        """Start a cell; return the id of the request."""
        request: str = self.page.evaluate("code => window.host.run(code)", code)
        return request

    def is_done(self, request: str) -> bool:
        """Say whether a cell has ended."""
        return bool(self.page.evaluate("request => window.host.done.has(request)", request))

    def heard(self, kind: str) -> list[dict[str, Any]]:
        """The messages of a type that the widgets have pushed."""
        return list(self.page.evaluate("kind => window.host.heard.filter(({ type }) => type === kind)", kind))

    def expect_step_above(self, step: int, view: int = 0) -> int:
        """Wait until a view shows a later step; return it."""
        shown = self.page.wait_for_function(
            """([step, view]) => {
                const text = window.host.views[view]?.el.innerText ?? '';
                const shown = Number((/step ([\\d,]+)/.exec(text)?.[1] ?? '0').replaceAll(',', ''));
                return shown > step && shown;
            }""",
            arg=[step, view],
            timeout=30_000,
        )
        return int(shown.json_value())


class HostFile(BaseHTTPRequestHandler):
    """Serves the bare host's page, whatever is asked for, from an origin that is not Jupyter's."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(HOST.read_bytes())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """Give the address of the bare host's page."""
    with ThreadingHTTPServer(("127.0.0.1", 0), HostFile) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join(10)


@pytest.fixture
def host(lab: JupyterServer, context: BrowserContext, served: str) -> Iterator[BareHost]:
    opened = BareHost(context.new_page(), served, lab)
    opened.run(ALONE)
    yield opened
    assert opened.errors == []


def test_on_a_bare_page_without_subshells_the_widget_lives_while_the_cell_runs(host: BareHost) -> None:
    request = host.run(TRAIN.format(name="bare", steps=300, meanwhile="pass"))
    shown = host.expect_step_above(host.expect_step_above(0))
    host.expect_step_above(shown + 50)
    assert not host.is_done(request)
    # What the view has said is still waiting behind the cell: all of this was pushed.
    badge = host.page.locator(".forge-badge")
    expect(badge).to_contain_text("through the kernel")
    expect(badge).to_have_attribute(
        "title", "The kernel sends what is new. No server with forge-widgets is known here."
    )
    said = host.page.evaluate("() => window.host.said.map(({ type }) => type)")
    assert said == ["subscribe"]
    assert len([frame for frame in host.heard("frame") if not frame["key"]]) > 10
    expect(host.page.locator(".forge-dashboard")).to_contain_text("completed", timeout=30_000)
    expect(host.page.locator(".forge-dashboard")).to_contain_text("step 300 of 300")


def test_what_the_server_drops_of_the_kernels_messages_heals_while_the_cell_runs(host: BareHost) -> None:
    # Jupyter Server lets nothing of a kernel pass that prints more than 1 MB/s, widgets' messages neither, and says so.
    flood = "if 50 < step < 150: print('x' * 60_000); sys.stdout.flush()"
    request = host.run(TRAIN.format(name="flooded", steps=700, meanwhile=flood))

    def healed() -> bool:
        top = lost = 0
        for frame in host.heard("frame"):
            if frame["from"] > top + 1:
                lost += 1
            elif frame["to"] > top:
                top = frame["to"]
        return lost > 0 and top > 300

    wait_for(healed, "hole in what came, and a key frame after it", 60)
    assert not host.is_done(request)
    host.expect_step_above(host.expect_step_above(300))
    expect(host.page.locator(".forge-dashboard")).to_contain_text("step 700 of 700", timeout=60_000)


def test_closing_one_view_of_a_widget_leaves_the_other_live(host: BareHost) -> None:
    done = host.run("import forge_widgets as forge; w = forge.watch('views'); display(w); run = forge.run('views')")
    wait_for(lambda: host.is_done(done), "end of the cell")
    host.page.evaluate("() => window.host.show([...window.host.views][0].id)")
    host.run("for step in range(20): run.log(loss=1.0)")
    host.expect_step_above(10, view=1)
    host.page.evaluate("() => window.host.views[0].close()")
    wait_for(lambda: len(host.heard("unsubscribed")) == 1, "word that nobody is followed")
    host.run("for step in range(20): run.log(loss=1.0)")
    host.expect_step_above(30, view=1)


def test_when_the_kernel_is_killed_the_last_state_stays_in_the_cell_and_in_the_panel(
    lab: JupyterServer, page: NotebookPage
) -> None:
    number = lab.root / "kernel.pid"
    write = f"import os, pathlib; pathlib.Path({os.fspath(number)!r}).write_text(str(os.getpid()))\n"
    lab.write_notebook("killed.ipynb", write + TRAIN.format(name="killed", steps=10_000, meanwhile="pass"))
    page.open(lab, "killed.ipynb")
    page.page.get_by_role("tab", name="Training sessions").click()
    page.run_cell()
    shown = page.expect_step_above(page.expect_step_above(0, timeout_s=40))
    os.kill(int(number.read_text()), signal.SIGKILL)
    page.expect_text("Connection to the training lost", timeout_s=40)
    assert page.step() >= shown
    row = page.page.get_by_role("button", name="killed")
    expect(row).to_contain_text("lost", timeout=20_000)
    history = "import forge_widgets as forge; print(len(forge.history('killed').to_dataframe()))"
    with lab.run_script(history) as script:
        assert int(script.communicate(timeout=60)[0]) >= shown
    assert not page.errors
