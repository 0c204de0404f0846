"""What people see, as pictures to be looked at: a cell and the panel, light and dark, narrow and wide."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.jupyter import JupyterServer
from tests.browser.notebook_page import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

# Three networks that have grokked.
SOURCE = """
import forge_widgets as forge
from forge_widgets.training.cognate import CognateCreatorIntegration

CognateCreatorIntegration("cognate-123456").create_cognates_with_progress(num_models=3, steps_per_model=1000)
"""
WATCH = 'import forge_widgets as forge\n\nforge.watch("cognate-123456")'


@pytest.fixture(scope="module")
def trained(lab: JupyterServer) -> JupyterServer:
    """A lab whose store holds a trained session."""
    with lab.run_script(SOURCE) as script:
        assert script.wait(120) == 0
    return lab


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_a_cell_fits_its_page_in_every_theme_and_width(
    trained: JupyterServer, browser: Browser, screenshots: Path, theme: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    page = NotebookPage(context.new_page())
    notebook = f"shown-{theme}-{width}.ipynb"
    trained.write_notebook(notebook, WATCH)
    page.open(trained, notebook)
    page.execute("apputils:change-theme", theme=f"JupyterLab {theme.capitalize()}")
    page.page.wait_for_function(
        "light => document.body.dataset.jpThemeLight === light", arg=str(theme == "light").lower()
    )
    page.execute("application:set-mode", mode="single-document")
    if page.page.locator("#jp-left-stack").is_visible():
        page.execute("application:toggle-left-area")
    page.run_cell()
    page.expect_text("completed")
    page.dashboard.get_by_role("combobox").select_option("accuracy")
    expect(page.dashboard.get_by_role("img", name="accuracy by step")).to_be_visible()
    # Nothing sticks out of the dashboard, and nothing in it is cut.
    assert page.dashboard.evaluate("element => element.scrollWidth <= element.clientWidth + 1")
    # No number is cut off: a person reads them whole.
    cut = "elements => elements.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
    assert page.dashboard.locator(".forge-tile *").evaluate_all(cut) == []
    # What the pointer reads stands beside it, whole: the lab has widths of its own for lists in outputs.
    page.dashboard.locator(".forge-plot-area").hover(position={"x": 20, "y": 60})
    read, chart = (page.dashboard.locator(part).bounding_box() for part in (".forge-readout", ".forge-chart"))
    assert read is not None
    assert chart is not None
    assert read["x"] + read["width"] <= chart["x"] + chart["width"]
    assert read["width"] < 200
    page.page.screenshot(path=screenshots / f"cell-{theme}-{width}.png")
    context.close()


@pytest.mark.parametrize(
    ("way", "label", "why"),
    [
        ("http", "polling", "WebSocket is blocked here"),
        ("comm", "through the kernel", "the server can’t be reached"),
        ("other-store", "through the kernel", "this server keeps another store"),
    ],
)
def test_the_badge_says_which_way_and_why_in_every_theme_and_width(
    trained: JupyterServer, browser: Browser, screenshots: Path, way: str, label: str, why: str
) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
    if way in ("http", "comm"):
        context.route_web_socket(re.compile(r"/forge/ws/"), lambda socket: socket.close(code=4400))
    if way == "comm":
        context.route(re.compile(r"/forge/api/"), lambda route: route.abort())
    page = NotebookPage(context.new_page())
    notebook = f"badge-{way}.ipynb"
    copied = f"import os, shutil\nshutil.copytree({str(trained.store)!r}, 'other', dirs_exist_ok=True)\n"
    new_id = "os.remove('other/store.json')\nos.environ['FORGE_WIDGETS_STORE'] = os.path.abspath('other')\n"
    trained.write_notebook(notebook, (copied + new_id if way == "other-store" else "") + WATCH)
    page.open(trained, notebook)
    page.execute("application:set-mode", mode="single-document")
    if page.page.locator("#jp-left-stack").is_visible():
        page.execute("application:toggle-left-area")
    page.run_cell()
    page.expect_text("completed", timeout_s=40)
    badge = page.dashboard.locator(".forge-badge")
    expect(badge).to_contain_text(label, timeout=40_000)
    expect(page.dashboard.locator(".forge-why")).to_have_text(why, timeout=40_000)
    for theme in ("light", "dark"):
        page.execute("apputils:change-theme", theme=f"JupyterLab {theme.capitalize()}")
        page.page.wait_for_function(
            "light => document.body.dataset.jpThemeLight === light", arg=str(theme == "light").lower()
        )
        for width in (400, 1400):
            page.page.set_viewport_size({"width": width, "height": 900})
            expect(badge).to_be_visible()
            assert page.dashboard.evaluate("element => element.scrollWidth <= element.clientWidth + 1")
            # A change of theme lays it over the page for a while.
            page.page.locator("#jupyterlab-splash").wait_for(state="detached")
            page.page.screenshot(path=screenshots / f"badge-{way}-{theme}-{width}.png")
    context.close()


def test_the_panel_and_a_cell_show_the_same_training_live(
    trained: JupyterServer, browser: Browser, screenshots: Path
) -> None:
    context = browser.new_context(viewport={"width": 1240, "height": 780}, reduced_motion="reduce")
    page = NotebookPage(context.new_page())
    trained.write_notebook("live.ipynb", WATCH.replace("123456", "live"))
    page.open(trained, "live.ipynb")
    page.execute("apputils:change-theme", theme="JupyterLab Light")
    page.page.get_by_role("tab", name="Training sessions").click()
    page.run_cell()
    with trained.run_script(SOURCE.replace("123456", "live")) as script:
        page.expect_text("model 2 of 3", timeout_s=60)
        page.dashboard.get_by_role("combobox").select_option("accuracy")
        page.expect_step_above(450, timeout_s=60)
        row = page.page.get_by_role("button", name="cognate-live")
        expect(row).to_contain_text("model 2/3")
        page.page.screenshot(path=screenshots / "lab-live.png")
        assert script.wait(120) == 0
    context.close()
