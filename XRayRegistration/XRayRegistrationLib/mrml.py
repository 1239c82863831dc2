"""Scenes for 3D Slicer, written without Slicer: nodes as MRML (Slicer's XML), their data as files, all in one bundle (.mrb).

A bundle is a zip file that holds one folder: the scene `<name>.mrml` and `Data/` with the files that it names. Elements and attributes
are those that Slicer 5 writes; whatever is left out takes Slicer's defaults when the scene is read.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from DRRSimulatorLib.camera import FloatArray
from DRRSimulatorLib.files import atomic_path
from DRRSimulatorLib.image_file import write_image
from DRRSimulatorLib.volume_file import place_in_ras

from .point_cloud import write_polydata

_MARKUPS_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"
)


class SceneBundle:
    """Collects nodes; their data go to a folder at once, and into the bundle at the end. Methods that add a node return its id."""

    def __init__(self, folder: Path) -> None:
        """Start an empty scene whose files are collected in an existing empty folder."""
        self.folder = folder
        self._root = ElementTree.Element("MRML")
        self._counts: Counter[str] = Counter()

    def add_transform(self, name: str, to_parent: FloatArray) -> str:
        """A linear transform node: 4x4 from the transformed nodes' own coordinates to RAS mm."""
        return self._add("LinearTransform", name, matrixTransformToParent=_numbers(to_parent))

    def add_volume(
        self,
        name: str,
        voxels: npt.NDArray[Any],
        ijk_to_ras: FloatArray,
        display_range: tuple[float, float],
        transform: str | None = None,
        inverted: bool = False,
    ) -> str:
        """A grey volume [k, j, i] on orthogonal axes, under a transform node where one is given; inverted: high values are black."""
        low, high = display_range
        display = self._add(
            "VolumeDisplay",
            f"{name} display",
            "vtkMRMLScalarVolumeDisplayNode",
            colorNodeID="vtkMRMLColorTableNodeInvertedGrey" if inverted else "vtkMRMLColorTableNodeGrey",
            window=high - low,
            level=(low + high) / 2,
            autoWindowLevel=0,
        )
        file = self._file("Volume", ".nrrd")
        _write_nrrd(self.folder / file, voxels, ijk_to_ras)
        storage = self._add("VolumeArchetypeStorage", f"{name} storage", fileName=file)
        references = {"display": display, "storage": storage, "transform": transform}
        return self._add("Volume", name, "vtkMRMLScalarVolumeNode", references)

    def add_model(self, name: str, polydata: Any, transform: str | None = None, **display: Any) -> str:
        """A model of vtkPolyData in RAS mm (in the transform's coordinates where one is given), with attributes of its display node."""
        display_id = self._add("ModelDisplay", f"{name} display", **display)
        file = self._file("Model", ".vtp")
        write_polydata(self.folder / file, polydata)
        storage = self._add("ModelStorage", f"{name} storage", fileName=file, coordinateSystem="RAS")
        return self._add("Model", name, references={"display": display_id, "storage": storage, "transform": transform})

    def add_line(self, name: str, ends: Sequence[Sequence[float]], transform: str | None = None) -> str:
        """A locked markups line between two points, mm, whose ends are not marked."""
        display = self._add("MarkupsDisplay", f"{name} display", propertiesLabelVisibility="false", glyphScale=1)
        file = self._file("MarkupsLine", ".mrk.json")
        points = [{"position": list(end), "positionStatus": "defined", "visibility": False} for end in ends]
        line = {"type": "Line", "coordinateSystem": "RAS", "coordinateUnits": "mm", "locked": True, "controlPoints": points}
        (self.folder / file).write_text(json.dumps({"@schema": _MARKUPS_SCHEMA, "markups": [line]}), encoding="utf-8")
        storage = self._add("MarkupsJsonStorage", f"{name} storage", fileName=file, coordinateSystem="RAS")
        references = {"display": display, "storage": storage, "transform": transform}
        return self._add("MarkupsLine", name, references=references, locked="true")

    def set_slice_view(self, view: str, volume: str, slice_to_ras: FloatArray, extent_mm: float, in_3d: bool) -> None:
        """Show a volume in one of Slicer's slice views: "Red", "Yellow" or "Green".

        Args:
            view: name of the slice view.
            volume: id of the volume.
            slice_to_ras: 4x4 whose columns are right, up, and towards the viewer in the view, and the view's middle; RAS mm.
            extent_mm: width and height of what is shown.
            in_3d: whether the 3D views show the slice as well.
        """
        self._add(
            "Slice",
            view,
            singletonTag=view,
            layoutName=view,
            layoutLabel=view[0],
            sliceToRAS=_numbers(slice_to_ras),
            fieldOfView=f"{extent_mm} {extent_mm} 1",
            sliceVisibility=str(in_3d).lower(),
        )
        references = {"backgroundVolume": volume}
        self._add("SliceComposite", f"{view} composite", references=references, singletonTag=view, layoutName=view)

    def write(self, path: Path) -> None:
        """Write the bundle, atomically."""
        name = path.stem
        with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as bundle:
            xml = ElementTree.tostring(self._root, encoding="utf-8", xml_declaration=True)
            bundle.writestr(f"{name}/{name}.mrml", xml, zipfile.ZIP_DEFLATED)
            for file in sorted((self.folder / "Data").iterdir()):
                bundle.write(file, f"{name}/Data/{file.name}", zipfile.ZIP_STORED)  # volumes and models are compressed already

    def _add(self, tag: str, name: str, node_class: str = "", references: Mapping[str, str | None] | None = None, **attributes: Any) -> str:
        node_class = node_class or f"vtkMRML{tag}Node"
        self._counts[node_class] += 1
        singleton = attributes.get("singletonTag")
        node_id = f"{node_class}{singleton or self._counts[node_class]}"
        printable = "".join(character for character in name if character.isprintable())  # XML has no place for others
        values = {"id": node_id, "name": printable} | {key: str(value) for key, value in attributes.items()}
        if references:
            values["references"] = "".join(f"{role}:{target};" for role, target in references.items() if target)
        ElementTree.SubElement(self._root, tag, values)
        return node_id

    def _file(self, kind: str, suffix: str) -> str:
        """A new file name relative to the scene; not made from the node's name, which may hold anything."""
        self._counts[kind + suffix] += 1
        (self.folder / "Data").mkdir(exist_ok=True)
        return f"Data/{kind}_{self._counts[kind + suffix]}{suffix}"


def _numbers(matrix: FloatArray) -> str:
    return " ".join(repr(float(value)) for value in np.ravel(matrix))


def _write_nrrd(path: Path, voxels: npt.NDArray[Any], ijk_to_ras: FloatArray) -> None:
    image = sitk.GetImageFromArray(voxels)
    place_in_ras(image, ijk_to_ras)
    write_image(path, image, level=1)
