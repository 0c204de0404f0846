"""A run: one training as its code sees it. Wires buffer, publisher and store; hooks and track are thin around it.

``log`` never raises into training and never waits; what it can't use it says once, counts, and records the rest.
"""

from __future__ import annotations

import logging
import operator
import os
import struct
import sys
import time
import weakref
from types import TracebackType
from typing import Any

from forge_widgets.core.events import EventType, Status
from forge_widgets.core.metrics import check_session_id
from forge_widgets.errors import InvalidInput, StoreUnavailable
from forge_widgets.stores import is_remote, open_for_recording, pending
from forge_widgets.stores.base import Store
from forge_widgets.training.buffer import Buffer, RawEvent, RawRow, Row, Successor
from forge_widgets.training.identity import new_producer
from forge_widgets.training.packed import COMMON, LEFT_OUT, Shapes, pack_common
from forge_widgets.training.publisher import CLOSE_TIMEOUT_S, Publisher
from forge_widgets.training.rows import Refusals
from forge_widgets.training.values import NotANumber, capture

logger = logging.getLogger("forge_widgets")

StoreLike = Store | str | os.PathLike[str] | None


class Run:
    """One training: log its steps, and it is on every screen that shows the session.

    As a context manager it records the start, and the end or the error::

        with forge.run("my-training", total_steps=1000) as run:
            for step in range(1000):
                run.log(loss=train_step())

    Args:
        session_id: names the session: 1 to 128 of ``A-Z a-z 0-9 . _ -``.
        total_steps: steps of each model, None where that is not known.
        total_models: how many models this run trains.
        store: where it is recorded: a store, a folder or a URL; None is ``FORGE_WIDGETS_STORE`` or the user's own.
        resume: True goes on with the session's latest attempt instead of opening the next.

    Raises:
        InvalidSessionId: for an id outside the above.
        InvalidStoreURL: for a store URL of an unknown scheme.
        InvalidInput: for totals that are no positive numbers.
    """

    def __init__(
        self,
        session_id: str,
        *,
        total_steps: int | None = None,
        total_models: int = 1,
        store: StoreLike = None,
        resume: bool = False,
    ) -> None:
        self.session_id = check_session_id(session_id)
        _check_total("total_steps", total_steps)
        _check_total("total_models", total_models)
        self._totals = {"total_steps": total_steps, "total_models": total_models}
        self._resume = resume
        self._refusals = Refusals(session_id)
        self._given = store
        # The step that the next log without a step takes.
        self._next_step = 1
        # True once a start is recorded: the next one is another attempt.
        self._started = False
        self._producer = new_producer(resume=resume)
        self._start_publisher(self._open_early())
        _follow_forks(self)

    @property
    def refused(self) -> int:
        """How many values could not be recorded, because they were no numbers."""
        return self._refusals.count

    def log(
        self,
        *,
        step: int | None = None,
        model: int = 1,
        loss: Any = LEFT_OUT,
        accuracy: Any = LEFT_OUT,
        learning_rate: Any = LEFT_OUT,
        grad_norm: Any = LEFT_OUT,
        **metrics: Any,
    ) -> None:
        """Record one step. Never raises, never waits.

        Args:
            step: its number; None counts on from the last.
            model: which of the run's models it belongs to, from 1.
            loss: a number, an array scalar or a tensor of one element; so are the others. Tensors are copied now and
                read later.
            accuracy: as a share, or in per cent.
            learning_rate: as it is in this step.
            grad_norm: the norm of the gradients.
            metrics: the contract's others, and any of your own, by name.
        """
        number = self._next_step if step is None else step
        self.add_row(number, loss, model, LEFT_OUT, LEFT_OUT, accuracy, learning_rate, grad_norm, metrics)
        if type(number) is int:
            self._next_step = number + 1
            return
        try:
            self._next_step = operator.index(number) + 1
        except Exception:  # noqa: BLE001  # no whole number to count on from, or a user's object, which may raise anything
            self._next_step += 1

    # fmt: off
    def add_row(
        self, step: Any, loss: Any, model: Any, total_steps: Any, total_models: Any,
        accuracy: Any, learning_rate: Any, grad_norm: Any, others: dict[str, Any],
    ) -> Buffer:
        """Take one step as it is now, LEFT_OUT where there is no number; return the ring that it is in."""
        buffer, moment = self._buffer, time.monotonic()
        shapes, names = buffer.shapes, tuple(others) if others else ()
        try:
            # All types at one look-up: 0.1 µs instead of 0.3 for one by one, and NumPy's scalars cost what floats do.
            shape = shapes.known[
                type(step), type(loss), type(model), type(total_steps), type(total_models),
                type(accuracy), type(learning_rate), type(grad_norm), names,
            ]
            for value in others.values():
                if type(value) not in shapes.plain:
                    raise KeyError
            packed = pack_common(
                shape.number, moment, step, loss, model, total_steps, total_models, accuracy, learning_rate, grad_norm,
            )
            row: Row = packed + shape.pack_others(*others.values()) if others else packed
        except (KeyError, struct.error):  # unknown as yet, a tensor, none at all, or too large for a double
            row = self._looked_at(
                shapes, moment, names, step, loss, model, total_steps, total_models,
                accuracy, learning_rate, grad_norm, *others.values(),
            )
        if len(buffer.items) < buffer.room:
            buffer.items.append(row)
            if buffer.idle:  # looked at after the append: the publisher looks at both the other way round
                buffer.wake()
        else:
            buffer.add_row(row)
        return buffer
    # fmt: on

    def _looked_at(self, shapes: Shapes, moment: float, others: tuple[str, ...], *values: Any) -> Row:
        """Take a step value by value; note whether one like it can be packed without a look the next time."""
        names = (*COMMON, *others)
        given = zip(names, values, strict=True)
        captured = tuple([value if type(value) is float else self._capture(name, value) for name, value in given])
        shape = shapes.of(others)
        if shape is None or not all(type(value) is float for value in captured):
            return RawRow(moment, names, captured)
        shapes.learn(shape, values)
        common = len(COMMON)
        return pack_common(shape.number, moment, *captured[:common]) + shape.pack_others(*captured[common:])

    def add_event(
        self,
        event_type: EventType,
        metrics: dict[str, Any] | None = None,
        *,
        message: str = "",
        name: str = "",
        error: str = "",
        status: Status | None = None,
    ) -> None:
        """Take one lifecycle event."""
        given = metrics or {}
        captured = {name: self._capture(name, value) for name, value in given.items() if value is not None}
        self._buffer.add(RawEvent(time.monotonic(), event_type, captured, message, name, error, status))

    def start(self, **metrics: Any) -> None:
        """Record that the training starts: the session's next attempt, also of a run that is closed. ``with`` calls this."""
        if self._started or self._closed:
            self.begin_attempt()
        self._started = True
        self.add_event("training_started", {**self._totals, **metrics}, message="Training started")

    def begin_attempt(self) -> None:
        """Go on as another producer, which opens the session's next attempt with its start. Waits for nothing."""
        self._next_step = 1
        self._producer = new_producer()
        if self._closed:
            self._buffer.leave()
            self._start_publisher()
        else:
            self._buffer.add(Successor(self._producer))

    def complete(self, phase: str = "training_complete", **metrics: Any) -> None:
        """Record that the training is complete. ``with`` calls this at its end."""
        self.add_event("phase_completed", metrics, message=f"Phase {phase} completed", name=phase, status="completed")

    def fail(self, error: object) -> None:
        """Record an error: the session's status is ``error`` until something else is recorded. ``with`` calls this."""
        self.add_event("training_error", error=describe(error))

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until all that was logged is durable; False where that took longer than ``timeout_s``."""
        return self._publisher.flush(timeout_s)

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Save what is left and end the background thread; at most ``timeout_s``. Called at exit by itself."""
        self._closed = True
        self._unregister()
        self._finalizer.detach()
        self._publisher.close(timeout_s)

    def __enter__(self) -> Run:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.complete()
        else:
            self.fail(error)
        self.close()

    def _capture(self, name: str, value: Any) -> Any:
        """Take a metric's value as it is now; LEFT_OUT for none and for what is no number."""
        if value is None:
            return LEFT_OUT
        try:
            return capture(value)
        except NotANumber as error:
            self._refusals.add(name, error)
        except Exception as error:  # noqa: BLE001  # a user's object may raise anything; training must go on
            self._refusals.add(name, error)
        return LEFT_OUT

    def _open_early(self) -> Store | None:
        """Open the store, so that a wrong URL is told at once; one that can't be opened now is tried again later."""
        try:
            return open_for_recording(self._given)
        except StoreUnavailable as error:
            logger.warning("%s: %s; training goes on, steps are kept and saved later", self.session_id, error)
            return None

    @property
    def store_name(self) -> str | os.PathLike[str] | None:
        """What opens this run's store in another process too; None is the user's own."""
        given = self._given
        return given if given is None or isinstance(given, (str, os.PathLike)) else given.url

    def _owns_store(self) -> bool:
        """Say whether what is recorded into was opened here: not a store that was given, but what is put around a remote one."""
        given = self._given
        return given is None or isinstance(given, (str, os.PathLike)) or is_remote(given)

    def _start_publisher(self, store: Store | None = None) -> None:
        self._closed = False
        # What steps are appended to, until the run starts again or forks.
        self._buffer = Buffer()
        given = self._given
        self._publisher = Publisher(
            self.session_id,
            self._producer,
            # Holds what it needs and not the run, so that a run that is forgotten can end.
            lambda: open_for_recording(given) if store is None else store,
            self._buffer,
            self._refusals,
            owns_store=self._owns_store(),
        )
        self._unregister = pending.register(self.session_id, self._publisher.flush)
        # Not called where close was; the publisher closes itself at exit. It must not hold the run.
        self._finalizer = weakref.finalize(self, _let_go, self._publisher, self._unregister)
        self._finalizer.atexit = False
        _close_with_child_process(self._publisher)

    def _continue_in_fork(self) -> None:
        """Go on in the child of a fork as a producer of its own: the parent's thread and connections are not here."""
        if self._closed:
            return
        self._finalizer.detach()
        self._buffer.leave(forked=True)
        self._producer = new_producer(parent=self._producer)
        self._start_publisher()


