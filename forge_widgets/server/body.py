"""JSON that comes in: strict about size of nesting and numbers, tolerant of fields that we don't know.

Called by the REST and WebSocket handlers before anything else looks at what a client sent. It never recurses over it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from forge_widgets.errors import InvalidInput
from forge_widgets.server.failures import MalformedBody
from forge_widgets.server.limits import Limits

Json = dict[str, Any]


def parse_object(text: bytes | str, limits: Limits) -> Json:
    """Parse a JSON object; a bare ``NaN`` or ``Infinity`` is a number, as Python's json writes it.

    Raises MalformedBody where it is no JSON or nested too deep, InvalidInput where it is no object or a number is beyond doubles.
    """
    try:
        parsed = json.loads(text, parse_float=_number, parse_int=_number)
    except InvalidInput:
        raise
    except RecursionError as error:
        raise too_deep(limits) from error
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
        raise MalformedBody(
            f"no JSON ({str(error)[:120]})", where="body", expected='a JSON object such as {"metrics": {"loss": 0.5}}'
        ) from error
    check_depth(parsed, limits)
    if not isinstance(parsed, dict):
        raise InvalidInput(f"{type(parsed).__name__} can't be used", where="body", expected="a JSON object")
    return parsed


def check_depth(parsed: object, limits: Limits) -> None:
    """Look how deep JSON is nested. Raises MalformedBody where it is too deep."""
    if _deeper_than(parsed, limits.max_depth):
        raise too_deep(limits)


def text_field(body: Json, name: str, max_chars: int, default: str = "") -> str:
    """Return a field that is text. Raises InvalidInput where it is none or too long; None and absent are the default."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise InvalidInput(f"{_shown(value)} can't be used", where=name, expected="a string")
    if len(value) > max_chars:
        raise InvalidInput(
            f"{len(value)} characters are too many", where=name, expected=f"at most {max_chars} characters"
        )
    # A lone surrogate has no UTF-8, so no store and no socket could carry it.
    return value.encode("utf-8", "replace").decode("utf-8")


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise InvalidInput(
            f"the number {text[:40]} can't be used", where="body", expected='a number within the doubles, or "Infinity"'
        )
    return value


def _deeper_than(parsed: object, limit: int) -> bool:
    level = [parsed]
    for _ in range(limit):
        level = [child for value in level for child in _children(value)]
        if not level:
            return False
    return any(_children(value) for value in level)


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def too_deep(limits: Limits) -> MalformedBody:
    """Make the error of JSON that is nested too deep."""
    return MalformedBody("nested too deep", where="body", expected=f"at most {limits.max_depth} levels of nesting")


def _shown(value: object) -> str:
    return f"{type(value).__name__} {str(value)[:40]}"
