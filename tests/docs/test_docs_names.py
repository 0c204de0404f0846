"""What documents name is there: the files and headings that they link to, options, environment variables, limits, paths."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from forge_widgets.cli import COMMANDS
from forge_widgets.server.settings import settings
from tests.docs.blocks import ROOT, anchors_of, blocks_of, code_of, documents, links_of
from tests.docs.commands import help_of

PACKAGE = ROOT / "forge_widgets"
# Where a path that a sentence names may begin.
_ROOMS = (ROOT, PACKAGE, PACKAGE / "ui", PACKAGE / "ui" / "src", ROOT / "docs", ROOT / "tests")
# Options of other people's commands.
_FOREIGN = {"--strict"}
_OF_ALL = {"--help", "--version"}
# Settings of ours are written so in Jupyter.
_TRAIT = re.compile(r"ForgeWidgetsExtension\.([a-z_]+)")
# The documents that speak of another project's files; tests/docs/test_docs_migration.py holds those.
_OF_OTHERS = {"MIGRATION.md"}

each_document = pytest.mark.parametrize("document", documents(), ids=lambda document: str(document.relative_to(ROOT)))


@each_document
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in links_of(document):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors_of(target), f"{link}: {target.name} has no such heading"


@each_document
def test_every_option_that_is_named_exists(document: Path) -> None:
    known = (
        {option for command in COMMANDS for option in help_of(command.__name__.rpartition(".")[2])} | _FOREIGN | _OF_ALL
    )
    for code in code_of(document):
        if _is_ours(code):
            unknown = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9.-]*", code)) - known
            assert not unknown, f"`{code}`: no command of ours has {unknown}"


def _is_ours(code: str) -> bool:
    """Say whether an option is one of ours: alone, or behind one of our commands."""
    return re.match(r"(--[a-z]|forge-widgets )", code) is not None


@each_document
def test_every_limit_that_is_named_exists(document: Path) -> None:
    known = {setting.name for setting in settings()}
    text = document.read_text("utf-8")
    named = set(_TRAIT.findall(text)) | set(re.findall(r"--limit ([a-z_]+)=", text))
    assert named <= known, named - known


@each_document
def test_every_environment_variable_that_is_named_exists(document: Path) -> None:
    named = set(re.findall(r"\bFORGE_[A-Z_]+", document.read_text("utf-8")))
    assert named <= _environment(), named - _environment()


def _environment() -> set[str]:
    """Return the names of the environment that something in the tree reads."""
    sources = [*PACKAGE.glob("**/*.py"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("docs/deploy/**/*"), ROOT / "Makefile"]
    texts = [path.read_text("utf-8", "replace") for path in sources if path.is_file() and path != Path(__file__)]
    return {name for text in texts for name in re.findall(r"\bFORGE_[A-Z_]+", text)}


@each_document
def test_every_path_that_is_named_exists(document: Path) -> None:
    if document.name in _OF_OTHERS:
        return
    for code in code_of(document):
        if re.fullmatch(r"(?!api/)(?:[\w.-]+/)+[\w.-]*\.(?:py|ts|tsx|md|json|toml|html)", code):
            assert any((room / code).exists() for room in (*_ROOMS, document.parent)), f"there is no {code}"


def test_a_document_holds_blocks_links_and_code() -> None:
    readme = ROOT / "README.md"
    assert {block.language for block in blocks_of(readme)} == {"python", "sh"}
    assert "docs/PROTOCOL.md" in links_of(readme)
    assert "forge.watch(name)" in code_of(readme)
    assert "where-it-is-kept" in anchors_of(readme)
