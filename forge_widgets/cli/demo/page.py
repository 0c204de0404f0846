"""The browser that the demo opens."""

from __future__ import annotations

import html
import os
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def opened_page(url: str, folder: Path) -> Iterator[None]:
    """Open a URL with a token in the user's browser.

    The browser is given a file that only the user can read and that leads on to the URL: a command line can be read by
    everybody on the machine, and the token must not be. The file is gone afterwards.
    """
    path = folder / f"open-{os.getpid()}.html"
    address = html.escape(url)
    page = (
        f'<!DOCTYPE html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={address}">'
        f'<title>forge-widgets demo</title><p>The demo is <a href="{address}">here</a>.</p>\n'
    )
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(page)
        if not _open(path.as_uri()):
            print("No browser could be opened; the URL above is the way in.", file=sys.stderr, flush=True)
        yield
    finally:
        path.unlink(missing_ok=True)


def _open(address: str) -> bool:
    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False
