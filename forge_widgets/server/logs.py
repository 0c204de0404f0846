"""What the stand-alone server logs, and how: a record for each request, as text or as JSON, and never the token.

``application`` logs requests here; the command line chooses format and level. Nothing is configured by importing it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Literal, TextIO
from urllib.parse import quote

from pythonjsonlogger.json import JsonFormatter
from tornado.web import RequestHandler

LogFormat = Literal["text", "json"]

LEVELS = ("debug", "info", "warning", "error")

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_SHOWN_CHARS = 300
# What the reasons name that a server's owner can do something about.
_OPTION = "--allow-"
# Asked for all the time by those who look after a server; at "info" they would hide everything else.
_PROBES = ("/api/health", "/health", "/metrics")
# A shorter secret could be any word of a message.
_SECRET_CHARS = 6

_LOG = logging.getLogger("forge_widgets.server.requests")


class _Redacted(logging.Formatter):
    """Writes a record as another formatter does, with what must not be told taken out."""

    def __init__(self, formatter: logging.Formatter, secrets: Sequence[str]) -> None:
        super().__init__()
        self._formatter = formatter
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        text = self._formatter.format(record)
        for secret in self._secrets:
            text = text.replace(secret, "[token]")
        return text


def configure_logs(
    log_format: LogFormat, level: str, *, token: str | None = None, stream: TextIO | None = None
) -> logging.Handler:
    """Let this process log, and return the handler that does.

    Args:
        log_format: "text", a line each, or "json", an object a line.
        level: the least that is logged, one of LEVELS.
        token: what is never written, wherever it came from.
        stream: where to; None is stderr.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    formatter: logging.Formatter = logging.Formatter(_TEXT)
    if log_format == "json":
        formatter = JsonFormatter(
            "%(levelname)s %(name)s %(message)s",
            rename_fields={"levelname": "level", "name": "logger"},
            timestamp=True,
        )
    secrets = () if token is None or len(token) < _SECRET_CHARS else tuple({token, quote(token, safe="")})
    handler.setFormatter(_Redacted(formatter, secrets))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    return handler


def log_request(handler: RequestHandler) -> None:
    """Log a request that was answered, without its query, which may hold the token."""
    status, request = handler.get_status(), handler.request
    why = getattr(handler, "refusal", "")
    level = logging.WARNING if _is_new(handler, why) else logging.INFO
    if status >= 500:
        level = logging.ERROR if status == 500 else logging.WARNING
    if status < 400 and getattr(handler, "route", "") in _PROBES:
        level = logging.DEBUG
    if not _LOG.isEnabledFor(level):
        return
    facts = {
        "method": _shown(request.method or ""),
        "path": _shown(request.path),
        "status": status,
        "duration_ms": round(1_000 * request.request_time(), 1),
        "remote": request.remote_ip,
    }
    session_id = (getattr(handler, "path_kwargs", None) or {}).get("session_id")
    if session_id is not None:
        facts["session_id"] = _shown(session_id)
    if why:
        facts["reason"] = why
    _LOG.log(
        level,
        "%s %s %s %s ms %s%s",
        *(facts[name] for name in ("status", "method", "path", "duration_ms", "remote")),
        f" ({why})" if why else "",
        extra=facts,
    )


def _is_new(handler: RequestHandler, why: str) -> bool:
    """Say whether a request is the first that an option would have let in: its page shows nothing, and can't say why."""
    told: set[str] = handler.settings.setdefault("refusals_told", set())
    if _OPTION not in why or why in told:
        return False
    told.add(why)
    return True


def _shown(text: str) -> str:
    """Return a client's text as a log can hold it: in one line, without control characters, not too long."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text[:_SHOWN_CHARS])
