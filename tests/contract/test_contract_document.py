"""The contract's progress document: its fields, its nine metrics, and what is derived where a client gave none."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from tests.contract.conftest import CONTRACT
from tests.contract.servers import Json, Server
from tests.contract.wire import request

EXAMPLE: Json = json.loads(re.findall(r"```json\n(.*?)```", CONTRACT, re.DOTALL)[0])
NINE = {
    "loss": 0,
    "perplexity": 0,
    "grokProgress": 0,
    "currentStep": 0,
    "totalSteps": 1000,
    "currentModel": 1,
    "totalModels": 3,
    "learningRate": 0.001,
    "accuracy": 0,
}
COUNTS = ("grokProgress", "currentStep", "totalSteps", "currentModel", "totalModels")
BAD_IDS = (
    *(
        ".",
        "..",
        "a%20b",
        "a%2Fb",
        "..%2F..%2Fetc",
        "a%00b",
        "a%0Ab",
        "%C3%A9",
        "%E2%80%AE",
        "a~b",
        "a:b",
        "a+b",
    ),
    *("x" * 129, "<script>", "%3Cscript%3E", "%FF", ""),
)


def moment_of(text: str) -> datetime:
    """Read a time of the contract: ISO 8601, UTC, with Z, and nothing else."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", text), text
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def is_moment(text: str) -> bool:
    """Say whether a text is a time of the contract."""
    return moment_of(text).year >= 1970


def test_what_is_posted_comes_back_as_the_document_of_the_contract(mount: Server, session_id: str) -> None:
    """
    What existing clients of this system already rely on.
    It holds to the letter: a client written against it works unchanged.
    What we add (fields, routes, messages) stands beside it and never in its place.
    Two prefixes, one table of handlers.
    {"sessionId": "cognate-123456",
    "metrics": {"loss": 2.3, "perplexity": 10.8, "grokProgress": 45, "currentStep": 450, "totalSteps": 1000,
    "currentModel": 2, "totalModels": 3, "learningRate": 0.001, "accuracy": 0.0},
    "status": "running",
    "timestamp": "2025-01-15T10:30:45Z"}
    """
    mount.update(session_id, **{name: EXAMPLE[name] for name in ("metrics", "status", "timestamp", "sessionId")})
    document = mount.progress(session_id)
    assert document["sessionId"] == session_id
    assert document["metrics"] == EXAMPLE["metrics"]
    assert document["status"] == EXAMPLE["status"]
    assert moment_of(document["timestamp"]) == moment_of(EXAMPLE["timestamp"])
    assert all(isinstance(document["metrics"][name], int) for name in COUNTS)


def test_http_and_websocket_tell_the_same_document(mount: Server, session_id: str) -> None:
    """
    The same object from HTTP, WebSocket,
    """
    with mount.viewer(session_id) as viewer:
        mount.step(session_id, loss=0.5, currentStep=10, mine=7.5)
        told = viewer.hear_type("progress_update")
        asked = viewer.ask("status_response", type="get_status")["data"]
    with mount.socket(f"/ws/{session_id}") as late:
        greeted = late.hear()
    document = mount.progress(session_id)
    for seen in (told, asked, greeted):
        assert {name: seen[name] for name in EXAMPLE} == {name: document[name] for name in EXAMPLE}


def test_before_the_first_update_the_nine_metrics_have_their_defaults(mount: Server, session_id: str) -> None:
    """
    `status`: `waiting` (joined, nothing recorded yet)
    The nine metrics are always there.
    Before the first update they are `0, 0, 0, 0, 1000, 1, 3, 0.001, 0`.
    `currentModel` counts from 1.
    """
    with mount.socket(f"/ws/{session_id}") as viewer:
        greeting = viewer.hear()
    assert greeting["currentState"] == NINE
    assert list(NINE.values()) == [0, 0, 0, 0, 1000, 1, 3, 0.001, 0]
    assert greeting["status"] == "waiting"
    assert abs((moment_of(greeting["timestamp"]) - datetime.now(timezone.utc)).total_seconds()) < 60
    mount.step(session_id, accuracy=0.5)
    assert mount.metrics(session_id) == {**NINE, "accuracy": 0.5}


