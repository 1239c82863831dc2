"""The color table that Slicer reads from its resource files, which slicer-core lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

# Viridis at every tenth of its range (Stefan van der Walt and Nathaniel Smith, CC0), linear in between.
VIRIDIS = np.array([
    (0.267, 0.005, 0.329), (0.283, 0.141, 0.458), (0.254, 0.265, 0.530), (0.207, 0.372, 0.553), (0.164, 0.471, 0.558),
    (0.128, 0.567, 0.551), (0.135, 0.659, 0.518), (0.267, 0.749, 0.441),
    (0.478, 0.821, 0.318), (0.741, 0.873, 0.150), (0.993, 0.906, 0.144),
])  # fmt: skip


def add_viridis(scene: Any) -> None:
    """Adds ``vtkMRMLColorTableNodeFileViridis.txt``; it stays when the scene is closed, as in Slicer."""
    node = slicer.vtkMRMLColorTableNode()
    node.SetName("Viridis")
    node.SetSingletonTag("FileViridis.txt")
    node.SetTypeToUser()
    node.SetNumberOfColors(256)
    places = np.linspace(0, 10, 256)
    for index, color in enumerate(np.stack([np.interp(places, range(11), channel) for channel in VIRIDIS.T], axis=1)):
        node.SetColor(index, *color.tolist())
    node.SetSaveWithScene(False)
    scene.AddNode(node)
