"""ProgressWidget: the dashboard of one session in a cell, and ``watch``, which makes one.

Its output carries the session's ids first, so that the lab shows it from the server, without this kernel; the static
faces are for everybody else. Called by users.
"""

from __future__ import annotations

from typing import Any

from forge_widgets.widgets.session import SessionWidget, StoreLike, refuse_unknown


class ProgressWidget(SessionWidget):
    """Show a session live: status, phase, models, progress, time left, metrics and the loss curve.

    Args:
        session_id: the session to show: 1 to 128 of ``A-Z a-z 0-9 . _ -``. One that nothing was recorded of waits,
            and says so.
        store: where it is recorded: a store, a folder or a URL; None is ``FORGE_WIDGETS_STORE`` or the user's own.
        layout: an ``ipywidgets.Layout``.

    Raises:
        InvalidSessionId: for an id outside the above.
        InvalidStoreURL: for a store URL of an unknown scheme or shape.
        StoreUnavailable: where the store's folder can't be read or made. Another machine's store that is out of reach
            raises nothing: the widget says so, and shows the session once it is there.
    """

    def __init__(self, session_id: str, *, store: StoreLike = None, layout: Any = None, **unknown: object) -> None:
        refuse_unknown("ProgressWidget", unknown, ("session_id", "store", "layout"))
        super().__init__(session_id, store=store, **({} if layout is None else {"layout": layout}))


def watch(session_id: str, *, store: StoreLike = None) -> ProgressWidget:
    """Show a session live in a cell; see :class:`ProgressWidget`.

    In a cell that trains, ``display(forge.watch("my-training"))`` shows it while the cell runs.
    """
    return ProgressWidget(session_id, store=store)
