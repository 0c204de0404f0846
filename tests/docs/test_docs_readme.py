"""README's snippet is run in a real kernel, as a reader would run it."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.slow
def test_the_snippet_of_the_readme_runs_and_shows_its_chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_WIDGETS_STORE", str(tmp_path / "store"))
    found = re.search(r"```python\n(.+?)```", README.read_text("utf-8"), re.DOTALL)
    assert found
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(found.group(1))])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    shown = [output.data["text/plain"] for output in outputs if "data" in output]
    assert shown == ["my-training: running · step 0 of 1,000", shown[-1]]
    assert "my-training" in shown[-1]
    assert "completed" in shown[-1]
