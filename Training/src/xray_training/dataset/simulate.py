"""The work on one patient of a data set: preparing it, and simulating the views of one shard."""

from __future__ import annotations

import ctypes
import shutil
import sys
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, FloatArray, transform_points
from DRRSimulatorLib.display import window_to_16_bit
from DRRSimulatorLib.launch import at_most_cpus
from DRRSimulatorLib.physics import realistic, simulate_xray
from DRRSimulatorLib.projector import Projector
from DRRSimulatorLib.segmentation import bounding_box
from DRRSimulatorLib.soft_tissue import SoftTissue
from DRRSimulatorLib.tools import sample_tools

from ..lone_bones import holds_lone_bones, with_continued_shafts
from .layout import DEPTH_STEP_MM, GREY_VALUES_PER_UNIT, VIEW_VALUES, VIEWS_PER_SHARD, create_patient
from .plan import Sampling, as_arrays, collimation_of, image_stream, plan_view
from .sources import CTSource
from .stored import StoredPatient

_OF_ACQUISITION = [name for name in VIEW_VALUES if name not in ("stratum", "split")]


@dataclass(frozen=True)
class ViewSettings:
    """What all patients of a data set share.

    Attributes:
        views: of each patient.
        seed: of everything random.
        sampling: where views are drawn from.
        camera: of every view.
    """

    views: int
    seed: int
    sampling: Sampling
    camera: Camera


def prepare(path: Path, source: CTSource, settings: ViewSettings) -> StoredPatient:
    """Read a CT and make its group, with everything in it but images, depths and masks.

    Args:
        path: of the group; what is there is deleted.
        source: of the CT.
        settings: of the data set.

    Raises:
        InputError: if the CT or its labels cannot be used.
    """
    from DRRSimulatorLib.bone import read_labels, segment_bone
    from DRRSimulatorLib.ct import read_ct
    from DRRSimulatorLib.patient import surface_points

    ct = read_ct(source.ct, source.series)
    bones = read_labels(source.labels, ct) if source.labels else segment_bone(ct)
    lone_bones = holds_lone_bones(ct, bones)
    points = surface_points(bones)
    plans = [
        plan_view(number, settings.seed, ct.fingerprint, settings.sampling, settings.camera, points, lone_bones)
        for number in range(settings.views)
    ]
    shutil.rmtree(path, ignore_errors=True)
    attributes = {"source": source.source, "licence": source.licence, "seed": settings.seed, "lone_bones": lone_bones}
    poses = np.stack([plan.ras_to_camera for plan in plans])
    create_patient(path, ct, bones, points, settings.camera, poses, as_arrays(plans), attributes)
    return StoredPatient(path)


def simulate_shard(path: Path, shard: int) -> list[Path]:
    """Simulate the views of a shard and write its files of images, depths and masks.

    One CPU is used: what is simulated side by side are shards.

    Args:
        path: of the patient's group.
        shard: its number, from 0.

    Returns:
        The files that were written.
    """
    import zarr

    with at_most_cpus(1):
        patient = _load(path, (path / "zarr.json").stat().st_mtime_ns)
        group = zarr.open_group(path, mode="r+")
        views = range(shard * VIEWS_PER_SHARD, min((shard + 1) * VIEWS_PER_SHARD, len(patient.stored)))
        size = patient.stored.camera.image_size
        images = np.empty((len(views), *size), dtype=np.uint16)
        for place, view in enumerate(views):
            images[place] = patient.image(view)
        files = _write_shard(group["image"], shard, (), images)
        mask = np.empty((len(views), len(patient.shadows), *size), dtype=bool)
        depths = np.empty((len(views), 1, 2, *size), dtype=np.uint16)
        for bone in range(len(patient.shadows)):
            for place, view in enumerate(views):
                depths[place, 0] = patient.depth(view, bone)
            mask[:, bone] = depths[:, 0, 0] > 0
            files += _write_shard(group["depth"], shard, (bone,), depths)
        return files + _write_shard(group["mask"], shard, (), mask)


def _write_shard(array: Any, shard: int, bone: tuple[int, ...], values: npt.NDArray[Any]) -> list[Path]:
    """Write a whole shard of an array; its file, or none where all values are 0."""
    file = Path(array.store.root, array.path, "c", *map(str, (shard, *bone, *[0] * (array.ndim - 1 - len(bone)))))
    file.unlink(missing_ok=True)  # else it is read first, and half of one cannot be
    first = shard * VIEWS_PER_SHARD
    array[(slice(first, first + len(values)), *[slice(place, place + 1) for place in bone])] = values
    return [file] if file.exists() else []


