"""Which Jupyter server a kernel belongs to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from forge_widgets.widgets.parent_server import has_parent_server


@pytest.fixture
def described(jupyter_home: Path) -> Path:
    return Path(os.environ["JUPYTER_RUNTIME_DIR"]) / "jpserver-4711.json"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"base_url": "/user/ada/", "token": "secret"}', True),
        ('{"token": "secret"}', False),
        ("[]", False),
        ("{half", False),
        (None, False),
    ],
)
def test_the_runtime_file_says_that_there_is_a_server(described: Path, text: str | None, expected: bool) -> None:
    if text is not None:
        described.write_text(text, "utf-8")
    assert has_parent_server({"JPY_PARENT_PID": "4711"}) is expected
    described.unlink(missing_ok=True)


@pytest.mark.parametrize("pid", ["", "../../secret", "-1"])
def test_without_a_process_id_there_is_no_server(pid: str) -> None:
    assert has_parent_server({"JPY_PARENT_PID": pid} if pid else {}) is False
