"""Where sessions are kept: one interface (base.Store), one file or folder of files a backend, chosen by URL.

Training appends, server, widgets and analysis read; a store calls none of them. Importing this loads no database library.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote

from forge_widgets.errors import InvalidStoreURL
from forge_widgets.stores.base import Receipt, Snapshot, Store, Summary
from forge_widgets.stores.memory import NAMED

__all__ = [
    "ENVIRONMENT",
    "Receipt",
    "Snapshot",
    "Store",
    "Summary",
    "default_folder",
    "is_remote",
    "open_for_recording",
    "open_store",
    "outbox_folder",
]

ENVIRONMENT = "FORGE_WIDGETS_STORE"
"""The environment variable that names the store where no argument does."""


def open_store(url: str | os.PathLike[str] | Store | None = None) -> Store:
    """Open the store that a URL names; cheap, and nothing is made on disk before the first append.

    Args:
        url: a folder, ``sqlite:///folder`` (relative), ``sqlite:////folder`` (absolute), ``http(s)://host:port/prefix``
            (what another machine serves; its token as ``?token=…`` or in FORGE_WIDGETS_TOKEN), ``memory://name`` (the
            same one everywhere in this process), or a store, which is returned as it is. None: what
            FORGE_WIDGETS_STORE names, else a folder in Jupyter's data directory.

    Raises InvalidStoreURL.
    """
    if url is None:
        url = os.environ.get(ENVIRONMENT) or default_folder()
    if isinstance(url, (str, os.PathLike)):
        return _open(os.fspath(url))
    return url


def open_for_recording(url: str | os.PathLike[str] | Store | None = None) -> Store:
    """Open a store as a training writes to it: one over HTTP with an outbox on this machine behind it.

    Made for one writer's thread. Raises InvalidStoreURL.
    """
    opened = open_store(url)
    if not is_remote(opened):
        return opened
    from forge_widgets.stores.http import HttpStore
    from forge_widgets.stores.http_outbox import outbox_of
    from forge_widgets.stores.http_relay import Relay

    if not isinstance(opened, HttpStore):
        return opened
    return Relay(opened, outbox_of(outbox_folder(), opened.url), owns_remote=opened is not url)


def is_remote(store: Store) -> bool:
    """Say whether a store is another machine's."""
    return store.url.startswith(("http://", "https://"))


def outbox_folder() -> Path:
    """Return the folder below which everything waits that could not be delivered to another machine yet."""
    return default_folder() / "outbox"


def default_folder() -> Path:
    """Return the folder of the store that all kernels, scripts and servers of a user on a machine share."""
    from jupyter_core.paths import jupyter_data_dir  # here: only who needs the default pays for the import

    return Path(jupyter_data_dir()) / "forge_widgets"


def _open(url: str) -> Store:
    scheme, separator, rest = url.partition("://")
    if not separator:
        if not url.strip():
            raise InvalidStoreURL(url, "it names nothing")
        return _sqlite(url)
    if scheme == "sqlite":
        if not rest.startswith("/") or not rest[1:]:
            raise InvalidStoreURL(
                url, "a sqlite URL has three slashes before a relative folder, four before an absolute"
            )
        return _sqlite(unquote(rest[1:]))
    if scheme == "memory":
        if not rest:
            raise InvalidStoreURL(url, "it has no name")
        return NAMED.get(rest)
    if scheme in ("http", "https"):
        from forge_widgets.stores.http import HttpStore  # here: only who uses HTTP loads it
        from forge_widgets.stores.http_address import parse_address

        return HttpStore(parse_address(url))
    raise InvalidStoreURL(url, f"scheme {scheme!r} is unknown")


def _sqlite(folder: str) -> Store:
    if "\0" in folder:
        raise InvalidStoreURL(folder, "a path has no NUL character")
    from forge_widgets.stores.sqlite import SqliteStore  # here: only who uses SQLite loads it

    return SqliteStore(Path(folder).expanduser())
