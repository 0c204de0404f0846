"""Where the built front end lies in the package, and what to say where it isn't built."""

from __future__ import annotations

from pathlib import Path

from forge_widgets.errors import ForgeError

STATIC = Path(__file__).parent.parent / "static"
"""The folder that the wheel's build fills; it is not in git."""


def built_file(name: str) -> Path:
    """Return the path of a built file, such as ``widget.js``. Raises ForgeError where it is missing."""
    path = STATIC / name
    if not path.is_file():
        raise ForgeError(
            f"forge_widgets/static/{name} is missing: the front end isn't built; "
            "'pip install -e .' in the project's folder builds it, an installed wheel brings it"
        )
    return path
