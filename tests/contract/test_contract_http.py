"""The contract's table of HTTP calls, row by row, as `requests` asks them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.contract.servers import Json, Server, until
from tests.contract.test_contract_document import NINE, is_moment, moment_of

TYPES = ("training_started", "step_update", "model_completed", "phase_completed", "training_error")
NEVER_RECORDED = "no-such-session"


# --- health ---------------------------------------------------------------------------------------


def test_health_says_how_the_server_is(mount: Server, session_id: str) -> None:
    """
    `GET PREFIX/api/health`
    200 `{"status": "healthy", "websocket_enabled": true, "active_sessions": 2, "sessions": ["…"], "timestamp"}`;
    """
    mount.step(session_id, loss=1.0)
    answer = mount.get("/api/health")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    health = answer.json()
    assert (health["status"], health["websocket_enabled"]) == ("healthy", True)
    assert health["active_sessions"] == len(health["sessions"]) == len(set(health["sessions"]))
    assert session_id in health["sessions"]
    assert is_moment(health["timestamp"])


def test_the_stand_alone_server_answers_health_at_both_addresses(
    standalone_mount: Server, open_mount: Server, jupyter_mount: Server
) -> None:
    """
    (stand-alone also `/health`)
    `PREFIX` is `{base_url}forge` inside Jupyter Server and empty in the stand-alone server
    """
    for server in (standalone_mount, open_mount):
        assert server.prefix == ""
        assert server.get("/health").json()["status"] == "healthy"
    assert jupyter_mount.prefix == "/a%40b/forge"
    assert jupyter_mount.get("/health").status_code == 404


def test_active_is_running_paused_or_watched(mount: Server, new_id: Callable[[], str]) -> None:
    """
    active = running, paused, or watched by somebody
    """
    running, paused, completed, failed, watched = (new_id() for _ in range(5))
    mount.step(running, loss=1.0)
    mount.update(paused, status="paused")
    mount.update(completed, status="completed")
    assert mount.post(f"/api/progress/{failed}/error", {"error": "e"}).status_code == 200

    def active() -> set[str]:
        return set(mount.get("/api/health").json()["sessions"]).intersection(
            (running, paused, completed, failed, watched)
        )

    assert active() == {running, paused}
    with mount.viewer(watched), mount.viewer(completed):
        assert active() == {running, paused, watched, completed}
    until(lambda: active() == {running, paused}, "end of the watching")


# --- progress -------------------------------------------------------------------------------------


def test_progress_is_the_document_and_who_watches(mount: Server, session_id: str) -> None:
    """
    `GET PREFIX/api/progress/{session_id}`
    200: the progress document, and `websocket_available`, `connection_count`, `last_update`;
    """
    mount.step(session_id, loss=0.5)
    document = mount.progress(session_id)
    assert document.keys() >= {"sessionId", "metrics", "status", "timestamp"}
    assert (document["websocket_available"], document["connection_count"]) == (True, 0)
    assert is_moment(document["last_update"])
    with mount.viewer(session_id), mount.viewer(session_id):
        assert mount.progress(session_id)["connection_count"] == 2
    until(lambda: mount.progress(session_id)["connection_count"] == 0, "end of the watching")


def test_progress_of_an_unknown_session_is_404(mount: Server) -> None:
    """
    404 `{"error": "Session not found", "sessionId"}`
    """
    answer = mount.get(f"/api/progress/{NEVER_RECORDED}")
    assert (answer.status_code, answer.json()) == (404, {"error": "Session not found", "sessionId": NEVER_RECORDED})


# --- update ---------------------------------------------------------------------------------------


def test_a_first_update_makes_the_session(mount: Server, session_id: str) -> None:
    """
    `POST PREFIX/api/progress/{session_id}/update`
    `{"eventType": "step_update", "metrics": {…some or all…}, "status"?, "message"?, "timestamp"?, "sessionId"?}`
    200 `{"status": "success", "sessionId"}`; a first update makes the session;
    """
    assert mount.get(f"/api/progress/{session_id}").status_code == 404
    body = {"eventType": "step_update", "metrics": {"loss": 0.25}}
    answer = mount.post(f"/api/progress/{session_id}/update", body)
    assert (answer.status_code, answer.json()) == (200, {"status": "success", "sessionId": session_id})
    assert mount.metrics(session_id)["loss"] == 0.25


def test_every_field_of_an_update_is_taken(mount: Server, session_id: str) -> None:
    """
    "status"?, "message"?, "timestamp"?, "sessionId"?
    """
    at = "2025-01-15T10:30:45Z"
    every: Json = {"metrics": {name: value + 1 for name, value in NINE.items()}, "status": "paused", "message": "m"}
    with mount.viewer(session_id) as viewer:
        mount.update(session_id, **every, timestamp=at, sessionId=session_id, unknown={"to": ["us"]})
        told = viewer.hear_type("progress_update")
    assert told.items() >= every.items()
    assert moment_of(told["timestamp"]) == moment_of(at)


def test_the_path_names_the_session_whatever_the_body_says(
    mount: Server, session_id: str, new_id: Callable[[], str]
) -> None:
    """
    (the path names the session, whatever the body says)
    """
    other = new_id()
    for said in (other, "..", 7, None, {"a": 1}):
        body = {"eventType": "step_update", "metrics": {"loss": 0.5}, "sessionId": said, "session_id": said}
        answer = mount.post(f"/api/progress/{session_id}/update", body)
        assert (answer.status_code, answer.json()) == (200, {"status": "success", "sessionId": session_id})
    assert mount.progress(session_id)["sessionId"] == session_id
    assert mount.get(f"/api/progress/{other}").status_code == 404


def test_metrics_that_are_left_out_keep_their_values(mount: Server, session_id: str) -> None:
    """
    metrics that are left out keep their values
    """
    mount.step(session_id, loss=0.5, accuracy=0.75, learningRate=0.01, mine=3)
    mount.step(session_id, currentStep=20)
    mount.update(session_id, "model_completed", metrics={})
    mount.update(session_id)
    kept = {"loss": 0.5, "accuracy": 0.75, "learningRate": 0.01, "mine": 3, "currentStep": 20}
    assert mount.metrics(session_id).items() >= kept.items()


@pytest.mark.parametrize("event_type", TYPES)
def test_an_update_of_every_type_is_taken(mount: Server, session_id: str, event_type: str) -> None:
    """
    with `{"eventType": "step_update",
    """
    mount.update(session_id, event_type, metrics={"loss": 0.5})
    assert mount.metrics(session_id)["loss"] == 0.5


# --- error ----------------------------------------------------------------------------------------


def test_an_error_is_the_status_until_a_later_update(mount: Server, session_id: str) -> None:
    """
    `POST PREFIX/api/progress/{session_id}/error` with `{"error": "CUDA out of memory"}`
    200 `{"status": "error_sent", "sessionId"}`; the session's status is `error` until a later update says otherwise
    """
    mount.step(session_id, loss=0.5, currentStep=3)
    answer = mount.post(f"/api/progress/{session_id}/error", {"error": "CUDA out of memory"})
    assert (answer.status_code, answer.json()) == (200, {"status": "error_sent", "sessionId": session_id})
    document = mount.progress(session_id)
    assert document["status"] == "error"
    assert document["metrics"].items() >= {"loss": 0.5, "currentStep": 3}.items()
    mount.step(session_id, loss=0.25)
    assert mount.status(session_id) == "running"


def test_an_update_from_before_an_error_does_not_end_it(mount: Server, session_id: str) -> None:
    """
    the session's status is `error` until a later update says otherwise
    """
    mount.update(session_id, metrics={"loss": 0.5}, timestamp="2025-01-15T10:00:00Z")
    body = {"error": "e", "timestamp": "2025-01-15T10:00:10Z"}
    assert mount.post(f"/api/progress/{session_id}/error", body).status_code == 200
    mount.update(session_id, metrics={"loss": 0.4}, timestamp="2025-01-15T10:00:05Z")
    assert mount.status(session_id) == "error"
    mount.update(session_id, metrics={"loss": 0.3}, timestamp="2025-01-15T10:00:11Z")
    assert mount.status(session_id) == "running"


def test_an_error_makes_a_session_that_was_not_there(mount: Server, session_id: str) -> None:
    """
    `POST PREFIX/api/progress/{session_id}/error`
    """
    assert mount.post(f"/api/progress/{session_id}/error", {"error": "no GPU"}).status_code == 200
    assert (mount.status(session_id), mount.metrics(session_id)) == ("error", NINE)


# --- lists ----------------------------------------------------------------------------------------


def listed(mount: Server, query: str = "") -> Json:
    answer = mount.get(f"/api/sessions{query}")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def test_sessions_are_listed_newest_update_first(mount: Server, new_id: Callable[[], str]) -> None:
    """
    `GET PREFIX/api/sessions`
    200 `{"sessions": [{"sessionId", "connectionCount", "status", "lastUpdate", "createdAt"}], "total"}`, newest update first;
    Several viewers of one session; several sessions at once.
    """
    first, second, third = new_id(), new_id(), new_id()
    for session_id in (first, second, third, first):
        mount.step(session_id, loss=0.5)
    with mount.viewer(second), mount.viewer(second):
        found = listed(mount)
    assert found["total"] == len(found["sessions"])
    ours = [entry for entry in found["sessions"] if entry["sessionId"] in (first, second, third)]
    assert [entry["sessionId"] for entry in ours] == [first, third, second]
    assert [entry["connectionCount"] for entry in ours] == [0, 0, 2]
    assert {entry["status"] for entry in ours} == {"running"}
    assert all(moment_of(entry["createdAt"]) <= moment_of(entry["lastUpdate"]) for entry in ours)
    times = [moment_of(entry["lastUpdate"]) for entry in found["sessions"]]
    assert times == sorted(times, reverse=True)


def test_a_list_is_narrowed_by_status_and_limit(mount: Server, new_id: Callable[[], str]) -> None:
    """
    `?status=`, `?limit=` narrow it
    """
    older, newer = new_id(), new_id()
    for session_id in (older, newer):
        mount.update(session_id, status="paused")
    mount.step(new_id(), loss=0.5)
    found = listed(mount, "?status=paused&limit=2")
    assert [entry["sessionId"] for entry in found["sessions"]] == [newer, older]
    assert len(listed(mount, "?limit=1")["sessions"]) == 1
    assert {entry["status"] for entry in listed(mount, "?status=running")["sessions"]} == {"running"}


@pytest.mark.parametrize("query", ["?status=sleeping", "?limit=-1", "?limit=many", "?limit=1.5", "?status=%FF"])
def test_a_list_can_not_be_narrowed_by_nonsense(mount: Server, query: str) -> None:
    """
    Bad input is answered 400 or 422
    """
    answer = mount.get(f"/api/sessions{query}")
    assert answer.status_code in (400, 422)
    assert "expected" in answer.json()["error"]


# --- delete ---------------------------------------------------------------------------------------


def test_a_deleted_session_is_gone_and_its_viewers_are_closed(mount: Server, session_id: str) -> None:
    """
    `DELETE PREFIX/api/sessions/{session_id}`
    200 `{"status": "session_closed", "sessionId"}`; its viewers are closed with code 1000; 404 where unknown
    """
    mount.step(session_id, loss=0.5)
    with mount.viewer(session_id) as first, mount.viewer(session_id) as second, mount.socket("/ws") as joined:
        joined.ask("session_joined", type="join_room", sessionId=session_id)
        answer = mount.ask("DELETE", f"/api/sessions/{session_id}")
        assert (answer.status_code, answer.json()) == (200, {"status": "session_closed", "sessionId": session_id})
        assert [viewer.close_code() for viewer in (first, second, joined)] == [1000, 1000, 1000]
    assert mount.get(f"/api/progress/{session_id}").status_code == 404
    assert session_id not in [entry["sessionId"] for entry in listed(mount)["sessions"]]
    again = mount.ask("DELETE", f"/api/sessions/{session_id}")
    assert (again.status_code, again.json()) == (404, {"error": "Session not found", "sessionId": session_id})
    mount.step(session_id, accuracy=0.5)
    assert mount.metrics(session_id) == {**NINE, "accuracy": 0.5}


# --- bad input ------------------------------------------------------------------------------------

BAD_UPDATES: list[tuple[object, str]] = [
    ({"eventType": "nonsense"}, "eventType"),
    ({"eventType": 7}, "eventType"),
    ({"eventType": "connection_lost"}, "eventType"),
    ({"metrics": []}, "metrics"),
    ({"metrics": 7}, "metrics"),
    ({"metrics": {"loss": "low"}}, "metrics.loss"),
    ({"metrics": {"loss": True}}, "metrics.loss"),
    ({"metrics": {"loss": None}}, "metrics.loss"),
    ({"metrics": {"loss": [1]}}, "metrics.loss"),
    ({"metrics": {"loss": 0.5, "mine": {}}}, "metrics.mine"),
    ({"metrics": {"": 1}}, "metrics"),
    ({"metrics": {"a\u0000b": 1}}, "metrics"),
    ({"status": "sleeping"}, "status"),
    ({"status": 1}, "status"),
    ({"message": 5}, "message"),
    ({"timestamp": "yesterday"}, "timestamp"),
    ({"timestamp": "0001-01-01T00:00:00+14:00"}, "timestamp"),
    ({"timestamp": "9999-12-31T23:59:59-14:00"}, "timestamp"),
    ({"timestamp": -1}, "timestamp"),
    ({"timestamp": True}, "timestamp"),
    ({"idempotencyKey": 7}, "idempotencyKey"),
    ([], "body"),
    ("text", "body"),
    (7, "body"),
    (None, "body"),
]


def refused(answer: requests.Response, where: str) -> None:
    """See that an answer refuses what it was sent, and says what, where and what else was expected."""
    assert answer.status_code in (400, 422), answer.text
    error = answer.json()["error"]
    assert where in error, error
    assert "expected" in error, error
    assert "Traceback" not in error


@pytest.mark.parametrize(("body", "where"), BAD_UPDATES, ids=lambda part: str(part)[:50].replace("\0", "0"))
def test_a_bad_update_is_refused_and_changes_nothing(mount: Server, session_id: str, body: Any, where: str) -> None:
    """
    Bad input is answered 400 or 422 with `{"error": what was wrong, where, and what was expected}`,
    changes nothing and is never a 500.
    """
    refused(mount.post(f"/api/progress/{session_id}/update", body), where)
    assert mount.get(f"/api/progress/{session_id}").status_code == 404
    mount.step(session_id, loss=0.5)
    before = mount.progress(session_id)
    refused(mount.post(f"/api/progress/{session_id}/update", body), where)
    assert mount.progress(session_id) == before


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "not json", '{"metrics": {"loss": 1e400}}', '{"metrics": {"loss": 01}}', "[" * 100_000),
        *('{"metrics": {"loss": 1}} more', b"\xff\xfe{}", b'{"message": "\xff"}', '{"a":' * 50 + "1" + "}" * 50),
    ],
    ids=range(10),
)
def test_what_is_no_json_is_refused(mount: Server, session_id: str, text: str | bytes) -> None:
    """
    Bad input is answered 400 or 422 with `{"error": what was wrong, where, and what was expected}`
    """
    for call in ("update", "error"):
        refused(mount.post_text(f"/api/progress/{session_id}/{call}", text), "body")
    assert mount.get(f"/api/progress/{session_id}").status_code == 404


@pytest.mark.parametrize("body", [{}, {"error": None}, {"error": 7}, {"error": ["e"]}, {"message": "m"}])
def test_an_error_without_its_text_is_refused(mount: Server, session_id: str, body: Json) -> None:
    """
    Bad input is answered 400 or 422
    """
    refused(mount.post(f"/api/progress/{session_id}/error", body), "error")
    assert mount.get(f"/api/progress/{session_id}").status_code == 404


def test_an_update_of_a_thousand_metrics_is_taken_and_of_more_refused(mount: Server, session_id: str) -> None:
    """
    changes nothing and is never a 500
    """
    mount.step(session_id, **{f"m{index}": index for index in range(1_000)})
    many = {"metrics": {f"n{index}": index for index in range(1_001)}}
    refused(mount.post(f"/api/progress/{session_id}/update", many), "metrics")
    assert "n1" not in mount.metrics(session_id)


def test_a_burst_of_updates_on_one_connection_is_applied_in_order(mount: Server, session_id: str) -> None:
    """
    `POST PREFIX/api/progress/{session_id}/update`
    """
    headers = {} if mount.token is None else {"Authorization": f"token {mount.token}"}
    with requests.Session() as client:
        for step in range(1, 61):
            body = {"eventType": "step_update", "metrics": {"currentStep": step, "loss": 1 / step}}
            answer = client.post(
                f"{mount.url}/api/progress/{session_id}/update", json=body, headers=headers, timeout=10
            )
            assert answer.status_code == 200
    assert mount.metrics(session_id)["currentStep"] == 60
