"""ProgressWidget and watch outside of a kernel, where they are text and HTML."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import ipywidgets
import pytest
import traitlets
from IPython.core.formatters import DisplayFormatter

from forge_widgets.core.face import SESSION_MIME_TYPE
from forge_widgets.errors import ForgeError, InvalidInput, InvalidSessionId, InvalidStoreURL, StoreUnavailable
from forge_widgets.stores import open_store
from forge_widgets.training.hooks import create_progress_hooks
from forge_widgets.widgets import frontend
from forge_widgets.widgets.progress import ProgressWidget, watch


@pytest.fixture(autouse=True)
def _no_widget_is_left() -> Iterator[None]:
    yield
    ipywidgets.Widget.close_all()


def train(store: Path, steps: int = 10) -> None:
    hooks = create_progress_hooks("seen", store=store)
    hooks.emit_training_started(total_steps=steps, total_models=1)
    for step in range(1, steps + 1):
        hooks.emit_step_update(step=step, loss=1 / step, model_idx=0)
    hooks.emit_phase_completed("training_complete")
    hooks.close()


def test_a_session_that_nothing_was_recorded_of_waits(tmp_path: Path) -> None:
    assert repr(watch("not-begun", store=tmp_path)) == "not-begun: waiting · nothing recorded yet"


def test_what_this_process_has_just_recorded_is_seen(tmp_path: Path) -> None:
    widget = watch("seen", store=tmp_path)
    hooks = create_progress_hooks("seen", store=tmp_path)
    hooks.emit_training_started(total_steps=10, total_models=1)
    hooks.emit_step_update(step=7, loss=0.5)
    assert repr(widget) == "seen: running · step 7 of 10 · loss 0.5"
    hooks.close()


def test_a_front_end_is_offered_four_faces(tmp_path: Path) -> None:
    train(tmp_path)
    widget = watch("seen", store=tmp_path)
    data, metadata = DisplayFormatter().format(widget)  # type: ignore[no-untyped-call]
    assert set(data) == {SESSION_MIME_TYPE, "application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}
    assert data[SESSION_MIME_TYPE] == {"sessionId": "seen", "version": 1}
    assert metadata[SESSION_MIME_TYPE] == {"storeId": open_store(tmp_path).store_id}
    assert data["text/plain"] == "seen: completed · step 10 of 10 · loss 0.1"
    assert "10 steps recorded" in data["text/html"]


def test_the_faces_of_two_widgets_and_two_trainings_are_the_same(tmp_path: Path) -> None:
    faces = []
    for store in (tmp_path / "a", tmp_path / "b", tmp_path / "a"):
        train(store)
        data, _ = watch("seen", store=store)._repr_mimebundle_()
        del data["application/vnd.jupyter.widget-view+json"]
        faces.append(data)
    assert faces[0] == faces[1] == faces[2]


def test_its_state_holds_ids_only(tmp_path: Path) -> None:
    train(tmp_path)
    state = watch("seen", store=tmp_path).get_state()
    ours = {name: value for name, value in state.items() if not name.startswith("_")}
    expected = {"session_id": "seen", "store_id": open_store(tmp_path).store_id}
    assert {name: value for name, value in ours.items() if name not in ("layout", "tabbable", "tooltip")} == expected


def test_the_session_of_a_widget_is_fixed(tmp_path: Path) -> None:
    widget = watch("seen", store=tmp_path)
    with pytest.raises(traitlets.TraitError):
        widget.session_id = "other"


def test_a_layout_can_be_given(tmp_path: Path) -> None:
    layout = ipywidgets.Layout(width="50%")
    assert ProgressWidget("seen", store=tmp_path, layout=layout).layout is layout


@pytest.mark.parametrize("session_id", ["", ".", "..", "a b", "x" * 129, "a/b", 3, None])
def test_an_id_that_is_none_is_refused(session_id: object, tmp_path: Path) -> None:
    with pytest.raises(InvalidSessionId):
        watch(session_id, store=tmp_path)  # type: ignore[arg-type]


def test_an_argument_that_it_does_not_have_is_refused_with_help(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="unknown argument 'sotre' in ProgressWidget: expected 'store', perhaps"):
        ProgressWidget("seen", sotre=tmp_path)
    with pytest.raises(InvalidInput, match="one of session_id, store, layout"):
        ProgressWidget("seen", qqq=1)


def test_a_store_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidStoreURL):
        watch("seen", store="gopher://hole")


def test_a_store_that_can_not_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="file"):
        watch("seen", store=tmp_path / "file" / "store")


def test_a_remote_store_that_is_out_of_reach_ends_no_training_and_is_shown_once_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        widget = watch("seen", store=f"http://127.0.0.1:{port}/?token=t")
        data, metadata = DisplayFormatter().format(widget)  # type: ignore[no-untyped-call]
    assert data["text/plain"] == f"seen: the store http://127.0.0.1:{port} is not available: nothing answers there"
    assert data["text/html"] == f"<pre>{data['text/plain']}</pre>"
    # No server's id: a page follows it through the kernel alone.
    assert metadata[SESSION_MIME_TYPE] == {"storeId": "unknown"}
    train(tmp_path / "store")
    command = [sys.executable, "-m", "forge_widgets.cli", "serve", "--port", str(port), "--token", "t"]
    with subprocess.Popen([*command, "--store", str(tmp_path / "store")], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline()
        data, metadata = DisplayFormatter().format(widget)  # type: ignore[no-untyped-call]
        server.terminate()
    assert data["text/plain"] == "seen: completed · step 10 of 10 · loss 0.1"
    assert metadata[SESSION_MIME_TYPE] == {"storeId": open_store(tmp_path / "store").store_id}


def test_a_front_end_that_is_not_built_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frontend, "STATIC", tmp_path)
    with pytest.raises(ForgeError, match=r"widget\.js is missing: the front end isn't built; 'pip install -e \.'"):
        watch("seen", store=tmp_path)


def test_a_store_that_fails_later_is_said_in_words(tmp_path: Path) -> None:
    train(tmp_path)
    widget = watch("seen", store=tmp_path)
    file = next(path for path in tmp_path.rglob("seen*") if path.stat().st_size > 1024)
    file.write_bytes(b"<no database>" * 1000)
    assert repr(widget).startswith("seen: ")
    data, _ = widget._repr_mimebundle_()
    assert data["text/html"].startswith("<pre>seen: ")
    assert "<no" not in data["text/html"]


def test_without_a_kernel_there_is_no_thread(tmp_path: Path) -> None:
    widget = watch("seen", store=tmp_path)
    assert "forge-widgets seen" not in [thread.name for thread in threading.enumerate()]
    widget.close()


def test_a_plain_python_shows_the_line_and_ends(tmp_path: Path) -> None:
    train(tmp_path)
    code = "import forge_widgets as forge; print(forge.watch('seen'))"
    environ = {**os.environ, "FORGE_WIDGETS_STORE": os.fspath(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=False,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("seen: completed · step 10 of 10 · loss 0.1\n", "")
