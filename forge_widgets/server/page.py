"""The stand-alone page and the built front end beside it: files of this package, and nothing from elsewhere.

Mounted like every other route, so behind the mount's authentication.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from tornado.web import StaticFileHandler

from forge_widgets.server.context import ServerContext
from forge_widgets.server.handlers import ForgeHandler

PAGE = Path(__file__).with_name("page.html")
REFUSED = Path(__file__).with_name("refused.html")
STATIC = Path(__file__).parents[1] / "static"

# Scripts and connections of our own server alone; Plotly writes its styles into the page.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

# No script and no connection; its one form leads back to the page.
_REFUSED_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self'"
)
_KEPT = "<!-- kept -->"
_GIVEN = "<!-- given -->"
_UNHELPFUL = '<p role="alert"><strong>That token didn’t let you in.</strong></p>'


class PageHandler(ForgeHandler):
    """``GET /``: the page that lists sessions and shows one (``?session=ID``)."""

    async def get(self) -> None:
        """Send the page; from the store's address, which ends without a slash, lead to it."""
        path = self.request.path
        if not path.endswith("/"):
            # The page asks for what lies beside it, so that is where it has to stand.
            self.redirect(f"{path.rpartition('/')[2]}/" + (f"?{self.request.query}" if self.request.query else ""))
            return
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("Cache-Control", "no-cache")
        self.finish(PAGE.read_bytes())

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Tell a person who is not let in what to do; programs are told as by every other route."""
        if status_code != 403 or "text/html" not in self.request.headers.get("Accept", ""):
            super().write_error(status_code, **kwargs)
            return
        self.set_status(403)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", _REFUSED_POLICY)
        self.set_header("Cache-Control", "no-store")
        given = _UNHELPFUL if "token" in self.request.query_arguments else ""
        self.finish(REFUSED.read_text("utf-8").replace(_KEPT, self._kept_fields()).replace(_GIVEN, given))

    def _kept_fields(self) -> str:
        """Return the form's fields for what else the address says, so that a link to a session leads there after all."""
        asked = self.request.query_arguments.get("session", [b""])[0].decode(errors="replace")
        return f'<input type="hidden" name="session" value="{html.escape(asked)}" />' if asked else ""


class StaticHandler(ForgeHandler, StaticFileHandler):
    """``GET /static/…``: the built front end."""

    def initialize(self, context: ServerContext) -> None:  # type: ignore[override]
        """Serve the package's own folder alone."""
        ForgeHandler.initialize(self, context)
        StaticFileHandler.initialize(self, path=str(STATIC))

    def compute_etag(self) -> str | None:
        """Return the file's digest."""
        return StaticFileHandler.compute_etag(self)

    def set_extra_headers(self, path: str) -> None:  # noqa: ARG002 - tornado's
        """Let browsers ask whether a file is still the same: names don't change with the release."""
        self.set_header("Cache-Control", "no-cache")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer errors as all our routes do."""
        ForgeHandler.write_error(self, status_code, **kwargs)
