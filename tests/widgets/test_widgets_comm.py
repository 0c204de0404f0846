"""The comm transport in a real kernel."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from forge_widgets.core.wire import PROTOCOL

TRAIN = """
hooks = forge.create_progress_hooks("{name}")
hooks.emit_training_started(total_steps=100, total_models=1)
for step in range(1, {steps} + 1):
    hooks.emit_step_update(step=step, loss=1 / step, model_idx=0, total_steps=100, total_models=1)
    time.sleep({pause})
"""


def train(name: str, steps: int, pause: float) -> str:
    return TRAIN.format(name=name, steps=steps, pause=pause)


def position(frame: dict[str, Any]) -> tuple[str, int]:
    return frame["epoch"], frame["to"]


def test_frames_arrive_while_the_cell_is_running(kernel: Any) -> None:
    widget = kernel.make_widget('w = forge.watch("live")')
    request = kernel.send_cell(train("live", 40, 0.05))
    kernel.until(lambda: any(f["to"] > 10 for f in kernel.custom(widget, "frame")), "frames of the tenth step")
    assert not kernel.is_done(request)
    kernel.until(lambda: kernel.is_done(request), "the end of the training")
    kernel.until(lambda: any(f["to"] == 41 for f in kernel.custom(widget, "frame")), "the last step")
    # No server is known here: what comes between the key frames follows on them without a hole.
    cursor = 0
    for frame in kernel.custom(widget, "frame"):
        if not frame["key"]:
            assert frame["from"] == cursor + 1
        cursor = frame["to"]
    assert len(kernel.frames(widget, key=False)) > 5


def test_where_a_server_is_known_small_key_frames_come_every_two_seconds(
    kernel: Any, jupyter_server_file: Path
) -> None:
    widget = kernel.make_widget('w = forge.watch("slow")')
    kernel.run(train("slow", 70, 0.05))
    kernel.until(lambda: any(f["to"] == 71 for f in kernel.frames(widget, key=True)), "the last step")
    assert kernel.frames(widget, key=False) == []
    assert 2 <= len(kernel.frames(widget, key=True)) <= 5


def test_the_first_messages_are_a_welcome_and_a_key_frame_of_a_session_that_waits(kernel: Any) -> None:
    widget = kernel.make_widget('w = forge.watch("not-begun")')
    kernel.until(lambda: kernel.custom(widget, "frame"), "a frame")
    welcome, frame = kernel.custom(widget)[:2]
    store_id = kernel.run("print(w.store_id)").strip()
    assert welcome == {
        **welcome,
        "type": "welcome",
        "protocol": PROTOCOL,
        "sessionId": "not-begun",
        "storeId": store_id,
    }
    assert (frame["key"], frame["epoch"], frame["to"], frame["state"]["status"]) == (True, "", 0, "waiting")


def test_a_page_that_loads_late_gets_the_key_frame_again(kernel: Any) -> None:
    widget = kernel.make_widget('w = forge.watch("late")')
    kernel.until(lambda: len(kernel.frames(widget, key=True)) >= 2, "a repeated key frame")
    assert len(kernel.custom(widget, "welcome")) >= 2


def test_whoever_subscribes_gets_what_comes_after_the_cursor(kernel: Any, jupyter_server_file: Path) -> None:
    kernel.run(train("asked", 10, 0))
    widget = kernel.make_widget('w = forge.watch("asked")')
    kernel.until(lambda: any(f["to"] == 11 for f in kernel.frames(widget, key=True)), "the steps")
    epoch, top = position(kernel.frames(widget, key=True)[-1])
    kernel.published.clear()
    kernel.tell(widget, {"type": "subscribe", "epoch": epoch, "after": top - 3})
    kernel.until(lambda: kernel.custom(widget, "frame"), "the frame after the cursor")
    assert kernel.custom(widget)[0]["type"] == "welcome"
    frame = kernel.custom(widget, "frame")[0]
    assert (frame["key"], frame["from"], frame["to"]) == (False, top - 2, top)
    assert frame["records"][0]["rows"]["columns"]["currentStep"] == [8, 9, 10]
    kernel.run('hooks.emit_phase_completed("training_complete")')
    kernel.until(lambda: any(f["to"] == top + 1 for f in kernel.frames(widget, key=False)), "the event")


def test_a_cursor_that_is_not_known_gets_a_key_frame(kernel: Any, jupyter_server_file: Path) -> None:
    kernel.run(train("unknown-cursor", 3, 0) + "hooks.flush()")
    widget = kernel.make_widget('w = forge.watch("unknown-cursor")')
    kernel.until(lambda: kernel.frames(widget, key=True), "the first key frame")
    kernel.published.clear()
    kernel.tell(widget, {"type": "subscribe", "epoch": "elsewhere", "after": 2})
    kernel.until(lambda: kernel.frames(widget, key=True), "a key frame")
    assert kernel.frames(widget, key=True)[0]["recovered"] is False
    kernel.published.clear()
    kernel.tell(widget, {"type": "subscribe", "epoch": "", "after": 0})
    kernel.until(lambda: kernel.frames(widget, key=True), "a key frame")
    assert kernel.frames(widget, key=True)[0]["recovered"] is True


def test_a_subscriber_gets_at_most_twenty_frames_a_second(kernel: Any) -> None:
    widget = kernel.make_widget('w = forge.watch("fast")')
    kernel.tell(widget, {"type": "subscribe", "epoch": "", "after": 0})
    kernel.run(train("fast", 1000, 0.002))
    kernel.until(lambda: any(f["to"] == 1001 for f in kernel.custom(widget, "frame")), "the last step")
    moments = [
        message["header"]["date"].timestamp()
        for message in kernel.published
        if message["msg_type"] == "comm_msg" and message["content"]["data"].get("content", {}).get("key") is False
    ]
    assert len(moments) > 10
    assert all(later - earlier > 0.045 for earlier, later in itertools.pairwise(moments))


def test_a_page_that_comes_later_to_a_busy_kernel_is_shown_the_session_though_another_had_asked(
    kernel: Any, jupyter_server_file: Path
) -> None:
    widget = kernel.make_widget('w = forge.watch("reloaded")')
    kernel.tell(widget, {"type": "subscribe", "epoch": "", "after": 0})
    request = kernel.send_cell(train("reloaded", 120, 0.05))
    kernel.until(lambda: kernel.frames(widget, key=False), "a delta frame for the page that asked")
    kernel.published.clear()
    kernel.until(lambda: kernel.frames(widget, key=True), "a key frame for the page that can't")
    assert not kernel.is_done(request)
    kernel.until(lambda: kernel.is_done(request), "the end of the training")


def test_whoever_unsubscribes_hears_nothing_until_asking_again(kernel: Any) -> None:
    widget = kernel.make_widget('w = forge.watch("silent")')
    kernel.until(lambda: kernel.frames(widget, key=True), "the first key frame")
    request = kernel.tell(widget, {"type": "unsubscribe"})
    kernel.until(lambda: kernel.is_done(request) and kernel.custom(widget, "unsubscribed"), "the unsubscribe")
    kernel.drain()
    kernel.run(train("silent", 20, 0.02) + "hooks.flush()")
    assert kernel.custom(widget) == []
    kernel.tell(widget, {"type": "subscribe", "epoch": "", "after": 0})
    kernel.until(lambda: kernel.frames(widget, key=True), "a key frame")
    assert position(kernel.frames(widget, key=True)[0])[1] == 21


def test_a_widget_made_in_a_busy_cell_is_answered_while_the_cell_runs(kernel: Any, jupyter_server_file: Path) -> None:
    subshell = kernel.open_subshell()
    request = kernel.send_cell(
        'w = forge.watch("busy")\nprint(w.model_id)\nend = time.monotonic() + 4\nwhile time.monotonic() < end: pass'
    )

    def printed() -> list[str]:
        streams = [m for m in kernel.published if m["msg_type"] == "stream" and m["parent_header"]["msg_id"] == request]
        return [message["content"]["text"].strip() for message in streams]

    kernel.until(printed, "the widget's id")
    widget = printed()[0]
    kernel.tell(widget, {"type": "subscribe", "epoch": "elsewhere", "after": 7}, subshell)
    kernel.until(lambda: any(not f["recovered"] for f in kernel.frames(widget, key=True)), "an answer")
    assert not kernel.is_done(request)


@pytest.mark.parametrize(
    "content", [{"type": "subscribe", "epoch": 3}, {"type": "launch"}, {}, {"type": "subscribe", "after": "x"}]
)
def test_a_message_that_is_none_of_ours_is_passed_over(kernel: Any, content: dict[str, Any]) -> None:
    widget = kernel.make_widget('w = forge.watch("passing")')
    kernel.tell(widget, content)
    kernel.tell(widget, {"type": "subscribe", "epoch": "elsewhere", "after": 1})
    kernel.until(lambda: any(not f["recovered"] for f in kernel.frames(widget, key=True)), "a key frame")
    assert not [message for message in kernel.published if message["msg_type"] in ("error", "stream")][1:]


def test_the_thread_ends_with_the_widget(kernel: Any) -> None:
    count = "print(sum(thread.name.startswith('forge-widgets ending') for thread in threading.enumerate()))"
    kernel.run('w = forge.watch("ending"); v = forge.MetricChart("ending-too")')
    assert kernel.run(count).strip() == "2"
    kernel.run("w.close()")
    assert kernel.run(count).strip() == "1"
    # What ipywidgets and the comm manager hold of a widget that nobody closes, taken away as they do at a restart.
    code = """
