"""Geometry of common X-ray devices, to start from: a calibration of the very device is better."""

from __future__ import annotations

from dataclasses import dataclass

from .camera import Camera


@dataclass(frozen=True)
class CArmPreset:
    """An X-ray device.

    Attributes:
        name: of the device, for users.
        camera: its geometry, with the principal point in the image's middle.
        source_to_isocentre_mm: where the patient is placed along the beam: the isocentre of a C-arm that turns about one, else
            where patients usually lie.
    """

    name: str
    camera: Camera
    source_to_isocentre_mm: float


PRESETS: tuple[CArmPreset, ...] = (
    # The whole detector of the Cios Fusion in 512 x 512 pixels: what drr-simulate takes and the default model was trained for.
    CArmPreset("Mobile C-arm, 512 x 512", Camera.centred(1020.0, 0.58, (512, 512)), 700.0),
    # Focal length 5257.73 pixels of 0.194 mm: calibration of the X-rays of R. B. Grupp et al., Int J CARS 2020;15:759-769, public as
    # DeepFluoro. The C-arm moves freely; the pelves there lie about 700 mm from the source.
    CArmPreset("Siemens Cios Fusion", Camera.centred(1020.0, 0.194, (1536, 1536)), 700.0),
    # Source to detector from the DICOM header of its images (model 9900); the nominal 9 inches of the image intensifier over 1024 pixels.
    CArmPreset("GE OEC 9900, 9 inch", Camera.centred(1000.0, 0.223, (1024, 1024)), 700.0),
    # Focal spot to image receptor 1195 mm and to isocentre 810 mm: instructions for use of the Azurion, release 1.2, page 312. Pixels of
    # 154 um on 30 x 38 cm: the flat panel Trixell Pixium 4700.
    CArmPreset("Philips Azurion, 20 inch", Camera.centred(1195.0, 0.154, (1904, 2480)), 810.0),
    # Flat panel Trixell Pixium 4343; 115 cm is the focus-to-film distance of a pelvis in the European guidelines on quality criteria for
    # diagnostic radiographic images (EUR 16260, 1996). The bones lie some 15 cm above the detector.
    CArmPreset("X-ray table, 43 x 43 cm", Camera.centred(1150.0, 0.148, (2880, 2880)), 1000.0),
)
