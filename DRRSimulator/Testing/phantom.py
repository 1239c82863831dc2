"""A small CT of a box of water with a ball of bone, lying obliquely, for tests of nodes and panels."""

from __future__ import annotations

from typing import Any

import numpy as np
from scene_nodes import add_volume

SHAPE = (44, 50, 48)  # [k, j, i]
IJK_TO_RAS = np.array([[-2.4, 0.7, 0, 60], [-0.7, -2.4, 0, 80], [0, 0, 2.5, 900], [0, 0, 0, 1]])
BONE_IJK, MARKER_IJK = np.array([26.0, 22.0, 20.0]), np.array([12.0, 31.0, 9.0])


def add_phantom(marked: bool = False) -> Any:
    """The CT as a node of the scene; with a dense marker on request."""
    indices = np.stack(np.indices(SHAPE)[::-1], axis=-1)
    hu = np.full(SHAPE, -1000.0, dtype=np.float32)
    hu[4:-4, 4:-4, 4:-4] = 40
    hu[np.linalg.norm(indices - BONE_IJK, axis=-1) < 6] = 800
    if marked:
        hu += 3000 * np.exp(-0.5 * (np.linalg.norm(indices - MARKER_IJK, axis=-1) / 1.2) ** 2)
    node = add_volume(hu, ijk_to_ras=IJK_TO_RAS)
    node.SetName("phantom")
    return node
