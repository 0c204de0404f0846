"""A real Jupyter server whose identity provider can revoke: jupyter_served.py FOLDER PORT RECHECK_S REVOKED TOKEN...

Everybody is known by a token; one that stands in the file REVOKED is not known any more. Says ``ready`` once it answers.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from jupyter_server.auth import IdentityProvider, User
from jupyter_server.serverapp import ServerApp
from traitlets import List, Unicode
from traitlets.config import Config


class RevokingProvider(IdentityProvider):
    """Knows the bearers of its tokens, as long as they are not revoked."""

    tokens = List(Unicode()).tag(config=True)
    revoked = Unicode().tag(config=True)

    def get_user(self, handler: Any) -> User | None:
        """Ask each time anew."""
        token = self.get_token(handler)
        return User(token) if token in self.tokens and token not in Path(self.revoked).read_text().split() else None


def main(folder: str, port: str, recheck_s: str, revoked: str, *tokens: str) -> None:
    config = Config(
        {
            "ServerApp": {
                "jpserver_extensions": {"forge_widgets": True},
                "allow_unauthenticated_access": False,
                "identity_provider_class": RevokingProvider,
                "port": int(port),
                "port_retries": 0,
                "open_browser": False,
                "allow_root": True,
                "log_level": "ERROR",
                "root_dir": str(Path(folder).parent),
            },
            "RevokingProvider": {"tokens": list(tokens), "revoked": revoked},
            "ForgeWidgetsExtension": {"store_url": folder, "heartbeat_s": 0.5, "recheck_s": float(recheck_s)},
        }
    )
    app = ServerApp.instance(config=config)
    app.initialize(argv=[], find_extensions=False)
    app.io_loop.add_callback(lambda: print("ready", flush=True))
    app.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
