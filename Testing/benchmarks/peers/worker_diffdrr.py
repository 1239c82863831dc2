"""DiffDRR as a worker; its argument names its renderer, trilinear or siddon."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np

from .engine import DRR, Engine, FloatImage, NotOfferedError, Patient, View, run_worker

PATCH_SIZE = 256  # pixels; DiffDRR renders larger images in patches of this size, to bound its memory


class DiffDRR(Engine):
    """DiffDRR's module with the attenuation in the place of its own density, without gradients, with its default settings."""

    def __init__(self, arguments: Sequence[str]) -> None:
        import torch

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        (self.renderer,) = arguments

    def version(self) -> str:
        """Of DiffDRR and of torch."""
        return f"DiffDRR {metadata.version('diffdrr')} on torch {metadata.version('torch')}"

    def set_patient(self, patient: Patient) -> None:
        """Make the subject; its world stays RAS, without DiffDRR's centring and reorientation."""
        import torch
        from torchio import ScalarImage, Subject

        density = torch.from_numpy(np.ascontiguousarray(patient.attenuation.transpose()))[None]
        image = ScalarImage(tensor=density, affine=patient.ijk_to_ras)
        self.subject = Subject(volume=image, density=image, mask=None, reorient=torch.eye(4))

    def set_view(self, view: View) -> None:
        """DiffDRR's image axes x and y point against ours: a half turn about the beam, and no mirror."""
        import diffdrr.drr
        import torch
        from diffdrr.pose import RigidTransform

        rows, columns = view.image_size
        x, y = view.pixel_spacing
        self.module = diffdrr.drr.DRR(
            self.subject,
            sdd=view.source_to_detector_distance,
            height=rows,
            width=columns,
            delx=x,
            dely=y,
            x0=x * (view.principal_point[0] - (columns - 1) / 2),
            y0=y * (view.principal_point[1] - (rows - 1) / 2),
            renderer=self.renderer,
            patch_size=PATCH_SIZE if rows * columns > PATCH_SIZE**2 else None,
        )
        self.pose = RigidTransform(torch.tensor(view.camera_to_ras @ np.diag([-1.0, -1.0, 1.0, 1.0]), dtype=torch.float32))

    def render(self, work: str) -> Any:
        """One forward pass."""
        import torch

        if work != DRR:
            raise NotOfferedError(f"DiffDRR has no {work}")
        with torch.inference_mode():
            return self.module(self.pose)

    def image(self, result: Any) -> FloatImage:
        """The only channel of the only view."""
        return result[0, 0].numpy()


if __name__ == "__main__":
    run_worker(DiffDRR)
