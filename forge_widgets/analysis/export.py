"""A recorded session as a file for other programs: CSV, JSON or Parquet.

Owns the file, which is written whole or not at all; formats.py owns what is in it. The command line and notebooks call it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from forge_widgets.analysis.formats import FORMATS, Format, load_pyarrow, writer_of
from forge_widgets.analysis.history import History, history
from forge_widgets.analysis.reading import StoreLike
from forge_widgets.errors import InvalidInput


def export(
    session_id: str,
    format: Format,  # noqa: A002
    target: str | os.PathLike[str] | BinaryIO,
    *,
    attempt: int | None = None,
    store: StoreLike = None,
) -> History:
    """Write the rows of a session's latest attempt, or of another one by its number, and return them.

    A row each, in the order of the log, with the columns of :class:`History`. CSV leaves a cell empty where a row has
    no value and writes ``NaN``, ``Infinity``, ``-Infinity``; JSON is one strict document that holds the lifecycle
    events too, a number that is not finite being null and named under ``nonfinite``; Parquet tells missing (null)
    from NaN. ``target`` is a file's path, written whole or not at all, or an open binary file.
    Raises what ``history`` raises, MissingDependency (Parquet without pyarrow), and OSError where the file can't be.
    """
    if format not in FORMATS:
        raise InvalidInput(f"{format!r} is no format", where="format", expected=f"one of {', '.join(FORMATS)}")
    write = writer_of(format)
    if format == "parquet":
        load_pyarrow()
    recorded = history(session_id, attempt=attempt, store=store)
    if isinstance(target, (str, os.PathLike)):
        with _whole_file(Path(target)) as file:
            write(recorded, file)
    else:
        write(recorded, target)
    return recorded


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write beside the file and put it in its place once all is there; a pipe or device is written as it is."""
    path = path.resolve()
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as file:
            yield file
        return
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == os.fspath(beside):
            # Said of the file that was asked for, not of the one beside it.
            raise type(error)(error.errno, error.strerror, os.fspath(path)) from error
        raise
