"""An idle hour behind nginx, and proxies that cut sooner than anything is said: the periods of both sides scaled down."""

from __future__ import annotations

import json
import time

from websockets.sync.client import connect

from tests.deploy.nginx import Certificate, nginx
from tests.deploy.serving import AUTHORIZATION, serving
from tests.faults.house import TOKEN, House
from tests.faults.process import until
from tests.faults.viewer import Viewer

QUIET_S = 7.0
"""An hour of nothing new, scaled: more than two of the proxy's read timeouts, and 14 heartbeats."""


def later(seconds: float) -> float:
    return time.monotonic() + seconds


def test_nobody_is_cut_off_who_has_nothing_to_hear_for_long(certificate: Certificate, store: House) -> None:
    # Heartbeats every 0.5 s, pings every 2 s: a twentieth and a seventh of what they are; the proxy's 60 s become 3.
    server = store.serve()
    changed = {"proxy_read_timeout 60s": "proxy_read_timeout 3s", "proxy_send_timeout 60s": "proxy_send_timeout 3s"}
    with nginx(certificate, store.port, changed=changed) as front:
        training = store.train("quiet")
        viewer = Viewer(front.bare_url, "quiet", TOKEN).start()
        page = store.view_browser("quiet", url=front.url)
        viewer.until(lambda: viewer.chapters, "first frame")
        training.goes_on()
        assert training.stop() == 0
        url = f"{front.bare_url.replace('http', 'ws', 1)}/ws/never-begun"
        # A naive client: it hears nothing but native pings.
        with connect(url, additional_headers=AUTHORIZATION, proxy=None) as naive:
            assert json.loads(naive.recv(timeout=10))["type"] == "session_joined"
            end = later(QUIET_S)
            until(lambda: time.monotonic() > end, "end of the quiet", QUIET_S + 5)
            naive.send(json.dumps({"type": "ping"}))
            assert json.loads(naive.recv(timeout=10))["type"] == "pong"
        opened = page.counts.opened
        store.judge(training, session_id="quiet", viewers=(viewer, page))
        assert (viewer.connections, opened) == (1, 1), (viewer, front.errors())
    server.kill()


def test_a_proxy_that_cuts_before_a_heartbeat_costs_nothing_but_the_way_back(
    certificate: Certificate, store: House
) -> None:
    # Heartbeats every 10 s, as they are; the proxy cuts after one.
    with (
        serving(store.folder) as server,
        nginx(certificate, server.port, changed={"proxy_read_timeout 60s": "proxy_read_timeout 1s"}) as front,
    ):
        training = store.train("cut", steps_per_s=50)
        viewer = Viewer(front.bare_url, "cut", TOKEN).start()
        page = store.view_browser("cut", url=front.url)
        training.goes_on()
        assert training.stop() == 0
        viewer.until(lambda: viewer.connections >= 4, "fourth connection")
        page.until(lambda: page.counts.opened >= 3, "third connection")
        again = store.train("cut", steps_per_s=50)
        again.goes_on(50)
        assert again.stop() == 0
        store.judge(training, again, session_id="cut", viewers=(viewer, page))
        assert viewer.unbroken, viewer
        assert page.always_recovered, page
