"""docs/MIGRATION.md forgets nothing that existing clients know, and names nothing here that is not there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import forge_widgets
from forge_widgets.core.events import EVENT_TYPES
from tests.docs.blocks import ROOT, blocks_of, code_of

MIGRATION = ROOT / "docs" / "MIGRATION.md"
# What the original's public documentation names.
KNOWN = (
    "src/websocket_progress.py",
    "src/fastapi_websocket_server.py",
    "src/agent_forge_integration.py",
    "src/ui/components/websocket_progress.tsx",
    "src/api_server.py",
    "examples/websocket_integration_example.py --mode demo",
    "examples/websocket_integration_example.py --mode quick",
    "examples/websocket_integration_example.py --mode integration",
    "examples/websocket_demo.html",
    "tests/integration/test_websocket_fallback.py",
    "requirements.txt",
    "python src/websocket_progress.py",
    "python src/fastapi_websocket_server.py",
    "python src/api_server.py",
    "pip install -r requirements.txt",
    "WebSocketProgressServer",
    "ProgressMetrics",
    "ProgressEvent",
    "initialize_websocket_server",
    "get_websocket_server",
    "create_progress_emitter",
    "create_fastapi_emitter",
    "create_progress_hooks(session_id)",
    "AgentForgeProgressHooks(session_id)",
    "CognateCreatorIntegration(session_id)",
    "@integrate_with_existing_training('session-123')",
    "import { useWebSocketProgress } from '../components/websocket_progress'",
    "GET /api/health",
    "GET /api/progress/{session_id}",
    "POST /api/progress/{session_id}/update",
    "POST /api/progress/{session_id}/error",
    "GET /api/sessions",
    "DELETE /api/sessions/{session_id}",
    "ws://localhost:8001/ws/{session_id}",
    "join_room",
    "leave_room",
    "get_session_status",
    "ping",
    "connection_established",
    "session_joined",
    "progress_update",
    "training_error",
    "connection_lost",
)


@pytest.mark.parametrize("name", KNOWN)
def test_what_existing_clients_know_has_its_place(name: str) -> None:
    assert name in code_of(MIGRATION)


def test_the_contracts_own_snippet_is_run() -> None:
    (snippet,) = (
        block for block in blocks_of(ROOT / "tests" / "contract" / "CONTRACT.md") if block.language == "python"
    )
    run = [block.text for block in blocks_of(MIGRATION) if block.language == "python"]
    assert any(set(snippet.text.splitlines()) <= set(text.splitlines()) for text in run)


def test_the_names_that_stay_are_public_here() -> None:
    stay = {"create_progress_hooks", "CognateCreatorIntegration", "integrate_with_existing_training"}
    assert stay <= set(forge_widgets.__all__)
    assert {"training_started", "step_update", "model_completed", "phase_completed"} <= EVENT_TYPES


def test_the_routes_are_those_of_the_description() -> None:
    described = json.loads((ROOT / "forge_widgets" / "server" / "openapi.json").read_text("utf-8"))["paths"]
    for code in code_of(MIGRATION):
        found = re.fullmatch(r"(GET|POST|DELETE) (/api/\S+)", code)
        if found:
            path = re.sub(r"\{[^}]+}", "{session_id}", found[2])
            known = {re.sub(r"\{[^}]+}", "{session_id}", route): verbs for route, verbs in described.items()}
            assert found[1].lower() in known[path], code


def test_the_package_for_react_has_the_names_of_the_component() -> None:
    exported = (ROOT / "forge_widgets" / "ui" / "src" / "react" / "index.ts").read_text("utf-8")
    for name in ("WebSocketProgress", "useWebSocketProgress", "as default"):
        assert name in exported, name


def test_no_package_src_is_shipped() -> None:
    assert not (ROOT / "src").exists()
    assert 'packages = ["forge_widgets"]' in Path(ROOT / "pyproject.toml").read_text("utf-8")
