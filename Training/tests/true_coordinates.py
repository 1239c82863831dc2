"""A stand-in for what a trained network finds."""

from __future__ import annotations

import numpy as np
import pytest
from xray_training.suites import Case, Patient
from XRayRegistrationLib import register
from XRayRegistrationLib.pose import Correspondences


def use_true_coordinates(monkeypatch: pytest.MonkeyPatch, case: Case, patient: Patient, noise_mm: float) -> None:
    """Let the projector's scene coordinates, with noise, stand for what a network finds."""
    camera = case.view.camera.resized((32, 32))
    entry = patient.projector.scene_coordinates(camera, case.ras_to_camera[None]).numpy()[0, :3]
    row, column = np.nonzero(np.isfinite(entry[0]))
    points = entry[:, row, column].T + np.random.default_rng(0).normal(0, noise_mm, (len(row), 3))
    found = Correspondences(np.stack([column, row], axis=1).astype(float), points, np.full(len(row), noise_mm), camera)
    monkeypatch.setattr(register, "find_correspondences", lambda *arguments: [found])
