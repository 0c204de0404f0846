"""What a server takes and how often it does things: every bound and period of the room, in one frozen setting.

Tests and the extension's traits replace single fields; nothing else in this room holds such a number.
"""

from __future__ import annotations

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds on what comes in, and periods of what goes out."""

    # --- what comes in ---
    # Bytes of an HTTP body; beyond it 413.
    max_body_bytes: int = 1_000_000
    # Bytes that a compressed body may inflate to; beyond it 413, and no more than that is ever inflated.
    max_inflated_bytes: int = 8_000_000
    # Rows and events, and requests, that one client may record in a second; None: as many as it likes. Steps beyond it
    # are answered 429, lifecycle events never are. What was not used in burst_s may be used at once.
    publish_rows_per_s: float | None = 20_000.0
    publish_requests_per_s: float | None = 200.0
    publish_burst_s: float = 10.0
    # Bytes of a client's WebSocket message; beyond it the connection is closed with 1009.
    max_message_bytes: int = 64_000
    # Levels of objects and arrays within each other.
    max_depth: int = 20
    # Metrics of one event.
    max_metrics: int = 1_000
    # Characters of a message, an error's text, a phase's name and an idempotency key.
    max_text_chars: int = 100_000
    max_phase_chars: int = 200
    max_key_chars: int = 200
    # Sessions that one connection may be in.
    max_rooms: int = 100
    # Seconds that a poll may wait.
    max_wait_s: float = 20.0

    # --- what goes out ---
    # Frames a second to one viewer.
    frames_per_s: float = 20.0
    # Seconds between heartbeats of our own client's connections.
    heartbeat_s: float = 10.0
    # Seconds between native pings, and how long a pong may take (never longer than the interval).
    ping_s: float = 20.0
    pong_s: float = 15.0
    # Seconds between questions to the identity provider whether a connected viewer may still see.
    recheck_s: float = 30.0
    # Seconds that a list of sessions is good for.
    list_s: float = 1.0

    # --- how a watched session is read ---
    # Seconds between looks at a session's version while it changes, and once nothing came for so many seconds.
    poll_s: float = 0.025
    quiet_poll_s: float = 0.05
    quiet_after_s: float = 2.0
    # Seconds between looks while the store can't be read.
    trouble_poll_s: float = 0.5
    # Seconds between looks at the producers' heartbeats, and between checks whether they are lost.
    beat_s: float = 0.5
    liveness_s: float = 2.0
    # Seconds that a session has to be unknown before its viewers are told that it was deleted.
    gone_s: float = 2.0
    # Seconds that what was read of a session is kept, unread, after its last viewer left.
    linger_s: float = 30.0
    # Rows in one read, and threads that read and write the store.
    rows_a_read: int = 50_000
    store_threads: int = 8
    # Encoded frames that are kept of one session until its log changes.
    cached_frames: int = 64
