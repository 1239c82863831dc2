"""What a view shows, as an array; of the test host's views and of a real Slicer's."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import vtk_to_numpy


def pixels(view: Any) -> NDArray[np.uint8]:
    """What a view shows now.

    Args:
        view: A slice, 3D or plot view.

    Returns:
        (height, width, 3) red, green and blue.
    """
    view.renderWindow().Render()
    grabber = vtk.vtkWindowToImageFilter()
    grabber.SetInput(view.renderWindow())
    grabber.ReadFrontBufferOff()
    grabber.ShouldRerenderOff()
    grabber.Update()
    image = grabber.GetOutput()
    width, height, _ = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3].copy()
