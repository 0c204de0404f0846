"""What every widget of one session has in common: its faces in an output, and its stream to the front end.

Synced are ids only; what was recorded travels as custom messages, so that a saved notebook holds none of it. The
widgets inherit from this; it must never import the server.
"""

from __future__ import annotations

import difflib
import os
import weakref
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import anywidget
import comm
import traitlets

from forge_widgets.core.face import SESSION_MIME_TYPE
from forge_widgets.core.metrics import check_session_id
from forge_widgets.errors import ForgeError, InvalidInput, StoreUnavailable
from forge_widgets.stores import Store, is_remote, open_store
from forge_widgets.widgets.comm import CommStream, read_wish
from forge_widgets.widgets.frontend import built_file
from forge_widgets.widgets.parent_server import has_parent_server
from forge_widgets.widgets.reader import SessionReader

StoreLike = str | os.PathLike[str] | Store | None

UNKNOWN_STORE = "unknown"
"""A store's id while its server is out of reach: no server has it, so that none is taken for the one that serves it."""

MimeBundle = tuple[dict[str, Any], dict[str, Any]]
"""Data by MIME type, and metadata by MIME type."""


class SessionWidget(anywidget.AnyWidget):
    """Show one session; the subclass says with which script and which metric.

    Attributes:
        session_id: the session shown.
        store_id: the store that it is in; a front end follows it only on a server that serves this one. ``unknown`` where
            another machine keeps it, until that answers.
    """

    session_id = traitlets.Unicode(read_only=True).tag(sync=True)
    store_id = traitlets.Unicode(read_only=True).tag(sync=True)

    # Name of the built script, without its folder.
    _script = "widget.js"
    # Ends the stream and closes the store, once; None while the constructor has not come so far.
    _let_go: Callable[[], object] | None = None

    def __init__(self, session_id: str, *, store: StoreLike = None, **traits: Any) -> None:
        check_session_id(session_id)
        script = built_file(self._script).read_text("utf-8")
        opened = open_store(store)
        self._reader = SessionReader(opened, session_id)
        self._stream: CommStream | None = None
        self.set_trait("session_id", session_id)
        self.set_trait("store_id", _store_id(opened))
        super().__init__(_esm=script, **traits)
        owned = opened if store is None or isinstance(store, (str, os.PathLike)) else None
        self._begin(owned, eager=not has_parent_server())

    @property
    def _shown(self) -> tuple[str, bool]:
        """The metric of the static faces, and whether its axis is logarithmic."""
        return "loss", False

    @property
    def _view(self) -> dict[str, Any]:
        """What the lab shows of the session, where that is not the dashboard: set by whoever wrote the cell alone."""
        return {}

    def __repr__(self) -> str:
        """Say the session in one line, given by what was recorded alone."""
        return self._text()[0]

    def close(self) -> None:
        """Let go of the front end, the thread and the store. The widget shows nothing new afterwards."""
        super().close()
        if self._let_go is not None:
            self._let_go()

    def _repr_mimebundle_(self, **_: object) -> MimeBundle:
        """Build the four faces that this widget has in an output, of which a front end takes the best it knows."""
        text, readable = self._text()
        if readable and self.store_id == UNKNOWN_STORE:
            self.set_trait("store_id", _store_id(self._reader.store))
        data: dict[str, Any] = {
            SESSION_MIME_TYPE: {"sessionId": self.session_id, "version": 1, **self._view},
            "text/plain": text,
            "text/html": self._html() if readable else f"<pre>{escape(text)}</pre>",
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self.model_id,
            },
        }
        # Metadata, since a comparison of outputs (nbval) leaves that out, and a store's id is random.
        return data, {SESSION_MIME_TYPE: {"storeId": self.store_id}}

    def _answer(self, content: object) -> None:
        """Answer a front end's message that is not about frames; a subclass that knows some overrides this."""

    def _text(self) -> tuple[str, bool]:
        """Write the plain line, and say whether the store can be read: where not, the line says why, and it is asked once."""
        try:
            return self._reader.text_face(self._shown[0]), True
        except ForgeError as error:
            return f"{self.session_id}: {error}", False

    def _html(self) -> str:
        metric, log_y = self._shown
        try:
            return self._reader.html_face(metric, log_y=log_y)
        except ForgeError as error:
            return f"<pre>{escape(f'{self.session_id}: {error}')}</pre>"

    def _begin(self, owned: Store | None, *, eager: bool) -> None:
        """Start to push to the front end, where there is a kernel to push through."""
        known = weakref.ref(self)

        def send(message: Mapping[str, Any]) -> bool:
            widget = known()
            if widget is None or widget.comm is None:
                return False
            widget.send(message)
            return True

        stream = CommStream(self._reader, send, eager=eager)
        # Called by close too; by itself when nobody holds the widget any more, or at exit.
        self._let_go = weakref.finalize(self, _release, stream, owned)
        if isinstance(self.comm, comm.DummyComm):
            return
        _answer_where_asked(self.comm)
        self._stream = stream
        self.on_msg(_receive)
        stream.start()


def _store_id(store: Store) -> str:
    """Return a store's id; another machine that is out of reach must not end the training whose cell shows it."""
    try:
        return store.store_id
    except StoreUnavailable:
        if is_remote(store):
            return UNKNOWN_STORE
        raise


def _release(stream: CommStream, owned: Store | None) -> None:
    stream.stop()
    if owned is not None:
        owned.close()


def _receive(widget: SessionWidget, content: object, _buffers: object) -> None:
    wish = read_wish(content)
    if wish is not None and widget._stream is not None:
        widget._stream.receive(wish)
    else:
        widget._answer(content)


def _answer_where_asked(opened: Any) -> None:
    """Let messages be answered by the subshell that the front end sends them to.

    ipykernel 7.4 sends them to the shell behind the comm's last message from here (comm._reply_subshell_for), which a
    running cell keeps busy when the widget was made in it. The name is private: without it the widget still pushes.
    """
    if hasattr(opened, "_reply_subshell_for"):
        opened._reply_subshell_for = None


def refuse_unknown(where: str, unknown: Mapping[str, object], known: tuple[str, ...]) -> None:
    """Raise InvalidInput for keyword arguments that a widget does not have, and name the nearest that it has."""
    for name in unknown:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"{near[0]!r}, perhaps" if near else "one of " + ", ".join(known)
        raise InvalidInput(f"unknown argument {name!r}", where=where, expected=hint)
