"""Where a data set is made: the processes of this machine, or those of a cluster, by Dask."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.launch import available_cpus

from ..optional import optional_package

if TYPE_CHECKING:
    from distributed import Client

BATCH_SYSTEMS = {"slurm": "SLURMCluster", "pbs": "PBSCluster"}


@contextmanager
def connected(scheduler: str, workers: int | None, patience_s: float = 30.0) -> Iterator[Client]:
    """Workers, for as long as they are needed.

    Args:
        scheduler: "local" for processes of this machine; "slurm" or "pbs" for jobs of a batch system, with the resources that Dask's
            own configuration names; else the address of a Dask scheduler that is already running.
        workers: how many; None for as many as this machine has cores. Not for a scheduler that is already running.
        patience_s: how long to wait for a scheduler to answer.

    Raises:
        InputError: if the packages are missing, nothing answers, or the configuration of the batch system is incomplete.
    """
    distributed = optional_package("distributed", "distributed", "datasets")
    # What it logs of workers that die and tasks that fail is told at the end, in words.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if scheduler == "local":
        with local_cluster(workers or available_cpus()) as cluster, distributed.Client(cluster) as client:
            client.run(_leave_interrupts)
            yield client
    elif scheduler in BATCH_SYSTEMS:
        with batch_cluster(scheduler) as cluster, distributed.Client(cluster) as client:
            cluster.scale(workers or 1)
            yield client
    else:
        with _client(distributed, scheduler, patience_s) as client:
            yield client


@contextmanager
def local_cluster(workers: int) -> Iterator[Any]:
    """Cluster of processes of this machine, each with one thread."""
    dask = optional_package("dask", "dask", "datasets")
    distributed = optional_package("distributed", "distributed", "datasets")
    # A machine that sleeps longer than the workers' time to live would find itself without any when it wakes up.
    never_dead = dask.config.set({"distributed.scheduler.worker-ttl": None})
    options = {
        "n_workers": workers,
        "threads_per_worker": 1,
        "memory_limit": None,  # tasks are bounded themselves, and keep nothing in Dask
        "dashboard_address": None,
        "silence_logs": logging.CRITICAL,
    }
    with _environment_kept(), never_dead, distributed.LocalCluster(**options) as cluster:
        yield cluster


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Take back what Dask sets for its workers, such as one thread: processes started later would have as many, and round otherwise."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def batch_cluster(system: str, **resources: Any) -> Any:
    """Cluster of the jobs of a batch system, by dask-jobqueue; `job_script()` of it is the job's text.

    Args:
        system: "slurm" or "pbs".
        resources: what a job asks for; what is not given here comes from Dask's configuration.

    Raises:
        InputError: if dask-jobqueue is missing, or cores and memory are given nowhere.
    """
    jobqueue = optional_package("dask_jobqueue", "dask-jobqueue", "datasets")
    try:
        return getattr(jobqueue, BATCH_SYSTEMS[system])(**resources)
    except ValueError as error:
        raise InputError(
            f"The jobs for {system} cannot be described: {error} Give cores, processes (as many as cores) and memory in Dask's "
            f"configuration, under jobqueue.{system}, as Documentation/dataset.md shows."
        ) from error


def _leave_interrupts() -> None:
    """In a worker, whom a terminal's Ctrl+C reaches as well: the command ends it, without a word of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _client(distributed: Any, address: str, patience_s: float) -> Any:
    try:
        return distributed.Client(address, timeout=patience_s)
    except (OSError, ValueError) as error:
        raise InputError(f"No Dask scheduler answers at {address}; start one with `dask scheduler`, or check the address.") from error
