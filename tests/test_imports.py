"""Who may import whom. The rooms point one way, `core` is pure, and importing the package loads nothing heavy."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "forge_widgets"

MAY_IMPORT = {
    "core": set[str](),
    "stores": {"core"},
    "training": {"core", "stores"},
    "analysis": {"core", "stores"},
    "server": {"core", "stores"},
    "widgets": {"core", "stores", "training", "analysis"},
    "cli": {"core", "stores", "training", "analysis", "server", "widgets"},
}
EVERYBODYS = {"errors", "_version"}
ROOT_MODULES = {"__init__", "__main__"}

# No clock, no files, no sockets, no tasks, no chance, no Jupyter: all of it comes into core as arguments.
IMPURE = {
    *("asyncio", "concurrent", "multiprocessing", "queue", "sched", "selectors", "signal", "subprocess", "threading"),
    *(
        "fcntl",
        "glob",
        "http",
        "io",
        "mmap",
        "os",
        "pathlib",
        "shutil",
        "socket",
        "ssl",
        "sqlite3",
        "tempfile",
        "urllib",
    ),
    *("random", "secrets", "time", "uuid"),
    *("anywidget", "apsw", "comm", "ipykernel", "IPython", "ipywidgets", "jupyter_client", "jupyter_core"),
    *("jupyter_server", "jupyterlab", "pandas", "plotly", "tornado", "traitlets"),
}
FRONT_ENDS = {"anywidget", "comm", "ipykernel", "IPython", "ipywidgets"}
SERVERS = {"jupyter_server", "tornado"}
FOREIGN = {
    "core": IMPURE,
    "stores": FRONT_ENDS | SERVERS | {"plotly"},
    "training": FRONT_ENDS | SERVERS | {"plotly"},
    "analysis": FRONT_ENDS | SERVERS,
    "server": FRONT_ENDS | {"plotly"},
    "widgets": SERVERS,
    "cli": set[str](),
}
HEAVY = [
    "anywidget",
    "apsw",
    "ipywidgets",
    "jupyter_server",
    "numpy",
    "pandas",
    "plotly",
    "redis",
    "tornado",
    "tsdownsample",
]


def imported_names(source: str) -> set[str]:
    """Return the dotted names that a module imports anywhere in it, in functions and type-checking blocks too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which room is meant"
            module = node.module or ""
            # `from forge_widgets import core` names its room only here
            names |= {f"{module}.{alias.name}" for alias in node.names} if module == "forge_widgets" else {module}
    return names


def room_of(path: Path) -> str:
    """Return the room a file of the package is in; for a file at the root its own name."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def sources(room: str) -> Iterator[tuple[str, set[str]]]:
    """Yield every file of a room with what it imports."""
    for path in sorted(PACKAGE.glob(f"{room}/**/*.py")):
        yield str(path.relative_to(PACKAGE)), imported_names(path.read_text(encoding="utf-8"))


def breaches(room: str, imported: set[str]) -> set[str]:
    """Return what of `imported` a file of `room` may not import."""
    allowed = MAY_IMPORT[room] | EVERYBODYS | {room}
    wrong = set()
    for name in imported:
        top, _, rest = name.partition(".")
        if top != "forge_widgets":
            within = top not in FOREIGN[room]
        else:
            # Whatever is in no room is the public API, which sits above all of them but the command line.
            within = rest.partition(".")[0] in allowed or room == "cli"
        if not within:
            wrong.add(name)
    return wrong


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    assert {path: wrong for path, imported in sources(room) if (wrong := breaches(room, imported))} == {}


def test_every_python_file_of_the_package_is_in_a_known_room() -> None:
    rooms = {room_of(path) for path in PACKAGE.glob("**/*.py") if "node_modules" not in path.parts}
    assert rooms - set(MAY_IMPORT) - EVERYBODYS - ROOT_MODULES == set()


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("core", "import time"),
        ("stores", "from forge_widgets import training"),
        ("core", "def f():\n    from forge_widgets.stores import base"),
        ("stores", "from forge_widgets.training.run import Run"),
        ("training", "import forge_widgets.server.app"),
        ("training", "from forge_widgets import server"),
        ("server", "from forge_widgets.training import hooks"),
        ("analysis", "from tornado import web"),
        ("widgets", "from forge_widgets.server.app import Application"),
        ("widgets", "import forge_widgets as forge"),
    ],
)
def test_an_import_against_the_arrow_is_seen(room: str, source: str) -> None:
    assert breaches(room, imported_names(source))


@pytest.mark.parametrize(
    ("room", "source"),
    [
        (
            "core",
            "import math\nfrom forge_widgets.core.events import Event\nfrom forge_widgets.errors import ForgeError",
        ),
        ("widgets", "from forge_widgets.training import hooks\nfrom forge_widgets.analysis import history"),
        ("stores", "from forge_widgets import core, errors"),
        ("cli", "import forge_widgets as forge\nfrom forge_widgets.server.app import Application"),
    ],
)
def test_an_import_along_the_arrow_is_allowed(room: str, source: str) -> None:
    assert breaches(room, imported_names(source)) == set()


def test_importing_the_package_loads_nothing_heavy() -> None:
    script = (
        "import sys, json, forge_widgets; print(json.dumps(sorted(name.partition('.')[0] for name in sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert set(json.loads(run.stdout)) & set(HEAVY) == set()
