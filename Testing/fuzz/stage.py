"""A scene in the test host with results of registrations, whose attributes are set to what a case holds, and read as the panels do."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from DRRSimulatorLib.camera import FloatArray, is_rigid
from DRRSimulatorLib.errors import InputError
from XRayRegistrationLib.register import Registration

from .corpus_scene import CAMERA_FILE, GEOMETRY, MATRIX, NUMBERS, matrices_of, names_of, numbers_of, patient, registrations
from .guard import check


class Stage:
    """The nodes of one result."""

    def __init__(self, registration: Registration) -> None:
        start_host()
        import slicer
        from DRRSimulatorSlicer import nodes
        from XRayRegistrationSlicer.appearance import Appearance
        from XRayRegistrationSlicer.registration import Outcome, Sources
        from XRayRegistrationSlicer.results import showResult

        self.whole = [slicer.util.vtkMatrixFromArray(matrix) for matrix in matrices_of(registration)]
        ct = slicer.util.addVolumeFromArray(patient().ct.hu, patient().ct.ijk_to_ras, "CT")
        self.xrays = [
            slicer.util.addVolumeFromArray(view.xray.pixels[None], np.eye(4), name)
            for view, name in zip(registration.views, names_of(registration), strict=True)
        ]
        for node, view in zip(self.xrays, registration.views, strict=True):
            nodes.setGeometry(node, view.camera, view.rig_to_camera)
        corners = np.array([[5.0, 5.0], [20.0, 5.0], [20.0, 20.0]])
        seen = tuple(Appearance(view.xray.pixels.astype(np.float32), view.camera, {"femur": [corners]}) for view in registration.views)
        sources = Sources(tuple(self.xrays), ct, None, True)
        numbers = numbers_of(registration)
        self.table = showResult(Outcome(sources, registration.views, registration.ras_to_rig, patient(), numbers, seen, None)).table

    def load(self, folder: Path) -> None:
        """Let the nodes hold what files say, as if the scene had been saved with it."""
        from DRRSimulatorSlicer.carm import CAMERA_ATTRIBUTE
        from DRRSimulatorSlicer.nodes import GEOMETRY_ATTRIBUTE
        from XRayRegistrationSlicer.result import NUMBERS_ATTRIBUTE, RegistrationResult

        carms = RegistrationResult(self.table).carms
        for carm, matrix in zip(carms, self.whole, strict=True):
            carm.transformNode.SetMatrixTransformToParent(matrix)
        carms[-1].transformNode.SetMatrixTransformToParent(_matrix(folder / MATRIX))
        attributes = (
            (self.table, NUMBERS_ATTRIBUTE, NUMBERS),
            (carms[-1].transformNode, CAMERA_ATTRIBUTE, CAMERA_FILE),
            (self.xrays[-1], GEOMETRY_ATTRIBUTE, GEOMETRY),
        )
        for node, attribute, name in attributes:
            text = _text(folder / name)
            node.RemoveAttribute(attribute) if text is None else node.SetAttribute(attribute, text)

    def read(self) -> None:
        """Read all that the panels read of the X-ray and of its result."""
        from DRRSimulatorSlicer import nodes
        from XRayRegistrationSlicer.adjustment import Adjustment
        from XRayRegistrationSlicer.comparison import drawCheckerboard
        from XRayRegistrationSlicer.export import exportedNumbers
        from XRayRegistrationSlicer.position import positionOf
        from XRayRegistrationSlicer.results import findResult, problemOfResult
        from XRayRegistrationSlicer.table import fillTable

        xray = self.xrays[-1]
        known = nodes.geometry(xray)
        check(known is None or (np.isfinite(known[0].matrix).all() and (known[1] is None or is_rigid(known[1]))))
        result = findResult(xray)
        if result is None:
            raise InputError(problemOfResult(xray) or "A part of the result is missing.")
        names = [view["xray"] for view in result.numbers["views"]]
        check(result.verdict.reason and result.sources().forceCPU in (True, False) and len(names) == len(self.xrays))
        fillTable(result)
        json.dumps(exportedNumbers(result), allow_nan=False)
        check(is_rigid(result.rasToRig()) and is_rigid(positionOf(xray, result.ctNode)))
        drawCheckerboard(result.carms[-1], names[-1], 8)
        adjustment = Adjustment(result, patient(), len(self.xrays) - 1)
        check(np.isfinite(adjustment.motion).all())
        adjustment.move([1, 2, 3, 4, 5, 6])
        check(result.movedByHand())
        fillTable(result)


def start_host() -> None:
    """Start the test host, once."""
    from slicer_host.application import start

    start()


@cache
def _stages() -> dict[str, Stage]:
    return {name: Stage(registration) for name, registration in registrations().items()}


def read_scene(folder: Path) -> None:
    """Read a case."""
    from slicer_host import strictness

    stage = _stages()[folder.name]
    stage.load(folder)
    try:
        stage.read()
    finally:
        errors = strictness.take_errors()
    check(not errors)


def _text(path: Path) -> str | None:
    """What an attribute holds; MRML, which is XML, has no NUL. None where there is no attribute."""
    return path.read_bytes().decode("utf-8", "replace").replace("\0", "") if path.exists() else None


def _matrix(path: Path) -> Any:
    """The 16 numbers of a transform; 0 for what is none, as MRML's reader has it."""
    import slicer

    words = (_text(path) or "").split()[:16]
    values: FloatArray = np.array([_number(word) for word in words] + [0.0] * (16 - len(words)))
    return slicer.util.vtkMatrixFromArray(values.reshape(4, 4))


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return 0.0
