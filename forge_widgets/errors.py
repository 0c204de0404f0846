"""The one tree of errors.

    ForgeError
    ├── InvalidInput            an argument, a field or a body that can't be used (also a ValueError; HTTP 422)
    │   ├── InvalidSessionId    a session id outside [A-Za-z0-9._-]{1,128}, or "." or ".." (HTTP 400)
    │   └── InvalidStoreURL     a store URL of an unknown scheme or shape
    ├── SessionNotFound         no such session in this store (also a LookupError; HTTP 404)
    ├── SequenceGap             a producer's batch leaves a hole in its sequence (HTTP 409)
    ├── StoreUnavailable        the store can't take or give records now: full, read-only, locked, gone (also an OSError)
    │   ├── RateLimited         a server takes no more steps of this client for a while (HTTP 429)
    │   └── Refused             a server does not take a batch as it is (HTTP 400, 413, 415, 422, 507)
    ├── StoreDamaged            a session's file is no database of ours, or is broken
    └── MissingDependency       an optional library is not installed (also an ImportError)

Messages say what happened with the value, what was expected, and what to do next; facts are attributes.
"""

from __future__ import annotations

import re

# What a URL may hold that must not be shown: a password before the host, and a token.
_SECRETS = re.compile(r"(?<=//)[^/?#]*(?=@)|(?<=token=)[^&#]*", re.IGNORECASE)


class ForgeError(Exception):
    """Base of every error that forge_widgets raises on purpose."""


class InvalidInput(ForgeError, ValueError):
    """Raised when an argument, a field or a body can't be used.

    Attributes:
        where: the name of the argument or the path of the field, such as ``metrics.loss``.
        expected: what would have been right, in words.
    """

    def __init__(self, what: str, *, where: str, expected: str) -> None:
        super().__init__(f"{what} in {where}: expected {expected}")
        self.where = where
        self.expected = expected


class InvalidSessionId(InvalidInput):
    """Raised for a session id outside ``[A-Za-z0-9._-]{1,128}``, or ``.`` or ``..``."""

    def __init__(self, session_id: object) -> None:
        shown = repr(session_id)
        super().__init__(
            f"{shown if len(shown) <= 80 else shown[:77] + '...'} is no session id",
            where="sessionId",
            expected="1 to 128 of the characters A-Z a-z 0-9 . _ - and neither '.' nor '..'",
        )
        self.session_id = session_id


class InvalidStoreURL(InvalidInput):
    """Raised for a store URL of an unknown scheme or shape."""

    def __init__(self, url: str, why: str) -> None:
        url = _SECRETS.sub("…", url)
        super().__init__(
            f"{url!r}: {why}",
            where="store",
            expected="a folder, 'sqlite:///folder', 'http(s)://host:port/prefix' or 'memory://name' "
            "(argument store= or environment FORGE_WIDGETS_STORE)",
        )
        self.url = url


class SessionNotFound(ForgeError, LookupError):
    """Raised when a session is not in the store that was asked."""

    def __init__(self, session_id: str, store_url: str) -> None:
        super().__init__(
            f"session {session_id!r} is not in the store {store_url}; "
            "'forge-widgets sessions' lists the sessions that are"
        )
        self.session_id = session_id
        self.store_url = store_url

    def __str__(self) -> str:
        return str(self.args[0])


class SequenceGap(ForgeError):
    """Raised when a batch leaves a hole in its producer's sequence; nothing of it is applied."""

    def __init__(self, producer: str, expected: int, got: int) -> None:
        super().__init__(f"producer {producer} sent sequence {got}, expected {expected}: send again from {expected}")
        self.producer = producer
        self.expected = expected
        self.got = got


class StoreUnavailable(ForgeError, OSError):
    """Raised when a store can't take or give records now; the same call may go through later."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"the store {url} is not available: {reason}")
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])


class RateLimited(StoreUnavailable):
    """Raised when a server takes no more steps of a client for a while: they came faster than it lets in.

    Attributes:
        retry_after_s: seconds after which the same call goes through.
    """

    def __init__(
        self, url: str, retry_after_s: float, reason: str = "steps come faster than the server lets in"
    ) -> None:
        super().__init__(url, reason)
        self.args = (f"{url} takes no more steps for now: {reason}; ask again in {retry_after_s:.1f} s",)
        self.retry_after_s = retry_after_s


class Refused(StoreUnavailable):
    """Raised when a server does not take a batch as it is: over one of its limits, or nothing that it can use.

    Attributes:
        status: the HTTP status of its answer.
    """

    def __init__(self, url: str, status: int, words: str) -> None:
        super().__init__(url, f"it does not take what it was sent ({status}: {words})")
        self.status = status


class StoreDamaged(ForgeError):
    """Raised when a session's file is no database of ours, or fails its check."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} can't be used: {reason}")
        self.path = path
        self.reason = reason


class MissingDependency(ForgeError, ImportError):
    """Raised when an optional library is not installed."""

    def __init__(self, library: str, purpose: str, install: str) -> None:
        super().__init__(f"{library} is needed for {purpose} and is not installed: pip install '{install}'")
        self.library = library
