"""A cell of a notebook, as a person sees it: live, after a reload, a restart, a blocked socket, and a week later."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, WebSocketRoute, expect

from tests.browser.jupyter import JupyterServer, wait_for
from tests.browser.notebook_page import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SESSION_MIME = "application/vnd.forge-widgets.session.v1+json"


def training(session_id: str, steps: int = 2_000, pause_s: float = 0.02, shown: str = "forge.watch") -> str:
    """A cell that shows a session and then trains; it runs for ``steps · pause_s`` seconds."""
    return f"""
import time
import forge_widgets as forge
from IPython.display import display

hooks = forge.create_progress_hooks("{session_id}")
hooks.emit_training_started(total_steps={steps}, total_models=1)
display({shown}("{session_id}"))
for step in range(1, {steps} + 1):
    hooks.emit_step_update(step=step, loss=2 / step, model_idx=0, total_steps={steps}, total_models=1, accuracy=step / {steps})
    time.sleep({pause_s})
hooks.emit_phase_completed("training_complete")
"""


@pytest.fixture(params=["lab", "notebook7"])
def server(request: pytest.FixtureRequest) -> JupyterServer:
    started: JupyterServer = request.getfixturevalue(request.param)
    return started


def test_the_step_rises_while_the_cell_runs_and_again_within_ten_seconds_of_a_reload(
    server: JupyterServer, page: NotebookPage
) -> None:
    name = f"reload-{server.kind}"
    server.write_notebook(f"{name}.ipynb", training(name))
    page.open(server, f"{name}.ipynb")
    page.run_cell()
    page.expect_text("running")
    first = page.expect_step_above(0)
    before = page.expect_step_above(first)
    page.expect_text("WebSocket")
    # The renderer has saved the notebook, so that the output is there after the reload.
    deadline = time.monotonic() + 10
    path = server.root / f"{name}.ipynb"
    while SESSION_MIME not in path.read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    page.reload(f"{name}.ipynb")
    started = time.monotonic()
    after = page.expect_step_above(before, timeout_s=10)
    page.expect_step_above(after, timeout_s=10 - (time.monotonic() - started))
    page.interrupt()
    assert not page.errors


def test_the_last_state_stays_when_the_kernel_is_restarted(server: JupyterServer, page: NotebookPage) -> None:
    name = f"restart-{server.kind}"
    server.write_notebook(f"{name}.ipynb", training(name))
    page.open(server, f"{name}.ipynb")
    page.run_cell()
    shown = page.expect_step_above(20)
    page.restart_kernel()
    page.expect_text("Connection to the training lost")
    assert page.step() >= shown
    assert not page.errors


def test_a_saved_notebook_without_a_kernel_shows_what_was_recorded(server: JupyterServer, page: NotebookPage) -> None:
    name = f"stored-{server.kind}"
    path = server.write_notebook(f"{name}.ipynb", training(name, steps=50), f"forge.watch('{name}')")
    page.open(server, f"{name}.ipynb")
    page.run_cell(0)
    page.wait_for_cell(0)
    page.run_cell(1)
    page.wait_for_cell(1)
    page.save()
    assert len(path.read_bytes()) < 200_000
    outputs = [output for cell in json.loads(path.read_text())["cells"] for output in cell["outputs"]]
    assert sum(SESSION_MIME in output["data"] for output in outputs if "data" in output) == 2
    page.open(server, copy_from_elsewhere(path), kernel=False)
    page.refuse_kernel()
    page.expect_text("completed")
    page.expect_text("step 50 of 50")
    assert page.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session") is None
    assert not page.errors


def test_an_interrupted_cell_that_is_run_again_is_a_second_attempt_and_the_view_follows_it(
    lab: JupyterServer, page: NotebookPage
) -> None:
    lab.write_notebook("again.ipynb", training("again"))
    page.open(lab, "again.ipynb")
    page.run_cell()
    first = page.expect_step_above(100)
    page.interrupt()
    page.wait_for_cell()
    page.run_cell()
    page.page.wait_for_function(
        "first => Number(/step ([\\d,]+)/.exec(document.querySelector('.forge-dashboard')?.innerText ?? '')?.[1]) < first",
        arg=first,
        timeout=15_000,
    )
    page.expect_step_above(page.step())
    page.interrupt()
    listed = {session["sessionId"]: session for session in lab.get("forge/api/sessions")["sessions"]}
    assert listed["again"]["attempts"] == 2


def test_with_the_socket_blocked_it_goes_on_by_polling(
    server: JupyterServer, page: NotebookPage, context: BrowserContext
) -> None:
    def refuse(socket: WebSocketRoute) -> None:
        socket.close(code=4400)

    context.route_web_socket(re.compile(r"/forge/ws/"), refuse)
    server.write_notebook("polling.ipynb", training("polling"))
    page.open(server, "polling.ipynb")
    page.run_cell()
    page.expect_step_above(page_step_when_loaded(page))
    page.expect_text("polling")
    page.interrupt()


def test_with_the_extension_out_of_reach_it_goes_on_through_the_kernel_and_says_why(
    lab: JupyterServer, page: NotebookPage, context: BrowserContext
) -> None:
    context.route_web_socket(re.compile(r"/forge/"), lambda socket: socket.close(code=4400))
    context.route(re.compile(r"/forge/api/"), lambda route: route.abort())
    lab.write_notebook("comm.ipynb", training("comm"))
    page.open(lab, "comm.ipynb")
    page.run_cell()
    page.expect_step_above(page_step_when_loaded(page), timeout_s=30)
    page.expect_text("kernel")
    page.interrupt()


def test_a_session_that_nobody_has_recorded_waits_and_says_so(lab: JupyterServer, page: NotebookPage) -> None:
    lab.write_notebook("waits.ipynb", "import forge_widgets as forge\nforge.watch('not-yet')")
    page.open(lab, "waits.ipynb")
    page.run_cell()
    page.expect_text("Waiting for not-yet… nothing recorded yet")
    source = "import forge_widgets as forge\nfor _ in forge.track(range(5), 'not-yet'): pass"
    with lab.run_script(source) as script:
        assert script.wait(30) == 0
    page.expect_text("completed")


def test_an_untrusted_notebook_shows_the_session_all_the_same(lab: JupyterServer, page: NotebookPage) -> None:
    path = lab.write_notebook("trusted.ipynb", training("trusted", steps=20))
    page.open(lab, "trusted.ipynb")
    page.run_cell()
    page.expect_text("completed")
    page.save()
    # Another name and an edited source: nobody has signed this notebook.
    untrusted = path.read_text().replace("import time", "import time  # edited elsewhere")
    (lab.root / "untrusted.ipynb").write_text(untrusted)
    page.open(lab, "untrusted.ipynb", kernel=False)
    assert page.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.cells.get(0).trusted") is False
    page.expect_text("step 20 of 20")


def test_where_the_session_is_unknown_the_stored_face_is_shown(
    lab: JupyterServer, page: NotebookPage, tmp_path: Path
) -> None:
    path = lab.write_notebook("elsewhere.ipynb", training("elsewhere", steps=20), "forge.watch('elsewhere')")
    page.open(lab, "elsewhere.ipynb")
    page.run_cell(0)
    page.wait_for_cell(0)
    page.run_cell(1)
    page.wait_for_cell(1)
    page.save()
    page.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    # As if it came from another machine: its session is in no store of ours.
    copy = path.read_text().replace('"elsewhere"', '"from-afar"')
    (lab.root / "from-afar.ipynb").write_text(copy)
    page.open(lab, "from-afar.ipynb", kernel=False)
    assert page.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.cells.get(0).trusted") is False
    expect(page.page.get_by_text("20 steps recorded").last).to_be_visible()
    # The sanitizer of an untrusted notebook has left the curve: an image, which it draws.
    curve = page.page.locator('.jp-OutputArea img[src^="data:image/svg+xml"]').last
    expect(curve).to_be_visible()
    assert curve.evaluate("image => image.complete && image.naturalWidth > 100")


def test_a_chart_follows_the_stream_and_again_within_ten_seconds_of_a_reload(
    server: JupyterServer, page: NotebookPage
) -> None:
    name = f"chart-{server.kind}"
    path = server.write_notebook(f"{name}.ipynb", training(name, shown="forge.MetricChart"))
    page.open(server, f"{name}.ipynb")
    page.run_cell()
    before = page.expect_points_above(page.expect_points_above(20, timeout_s=30))
    wait_for(lambda: SESSION_MIME in path.read_text(), "save of the notebook with its chart", timeout_s=10)
    page.reload(f"{name}.ipynb")
    started = time.monotonic()
    after = page.expect_points_above(before, timeout_s=10)
    page.expect_points_above(after, timeout_s=10 - (time.monotonic() - started))
    page.interrupt()
    assert not page.errors


def test_a_chart_is_drawn_without_its_kernel(server: JupyterServer, page: NotebookPage) -> None:
    name = f"chart-later-{server.kind}"
    with server.run_script(training(name, steps=50, pause_s=0)) as script:
        assert script.wait(30) == 0
    path = server.write_notebook(
        f"{name}.ipynb", f"import forge_widgets as forge\nforge.MetricChart('{name}', 'accuracy', log_y=True)"
    )
    page.open(server, f"{name}.ipynb")
    page.run_cell()
    page.wait_for_cell()
    page.save()
    assert len(path.read_bytes()) < 200_000
    page.open(server, copy_from_elsewhere(path), kernel=False)
    page.refuse_kernel()
    page.expect_points_above(99)
    expect(page.chart).to_contain_text("accuracy")
    assert page.chart.evaluate("plot => plot.layout.yaxis.type") == "log"
    expect(page.page.get_by_text(f"{name} · completed")).to_be_visible()
    assert page.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session") is None
    assert not page.errors


def test_a_chart_shows_another_metric_when_python_names_one(lab: JupyterServer, page: NotebookPage) -> None:
    with lab.run_script(training("renamed", steps=50, pause_s=0)) as script:
        assert script.wait(30) == 0
    show = "import forge_widgets as forge\nchart = forge.MetricChart('renamed')\nchart"
    lab.write_notebook("renamed.ipynb", show, "chart.metric = 'accuracy'; chart.log_y = True")
    page.open(lab, "renamed.ipynb")
    page.run_cell(0)
    expect(page.chart).to_contain_text("loss", timeout=30_000)
    page.run_cell(1)
    expect(page.chart).to_contain_text("accuracy", timeout=15_000)
    assert page.chart.evaluate("plot => plot.layout.yaxis.type") == "log"


def copy_from_elsewhere(path: Path) -> str:
    """Write a copy that no kernel here can run, as if the notebook came from elsewhere; return its name."""
    copy = path.with_stem(f"{path.stem}-elsewhere")
    kernel = {"name": "julia-1.99", "display_name": "Julia", "language": "julia"}
    copy.write_text(json.dumps({**json.loads(path.read_text()), "metadata": {"kernelspec": kernel}}))
    return copy.name


def page_step_when_loaded(page: NotebookPage) -> int:
    """Wait until a step is shown at all, by whatever transport; return it."""
    return page.expect_step_above(0, timeout_s=30)
