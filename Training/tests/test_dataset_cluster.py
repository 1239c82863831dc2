"""Where data sets are made: batch systems and schedulers."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("zarr")
pytest.importorskip("distributed")

import dask
from DRRSimulatorLib.errors import InputError
from xray_training.dataset.cluster import batch_cluster, connected, local_cluster

RESOURCES = {"cores": 16, "processes": 16, "memory": "32GB", "walltime": "04:00:00", "account": "radiology", "queue": "long"}
HERE = {"host": "127.0.0.1"}  # else the scheduler asks the system for this machine's address in the network


def test_a_job_for_slurm_asks_for_the_resources_of_dasks_configuration() -> None:
    pytest.importorskip("dask_jobqueue")
    with (
        dask.config.set({f"jobqueue.slurm.{name}": value for name, value in RESOURCES.items()}),
        batch_cluster("slurm", scheduler_options=HERE) as cluster,
    ):
        script = cluster.job_script()
    for line in ("#SBATCH -A radiology", "#SBATCH -p long", "#SBATCH --cpus-per-task=16", "#SBATCH --mem=30G", "#SBATCH -t 04:00:00"):
        assert line in script.splitlines()
    assert "--nworkers 16" in script and "--nthreads 1" in script


def test_a_job_for_pbs_asks_for_the_resources() -> None:
    pytest.importorskip("dask_jobqueue")
    with batch_cluster("pbs", cores=8, processes=8, memory="16GB", walltime="02:00:00", scheduler_options=HERE) as cluster:
        script = cluster.job_script()
    assert "#PBS -l select=1:ncpus=8:mem=15GB" in script and "#PBS -l walltime=02:00:00" in script


def test_a_batch_system_without_resources_is_refused_in_a_sentence() -> None:
    pytest.importorskip("dask_jobqueue")
    with pytest.raises(InputError, match=r"jobqueue\.slurm"):
        batch_cluster("slurm", scheduler_options=HERE)


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"), connected("tcp://127.0.0.1:9", None, 1.0):
        pass


def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(InputError, match="No Dask scheduler answers at cluster"), connected("cluster", None, 1.0):
        pass


def test_processes_that_sleep_as_long_as_the_machine_are_kept() -> None:
    with local_cluster(1) as cluster:
        assert cluster.scheduler.worker_ttl is None


def test_workers_leave_the_environment_of_later_processes_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks round otherwise with another number of threads: a registration in a process started afterwards would differ."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "123456")
    before = dict(os.environ)
    with connected("local", 1) as client:
        assert client.submit(os.environ.get, "OMP_NUM_THREADS").result() == "1"
    assert dict(os.environ) == before
