"""The React package as people get it: packed, installed, type-checked and bundled elsewhere, in a real page beside its polling."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.jupyter import wait_for
from tests.browser.react_consumer import Consumer
from tests.browser.standalone import StandaloneServer
from tests.faults.proxy import Proxy, proxied

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

# Trains until it is told to end. Each line on stdin is done between two steps.
TRAINING = """
import sys, threading, time
import forge_widgets as forge

hooks = forge.create_progress_hooks(sys.argv[1])
hooks.emit_training_started(total_steps=100_000, total_models=1_000)
said, ended = [], threading.Event()
def hear():
    for line in sys.stdin:
        said.append(line.strip())
    ended.set()
threading.Thread(target=hear, daemon=True).start()
step = models = 0
while not ended.is_set():
    step += 1
    hooks.emit_step_update(step=step, loss=1 / step, total_steps=100_000, total_models=1_000, tokens=step * 7)
    if step % 20 == 0:
        hooks.emit_model_completed(model_idx=models, final_loss=1 / step)
        models += 1
    while said:
        word = said.pop(0)
        if word == "nan":
            hooks.emit_step_update(step=step, loss=float("nan"))
            time.sleep(1)
        elif word == "error":
            hooks.emit_error("CUDA out of memory")
            time.sleep(1)
    time.sleep(0.01)
