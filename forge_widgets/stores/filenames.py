"""Names of files: which file holds which session, and which heartbeat is whose.

Pure. A name never depends on the case of its letters, since a file system may not tell them apart, and none is another
one's ``-wal`` or a device of Windows.
"""

from __future__ import annotations

import hashlib
import re

SESSION_SUFFIX = ".sqlite"
BEAT_SUFFIX = ".beat"

_PLAIN = re.compile(r"[a-z0-9._-]{1,100}")
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_HASHED = re.compile(r".{0,80}~[0-9a-f]{12}")


def stem_of(session_id: str) -> str:
    """Return the name of a session's files without suffix: the id itself, or its beginning, ``~`` and a hash."""
    if _PLAIN.fullmatch(session_id) and not _DEVICE.fullmatch(session_id):
        return session_id
    return _hashed(session_id, 80)


def is_hashed(stem: str) -> bool:
    """Say whether a stem does not tell its session's id, so that the file has to be asked."""
    return _HASHED.fullmatch(stem) is not None


def beat_name(stem: str, producer: str) -> str:
    """Return the name of a producer's heartbeat file. ``@`` stands in no stem, so it shows where the stem ends."""
    plain = re.fullmatch(r"[a-z0-9_-]{1,40}", producer)
    return f"{stem}@{producer if plain else _hashed(producer, 0)}{BEAT_SUFFIX}"


def _hashed(text: str, kept: int) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{text.lower()[:kept]}~{digest}"
