"""The demo's notebook: a section and a live cell for each part, live as soon as it is opened.

The outputs are stored: no kernel is needed to see them. Each is followed: the page comes to the part that begins.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from forge_widgets.cli.demo.lab import LabServer
from forge_widgets.cli.demo.parts import Part
from forge_widgets.core.face import SESSION_MIME_TYPE

NAME = "forge-widgets-demo"

Json = dict[str, Any]


def demo_notebook(parts: Sequence[Part], store_id: str) -> Json:
    """Build the notebook of sessions that are trained in other processes."""
    return {
        "cells": list(_cells(parts, store_id)),
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
    """Write the notebook into the server's folder and return its page's URL; a file of the user's is never overwritten."""
    for number in range(1, 100):
        path = quote(f"{NAME}.ipynb" if number == 1 else f"{NAME}-{number}.ipynb")
        there = server.ask(f"api/contents/{path}?type=notebook&content=1")
        if there is None or there.get("content", {}).get("metadata", {}).get("forge_widgets", {}).get("demo"):
            server.ask(f"api/contents/{path}", {"type": "notebook", "content": notebook}, "PUT")
            return server.page(path)
    raise FileExistsError(f"{server.url} has a hundred notebooks called {NAME}: rename or delete some")


def _cells(parts: Sequence[Part], store_id: str) -> Iterator[Json]:
    yield _text(
        "about",
        "# Training, live\n\n"
        "What is trained runs in processes of its own, and the views below show what these record, without a kernel. "
        "Reload the page, restart the kernel, close the tab and come back: nothing is lost.",
    )
    for number, part in enumerate(parts, 1):
        place = f"{number} · " if len(parts) > 1 else ""
        yield _text(f"part-{number}", f"## {place}{part.title}\n\n{part.about}\n\n**Look at:** {part.look}")
        yield _watch(f"watch-{number}", number, part.session_id, store_id)
        if part.code:
            yield _text(f"code-{number}", f"```python\n{part.code}```")
    yield _code(
        "rows",
        f'import forge_widgets as forge\nforge.history("{parts[0].session_id}").to_dataframe().tail()  # needs pandas',
    )


def _text(name: str, source: str) -> Json:
    return {"cell_type": "markdown", "id": f"forge-{name}", "metadata": {}, "source": source}


def _code(name: str, source: str, count: int | None = None, outputs: Sequence[Json] = ()) -> Json:
    cell = {"cell_type": "code", "id": f"forge-{name}", "metadata": {}, "source": source}
    return {**cell, "execution_count": count, "outputs": list(outputs)}


def _watch(name: str, count: int, session_id: str, store_id: str) -> Json:
    output = {
        "output_type": "execute_result",
        "execution_count": count,
        "data": {
            SESSION_MIME_TYPE: {"sessionId": session_id, "version": 1},
            "text/plain": f"Progress of {session_id}: JupyterLab with forge-widgets shows it live here",
        },
        "metadata": {SESSION_MIME_TYPE: {"storeId": store_id, "follow": True}},
    }
    return _code(name, f'import forge_widgets as forge\nforge.watch("{session_id}")', count, [output])


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
