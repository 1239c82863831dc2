"""Whether this machine can render without a screen: without a usable EGL, VTK ends in a segmentation fault, not in an exception."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

PROBE = """
import vtk
window = vtk.vtkEGLRenderWindow()
window.SetOffScreenRendering(True)
window.SetSize(8, 8)
renderer = vtk.vtkRenderer()
renderer.SetBackground(1, 0, 0)
window.AddRenderer(renderer)
window.Render()
pixels = vtk.vtkUnsignedCharArray()
window.GetPixelData(0, 0, 7, 7, False, pixels, 0)
assert pixels.GetTuple3(0) == (255, 0, 0), "the rendered pixel is not red"
"""


@functools.cache
def why_no_views() -> str:
    """The reason why nothing can be rendered here, empty if it can; found out in another process, once."""
    try:
        probe = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return "rendering one picture without a screen took more than 2 minutes"
    if probe.returncode == 0:
        return ""
    return f"OpenGL does not work without a screen (EGL) here: rendering a picture ended with the exit code {probe.returncode}"


def use_offscreen_windows() -> None:
    """Makes every new render window of VTK one without a screen."""
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
