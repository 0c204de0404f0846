"""The demo's page: the panel beside the notebook, and the notebook that comes to the part that begins."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from forge_widgets.cli.demo.lab import LabServer
from forge_widgets.cli.demo.notebook import demo_notebook, place_notebook
from forge_widgets.cli.demo.parts import parts_of
from tests.browser.jupyter import JupyterServer
from tests.browser.notebook_page import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

BEGIN = """
import sys, time
from forge_widgets import create_progress_hooks
hooks = create_progress_hooks(sys.argv[1])
hooks.emit_training_started(total_steps=3, total_models=1)
for step in (1, 2, 3):
    hooks.emit_step_update(step, 1 / step, 0)
    time.sleep(0.3)
hooks.emit_phase_completed("training_complete")
"""


def begin(lab: JupyterServer, session_id: str) -> None:
    """Let a session be trained, shortly."""
    with lab.run_script(BEGIN.replace("sys.argv[1]", repr(session_id))) as training:
        assert training.wait(60) == 0


def test_the_page_comes_to_each_part_as_it_begins_but_not_while_somebody_writes(
    lab: JupyterServer, page: NotebookPage, tmp_path: Path
) -> None:
    server = LabServer(lab.url, lab.token)
    store_id = server.store_id()
    assert store_id is not None
    parts = parts_of("quick", "shown", tmp_path)
    address = place_notebook(server, demo_notebook(parts, store_id))
    page.page.goto(server.with_token(address))
    expect(page.page.locator("#forge-widgets-sessions")).to_be_visible(timeout=30_000)
    expect(page.dashboard).to_contain_text("waiting", timeout=30_000)
    for part in parts[:3]:
        begin(lab, part.session_id)
        expect(heading(page.page, part.title)).to_be_in_viewport()
        expect(dashboard(page.page, part.session_id)).to_be_in_viewport(ratio=0.9)
        expect(dashboard(page.page, part.session_id)).to_contain_text("completed")
    page.page.locator(".jp-NotebookPanel .jp-CodeCell .cm-content").nth(2).click()
    begin(lab, parts[3].session_id)
    # What nobody sees is not painted; the panel tells when it has begun.
    row = page.page.locator("#forge-widgets-sessions li", has_text="demo-monitored")
    expect(row).to_contain_text("completed")
    expect(dashboard(page.page, parts[3].session_id)).not_to_be_in_viewport(ratio=0.9)
    assert page.errors == []


def dashboard(page: Page, session_id: str) -> Locator:
    """Return the dashboard of a session, in the notebook."""
    return page.locator(".jp-NotebookPanel .forge-dashboard", has_text=session_id)


def heading(page: Page, title: str) -> Locator:
    """Return the heading of a part, in the notebook."""
    return page.get_by_role("heading", name=re.compile(title))