import comm, ipywidgets
comm.get_comm_manager().unregister_comm(v.comm)
ipywidgets.widgets.widget._instances.pop(v.model_id)
del v
gc.collect()
"""
    kernel.run(code + count)
    assert kernel.run(count).strip() == "0"


def test_a_store_that_can_not_be_read_is_said_and_asked_again(kernel: Any, tmp_path: Path) -> None:
    store = str(tmp_path)
    kernel.run(train("hurt", 3, 0).replace('"hurt"', f'"hurt", store={store!r}') + "hooks.close()")
    file = next(path for path in tmp_path.rglob("hurt*") if path.stat().st_size > 1024)
    whole = file.read_bytes()
    file.write_bytes(b"no database" * 1000)
    widget = kernel.make_widget(f'w = forge.watch("hurt", store={store!r})')
    kernel.until(lambda: kernel.custom(widget, "heartbeat"), "a heartbeat")
    assert kernel.custom(widget, "heartbeat")[0]["reason"]
    assert "hurt: " in kernel.run("print(w)")
    file.write_bytes(whole)
    kernel.until(lambda: any(f["to"] == 4 for f in kernel.custom(widget, "frame")), "the steps")


def test_messages_never_hold_a_token(kernel: Any, jupyter_server_file: Path) -> None:
    kernel.make_widget('w = forge.watch("secrets")')
    opened = [message for message in kernel.published if message["msg_type"] == "comm_open"]
    assert opened
    assert "secret-token" not in str(opened)
