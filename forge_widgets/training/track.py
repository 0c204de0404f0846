"""A loop, recorded: ``for batch in forge.track(batches, "my-training")``."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from forge_widgets.training.run import Run, StoreLike

Item = TypeVar("Item")


class Track(Generic[Item]):
    """An iterable that records a step for each item; made by :func:`track`."""

    def __init__(
        self, iterable: Iterable[Item], name: str, *, total: int | None = None, store: StoreLike = None
    ) -> None:
        self._iterable = iterable
        self._total = operator.length_hint(iterable) or None if total is None else total
        self._run = Run(name, total_steps=self._total, store=store)
        # What was logged for the step at hand, and how many steps are done.
        self._metrics: dict[str, Any] = {}
        self._done = 0
        # True once the loop said that it may end before its items do.
        self._enough = False

    def log(self, **metrics: Any) -> None:
        """Add metrics to the step at hand: numbers, array scalars or tensors of one element. Never raises, never waits.

        A ``step`` of your own takes the place of the number of items, a ``model`` that of 1.
        """
        self._metrics.update(metrics)

    def complete(self) -> None:
        """Say that the training is complete although items are left: call it before a ``break`` that is meant."""
        self._enough = True

    def __len__(self) -> int:
        """Return the number of items. Raises TypeError where that is not known."""
        if self._total is None:
            raise TypeError("the number of items is not known: pass total=")
        return self._total

    def __iter__(self) -> Iterator[Item]:
        """Yield the items, each a step once the loop's body is through with it; iterating again is the next attempt."""
        self._done = 0
        self._enough = False
        run = self._run
        run.start()
        try:
            for item in self._iterable:
                yield item
                self._finish_step(run)
        except GeneratorExit:
            # A break, or an error in the loop's body, which an iterator is not told of: only complete() says which.
            self._finish_step(run)
            if self._enough:
                run.complete()
            else:
                run.fail(
                    f"left at step {self._done}{self._of_total()}: by a break, an error or an interrupt in the loop"
                )
            raise
        except BaseException as error:
            run.fail(error)
            raise
        else:
            run.complete()
        finally:
            run.close()

    def _of_total(self) -> str:
        return "" if self._total is None else f" of {self._total}"

    def _finish_step(self, run: Run) -> None:
        self._done += 1
        metrics, self._metrics = self._metrics, {}
        run.log(**{"step": self._done, **metrics})


def track(iterable: Iterable[Item], name: str, *, total: int | None = None, store: StoreLike = None) -> Track[Item]:
    """Record a loop as the session ``name``: a step for each item.

    Args:
        iterable: what is iterated: batches, epochs, a range.
        name: names the session: 1 to 128 of ``A-Z a-z 0-9 . _ -``.
        total: how many items there are; None asks ``len(iterable)``.
        store: where it is recorded: a store, a folder or a URL; None is ``FORGE_WIDGETS_STORE`` or the user's own.

    Returns the iterable; its ``log(**metrics)`` adds metrics to the step at hand.

    A loop that is left before its items end is recorded as an error that says so, since an iterator can't tell a ``break``
    from an exception in the loop's body; call ``complete()`` before a ``break`` that is meant.

    Raises InvalidSessionId, InvalidStoreURL or InvalidInput for arguments that can't be used; iterating raises only what
    the iterable raises.
    """
    return Track(iterable, name, total=total, store=store)
