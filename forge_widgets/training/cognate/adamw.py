"""AdamW: Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101).

Owns the running moments; changes the weights it was given in place, and nothing else. The trainer calls it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

BETAS = (0.9, 0.98)
"""Decay of the two moments, as in Power et al. 2022."""

EPSILON = 1e-8


class AdamW:
    """Update weights from their gradients."""

    def __init__(self, weights: Sequence[FloatArray], weight_decay: float) -> None:
        """Keep the arrays to update; they stay the caller's. ``weight_decay`` 0 is plain Adam."""
        self._weights = weights
        self._weight_decay = weight_decay
        # Running means of the gradients and of their squares, one for each weight.
        self._means = [np.zeros_like(weight) for weight in weights]
        self._squares = [np.zeros_like(weight) for weight in weights]
        # Updates made, from which the bias of the young means is known.
        self._updates = 0

    def update(self, gradients: Sequence[FloatArray], learning_rate: float) -> None:
        """Move every weight by one step of ``learning_rate``; the gradients come in the order of the weights."""
        self._updates += 1
        for weight, gradient, mean, square in zip(self._weights, gradients, self._means, self._squares, strict=True):
            self._move(weight, gradient, mean, square, learning_rate)

    def _move(
        self, weight: FloatArray, gradient: FloatArray, mean: FloatArray, square: FloatArray, learning_rate: float
    ) -> None:
        beta, beta_square = BETAS
        mean += (1.0 - beta) * (gradient - mean)
        square += (1.0 - beta_square) * (gradient * gradient - square)
        direction = mean / (1.0 - beta**self._updates)
        direction /= np.sqrt(square / (1.0 - beta_square**self._updates)) + EPSILON
        weight *= 1.0 - learning_rate * self._weight_decay
        weight -= learning_rate * direction