@pytest.mark.parametrize("status", ["running", "paused", "completed", "error", "waiting"])
def test_a_session_has_the_status_that_its_newest_update_names(mount: Server, session_id: str, status: str) -> None:
    """
    `running`, `paused`, `completed`, `error`.
    """
    mount.update(session_id, status=status, metrics={"loss": 1.0})
    assert mount.status(session_id) == status
    mount.step(session_id, loss=0.9)
    assert mount.status(session_id) == "running"


@pytest.mark.parametrize("kept", ["A", "0", "a.b_c-D", "...", "-", "x" * 128])
def test_ids_of_the_contract_are_taken(mount: Server, session_id: str, kept: str) -> None:
    """
    `sessionId`: `[A-Za-z0-9._-]{1,128}`
    """
    named = kept if len(kept) == 128 else f"{kept}{session_id}"
    mount.step(named, loss=1.5)
    assert mount.progress(named)["sessionId"] == named
    with mount.viewer(named):
        pass


@pytest.mark.parametrize("bad", BAD_IDS)
def test_any_other_id_is_400_by_http(mount: Server, bad: str) -> None:
    """
    not `.` or `..`;
    anything else is answered 400 by HTTP
    """
    update = json.dumps({"eventType": "step_update", "metrics": {"loss": 1}})
    # By hand: no client of HTTP would leave such a path as it is.
    for verb, path, body in (
        ("GET", f"/api/progress/{bad}", ""),
        ("POST", f"/api/progress/{bad}/update", update),
        ("POST", f"/api/progress/{bad}/error", '{"error": "e"}'),
        ("DELETE", f"/api/sessions/{bad}", ""),
    ):
        answer = request(mount, verb, path, body)
        assert answer.status == 400, (verb, path, answer)
        assert "expected" in answer.json["error"]


@pytest.mark.parametrize("bad", [".", "a b", "x" * 129, "é", "", 7, None, ["a"]])
def test_any_other_id_is_an_error_message_by_websocket(mount: Server, bad: object) -> None:
    """
    an error message by WebSocket
    """
    with mount.socket("/ws") as viewer:
        for kind in ("join_room", "leave_room", "get_session_status"):
            assert "expected" in viewer.ask("error", type=kind, sessionId=bad)["error"]
        assert viewer.ask("pong", type="ping")


@pytest.mark.parametrize("bad", ["a%20b", "x" * 129, "%C3%A9", "%3Cscript%3E"])
def test_a_socket_of_any_other_id_is_told_so_and_lives(mount: Server, bad: str) -> None:
    """
    anything else is answered 400 by HTTP, an error message by WebSocket
    """
    with mount.socket(f"/ws/{bad}") as viewer:
        assert "expected" in viewer.hear()["error"]
        assert viewer.ask("pong", type="ping")


def test_any_other_id_is_raised_by_the_hooks(run: Callable[..., str]) -> None:
    """
    and raised by `create_progress_hooks`.
    """
    printed = run("""
from forge_widgets import create_progress_hooks
for bad in ("", ".", "..", "a/b", "a b", "é", "x" * 129, None, 7):
    try:
        create_progress_hooks(bad)
    except ValueError as error:
        assert "expected" in str(error)
        print("raised")
""")
    assert printed.split() == ["raised"] * 9


def test_times_are_iso_8601_in_utc_with_z(mount: Server, session_id: str) -> None:
    """
    `timestamp`: ISO 8601, UTC, with `Z`.
    """
    for given in ("2025-01-15T12:30:45+02:00", "2025-01-15T10:30:45", "2025-01-15T10:30:45.000Z", 1736937045):
        mount.update(session_id, metrics={"loss": 1.0}, timestamp=given)
    document = mount.progress(session_id)
    assert moment_of(document["timestamp"]) == datetime(2025, 1, 15, 10, 30, 45, tzinfo=timezone.utc)
    assert moment_of(document["last_update"]) == moment_of(document["timestamp"])
    assert is_moment(mount.get("/api/health").json()["timestamp"])


