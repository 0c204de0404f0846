"""Runs a block as its language asks: a program in a process of its own, a document parsed, a page's code compiled.

One function a language, in one table; a block of a language that is not there is none that readers can trust.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import yaml
from nbclient import NotebookClient
from traitlets.config.loader import PyFileConfigLoader

from forge_widgets.server.extension import ForgeWidgetsExtension
from tests.docs.blocks import ROOT, Block, blocks_of, documents
from tests.docs.places import Places
from tests.docs.shell import is_shown, run_shell
from tests.docs.standing import standing

_UI = ROOT / "forge_widgets" / "ui"
# The package's types are made of it: so no build has to be there.
_REACT = "src/react/index.ts"
_OPTIONS = {
    "noEmit": True, "allowJs": True, "checkJs": False, "strict": True, "jsx": "react-jsx", "target": "es2022",
    "module": "esnext", "moduleResolution": "bundler", "skipLibCheck": True, "types": [], "moduleDetection": "force",
    "lib": ["es2023", "dom", "dom.iterable"],
    "paths": {
        "*": [f"{_UI}/node_modules/@types/*", f"{_UI}/node_modules/*"],
        "forge-widgets-react": [f"{_UI}/{_REACT}"],
    },
}  # fmt: skip
# How a file of each language ends.
_COMPILED = {"js": "js", "jsx": "jsx", "ts": "ts", "tsx": "tsx"}
_DEPLOYED = ROOT / "docs" / "deploy"
_TIMEOUT_S = 60


def run_block(block: Block, places: Places, folder: Path) -> None:
    """Run a block as a reader would; an AssertionError says what is wrong with it."""
    assert block.language, f"{block.name}: name the language of this block, and fence it"
    runner = RUNNERS.get(block.language)
    assert runner, f"{block.name}: nothing here runs {block.language!r}; there are {', '.join(sorted(RUNNERS))}"
    runner(block, places, folder)


def _shell(block: Block, places: Places, folder: Path) -> None:
    run_shell(block, places.stand(block.word("at", "working")))


def _python(block: Block, places: Places, folder: Path) -> None:
    if is_deployed(block):
        return
    if re.search(r"^c\.", block.text, re.MULTILINE):
        _settings(block, folder)
    elif "display(" in block.text or "cell" in block.words:
        run_cell(block, standing(folder, "").environment)
    else:
        _script(block, folder)


def _script(block: Block, folder: Path) -> None:
    place = standing(folder, "")
    (place.folder / "script.py").write_text(block.text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "script.py"],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        cwd=place.folder,
        env=dict(place.environment),
        check=False,
    )
    # What is not recorded is only warned of: a snippet that warns is wrong.
    said = f"{block.name}\n{done.stdout}\n{done.stderr}"
    assert (done.returncode, done.stderr) == (0, ""), said
    assert block.shown is None or is_shown(done.stdout, block.shown), said


def run_cell(block: Block, environment: Mapping[str, str]) -> list[str]:
    """Run a block as a notebook's cell; return what it shows, as text."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(block.text)])
    NotebookClient(notebook, timeout=_TIMEOUT_S, kernel_name="python3").execute(env=dict(environment))
    said = [
        output for output in notebook.cells[0].outputs if output.output_type == "stream" and output.name == "stderr"
    ]
    assert not said, f"{block.name}\n{said}"
    return [output.data["text/plain"] for output in notebook.cells[0].outputs if "data" in output]


def _settings(block: Block, folder: Path) -> None:
    """Read a Jupyter configuration file as Jupyter does; what it sets of ours has to be there."""
    (folder / "config.py").write_text(block.text, "utf-8")
    read = PyFileConfigLoader("config.py", path=os.fspath(folder)).load_config()
    unknown = set(read.get("ForgeWidgetsExtension", {})) - set(ForgeWidgetsExtension.class_trait_names())
    assert not unknown, f"{block.name}: ForgeWidgetsExtension has no {unknown}"


