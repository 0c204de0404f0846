"""The contract's decorator around functions of every kind: each stays what it is, and is recorded while it runs."""

from __future__ import annotations

import asyncio
import functools
import inspect
import operator
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from forge_widgets import integrate_with_existing_training
from tests.training.conftest import Recorded

FAILURE = "RuntimeError: CUDA out of memory"


def story(recorded: Recorded, session_id: str = "s") -> list[str]:
    """Return the events of a session, an error as its text."""
    return [event.error or event.event_type for event in recorded.events(session_id)]


def test_a_method_is_recorded_and_keeps_its_self_its_name_and_its_result(folder: Path, recorded: Recorded) -> None:
    class Trainer:
        rate = 0.5

        @integrate_with_existing_training("s", store=folder)
        def fit(self, epochs: int, websocket_emitter: Any = None) -> float:
            """Fit."""
            for epoch in range(epochs):
                websocket_emitter.emit_step_update(epoch, self.rate)
            return self.rate * epochs

    assert Trainer().fit(4) == 2.0
    assert (Trainer.fit.__name__, Trainer.fit.__doc__, Trainer.fit.__module__) == ("fit", "Fit.", __name__)
    assert list(inspect.signature(Trainer.fit).parameters) == ["self", "epochs", "websocket_emitter"]
    assert [row["currentStep"] for row in recorded.rows("s")] == [0, 1, 2, 3]
    assert recorded.rows("s")[0]["loss"] == 0.5
    assert story(recorded) == ["training_started", "phase_completed"]


def test_a_coroutine_is_recorded_from_its_first_step_to_its_end(folder: Path, recorded: Recorded) -> None:
    @integrate_with_existing_training("s", store=folder)
    async def train(epochs: int, **kwargs: Any) -> str:
        for epoch in range(epochs):
            kwargs["websocket_emitter"].emit_step_update(epoch, 1.0)
            await asyncio.sleep(0)
        if epochs > 3:
            raise RuntimeError("CUDA out of memory")
        return "trained"

    assert inspect.iscoroutinefunction(train)
    assert asyncio.run(train(3)) == "trained"
    assert len(recorded.rows("s", attempt=1)) == 3
    assert recorded.document("s")["status"] == "completed"
    with pytest.raises(RuntimeError, match="CUDA"):
        asyncio.run(train(4))
    assert story(recorded)[2:] == ["training_started", FAILURE]


def test_a_coroutine_that_is_cancelled_has_failed(folder: Path, recorded: Recorded) -> None:
    @integrate_with_existing_training("s", store=folder)
    async def train() -> None:
        await asyncio.Event().wait()

    async def given_up() -> None:
        await asyncio.wait_for(train(), 0.05)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(given_up())
    assert story(recorded) == ["training_started", "CancelledError"]


def test_a_generator_is_recorded_while_it_is_read_and_passes_on_what_it_is_sent(
    folder: Path, recorded: Recorded
) -> None:
    @integrate_with_existing_training("s", store=folder)
    def train(websocket_emitter: Any = None) -> Generator[int, float | None, str]:
        rate = 0.1
        for step in range(3):
            websocket_emitter.emit_step_update(step, 1.0, learning_rate=rate)
            rate = (yield step) or rate
        return "trained"

    steps: Any = train()
    assert recorded.store.snapshot("s") is None, "nothing has begun yet"
    assert [next(steps), steps.send(0.01)] == [0, 1]
    assert list(steps) == [2]
    assert [row["learningRate"] for row in recorded.rows("s")] == [0.1, 0.01, 0.01]
    assert story(recorded) == ["training_started", "phase_completed"]


@pytest.mark.parametrize("kind", ["generator", "asynchronous generator"])
def test_a_generator_that_is_left_early_has_failed_unless_it_was_complete(
    folder: Path, recorded: Recorded, kind: str
) -> None:
    def steps(websocket_emitter: Any) -> Iterator[int]:
        websocket_emitter.emit_step_update(1, 1.0)
        yield 1
        websocket_emitter.emit_phase_completed("training_complete")
        yield 2

    @integrate_with_existing_training("s", store=folder)
    def train(websocket_emitter: Any = None) -> Iterator[int]:
        yield from steps(websocket_emitter)

    @integrate_with_existing_training("s", store=folder)
    async def train_async(websocket_emitter: Any = None) -> AsyncIterator[int]:
        for step in steps(websocket_emitter):
            yield step

    async def read(until: int) -> None:
        reading: Any = train_async()
        async for step in reading:
            if step == until:
                break
        await reading.aclose()

    for until in (1, 2, 3):
        if kind == "generator":
            for step in (reading := train()):
                if step == until:
                    break
            reading.close()  # type: ignore[attr-defined]
        else:
            asyncio.run(read(until))
    first, *others = [part for part in story(recorded) if part != "training_started"]
    assert first.startswith("left before its end: by a break")
    assert others == ["phase_completed", "phase_completed"]


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), KeyboardInterrupt(), SystemExit(3)])
def test_whatever_ends_a_function_is_recorded_and_let_through_as_it_is(
    folder: Path, recorded: Recorded, error: BaseException
) -> None:
    @integrate_with_existing_training("s", store=folder)
    def train() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        train()
    assert raised.value is error
    assert recorded.document("s")["status"] == "error"


def test_hooks_of_the_callers_own_may_be_given_by_their_place_too(folder: Path, recorded: Recorded) -> None:
    @integrate_with_existing_training("s", store=folder)
    def train(epochs: int, websocket_emitter: Any = None) -> Any:
        return websocket_emitter

    assert train(3, "mine") == "mine"
    assert recorded.records("s") == []
    loose: Any = train
    with pytest.raises(TypeError, match="multiple values"):
        loose(3, epochs=4)


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate as many do: whatever comes is passed on by place."""

    @functools.wraps(function)
    def inner(*args: Any) -> Any:
        return function(*args)

    return inner


@pytest.mark.parametrize("decorated", [False, True])
def test_a_function_behind_another_decorator_gets_the_hooks_only_where_they_get_through(
    folder: Path, recorded: Recorded, *, decorated: bool
) -> None:
    def train(websocket_emitter: Any = None) -> bool:
        return websocket_emitter is not None

    whole = integrate_with_existing_training("s", store=folder)(plain(train) if decorated else train)
    assert whole() is not decorated
    # One that does not get the hooks is recorded all the same.
    assert story(recorded) == (["training_started", "phase_completed"] if decorated else [])


def test_a_partial_a_callable_object_and_a_function_of_c_may_be_wrapped(folder: Path, recorded: Recorded) -> None:
    class Trainer:
        def __call__(self, epochs: int, **kwargs: Any) -> tuple[int, list[str]]:
            return epochs, list(kwargs)

    wrap: Any = integrate_with_existing_training("s", store=folder)
    assert wrap(Trainer())(3) == (3, ["websocket_emitter"])
    assert wrap(functools.partial(Trainer(), 4))() == (4, ["websocket_emitter"])
    assert wrap(operator.itemgetter(1))([5, 6]) == 6
    assert wrap(dict)(a=1) == {"a": 1}
    assert story(recorded) == ["training_started", "phase_completed"] * 2
