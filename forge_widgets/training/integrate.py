"""The contract's decorator: an existing training function, recorded without a change to its body.

What is wrapped stays what it is: a coroutine function, a generator function, a method. Called by users.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, ParamSpec, TypeVar, cast

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
    let through. A coroutine or a generator is recorded while it runs; a generator that is left before its end has failed.

    Raises InvalidSessionId at once, for an id that the contract does not allow.
    """
    check_session_id(session_id)

    def decorate(function: Callable[Params, Result]) -> Callable[Params, Result]:
        return cast("Callable[Params, Result]", _wrap(function, _Calls(function, session_id, store)))

    return decorate


class _Calls:
    """Records the calls of one function."""

    def __init__(self, function: Callable[..., Any], session_id: str, store: StoreLike) -> None:
        self._session_id = session_id
        self._store = store
        self._signature = _signature(function)
        self._accepts = _accepts_hooks(self._signature) and _accepts_hooks(_signature(function, outermost=True))

    @contextmanager
    def recorded(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[None]:
        """Record what happens inside; the hooks are put into ``kwargs`` first, where they are accepted."""
        hooks = ProgressHooks(self._session_id, store=self._store, starts_itself=True)
        if not self._accepts:
            hooks.emit_training_started()
        elif not self._has_hooks(args, kwargs):
            kwargs[KEYWORD] = hooks
        try:
            yield
            if hooks.open_ended:
                hooks.emit_phase_completed("training_complete")
        except GeneratorExit:
            if hooks.open_ended:
                hooks.emit_error("left before its end: by a break, an error or an interrupt in the loop that reads it")
            raise
        except BaseException as error:
            hooks.emit_error(error)
            raise
        finally:
            hooks.close()

    def _has_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Say whether the caller gives hooks of its own, by the keyword or by their place."""
        if self._signature is None or KEYWORD in kwargs:
            return True
        try:
            return KEYWORD in self._signature.bind_partial(*args, **kwargs).arguments
        except TypeError:
            return False  # the call itself will say what is wrong with its arguments


def _wrap(function: Callable[..., Any], calls: _Calls) -> Callable[..., Any]:
    """Return a function of the same kind that is recorded."""
    if inspect.iscoroutinefunction(function):

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with calls.recorded(args, kwargs):
                return await function(*args, **kwargs)

        return functools.wraps(function)(awaited)
    if inspect.isasyncgenfunction(function):

        async def iterated(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            with calls.recorded(args, kwargs):
                async with aclosing(function(*args, **kwargs)) as items:
                    async for item in items:
                        yield item

        return functools.wraps(function)(iterated)
    if inspect.isgeneratorfunction(function):

        def generated(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            with calls.recorded(args, kwargs):
                return (yield from function(*args, **kwargs))

        return functools.wraps(function)(generated)

    def called(*args: Any, **kwargs: Any) -> Any:
        with calls.recorded(args, kwargs):
            return function(*args, **kwargs)

    return functools.wraps(function)(called)


def _signature(function: Callable[..., Any], *, outermost: bool = False) -> inspect.Signature | None:
    """Return what a function takes, or what its outermost decorator takes; None where that can't be known."""
    try:
        return inspect.signature(function, follow_wrapped=not outermost)
    except ValueError:  # some functions of C have none
        return None


def _accepts_hooks(signature: inspect.Signature | None) -> bool:
    return signature is not None and any(
        parameter.kind is parameter.VAR_KEYWORD
        or (parameter.name == KEYWORD and parameter.kind is not parameter.POSITIONAL_ONLY)
        for parameter in signature.parameters.values()
    )
