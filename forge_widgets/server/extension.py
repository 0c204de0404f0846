"""The extension that Jupyter Server loads: its settings, and the routes under ``{base_url}forge/``.

Jupyter makes, starts and stops it; all it does is to hand its settings to ``app``.
"""

from __future__ import annotations

from typing import Any

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.utils import url_path_join
from msgspec.structs import replace
from traitlets import Float, Int, Unicode

from forge_widgets.server.app import Route, close_context, open_context, rules
from forge_widgets.server.collector import set_aside_what_is_there
from forge_widgets.server.context import ServerContext
from forge_widgets.server.jupyter import guarded
from forge_widgets.server.limits import Limits
from forge_widgets.server.page import PageHandler
from forge_widgets.server.settings import Setting, settings

PREFIX = "/forge"


def _trait_of(setting: Setting) -> Any:
    """Make the trait of a limit; its help says default, unit and what None means."""
    kind: Any = Int if setting.whole else Float
    said = f"{setting.words.said} Default: {setting.default_words}."
    bounds = {"min": setting.words.least, "max": setting.words.most}
    return kind(setting.default, allow_none=setting.optional, help=said, **bounds).tag(config=True)


class ForgeWidgetsExtension(ExtensionApp):
    """Serve the store's sessions under ``{base_url}forge/``."""

    name = "forge_widgets"
    load_other_extensions = True

    store_url = Unicode(
        None,
        allow_none=True,
        help="""Where sessions are kept: a folder, "sqlite:///folder", "http(s)://host:port/prefix" (what another
        machine serves; its token in FORGE_WIDGETS_TOKEN) or "memory://name".

        Default: None, which means what the environment variable FORGE_WIDGETS_STORE names, else the folder
        "forge_widgets" in Jupyter's data directory.""",
    ).tag(config=True)

    # A trait for each limit that a person may change, as if it were written out here.
    locals().update({setting.name: _trait_of(setting) for setting in settings()})

    context: ServerContext | None = None

    def initialize_handlers(self) -> None:
        """Open the store and mount the routes; Jupyter puts its base URL in front."""
        limits = replace(Limits(), **{setting.name: getattr(self, setting.name) for setting in settings()})
        self.context = open_context(self.store_url, limits=limits, log=self.log)
        self.handlers.extend(rules(self.context, PREFIX, guarded))
        # Where a browser gets with the store's address as trainings are given it: the same page, which leads on.
        self.handlers.extend(rules(self.context, PREFIX, guarded, (Route("", PageHandler, "forge_widgets:page"),)))
        base_url = self.settings.get("base_url", "/")
        self.log.info("forge_widgets serves %s at %s", self.context.store.url, url_path_join(base_url, PREFIX, "/"))

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:  # noqa: ARG002 - Jupyter's signature
        """Begin to serve: Jupyter calls it once its loop runs and all extensions are loaded."""
        set_aside_what_is_there()

    async def stop_extension(self) -> None:
        """Send viewers away to come back later, and let go of the store."""
        if self.context is not None:
            await close_context(self.context)
            self.context = None


def extension_points() -> list[dict[str, Any]]:
    """Tell Jupyter Server which application to load."""
    return [{"module": "forge_widgets", "app": ForgeWidgetsExtension}]
