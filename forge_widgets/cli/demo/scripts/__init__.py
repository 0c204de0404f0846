"""The trainings that the demo shows, as a person would write them: read by name, written beside the notebook, run there.

They are texts and not modules: each trains as soon as it is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from forge_widgets.core.metrics import check_session_id

_SESSION = '"my-training"'


def script(name: str, session_id: str, changes: Mapping[str, str] | None = None) -> str:
    """Return the code of a training that records into a session.

    ``changes`` are lines' parts to be replaced, such as ``{"STEPS = 3000": "STEPS = 800"}``. Raises LookupError for one that
    is not in the script.
    """
    code = files(__package__).joinpath(f"{name}.txt").read_text("utf-8")
    for old, new in {_SESSION: f'"{check_session_id(session_id)}"', **(changes or {})}.items():
        if old not in code:
            raise LookupError(f"{old!r} is not in the script {name!r}")
        code = code.replace(old, new)
    return code
