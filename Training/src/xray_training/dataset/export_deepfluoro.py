"""Export of a data set to one HDF5 file in the layout of the DeepFluoro data set, as `xray_training.deepfluoro` reads it.

R. B. Grupp et al., "Automatic annotation of hip anatomy in fluoroscopy for robust and efficient 2D/3D registration", International
Journal of Computer Assisted Radiology and Surgery 15, 2020. Every patient is a specimen; one camera is for all of them.

    proj-params/{intrinsic, extrinsic, num-rows, num-cols, pixel-row-spacing, pixel-col-spacing}
    <patient>/vol/{pixels, spacing, origin, dir-mat}               CT in HU, [k, j, i], LPS mm
    <patient>/vol-seg/image/{pixels, spacing, origin, dir-mat}     labels of the bones
    <patient>/vol-seg/labels-def/<label>                           their names, as that data set has them
    <patient>/projections/<view>/image/pixels                      float32 (rows, columns): 50000 * intensity, open field 1, bone dark
    <patient>/projections/<view>/gt-poses/cam-to-pelvis-vol        4x4, the same for all bones: in these X-rays they move as one
    <patient>/projections/<view>/rot-180-for-up                    0

As in that data set, images are stored as seen from the detector with a border of 50 pixels on each side, which readers cut off (here it
is 0), z points towards the source, and poses are those of a CT that is shifted by half a voxel along each axis.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, FloatArray, invert_pose
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.files import atomic_path
from DRRSimulatorLib.progress import ShowProgress

from ..deepfluoro import BORDER_PIXELS
from ..optional import optional_package
from .selection import ChosenViews
from .stored import StoredPatient

# Names of bones in that data set, for those of TotalSegmentator. Others are kept.
NAMES = {"hip_left": "left-hemipelvis", "hip_right": "right-hemipelvis", "femur_left": "left-femur", "femur_right": "right-femur"}

SPARE_BYTES = 1 << 20  # of the disk, for what HDF5 writes besides arrays

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # its own inverse
_FROM_SOURCE = np.diag([-1.0, 1.0, -1.0, 1.0])  # from a camera that looks at the source, and back


def export_deepfluoro(chosen: Sequence[ChosenViews], output: Path, show: ShowProgress) -> None:
    """Write views to a file, which appears when it is complete.

    Args:
        chosen: the views.
        output: the file.
        show: is called after every view; what it raises ends the export and leaves nothing of it.

    Raises:
        InputError: if the file cannot be written, h5py is missing, or a view is damaged.
    """
    h5py = optional_package("h5py", "h5py")
    camera = chosen[0].patient.camera
    if any(views.patient.camera != camera for views in chosen):
        raise InputError("One file holds X-rays of one camera, but these patients' have several; export them one by one.")
    with atomic_path(output) as temporary:
        try:
            with h5py.File(temporary, "w") as file:
                _write_camera(file, camera)
                done = 0
                for views in chosen:
                    _require_space(output, sum(views.patient.arrays[name].nbytes for name in ("ct", "labels")))
                    half_voxel = _write_patient(file, views)
                    for number in views.numbers:
                        file.flush()  # lest it be written, or fail to be, unnoticed and much later
                        _require_space(output, 4 * (camera.image_size[0] + 2 * BORDER_PIXELS) * (camera.image_size[1] + 2 * BORDER_PIXELS))
                        _write_view(file, views.patient, number, half_voxel)
                        done += 1
                        show(done, "")
        except OSError as error:
            raise InputError(f"{output} cannot be written: {error}.") from error


def _require_space(output: Path, size: int) -> None:
    """Refuse to go on where so many bytes may not fit: HDF5 takes the whole process down with it when it meets a full disk.

    Raises:
        InputError: if the disk is about full.
    """
    if shutil.disk_usage(output.parent).free < size + SPARE_BYTES:
        raise InputError(f"The disk is too full for {output}; make room or choose another place. Nothing of it was kept.")


def _write_camera(file: Any, camera: Camera) -> None:
    """The camera as it sees from the detector, of the images with their border."""
    rows, columns = (size + 2 * BORDER_PIXELS for size in camera.image_size)
    seen = camera.cropped(-BORDER_PIXELS, -BORDER_PIXELS, (rows, columns))
    (fx, fy), (column, row) = seen.focal_lengths, seen.principal_point
    parameters = {
        "intrinsic": np.array([[-fx, 0, columns - 1 - column], [0, -fy, row], [0, 0, 1]]),
        "extrinsic": np.eye(4),
        "num-rows": rows,
        "num-cols": columns,
        "pixel-row-spacing": camera.pixel_spacing[1],
        "pixel-col-spacing": camera.pixel_spacing[0],
    }
    for name, value in parameters.items():
        file[f"proj-params/{name}"] = value


def _write_patient(file: Any, views: ChosenViews) -> FloatArray:
    """Write a patient's CT and bones; the 4x4 shift (LPS) by half a voxel that its poses have."""
    patient = views.patient
    ct, bones = patient.ct(), patient.bone_labels()
    spacing, direction = _write_volume(file, f"{patient.name}/vol", np.rint(ct.hu).astype(np.int16), ct.ijk_to_ras)
    _write_volume(file, f"{patient.name}/vol-seg/image", bones.labels, bones.ijk_to_ras)
    for label, name in bones.names.items():
        file[f"{patient.name}/vol-seg/labels-def/{label}"] = NAMES.get(name, name)
    for name in ("source", "licence"):
        file[patient.name].attrs[name] = patient.attributes.get(name, "not stated")
    half_voxel = np.eye(4)
    half_voxel[:3, 3] = direction @ spacing / 2
    return half_voxel


def _write_volume(file: Any, place: str, voxels: npt.NDArray[Any], ijk_to_ras: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Write voxels [k, j, i] and their grid; its spacing (3,) in mm and its axes (3, 3) in LPS."""
    ijk_to_lps = _LPS_TO_RAS @ ijk_to_ras
    spacing: FloatArray = np.linalg.norm(ijk_to_lps[:3, :3], axis=0)
    direction: FloatArray = ijk_to_lps[:3, :3] / spacing
    group = file.create_group(place)
    group.create_dataset("pixels", data=voxels, compression="gzip", shuffle=True)
    group["spacing"], group["origin"], group["dir-mat"] = spacing[:, None], ijk_to_lps[:3, 3:], direction
    return spacing, direction


def _write_view(file: Any, patient: StoredPatient, number: int, half_voxel: FloatArray) -> None:
    group = file.create_group(f"{patient.name}/projections/{number:05d}")
    pixels = np.pad(patient.read("image", number)[:, ::-1].astype(np.float32), BORDER_PIXELS)
    group.create_dataset("image/pixels", data=pixels, compression="gzip", shuffle=True)
    camera_to_volume = invert_pose(_FROM_SOURCE @ patient.ras_to_camera[number] @ _LPS_TO_RAS)
    group["gt-poses/cam-to-pelvis-vol"] = half_voxel @ camera_to_volume
    group["rot-180-for-up"] = 0
