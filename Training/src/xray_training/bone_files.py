"""A CT and the labels of its bones as files for scr-train."""

from __future__ import annotations

import json
from pathlib import Path

import SimpleITK as sitk
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.files import atomic_path
from DRRSimulatorLib.image_file import write_image
from DRRSimulatorLib.volume_file import place_in_ras

_NOTE = "ITK_FileNotes"  # at most 79 characters in a NIfTI file


def write_bone_files(folder: Path, name: str, ct: CTVolume, bones: BoneLabels, suffix: str = ".nrrd", note: str = "") -> tuple[Path, Path]:
    """Write a CT in HU and its label map, and the labels' names as JSON beside the map; the CT last, so that where it is, all are.

    Args:
        folder: for the files.
        name: of the CT's file, without suffix.
        ct: the CT.
        bones: its bones.
        suffix: file format of the volumes.
        note: what the CT's file says about itself, where `read_note` finds it.

    Returns:
        The CT's file and the label map's.

    Raises:
        InputError: if the folder does not exist.
    """
    ct_file, labels_file = folder / f"{name}{suffix}", folder / f"{name}_labels{suffix}"
    with atomic_path(folder / f"{name}_labels.json") as temporary:
        temporary.write_text(json.dumps({str(label): bone for label, bone in bones.names.items()}, indent=1), encoding="utf-8")
    for file, values in ((labels_file, bones.labels), (ct_file, ct.hu.round().astype("int16"))):
        image = sitk.GetImageFromArray(values)
        place_in_ras(image, ct.ijk_to_ras)
        if note and file == ct_file:
            image.SetMetaData(_NOTE, note)
        write_image(file, image)
    return ct_file, labels_file


def read_note(ct_file: Path) -> str:
    """What a CT's file says about itself; empty where it says nothing, or cannot be read."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(ct_file))
    try:
        reader.ReadImageInformation()
        return str(reader.GetMetaData(_NOTE))
    except RuntimeError:
        return ""
