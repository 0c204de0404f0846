"""What the demo trains in a process of its own: our cognates, or an existing loop made live."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

from forge_widgets.core.metrics import check_session_id


def training_command(mode: str, session_id: str, store_url: str, folder: Path) -> tuple[list[str], str]:
    """Return the command that trains into a session, and the code to show first ("" where there is none)."""
    if mode != "integration":
        module = [sys.executable, "-m", "forge_widgets.training.cognate"]
        return [*module, "--session", session_id, "--mode", mode, "--store", store_url], ""
    script = folder / "existing_training.py"
    code = existing_training(session_id)
    script.write_text(code, "utf-8")
    return [sys.executable, str(script)], code


def existing_training(session_id: str) -> str:
    """Return the code of an existing training loop that records into a session."""
    template = files(__package__).joinpath("existing_training.txt").read_text("utf-8")
    return template.replace('"my-training"', f'"{check_session_id(session_id)}"')
