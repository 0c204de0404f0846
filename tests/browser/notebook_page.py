"""A notebook in a page, driven as a person would: open, run, interrupt, restart, save, look."""

from __future__ import annotations

import re
from contextlib import suppress

from playwright.sync_api import ConsoleMessage, Error, Locator, Page, expect
from playwright.sync_api import TimeoutError as PageTimeout

from tests.browser.jupyter import JupyterServer

_PANEL = "window.jupyterapp.shell.currentWidget"


class NotebookPage:
    """One browser page with a notebook in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        # What the page has complained of, but for what Notebook 7.6 throws at its own start without any extension.
        self.errors: list[str] = []
        page.on("pageerror", self._note)
        page.on("console", self._note_said)

    def _note(self, error: Error) -> None:
        if "reading 'schema'" not in error.message:
            self.errors.append(f"{error.message}\n{error.stack}")

    def _note_said(self, said: ConsoleMessage) -> None:
        # Not what the browser itself says of a request that failed: no page can keep that from it.
        ours = "forge" in said.text or "forge" in said.location.get("url", "")
        browsers = said.text.startswith(("Failed to load resource", "WebSocket connection to"))
        if said.type in ("error", "warning") and ours and not browsers:
            self.errors.append(said.text)

    @property
    def dashboard(self) -> Locator:
        """The first dashboard of the notebook."""
        return self.page.locator(".jp-NotebookPanel .forge-dashboard").first

    @property
    def chart(self) -> Locator:
        """The first Plotly chart of the notebook."""
        return self.page.locator(".jp-NotebookPanel .js-plotly-plot").first

    def open(self, server: JupyterServer, notebook: str, *, kernel: bool = True, workspace: str = "") -> None:
        """Open a notebook and wait for its kernel (or open it without one)."""
        # A workspace of its own: the lab would else open again what was open before.
        workspace = workspace or notebook.removesuffix(".ipynb")
        where = f"lab/workspaces/{workspace}/tree/{notebook}" if server.kind == "lab" else f"notebooks/{notebook}"
        self.page.goto(f"{server.url}{where}?token={server.token}")
        self.page.wait_for_function("() => window.jupyterapp")
        self.page.evaluate("() => window.jupyterapp.restored")
        self._wait_for_notebook(notebook)
        if kernel:
            self.page.wait_for_function(
                f"() => {_PANEL}.sessionContext.session?.kernel?.status === 'idle'", timeout=60_000
            )

    def reload(self, notebook: str) -> None:
        """Reload the page, as a person does in mid-training."""
        self.page.reload()
        self.page.wait_for_function("() => window.jupyterapp")
        self._wait_for_notebook(notebook)

    def execute(self, command: str, **arguments: object) -> None:
        """Execute a command of the front end, and don't wait for what it starts."""
        self.page.evaluate(
            "([command, arguments]) => { void window.jupyterapp.commands.execute(command, arguments); }",
            [command, arguments],
        )

    def run_cell(self, index: int = 0) -> None:
        """Run a cell without waiting for it to end."""
        self.page.evaluate(f"index => {{ {_PANEL}.content.activeCellIndex = index; }}", index)
        self.execute("notebook:run-cell")

    def wait_for_cell(self, index: int = 0, timeout_s: float = 60.0) -> None:
        """Wait until a cell has been run to its end."""
        self.page.wait_for_function(
            f"index => {_PANEL}.content.model.sharedModel.cells[index].execution_count !== null",
            arg=index,
            timeout=timeout_s * 1000,
        )

    def interrupt(self) -> None:
        """Interrupt the kernel, once the page has found it (again)."""
        self.page.wait_for_function(f"() => {_PANEL}.sessionContext.session?.kernel", timeout=60_000)
        self.page.evaluate(f"() => {_PANEL}.sessionContext.session.kernel.interrupt()")

    def restart_kernel(self) -> None:
        """Restart the kernel and wait for it."""
        self.page.evaluate(f"() => {_PANEL}.sessionContext.session.kernel.restart()")
        self.page.wait_for_function(f"() => {_PANEL}.sessionContext.session.kernel.status === 'idle'", timeout=60_000)

    def refuse_kernel(self) -> None:
        """Answer the question which kernel a notebook should have: none."""
        # The toolbar has a button of that name too.
        self.page.get_by_role("dialog").get_by_role("button", name="No Kernel", exact=True).click()

    def save(self) -> None:
        """Save the notebook and wait for it, not while it is being saved for a new output: the lab would ask which save to keep."""
        with suppress(PageTimeout):
            self.page.wait_for_function(f"() => !{_PANEL}.context.model.dirty", timeout=3_000)
        self.page.evaluate(f"() => {_PANEL}.context.save()")

    def step(self) -> int:
        """The step that the first dashboard shows."""
        text = self.dashboard.inner_text()
        shown = re.search(r"step ([\d,]+)", text)
        assert shown, f"no step in {text!r}"
        return int(shown.group(1).replace(",", ""))

    def expect_step_above(self, step: int, timeout_s: float = 15.0) -> int:
        """Wait until a later step is shown; return it."""
        self.page.wait_for_function(
            """step => {
                const text = document.querySelector('.jp-NotebookPanel .forge-dashboard')?.innerText ?? '';
                const shown = /step ([\\d,]+)/.exec(text);
                return shown !== null && Number(shown[1].replaceAll(',', '')) > step;
            }""",
            arg=step,
            timeout=timeout_s * 1000,
        )
        return self.step()

    def expect_points_above(self, points: int, timeout_s: float = 15.0) -> int:
        """Wait until the first chart has drawn more points; return how many."""
        counted = self.page.wait_for_function(
            """points => {
                const traces = document.querySelector('.jp-NotebookPanel .js-plotly-plot')?.data ?? [];
                const drawn = traces.reduce((sum, trace) => sum + trace.x.length, 0);
                return drawn > points && drawn;
            }""",
            arg=points,
            timeout=timeout_s * 1000,
        )
        return int(counted.json_value())

    def expect_text(self, text: str | re.Pattern[str], timeout_s: float = 15.0) -> None:
        """Wait until the first dashboard says something."""
        expect(self.dashboard).to_contain_text(text, timeout=timeout_s * 1000)

    def _wait_for_notebook(self, notebook: str) -> None:
        self.page.wait_for_function(
            f"path => {{ const panel = {_PANEL}; return panel?.context?.path === path && panel.context.isReady; }}",
            arg=notebook,
            timeout=60_000,
        )
