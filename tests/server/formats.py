"""What schemathesis loads before it draws: times as trainings have them, where the description says ``date-time``."""

from __future__ import annotations

from datetime import datetime, timezone

import schemathesis
from hypothesis import strategies as st

_FIRST, _LAST = 31_536_000.0, 253_000_000_000.0  # 1971 to 9987


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat().replace("+00:00", "Z")


schemathesis.openapi.format("date-time", st.floats(_FIRST, _LAST).map(_written))
