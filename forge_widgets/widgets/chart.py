"""MetricChart: one metric of a session as a Plotly chart that follows the training.

The lab draws it from the server, without this kernel; elsewhere the widget's script does. Both with plotly.js, which
stands beside the script; where no server brings that to the browser, this kernel does.
Called by users.
"""

from __future__ import annotations

from typing import Any

import traitlets

from forge_widgets.core.metrics import COORDINATES, wire_name
from forge_widgets.errors import InvalidInput
from forge_widgets.widgets.frontend import built_file
from forge_widgets.widgets.session import SessionWidget, StoreLike, refuse_unknown


class MetricChart(SessionWidget):
    """Show one metric of a session as a chart, a line a model.

    Args:
        session_id: the session to show; see :class:`ProgressWidget`.
        metric: the metric's name: one of the contract's, in camelCase or snake_case, or one of your own.
        store: where it is recorded; see :class:`ProgressWidget`.
        log_y: True draws the values on a logarithmic axis.
        layout: an ``ipywidgets.Layout``.

    Raises:
        InvalidSessionId: for an id that is none.
        InvalidInput: for a metric that is an axis of charts, such as ``currentStep``, or no name, and for other
            arguments that can't be used.

    Attributes:
        metric: the metric's name on the wire; setting it changes the chart where it is shown. A lab's page that is
            loaded again shows it as it was displayed.
        log_y: whether the axis is logarithmic; setting it does the same.
    """

    metric = traitlets.Unicode().tag(sync=True)
    log_y = traitlets.Bool().tag(sync=True)

    _script = "chart.js"

    def __init__(
        self,
        session_id: str,
        metric: str = "loss",
        *,
        store: StoreLike = None,
        log_y: bool = False,
        layout: Any = None,
        **unknown: object,
    ) -> None:
        refuse_unknown("MetricChart", unknown, ("session_id", "metric", "store", "log_y", "layout"))
        traits: dict[str, Any] = {"metric": _curve_name(metric), "log_y": _flag("log_y", log_y)}
        if layout is not None:
            traits["layout"] = layout
        super().__init__(session_id, store=store, **traits)

    @property
    def _shown(self) -> tuple[str, bool]:
        return self.metric, self.log_y

    @property
    def _view(self) -> dict[str, Any]:
        return {"view": "chart", "metric": self.metric, "logY": self.log_y}

    @traitlets.validate("metric")
    def _valid_metric(self, proposal: Any) -> str:
        return _curve_name(proposal["value"])

    def _answer(self, content: object) -> None:
        """Send plotly.js to a front end that can't load it from a server."""
        if content == {"type": "plotly"}:
            self.send({"type": "plotly"}, buffers=[built_file("plotly-basic.min.js").read_bytes()])


def _curve_name(metric: object) -> str:
    if not isinstance(metric, str):
        raise InvalidInput(f"{metric!r} is no name", where="metric", expected="a metric's name, such as 'loss'")
    name = wire_name(metric)
    if name in COORDINATES:
        raise InvalidInput(f"{metric!r} is an axis", where="metric", expected="a metric with a curve, such as 'loss'")
    return name


def _flag(where: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(f"{value!r} can't be used", where=where, expected="True or False")
    return value
