"""What a person sees while servers and trainings come and go."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.jupyter import JupyterServer, wait_for
from tests.browser.notebook_page import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SCRIPT = """
import time
import forge_widgets as forge

with forge.run("{name}", total_steps={steps}) as run:
    for step in range({steps}):
        run.log(loss=2 / (step + 1), accuracy=step / {steps})
        time.sleep(0.01)
"""


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[JupyterServer]:
    """A JupyterLab that this test may kill."""
    server = JupyterServer(tmp_path / "mortal")
    server.start()
    yield server
    server.stop()


def test_a_killed_server_loses_no_step_and_the_page_goes_on(mortal: JupyterServer, page: NotebookPage) -> None:
    mortal.write_notebook("watch.ipynb", "import forge_widgets as forge\nforge.watch('script')")
    page.open(mortal, "watch.ipynb")
    page.run_cell()
    with mortal.run_script(SCRIPT.format(name="script", steps=2_500)) as script:
        shown = page.expect_step_above(100, timeout_s=30)
        mortal.kill()
        page.expect_text("Offline since", timeout_s=40)
        mortal.start()
        page.expect_step_above(shown + 100, timeout_s=40)
        assert script.wait(60) == 0
    page.expect_text("completed", timeout_s=40)
    page.expect_text("step 2,500 of 2,500")
    check = (
        "import forge_widgets as forge; rows = forge.history('script').to_dataframe(); "
        "print(list(rows['step']) == list(range(1, 2501)))"
    )
    with mortal.run_script(check) as process:
        assert process.communicate(timeout=60)[0].strip() == "True"


def test_when_a_notebooks_server_is_killed_the_page_says_that_the_training_is_gone(
    mortal: JupyterServer, page: NotebookPage
) -> None:
    mortal.write_notebook(
        "both.ipynb",
        "import forge_widgets as forge\ndisplay(forge.watch('gone'))" + SCRIPT.format(name="gone", steps=3_000),
    )
    page.open(mortal, "both.ipynb")
    page.run_cell()
    shown = page.expect_step_above(50, timeout_s=30)
    mortal.kill()
    mortal.start()
    page.expect_text("Connection to the training lost", timeout_s=60)
    assert page.step() >= shown


def test_the_panel_lists_sessions_live_and_opens_one(lab: JupyterServer, page: NotebookPage) -> None:
    lab.write_notebook("empty.ipynb", "1")
    page.open(lab, "empty.ipynb")
    page.page.get_by_role("tab", name=re.compile("Training sessions")).click()
    with lab.run_script(SCRIPT.format(name="listed", steps=600)) as script:
        row = page.page.get_by_role("button", name=re.compile("listed"))
        expect(row).to_be_visible(timeout=15_000)
        wait_for(lambda: "%" in row.inner_text(), "progress in the row")
        row.click()
        tab = page.page.locator(".forge-dashboard", has_text="listed").last
        expect(tab).to_be_visible(timeout=15_000)
        assert script.wait(60) == 0
    expect(tab).to_contain_text("completed", timeout=15_000)
    expect(tab).to_contain_text("step 600 of 600")
    assert not page.errors
