"""Bytes of a viewer-minute, had others sent the same steps: ``encoded_bytes ENCODING RATE MESSAGES_PER_S``; prints ``bytes``."""

from __future__ import annotations

import json
import sys

from tests.bench.streams.encodings import ENCODERS, rows

_SECONDS = 60.0


def main(encoding: str, rate: str, per_s: str) -> None:
    """Encode a minute and print."""
    encode = ENCODERS[encoding]()
    steps = list(rows(float(rate), _SECONDS))
    together = max(1, round(float(rate) / float(per_s)))
    sent = sum(encode(steps[at : at + together]) for at in range(0, len(steps), together))
    print(json.dumps({"bytes": sent}))


if __name__ == "__main__":
    main(*sys.argv[1:])
