"""The batch script: the same files as the command, one sentence and an exit code for whatever is wrong, and no window."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from DRRSimulatorLib.camera import Camera, CArmView, load_view, save_view
from phantom import SHAPE, add_phantom

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "DRRSimulator" / "Scripts" / "SimulateBatch.py"
SMALL = ["--size", "60", "70", "--pixel-spacing", "4"]


@pytest.fixture
def batch(load_module: Any) -> Any:
    load_module.module("DRRSimulator")
    spec = importlib.util.spec_from_file_location("SimulateBatch", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ct_file(scene: Any, tmp_path: Path) -> Path:
    import slicer

    path = tmp_path / "phantom.nrrd"
    assert slicer.util.saveNode(add_phantom(), str(path))
    scene.Clear(False)
    return path


def run(batch: Any, *arguments: str | Path) -> int:
    return batch.main(list(map(str, arguments)))


def test_random_views_are_those_of_the_logic(batch: Any, ct_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import slicer
    from DRRSimulatorSlicer.logic import DRRSimulatorLogic
    from slicer_host.events import wait_until

    assert run(batch, "--ct", ct_file, "--output", tmp_path / "batch", "--random", "3", "--seed", "4", *SMALL) == 0
    output = capsys.readouterr().out
    assert "simulating: 3 of 3" in output and "X-rays written to" in output
    ct = slicer.util.loadVolume(str(ct_file))
    generation = DRRSimulatorLogic().generate(ct, tmp_path / "console", 3, Camera.centred(1020, 4, (60, 70)), seed=4)
    wait_until(lambda: not generation.running, 60)
    files = {path.name: path.read_bytes() for path in (tmp_path / "console").iterdir()}
    assert len(files) == 6 and files == {path.name: path.read_bytes() for path in (tmp_path / "batch").iterdir()}


def test_a_view_is_the_one_that_its_options_ask_for(batch: Any, ct_file: Path, tmp_path: Path) -> None:
    camera = Camera(990.0, (4.1, 3.6), (50, 60), (25.5, 30.25))
    save_view(tmp_path / "camera.json", camera)
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[30:36, 30:38, 10:14] = 1
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(sitk.ReadImage(str(ct_file)))
    sitk.WriteImage(image, str(tmp_path / "labels.nrrd"))
    view = ["--primary", "-30", "--secondary", "12", "--roll", "5", "--offset", "-7", "9", "--source-to-bone", "640"]
    files = ["--labels", tmp_path / "labels.nrrd", "--camera", tmp_path / "camera.json"]
    assert run(batch, "--ct", ct_file, "--output", tmp_path / "out", *files, *view, "--image", "attenuation", "--no-noise") == 0
    stored, pose = load_view(tmp_path / "out" / "view_0001.json")
    assert stored == camera and pose is not None
    lps = image.TransformContinuousIndexToPhysicalPoint([11.5, 33.5, 32.5])
    found = CArmView.from_pose(pose, np.array(lps) * (-1, -1, 1))
    np.testing.assert_allclose((found.primary_deg, found.secondary_deg, found.roll_deg), (-30, 12, 5), atol=1e-6)
    np.testing.assert_allclose((*found.offset_mm, found.source_to_point_mm), (-7, 9, 640), atol=0.5)
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "view_0001.tiff"))).min() == 0  # nothing beside the patient


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ct", "missing.nrrd"], "There is no CT missing.nrrd"),
        (["--labels", "missing.nrrd"], "There is no segmentation missing.nrrd"),
        (["--views", "missing.json"], "cannot be read"),
        (["--camera", "missing.json"], "cannot be read"),
        (["--random", "0"], "at least 1"),
        (["--random", "1", "--views", "views.json"], "not both"),
        (["--sdd", "-3"], "must be positive"),
        (["--source-to-bone", "2000"], "is impossible"),
        (["--primary", "left"], "invalid float value"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_bad_input_ends_with_2_and_the_reason(
    batch: Any, ct_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(batch, "--ct", ct_file, "--output", tmp_path / "out", *SMALL, *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_ct_ends_with_2(batch: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ct.nrrd").write_text("no volume")
    assert run(batch, "--ct", tmp_path / "ct.nrrd", "--output", tmp_path / "out") == 2
    assert "cannot be read as a CT" in capsys.readouterr().err
    strictness = pytest.importorskip("slicer_host.strictness", exc_type=ImportError)
    assert any("ct.nrrd" in error for error in strictness.take_errors())  # VTK has printed its reasons as well


def test_missing_packages_end_with_1_and_what_to_do(
    batch: Any, ct_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from DRRSimulatorSlicer import dependencies

    monkeypatch.setattr(dependencies.Dependencies, "missing", lambda self, group: ["warp-lang>=1.19"])
    assert run(batch, "--ct", ct_file, "--output", tmp_path / "out") == 1
    assert "warp-lang" in capsys.readouterr().err


def test_a_run_that_is_interrupted_ends_with_1(
    batch: Any, ct_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = iter([KeyboardInterrupt()])  # Ctrl+C is pressed once

    def interrupt(seconds: float) -> None:
        if (tmp_path / "out" / "view_0001.json").exists() and (key := next(keys, None)):
            raise key

    monkeypatch.setattr(batch, "time", SimpleNamespace(sleep=interrupt))
    assert run(batch, "--ct", ct_file, "--output", tmp_path / "out", "--random", "10000", *SMALL) == 1
    assert "Stopped after" in capsys.readouterr().err
    assert not (tmp_path / "out" / "view_9999.json").exists()


@pytest.mark.parametrize(("arguments", "code"), [([], 0), (["--sdd", "0"], 2)])
def test_slicer_ends_with_the_exit_code_and_needs_neither_a_screen_nor_the_module_loaded(
    ct_file: Path, tmp_path: Path, arguments: list[str], code: int
) -> None:
    pytest.importorskip("slicer_host.dialogs", exc_type=ImportError)  # not inside a real Slicer
    command = [sys.executable, "-m", "slicer_host", "--no-splash", "--no-main-window"]
    script = ["--python-script", SCRIPT, "--", "--ct", ct_file, "--output", tmp_path / "out", *SMALL, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "Testing")}
    ended = subprocess.run([*map(str, command), *map(str, script)], env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == code, ended.stderr
    assert (tmp_path / "out" / "view_0001.tiff").exists() == (code == 0)
