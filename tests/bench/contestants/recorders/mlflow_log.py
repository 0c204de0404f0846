"""MLflow, asynchronously into its local database."""

from __future__ import annotations

import mlflow

from tests.bench.contestants.recorders import Recorder


def opened() -> Recorder:
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.start_run()

    def record(step: int, **metrics: float) -> None:
        mlflow.log_metrics(metrics, step=step, synchronous=False)

    return Recorder(record, mlflow.flush_async_logging, mlflow.end_run)
