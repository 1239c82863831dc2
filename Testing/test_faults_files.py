"""Places that cannot be written: a full disk, a limit, a folder of somebody else, a share that vanishes; one sentence, nothing lost."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from phantom_files import PhantomFiles, write_phantom_files
from read_only import read_only

command_process = pytest.importorskip("command_process", exc_type=ImportError)  # not on Windows
Faults = command_process.Faults


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> PhantomFiles:
    return write_phantom_files(tmp_path_factory.mktemp("phantom"))


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own in a folder, with room for 128 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("only root may mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)


def arguments(command: str, phantom: PhantomFiles, output: Path) -> list[str]:
    """Of a short run of a command that writes into a folder."""
    if command == "xray-register":
        return phantom.registering(output)
    if command == "drr-simulate":
        return [str(phantom.ct), f"--output={output}", "--size", "300", "300", "--pixel-spacing=1"]
    model = output / "model.safetensors"
    return [str(phantom.ct), f"--output={model}", "--steps=1", "--image-size=64", "--batch-size=2", "--device=cpu"]


COMMANDS = ["drr-simulate", "xray-register", "scr-train"]
QUICK = COMMANDS[:2]
EARLIER = {"view_0001.tiff": b"an X-ray", "result.json": b"{}", "scene.mrb": b"a scene", "model.safetensors": b"a model"}


def write_earlier(folder: Path) -> None:
    for name, content in EARLIER.items():
        (folder / name).write_bytes(content)


def check_earlier(folder: Path) -> None:
    for name, content in EARLIER.items():
        assert (folder / name).read_bytes() == content
    assert {file.name for file in folder.iterdir()} - {"model-training"} == set(EARLIER)  # nothing half written, nothing hidden


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_told_and_leaves_the_earlier_files(command: str, phantom: PhantomFiles, mounted: Path, tmp_path: Path) -> None:
    write_earlier(mounted)
    ended = command_process.run(command, arguments(command, phantom, mounted), tmp_path / "log")
    assert ended.code == 1
    assert "No space left on device" in ended.sentence or "is the disk full?" in ended.sentence
    check_earlier(mounted)


@pytest.mark.parametrize("command", QUICK)
def test_a_limit_of_the_size_of_files_is_told_and_leaves_the_earlier_files(command: str, phantom: PhantomFiles, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    write_earlier(output)
    ended = command_process.run(command, arguments(command, phantom, output), tmp_path / "log", Faults(file_bytes=4000))
    assert ended.code == 1
    assert "File too large" in ended.sentence or "is the disk full?" in ended.sentence
    check_earlier(output)


@pytest.mark.parametrize("command", QUICK)
def test_a_folder_that_may_only_be_read_is_told_by_its_name(command: str, phantom: PhantomFiles, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    write_earlier(output)
    with read_only(output):
        ended = command_process.run(command, arguments(command, phantom, output), tmp_path / "log")
    assert ended.code == 1
    assert ended.sentence.startswith(str(output)) and ended.sentence.endswith(("Read-only file system.", "Permission denied."))
    check_earlier(output)


def test_a_folder_that_vanishes_in_the_middle_is_told(phantom: PhantomFiles, tmp_path: Path) -> None:
    """As a network share does that is unmounted."""
    output = tmp_path / "share"
    output.mkdir()
    small = ["--size", "48", "48", "--pixel-spacing=6", "--random=300"]
    process = command_process.CommandProcess("drr-simulate", [str(phantom.ct), f"--output={output}", *small], tmp_path / "log")
    deadline = time.monotonic() + command_process.PATIENCE_SECONDS
    while not (output / "view_0001.json").exists() and time.monotonic() < deadline:
        assert process.running
        time.sleep(0.01)
    output.rename(tmp_path / "gone")
    ended = process.wait()
    assert ended.code == 1 and ended.sentence.startswith(str(output)) and "No such file" in ended.sentence
    assert not output.exists()


def test_too_little_memory_is_told(phantom: PhantomFiles, tmp_path: Path) -> None:
    larger = ["--size", "20000", "20000", "--pixel-spacing=0.015"]
    output = tmp_path / "output"
    ended = command_process.run(
        "drr-simulate", [str(phantom.ct), f"--output={output}", *larger], tmp_path / "log", Faults(memory_bytes=1_500_000_000)
    )
    assert ended.code == 1
    assert ended.sentence.startswith("This computer's memory is not enough;")
    assert not output.exists() or not list(output.iterdir())


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.nii.gz", "ct.nii", "ct.mha", "xray.tiff", "xray.png"])
def test_an_image_that_has_no_room_is_told_whatever_its_format(name: str, mounted: Path) -> None:
    """ITK writes what there is room for of NIfTI files, without a word."""
    import numpy as np
    import SimpleITK as sitk
    from DRRSimulatorLib.image_file import write_image

    values = np.random.default_rng(0).integers(0, 60000, (1, 512, 512)).astype(np.uint16)
    (mounted / name).write_bytes(b"earlier")
    with pytest.raises(OSError, match="cannot be written"):
        write_image(mounted / name, sitk.GetImageFromArray(values[0] if name.startswith("xray") else values))
    assert [(file.name, file.read_bytes()) for file in mounted.iterdir()] == [(name, b"earlier")]


def test_a_point_cloud_that_has_no_room_is_told(mounted: Path) -> None:
    """VTK's writer says that all is well."""
    from vtkmodules.vtkFiltersSources import vtkSphereSource
    from XRayRegistrationLib.point_cloud import write_polydata

    sphere = vtkSphereSource()
    sphere.SetThetaResolution(200)
    sphere.SetPhiResolution(200)
    sphere.Update()
    with pytest.raises(OSError, match="No space left on device"):
        write_polydata(mounted / "point_cloud.vtp", sphere.GetOutput())
    assert list(mounted.iterdir()) == []
