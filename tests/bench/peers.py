"""The peers' virtual environments: .venv/peers/NAME, made of tests/bench/peers/requirements-NAME.txt on first use, then kept.

Each has its own, so that none can hold another (or us) to a version, and what they bring is never imported by the suite.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "peers"
ENVIRONMENTS = Path(__file__).parents[2] / ".venv" / "peers"

INSTALL_LIMIT_S = 900.0


class Missing(Exception):
    """A peer's environment can't be made here."""


def python_of(name: str) -> str:
    """Return the Python of a peer's environment, made anew where its requirements have changed. Raises Missing."""
    python, missing = _made(name)
    if missing:
        raise Missing(missing)
    return python


@functools.cache
def _made(name: str) -> tuple[str, str]:
    """Return the Python, and why it is not there, if so; tried once in a run."""
    wanted = REQUIREMENTS / f"requirements-{name}.txt"
    environment = ENVIRONMENTS / name
    python, installed = environment / "bin" / "python", environment / "installed.txt"
    if not (installed.exists() and installed.read_bytes() == wanted.read_bytes()):
        print(f"bench: installing {name}", file=sys.stderr)
        shutil.rmtree(environment, ignore_errors=True)
        try:
            _call(sys.executable, "-m", "venv", str(environment))
            _call(str(python), "-m", "pip", "install", "--quiet", "--requirement", str(wanted))
        except Missing as missing:
            return str(python), str(missing)
        # Last: an installation that was cut off is begun again.
        shutil.copy(wanted, installed)
    return str(python), ""


@functools.cache
def versions() -> dict[str, str]:
    """Return what is pinned, by package: what the figures are of."""
    lines = (line for path in sorted(REQUIREMENTS.glob("*.txt")) for line in path.read_text("utf-8").splitlines())
    return dict(line.split("==", 1) for line in lines if "==" in line)


def _call(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as late:
        raise Missing(f"not installed within {INSTALL_LIMIT_S:.0f} s") from late
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise Missing(f"not installed: {said[-1] if said else done.returncode}")
