"""Every call of the contract's HTTP table, on both mounts."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from forge_widgets._version import __version__
from forge_widgets.core.metrics import DEFAULTS
from tests.server.mounts import Json, Mount, event, rows

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def progress(mount: Mount, session_id: str) -> Json:
    answer = mount.get(f"/api/progress/{session_id}")
    assert answer.status_code == 200, answer.text
    document: Json = answer.json()
    return document


def test_health_names_the_active_sessions_and_the_store(mount: Mount, session_id: str) -> None:
    mount.update(session_id, metrics={"loss": 1.0})
    answer = mount.get("/api/health")
    health = answer.json()
    assert answer.status_code == 200
    assert (health["status"], health["websocket_enabled"]) == ("healthy", True)
    assert session_id in health["sessions"]
    assert health["active_sessions"] == len(health["sessions"])
    assert ISO.fullmatch(health["timestamp"])
    assert (health["storeId"], health["version"], health["protocol"]) == (mount.context.store.store_id, __version__, 1)


def test_a_session_that_has_ended_is_not_active_unless_somebody_watches(mount: Mount, session_id: str) -> None:
    mount.update(session_id, eventType="phase_completed", phase="training_complete")
    assert session_id not in mount.get("/api/health").json()["sessions"]
    with mount.socket(f"/ws/{session_id}") as socket:
        socket.hear()
        assert session_id in mount.get("/api/health").json()["sessions"]


def test_stand_alone_answers_health_at_the_root_too(standalone_mount: Mount) -> None:
    assert standalone_mount.get("/health").json()["status"] == "healthy"


def test_progress_is_the_progress_document_and_who_watches(mount: Mount, session_id: str) -> None:
    mount.update(session_id, metrics={"loss": 2.3, "currentStep": 450, "currentModel": 2, "my_own": 7})
    with mount.socket(f"/ws/{session_id}") as socket:
        socket.hear()
        document = progress(mount, session_id)
    assert document["sessionId"] == session_id
    assert document["metrics"].items() >= {"loss": 2.3, "grokProgress": 45, "currentStep": 450, "my_own": 7}.items()
    assert set(document["metrics"]) == {*DEFAULTS, "my_own"}
    assert document["metrics"]["perplexity"] == pytest.approx(9.974, abs=0.001)
    assert document["status"] == "running"
    assert (document["websocket_available"], document["connection_count"]) == (True, 1)
    assert ISO.fullmatch(document["timestamp"])
    assert document["last_update"] == document["timestamp"]


@pytest.mark.parametrize(("verb", "path"), [("GET", "/api/progress/{}"), ("DELETE", "/api/sessions/{}")])
def test_an_unknown_session_is_404(mount: Mount, session_id: str, verb: str, path: str) -> None:
    answer = mount.ask(verb, path.format(session_id))
    assert (answer.status_code, answer.json()) == (404, {"error": "Session not found", "sessionId": session_id})


def test_an_update_makes_the_session_and_leaves_what_it_does_not_name(mount: Mount, session_id: str) -> None:
    answer = mount.post(
        f"/api/progress/{session_id}/update",
        {"eventType": "step_update", "metrics": {"loss": 2.0, "accuracy": 0.5}, "sessionId": "another", "unknown": {}},
    )
    assert (answer.status_code, answer.json()) == (200, {"status": "success", "sessionId": session_id})
    mount.update(session_id, metrics={"loss": 1.0})
    assert progress(mount, session_id)["metrics"].items() >= {"loss": 1.0, "accuracy": 0.5}.items()


def test_names_in_snake_case_are_the_contracts(mount: Mount, session_id: str) -> None:
    mount.update(session_id, metrics={"learning_rate": 0.5, "total_steps": 10, "current_step": 5})
    metrics = progress(mount, session_id)["metrics"]
    assert (metrics["learningRate"], metrics["totalSteps"], metrics["grokProgress"]) == (0.5, 10, 50)
    assert "learning_rate" not in metrics


def test_grok_progress_is_of_the_total_in_force(mount: Mount, session_id: str) -> None:
    mount.update(session_id, eventType="training_started", metrics={"totalSteps": 200})
    mount.update(session_id, metrics={"currentStep": 50})
    assert progress(mount, session_id)["metrics"]["grokProgress"] == 25


@pytest.mark.parametrize("status", ["running", "paused", "completed", "error", "waiting"])
def test_an_update_may_set_the_status(mount: Mount, session_id: str, status: str) -> None:
    mount.update(session_id, metrics={"loss": 1.0}, status=status)
    assert progress(mount, session_id)["status"] == status


@pytest.mark.parametrize(
    ("text", "name"), [("NaN", "NaN"), ('"NaN"', "NaN"), ("-Infinity", "-Infinity"), ('"Infinity"', "Infinity")]
)
def test_a_number_that_is_not_finite_is_null_and_named(mount: Mount, session_id: str, text: str, name: str) -> None:
    answer = mount.post_text(f"/api/progress/{session_id}/update", f'{{"metrics": {{"loss": {text}}}}}')
    assert answer.status_code == 200
    document = progress(mount, session_id)
    assert document["metrics"]["loss"] is None
    assert document["nonfinite"]["loss"] == name


def test_an_error_is_the_status_until_a_later_update(mount: Mount, session_id: str) -> None:
    mount.update(session_id, metrics={"loss": 1.0})
    answer = mount.post(f"/api/progress/{session_id}/error", {"error": "CUDA out of memory"})
    assert (answer.status_code, answer.json()) == (200, {"status": "error_sent", "sessionId": session_id})
    assert progress(mount, session_id)["status"] == "error"
    mount.update(session_id, metrics={"loss": 0.9})
    assert progress(mount, session_id)["status"] == "running"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"eventType": "model_completed", "metrics": {"currentModel": 2}}, "Model 2 completed"),
        ({"eventType": "model_completed"}, "Model 1 completed"),
        ({"eventType": "phase_completed", "phase": "warm-up"}, "Phase warm-up completed"),
        ({"eventType": "phase_completed", "phaseName": "b"}, "Phase b completed"),
        ({"eventType": "phase_completed"}, "Phase completed"),
        ({"eventType": "step_update", "message": "half way"}, "half way"),
        ({"eventType": "model_completed", "message": "own words"}, "own words"),
    ],
)
def test_messages_are_the_callers_or_the_contracts(mount: Mount, session_id: str, body: Json, message: str) -> None:
    with mount.socket(f"/ws/{session_id}") as socket:
        socket.hear_type("session_joined")
        mount.update(session_id, **body)
        assert socket.hear_type("progress_update")["message"] == message


def test_a_phase_named_only_in_the_message_completes_the_training(mount: Mount, session_id: str) -> None:
    mount.update(session_id, eventType="phase_completed", message="Phase training_complete completed")
    assert progress(mount, session_id)["status"] == "completed"


def test_a_repeated_update_is_applied_once_and_a_bare_one_is_new(mount: Mount, session_id: str) -> None:
    def top() -> int:
        snapshot = mount.context.store.snapshot(session_id)
        assert snapshot is not None
        return snapshot.cursor.offset

    for _ in range(2):
        mount.update(session_id, metrics={"loss": 1.0}, idempotencyKey="k")
    assert top() == 1
    for _ in range(2):
        mount.update(session_id, metrics={"loss": 1.0}, timestamp="2030-01-15T10:30:45Z")
    assert top() == 2
    mount.update(session_id, metrics={"loss": 1.5}, timestamp="2030-01-15T10:30:45Z")
    assert top() == 3
    for _ in range(2):
        mount.update(session_id, metrics={"loss": 1.0})
    assert top() == 5
    for _ in range(2):
        answer = mount.post(
            f"/api/progress/{session_id}/update", {"metrics": {"loss": 1}}, headers={"Idempotency-Key": "header"}
        )
        assert answer.status_code == 200
    assert top() == 6


def test_the_newer_timestamp_wins_a_metric(mount: Mount, session_id: str) -> None:
    mount.update(session_id, metrics={"loss": 1.0}, timestamp=1_900_000_001.5)
    mount.update(session_id, metrics={"loss": 2.0}, timestamp="2030-01-01T00:00:00Z")
    document = progress(mount, session_id)
    assert (document["metrics"]["loss"], document["timestamp"]) == (1.0, "2030-03-17T17:46:41.500Z")


def test_an_update_without_a_time_is_never_stale(mount: Mount, session_id: str) -> None:
    mount.update(session_id, metrics={"loss": 1.0}, timestamp="2190-01-01T00:00:00Z")
    mount.update(session_id, metrics={"loss": 2.0})
    assert progress(mount, session_id)["metrics"]["loss"] == 2.0


def test_training_started_after_the_end_opens_the_next_attempt(mount: Mount, session_id: str) -> None:
    mount.update(session_id, eventType="training_started", metrics={"totalSteps": 10})
    mount.update(session_id, metrics={"currentStep": 10})
    mount.update(session_id, eventType="phase_completed", phase="training_complete")
    mount.update(session_id, eventType="training_started", metrics={"totalSteps": 20})
    metrics = progress(mount, session_id)["metrics"]
    assert (metrics["totalSteps"], metrics["currentStep"]) == (20, 0)


def test_sessions_are_listed_newest_update_first(mount: Mount, new_id: Callable[[], str]) -> None:
    older, newer = new_id(), new_id()
    mount.update(older, metrics={"loss": 1.0}, timestamp="2191-01-01T00:00:00Z")
    mount.update(newer, metrics={"loss": 1.0}, timestamp="2192-01-01T00:00:00Z", status="paused")
    answer = mount.get("/api/sessions").json()
    ids = [entry["sessionId"] for entry in answer["sessions"]]
    assert ids.index(newer) < ids.index(older)
    assert answer["total"] == len(ids)
    assert answer["storeId"] == mount.context.store.store_id
    entry = answer["sessions"][ids.index(newer)]
    assert entry.items() >= {"sessionId": newer, "connectionCount": 0, "status": "paused"}.items()
    assert (entry["lastUpdate"], entry["createdAt"]) == ("2192-01-01T00:00:00.000Z", "2192-01-01T00:00:00.000Z")
    assert entry.items() >= {"attempts": 1, "attempt": 1, "lost": False, "error": "", "secondsLeft": None}.items()
    assert entry["metrics"]["loss"] == 1.0
    assert (entry["recorded"], entry["progress"]) == (["loss", "perplexity"], None)


def test_status_and_limit_narrow_the_list(mount: Mount, new_id: Callable[[], str]) -> None:
    for _ in range(2):
        mount.update(new_id(), metrics={"loss": 1.0}, status="paused")
    paused = mount.get("/api/sessions?status=paused").json()
    assert {entry["status"] for entry in paused["sessions"]} == {"paused"}
    assert len(mount.get("/api/sessions?limit=1").json()["sessions"]) == 1
    assert len(mount.get("/api/sessions?limit=0").json()["sessions"]) == 0


@pytest.mark.parametrize("query", ["status=odd", "limit=-1", "limit=x", "limit=nan"])
def test_a_list_narrowed_by_nonsense_is_422(mount: Mount, query: str) -> None:
    answer = mount.get(f"/api/sessions?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["error"]


def test_a_list_says_how_long_it_still_takes(mount: Mount, session_id: str) -> None:
    # 30 steps, one a second, of one model of 100
    mount.append(session_id, event("training_started", metrics={"totalSteps": 100.0, "totalModels": 1.0}), rows(0, 30))
    mount.context.listing.forget()
    (entry,) = [one for one in mount.get("/api/sessions").json()["sessions"] if one["sessionId"] == session_id]
    assert entry["stepsPerSecond"] == pytest.approx(1.0)
    assert entry["secondsLeft"] == pytest.approx(71.0, abs=2.0)


def test_a_deleted_session_is_gone_and_its_name_free(mount: Mount, session_id: str) -> None:
    mount.update(session_id, metrics={"loss": 1.0})
    answer = mount.ask("DELETE", f"/api/sessions/{session_id}")
    assert (answer.status_code, answer.json()) == (200, {"status": "session_closed", "sessionId": session_id})
    assert mount.get(f"/api/progress/{session_id}").status_code == 404
    assert session_id not in [entry["sessionId"] for entry in mount.get("/api/sessions").json()["sessions"]]
    mount.update(session_id, metrics={"accuracy": 1.0})
    assert progress(mount, session_id)["metrics"]["loss"] == 0


@pytest.mark.parametrize("path", ["/api/nothing", "/api/progress", "/api/progress/a/b"])
def test_an_unknown_address_is_404(mount: Mount, path: str) -> None:
    assert mount.get(path).status_code == 404


def test_an_unknown_method_is_405_and_says_so(mount: Mount) -> None:
    answer = mount.ask("DELETE", "/api/health")
    assert (answer.status_code, list(answer.json())) == (405, ["error"])
