"""The training process of ``forge-widgets demo``: ``python -m forge_widgets.training.cognate --session ID``.

Trains the cognates into a session; prints nothing but errors. Exit code 0 when trained, 1 when training or the store
failed, 2 for arguments that can't be used, 130 when interrupted (the session then says so).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing

from forge_widgets.errors import ForgeError, InvalidInput
from forge_widgets.stores import open_store
from forge_widgets.training.cognate.integration import CognateCreatorIntegration
from forge_widgets.training.cognate.settings import MODES, for_mode
from forge_widgets.training.hooks import create_progress_hooks

MODELS = 3
SAVED_WITHIN_S = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Train three cognates as the command line says, and return the exit code."""
    given = _parser().parse_args(arguments)
    try:
        saved = _train(given)
    except KeyboardInterrupt:
        return 130
    except InvalidInput as error:
        return _fail(error, 2)
    except (ForgeError, ImportError, OSError, MemoryError) as error:
        return _fail(error, 1)
    return 0 if saved else _fail(f"the end of the training was not saved within {SAVED_WITHIN_S:.0f} s", 1)


def _train(given: argparse.Namespace) -> bool:
    """Train as asked; False where not all of it could be saved."""
    settings = for_mode(given.mode)
    steps = settings.steps if given.steps is None else given.steps
    with (
        closing(open_store(given.store)) as store,
        closing(create_progress_hooks(given.session, store=store)) as hooks,
    ):
        # Asking for the id makes the store's folder, and raises where that can't be: hooks would wait for it and let
        # training go on, and here nobody trains for its own sake.
        _ = store.store_id
        integration = CognateCreatorIntegration(given.session, seed=given.seed, settings=settings, hooks=hooks)
        integration.create_cognates_with_progress(num_models=MODELS, steps_per_model=steps)
        return hooks.flush(SAVED_WITHIN_S)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m forge_widgets.training.cognate", description="Train the cognates.")
    parser.add_argument("--session", required=True, help="session id to record into")
    parser.add_argument("--mode", default="quick", help=f"{' or '.join(MODES)} (default: quick)")
    parser.add_argument("--store", help="store URL or folder (default: the user's store)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first cognate (default: 0)")
    parser.add_argument("--steps", type=int, help="steps a cognate (default: the mode's)")
    return parser


def _fail(error: object, code: int) -> int:
    print(f"forge-widgets: {' '.join(str(error).split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
