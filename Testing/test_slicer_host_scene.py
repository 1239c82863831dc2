"""The test host's application, scene and file input and output against what was seen in a real 3D Slicer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest


def test_the_scene_and_the_logics_of_the_modules_are_reachable_as_in_slicer(scene: Any) -> None:
    import slicer

    assert slicer.mrmlScene is slicer.app.mrmlScene()
    assert slicer.modules.volumes.logic().IsA("vtkSlicerVolumesLogic")
    assert slicer.util.getModule("Models") is slicer.modules.models
    assert slicer.moduleNames.Volumes == "Volumes"


def test_the_functions_of_slicer_util_are_not_in_slicer_itself(scene: Any) -> None:
    import slicer

    assert not hasattr(slicer, "getNode")
    assert callable(slicer.util.getNode)


def test_a_volume_survives_being_saved_and_loaded(scene: Any, tmp_path: Path) -> None:
    import slicer

    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    volume = slicer.util.addVolumeFromArray(voxels, name="CT")
    assert slicer.util.saveNode(volume, str(tmp_path / "ct.nrrd"))
    loaded = slicer.util.loadVolume(str(tmp_path / "ct.nrrd"))
    assert loaded.GetName() == "ct"
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(loaded), voxels)


def test_a_scene_survives_being_saved_cleared_and_loaded(scene: Any, tmp_path: Path) -> None:
    import slicer

    slicer.util.addVolumeFromArray(np.zeros((2, 3, 4)), name="CT")
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    scene.Clear(False)
    assert slicer.util.loadScene(str(tmp_path / "scene.mrb")) is None  # the real reader reports no node either
    assert slicer.util.arrayFromVolume(slicer.util.getNode("CT")).shape == (2, 3, 4)


def test_a_file_that_cannot_be_read_raises(scene: Any, tmp_path: Path) -> None:
    import slicer

    with pytest.raises(RuntimeError, match="Failed to load node from file"):
        slicer.util.loadVolume(str(tmp_path / "missing.nrrd"))
