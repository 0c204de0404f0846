"""Which Jupyter server started this kernel: what a widget tells its front end of it.

Reads the runtime file that the server writes (jupyter_server.serverapp.ServerApp.info_file) instead of importing
jupyter_server, which takes seconds. Must never hand on the token that stands beside the URL in it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from jupyter_core.paths import jupyter_runtime_dir


class ParentServer(TypedDict):
    """The server that a kernel belongs to."""

    # Path that its routes begin with, "/" at both ends.
    baseUrl: str


def find_parent_server(environ: Mapping[str, str] = os.environ) -> ParentServer | None:
    """Find the Jupyter server that started this process; None where there is none (a script, VS Code, Colab)."""
    pid = environ.get("JPY_PARENT_PID", "")
    if not pid.isdigit():
        return None
    try:
        described = json.loads((Path(jupyter_runtime_dir()) / f"jpserver-{pid}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    base_url = described.get("base_url") if isinstance(described, dict) else None
    return {"baseUrl": base_url} if isinstance(base_url, str) and base_url.startswith("/") else None
