"""What every test gets: a Jupyter home of its own, so that no test reads or writes the person's store, settings or
running servers; and the fixtures of pytest-jupyter for a real server in the test's own process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["pytest_jupyter.jupyter_server"]

_HOMES = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
# What a shell inside of a Jupyter server (a terminal of the lab, say) would hand down to the tests.
_HANDED_DOWN = (
    "FORGE_WIDGETS_STORE",
    "FORGE_WIDGETS_TOKEN",
    "JPY_API_TOKEN",
    "JPY_PARENT_PID",
    "JPY_SESSION_NAME",
    "JUPYTER_PATH",
    "JUPYTER_CONFIG_PATH",
    "JUPYTER_SERVER_URL",
    "JUPYTER_TOKEN",
)


@pytest.fixture(scope="session", autouse=True)
def jupyter_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the whole run, and every process that it starts, fresh Jupyter folders; return what holds them."""
    home = tmp_path_factory.mktemp("jupyter-home")
    with pytest.MonkeyPatch.context() as patch:
        for name in _HOMES:
            folder = home / name.lower()
            folder.mkdir(mode=0o700)
            patch.setenv(name, os.fspath(folder))
        for name in _HANDED_DOWN:
            patch.delenv(name, raising=False)
        yield home


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give one test an empty Jupyter data folder, and with it an empty default store."""
    folder = tmp_path / "jupyter-data"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("JUPYTER_DATA_DIR", os.fspath(folder))
    return folder
