"""MetricChart: its arguments, its faces, and plotly.js through the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import pytest

from forge_widgets.core.face import SESSION_MIME_TYPE
from forge_widgets.errors import InvalidInput, InvalidSessionId
from forge_widgets.stores import open_store
from forge_widgets.training.run import run
from forge_widgets.widgets.chart import MetricChart
from forge_widgets.widgets.frontend import built_file


@pytest.fixture(autouse=True)
def _no_widget_is_left() -> Iterator[None]:
    yield
    ipywidgets.Widget.close_all()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with run("drawn", total_steps=5, store=tmp_path) as training:
        for step in range(1, 6):
            training.log(step=step, loss=1 / step, learning_rate=10.0**-step)
    return tmp_path


def test_it_shows_the_loss_unless_told_otherwise(store: Path) -> None:
    chart = MetricChart("drawn", store=store)
    assert (chart.metric, chart.log_y) == ("loss", False)
    assert repr(chart) == "drawn: completed · step 5 of 5 · loss 0.2"


def test_its_faces_are_of_its_metric(store: Path) -> None:
    chart = MetricChart("drawn", "learning_rate", store=store, log_y=True)
    data, metadata = chart._repr_mimebundle_()
    assert chart.metric == "learningRate"
    assert data["text/plain"] == "drawn: completed · step 5 of 5 · learning rate 1e−5"
    assert 'alt="learning rate of model 1 over their steps, logarithmic; newest 1e−5"' in data["text/html"]
    face = {"sessionId": "drawn", "version": 1, "view": "chart", "metric": "learningRate", "logY": True}
    assert data[SESSION_MIME_TYPE] == face
    assert metadata == {SESSION_MIME_TYPE: {"storeId": open_store(store).store_id}}
    assert set(data) == {SESSION_MIME_TYPE, "application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}


def test_the_faces_of_two_charts_are_the_same(store: Path) -> None:
    bundles = [MetricChart("drawn", store=store)._repr_mimebundle_()[0] for _ in range(2)]
    for data in bundles:
        del data["application/vnd.jupyter.widget-view+json"]
    assert bundles[0] == bundles[1]


def test_its_metric_can_be_changed(store: Path) -> None:
    chart = MetricChart("drawn", store=store)
    chart.metric = "learning_rate"
    assert chart.metric == "learningRate"
    assert "learning rate" in repr(chart)
    assert chart._repr_mimebundle_()[0][SESSION_MIME_TYPE]["metric"] == "learningRate"
    with pytest.raises(InvalidInput, match="'totalSteps' is an axis"):
        chart.metric = "totalSteps"


@pytest.mark.parametrize("metric", ["", "x" * 201, "a\nb", "currentStep", "current_step", 3, None])
def test_a_metric_that_has_no_curve_is_refused(metric: Any, store: Path) -> None:
    with pytest.raises(InvalidInput):
        MetricChart("drawn", metric, store=store)


def test_other_arguments_that_can_not_be_used_are_refused(store: Path) -> None:
    with pytest.raises(InvalidInput, match="1 can't be used in log_y: expected True or False"):
        MetricChart("drawn", store=store, log_y=1)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="'log_y', perhaps"):
        MetricChart("drawn", store=store, logy=True)
    with pytest.raises(InvalidSessionId):
        MetricChart("a b", store=store)


def test_the_kernel_sends_plotly_to_whom_asks(kernel: Any) -> None:
    chart = kernel.make_widget('w = forge.MetricChart("drawn")')
    kernel.tell(chart, {"type": "plotly"})
    kernel.until(lambda: kernel.custom(chart, "plotly"), "plotly.js")
    messages = [m for m in kernel.published if m["msg_type"] == "comm_msg" and m["buffers"]]
    assert bytes(messages[0]["buffers"][0]) == built_file("plotly-basic.min.js").read_bytes()


def test_a_chart_follows_the_stream(kernel: Any) -> None:
    chart = kernel.make_widget('w = forge.MetricChart("followed")')
    kernel.run("with forge.run('followed') as training:\n    training.log(loss=3.0)")
    kernel.until(lambda: any(f["to"] == 3 for f in kernel.custom(chart, "frame")), "the frame")
