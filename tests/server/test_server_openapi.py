"""The description of the REST routes: it is of the table of routes, and the server does what it says, tried by schemathesis.

FORGE_FAULTS=long tries more, with a seed that it draws and prints; FORGE_FAULTS_SEED names one.
"""

from __future__ import annotations

import logging
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate
from tornado.web import RequestHandler

from forge_widgets.core.events import STATUSES
from forge_widgets.errors import ForgeError
from forge_widgets.server.app import ROUTES, STANDALONE_ROUTES, Route
from forge_widgets.server.description import read_description
from forge_widgets.server.failures import answer_of
from forge_widgets.server.limits import Limits
from forge_widgets.server.update import UPDATE_TYPES
from tests.server.mounts import TOKEN, Json, Mount, event, in_jupyter, rows, standalone

VERBS = ("get", "head", "post", "put", "patch", "delete")
HERE = Path(__file__).parent

# What the description can't say in JSON Schema, so that the rest can be tried without an exception.
CONFIG = """
hooks = "{hooks}"
warnings = false
[checks]
# Ours are these alone.
negative_data_rejection.expected-statuses = ["400", "403", "404", "405", "409", "413", "415", "422"]
[parameters]
# Drawn waits would be waited for.
"query.wait" = 0.01
[[operations]]
# A session that was deleted is one that waits, and a heartbeat may come before the first record.
include-operation-id-regex = "pollEvents|listHeartbeats|putHeartbeat"
checks.use_after_free.enabled = false
[[operations]]
# A column for each timestamp, time that never falls, a count that is not written 1.0: more than a schema can say.
include-operation-id-regex = "appendRecords|putHeartbeat|trimSession"
checks.positive_data_acceptance.enabled = false
[[operations]]
# A WebSocket is never opened by plain HTTP.
include-path-regex = "^/ws"
checks.positive_data_acceptance.enabled = false
[[operations]]
# Another name is another file, which is not there; and no name at all is no route.
include-path-regex = "^/static"
checks.negative_data_rejection.enabled = false
"""


def path_of(route: Route) -> str:
    """Return a route's pattern as a path of the description."""
    return re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", route.pattern).removesuffix("/?")


def verbs_of(route: Route) -> set[str]:
    return {verb for verb in VERBS if getattr(route.handler, verb) is not getattr(RequestHandler, verb)}


def test_every_route_and_verb_is_described_and_nothing_else_is() -> None:
    table: dict[str, set[str]] = {}
    for route in ROUTES + STANDALONE_ROUTES:
        table.setdefault(path_of(route), set()).update(verbs_of(route))
    described = {path: set(item) & set(VERBS) for path, item in read_description()["paths"].items()}
    assert described == table


def test_the_description_is_openapi() -> None:
    validate(read_description())


def test_it_says_what_the_server_holds_to() -> None:
    description, limits = read_description(), Limits()
    schemas, parameters = description["components"]["schemas"], description["components"]["parameters"]
    said, (_, more) = schemas["Said"]["properties"], schemas["Update"]["allOf"]
    update = more["properties"]
    assert set(schemas["Status"]["enum"]) == STATUSES
    assert set(update["status"]["enum"]) == {*STATUSES, "", None}
    assert set(update["eventType"]["enum"]) == {*UPDATE_TYPES, None}
    assert said["message"]["maxLength"] == update["error"]["maxLength"] == limits.max_text_chars
    assert schemas["TrainingError"]["allOf"][1]["properties"]["error"]["maxLength"] == limits.max_text_chars
    assert more["then"]["properties"]["phase"]["maxLength"] == limits.max_phase_chars
    assert said["idempotencyKey"]["maxLength"] == limits.max_key_chars
    assert parameters["IdempotencyKey"]["schema"]["maxLength"] == limits.max_key_chars
    assert schemas["GivenMetrics"]["maxProperties"] == limits.max_metrics
    waits = description["paths"]["/api/sessions/{session_id}/events"]["get"]["parameters"][-1]
    assert (waits["name"], waits["schema"]["maximum"]) == ("wait", limits.max_wait_s)
    assert f"nested over {limits.max_depth} levels" in description["info"]["description"]
    assert (
        f"({limits.max_body_bytes:,} bytes; {limits.max_inflated_bytes:,} inflated)"
        in description["info"]["description"]
    )


