"""Records one step durably, and ends."""

from __future__ import annotations

import forge_widgets as forge

hooks = forge.create_progress_hooks("first")
hooks.emit_step_update(1, 0.5)
hooks.close()
