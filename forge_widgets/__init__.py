"""Live training progress for Jupyter. The public API; importing it loads nothing heavy.

    import forge_widgets as forge

Record: ``create_progress_hooks``, ``integrate_with_existing_training``, ``CognateCreatorIntegration``, ``run``, ``track``.
See: ``watch``, ``ProgressWidget``, ``MetricChart``, ``sessions``. Use what was recorded: ``history``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from forge_widgets._version import __version__

if TYPE_CHECKING:
    from forge_widgets.analysis.history import history
    from forge_widgets.analysis.sessions import sessions
    from forge_widgets.training.cognate import CognateCreatorIntegration
    from forge_widgets.training.hooks import create_progress_hooks
    from forge_widgets.training.integrate import integrate_with_existing_training
    from forge_widgets.training.run import run
    from forge_widgets.training.track import track
    from forge_widgets.widgets.chart import MetricChart
    from forge_widgets.widgets.progress import ProgressWidget, watch

__all__ = [
    "CognateCreatorIntegration",
    "MetricChart",
    "ProgressWidget",
    "__version__",
    "create_progress_hooks",
    "history",
    "integrate_with_existing_training",
    "run",
    "sessions",
    "track",
    "watch",
]

_HOMES = {
    "CognateCreatorIntegration": "forge_widgets.training.cognate",
    "MetricChart": "forge_widgets.widgets.chart",
    "ProgressWidget": "forge_widgets.widgets.progress",
    "create_progress_hooks": "forge_widgets.training.hooks",
    "history": "forge_widgets.analysis.history",
    "integrate_with_existing_training": "forge_widgets.training.integrate",
    "run": "forge_widgets.training.run",
    "sessions": "forge_widgets.analysis.sessions",
    "track": "forge_widgets.training.track",
    "watch": "forge_widgets.widgets.progress",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'forge_widgets' has no attribute {name!r}; it has: {', '.join(__all__)}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Tell JupyterLab's tools where the built front end is and under which name it is installed."""
    return [{"src": "labextension", "dest": "forge-widgets"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Tell Jupyter Server where its extension is."""
    from forge_widgets.server.extension import extension_points

    return extension_points()
