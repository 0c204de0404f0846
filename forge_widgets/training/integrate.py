"""The contract's decorator: an existing training function, recorded without a change to its body."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from forge_widgets.core.metrics import check_session_id
from forge_widgets.training.hooks import ProgressHooks
from forge_widgets.training.run import StoreLike

Params = ParamSpec("Params")
Result = TypeVar("Result")

KEYWORD = "websocket_emitter"


def integrate_with_existing_training(
    session_id: str, *, store: StoreLike = None
) -> Callable[[Callable[Params, Result]], Callable[Params, Result]]:
    """Wrap a training function: give it the hooks, record how it ends.

    The hooks are passed as the keyword ``websocket_emitter`` where the function accepts it and the caller gave none.
    Each call that records something is an attempt of its own, started and completed whether or not the function says
    so; so is each call of a function that doesn't accept the hooks. An exception is recorded as ``training_error`` and
    let through.

    Raises InvalidSessionId at once, for an id that the contract does not allow.
    """
    check_session_id(session_id)

    def decorate(function: Callable[Params, Result]) -> Callable[Params, Result]:
        accepts = _accepts_hooks(function)

        @functools.wraps(function)
        def wrapped(*args: Params.args, **kwargs: Params.kwargs) -> Result:
            hooks = ProgressHooks(session_id, store=store, starts_itself=True)
            if accepts:
                kwargs.setdefault(KEYWORD, hooks)
            else:
                hooks.emit_training_started()
            return _recorded(hooks, lambda: function(*args, **kwargs))

        return wrapped

    return decorate


def _recorded(hooks: ProgressHooks, call: Callable[[], Result]) -> Result:
    try:
        result = call()
        if hooks.open_ended:
            hooks.emit_phase_completed("training_complete")
        return result
    except BaseException as error:
        hooks.emit_error(error)
        raise
    finally:
        hooks.close()


def _accepts_hooks(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(
        parameter.kind is parameter.VAR_KEYWORD
        or (parameter.name == KEYWORD and parameter.kind is not parameter.POSITIONAL_ONLY)
        for parameter in parameters
    )
