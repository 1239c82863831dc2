"""The part of an X-ray in which a bone is looked for more closely."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .body import Body, Placement
from .view import View

GRID = 96  # pixels along the longer side of the image that the bone is looked for in
MARGIN = 0.12  # around the bone, share of its longer side
WORTH_CROPPING = 0.5  # share of the image's area; a larger region is no gain
SMALLEST_SIDE = 48  # pixels


def around_bones(view: View, bodies: Sequence[Body], placement: Placement) -> View:
    """A view cropped to the bones of bodies at a placement; the whole view where they fill most of it, or are not in it.

    Refinement compares images of a fixed size: of a small bone in a large X-ray it would see a few pixels only.
    """
    rows, columns = view.camera.image_size
    step = max(1.0, max(rows, columns) / GRID)
    camera = placement.camera(view.camera.resized((max(1, round(rows / step)), max(1, round(columns / step)))))
    shown = [
        np.isfinite(body.projector.scene_coordinates(camera, (view.rig_to_camera @ pose)[None]).numpy()[0]).any(axis=0)
        for body, pose in zip(bodies, placement.poses, strict=True)
    ]
    row, column = np.nonzero(np.any(shown, axis=0))
    if not len(row):
        return view
    reach = 1 + MARGIN * max(np.ptp(row), np.ptp(column))
    first = np.floor([max(row.min() - reach, 0) * step, max(column.min() - reach, 0) * step]).astype(int)
    last = np.ceil([min((row.max() + 1 + reach) * step, rows), min((column.max() + 1 + reach) * step, columns)]).astype(int)
    size = last - first
    inside = view.xray.field[first[0] : last[0], first[1] : last[1]]
    if size.min() < SMALLEST_SIDE or size.prod() > WORTH_CROPPING * rows * columns or not inside.any():
        return view
    return view.cropped(int(first[0]), int(first[1]), (int(size[0]), int(size[1])))
