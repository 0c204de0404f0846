"""The limits that a person may change, one by one: by name, with words, from text. Pure.

The extension makes its traits of them, the command line its option, and a test the table of docs/LIMITS.md.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from typing import get_args, get_type_hints

from msgspec import Struct
from msgspec.structs import replace

from forge_widgets.errors import InvalidInput
from forge_widgets.server.limits import Limits, Words

NONE = "none"
"""How a text says None."""


class Setting(Struct, frozen=True):
    """A limit that a person may change."""

    name: str
    words: Words
    default: float | None
    # Whether it is a whole number, and whether None may stand for it.
    whole: bool
    optional: bool

    @property
    def default_words(self) -> str:
        """The default as a person writes it."""
        return "None" if self.default is None else f"{self.default:.15g}"

    def read(self, text: str) -> float | None:
        """Read a value. Raises InvalidInput."""
        if self.optional and text.strip().lower() == NONE:
            return None
        try:
            value = int(text) if self.whole else float(text)
        except ValueError:
            value = None
        most = self.words.most
        if value is None or not self.words.least <= value <= (sys.float_info.max if most is None else most):
            raise InvalidInput(f"{text[:40]!r} can't be used", where=self.name, expected=self._expected())
        return value

    def _expected(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        bounds = f"from {self.words.least:.15g}" + ("" if self.words.most is None else f" to {self.words.most:.15g}")
        return f"{kind} {bounds}" + (f", or {NONE}" if self.optional else "")


def settings() -> tuple[Setting, ...]:
    """Return all limits that a person may change, in their order."""
    defaults, found = Limits(), []
    for name, hint in get_type_hints(Limits, include_extras=True).items():
        for words in getattr(hint, "__metadata__", ()):
            kinds = get_args(get_args(hint)[0]) or (get_args(hint)[0],)
            found.append(Setting(name, words, getattr(defaults, name), int in kinds, type(None) in kinds))
    return tuple(found)


def limits_of(assignments: Iterable[str]) -> Limits:
    """Build limits of texts such as ``max_rooms=50`` or ``disk_quota_bytes=none``. Raises InvalidInput."""
    known = {setting.name: setting for setting in settings()}
    values = {}
    for assignment in assignments:
        name, separator, text = (part.strip() for part in assignment.partition("="))
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"{near[0]}=VALUE, perhaps" if near else f"NAME=VALUE, NAME one of {', '.join(known)}"
            raise InvalidInput(f"{assignment[:80]!r} is no limit", where="--limit", expected=hint)
        if not separator:
            raise InvalidInput(f"{name!r} has no value", where="--limit", expected=f"{name}=VALUE")
        values[name] = known[name].read(text)
    return replace(Limits(), **values)