def test_users_own_metrics_stand_beside_the_nine(mount: Server, session_id: str) -> None:
    """
    Users' own metrics stand beside the nine under their own names.
    """
    own = {"gradNorm": 3.25, "val/loss é": -1e-9, "__proto__": 1, "snake_case": 2, "count": 12345678901234}
    mount.step(session_id, loss=0.5, **own)
    metrics = mount.metrics(session_id)
    assert metrics.items() >= own.items()
    assert set(metrics) == {*NINE, *own}


@pytest.mark.parametrize(
    ("loss", "perplexity"), [(2.3, math.exp(2.3)), (0.0, 1.0), (-5.0, 1.0), (-1e308, 1.0), (700.5, None), (1e308, None)]
)
def test_perplexity_is_derived_from_the_loss(
    mount: Server, session_id: str, loss: float, perplexity: float | None
) -> None:
    """
    Where the caller gives no `perplexity` it is `exp(loss)`, never below 1 and never overflowing.
    """
    mount.step(session_id, loss=loss)
    derived = mount.metrics(session_id)["perplexity"]
    assert derived == pytest.approx(perplexity) if perplexity else 1e300 < derived < math.inf
    mount.step(session_id, loss=1.0, perplexity=0.25)
    assert mount.metrics(session_id)["perplexity"] == 0.25


@pytest.mark.parametrize(
    ("metrics", "progress"),
    [
        ({"currentStep": 450}, 45),
        ({"currentStep": 459}, 45),
        ({"currentStep": 29, "totalSteps": 100}, 29),
        ({"currentStep": 5000}, 100),
        ({"currentStep": 1, "totalSteps": 0}, 0),
        ({"currentStep": 450, "grokProgress": 7}, 7),
    ],
)
def test_grok_progress_is_derived_from_the_step(mount: Server, session_id: str, metrics: Json, progress: int) -> None:
    """
    Where the caller gives no `grokProgress` it is `floor(100 · step / total_steps)`, at most 100.
    """
    mount.step(session_id, **metrics)
    assert mount.metrics(session_id)["grokProgress"] == progress


def test_grok_progress_follows_a_total_that_is_said_before_or_after_the_step(mount: Server, session_id: str) -> None:
    """
    Where the caller gives no `grokProgress` it is `floor(100 · step / total_steps)`
    """
    mount.update(session_id, "training_started", metrics={"totalSteps": 200})
    mount.step(session_id, currentStep=50)
    assert mount.metrics(session_id)["grokProgress"] == 25
    mount.step(session_id, totalSteps=100)
    assert mount.metrics(session_id)["grokProgress"] == 50


@pytest.mark.parametrize("as_text", [True, False])
def test_a_number_that_is_not_finite_is_null_and_named(mount: Server, session_id: str, *, as_text: bool) -> None:
    """
    A number that is not finite is `null`, and `"nonfinite": {"loss": "NaN"}` names it (`NaN`, `Infinity`, `-Infinity`).
    """
    names = {"loss": "NaN", "accuracy": "Infinity", "mine": "-Infinity"}
    # Python's json writes the bare words, which other languages can't: they send them as strings.
    metrics: dict[str, Any] = dict(names) if as_text else {name: float(value) for name, value in names.items()}
    with mount.viewer(session_id) as viewer:
        text = json.dumps({"eventType": "step_update", "metrics": metrics})
        assert mount.post_text(f"/api/progress/{session_id}/update", text).status_code == 200
        told = viewer.hear_type("progress_update")
    for seen in (told, mount.progress(session_id)):
        assert seen["nonfinite"].items() >= names.items()
        assert all(seen["metrics"][name] is None for name in names)
    mount.step(session_id, loss=1.0, accuracy=0.5, mine=0)
    assert "nonfinite" not in mount.progress(session_id)
