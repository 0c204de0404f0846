"""Asks a server for the curves of a session as a view does on opening it: ``opening URL SESSION METRICS TIMES``.

Prints what the first answer took, the middle one of those that followed, and how large they were.
"""

from __future__ import annotations

import gzip
import http.client
import json
import statistics
import sys
import time
from urllib.parse import urlsplit

POINTS = 2_000


def main(url: str, session_id: str, metrics: str, times: int) -> None:
    """Ask, and print what it took."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80)
    # The connection is there, and the server has answered something before.
    _answer(connection, f"{parts.path}api/sessions/no-such-session")
    took, body = [], b""
    for _ in range(times):
        began = time.perf_counter()
        code, body = _answer(
            connection, f"{parts.path}api/sessions/{session_id}/series?metrics={metrics}&max_points={POINTS}"
        )
        took.append(1000.0 * (time.perf_counter() - began))
        assert code == http.HTTPStatus.OK, f"{code}: {body[:300]!r}"
    lines = json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)["series"]
    points = {line["metric"]: len(line["steps"]) for line in lines}
    print(
        json.dumps({"first_ms": took[0], "again_ms": statistics.median(took[1:]), "bytes": len(body), "points": points})
    )


def _answer(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
    response = connection.getresponse()
    return response.status, response.read()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
