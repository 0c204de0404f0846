"""A creator as another project has it: it knows nothing of ours, reports in its own way, and must be run as it is.

Three linear models are fitted by stochastic gradient descent, side by side in threads; what it reports was made for its own
progress bar: some of the metrics, numbers of NumPy, a text, a loss that is not known yet.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass
class LinearModel:
    """What it makes."""

    name: str
    weights: Floats


class SwarmCreator:
    """Fits three models at once; tells whoever asks how far each is."""

    EPOCHS = 40

    def __init__(self, *, fails_at: int | None = None) -> None:
        self._notify: Callable[[dict[str, Any]], None] = lambda report: None
        self._fails_at = fails_at
        self.errors: list[BaseException] = []

    def set_progress_callback(self, callback: Callable[[dict[str, Any]], None]) -> None:
        self._notify = callback

    def create_three_models(self) -> list[LinearModel]:
        models = [LinearModel(f"cognate-{number}", np.zeros(4)) for number in range(3)]
        threads = [threading.Thread(target=self._guarded, args=(index, model)) for index, model in enumerate(models)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.errors:
            raise self.errors[0]
        return models

    def _guarded(self, index: int, model: LinearModel) -> None:
        try:
            self._fit(index, model)
        except ArithmeticError as error:
            self.errors.append(error)

    def _fit(self, index: int, model: LinearModel) -> None:
        rng = np.random.default_rng(index)
        x = rng.normal(size=(200, 4))
        y = x @ np.arange(1.0, 5.0) + rng.normal(0, 0.1, 200)
        self._notify(
            {
                "currentModel": index + 1,
                "currentStep": 0,
                "totalSteps": self.EPOCHS,
                "stage": "warming up",
                "loss": None,
            }
        )
        for epoch in range(1, self.EPOCHS + 1):
            error = x @ model.weights - y
            model.weights -= 0.1 * x.T @ error / len(y)
            if self._fails_at == epoch and index == 1:
                raise FloatingPointError("the second model went away")
            self._notify(
                {
                    "currentModel": np.int64(index + 1),
                    "currentStep": epoch,
                    "totalSteps": self.EPOCHS,
                    "totalModels": 3,
                    "loss": np.mean(error**2),
                    "learningRate": np.float32(0.125),
                    "gradNorm": np.linalg.norm(error),
                    "stage": "fitting",
                    "weights": model.weights,
                }
            )
