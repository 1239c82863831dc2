"""Files of a small patient for tests of the commands: a CT, an X-ray of it with its camera, and a pose near the true one."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk

SIZE, SPACING_MM = 40, 5.0
ELLIPSOIDS = [((-35, 10, 0), (25, 20, 60)), ((40, -20, 30), (30, 25, 20)), ((30, 20, -45), (20, 35, 20))]  # of bone: middle, radii
VIEW = ["--primary=15", "--secondary=5", "--size", "96", "96", "--pixel-spacing=3", "--source-to-bone=700", "--sdd=1000"]


@dataclass(frozen=True)
class PhantomFiles:
    """Files of one patient."""

    ct: Path
    xray: Path
    camera: Path
    start: Path

    def registering(self, output: Path) -> list[str]:
        """Arguments of xray-register for a registration that takes seconds: from the given pose."""
        files = [f"--ct={self.ct}", f"--xray={self.xray}", f"--camera={self.camera}", f"--start={self.start}"]
        return [*files, "--polarity=intensity", "--device=cpu", f"--output={output}"]


def voxels() -> npt.NDArray[np.int16]:
    """HU [k, j, i]: three ellipsoids of bone in one of soft tissue."""
    axis = (np.arange(SIZE) - (SIZE - 1) / 2) * SPACING_MM
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")

    def ellipsoid(centre: tuple[float, ...], radii: tuple[float, ...]) -> npt.NDArray[np.bool_]:
        inside: npt.NDArray[np.bool_] = sum(((a - c) / r) ** 2 for a, c, r in zip((x, y, z), centre, radii, strict=True)) < 1
        return inside

    bone = np.any([ellipsoid(*shape) for shape in ELLIPSOIDS], axis=0)
    return np.where(bone, 800, np.where(ellipsoid((0, 0, 0), (90, 60, 95)), 40, -1000)).astype(np.int16)


def write_ct(path: Path) -> Path:
    image = sitk.GetImageFromArray(voxels())
    image.SetSpacing([SPACING_MM] * 3)
    image.SetOrigin([-(SIZE - 1) / 2 * SPACING_MM] * 3)
    sitk.WriteImage(image, str(path))
    return path


def write_phantom_files(folder: Path) -> PhantomFiles:
    """Write the CT, and let drr-simulate make the X-ray."""
    ct = write_ct(folder / "ct.nrrd")
    simulate([str(ct), f"--output={folder}", *VIEW, "--no-noise"])
    camera = folder / "view_0001.json"
    pose = json.loads(camera.read_text(encoding="utf-8"))["ras_to_camera"]
    pose[0][3] += 2.0  # mm
    (folder / "start.json").write_text(json.dumps({"ras_to_camera": pose}), encoding="utf-8")
    return PhantomFiles(ct, folder / "view_0001.tiff", camera, folder / "start.json")


def simulate(arguments: list[str]) -> None:
    """Run drr-simulate here."""
    from DRRSimulatorLib.cli import main

    with mock.patch.object(sys, "argv", ["drr-simulate", *arguments]), pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
