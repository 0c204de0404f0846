"""The quadratic two-layer network of Gromov 2023 (arXiv:2301.02679), its loss and its gradients.

``logits[a, b] = (left[a] + right[b])² @ readout``, with softmax cross-entropy over the answers. Owns the weights, and
never changes them itself: AdamW does, in place. The trainer makes one for each cognate.

The whole table of pairs goes through at once, as a stack of p matrices: no lookup, no one-hot matrix, and the held-out
pairs are answered for free. Each matrix product of the stack stays below the size at which OpenBLAS starts threads
(m·n·k = 262,144), which would make steps this small three times slower and the sums depend on the number of cores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forge_widgets.training.cognate.task import ModularAddition

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Hold what one pass over the table found out about the weights as they are."""

    loss: float
    """Mean cross-entropy over the pairs trained on, in nats."""
    train_accuracy: float
    """Share of the pairs trained on that are answered right."""
    accuracy: float
    """Share of the held-out pairs that are answered right."""
    gradients: tuple[FloatArray, FloatArray, FloatArray]
    """Gradient of the loss for each of the network's ``weights``, in their order."""


class QuadraticNetwork:
    """Answer modular addition from learned embeddings, with one squared hidden layer."""

    def __init__(self, task: ModularAddition, width: int, init_scale: float, rng: np.random.Generator) -> None:
        """Draw normal weights: embeddings whose sum has the deviation ``init_scale``, a read-out of 1/√width."""
        p = task.modulus
        self._task = task
        # Embeddings of a and of b, both (p, width), and the read-out (width, p). AdamW updates them in place.
        self.weights: tuple[FloatArray, FloatArray, FloatArray] = (
            rng.normal(0.0, init_scale / np.sqrt(2.0), (p, width)),
            rng.normal(0.0, init_scale / np.sqrt(2.0), (p, width)),
            rng.normal(0.0, 1.0 / np.sqrt(width), (width, p)),
        )
        # The right answer of each pair as an index for take_along_axis, (p, p, 1).
        self._answers = task.answers[..., None]
        # What each pair weighs in the mean of the loss: 1/n where trained on, else 0, (p, p, 1).
        self._shares = (task.trained / task.trained.sum())[..., None]
        # The shares at the right answers, the target of the softmax, (p, p, p).
        self._targets = np.zeros((p, p, p))
        np.put_along_axis(self._targets, self._answers, self._shares, axis=2)
        # Room for the large intermediate results: allocating them anew at each step costs as much as the products.
        self._hidden = np.empty((p, p, width))
        self._squared = np.empty((p, p, width))
        self._back = np.empty((p, p, width))
        self._readouts = np.empty((p, width, p))

    def evaluate(self) -> Evaluation:
        """Run the whole table forward and back with the weights as they are."""
        logits = self._forward()
        logits -= logits.max(axis=2, keepdims=True)
        right = np.take_along_axis(logits, self._answers, axis=2)
        answered = right[..., 0] == 0.0
        np.exp(logits, out=logits)
        totals = logits.sum(axis=2, keepdims=True)
        loss = float(((np.log(totals) - right) * self._shares).sum())
        logits *= self._shares / totals
        logits -= self._targets
        trained = self._task.trained
        return Evaluation(
            loss=loss,
            train_accuracy=float(answered[trained].mean()),
            accuracy=float(answered[~trained].mean()),
            gradients=self._backward(logits),
        )

    def _forward(self) -> FloatArray:
        left, right, readout = self.weights
        np.add(left[:, None, :], right[None, :, :], out=self._hidden)
        np.square(self._hidden, out=self._squared)
        logits: FloatArray = self._squared @ readout
        return logits

    def _backward(self, errors: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Turn the loss's gradient at the logits, (p, p, p), into the gradients of the weights."""
        np.matmul(self._squared.transpose(0, 2, 1), errors, out=self._readouts)
        np.matmul(errors, self.weights[2].T, out=self._back)
        self._back *= self._hidden
        return 2.0 * self._back.sum(axis=1), 2.0 * self._back.sum(axis=0), self._readouts.sum(axis=0)
