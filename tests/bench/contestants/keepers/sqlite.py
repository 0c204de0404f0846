"""A SQLite database as durable as ours: a write-ahead log that every commit syncs."""

from __future__ import annotations

import sqlite3


def database() -> sqlite3.Connection:
    """Open one that commits where it is told to."""
    connection = sqlite3.connect("rows.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection
