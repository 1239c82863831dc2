"""The tutorial of the documentation works, click by click, and its pictures are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from DRRSimulatorLib.camera import invert_pose, load_view

ROOT = Path(__file__).resolve().parent.parent
TUTORIAL = ROOT / "Documentation" / "tutorial.md"


def test_the_tutorial_leads_from_an_empty_scene_to_the_true_pose(views: Any, load_module: Any) -> None:
    import slicer
    from DRRSimulatorSlicer.sample_data import CAMERA_FILE
    from screenshots.tutorial import tutorial

    done = [name for name, _panel in tutorial(load_module)]
    assert done == re.findall(r"\((?:\.\./)?Resources/screenshots/(tutorial_\w+)\.png\)", TUTORIAL.read_text(encoding="utf-8"))

    camera_to_ras = slicer.util.arrayFromTransformMatrix(slicer.util.getNode("PelvisXRay camera"))
    _, true_pose = load_view(CAMERA_FILE)
    assert true_pose is not None
    assert np.abs(camera_to_ras - invert_pose(true_pose))[:3, 3].max() < 2  # mm, at the source


def test_documents_show_only_pictures_that_exist() -> None:
    documents = [ROOT / "README.md", *TUTORIAL.parent.glob("*.md")]
    links = [(file, link) for file in documents for link in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", file.read_text(encoding="utf-8"))]
    assert links and [link for file, link in links if not (file.parent / link).is_file()] == []
