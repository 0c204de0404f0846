"""docs/TROUBLESHOOTING.md leads from what people see to what they can do, in the words that they see."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

import pytest

from tests.docs.blocks import ROOT, blocks_of, links_of, tokens_of

PAGE = ROOT / "docs" / "TROUBLESHOOTING.md"
# Words of browsers, Jupyter and SQLite.
OTHERS = (
    "mixed content",
    "database disk image is malformed",
    "database or disk is full",
    "disk I/O error",
    "Loading widget",
)
# What stands for a value: a number, a session, a file, an address, a time.
_VALUE = re.compile("|".join(map(re.escape, OTHERS)) + r"|…+|\d[\d,:.]*|my-training\S*|https://\S*|'abc'|'loss'")


@cache
def said() -> str:
    """Return what the package's sources hold, sentences that a line's end parts put together; and what the page shows
    to be printed, which its lines hold.
    """
    package = ROOT / "forge_widgets"
    sources = [*package.glob("**/*.py"), *package.glob("server/*.html"), *(package / "ui" / "src").glob("**/*.ts*")]
    texts = [path.read_text("utf-8") for path in sources if ".test." not in path.name]
    shown = [block.shown.text for block in blocks_of(PAGE) if block.shown is not None]
    text = "\n".join([*texts, *shown])
    return re.sub(r'"\s*\n\s*f?"', "", text)


def quoted() -> list[str]:
    """Return what the page quotes in its sentences and tables."""
    texts = [
        child.content
        for token in tokens_of(PAGE)
        for child in token.children or ()
        if child.type in ("text", "softbreak")
    ]
    return [phrase for text in texts for phrase in re.findall(r'"([^"]+)"', text)]


@pytest.mark.parametrize("phrase", sorted(set(quoted())))
def test_what_is_quoted_is_said_somewhere(phrase: str) -> None:
    fragments = [part.strip(" .:,'") for part in _VALUE.split(phrase)]
    for fragment in filter(None, fragments):
        found = fragment.lower() in said().lower()
        assert found, f"nobody says {fragment!r}"


def test_something_is_quoted() -> None:
    assert {"the token is a wrong one", "this server keeps another store", "polling"} <= set(quoted())


def test_every_trouble_is_found_by_what_is_seen() -> None:
    titles = [
        after.content
        for token, after in pairwise(tokens_of(PAGE))
        if token.type == "heading_open" and token.tag == "h2"
    ]
    led_to = {link.removeprefix("#") for link in links_of(PAGE)}
    assert titles
    for title in titles:
        assert re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") in led_to, title


def test_connection_fallback_and_missing_updates_are_parts_of_it() -> None:
    parts = [line[2:] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("# ")]
    assert {"Connection", "Fallback", "Missing updates"} <= set(parts)
