"""The task that a cognate learns: modular addition, with its table of answers split in two.

Owns the split; knows no network. The trainer makes one for each cognate, from the cognate's own random numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ModularAddition:
    """Hold the whole table of ``a + b mod p``, of which the network sees one part and is tested on the other.

    The standard grokking task (Power et al. 2022, arXiv:2201.02177). Both arrays are (p, p): row a, column b.
    """

    answers: IntArray
    """``(a + b) mod p`` at [a, b]."""
    trained: BoolArray
    """True where the pair is trained on, False where it is held out."""

    @classmethod
    def split(cls, modulus: int, train_fraction: float, rng: np.random.Generator) -> ModularAddition:
        """Make the table of a modulus and pick ``int(train_fraction · p²)`` pairs at random to train on."""
        numbers = np.arange(modulus, dtype=np.int64)
        pairs = modulus * modulus
        trained = np.zeros(pairs, dtype=np.bool_)
        trained[rng.permutation(pairs)[: int(train_fraction * pairs)]] = True
        return cls(answers=(numbers[:, None] + numbers) % modulus, trained=trained.reshape(modulus, modulus))

    @property
    def modulus(self) -> int:
        """The p of ``a + b mod p``: how many numbers and how many answers there are."""
        return int(self.answers.shape[0])

    @property
    def chance(self) -> float:
        """The accuracy of guessing: 1/p."""
        return 1.0 / self.modulus