@cache
def keep_freed_memory() -> None:
    """Let the C library of a worker keep up to 1 GB of freed memory for the next images.

    Dask tells its workers' to give back at once whatever is over 64 kB; to get it anew for every image took a fifth of the time.
    """
    if sys.platform == "linux":
        m_trim_threshold, m_mmap_threshold = -1, -3  # malloc.h of glibc; another C library ignores them
        set_option = getattr(ctypes.CDLL(None), "mallopt", lambda option, value: 0)
        set_option(m_trim_threshold, 1 << 30)
        set_option(m_mmap_threshold, 1 << 25)  # the largest it takes


@lru_cache(maxsize=1)
def _load(path: Path, written_at: int) -> _LoadedPatient:
    """A patient, kept for the next shard; the time tells it from another that was at this place before."""
    return _LoadedPatient(path)


class _LoadedPatient:
    """A patient of a data set, ready for casting rays."""

    def __init__(self, path: Path) -> None:
        self.stored = StoredPatient(path)
        # From what is stored, not from the CT's file: the data set alone tells all that its images are made of.
        ct, bones = self.stored.ct(), self.stored.bone_labels()
        if self.stored.attributes["lone_bones"]:
            ct, bones = with_continued_shafts(ct, bones)
        self.projector = Projector.from_ct(ct, bones)
        self.shadows = [_corners(bones, label) for label in bones.names]
        self.seed = int(self.stored.attributes["seed"])

    def image(self, view: int) -> npt.NDArray[np.uint16]:
        """Grey values (rows, columns) of a view."""
        camera, pose = self.stored.camera, self.stored.ras_to_camera[view]
        values = {name: self.stored.values(name)[view] for name in _OF_ACQUISITION}
        rng = image_stream(self.seed, self.stored.ct_fingerprint, view)
        depth = float(transform_points(pose, self.stored.centre_ras[None])[0, 2])
        acquisition = replace(
            realistic(int(values["kilovolts"])),
            photons=float(values["photons"]),
            vignetting=float(values["vignetting"]),
            collimation=collimation_of(values),
            tools=sample_tools(int(values["tools"]), camera, depth, rng),
            soft_tissue=SoftTissue(float(values["soft_tissue_mm"])) if values["soft_tissue_mm"] > 0 else None,
        )
        integrals = self.projector.line_integrals(camera, pose[None]).numpy()[0]
        return window_to_16_bit(simulate_xray(integrals, camera, rng, acquisition), 0, 65535 / GREY_VALUES_PER_UNIT)

    def depth(self, view: int, bone: int) -> npt.NDArray[np.uint16]:
        """Depths (2, rows, columns) of one bone's surfaces in steps; 0 off bone."""
        camera, pose = self.stored.camera, self.stored.ras_to_camera[view]
        steps = np.zeros((2, *camera.image_size), dtype=np.uint16)
        rows, columns = _shaded_part(self.shadows[bone], camera, pose)
        if rows.start < rows.stop and columns.start < columns.stop:
            part = camera.cropped(rows.start, columns.start, (rows.stop - rows.start, columns.stop - columns.start))
            hits = self.projector.scene_coordinates(part, pose[None], [bone]).numpy().reshape(2, 3, *part.image_size)
            depths = np.tensordot(pose[2, :3].astype(np.float32), hits, axes=(0, 1)) + np.float32(pose[2, 3])
            steps[:, rows, columns] = np.rint(np.nan_to_num(depths) / np.float32(DEPTH_STEP_MM))
        return steps


def _corners(bones: BoneLabels, label: int) -> FloatArray:
    """Corners (8, 3) of a box round a bone's surface, RAS mm; the surface lies less than a voxel outside the bone's voxels."""
    box = bounding_box(bones.labels == label, [0, 0, 0])
    ends = [(axis.start - 1, axis.stop) for axis in reversed(box)]
    return transform_points(bones.ijk_to_ras, np.array(list(product(*ends)), dtype=np.float64))


def _shaded_part(corners: FloatArray, camera: Camera, pose: FloatArray) -> tuple[slice, slice]:
    """Rows and columns that what lies between corners may shade, a pixel more on every side; all where it reaches up to the source."""
    size = np.array(camera.image_size)
    shadow = camera.project(transform_points(pose, corners))[:, ::-1]  # NaN for corners that are not in front of the source
    if np.isnan(shadow).any():
        return slice(0, camera.image_size[0]), slice(0, camera.image_size[1])
    first, last = np.floor(shadow.min(axis=0)) - 1, np.ceil(shadow.max(axis=0)) + 2
    (top, left), (bottom, right) = np.clip(first, 0, size).astype(int).tolist(), np.clip(last, 0, size).astype(int).tolist()
    return slice(top, bottom), slice(left, right)
