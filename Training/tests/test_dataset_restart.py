"""A data set that was stopped at any moment goes on and ends with the same files."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("zarr")
pytest.importorskip("distributed")

import psutil
from DRRSimulatorLib.progress import Cancelled
from making_datasets import VIEWS, generate, settings, threads
from xray_training import cli_generate
from xray_training.dataset import cluster, records, simulate
from xray_training.dataset.finish import finish
from xray_training.dataset.generate import Generation
from xray_training.dataset.sources import CTSource


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, phantom_file: Path) -> bytes:
    folder = tmp_path_factory.mktemp("undisturbed") / "set"
    assert generate(folder, [CTSource(phantom_file)], settings()) == []
    return (folder / "checksums.txt").read_bytes()


def scr_generate(ct: Path, folder: Path) -> list[str]:
    command = [sys.executable, "-m", "xray_training.cli_generate", str(ct), "-o", str(folder)]
    return [*command, "--views", str(VIEWS), "--size", "32", "--workers", "2"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_command_goes_on_and_ends_with_the_same_files(tmp_path: Path, phantom_file: Path, undisturbed: bytes) -> None:
    folder = tmp_path / "set"
    started = subprocess.Popen(scr_generate(phantom_file, folder), stderr=subprocess.DEVNULL)
    while not [*folder.glob(".progress/patient-*"), *folder.glob("data.zarr/patient-*/image/c/*")]:
        assert started.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    workers = psutil.Process(started.pid).children(recursive=True)
    assert workers
    started.send_signal(signal.SIGKILL)
    started.wait()
    assert not psutil.wait_procs(workers, timeout=20)[1], "its workers live on"
    assert not (folder / "checksums.txt").exists()
    again = subprocess.run(scr_generate(phantom_file, folder), capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert (folder / "checksums.txt").read_bytes() == undisturbed
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "checksums.txt", "data.zarr", "dataset.json", "views.csv"]


def worker_that_answers(client: Any) -> int:
    """Number of the only worker's process. The scheduler may list a killed worker a while longer; that one does not answer."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if answers := list(client.run(os.getpid, on_error="ignore").values()):
            return int(answers[0])
        time.sleep(0.1)
    raise AssertionError("no worker answered within a minute")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_worker_that_is_killed_loses_nothing(tmp_path: Path, phantom_file: Path, undisturbed: bytes) -> None:
    generation = Generation(tmp_path / "set", [CTSource(phantom_file)], settings())
    killed: list[int] = []
    with cluster.connected("local", 1) as client:

        def look() -> bool:
            """Kill the worker as soon as a shard is being written."""
            if not killed and list((tmp_path / "set").glob("data.zarr/*/image/c/*")):
                (process,) = client.run(os.getpid).values()
                os.kill(process, signal.SIGKILL)
                killed.append(process)
            return False

        outcome = generation.run(client, lambda done, text: None, look)
        assert killed and worker_that_answers(client) != killed[0]
    assert outcome.failures == []
    finish(generation, outcome)
    assert (tmp_path / "set" / "checksums.txt").read_bytes() == undisturbed


class FullDisk:
    """Lets so many files be written by a function, then the disk is full."""

    def __init__(self, function: Any, files: int) -> None:
        self.function, self.left = function, files

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.function(*arguments, **named)


@pytest.mark.parametrize(
    ("module", "function", "files"), [(simulate, "create_patient", 0), (simulate, "_write_shard", 1), (records, "_write", 2)]
)
def test_a_full_disk_ends_in_a_sentence_and_the_same_command_goes_on(
    tmp_path: Path, phantom_file: Path, undisturbed: bytes, module: Any, function: str, files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "set"
    monkeypatch.setattr(cluster, "connected", threads)
    with monkeypatch.context() as full:
        full.setattr(module, function, FullDisk(getattr(module, function), files))
        with pytest.raises(Cancelled, match="no space left on the disk"):
            cli_generate.generate([phantom_file], folder, views=VIEWS, size=32)
    cli_generate.generate([phantom_file], folder, views=VIEWS, size=32)
    assert (folder / "checksums.txt").read_bytes() == undisturbed


def test_a_stop_is_clean_and_the_same_command_goes_on(
    tmp_path: Path, phantom_file: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, stop = tmp_path / "set", tmp_path / "stop"
    stop.touch()
    monkeypatch.setattr(cluster, "connected", threads)
    with pytest.raises(Cancelled, match="Stopped after 0 of 40 X-rays; the same command goes on"):
        cli_generate.generate([phantom_file], folder, views=VIEWS, size=32, stop_file=stop)
    cli_generate.generate([phantom_file], folder, views=VIEWS, size=32)
    assert (folder / "checksums.txt").read_bytes() == undisturbed


def test_what_a_stop_left_half_written_is_made_again(tmp_path: Path, phantom_file: Path, undisturbed: bytes) -> None:
    folder = tmp_path / "set"
    sources = [CTSource(phantom_file)]
    generation = Generation(folder, sources, settings())
    with threads() as client:
        generation.run(client, lambda done, text: None, lambda: False)
    (patient,) = folder.glob("data.zarr/patient-*")
    record = next(folder.glob(".progress/patient-*/000001.json"))
    record.unlink()  # its shard is not known to be complete,
    (patient / "image" / "c" / "1" / "0" / "0").write_bytes(b"half of a shard")
    shard = patient / "image" / "c" / "0" / "0" / "0"  # and one that is lost a part of it when the power failed
    shard.write_bytes(shard.read_bytes()[:-100])
    (patient / "depth" / "c" / "0" / "0.0123.partial").write_bytes(b"of a file that was never renamed")
    (folder / ".0123456789abcdef-README.md").write_text("of a file that was never renamed")
    assert generate(folder, sources, settings()) == []
    assert (folder / "checksums.txt").read_bytes() == undisturbed


def test_an_end_that_was_stopped_while_it_tidied_up_is_an_end(tmp_path: Path, phantom_file: Path, undisturbed: bytes) -> None:
    folder = tmp_path / "set"
    assert generate(folder, [CTSource(phantom_file)], settings()) == []
    (folder / ".progress-done").mkdir()
    (folder / ".progress-done" / "settings.json").write_text("{}")
    assert Generation(folder, [CTSource(phantom_file)], settings()).records.finished
    assert not (folder / ".progress-done").exists() and (folder / "checksums.txt").read_bytes() == undisturbed
