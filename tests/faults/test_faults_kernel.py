"""A notebook's kernel that trains, and pushes its own frames, killed and started again in mid-run; its page goes on elsewhere."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
from jupyter_client.manager import KernelManager

from tests.faults.checker import Acknowledged, events_of
from tests.faults.conftest import Effort
from tests.faults.house import House
from tests.faults.viewer import Viewer
from tests.widgets.conftest import DEADLINE_S, Kernel

TRAIN = """
import itertools, time
run = forge.run("s")
run.start()
for step in itertools.count(1):
    run.log(step=step, loss=1 / step)
    if step % 10 == 0 and run.flush(1.0):
        print("ack", run._producer.id, step + 1, step, flush=True)
    time.sleep(0.005)
"""


@pytest.fixture
def kernel(house: House) -> Iterator[Kernel]:
    """Start a kernel that writes to the house's store."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env={**os.environ, "FORGE_WIDGETS_STORE": os.fspath(house.folder)})
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=DEADLINE_S)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def acknowledged(kernel: Kernel) -> list[Acknowledged]:
    """Return what the training said in its cell's output."""
    texts = (m["content"]["text"] for m in kernel.published if m["msg_type"] == "stream")
    said = [line.split() for line in "".join(texts).splitlines() if line.startswith("ack ")]
    return [Acknowledged(producer, int(sequence), int(step)) for _, producer, sequence, step in said]


def train_and_watch(kernel: Kernel, page: Viewer, rows: int) -> None:
    """Show the session in one cell, train in the next, and let the page take what the kernel pushes, some rows at least."""
    comm = kernel.make_widget("import forge_widgets as forge\nw = forge.ProgressWidget('s')\ndisplay(w)")
    kernel.send_cell(TRAIN)
    taken, offset = 0, page.offset

    def arrived() -> bool:
        nonlocal taken
        frames = kernel.custom(comm, "frame")
        for frame in frames[taken:]:
            page.take(frame)
        taken = len(frames)
        return page.offset > offset + rows and len(acknowledged(kernel)) > 3

    kernel.until(arrived, "frames of a training")


def test_a_kernel_that_is_killed_in_mid_run_takes_nothing_with_it_and_its_page_goes_on_elsewhere(
    house: House, kernel: Kernel, chance: random.Random, effort: Effort
) -> None:
    house.serve()
    panel = house.watch_early("s")
    acks: list[Acknowledged] = []
    pages, by_kernel = [], []
    for number in range(1, 1 + effort(1, 10)):
        page = house.view()
        train_and_watch(kernel, page, chance.randrange(10, 200))
        pages.append(page)
        by_kernel.append(len(page.chapters))
        kernel.manager.restart_kernel(now=True)  # SIGKILL, and another one
        acks += acknowledged(kernel)
        for viewer in (panel, page.start()):
            viewer.until(lambda v=viewer: v.state.lost, "connection_lost", 30)  # type: ignore[misc]
        assert panel.state.attempt == number
        kernel.published.clear()
        kernel.client.wait_for_ready(timeout=DEADLINE_S)
    log = house.judge(said=acks)
    assert events_of(log) == ["training_started", "connection_lost"] * len(pages)
    # The server has gone on at the cursor that the kernel's last frame left the page at.
    assert all(
        chapter.recovered for page, known in zip(pages, by_kernel, strict=True) for chapter in page.chapters[known:]
    )
    print(f"{len(pages)} kernels killed, {len(acks)} times something was acknowledged")
