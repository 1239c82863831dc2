"""The distance from the source to the detector where it is not known for sure."""

from __future__ import annotations

from dataclasses import replace

from DRRSimulatorLib.camera import Camera

# How far the distance that was given may be off, as a standard deviation of its logarithm: from memory, or of another examination.
UNCERTAINTY = 0.1

# Errors of distances that were found are as many times larger than the curvature of the squares says, whose terms are not independent:
# root mean square over 24 registrations of single views, from the network's points and from images alike.
SDD_OPTIMISM = 10.0


def at_distance(camera: Camera, factor: float) -> Camera:
    """A camera whose detector is so many times as far from the source."""
    return replace(camera, source_to_detector_distance=factor * camera.source_to_detector_distance)
