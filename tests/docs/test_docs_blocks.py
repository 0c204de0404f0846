"""Every block of code in every document is run as a reader would run it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import Block, blocks_of, documents
from tests.docs.languages import run_block, run_cell
from tests.docs.places import Places
from tests.docs.standing import standing

ALL = [block for document in documents() for block in blocks_of(document)]
# README's cell is run by itself, since what it shows is looked at.
(CELL,) = (block for block in ALL if block.document.name == "README.md" and "display(" in block.text)
BLOCKS = [block for block in ALL if block is not CELL]


@pytest.mark.parametrize("block", BLOCKS, ids=[block.name for block in BLOCKS])
def test_a_block_does_what_its_document_says(block: Block, places: Places, tmp_path: Path) -> None:
    run_block(block, places, tmp_path)


def test_the_cell_of_the_readme_runs_and_shows_its_chart(tmp_path: Path) -> None:
    live, chart = run_cell(CELL, standing(tmp_path, "").environment)
    assert live == "my-training: running · step 0 of 1,000"
    assert "my-training" in chart
    assert "completed" in chart


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("", "forge-widgets sessions\n"),
        ("cobol", "STOP RUN.\n"),
        ("sh", "forge-widgets serve --opne\n"),
        ("sh", "forge-widgets sesions\n"),
        ("sh", "make tset\n"),
        ("sh", "pip install 'forge-widgets[sockets]'\n"),
        ("sh", "touch /etc/forge-widgets\n"),
        ("sh", "curl -sf $SERVER/api/sessions\n"),
        ("python", "import forge_widgets as forge\nforge.rum('a')\n"),
        ("python", "c.ForgeWidgetsExtension.max_roms = 5\n"),
        ("json", '{"sessionId": }\n'),
        ("tsx", "const a: number = 'b';\n"),
        ("nginx", "server {}\n"),
    ],
)
def test_a_block_that_is_wrong_is_found(language: str, text: str, places: Places, tmp_path: Path) -> None:
    block = Block(documents()[0], 1, language, (), text)
    with pytest.raises(AssertionError):
        run_block(block, places, tmp_path)


def test_an_output_that_is_another_is_found(places: Places, tmp_path: Path) -> None:
    shown = Block(documents()[0], 4, "text", (), "my-training  completed\n")
    block = Block(documents()[0], 1, "sh", (), "forge-widgets sessions\n", shown)
    with pytest.raises(AssertionError, match="is not what is shown"):
        run_block(block, places, tmp_path)