def test_every_status_of_an_error_is_explained_in_the_description_and_in_the_docs() -> None:
    rows_of = [
        [line for line in text.splitlines() if line.startswith("|")]
        for text in (read_description()["info"]["description"], (HERE.parents[1] / "docs" / "REST.md").read_text())
    ]
    assert rows_of[0] == rows_of[1]
    explained = {int(line[2:5]) for line in rows_of[0] if line[2:5].isdecimal()}
    assert {answer_of(error).status for error in one_of_each(ForgeError)} <= explained


def one_of_each(kind: type[ForgeError]) -> Iterator[ForgeError]:
    """Make an error of each kind, whatever it is made of."""
    error = kind.__new__(kind)
    error.args = ("said",)
    yield error
    for narrower in kind.__subclasses__():
        yield from one_of_each(narrower)


def test_every_operation_names_its_errors_and_every_part_is_used() -> None:
    description = read_description()
    for path, item in description["paths"].items():
        for verb in set(item) & set(VERBS):
            statuses = item[verb]["responses"]
            assert {"403", "500"} <= set(statuses), (verb, path)
            assert "requestBody" not in item[verb] or {"400", "413", "415", "422", "503"} <= set(statuses)
            assert "{session_id}" not in path or "400" in statuses
    used = set(references(description))
    for section in ("parameters", "responses", "schemas"):
        assert {f"#/components/{section}/{name}" for name in description["components"][section]} <= used


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_it_is_served_with_the_address_of_its_routes(mount: Mount) -> None:
    served: Json = mount.get("/api/openapi.json").json()
    assert {**served, "servers": None} == {**read_description(), "servers": None}
    (server,) = served["servers"]
    assert mount.url.endswith(server["url"].rstrip("/"))
    assert mount.get("/api/health").url.endswith(f"{server['url'].rstrip('/')}/api/health")


def test_a_method_that_a_route_does_not_know_is_told_which_it_knows(mount: Mount) -> None:
    for route in ROUTES:
        path = path_of(route).format(session_id="walked", path="page.js")
        for verb in {*VERBS, "trace"} - verbs_of(route):
            answer = mount.ask(verb.upper(), path, json={})
            assert answer.status_code == 405, (verb, path)
            assert set(answer.headers["Allow"].lower().split(", ")) - {"options"} == verbs_of(route), (verb, path)
            assert verb == "head" or "error" in answer.json()


@pytest.fixture(params=["standalone", "jupyter"])
def tried(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mount]:
    """Serve a store of its own with something of every kind in it."""
    store = tmp_path / "store"
    with standalone(store) if request.param == "standalone" else in_jupyter(store, tmp_path) as mount:
        mount.append(
            "cognate-123456",
            event("training_started", metrics={"totalSteps": 10.0}),
            rows(0, 5, up=float("inf"), down=float("-inf"), odd=float("nan")),
            event("model_completed", metrics={"currentModel": 1.0}, message="Model 1 completed"),
            event("phase_completed", name="one", message="Phase one completed", key="k"),
            event("training_error", error="out of memory"),
        )
        mount.append("still-running", rows(0, 5))
        yield mount


class Failures(logging.Handler):
    """Keeps what a server logs as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(self.format(record))


@pytest.mark.slow
@pytest.mark.timeout(1_600)
def test_the_server_does_what_its_description_says(tried: Mount, tmp_path: Path) -> None:
    is_long = os.environ.get("FORGE_FAULTS") == "long"
    seed = int(os.environ.get("FORGE_FAULTS_SEED") or (random.SystemRandom().randrange(2**32) if is_long else 1))
    print(f"FORGE_FAULTS_SEED={seed}")
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG.format(hooks=HERE / "formats.py"))
    failures = Failures()
    tried.context.log.addHandler(failures)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
        *("run", f"{tried.url}/api/openapi.json", "--header", f"Authorization: token {TOKEN}", "--seed", str(seed)),
        f"--max-examples={400 if is_long else 6}",
        "--generation-with-security-parameters=false",
        *("--generation-database=none", f"--report-dir={tmp_path}", "--no-color", "--request-timeout=20"),
        *(("--exclude-path", "/health") if tried.url.endswith("forge") else ()),
    ]
    try:
        told = subprocess.run(
            command,
            check=False,
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=1_500 if is_long else 100,
        )
    finally:
        tried.context.log.removeHandler(failures)
    print("\n".join(line[:300] for line in told.stdout.splitlines()))
    assert told.returncode == 0
    assert int(re.search(r"(\d+) generated", told.stdout)[1]) > 300  # type: ignore[index]
    assert failures.messages == []
