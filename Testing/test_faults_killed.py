"""Commands killed at every moment that could matter, and at random ones: what was there stays whole, and the same command succeeds."""

from __future__ import annotations

import json
import os
import random
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from phantom_files import PhantomFiles, write_phantom_files
from PIL import Image

command_process = pytest.importorskip("command_process", exc_type=ImportError)  # not on Windows
KILLED = -9
RANDOM_KILLS = int(os.environ.get("XRAY_TEST_KILLS", "3"))  # more for a longer run


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> PhantomFiles:
    return write_phantom_files(tmp_path_factory.mktemp("phantom"))


def contents(folder: Path) -> dict[str, bytes]:
    """The files that a user sees; hidden ones are unfinished."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.startswith(".")}


def check_whole(folder: Path) -> None:
    """Every file that a user sees can be read to its end."""
    for file in folder.iterdir():
        if file.name.startswith("."):
            continue
        if file.suffix == ".json":
            json.loads(file.read_text(encoding="utf-8"))
        elif file.suffix in (".png", ".tiff"):
            assert np.asarray(Image.open(file)).size > 0
        else:
            assert file.suffix == ".mrb" and zipfile.ZipFile(file).testzip() is None


def registered(folder: Path) -> None:
    check_whole(folder)
    assert set(contents(folder)) == {"result.json", "overlay_1.png", "scene.mrb"}


@pytest.fixture(scope="module")
def earlier(phantom: PhantomFiles, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of a registration that was made before."""
    folder = tmp_path_factory.mktemp("earlier")
    assert command_process.run("xray-register", phantom.registering(folder), folder.with_suffix(".log")).code == 0
    registered(folder)
    return contents(folder)


# The files of a result are finished one by one and then moved into their places, result.json last. Before the first of these moves
# (the scene's volumes count as well) nothing may have changed.
@pytest.mark.parametrize("move", [1, 3])
def test_a_registration_that_is_killed_while_it_writes_leaves_the_earlier_result(
    phantom: PhantomFiles, earlier: dict[str, bytes], tmp_path: Path, move: int
) -> None:
    result = tmp_path / "result"
    result.mkdir()
    for name, content in earlier.items():
        (result / name).write_bytes(content)
    faults = command_process.Faults(killed_at_move=move)
    assert command_process.run("xray-register", phantom.registering(result), tmp_path / "log", faults).code == KILLED
    assert contents(result) == earlier


def test_a_registration_that_is_killed_at_a_random_moment_leaves_the_earlier_result_or_the_new_one(
    phantom: PhantomFiles, earlier: dict[str, bytes], tmp_path: Path
) -> None:
    result, moments = tmp_path / "result", random.Random(0)
    result.mkdir()
    for name, content in earlier.items():
        (result / name).write_bytes(content)
    before = earlier
    start = time.monotonic()
    assert command_process.run("xray-register", phantom.registering(tmp_path), tmp_path / "log").code == 0
    duration = time.monotonic() - start
    for _ in range(RANDOM_KILLS):
        process = command_process.CommandProcess("xray-register", phantom.registering(result), tmp_path / "log")
        time.sleep(duration * moments.random())
        process.kill()
        process.wait()
        registered(result)
        found = contents(result)
        assert found == before or found["result.json"] != before["result.json"]
        before = found
    assert command_process.run("xray-register", phantom.registering(result), tmp_path / "log").code == 0
    registered(result)


# Each X-ray is three moves: of the image when it is finished, then of image and camera into their places.
@pytest.mark.parametrize("move", [1, 3, 5])
def test_a_simulation_that_is_killed_leaves_whole_xrays_each_with_its_own_camera(phantom: PhantomFiles, tmp_path: Path, move: int) -> None:
    """Three of other views replace three that were there. In the instant in which one is replaced it has no camera, never a wrong one."""
    output = tmp_path / "output"

    def arguments(seed: int) -> list[str]:
        small = ["--size", "48", "48", "--pixel-spacing=6", "--no-noise"]
        return [str(phantom.ct), f"--output={output}", "--random=3", f"--seed={seed}", *small]

    expected = []
    for seed in (1, 2):
        assert command_process.run("drr-simulate", arguments(seed), tmp_path / "log").code == 0
        expected.append(contents(output))
    faults = command_process.Faults(killed_at_move=move)
    assert command_process.run("drr-simulate", arguments(1), tmp_path / "log", faults).code == KILLED
    check_whole(output)
    found = contents(output)
    lost = {3: 1, 5: 2}.get(move)  # the X-ray whose camera was gone in this instant
    assert len(found) == 6 - bool(lost)
    for number in {1, 2, 3} - {lost}:
        names = (f"view_{number:04}.tiff", f"view_{number:04}.json")
        assert tuple(found[name] for name in names) in [tuple(run[name] for name in names) for run in expected]
    assert command_process.run("drr-simulate", arguments(1), tmp_path / "log").code == 0
    assert contents(output) == expected[0]


def test_a_training_killed_as_it_saves_goes_on_from_before_and_keeps_the_earlier_model(phantom: PhantomFiles, tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    model.write_bytes(b"an earlier model")
    arguments = [str(phantom.ct), f"--output={model}", "--steps=1", "--image-size=64", "--batch-size=2", "--device=cpu"]
    # At first the checkpoint is moved; then, when the same command goes on, the log, the checkpoint and the model.
    for move, saved in ((1, False), (3, True)):
        faults = command_process.Faults(killed_at_move=move)
        assert command_process.run("scr-train", arguments, tmp_path / "log", faults).code == KILLED
        assert model.read_bytes() == b"an earlier model"
        assert (tmp_path / "model-training" / "checkpoint.safetensors").is_file() == saved
    ended = command_process.run("scr-train", arguments, tmp_path / "log")
    assert ended.code == 0 and "training: 1 of 1" not in ended.text, ended.text  # the step was in the checkpoint
    from XRayRegistrationLib.model import load_model

    assert load_model(model).description.training["steps_done"] == 1


def test_an_evaluation_that_is_killed_goes_on_with_the_cases_that_are_left(tmp_path: Path) -> None:
    summary, cases = tmp_path / "e.json", tmp_path / "e.cases.jsonl"
    summary.write_text("{}", encoding="utf-8")
    arguments = ["--suite=pelvis-200", "--limit=4", f"--json={summary}", "--device=cpu"]
    process = command_process.CommandProcess("scr-evaluate", arguments, tmp_path / "log")
    deadline = time.monotonic() + command_process.PATIENCE_SECONDS
    while not (cases.is_file() and cases.read_text(encoding="utf-8").count("\n") >= 3) and time.monotonic() < deadline:
        assert process.running
        time.sleep(0.01)
    process.kill()
    assert process.wait().code == KILLED
    assert summary.read_text(encoding="utf-8") == "{}"
    ended = command_process.run("scr-evaluate", arguments, tmp_path / "log")
    assert ended.code == 0 and "Going on after" in ended.text, ended.text
    numbers = [case["number"] for case in json.loads(summary.read_text(encoding="utf-8"))["cases"]]
    assert numbers == [1, 2, 3, 4] and not cases.exists()
