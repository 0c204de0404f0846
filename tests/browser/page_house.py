"""What the tests of the stand-alone page live in: a server, trainings, and tabs that are really hidden and put to sleep."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Playwright

from tests.browser.jupyter import free_port, wait_for

TOKEN = "a-token-of-the-page"
# A heartbeat of half a second: a link counts as silent 3.9 s after the last one.
SCALED = ("--limit", "heartbeat_s=0.5")

_TRAINING = """
import sys, time
import forge_widgets as forge

name, steps, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
with forge.run(name, total_steps=steps) as run:
    for step in range(steps):
        run.log(loss=2 / (step + 1), accuracy=step / steps)
        time.sleep(pause)
"""

# Notes whatever the dashboard says, whatever is asked for, and which timers are set.
WITNESS = """
window.seen = {steps: [], badges: [], texts: new Set()};
const look = () => {
  const text = document.querySelector('.forge-dashboard')?.innerText ?? '';
  const step = /step ([\\d,]+)/.exec(text)?.[1];
  const number = step === undefined ? undefined : Number(step.replaceAll(',', ''));
  if (number !== undefined && number !== seen.steps.at(-1)) seen.steps.push(number);
  const badge = document.querySelector('.forge-badge')?.firstChild?.textContent;
  if (badge !== undefined && badge !== seen.badges.at(-1)) seen.badges.push(badge);
  for (const notice of document.querySelectorAll('.forge-notice')) seen.texts.add(notice.textContent);
};
new MutationObserver(look).observe(document, {childList: true, subtree: true, characterData: true});
window.timers = new Set();
const [set, clear] = [window.setTimeout, window.clearTimeout];
window.setTimeout = (callback, delay, ...rest) => {
  const timer = set(() => { timers.delete(timer); callback(...rest); }, delay);
  timers.add(timer);
  return timer;
};
window.clearTimeout = (timer) => { timers.delete(timer); clear(timer); };
"""


class PageServer:
    """``forge-widgets serve`` in a process of its own: ended, and started again on the same port and store."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.store = folder
        self.port = free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._trainings: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "forge_widgets.cli", "serve", "--token", TOKEN, "--port", str(self.port)]
        self._process = subprocess.Popen(
            [*command, *SCALED, *self._options], env=self._environment(), stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert b"Serving at" in said, said

    def stop(self) -> None:
        """End it in good order, and its trainings."""
        self._end(signal.SIGTERM)
        for training in self._trainings:
            training.terminate()
            training.wait(15)

    def kill(self) -> None:
        """Kill it at once."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            with self._process as process:  # closes its pipe, and waits
                process.send_signal(how)
            self._process = None

    def train(self, name: str, steps: int, pause_s: float) -> subprocess.Popen[bytes]:
        """Start a training that records into the store."""
        training = subprocess.Popen(
            [sys.executable, "-c", _TRAINING, name, str(steps), str(pause_s)], env=self._environment()
        )
        self._trainings.append(training)
        return training

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "FORGE_WIDGETS_STORE": os.fspath(self.store)}


class Witness:
    """A page, and what it showed and asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        # Paths of requests, and how many sockets were opened.
        self.asked: list[str] = []
        self.sockets = 0
        page.on("pageerror", lambda error: self.errors.append(error.message))
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("websocket", lambda _: setattr(self, "sockets", self.sockets + 1))
        page.add_init_script(WITNESS)

    def seen(self, what: str) -> list[Any]:
        """Return ``steps``, ``badges`` or notices (``texts``) that the page has shown since it was opened, in order."""
        known: list[Any] = self.page.evaluate(f"[...seen.{what}]")
        return known

    @property
    def step(self) -> int:
        """The step that is shown."""
        steps = self.seen("steps")
        return int(steps[-1]) if steps else 0

    def expect_step_above(self, step: int, timeout_s: float = 15.0) -> int:
        """Wait until a later step is shown, and return it."""
        wait_for(lambda: self.step > step, f"step above {step} (there is {self.step})", timeout_s)
        return self.step

    def check_steps(self) -> None:
        """Steps never went back, and none was missed on the way."""
        steps = self.seen("steps")
        assert steps == sorted(steps)
        assert not [text for text in self.seen("texts") if "thinned" in text or "left out" in text]
        assert not self.errors


@contextmanager
def real_tabs(playwright: Playwright, flags: list[str], profile: Path) -> Iterator[Browser]:
    """Give a Chromium as people have it: its tabs are hidden behind each other, sleep, and are kept for the way back.

    One that Playwright starts holds every page awake and visible.
    """
    installed = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    program = installed or playwright.chromium.executable_path
    command = [program, "--headless", "--remote-debugging-port=0", f"--user-data-dir={profile}", *flags, "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        told = profile / "DevToolsActivePort"
        wait_for(lambda: told.exists() and "\n" in told.read_text(), "port of the browser")
        port = told.read_text().split()[0]
        browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}", no_defaults=True)
        yield browser
        browser.close()
    finally:
        process.terminate()
        process.wait(10)
