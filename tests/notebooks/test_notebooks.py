"""The notebooks of the tour, run as a reader would, and read where no kernel is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
FIRST_RUN = NOTEBOOKS / "01_first_run.ipynb"


def jupyter(*arguments: str, store: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        check=False,
        env={**os.environ, "FORGE_WIDGETS_STORE": os.fspath(store)},
        cwd=store,
        capture_output=True,
        text=True,
        timeout=110,
    )


@pytest.mark.slow
@pytest.mark.parametrize("notebook", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_gives_what_is_stored_in_it_twice_in_a_row(notebook: Path, tmp_path: Path) -> None:
    for _ in range(2):
        done = jupyter("pytest", "--nbval", "-q", "-p", "no:cacheprovider", str(notebook), store=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("notebook", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_holds_nothing_of_the_machine_that_made_it(notebook: Path) -> None:
    read = nbformat.read(notebook, as_version=4)
    nbformat.validate(read)
    assert read.metadata["kernelspec"]["name"] == "python3"
    assert "widgets" not in read.metadata
    outputs = [output for cell in read.cells for output in cell.get("outputs", [])]
    assert outputs
    assert all(not output.get("metadata") for output in outputs)
    assert all(output.output_type in ("display_data", "execute_result") for output in outputs)
    text = notebook.read_text("utf-8")
    assert not re.search(r"/(home|root|tmp|work)/|127\.0\.0\.1|localhost", text)
    assert len(text) < 60_000


def test_the_static_curve_is_in_what_nbconvert_makes(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    done = jupyter("nbconvert", "--to", "html", "--output", str(target), str(FIRST_RUN), store=tmp_path)
    assert done.returncode == 0, done.stderr
    page = target.read_text("utf-8")
    assert re.search('<img [^>]*src="data:image/svg\\+xml;base64,', page)
    assert "2,400 steps recorded" in page


@pytest.mark.slow
def test_a_notebook_saved_with_its_widgets_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_WIDGETS_STORE", os.fspath(tmp_path))
    notebook = nbformat.read(FIRST_RUN, as_version=4)
    NotebookClient(notebook, timeout=60, store_widget_state=True).execute()
    states = notebook.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"].values()
    ours = [state["state"] for state in states if state["model_module"] == "anywidget"]
    assert len(ours) == 2
    assert len(nbformat.writes(notebook)) < 200_000
    for state in ours:
        kept = {name for name in state if not name.startswith("_")}
        assert kept <= {"session_id", "store_id", "server", "layout", "tabbable", "tooltip"}
