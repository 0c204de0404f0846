"""A server that has started leaves what it is made of to itself."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc
from forge_widgets.server.collector import set_aside_what_is_there
set_aside_what_is_there()
print(gc.get_freeze_count() > 1_000, len(gc.get_objects()) < 1_000)
"""


def test_what_a_started_process_holds_is_no_longer_looked_at() -> None:
    said = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.split() == ["True", "True"]