hooks.emit_phase_completed("training_complete")
print(step, models)
"""


class Training:
    """A training in a process of its own, into the server's store."""

    def __init__(self, server: StandaloneServer, session_id: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", TRAINING, session_id],
            env=server.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def kill(self) -> None:
        """Kill it, where it has not ended."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate(timeout=10)

    def tell(self, word: str) -> None:
        """Let it do something between two steps."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def end(self) -> tuple[int, int]:
        """Let it complete; return its last step and how many models it has completed."""
        out, _ = self._process.communicate(timeout=30)
        steps, models = out.split()
        return int(steps), int(models)


Train = Callable[[str], Training]


class DashboardPage:
    """The existing dashboard in a browser, and what it has noted of itself."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        # WebSockets ever opened.
        self.sockets = 0
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("websocket", lambda _: self._count())
        page.on("console", lambda message: self._hear(message.text))

    def _count(self) -> None:
        self.sockets += 1

    def _hear(self, text: str) -> None:
        # React's own, of what is wrong in a page; what the browser says of a refused connection is no error here.
        if text.startswith("Warning:"):
            self.errors.append(text)

    def open(self, served: str, server: str, session_id: str) -> None:
        """Open it for a session of the server at this URL."""
        self.page.goto(f"{served}/index.html?session={session_id}&server={server}")

    def seen(self, name: str) -> list[Any]:
        """Return what it has noted so far."""
        noted: list[Any] = self.page.evaluate("name => window.seen[name]", name)
        return noted

    def step(self) -> int:
        """Return the step that it shows."""
        return int(self.page.get_by_text("Step: ").inner_text().split()[-1])

    def wait_for_step_above(self, step: int, timeout_s: float = 20.0) -> int:
        """Wait until it shows a later step; return that."""
        wait_for(lambda: self.step() > step, f"step above {step}", timeout_s)
        return self.step()

    def wait_for_transport(self, transport: str, timeout_s: float = 30.0) -> None:
        """Wait until its status box says that this delivers."""
        box = self.page.locator(".forge-progress").first
        expect(box).to_have_attribute("data-transport", transport, timeout=timeout_s * 1000)

    def check_rendered(self) -> None:
        """See that no rendering went back, or showed nothing after something."""
        steps = [seen["step"] for seen in self.seen("rendered")]
        known = [step for step in steps if step is not None]
        assert known == sorted(known)
        assert steps == [None] * (len(steps) - len(known)) + known
        told = self.seen("told")
        assert told == sorted(told)


@pytest.fixture(scope="module")
def consumer(tmp_path_factory: pytest.TempPathFactory) -> Consumer:
    """A project with the package in it, bundled."""
    project = Consumer(tmp_path_factory.mktemp("consumer"))
    project.install()
    project.bundle()
    return project


@pytest.fixture(scope="module")
def served(consumer: Consumer) -> Iterator[str]:
    with consumer.served() as url:
        yield url


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneServer]:
    started = StandaloneServer(tmp_path_factory.mktemp("standalone"))
    started.start()
    yield started
    started.stop()


@pytest.fixture
def proxy(server: StandaloneServer) -> Iterator[Proxy]:
    """What lies between the page and its server."""
    with proxied(server.port) as between:
        yield between


@pytest.fixture
def train(server: StandaloneServer) -> Iterator[Train]:
    """Start trainings by their session's name; none outlives the test."""
    started: list[Training] = []

    def start(session_id: str) -> Training:
        started.append(Training(server, session_id))
        return started[-1]

    yield start
    for training in started:
        training.kill()


@pytest.fixture
def dashboard(context: BrowserContext) -> Iterator[DashboardPage]:
    shown = DashboardPage(context.new_page())
    yield shown
    assert not shown.errors


def through(proxy: Proxy) -> str:
    return f"http://127.0.0.1:{proxy.port}"


@pytest.mark.parametrize("resolution", ["bundler", "node16"])
def test_an_existing_dashboard_fits_its_types(consumer: Consumer, resolution: str) -> None:
    assert consumer.check_types(resolution) == ""


def test_the_package_holds_what_is_needed_and_nothing_else(consumer: Consumer) -> None:
    installed = consumer.folder / "node_modules" / "forge-widgets-react"
    files = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    declared = {f"dist/{name}.d.ts" for name in ("WebSocketProgress", "contract", "index", "useWebSocketProgress")}
    assert files == {"LICENSE", "README.md", "package.json", "dist/index.js", "dist/index.js.map"} | declared


def test_transports_change_under_a_dashboard_that_goes_on_with_its_polling_beside(
    served: str, proxy: Proxy, dashboard: DashboardPage, train: Train
) -> None:
    training = train("react-live")
    dashboard.open(served, through(proxy), "react-live")
    shown = dashboard.wait_for_step_above(0)
    dashboard.wait_for_transport("websocket")
    # The hook, its box and the other component, each mounted twice by StrictMode, share one.
    assert dashboard.sockets == 1
    # What connects again is refused, what is open breaks off; requests go through.
    proxy.upgrade = 403
    proxy.reset()
    dashboard.wait_for_transport("http")
    expect(dashboard.page.get_by_text("polling: WebSocket is blocked here").first).to_be_visible()
    shown = dashboard.wait_for_step_above(dashboard.wait_for_step_above(shown))
    proxy.upgrade = None
    dashboard.wait_for_transport("websocket")
    dashboard.wait_for_step_above(shown)
    wait_for(lambda: len(dashboard.seen("polled")) > 2, "polls of the dashboard's own")
    steps, models = training.end()
    expect(dashboard.page.get_by_text("completed").first).to_be_visible()
    assert dashboard.step() == steps
    wait_for(lambda: dashboard.seen("told")[-1] == steps, "word of the last step")
    dashboard.check_rendered()
    # Every model is told once and in order, over both transports and what lay between them.
    events = [event["message"] for event in dashboard.seen("events") if event["eventType"] == "model_completed"]
    numbers = [int(message.split()[1]) for message in events]
    assert numbers == list(range(numbers[0], models + 1))
    assert [status for status in dashboard.seen("statuses") if status != "waiting"] == ["running", "completed"]


def test_a_dashboard_lives_through_a_restart_hears_of_errors_and_of_the_end(
    served: str, server: StandaloneServer, dashboard: DashboardPage, train: Train
) -> None:
    dashboard.open(served, server.url, "react-error")
    expect(dashboard.page.get_by_text("waiting").first).to_be_visible()
    training = train("react-error")
    shown = dashboard.wait_for_step_above(0)
    training.tell("nan")
    expect(dashboard.page.get_by_text("Loss: 0", exact=True)).to_be_visible()
    server.kill()
    server.start()
    shown = dashboard.wait_for_step_above(shown, timeout_s=30)
    dashboard.wait_for_transport("websocket")
    training.tell("error")
    expect(dashboard.page.locator(".forge-progress[data-status=error]").first).to_be_visible()
    assert [seen["error"] for seen in dashboard.seen("rendered")][-1] == "CUDA out of memory"
    # It goes on.
    dashboard.wait_for_step_above(shown)
    expect(dashboard.page.locator(".forge-progress[data-status=running]").first).to_be_visible()
    steps, _ = training.end()
    wait_for(lambda: dashboard.step() == steps, "the last step")
    assert dashboard.seen("errors") == ["CUDA out of memory"]
    request = urllib.request.Request(f"{server.url}/api/sessions/react-error", method="DELETE")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["status"] == "session_closed"
    dashboard.wait_for_transport("deleted")
    assert dashboard.step() == steps
    dashboard.check_rendered()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_status_box_is_readable_in_every_theme(
    served: str, proxy: Proxy, dashboard: DashboardPage, train: Train, screenshots: Path, scheme: Any
) -> None:
    train(f"react-{scheme}")
    proxy.upgrade = 403
    dashboard.page.emulate_media(color_scheme=scheme)
    dashboard.page.set_viewport_size({"width": 640, "height": 260})
    dashboard.open(served, through(proxy), f"react-{scheme}")
    dashboard.wait_for_transport("http")
    dashboard.wait_for_step_above(20)
    for box in dashboard.page.get_by_role("group", name=f"Training react-{scheme}").all():
        assert box.evaluate("box => box.scrollWidth <= box.clientWidth + 1")
    dashboard.page.screenshot(path=screenshots / f"react-{scheme}.png")
