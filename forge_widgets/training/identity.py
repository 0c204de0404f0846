"""Who writes: the identity of a producer, and which producers belong to one job."""

from __future__ import annotations

import os
from collections.abc import Mapping

from forge_widgets.core.events import Producer
from forge_widgets.stores.processes import this_host

_JOB_IDS = ("TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "OMPI_MCA_ess_base_jobid", "PBS_JOBID", "LSB_JOBID")
_WORLD_SIZES = ("WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE")


def job_group(environ: Mapping[str, str]) -> str:
    """Return what all ranks of one distributed job share, "" where this process is no rank of one.

    The launchers' own variables say it (torchrun, Slurm, Open MPI, PBS, LSF); a restart by torchrun is the next attempt.
    """
    if not any(environ.get(name, "1") not in ("", "0", "1") for name in _WORLD_SIZES):
        return ""
    job = next((f"{name}={environ[name]}" for name in _JOB_IDS if environ.get(name)), "")
    if not job and environ.get("MASTER_ADDR"):
        job = f"{environ['MASTER_ADDR']}:{environ.get('MASTER_PORT', '')}"
    return f"job:{job}:{environ.get('TORCHELASTIC_RESTART_COUNT', '0')}" if job else ""


def new_producer(*, resume: bool = False, parent: Producer | None = None) -> Producer:
    """Make the identity of a new producer; a fork's shares its parent's attempt."""
    identity = os.urandom(8).hex()
    group = (parent.group or parent.id) if parent else job_group(os.environ)
    return Producer(id=identity, group=group or identity, resume=resume, pid=os.getpid(), host=this_host())
