"""scr-train as a user runs it: from a CT file to a model file, through a stop and a kill."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from DRRSimulatorLib.ct import read_ct
from DRRSimulatorLib.progress import parse_progress
from XRayRegistrationLib.model import load_model

COMMAND = [sys.executable, "-c", "from xray_training.cli_train import main; main()"]
STEPS = 40
PATIENCE_SECONDS = 600


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)


def logged_steps(folder: Path) -> list[int]:
    file = folder / "losses.csv"
    return [int(row["step"]) for row in csv.DictReader(file.read_text().splitlines())] if file.is_file() else []


@pytest.fixture(scope="module")
def arguments(phantom_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    output = tmp_path_factory.mktemp("models") / "phantom.safetensors"
    return [*COMMAND, str(phantom_file), "--output", str(output), "--steps", str(STEPS), "--image-size", "64", "--device", "cpu"]


def test_a_training_that_was_stopped_and_then_killed_is_finished_by_the_same_command(arguments: list[str], phantom_file: Path) -> None:
    output = Path(arguments[arguments.index("--output") + 1])
    folder = output.with_name("phantom-training")

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    stopped = start()
    wait_for(lambda: logged_steps(folder) == [20], stopped)
    stopped.send_signal(signal.SIGINT)
    message, _ = stopped.communicate(timeout=PATIENCE_SECONDS)
    assert stopped.returncode == 1 and "the same command goes on from there" in " ".join(message.split())
    assert not output.exists()

    killed = start()
    wait_for(lambda: len(list(folder.glob("events*"))) == 2, killed)
    killed.kill()
    killed.communicate()
    assert not output.exists()

    finished = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert finished.returncode == 0, finished.stderr
    assert logged_steps(folder) == [20, 40]
    model = load_model(output)
    model.description.check_ct(read_ct(phantom_file))
    assert model.description.training["steps_done"] == STEPS

    record = model.description.training
    assert (record["command"], record["patients"], record["stored_xrays"], record["start"]) == ("scr-train", 1, False, "")
    assert "phantom" not in json.dumps(record)


def test_a_module_without_tensorboard_and_matplotlib_shows_its_progress_and_stops_for_a_file(arguments: list[str], tmp_path: Path) -> None:
    """As 3D Slicer runs it: by -m, with few packages, and with a stop file instead of Ctrl+C."""
    for package in ("tensorboard", "matplotlib", "jinja2"):
        (tmp_path / f"{package}.py").write_text("raise ImportError")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    stop_file, output = tmp_path / "stop", tmp_path / "slicer.safetensors"
    command = [sys.executable, "-m", "xray_training.cli_train", *arguments[len(COMMAND) :], "--stop-file", str(stop_file)]
    command[command.index("--output") + 1] = str(output)
    command[command.index("--steps") + 1] = "2"

    stop_file.touch()
    stopped = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert (stopped.returncode, stopped.stderr.splitlines()[-1:]) == (
        1,
        ["Stopped after 0 of 2 steps; the same command goes on from there."],
    )
    assert not output.exists()

    stop_file.unlink()
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert finished.returncode == 0, finished.stderr
    line = next(line for line in map(parse_progress, reversed(finished.stderr.splitlines())) if line)
    assert (line.done, line.total, line.remaining) == (2, 2, "0:00")
    assert re.fullmatch(r"training, loss -?\d+\.\d\d, point error \d+\.\d mm", line.text)
    assert output.is_file() and not list((tmp_path / "slicer-training").glob("events*"))


def test_a_ct_that_does_not_exist_ends_in_one_sentence_and_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    missing = [*COMMAND, str(tmp_path / "missing.nii.gz"), *arguments[len(COMMAND) + 1 :]]
    result = subprocess.run(missing, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert result.returncode == 2
    assert result.stderr.strip().splitlines()[-1].startswith("Error: ") and "Traceback" not in result.stderr


def test_an_output_that_is_a_folder_is_refused_before_anything_is_trained(arguments: list[str], tmp_path: Path) -> None:
    command = [str(tmp_path) if argument == arguments[arguments.index("--output") + 1] else argument for argument in arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert result.returncode == 2
    assert "is a folder" in result.stderr and "Traceback" not in result.stderr
