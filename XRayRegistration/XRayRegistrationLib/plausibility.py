"""Doubts about the geometry of an X-ray, as questions to the user: wrong numbers still give a pose, but a wrong one.

A distance or pixel spacing that is wrong by a tenth puts the bone several centimeters too near or too far, and the simulated X-ray
looks right all the same. Nothing in the image tells, so the numbers are compared with what X-ray systems have.
"""

from __future__ import annotations

import math

from DRRSimulatorLib.camera import Camera

from .model import ModelDescription

DISTANCES_MM = (500.0, 2000.0)  # source to detector: from mini C-arms, about 500, to chest stands, 1800
DETECTORS_MM = (80.0, 500.0)  # longer side: from cropped images to flat panels of 430 mm, and some margin
WIDTH_RATIO = 2.0  # an image this much wider or narrower than the training's shows the network another scene


def questions(camera: Camera, description: ModelDescription | None = None) -> list[str]:
    """What should be checked before a registration with this geometry.

    Args:
        camera: of the X-ray.
        description: of the model that will be used; without it, nothing is compared with its training.

    Returns:
        Whole sentences, each with the numbers in question; empty if nothing is unusual.
    """
    asked = [_about_distance(camera), _about_detector(camera), _about_principal_point(camera)]
    if description is not None:
        asked.append(_about_training(camera, description.camera))
    return [question for question in asked if question]


def _about_distance(camera: Camera) -> str:
    distance = camera.source_to_detector_distance
    low, high = DISTANCES_MM
    if low <= distance <= high:
        return ""
    return (
        f"The source-to-detector distance is {distance:.4g} mm, but X-ray systems have {low:.0f} to {high:.0f} mm. "
        f"Is it the whole distance from the source to the detector, in millimeters{_other_unit(distance, DISTANCES_MM)}?"
    )


def _about_detector(camera: Camera) -> str:
    width, height = _size(camera)
    low, high = DETECTORS_MM
    if low <= max(width, height) <= high:
        return ""
    return (
        f"The image measures {width:.4g} x {height:.4g} mm on the detector, but detectors measure {low:.0f} to {high:.0f} mm. "
        "Is the pixel spacing that at the detector (at the patient it is smaller), in millimeters"
        f"{_other_unit(max(width, height), DETECTORS_MM)}?"
    )


def _about_principal_point(camera: Camera) -> str:
    (column, row), (rows, columns) = camera.principal_point, camera.image_size
    beside, above = (max(0.0, -0.5 - place, place - size + 0.5) for place, size in ((column, columns), (row, rows)))
    outside = math.hypot(beside * camera.pixel_spacing[0], above * camera.pixel_spacing[1])
    if outside < 1:
        return ""
    return (
        f"The perpendicular from the source meets the detector {outside:.4g} mm outside the image. "
        "Was the image cropped, or is the principal point that of an image of another size?"
    )


def _about_training(camera: Camera, trained: Camera) -> str:
    distance, trained_width = trained.source_to_detector_distance, max(_size(trained))
    # Only the image's size as seen from the source matters to the network, so it is compared at one distance.
    width = max(_size(camera)) * distance / camera.source_to_detector_distance
    if trained_width / WIDTH_RATIO <= width <= trained_width * WIDTH_RATIO:
        return ""
    return (
        f"The image covers {width:.4g} mm at {distance:.4g} mm from the source, but the model was trained with images that cover "
        f"{trained_width:.4g} mm there. Are the distance and the pixel spacing right, or does the model need to be trained for this C-arm?"
    )


def _other_unit(length: float, usual_mm: tuple[float, float]) -> str:
    """The unit in which a length would be a usual one, as words that follow "in millimeters"."""
    for unit, in_mm in (("centimeters", 10.0), ("meters", 1000.0), ("micrometers", 0.001)):
        if usual_mm[0] <= length * in_mm <= usual_mm[1]:
            return f" and not in {unit}"
    return ""


def _size(camera: Camera) -> tuple[float, float]:
    """Width and height on the detector, mm."""
    rows, columns = camera.image_size
    return columns * camera.pixel_spacing[0], rows * camera.pixel_spacing[1]
