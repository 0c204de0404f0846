"""What is in the wheel and in the sdist, and that the front end carries the package's version. The front end was
built when the tests' environment was made; here it is only packed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import forge_widgets

ROOT = Path(__file__).parents[1]
DATA = f"forge_widgets-{forge_widgets.__version__}.data/data"
LABEXTENSION = f"{DATA}/share/jupyter/labextensions/forge-widgets"
MAX_WIDGET_BYTES = 80_000

pytestmark = pytest.mark.slow


def pack(target: str, folder: Path) -> Path:
    """Pack `target` ("wheel" or "sdist") into `folder` without building the front end again, and return the file."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", os.fspath(folder)],
        cwd=ROOT,
        env=os.environ | {"HATCH_JUPYTER_BUILDER_SKIP_NPM": "1"},
        check=True,
        timeout=100,
    )
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """Pack the wheel once; return its root."""
    return zipfile.Path(pack("wheel", tmp_path_factory.mktemp("wheel")))


@pytest.fixture(scope="module")
def wheel_names(wheel: zipfile.Path) -> list[str]:
    """Return the names of all files in the wheel."""
    return wheel.root.namelist()


def test_the_wheel_enables_the_server_extension(wheel: zipfile.Path) -> None:
    config = json.loads((wheel / f"{DATA}/etc/jupyter/jupyter_server_config.d/forge_widgets.json").read_text())
    assert config == {"ServerApp": {"jpserver_extensions": {"forge_widgets": True}}}


def test_the_wheel_holds_a_prebuilt_lab_extension(wheel: zipfile.Path, wheel_names: list[str]) -> None:
    package = json.loads((wheel / f"{LABEXTENSION}/package.json").read_text())
    assert package["version"] == forge_widgets.__version__
    entry = package["jupyterlab"]["_build"]["load"]
    assert f"{LABEXTENSION}/{entry}" in wheel_names
    assert f"{LABEXTENSION}/schemas/forge-widgets/plugin.json" in wheel_names
    assert json.loads((wheel / f"{LABEXTENSION}/install.json").read_text())["packageName"] == "forge-widgets"


@pytest.mark.parametrize(
    "name", ["widget.js", "chart.js", "lens-1.js", "page.js", "plotly-basic.min.js", "THIRD_PARTY_LICENSES.txt"]
)
def test_the_wheel_holds_the_built_scripts_and_their_licences(wheel_names: list[str], name: str) -> None:
    assert f"forge_widgets/static/{name}" in wheel_names


def test_the_wheel_holds_what_the_server_sends_of_itself(wheel_names: list[str]) -> None:
    assert {"forge_widgets/server/openapi.json", "forge_widgets/server/page.html"} <= set(wheel_names)


def test_the_anywidget_is_small(wheel: zipfile.Path) -> None:
    assert 0 < len((wheel / "forge_widgets/static/widget.js").read_bytes()) <= MAX_WIDGET_BYTES


def test_no_script_loads_anything_from_a_foreign_host(wheel: zipfile.Path) -> None:
    for name in ("widget.js", "chart.js", "lens-1.js", "page.js"):
        text = (wheel / "forge_widgets/static" / name).read_text()
        assert re.findall(r"""(?:import\s*\(?|from)\s*["']https?://[^"']+""", text) == []


def test_the_wheel_holds_no_sources_of_the_front_end(wheel_names: list[str]) -> None:
    assert [name for name in wheel_names if "node_modules" in name or name.startswith("forge_widgets/ui/")] == []
    assert [name for name in wheel_names if name.startswith(("tests/", "notebooks/"))] == []


def test_the_wheel_holds_licence_types_and_command(wheel: zipfile.Path, wheel_names: list[str]) -> None:
    info = f"forge_widgets-{forge_widgets.__version__}.dist-info"
    assert f"{info}/licenses/LICENSE" in wheel_names
    assert "forge_widgets/py.typed" in wheel_names
    assert "forge-widgets = forge_widgets.cli:main" in (wheel / f"{info}/entry_points.txt").read_text()
    assert "License-Expression: BSD-3-Clause" in (wheel / f"{info}/METADATA").read_text()


def test_the_sdist_holds_the_sources_of_the_front_end_and_nothing_built(tmp_path: Path) -> None:
    with tarfile.open(pack("sdist", tmp_path)) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert {
        "forge_widgets/ui/package.json",
        "forge_widgets/ui/package-lock.json",
        "forge_widgets/ui/src/lab/index.ts",
    } <= {*names}
    built = ("forge_widgets/static/", "forge_widgets/labextension/", "forge_widgets/ui/lib/")
    assert [name for name in names if "node_modules" in name or name.startswith(built)] == []


def test_the_front_end_has_the_version_of_the_package() -> None:
    package = json.loads((ROOT / "forge_widgets/ui/package.json").read_text())
    lock = json.loads((ROOT / "forge_widgets/ui/package-lock.json").read_text())
    assert package["version"] == lock["version"] == forge_widgets.__version__


def test_the_lock_file_names_no_place_to_download_from() -> None:
    lock = json.loads((ROOT / "forge_widgets/ui/package-lock.json").read_text())
    assert [path for path, entry in lock["packages"].items() if "resolved" in entry] == []
    assert all("integrity" in entry for path, entry in lock["packages"].items() if path)