def run(
    name: str,
    *,
    total_steps: int | None = None,
    total_models: int = 1,
    store: StoreLike = None,
    resume: bool = False,
) -> Run:
    """Open a run of the session ``name``, to be used in ``with``; see :class:`Run`."""
    return Run(name, total_steps=total_steps, total_models=total_models, store=store, resume=resume)


def describe(error: object) -> str:
    """Say an error in words: ``ValueError: text`` for an exception, text as it is."""
    if isinstance(error, BaseException):
        text = _text(error)
        return f"{type(error).__name__}: {text}" if text else type(error).__name__
    return _text(error)


def _text(said: object) -> str:
    try:
        return str(said)
    except Exception:  # noqa: BLE001  # an error that can't be written must not take the place of the one that is told
        return f"a {type(said).__name__} that has no text"


def _check_total(name: str, total: object) -> None:
    if total is None:
        return
    if isinstance(total, bool) or not isinstance(total, (int, float)) or not 0 < total < 1e15:
        raise InvalidInput(f"{total!r} can't be used", where=name, expected="a positive number")


def _let_go(publisher: Publisher, unregister: pending.Unregister) -> None:
    publisher.let_go()
    unregister()


def _follow_forks(run: Run) -> None:
    """Let a run go on in children of a fork; a run that is gone by then is not followed."""
    if not hasattr(os, "register_at_fork"):
        return
    known = weakref.ref(run)

    def in_child() -> None:
        alive = known()
        if alive is not None:
            alive._continue_in_fork()

    os.register_at_fork(after_in_child=in_child)


def _close_with_child_process(publisher: Publisher) -> None:
    """Save what is left at the end of a multiprocessing child: it leaves by ``os._exit``, past every atexit.

    A child that is just being forked forgets all finalizers after this, and runs what is registered for after a fork.
    """
    loaded = sys.modules.get("multiprocessing.util")
    if loaded is None:
        return
    import multiprocessing  # here: only where it is loaded anyway; it takes 5 ms

    if multiprocessing.parent_process() is not None:
        _close_at_its_end(publisher)
    loaded.register_after_fork(publisher, _close_at_its_end)


def _close_at_its_end(publisher: Publisher) -> None:
    loaded = sys.modules["multiprocessing.util"]
    if publisher.producer.pid == os.getpid():
        loaded.Finalize(None, publisher.close, exitpriority=10)
