"""nanodrr as a worker; on the CPU it runs on torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np

from .engine import DRR, Engine, FloatImage, NotOfferedError, Patient, View, run_worker


class NanoDRR(Engine):
    """nanodrr's module on the attenuation as it is, without gradients, with its default settings."""

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        import torch

        torch.set_num_threads(len(os.sched_getaffinity(0)))

    def version(self) -> str:
        """Of nanodrr and of torch."""
        return f"nanodrr {metadata.version('nanodrr')} on torch {metadata.version('torch')}"

    def set_patient(self, patient: Patient) -> None:
        """Make the subject."""
        import torch
        from nanodrr.data import Subject
        from torchio import ScalarImage

        attenuation = torch.from_numpy(np.ascontiguousarray(patient.attenuation.transpose()))[None]
        self.subject = Subject.from_images(ScalarImage(tensor=attenuation, affine=patient.ijk_to_ras), convert_to_mu=False)

    def set_view(self, view: View) -> None:
        """nanodrr has our camera axes, and puts the centre of the first pixel at (0.5, 0.5)."""
        import nanodrr.drr
        import torch

        rows, columns = view.image_size
        (x, y), distance = view.pixel_spacing, view.source_to_detector_distance
        matrix = np.array([[distance / x, 0, view.principal_point[0] + 0.5], [0, distance / y, view.principal_point[1] + 0.5], [0, 0, 1]])
        inverse = torch.tensor(np.linalg.inv(matrix)[None], dtype=torch.float32)
        self.module = nanodrr.drr.DRR(inverse, torch.tensor([distance]), rows, columns)
        self.camera_to_ras = torch.tensor(view.camera_to_ras[None], dtype=torch.float32)

    def render(self, work: str) -> Any:
        """One forward pass."""
        import torch

        if work != DRR:
            raise NotOfferedError(f"nanodrr has no {work}")
        with torch.inference_mode():
            return self.module(self.subject, self.camera_to_ras)

    def image(self, result: Any) -> FloatImage:
        """The only channel of the only view."""
        return result[0, 0].numpy()


if __name__ == "__main__":
    run_worker(NanoDRR)
