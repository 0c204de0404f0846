"""The description of the REST routes: OpenAPI 3.1, written by hand in openapi.json, and sent from where it is asked for.

Mounted like every other route. tests/server holds it to the table of routes and to what the routes answer.
"""

from __future__ import annotations

import json
from pathlib import Path

from forge_widgets.core.document import Json
from forge_widgets.server.handlers import ForgeHandler

DESCRIPTION = Path(__file__).with_name("openapi.json")
ROUTE = "/api/openapi.json"


def read_description() -> Json:
    """Read the description; its one server is ``/``."""
    description: Json = json.loads(DESCRIPTION.read_bytes())
    return description


class DescriptionHandler(ForgeHandler):
    """``GET api/openapi.json``."""

    async def get(self) -> None:
        """Send the description, with the prefix under which this server's routes lie."""
        prefix = self.request.path.removesuffix(ROUTE) or "/"
        self.write_json({**read_description(), "servers": [{"url": prefix}]})
