"""One X-ray of a patient together with the geometry that it was taken with."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, FloatArray
from DRRSimulatorLib.errors import InputError

from .distance import at_distance
from .xray import XRay, normalised


@dataclass(frozen=True)
class View:
    """An X-ray, its camera, and the camera's place in the rig.

    Attributes:
        xray: the image.
        camera: its intrinsic geometry; the image size must be the X-ray's.
        rig_to_camera: 4x4 from the frame common to all X-rays of the patient (a calibration's world); identity for a single one.

    Raises:
        InputError: if the camera is for images of another size.
    """

    xray: XRay
    camera: Camera
    rig_to_camera: FloatArray = field(default_factory=lambda: np.eye(4))

    def __post_init__(self) -> None:
        if self.camera.image_size != self.xray.pixels.shape:
            raise InputError(
                f"The X-ray has {self.xray.pixels.shape[0]} x {self.xray.pixels.shape[1]} pixels, but its camera is for "
                f"{self.camera.image_size[0]} x {self.camera.image_size[1]}; give the camera of this image."
            )

    @cached_property
    def image(self) -> npt.NDArray[np.float32]:
        """The normalised image [row, column]: bone bright, about 0 to 1 inside the field, 0 outside."""
        return normalised(self.xray)

    def at_distance(self, factor: float) -> View:
        """The view with a detector that is so many times as far from the source."""
        return View(self.xray, at_distance(self.camera, factor), self.rig_to_camera)

    def cropped(self, first_row: int, first_column: int, image_size: tuple[int, int]) -> View:
        """The view's image from a pixel on, as far as image_size (rows, columns)."""
        rows, columns = (slice(first, first + size) for first, size in zip((first_row, first_column), image_size, strict=True))
        camera = self.camera.cropped(first_row, first_column, image_size)
        xray = XRay(self.xray.pixels[rows, columns], self.xray.field[rows, columns], self.xray.polarity, camera)
        return View(xray, camera, self.rig_to_camera)
