"""The cognates' training itself: the split, the gradients, the optimizer, and that they memorise and then grok."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from forge_widgets.errors import InvalidInput
from forge_widgets.training.cognate.adamw import AdamW
from forge_widgets.training.cognate.network import QuadraticNetwork
from forge_widgets.training.cognate.settings import DEMO, QUICK, CognateSettings, for_mode
from forge_widgets.training.cognate.task import ModularAddition
from forge_widgets.training.cognate.trainer import grok_progress, train

TINY = CognateSettings(
    modulus=7, width=16, train_fraction=0.7, init_scale=1.0, learning_rate=5e-3, weight_decay=0.5, steps=40
)


def test_the_table_holds_every_sum_and_the_split_takes_the_share_asked_for() -> None:
    task = ModularAddition.split(11, 0.6, np.random.default_rng(1))

    assert task.answers[7, 9] == 5
    assert sorted(set(task.answers.ravel())) == list(range(11))
    assert task.trained.sum() == int(0.6 * 121)


def test_two_seeds_split_differently() -> None:
    one, other = (ModularAddition.split(11, 0.6, np.random.default_rng(seed)) for seed in (1, 2))

    assert (one.trained != other.trained).any()


def test_gradients_are_what_finite_differences_say() -> None:
    rng = np.random.default_rng(3)
    network = QuadraticNetwork(ModularAddition.split(5, 0.6, rng), width=4, init_scale=1.0, rng=rng)
    gradients = network.evaluate().gradients
    nudge = 1e-6

    for weight, gradient in zip(network.weights, gradients, strict=True):
        for place in np.ndindex(weight.shape):
            kept = weight[place]
            weight[place] = kept + nudge
            above = network.evaluate().loss
            weight[place] = kept - nudge
            below = network.evaluate().loss
            weight[place] = kept
            assert gradient[place] == pytest.approx((above - below) / (2 * nudge), rel=1e-5, abs=1e-8)


def test_loss_and_accuracies_are_those_of_the_pairs_one_by_one() -> None:
    rng = np.random.default_rng(4)
    task = ModularAddition.split(5, 0.6, rng)
    network = QuadraticNetwork(task, width=8, init_scale=1.0, rng=rng)
    left, right, readout = network.weights
    losses, hits, held_out_hits = [], [], []
    for a in range(5):
        for b in range(5):
            logits = (left[a] + right[b]) ** 2 @ readout
            hit = int(logits.argmax()) == (a + b) % 5
            if task.trained[a, b]:
                losses.append(-math.log(math.exp(logits[(a + b) % 5]) / np.exp(logits).sum()))
                hits.append(hit)
            else:
                held_out_hits.append(hit)

    found = network.evaluate()

    assert found.loss == pytest.approx(np.mean(losses))
    assert found.train_accuracy == pytest.approx(np.mean(hits))
    assert found.accuracy == pytest.approx(np.mean(held_out_hits))


def test_adamw_makes_its_first_step_by_the_learning_rate_and_decays_apart_from_it() -> None:
    weight = np.array([2.0, -2.0])
    AdamW([weight], weight_decay=0.5).update([np.array([3.0, -0.01])], learning_rate=0.1)

    # Bias-corrected, the first step is the gradient's sign times the rate, whatever the gradient's size.
    assert weight == pytest.approx([2.0 * 0.95 - 0.1, -2.0 * 0.95 + 0.1], rel=1e-5)


def test_adamw_finds_the_bottom_of_a_bowl() -> None:
    weight = np.array([5.0])
    optimizer = AdamW([weight], weight_decay=0.0)
    for _ in range(500):
        optimizer.update([2.0 * (weight - 1.5)], learning_rate=0.05)

    assert weight == pytest.approx([1.5], abs=1e-2)


def test_each_step_is_reported_in_order_with_a_warmed_up_rate() -> None:
    reports = list(train(TINY, seed=0))

    assert [report.step for report in reports] == list(range(1, 41))
    assert [report.learning_rate for report in reports[:3]] == pytest.approx([5e-4, 1e-3, 1.5e-3])
    assert {report.learning_rate for report in reports[10:]} == {5e-3}
    assert reports[-1].loss < reports[0].loss
    assert len(list(train(TINY, seed=0, steps=3))) == 3


def test_the_same_seed_reports_the_same_and_another_seed_something_else() -> None:
    assert list(train(TINY, seed=5)) == list(train(TINY, seed=5))
    assert list(train(TINY, seed=5)) != list(train(TINY, seed=6))


def test_the_number_of_threads_of_the_linear_algebra_changes_no_bit() -> None:
    script = (
        "from forge_widgets.training.cognate.settings import QUICK\n"
        "from forge_widgets.training.cognate.trainer import train\n"
        "for report in train(QUICK, seed=0, steps=30): print(report.loss.hex())\n"
    )
    one, many = (
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for threads in ("1", "4")
    )

    assert one.count("\n") == 30
    assert one == many


@pytest.mark.parametrize(("accuracy", "progress"), [(0.0, 0), (0.1, 0), (0.55, 50), (0.999, 99), (1.0, 100)])
def test_grok_progress_runs_from_guessing_to_knowing(accuracy: float, progress: int) -> None:
    assert grok_progress(accuracy, chance=0.1) == progress


def test_a_quick_cognate_memorises_long_before_it_groks() -> None:
    memorised_at = grokked_at = plateau = None
    for report in train(QUICK, seed=0):
        if memorised_at is None and report.train_accuracy == 1.0:
            memorised_at, plateau = report.step, report.accuracy
        if report.accuracy > 0.95:
            grokked_at = report.step
            break

    assert memorised_at is not None
    assert memorised_at < 150
    assert plateau is not None
    assert plateau < 0.05
    assert grokked_at is not None
    assert 500 < grokked_at < 900


def test_a_matrix_product_of_a_step_stays_below_the_size_that_starts_threads() -> None:
    for settings in (QUICK, DEMO):
        assert settings.modulus**2 * settings.width < 262_144


def test_modes_are_known_by_name_and_an_unknown_one_is_refused_clearly() -> None:
    assert for_mode("quick") is QUICK
    assert for_mode("demo") is DEMO
    with pytest.raises(InvalidInput, match="'fast' is no mode of training in mode: expected 'quick' or 'demo'"):
        for_mode("fast")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("modulus", 1),
        ("width", 0),
        ("train_fraction", 1.0),
        ("train_fraction", 0.0),
        ("steps", 0),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("init_scale", 0.0),
        ("weight_decay", -1.0),
    ],
)
def test_settings_that_can_train_nothing_are_refused_by_name(name: str, value: float) -> None:
    good = {"modulus": 7, "width": 16, "train_fraction": 0.7, "init_scale": 1.0}
    good |= {"learning_rate": 5e-3, "weight_decay": 0.5, "steps": 40}
    with pytest.raises(InvalidInput, match=rf"settings\.{name}"):
        CognateSettings(**{**good, name: value})  # type: ignore[arg-type]
