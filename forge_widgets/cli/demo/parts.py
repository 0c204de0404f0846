"""What the demo shows, part by part: the words, the session, and the processes that train it.

Values only, but for the scripts that it writes into a folder. The show plays them, the notebook has a section for each.
"""

from __future__ import annotations

import sys
from pathlib import Path

from msgspec import Struct

from forge_widgets.cli.demo.scripts import script


class Run(Struct, frozen=True, kw_only=True):
    """One process of a part, that trains."""

    command: tuple[str, ...]
    # What is said in the terminal before it starts; "" for nothing.
    said: str = ""
    # True where the training is to fail: the next run goes on from there.
    fails: bool = False


class Part(Struct, frozen=True, kw_only=True):
    """One part of the demo: a session, and what makes it."""

    title: str
    # What it shows, and what to look at meanwhile.
    about: str
    look: str
    session_id: str
    runs: tuple[Run, ...]
    # Code that is printed first; "" for none.
    code: str = ""
    # True where the terminal shows what the server's HTTP routes answer meanwhile, instead of a bar.
    monitored: bool = False


def parts_of(mode: str, stamp: str, folder: Path) -> tuple[Part, ...]:
    """Return the parts of a mode, in order; their sessions' ids end in ``stamp``, their scripts are put into ``folder``."""
    if mode == "integration":
        return (_integration(f"demo-integration-{stamp}", folder),)
    quick = mode == "quick"
    return (
        _basic(f"demo-basic-{stamp}", folder, quick=quick),
        _recovery(f"demo-recovery-{stamp}", folder, quick=quick),
        _cognates(f"demo-cognates-{stamp}", mode),
        _monitoring(f"demo-monitored-{stamp}", folder, quick=quick),
    )


def _basic(session_id: str, folder: Path, *, quick: bool) -> Part:
    changes = {"STEPS = 3000": "STEPS = 500"} if quick else {}
    path = _write(folder, "basic_integration", script("basic_integration", session_id, changes))
    return Part(
        title="Basic integration",
        about="A small network learns the colours of a chessboard. Its loop got the five calls of "
        f"`create_progress_hooks`, and nothing else changed: {path.name}.",
        look="the loss falls while the loop runs. Reload the page, in the middle: nothing is lost.",
        session_id=session_id,
        runs=(Run(command=(sys.executable, str(path))),),
    )


def _recovery(session_id: str, folder: Path, *, quick: bool) -> Part:
    changes = {"POINTS = 8000": "POINTS = 1000"} if quick else {}
    path = _write(folder, "error_and_recovery", script("error_and_recovery", session_id, changes))
    command = (sys.executable, str(path))
    return Part(
        title="Error and recovery",
        about="The learning rate rises until the training really diverges, and its process ends with an exception. A second "
        f"process goes on from the checkpoint at half the rate, in the same session: {path.name}.",
        look="the error says what happened, then the status is running again, and completed at the end.",
        session_id=session_id,
        runs=(
            Run(command=command, fails=True),
            Run(command=(*command, "--resume"), said="Going on from the checkpoint at half the learning rate."),
        ),
    )


def _cognates(session_id: str, mode: str) -> Part:
    command = (sys.executable, "-m", "forge_widgets.training.cognate", "--session", session_id, "--mode", mode)
    return Part(
        title="Cognates that grok",
        about="`CognateCreatorIntegration` trains three small networks on modular addition. Each learns its pairs by heart "
        "first, and finds the rule much later.",
        look="the loss is low long before the accuracy on pairs never seen (held-out) leaves chance: then it jumps. Choose "
        "accuracy above the chart to see it.",
        session_id=session_id,
        runs=(Run(command=command),),
    )


def _monitoring(session_id: str, folder: Path, *, quick: bool) -> Part:
    changes = {"steps=3000": "steps=600"} if quick else {}
    path = _write(folder, "existing_training", script("existing_training", session_id, changes))
    return Part(
        title="Session monitoring",
        about="One more training runs, an existing function behind a decorator. Meanwhile the server is asked by HTTP, as any "
        "script or dashboard may ask it: its health, the list of sessions, the progress of each.",
        look="the table in the terminal and the panel Training sessions say the same.",
        session_id=session_id,
        runs=(Run(command=(sys.executable, str(path))),),
        monitored=True,
    )


def _integration(session_id: str, folder: Path) -> Part:
    code = script("existing_training", session_id)
    path = _write(folder, "existing_training", code)
    return Part(
        title="An existing training",
        about="A loop as many have one. Only the lines marked with + are new.",
        look="what it prints, in the terminal, is what it printed before.",
        session_id=session_id,
        runs=(Run(command=(sys.executable, str(path))),),
        code=code,
    )


def _write(folder: Path, name: str, code: str) -> Path:
    path = folder / f"{name}.py"
    path.write_text(code, "utf-8")
    return path
