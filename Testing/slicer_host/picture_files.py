"""PNG, TIFF and JPEG files as volumes, as Slicer's volume reader makes them: slicer-core is built without these formats."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer

ENDINGS = (".png", ".tif", ".tiff", ".jpg", ".jpeg")


def load_picture(scene: Any, path: Path, name: str, single_file: bool) -> Any:
    """Adds a picture, or a stack of numbered ones, to the scene.

    Args:
        scene: The scene.
        path: The file.
        name: Of the node.
        single_file: False to take the pictures of the same folder whose names differ in one number as further slices, as
            Slicer does unless it is told otherwise.

    Returns:
        A scalar volume node of one value a pixel or a vector volume node of several; None if a file could not be read.
    """
    paths = [path] if single_file else numbered_siblings(path)
    try:
        slices = [sitk.ReadImage(str(one)) for one in paths]
    except RuntimeError:
        return None
    voxels = np.stack([np.squeeze(sitk.GetArrayFromImage(image)) for image in slices])
    kind = "vtkMRMLScalarVolumeNode" if slices[0].GetNumberOfComponentsPerPixel() == 1 else "vtkMRMLVectorVolumeNode"
    volume = scene.AddNewNodeByClass(kind, scene.GetUniqueNameByString(name))
    slicer.util.updateVolumeFromArray(volume, voxels)
    volume.SetSpacing(*slices[0].GetSpacing()[:2], 1.0)
    volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    volume.CreateDefaultDisplayNodes()
    volume.AddDefaultStorageNode(str(path))
    return volume


def numbered_siblings(path: Path) -> list[Path]:
    """The files of the folder whose names differ from the given one in one number, in its order; of several such numbers the busiest."""
    series = [[path]]
    for number in re.finditer(r"\d+", path.stem):
        pattern = re.compile(re.escape(path.name[: number.start()]) + r"(\d+)" + re.escape(path.name[number.end() :]))
        matches = [(match, sibling) for sibling in path.parent.iterdir() if (match := pattern.fullmatch(sibling.name))]
        series.append([sibling for _, sibling in sorted(matches, key=lambda pair: int(pair[0][1]))])
    return max(series, key=len)
