"""The demo's notebook: one cell that watches the session, its output stored, so that it is live as soon as it is opened."""

from __future__ import annotations

import platform
from typing import Any
from urllib.parse import quote

from forge_widgets.cli.demo.lab import LabServer
from forge_widgets.core.face import SESSION_MIME_TYPE

NAME = "forge-widgets-demo"

Json = dict[str, Any]


def demo_notebook(session_id: str, store_id: str) -> Json:
    """Build the notebook of a session that is trained in another process."""
    about = (
        "# A training, live\n\n"
        "A training runs in a process of its own, and the view below reads what it records: reload the page, "
        "restart the kernel, close the tab and come back: nothing is lost.\n\n"
        "It was here before a kernel ran. Run the cell and it goes on the same."
    )
    rows = f'forge.history("{session_id}").to_dataframe().tail()  # what was recorded so far; needs pandas'
    return {
        "cells": [
            _cell("about", "markdown", about),
            {
                **_cell("watch", "code", f'import forge_widgets as forge\n\nforge.watch("{session_id}")'),
                "execution_count": 1,
                "outputs": [_output(session_id, store_id)],
            },
            {**_cell("rows", "code", rows), "execution_count": None, "outputs": []},
        ],
        "metadata": {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": _language_info(),
            # Says that the notebook is ours to write anew.
            "forge_widgets": {"demo": True},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def place_notebook(server: LabServer, notebook: Json) -> str:
    """Write the notebook into the server's folder and return its path; a file of the user's is never overwritten."""
    for number in range(1, 100):
        path = quote(f"{NAME}.ipynb" if number == 1 else f"{NAME}-{number}.ipynb")
        there = server.ask(f"api/contents/{path}?type=notebook&content=1")
        if there is None or there.get("content", {}).get("metadata", {}).get("forge_widgets", {}).get("demo"):
            server.ask(f"api/contents/{path}", {"type": "notebook", "content": notebook}, "PUT")
            return path
    raise FileExistsError(f"{server.url} has a hundred notebooks called {NAME}: rename or delete some")


def _language_info() -> Json:
    """Describe the kernel's language as the kernel does: the lab then has nothing to correct, and nothing to save."""
    return {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
        "version": platform.python_version(),
    }


def _cell(name: str, kind: str, source: str) -> Json:
    return {"cell_type": kind, "id": f"forge-{name}", "metadata": {}, "source": source}


def _output(session_id: str, store_id: str) -> Json:
    return {
        "output_type": "execute_result",
        "execution_count": 1,
        "data": {
            SESSION_MIME_TYPE: {"sessionId": session_id, "version": 1},
            "text/plain": f"Progress of {session_id}: JupyterLab with forge-widgets shows it live here",
        },
        "metadata": {SESSION_MIME_TYPE: {"storeId": store_id}},
    }
