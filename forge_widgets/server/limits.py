"""What a server takes and how often it does things: every bound and period of the room, in one frozen setting.

A field marked with Words is one that a person may change: the extension makes a trait of it, ``forge-widgets serve`` an
option, docs/LIMITS.md a line (settings.py). The others are replaced by tests alone. Nothing else here holds such a number.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct


class Words(Struct, frozen=True):
    """What is said of a field that a person may change, its unit and the meaning of None included; and its bounds."""

    said: str
    least: float
    most: float | None = None


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds on what comes in, and periods of what goes out."""

    # --- what comes in ---
    max_body_bytes: Annotated[int, Words("Bytes of an HTTP body; a larger one is answered 413.", least=1_000)] = (
        1_000_000
    )
    max_inflated_bytes: Annotated[
        int,
        Words("Bytes that a compressed body may inflate to; beyond it 413, and no more is ever inflated.", least=1_000),
    ] = 8_000_000
    max_message_bytes: Annotated[
        int, Words("Bytes of a client's WebSocket message; a larger one closes the connection with 1009.", least=100)
    ] = 64_000
    max_depth: Annotated[
        int, Words("Levels of objects and arrays within each other in what is sent; deeper is answered 400.", least=2)
    ] = 20
    max_metrics: Annotated[int, Words("Metrics of one event; more are answered 422.", least=1)] = 1_000
    max_text_chars: Annotated[
        int, Words("Characters of a message and of an error's text; more are answered 422.", least=1)
    ] = 100_000
    max_phase_chars: Annotated[int, Words("Characters of a phase's name; more are answered 422.", least=1)] = 200
    max_key_chars: Annotated[int, Words("Characters of an idempotency key; more are answered 422.", least=1)] = 200
    publish_rows_per_s: Annotated[
        float | None,
        Words(
            "Rows and events that one client may record in a second; steps beyond it are answered 429, lifecycle "
            "events never. None: as many as it likes.",
            least=0.1,
        ),
    ] = 20_000.0
    publish_requests_per_s: Annotated[
        float | None,
        Words(
            "Requests in which one client may record in a second; steps beyond it are answered 429, lifecycle "
            "events never. None: as many as it likes.",
            least=0.1,
        ),
    ] = 200.0
    publish_burst_s: Annotated[
        float, Words("Seconds of its rates that a client which was quiet may record at once.", least=0.1)
    ] = 10.0
    max_sessions: Annotated[
        int | None,
        Words(
            "Sessions in the store, which is one owner's; what would make one more is answered 507, those that "
            "are there go on. Trainings that write to the store themselves are not asked. None: any number.",
            least=1,
        ),
    ] = 10_000
    max_connections: Annotated[
        int | None,
        Words(
            "WebSockets and Socket.IO clients that are connected at once; one more is closed with 4429, by Socket.IO "
            "answered 503: come back later. None: any number.",
            least=1,
        ),
    ] = 5_000
    max_rooms: Annotated[
        int,
        Words(
            "Sessions that one WebSocket or Socket.IO client may follow; joining one more is answered with an error.",
            least=1,
        ),
    ] = 100
    max_wait_s: Annotated[float, Words("Seconds that a poll may wait; a longer wait is answered 422.", least=0.1)] = (
        20.0
    )
    disk_quota_bytes: Annotated[
        int | None,
        Words(
            "Bytes on the disk that all sessions may take. Over it the finished ones are trimmed, the oldest "
            "first: their steps go, their last state stays; where that is not enough the oldest finished are "
            "deleted. What runs, is watched here or is younger than ten minutes is never touched. None: nothing "
            "is ever dropped.",
            least=1_000_000,
        ),
    ] = None
    # Seconds that a connection may say nothing, or take for a request's headers; and that a body may take.
    idle_s: float = 120.0
    body_s: float = 60.0
    # Seconds that a server which ends waits for the requests that it has still to answer.
    drain_s: float = 5.0
    # Seconds between looks at what the sessions take.
    upkeep_s: float = 60.0

    # --- what goes out ---
    frames_per_s: Annotated[float, Words("Frames a second that one viewer is sent at most.", least=0.1, most=100.0)] = (
        20.0
    )
    heartbeat_s: Annotated[
        float,
        Words(
            "Seconds between heartbeats on a connection of our own client; keep it under 30, where proxies cut.",
            least=0.1,
        ),
    ] = 10.0
    # Seconds between native pings, and how long a pong may take (never longer than the interval). Five seconds later, which
    # are left for a farewell (line.py), a dead connection is freed.
    ping_s: float = 15.0
    pong_s: float = 15.0
    recheck_s: Annotated[
        float,
        Words(
            "Seconds between questions to the identity provider whether a connected viewer may still see.", least=0.1
        ),
    ] = 30.0
    # Seconds that a list of sessions is good for.
    list_s: float = 1.0

    # --- how a watched session is read ---
    # Seconds between looks at a session's version while it changes, and once nothing came for so many seconds.
    poll_s: float = 0.025
    quiet_poll_s: float = 0.05
    quiet_after_s: float = 2.0
    # Seconds between glimpses, where a store allows them: they cost 2 µs and find what is to be looked at.
    glimpse_s: float = 0.005
    quiet_glimpse_s: float = 0.02
    # Seconds between looks while the store can't be read.
    trouble_poll_s: float = 0.5
    # Seconds between looks at the producers' heartbeats, and between checks whether they are lost.
    beat_s: float = 0.5
    liveness_s: float = 2.0
    # Seconds that a session has to be unknown before its viewers are told that it was deleted.
    gone_s: float = 2.0
    linger_s: Annotated[
        float,
        Words("Seconds that a session's curves are kept in memory, unread, after its last viewer left.", least=0.0),
    ] = 30.0
    # Rows in one read, and threads that read and write the store.
    rows_a_read: int = 50_000
    store_threads: int = 8
    # Encoded frames that are kept of one session until its log changes.
    cached_frames: int = 64
