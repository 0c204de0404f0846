"""Live training progress for Jupyter. The public API; importing it loads nothing heavy."""

from forge_widgets._version import __version__

__all__ = ["__version__"]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Tell JupyterLab's tools where the built front end is and under which name it is installed."""
    return [{"src": "labextension", "dest": "forge-widgets"}]
