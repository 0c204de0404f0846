"""Finds what the documents hold that can be tried: blocks of code, links, headings and words set as code.

Reads Markdown by markdown-it alone and runs nothing. The tests of this folder call it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
# What a document shows right behind its commands, or behind a program, is what they print.
_PROGRAMS = ("python", "sh")
_OUTPUTS = ("text", "json")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code as it stands in a document."""

    document: Path
    # The line of its opening fence, from 1 on.
    line: int
    # "" for one that is only indented, or names none.
    language: str
    # What stands behind the language: "exits=7", "at=down". Readers don't see it.
    words: tuple[str, ...]
    text: str
    # What it prints, where the document shows that right behind it.
    shown: Block | None = None

    @property
    def name(self) -> str:
        """Say where it stands."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"

    def word(self, name: str, default: str) -> str:
        """Return the value of a word ``name=value``."""
        return next((word[len(name) + 1 :] for word in self.words if word.startswith(f"{name}=")), default)


def documents() -> list[Path]:
    """Return every document that people read."""
    ui = ROOT / "forge_widgets" / "ui"
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ui / "README.md", *(ui / "react").glob("*.md")]
    return sorted(found)


@cache
def tokens_of(document: Path) -> tuple[Token, ...]:
    """Return a document's tokens."""
    return tuple(MarkdownIt("commonmark").enable("table").parse(document.read_text("utf-8")))


def blocks_of(document: Path) -> list[Block]:
    """Return a document's blocks in order; one that shows the output of another is found there, in ``shown``."""
    blocks: list[Block] = []
    behind: Block | None = None
    for token in tokens_of(document):
        block = _block(document, token)
        if block is None:
            behind = None
        elif behind is not None and block.language in _OUTPUTS and "own" not in block.words:
            blocks[-1] = _with_output(behind, block)
            behind = None
        else:
            blocks.append(block)
            behind = block if block.language in _PROGRAMS else None
    return blocks


def _block(document: Path, token: Token) -> Block | None:
    if token.type not in ("fence", "code_block"):
        return None
    language, *words = token.info.split() or [""]
    line = token.map[0] + 1 if token.map else 0
    return Block(document, line, language, tuple(words), token.content)


def _with_output(block: Block, shown: Block) -> Block:
    return Block(block.document, block.line, block.language, block.words, block.text, shown)


def links_of(document: Path) -> list[str]:
    """Return the addresses that a document links to, images too."""
    return [
        str(child.attrs.get("href") or child.attrs.get("src"))
        for child in _inline(document)
        if child.type in ("link_open", "image")
    ]


def code_of(document: Path) -> list[str]:
    """Return what is set as code within a document's sentences."""
    return [child.content for child in _inline(document) if child.type == "code_inline"]


def anchors_of(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as code hosts make them."""
    tokens = tokens_of(document)
    titles = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", title).lower()).replace(" ", "-") for title in titles}


def _inline(document: Path) -> Iterator[Token]:
    for token in tokens_of(document):
        yield from token.children or ()
