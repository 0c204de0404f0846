"""Whether a Jupyter server started this kernel: then a page can reach sessions without it, and the comm may rest.

Reads the runtime file that the server writes (jupyter_server.serverapp.ServerApp.info_file) instead of importing
jupyter_server, which takes seconds. Must never hand on the URL and the token that stand in it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir


def has_parent_server(environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether a Jupyter server started this process; False in a script, VS Code or Colab."""
    pid = environ.get("JPY_PARENT_PID", "")
    if not pid.isdigit():
        return False
    try:
        described = json.loads((Path(jupyter_runtime_dir()) / f"jpserver-{pid}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(described, dict) and isinstance(described.get("base_url"), str)
