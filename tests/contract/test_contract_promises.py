"""The contract's promises, as far as they can be judged by what happens: conflicts, repetitions, restarts, stale links.

How fast and how cheap it is, is measured in tests/bench; what a page shows meanwhile, in test_contract_browser.py.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.contract.conftest import Script
from tests.contract.servers import Json, Server, standalone, until
from tests.contract.test_contract_websocket import STEPS
from tests.contract.wire import PING, SilentViewer
from tests.faults.proxy import proxied

AT = "2025-01-15T10:00:{:02}Z"


def posted(
    server: Server, session_id: str, *, url: str = "", headers: dict[str, str] | None = None, **body: Any
) -> None:
    """Post a step, and see it taken."""
    update = {"eventType": "step_update", **body}
    answer = server.post(f"/api/progress/{session_id}/update", update, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"status": "success", "sessionId": session_id})


def losses(server: Server, session_id: str) -> list[float]:
    """Return every loss that a log holds, in its order."""
    found: list[float] = []
    for body in server.log(session_id):
        found += body["columns"].get("loss", []) if "timestamps" in body else [body["metrics"]["loss"]]
    return found


# --- the newer timestamp wins ---------------------------------------------------------------------


def test_the_newer_timestamp_wins_each_metric_and_the_log_keeps_both(mount: Server, session_id: str) -> None:
    """
    Two writers of one session: the newer timestamp wins a metric, the log keeps both.
    """
    with mount.viewer(session_id) as viewer:
        posted(mount, session_id, metrics={"loss": 0.1}, timestamp=AT.format(20))
        # An update that was under way for long: older in loss, and all that is known of accuracy.
        posted(mount, session_id, metrics={"loss": 0.9, "accuracy": 0.5}, timestamp=AT.format(10))
        told = viewer.hear_until(lambda told: told["metrics"]["accuracy"] == 0.5)
    assert {seen["metrics"]["loss"] for seen in told} == {0.1}
    document = mount.progress(session_id)
    assert (document["metrics"]["loss"], document["metrics"]["accuracy"]) == (0.1, 0.5)
    assert document["metrics"]["perplexity"] == pytest.approx(1.10517, abs=1e-4), "what is derived goes with its loss"
    assert document["timestamp"].startswith("2025-01-15T10:00:20")
    assert losses(mount, session_id) == [0.1, 0.9]


def test_an_older_update_changes_no_status(mount: Server, session_id: str) -> None:
    """
    the newer timestamp wins a metric
    """
    posted(mount, session_id, metrics={"loss": 0.1}, status="completed", timestamp=AT.format(20))
    posted(mount, session_id, metrics={"loss": 0.9}, status="paused", timestamp=AT.format(10))
    assert mount.status(session_id) == "completed"


def test_of_two_updates_of_one_moment_both_are_kept_and_all_servers_agree(
    jupyter_mount: Server, standalone_mount: Server, session_id: str
) -> None:
    """
    Two writers of one session: the newer timestamp wins a metric, the log keeps both.
    """
    posted(jupyter_mount, session_id, metrics={"loss": 0.1, "a": 1}, timestamp=AT.format(20))
    posted(standalone_mount, session_id, metrics={"loss": 0.9, "b": 2}, timestamp=AT.format(20))
    assert losses(jupyter_mount, session_id) == losses(standalone_mount, session_id) == [0.1, 0.9]
    metrics = jupyter_mount.metrics(session_id)
    assert metrics == standalone_mount.metrics(session_id)
    assert (metrics["a"], metrics["b"]) == (1, 2)
    assert metrics["loss"] in (0.1, 0.9)


def test_of_two_updates_of_one_moment_by_one_server_the_later_wins(mount: Server, session_id: str) -> None:
    """
    the newer timestamp wins a metric
    """
    for loss in (0.9, 0.1, 0.5):
        posted(mount, session_id, metrics={"loss": loss}, timestamp=AT.format(20))
    assert mount.metrics(session_id)["loss"] == 0.5


def test_a_client_of_http_and_the_hooks_write_one_session(
    mount: Server, session_id: str, run: Callable[..., str]
) -> None:
    """
    Two writers of one session
    """
    posted(mount, session_id, metrics={"loss": 0.9, "posted": 1}, timestamp=AT.format(20))
    hooks = (
        f"import forge_widgets\nforge_widgets.create_progress_hooks({session_id!r}).emit_step_update(step=5, loss=0.1)"
    )
    run(hooks)
    posted(mount, session_id, metrics={"loss": 0.8}, timestamp=AT.format(30))
    assert mount.metrics(session_id).items() >= {"loss": 0.1, "currentStep": 5, "posted": 1}.items()
    posted(mount, session_id, metrics={"loss": 0.05})
    assert mount.metrics(session_id)["loss"] == 0.05
    assert losses(mount, session_id) == [0.9, 0.1, 0.8, 0.05]


# --- a repetition is applied once -----------------------------------------------------------------


def test_an_update_of_one_idempotency_key_is_applied_once(mount: Server, session_id: str) -> None:
    """
    A repeated update (same idempotency key, or same timestamp and content) is applied once;
    """
    with mount.viewer(session_id) as viewer:
        for _ in range(3):
            posted(mount, session_id, metrics={"loss": 0.5}, headers={"Idempotency-Key": "k-1"})
        posted(mount, session_id, metrics={"loss": 0.5}, idempotencyKey="k-1")
        posted(mount, session_id, metrics={"loss": 0.4}, idempotencyKey="k-2")
        # The key is what counts: a repetition that is late, or was built again, changes nothing any more.
        posted(mount, session_id, metrics={"loss": 0.7}, headers={"idempotency-key": "k-1"})
        posted(mount, session_id, metrics={"loss": 0.3})
        heard = viewer.hear_until(lambda told: told["metrics"]["loss"] == 0.3)
    assert losses(mount, session_id) == [0.5, 0.4, 0.3]
    seen = [told["metrics"]["loss"] for told in heard]
    assert seen == sorted(set(seen), reverse=True), "nobody is told of a repetition"


def test_an_update_of_one_timestamp_and_content_is_applied_once(mount: Server, session_id: str) -> None:
    """
    (same idempotency key, or same timestamp and content)
    """
    path = f"/api/progress/{session_id}/update"
    for text in (
        '{"eventType": "step_update", "metrics": {"loss": 0.5, "accuracy": 1}, "timestamp": "2025-01-15T10:00:00Z"}',
        '{"timestamp":"2025-01-15T10:00:00Z","metrics":{"accuracy":1.0,"loss":5e-1},"eventType":"step_update"}',
        '{"eventType": "step_update", "metrics": {"loss": 0.5, "accuracy": 1}, "timestamp": "2025-01-15T12:00:00+02:00"}',
        '{"eventType": "step_update", "metrics": {"loss": 0.5, "accuracy": 1}, "timestamp": 1736935200, "sessionId": "x"}',
    ):
        assert mount.post_text(path, text).status_code == 200
    assert losses(mount, session_id) == [0.5]
    posted(mount, session_id, metrics={"loss": 0.5, "accuracy": 1}, timestamp=AT.format(1))
    posted(mount, session_id, metrics={"loss": 0.5, "accuracy": 0}, timestamp=AT.format(0))
    assert losses(mount, session_id) == [0.5] * 3


def test_a_repeated_error_is_recorded_once(mount: Server, session_id: str) -> None:
    """
    A repeated update (same idempotency key, or same timestamp and content) is applied once;
    """
    path = f"/api/progress/{session_id}/error"
    for options in ({"headers": {"Idempotency-Key": "e"}}, {"headers": {"Idempotency-Key": "e"}}, {}, {}):
        assert mount.post(path, {"error": "e"}, **options).status_code == 200
    for _ in range(2):
        assert mount.post(path, {"error": "e", "timestamp": AT.format(1)}).status_code == 200
    assert len(mount.log(session_id)) == 4


def test_a_bare_update_is_always_new(mount: Server, session_id: str) -> None:
    """
    a bare one with neither is always new.
    """
    for _ in range(3):
        posted(mount, session_id, metrics={"loss": 0.5})
    posted(mount, session_id, metrics={"loss": 0.4}, timestamp="2100-01-01T00:00:00Z")
    posted(mount, session_id, metrics={"loss": 0.3})
    assert losses(mount, session_id) == [0.5, 0.5, 0.5, 0.4, 0.3]
    assert mount.metrics(session_id)["loss"] == 0.3


def test_a_key_belongs_to_its_session(mount: Server, new_id: Callable[[], str]) -> None:
    """
    (same idempotency key
    """
    first, second = new_id(), new_id()
    for session_id in (first, second, first, second):
        posted(mount, session_id, metrics={"loss": 0.5}, idempotencyKey="shared")
    assert losses(mount, first) == losses(mount, second) == [0.5]


def test_a_repetition_that_reaches_another_server_of_the_store_is_applied_once(
    jupyter_mount: Server, standalone_mount: Server, session_id: str
) -> None:
    """
    A repeated update (same idempotency key, or same timestamp and content) is applied once;
    """
    for server in (jupyter_mount, standalone_mount, jupyter_mount):
        posted(server, session_id, metrics={"loss": 0.5}, headers={"Idempotency-Key": "k"})
        posted(server, session_id, metrics={"loss": 0.4}, timestamp=AT.format(1))
    assert losses(standalone_mount, session_id) == [0.5, 0.4]


@pytest.mark.parametrize("by", ["key", "timestamp"])
def test_a_client_may_ask_again_after_an_answer_that_was_lost(mount: Server, session_id: str, by: str) -> None:
    """
    A repeated update (same idempotency key, or same timestamp and content) is applied once;
    """
    body: Json = {"eventType": "step_update", "metrics": {"loss": 0.5}}
    headers = {"Authorization": f"token {mount.token}"}
    if by == "key":
        headers["Idempotency-Key"] = "again"
    else:
        body["timestamp"] = AT.format(1)
    with proxied(mount.port) as proxy:
        url = f"http://127.0.0.1:{proxy.port}{mount.prefix}/api/progress/{session_id}/update"
        proxy.down.blackhole = True
        with pytest.raises(requests.RequestException):
            requests.post(url, json=body, headers=headers, timeout=0.5)
        until(lambda: mount.get(f"/api/progress/{session_id}").status_code == 200, "update whose answer was lost")
        proxy.reset()
        proxy.down.blackhole = False
        assert requests.post(url, json=body, headers=headers, timeout=10).status_code == 200
    assert losses(mount, session_id) == [0.5]


# --- what outlives what ---------------------------------------------------------------------------


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Server]:
    """A server with a store of its own, which a test may kill."""
    server = standalone(tmp_path)
    server.start()
    yield server
    server.stop()


def test_state_outlives_the_server_and_training_goes_on_without_it(
    mortal: Server, session_id: str, script: Script, tmp_path: Path
) -> None:
    """
    State outlives disconnects, and restarts of the server and of the training process.
    """
    posted(mortal, "posted", metrics={"loss": 0.5, "mine": 7}, idempotencyKey="k")
    before = mortal.progress("posted")
    script(STEPS.format(session_id=session_id, pause_s=0.01), FORGE_WIDGETS_STORE=os.fspath(tmp_path / "store"))
    with mortal.viewer(session_id) as viewer:
        last = viewer.hear_until(lambda told: told["metrics"]["currentStep"] > 5)[-1]["metrics"]["currentStep"]
        mortal.kill()
        assert viewer.close_code() != 1000, "a viewer has to know that it may come back"
    mortal.start()
    assert mortal.progress("posted") == before
    posted(mortal, "posted", metrics={"loss": 0.5, "mine": 7}, idempotencyKey="k")
    assert losses(mortal, "posted") == [0.5]
    with mortal.socket(f"/ws/{session_id}") as viewer:
        assert viewer.hear()["currentState"]["currentStep"] > last
        viewer.hear_type("progress_update")


def test_a_server_that_ends_tells_its_viewers_to_come_back(mortal: Server, session_id: str) -> None:
    """
    State outlives disconnects, and restarts of the server
    """
    with mortal.viewer(session_id) as viewer, mortal.socket("/ws") as roomless:
        mortal.stop()
        assert {viewer.close_code(), roomless.close_code()} == {1012}


def test_state_outlives_the_training_process(mount: Server, session_id: str, run: Callable[..., str]) -> None:
    """
    State outlives disconnects, and restarts of the server and of the training process.
    """
    source = f"import forge_widgets\nforge_widgets.create_progress_hooks({session_id!r}).emit_step_update("
    with mount.viewer(session_id) as viewer:
        run(source + "step=7, loss=0.5, mine=3)")
        viewer.hear_until(lambda told: told["metrics"]["currentStep"] == 7)
        kept = {"currentStep": 7, "loss": 0.5, "mine": 3}
        assert mount.metrics(session_id).items() >= kept.items()
        run(source + "step=8, loss=0.4)")
        viewer.hear_until(lambda told: told["metrics"]["currentStep"] == 8)
    with mount.socket(f"/ws/{session_id}") as again:
        assert again.hear()["currentState"].items() >= {"currentStep": 8, "loss": 0.4}.items()


def test_several_viewers_of_several_sessions_each_see_their_own(
    jupyter_mount: Server, standalone_mount: Server, new_id: Callable[[], str]
) -> None:
    """
    Several viewers of one session; several sessions at once.
    """
    sessions = [new_id() for _ in range(3)]
    with ExitStack() as stack:
        servers = (jupyter_mount, standalone_mount, jupyter_mount, standalone_mount)
        viewers = [(name, stack.enter_context(server.viewer(name))) for name in sessions for server in servers]
        for step in range(1, 6):
            for place, name in enumerate(sessions):
                posted(servers[place], name, metrics={"currentStep": step, "loss": place})
        for name, viewer in viewers:
            heard = viewer.hear_until(lambda told: told["metrics"]["currentStep"] == 5)
            assert {(told["sessionId"], told["metrics"]["loss"]) for told in heard} == {(name, sessions.index(name))}


# --- stale connections ----------------------------------------------------------------------------


def test_a_connection_that_has_gone_stale_is_noticed_and_closed(silent_viewers: list[SilentViewer]) -> None:
    """
    Stale connections are noticed, closed and recovered without help.
    """
    for viewer in silent_viewers:
        # Three pings would be 45 s: by then it is closed.
        heard = list(itertools.takewhile(bool, (viewer.frames.next_frame()[0] for _ in range(4))))
        assert PING in heard, "it was asked whether it lives"
        assert len(heard) < 4, "it is still open"
        until(lambda v=viewer: v.session_id not in v.server.get("/api/health").json()["sessions"], "end of it")  # type: ignore[misc]
