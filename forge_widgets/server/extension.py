"""The extension that Jupyter Server loads: its settings, and the routes under ``{base_url}forge/``.

Jupyter makes, starts and stops it; all it does is to hand its settings to ``app``.
"""

from __future__ import annotations

from typing import Any

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.utils import url_path_join
from msgspec.structs import replace
from traitlets import Float, Int, Unicode

from forge_widgets.server.app import close_context, open_context, rules
from forge_widgets.server.context import ServerContext
from forge_widgets.server.jupyter import guarded
from forge_widgets.server.limits import Limits

PREFIX = "/forge"


class ForgeWidgetsExtension(ExtensionApp):
    """Serve the store's sessions under ``{base_url}forge/``."""

    name = "forge_widgets"
    load_other_extensions = True

    store_url = Unicode(
        None,
        allow_none=True,
        help="""Where sessions are kept: a folder, "sqlite:///folder" or "memory://name".

        Default: None, which means what the environment variable FORGE_WIDGETS_STORE names, else the folder
        "forge_widgets" in Jupyter's data directory.""",
    ).tag(config=True)

    frames_per_s = Float(
        Limits().frames_per_s, min=0.1, max=100.0, help="The most frames a second that one viewer is sent. Default: 20."
    ).tag(config=True)

    heartbeat_s = Float(
        Limits().heartbeat_s,
        min=0.1,
        help="Seconds between heartbeats on a connection of our own client. Default: 10; keep it under 30, where proxies cut.",
    ).tag(config=True)

    recheck_s = Float(
        Limits().recheck_s,
        min=0.1,
        help="Seconds between questions to the identity provider whether a connected viewer may still see. Default: 30.",
    ).tag(config=True)

    linger_s = Float(
        Limits().linger_s,
        min=0.0,
        help="Seconds that a session's curves are kept in memory, unread, after its last viewer left. Default: 30.",
    ).tag(config=True)

    max_body_bytes = Int(
        Limits().max_body_bytes, min=1_000, help="The largest HTTP body that is taken, in bytes. Default: 1000000."
    ).tag(config=True)

    context: ServerContext | None = None

    def initialize_handlers(self) -> None:
        """Open the store and mount the routes; Jupyter puts its base URL in front."""
        limits = replace(
            Limits(),
            frames_per_s=self.frames_per_s,
            heartbeat_s=self.heartbeat_s,
            recheck_s=self.recheck_s,
            linger_s=self.linger_s,
            max_body_bytes=self.max_body_bytes,
        )
        self.context = open_context(self.store_url, limits=limits, log=self.log)
        self.handlers.extend(rules(self.context, PREFIX, guarded))
        base_url = self.settings.get("base_url", "/")
        self.log.info("forge_widgets serves %s at %s", self.context.store.url, url_path_join(base_url, PREFIX, "/"))

    async def stop_extension(self) -> None:
        """Send viewers away to come back later, and let go of the store."""
        if self.context is not None:
            await close_context(self.context)
            self.context = None


def extension_points() -> list[dict[str, Any]]:
    """Tell Jupyter Server which application to load."""
    return [{"module": "forge_widgets", "app": ForgeWidgetsExtension}]
