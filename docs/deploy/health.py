"""Say by the exit code whether the server of this container answers and can read its store; for the image's HEALTHCHECK.

Where it does not know the token (`serve` has made one) a refusal is a sign of life, too.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

URL = "http://127.0.0.1:8001/api/health"
SECRET = Path("/run/secrets/forge-widgets-token")


def main() -> int:
    """Ask once."""
    token = SECRET.read_text(encoding="utf-8").strip() if SECRET.exists() else os.environ.get("FORGE_WIDGETS_TOKEN", "")
    request = urllib.request.Request(URL, headers={"Authorization": f"token {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=8) as answer:  # noqa: S310 - our own address
            print(answer.status)
            return 0
    except urllib.error.HTTPError as error:
        print(error.code)
        return 0 if error.code == 403 and not token else 1
    except OSError as error:
        print(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
