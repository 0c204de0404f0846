"""The contract's decorator: an existing training function, recorded without a change to its body."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from forge_widgets.core.metrics import check_session_id
from forge_widgets.training.hooks import ProgressHooks, create_progress_hooks
from forge_widgets.training.run import StoreLike

Params = ParamSpec("Params")
Result = TypeVar("Result")

KEYWORD = "websocket_emitter"


def integrate_with_existing_training(
    session_id: str, *, store: StoreLike = None
) -> Callable[[Callable[Params, Result]], Callable[Params, Result]]:
    """Wrap a training function: give it the hooks, record how it ends.

    The hooks are passed as the keyword ``websocket_emitter`` where the function accepts it and the caller gave none.
    A function that doesn't accept it is recorded as started and completed. An exception is recorded as
    ``training_error`` and let through. Each call is an attempt of its own.

    Raises InvalidSessionId at once, for an id that the contract does not allow.
    """
    check_session_id(session_id)

    def decorate(function: Callable[Params, Result]) -> Callable[Params, Result]:
        accepts = _accepts_hooks(function)

        @functools.wraps(function)
        def wrapped(*args: Params.args, **kwargs: Params.kwargs) -> Result:
            hooks = create_progress_hooks(session_id, store=store)
            if accepts:
                kwargs.setdefault(KEYWORD, hooks)
            else:
                hooks.emit_training_started()
            return _recorded(hooks, lambda: function(*args, **kwargs), completes=not accepts)

        return wrapped

    return decorate


def _recorded(hooks: ProgressHooks, call: Callable[[], Result], *, completes: bool) -> Result:
    try:
        result = call()
        if completes:
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
