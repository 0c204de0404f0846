"""Whether the contract is held as a whole: every sentence and every row of it is quoted by a test of this folder.

A test's docstring quotes what it holds, a piece of the contract's text a line. What can't be seen from outside, or takes
other means, is listed here with the test that holds it.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.conftest import CONTRACT

HERE = Path(__file__).parent
TESTS = HERE.parent

ELSEWHERE = {
    # Frames of the same state, pushed by a kernel: Jupyter's messages, and a page that hears them.
    "Socket.IO and comm:": "widgets/test_widgets_comm.py",
    "- `useWebSocketProgress(sessionId, options?)` for React: "
    "`{metrics, status, error, connection, WebSocketProgressComponent}`; `WebSocketProgress` takes `sessionId`, "
    "`onMetricsUpdate`, `onStatusUpdate`, `onError`, `fallbackPollingInterval` (ms, 1000), `websocketUrl`.": (
        "browser/test_browser_react.py"
    ),
    # Specified in docs/PROTOCOL.md, and no part of the contract.
    "What we add for our own client (cursor, ranges, step rows, resume) is asked for by query parameters or message fields "
    "and is specified in docs/PROTOCOL.md.": "server/test_server_protocol.py",
    # Measured, at leisure.
    "An update is on the page in under 50 ms where polling needed 1,000; at least 90 % less traffic than polling once a "
    "second brings at the same freshness; training does not notice.": "bench",
}
"""Pieces of the contract that tests outside of this folder hold."""


def plain(text: str) -> str:
    """Write a text on one line."""
    return " ".join(text.split())


def quotes() -> Iterator[tuple[str, str]]:
    """Yield every line of a test's docstring, with the test's name."""
    for file in sorted(HERE.glob("test_contract_*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and file != Path(__file__):
                lines = (ast.get_docstring(node) or "").splitlines()
                yield from ((f"{file.name}::{node.name}", plain(line)) for line in lines if line.strip())


def pieces() -> Iterator[str]:
    """Yield the contract's sentences, cells and lines of code, each as one line."""
    for block in re.split(r"(```\w*\n.*?```)", CONTRACT, flags=re.DOTALL):
        if block.startswith("```"):
            yield from (plain(line) for line in block.splitlines()[1:-1] if line.strip())
            continue
        # A line that goes on from the one before is of the same sentence; a row, an item and a heading stand for themselves.
        joined = re.sub(r"\n(?![\n#|-])", " ", block)
        for line in joined.splitlines():
            if (
                line.startswith("#")
                or re.fullmatch(r"[|\- ]*", line)
                or line in ("| call | answer |", "| direction | message |")
            ):
                continue
            for cell in re.split(r"\s\|\s", line.strip("|→ ")):
                yield from (plain(sentence) for sentence in re.split(r"(?<=[.;])\s+(?=[A-Z`?@\d])", cell) if sentence)


def unheld(piece: str, held: str) -> bool:
    """Say whether less than half of a piece is marked as held; ``held`` is the contract with NULs for what is."""
    start = plain(CONTRACT).index(piece)
    return held[start : start + len(piece)].count("\0") < len(piece) / 2


def marked() -> str:
    """Return the contract's text with NULs for all that some test holds."""
    text = held = plain(CONTRACT)
    for quote in [*(line for _, line in quotes()), *map(plain, ELSEWHERE)]:
        for found in re.finditer(re.escape(quote), text):
            held = held[: found.start()] + "\0" * len(quote) + held[found.end() :]
    return held


def test_every_quote_is_the_contracts() -> None:
    text = plain(CONTRACT)
    strange = [
        (test, line)
        for test, line in [*quotes(), *(("elsewhere", plain(key)) for key in ELSEWHERE)]
        if line not in text
    ]
    assert strange == []


def test_every_test_says_what_it_holds() -> None:
    told = {test for test, _ in quotes()}
    for file in HERE.glob("test_contract_*.py"):
        names = re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert file == Path(__file__) or {f"{file.name}::{name}" for name in names} <= told


def test_every_sentence_and_every_row_is_held() -> None:
    held = marked()
    missing = [piece for piece in pieces() if unheld(piece, held)]
    assert missing == []


@pytest.mark.parametrize("place", sorted(set(ELSEWHERE.values())))
def test_what_is_held_elsewhere_is_there(place: str) -> None:
    assert (TESTS / place).exists()


def test_the_suite_knows_the_contract_alone() -> None:
    for file in HERE.glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imported = [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
        imported += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert not [name for name in imported if name.split(".")[0] == "forge_widgets"], os.fspath(file)
