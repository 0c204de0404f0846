"""Asks a server for curves as a view does on opening a session: ``opening URL BEFORE SESSION METRICS TIMES``.

Asks for those of another session BEFORE, so that the server has loaded what it needs. Prints what that took, what the first
answer about the session took, the middle one of those that followed, and how large it was.
"""

from __future__ import annotations

import http.client
import json
import statistics
import sys
import time
from urllib.parse import urlsplit

POINTS = 2_000


def main(url: str, before: str, session_id: str, metrics: str, times: int) -> None:
    """Ask, and print what it took."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80)
    query = f"metrics={metrics}&max_points={POINTS}"
    fresh_ms, _ = _answer(connection, f"{parts.path}api/sessions/{before}/series?{query}")
    asked = [_answer(connection, f"{parts.path}api/sessions/{session_id}/series?{query}") for _ in range(times)]
    took = [milliseconds for milliseconds, _ in asked]
    found = {"fresh_ms": fresh_ms, "first_ms": took[0], "again_ms": statistics.median(took[1:])}
    print(json.dumps({**found, "bytes": len(asked[0][1])}))


def _answer(connection: http.client.HTTPConnection, path: str) -> tuple[float, bytes]:
    """Return how many milliseconds an answer took, and what came."""
    began = time.perf_counter()
    connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
    response = connection.getresponse()
    body = response.read()
    took = 1000.0 * (time.perf_counter() - began)
    assert response.status == http.HTTPStatus.OK, f"{response.status}: {body[:300]!r}"
    return took, body


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
