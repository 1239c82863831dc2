"""A CT and the labels of its bones as files for scr-train."""

from __future__ import annotations

import json
from pathlib import Path

import SimpleITK as sitk
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.files import atomic_path
from DRRSimulatorLib.volume_file import place_in_ras


def write_bone_files(folder: Path, name: str, ct: CTVolume, bones: BoneLabels) -> tuple[Path, Path]:
    """Write a CT in HU and its label map as NRRD, and the labels' names as JSON beside the map.

    Args:
        folder: for the files.
        name: of the CT's file, without suffix.
        ct: the CT.
        bones: its bones.

    Returns:
        The CT's file and the label map's.

    Raises:
        InputError: if the folder does not exist.
    """
    ct_file, labels_file = folder / f"{name}.nrrd", folder / f"{name}_labels.nrrd"
    for file, values in ((ct_file, ct.hu.round().astype("int16")), (labels_file, bones.labels)):
        image = sitk.GetImageFromArray(values)
        place_in_ras(image, ct.ijk_to_ras)
        with atomic_path(file) as temporary:
            sitk.WriteImage(image, str(temporary), useCompression=True)
    with atomic_path(labels_file.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps({str(label): bone for label, bone in bones.names.items()}, indent=1), encoding="utf-8")
    return ct_file, labels_file
