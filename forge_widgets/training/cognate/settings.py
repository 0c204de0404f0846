"""How a cognate is trained: the sizes and rates, and the two named modes.

Pure values: loads no NumPy. The trainer, the integration and the command line read them.
"""

from __future__ import annotations

from dataclasses import dataclass

from forge_widgets.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class CognateSettings:
    """Hold the settings of one training; every cognate of a session shares them and differs by its seed.

    Raises InvalidInput where a value can't train anything.
    """

    modulus: int
    """The p of ``a + b mod p``; the task has p² pairs."""
    width: int
    """Hidden units of the network."""
    train_fraction: float
    """Share of the pairs to train on, between 0 and 1; the others are held out."""
    init_scale: float
    """Standard deviation of what a pair of initial embeddings adds up to; a larger one puts grokking off."""
    learning_rate: float
    """AdamW's step size once warmed up."""
    weight_decay: float
    """Decoupled weight decay: what makes the network leave memorising for the rule."""
    steps: int
    """Full-batch steps in which a cognate of this mode memorises and then generalises."""
    warmup_steps: int = 10
    """Steps over which the learning rate rises linearly, as in Power et al. 2022."""

    def __post_init__(self) -> None:
        for name in ("width", "steps", "warmup_steps"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("init_scale", "learning_rate"):
            _require(getattr(self, name) > 0, name, getattr(self, name), "a number above 0")
        _require(self.modulus >= 2, "modulus", self.modulus, "2 or more")
        _require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 (off) or more")
        trained = int(self.train_fraction * self.modulus**2)
        _require(
            0 < trained < self.modulus**2,
            "train_fraction",
            self.train_fraction,
            f"a share of the {self.modulus**2} pairs that leaves at least one to train on and one held out",
        )


def _require(held: bool, name: str, value: object, expected: str) -> None:
    if not held:
        raise InvalidInput(f"{value!r} can't be used", where=f"settings.{name}", expected=expected)


QUICK = CognateSettings(
    modulus=37, width=128, train_fraction=0.6, init_scale=1.0, learning_rate=5e-3, weight_decay=0.5, steps=1000
)
"""Memorises within 100 steps and groks at about 750: 3 s a cognate on one core."""

DEMO = CognateSettings(
    modulus=43, width=128, train_fraction=0.5, init_scale=1.5, learning_rate=2e-3, weight_decay=0.4, steps=5000
)
"""Memorises within 200 steps, stays near chance for 1,000 more and groks at about 4,000: 25 s a cognate on one core."""

MODES = {"quick": QUICK, "demo": DEMO}
"""The settings by the name of their mode."""


def for_mode(name: str) -> CognateSettings:
    """Return the settings of a mode by its name. Raises InvalidInput for an unknown one."""
    settings = MODES.get(name)
    if settings is None:
        raise InvalidInput(f"{name!r} is no mode of training", where="mode", expected=" or ".join(map(repr, MODES)))
    return settings
