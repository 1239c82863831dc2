"""The CT's bone over an X-ray: its outline at a pose, and pictures to judge the pose by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, FloatArray
from DRRSimulatorLib.files import atomic_path

from .body import CastsRays
from .view import View
from .xray import XRay, as_in_xray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DISPLAY_SIDE = 512  # pixels of DRRs and outlines along the longer side
SHORTEST_CONTOUR = 12  # points, about as many as pixels; shorter ones are specks in the segmentation
PANEL_INCHES, TITLE_INCHES, CAPTION_INCHES, DOTS_PER_INCH = 4.6, 0.25, 0.3, 110

FOUND_COLOUR, REFERENCE_COLOUR = "#ffd60a", "#00e5ff"


@dataclass(frozen=True)
class Panel:
    """A part of a picture.

    Attributes:
        title: above it.
        image: attenuation [row, column], 0 to 1, over the whole detector.
        contours: lines (N, 2) over it, as (column, row) in pixels of the X-ray's camera.
        colour: of the lines.
    """

    title: str
    image: npt.NDArray[np.float32]
    contours: list[FloatArray]
    colour: str = FOUND_COLOUR


def display_camera(camera: Camera, longer_side: int = DISPLAY_SIDE) -> Camera:
    """The camera with at most so many pixels along its longer side."""
    scale = min(1.0, longer_side / max(camera.image_size))
    rows, columns = camera.image_size
    return camera.resized((max(1, round(rows * scale)), max(1, round(columns * scale))))


def outlines(projector: CastsRays, camera: Camera, ras_to_camera: FloatArray, longer_side: int = DISPLAY_SIDE) -> list[list[FloatArray]]:
    """The outline of every bone as the X-ray shows it at a pose.

    Args:
        projector: of the patient's CT.
        camera: of the X-ray.
        ras_to_camera: 4x4 pose.
        longer_side: pixels of the image that outlines are found in, at most; fewer are faster and coarser.

    Returns:
        For each of the projector's bones its contours, each (N, 2) as (column, row) in pixels of the camera. A contour ends where it
        begins, or at the image's edge; a bone out of view has none.
    """
    from contourpy import contour_generator
    from scipy.ndimage import gaussian_filter

    coarse = display_camera(camera, longer_side)
    entries = projector.scene_coordinates(coarse, ras_to_camera[None]).numpy()[0, ::6]
    scale = np.array(camera.image_size[::-1]) / coarse.image_size[::-1]
    found = []
    for entry in entries:
        shadow = gaussian_filter(np.isfinite(entry).astype(np.float32), 0.7, mode="nearest")  # takes the pixels' steps out
        contours = [np.asarray(line) for line in contour_generator(z=shadow).lines(0.5)]
        found.append([(contour + 0.5) * scale - 0.5 for contour in contours if len(contour) >= SHORTEST_CONTOUR])
    return found


def comparison_drr(
    projector: CastsRays, camera: Camera, ras_to_camera: FloatArray, longer_side: int = DISPLAY_SIDE
) -> npt.NDArray[np.float32]:
    """DRR at a pose in the pixels of `display_camera`: line integrals [row, column], dimensionless."""
    coarse = display_camera(camera, longer_side)
    integrals: npt.NDArray[np.float32] = projector.line_integrals(coarse, ras_to_camera[None]).numpy()[0].sum(axis=0)
    return integrals


def drr_like_xray(drr: npt.NDArray[np.float32], xray: XRay) -> npt.NDArray[np.float32]:
    """A DRR of line integrals [row, column] in the pixel values of an X-ray of the same detector, for comparing them side by side.

    In the X-ray's field its 2nd and 98th percentile become those of the X-ray's attenuation.
    """
    rows, columns = ((np.arange(count) + 0.5) * size / count for count, size in zip(drr.shape, xray.image_size, strict=True))
    field = xray.field[np.ix_(rows.astype(int), columns.astype(int))]
    low, high = np.percentile(drr[field] if field.any() else drr, (2, 98))
    return as_in_xray((drr - low) / max(high - low, 1e-6), xray)


def display_range(pixels: npt.NDArray[np.float32], intensity: bool) -> tuple[float, float]:
    """Values to show as black and white. The open beam beside the body may be far brighter than all behind it: it is cut off."""
    low, middle, high = np.percentile(pixels, (0.5, 50, 99.5)).tolist()
    return low, min(high, low + 3 * (middle - low)) if intensity else high


def write_overlay(
    path: Path, view: View, projector: CastsRays, ras_to_camera: FloatArray, caption: str, reference: FloatArray | None = None
) -> None:
    """Write a PNG picture: the X-ray with the bone's outline at a pose, the DRR at this pose, and the outline at a reference pose.

    Args:
        path: file to write.
        view: the X-ray; it is shown the way round and with the polarity that it has, normalised as the network sees it.
        projector: of the patient's CT.
        ras_to_camera: 4x4 pose found.
        caption: text below the panels.
        reference: 4x4 pose known to be true, where there is one; it adds a panel.
    """
    drr = comparison_drr(projector, view.camera, ras_to_camera)
    low, high = np.percentile(drr, (2, 98))
    found = outlines(projector, view.camera, ras_to_camera)
    panels = overlay_panels(view, [line for lines in found for line in lines], (drr - low) / max(high - low, 1e-6))
    if reference is not None:
        true = outlines(projector, view.camera, reference)
        panels.append(Panel("Outline at the reference pose", panels[0].image, [line for lines in true for line in lines], REFERENCE_COLOUR))
    write_panels(path, view, panels, caption)


def overlay_panels(view: View, contours: list[FloatArray], drr: npt.NDArray[np.float32]) -> list[Panel]:
    """The X-ray with outlines (N, 2) in pixels of its camera, and the DRR beside it, as attenuation from 0 to 1."""
    return [
        Panel("Outline of the CT's bone at the pose found", _xray_image(view), contours),
        Panel("X-ray simulated from the CT at this pose", drr, []),
    ]


def write_panels(path: Path, view: View, panels: Sequence[Panel], caption: str) -> None:
    """Write a PNG picture of panels beside each other, with a text below them.

    Args:
        path: file to write.
        view: the X-ray whose detector all panels show; they get its polarity.
        panels: from left to right.
        caption: the text.
    """
    from matplotlib.figure import Figure

    height, width = (size * spacing for size, spacing in zip(view.camera.image_size, view.camera.pixel_spacing[::-1], strict=True))
    image_inches = PANEL_INCHES * height / width
    figure = Figure((len(panels) * PANEL_INCHES, TITLE_INCHES + image_inches + CAPTION_INCHES), dpi=DOTS_PER_INCH)
    bottom, top = CAPTION_INCHES / figure.get_figheight(), image_inches / figure.get_figheight()
    for number, panel in enumerate(panels):
        axes = figure.add_axes(((number + 0.01) / len(panels), bottom, 0.98 / len(panels), top))
        axes.set_title(panel.title, fontsize=9)
        _show(axes, panel.image, view)
        _draw(axes, panel.contours, panel.colour)
    figure.text(0.5, bottom / 2, caption, fontsize=8, horizontalalignment="center", verticalalignment="center")
    with atomic_path(path) as temporary:
        figure.savefig(temporary)


def _xray_image(view: View) -> npt.NDArray[np.float32]:
    """The normalised X-ray; outside its field black when shown."""
    return np.where(view.xray.field, view.image, np.float32(view.xray.polarity == "intensity"))


def _show(axes: Axes, image: npt.NDArray[np.float32], view: View) -> None:
    """Draw attenuation from 0 to 1 over the detector, in the coordinates of the camera's pixels and the X-ray's polarity."""
    rows, columns = view.camera.image_size
    axes.imshow(
        image,
        cmap="gray_r" if view.xray.polarity == "intensity" else "gray",
        interpolation_stage="data",  # colours only the pixels of the picture, not the many more of the image
        vmin=0,
        vmax=1,
        extent=(-0.5, columns - 0.5, rows - 0.5, -0.5),
        aspect=view.camera.pixel_spacing[1] / view.camera.pixel_spacing[0],
    )
    axes.set_axis_off()


def _draw(axes: Axes, contours: list[FloatArray], colour: str) -> None:
    from matplotlib.collections import LineCollection

    axes.add_collection(LineCollection(contours, colors=colour, linewidths=0.9), autolim=False)
