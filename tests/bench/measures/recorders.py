"""Who records the steps of a loop: the contestants that several measures have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tests.bench.harness import Contestant, Role, script


class Kind(NamedTuple):
    """One of them."""

    name: str
    role: Role
    # Its file in contestants/recorders/, and whose environment it needs.
    file: str
    peer: str = ""


FLOOR = Kind("keyword call, clock, deque", "floor", "floor")
BARE = Kind("of a function with fewer arguments", "aside", "floor_bare")
EXPLICIT = Kind("of a function that names all", "aside", "floor_explicit")
TQDM_UPDATE = Kind("tqdm `update`", "aside", "tqdm_update", "tqdm")
TQDM_POSTFIX = Kind("tqdm `set_postfix`", "aside", "tqdm_postfix", "tqdm")
TRACKIO = Kind("trackio", "peer", "trackio_log", "trackio")
SWANLAB = Kind("SwanLab", "peer", "swanlab_log", "swanlab")
TENSORBOARD = Kind("TensorBoard", "peer", "tensorboard_scalars", "tensorboard")
WANDB = Kind("W&B offline", "peer", "wandb_log", "wandb")
MLFLOW = Kind("MLflow async", "peer", "mlflow_log", "mlflow")
AIM = Kind("Aim", "peer", "aim_track", "aim")
POLLED = Kind("a server in the training, polled once a second", "peer", "polled")
NOBODY = Kind("nobody: the noise", "aside", "nobody")
OURS = Kind("forge_widgets", "ours", "ours")


def contestants(
    kinds: Sequence[Kind], of: str, before: tuple[object, ...] = (), after: tuple[object, ...] = ()
) -> list[Contestant]:
    """Make a contestant of each: the script ``of``, called with its recorder between what stands before and after."""
    return [Contestant(one.name, one.role, script(of, *before, one.file, *after), one.peer) for one in kinds]
