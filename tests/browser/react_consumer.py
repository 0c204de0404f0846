"""A project of somebody who uses the React package: installs the packed package, checks its types, bundles and serves a page."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

APP = Path(__file__).parent / "react_app"
UI = Path(__file__).parents[2] / "forge_widgets" / "ui"
# React with what it needs, and its types, from where the front end has them: nothing is fetched.
TAKEN = ("react", "react-dom", "scheduler", "loose-envify", "js-tokens", "csstype")
TAKEN_TYPES = ("react", "react-dom", "prop-types")
TIMEOUT_S = 90.0

_ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


class Consumer:
    """The project, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        modules = folder / "node_modules"
        for name in (*TAKEN, *(f"@types/{name}" for name in TAKEN_TYPES)):
            shutil.copytree(UI / "node_modules" / name, modules / name)
        dependencies = dict.fromkeys(("react", "react-dom", "@types/react", "@types/react-dom"), "*")
        project = {"name": "consumer", "private": True, "type": "module", "dependencies": dependencies}
        (folder / "package.json").write_text(json.dumps(project))
        for file in APP.iterdir():
            shutil.copy(file, folder)

    def install(self) -> None:
        """Pack the package, which builds it, and install the tarball."""
        self.run("npm", "pack", "--pack-destination", str(self.folder), cwd=UI / "react")
        (tarball,) = self.folder.glob("forge-widgets-react-*.tgz")
        # Peers are there already; to resolve them npm would ask the registry what versions of React there are.
        options = ("--offline", "--legacy-peer-deps", "--no-audit", "--no-fund")
        self.run("npm", "install", *options, f"./{tarball.name}")

    def check_types(self, resolution: str) -> str:
        """Check the page's types by one of TypeScript's ways to find a package; return what is wrong."""
        module = {"bundler": "esnext"}.get(resolution, resolution)
        options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--lib", "es2023,dom"]
        options += ["--jsx", "react-jsx", "--module", module, "--moduleResolution", resolution]
        compiler = UI / "node_modules" / "typescript" / "bin" / "tsc"
        return self.run("node", str(compiler), *options, "main.tsx", check=False)

    def bundle(self) -> None:
        """Bundle the page with React's development build, whose StrictMode mounts everything twice."""
        define = '--define:process.env.NODE_ENV="development"'
        esbuild = UI / "node_modules" / ".bin" / "esbuild"
        self.run(
            str(esbuild),
            "main.tsx",
            "--bundle",
            "--format=esm",
            "--jsx=automatic",
            "--outfile=main.js",
            define,
            "--log-level=warning",
        )

    def run(self, *command: str, cwd: Path | None = None, check: bool = True) -> str:
        """Run a command in the project; return what it said."""
        ended = subprocess.run(
            command,
            check=False,
            cwd=cwd or self.folder,
            env=_ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert not check or ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve the folder on a port of its own; give its URL."""
        handler = partial(_Quiet, directory=os.fspath(self.folder))
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, name="consumer", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join(10)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""