def _json(block: Block, places: Places, folder: Path) -> None:
    """Parse documents, of which an empty line parts one from the next; ``…`` stands for what is left out."""
    if is_deployed(block):
        return
    for document in re.split(r"\n\s*\n", block.text.strip()):
        whole = re.sub(r"(?<=[{\[])…(?=[}\]])|, …(?=[}\]])", "", document)
        try:
            json.loads(whole)
        except json.JSONDecodeError as error:
            raise AssertionError(f"{block.name}: {error}\n{document}") from error


def _text(block: Block, places: Places, folder: Path) -> None:
    """A drawing, or words of a screen: for the eye alone."""


def _typescript(block: Block, places: Places, folder: Path) -> None:
    """Compile against the React package's sources; a block of JavaScript, or with ``part`` behind it, is only parsed."""
    found = [known for document in documents() for known in blocks_of(document) if known.language in _COMPILED]
    # The documents' own are compiled together: a compiler takes most of its time to start.
    wrong = _compiled_together(*found) if block in found else _compiled_together(block)
    assert not wrong[block.name], f"{block.name}\n" + "\n".join(wrong[block.name])


@cache
def _compiled_together(*blocks: Block) -> dict[str, list[str]]:
    """Return what is wrong with each of some blocks, by their names."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        names = [f"block{number}.{_COMPILED[block.language]}" for number, block in enumerate(blocks)]
        for name, block in zip(names, blocks, strict=True):
            (folder / name).write_text(block.text, "utf-8")
        (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": _OPTIONS, "files": names}), "utf-8")
        tsc = ["node", os.fspath(_UI / "node_modules" / "typescript" / "bin" / "tsc"), "-p", place]
        done = subprocess.run(tsc, capture_output=True, text=True, timeout=_TIMEOUT_S, cwd=folder, check=False)
    told = done.stdout.splitlines()
    return {block.name: _told_of(name, block, told) for name, block in zip(names, blocks, strict=True)}


def _told_of(name: str, block: Block, told: list[str]) -> list[str]:
    """Return the errors of one file; of one that is only parsed those of the grammar, which are TS1…"""
    numbers = r"1\d{3}:" if "part" in block.words or block.language in ("js", "jsx") else r"\d"
    error = re.compile(rf"^{re.escape(name)}\(.*error TS{numbers}")
    return [line for line in told if error.search(line)]


def _deployed(block: Block, places: Places, folder: Path) -> None:
    """A file of docs/deploy, or a part of one: tests/deploy runs them."""
    assert is_deployed(block), f"{block.name}: no file of docs/deploy holds these lines"


def _ini(block: Block, places: Places, folder: Path) -> None:
    if not is_deployed(block):
        configparser.ConfigParser(strict=True, interpolation=None).read_string(block.text)


def _yaml(block: Block, places: Places, folder: Path) -> None:
    if not is_deployed(block):
        try:
            yaml.safe_load(block.text)
        except yaml.YAMLError as error:
            raise AssertionError(f"{block.name}: {error}") from error


def is_deployed(block: Block) -> bool:
    """Say whether the lines of a block stand so in a file of docs/deploy."""
    lines = block.text.strip("\n")
    files = [path for path in _DEPLOYED.rglob("*") if path.is_file()] if _DEPLOYED.is_dir() else []
    return any(f"\n{lines}\n" in f"\n{path.read_text('utf-8')}\n" for path in files)


RUNNERS: Mapping[str, Callable[[Block, Places, Path], None]] = {
    "conf": _deployed,
    "dockerfile": _deployed,
    "ini": _ini,
    "js": _typescript,
    "json": _json,
    "jsx": _typescript,
    "nginx": _deployed,
    "python": _python,
    "sh": _shell,
    "text": _text,
    "ts": _typescript,
    "tsx": _typescript,
    "yaml": _yaml,
}
