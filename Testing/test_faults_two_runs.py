"""Two runs with one output: the second is refused, or the last one wins with all of its files."""

from __future__ import annotations

import json
import time
import zipfile
from pathlib import Path

import pytest
from DRRSimulatorLib.errors import InputError
from phantom_files import PhantomFiles, write_phantom_files

command_process = pytest.importorskip("command_process", exc_type=ImportError)  # not on Windows


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> PhantomFiles:
    return write_phantom_files(tmp_path_factory.mktemp("phantom"))


def start_until(written: Path, command: str, arguments: list[str], log: Path) -> command_process.CommandProcess:
    """Start a command and wait until it has written a file."""
    process = command_process.CommandProcess(command, arguments, log)
    deadline = time.monotonic() + command_process.PATIENCE_SECONDS
    while not written.exists() and time.monotonic() < deadline:
        assert process.running
        time.sleep(0.01)
    return process


def test_a_second_simulation_into_the_same_folder_is_refused_and_the_first_goes_on(phantom: PhantomFiles, tmp_path: Path) -> None:
    output = tmp_path / "output"
    arguments = [str(phantom.ct), f"--output={output}", "--random=300", "--size", "48", "48", "--pixel-spacing=6", "--no-noise"]
    first = start_until(output / "view_0001.json", "drr-simulate", arguments, tmp_path / "first.log")
    second = command_process.run("drr-simulate", [*arguments, "--seed=7"], tmp_path / "second.log")
    assert first.running
    assert second.code == 2
    assert second.sentence == f"Another run is writing to {output}; wait for its end, or choose another place for this one."
    first.kill()
    first.wait()
    third = command_process.run("drr-simulate", [*arguments, "--random=2"], tmp_path / "third.log")
    assert third.code == 0, third.text


def test_a_second_training_or_evaluation_with_the_same_output_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    from xray_training.logs import TrainingLog
    from xray_training.run_log import RunLog

    for writer in (lambda: TrainingLog(tmp_path, 3, 0), lambda: RunLog(tmp_path / "e.json", {"suite": "demo"})):
        with writer(), pytest.raises(InputError, match="Another run is writing to"), writer():
            pass
        with writer():
            pass


def test_of_two_registrations_at_the_same_time_the_last_one_leaves_all_its_files(phantom: PhantomFiles, tmp_path: Path) -> None:
    """They are of the same CT under other names, which the files tell."""
    output = tmp_path / "output"
    processes = []
    for name in ("one", "two"):
        xray = phantom.xray.with_name(f"{name}.tiff")
        xray.write_bytes(phantom.xray.read_bytes())
        arguments = [argument.replace(str(phantom.xray), str(xray)) for argument in phantom.registering(output)]
        processes.append(command_process.CommandProcess("xray-register", arguments, tmp_path / f"{name}.log"))
    assert [process.wait().code for process in processes] == [0, 0]
    assert {file.name for file in output.iterdir()} == {"result.json", "overlay_1.png", "scene.mrb"}
    winner = json.loads((output / "result.json").read_text(encoding="utf-8"))["views"][0]["xray"].removesuffix(".tiff")
    with zipfile.ZipFile(output / "scene.mrb") as bundle:
        scene = bundle.read("scene/scene.mrml").decode()
    assert f'name="{winner} camera"' in scene
