"""A short soak: what each registration makes is gone, or used again, by the next. `Testing/soak.py` runs the long one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import soak
from DRRSimulatorLib.errors import InputError
from pelvis_case import CAMERA, PelvisCase
from registration_scene import add_ct, add_xray
from XRayRegistrationLib.register import register
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="memory is read as Linux tells it")
REGISTRATIONS = 12


def readings(prepare: soak.Prepare, count: int) -> list[soak.Reading]:
    return list(soak.soak(prepare, range(1, count + 1), count_every=1))


def check_counts(found: list[soak.Reading], first: int) -> None:
    """Nothing is more from some registration on."""
    for reading in found[first:]:
        assert reading.counts == found[first].counts


def test_registrations_by_the_library_pile_nothing_up(pelvis: PelvisCase) -> None:
    """The last two are refined: that takes ten times as long."""
    from XRayRegistrationLib.refine import Refiner

    refiner = Refiner(pelvis.patient.projector, pelvis.model.description.centre_ras, pelvis.patient.ct)

    def prepare(number: int) -> Callable[[], dict[str, int]]:
        view = View(XRay.from_pixels(pelvis.pixels(number % 2), "intensity"), CAMERA)
        refined = number in (2, REGISTRATIONS - 1, REGISTRATIONS)

        def register_view() -> dict[str, int]:
            register([view], pelvis.patient.ct, pelvis.model, refiner if refined else None)
            return {}

        return register_view

    found = readings(prepare, REGISTRATIONS)
    check_counts(found, 2)
    assert soak.summary(found)["growth_percent"] < 5


def test_registrations_in_a_scene_use_their_nodes_again_and_add_no_observers(logic: Any, pelvis: PelvisCase) -> None:
    ct, xray = add_ct(pelvis.patient.ct), add_xray(pelvis.pixels())
    logic.setGeometry(xray, CAMERA)

    def prepare(number: int) -> Callable[[], dict[str, int]]:
        import slicer

        slicer.util.updateVolumeFromArray(xray, pelvis.pixels(number % 2)[None])

        def register_node() -> dict[str, int]:
            logic.registerXRay(xray, ct, refine=False)
            return soak.scene_counts()

        return register_node

    found = readings(prepare, 5)
    assert found[0].counts["nodes"] > 5 and found[0].counts["observers"] > 5
    check_counts(found, 1)


def test_results_that_are_removed_leave_no_observer_behind(logic: Any, pelvis: PelvisCase) -> None:
    ct, xray = add_ct(pelvis.patient.ct), add_xray(pelvis.pixels())
    logic.setGeometry(xray, CAMERA)
    counts = []
    for _ in range(3):
        logic.registerXRay(xray, ct, refine=False)
        logic.removeResult(xray)
        counts.append(soak.scene_counts())
    assert counts[0] == counts[1] == counts[2]


@pytest.fixture
def leaking() -> Iterator[list[Any]]:
    kept: list[Any] = []
    yield kept
    kept.clear()


def test_a_leak_of_memory_would_be_seen(leaking: list[Any]) -> None:
    def prepare(number: int) -> Callable[[], dict[str, int]]:
        return lambda: leaking.append(b"x" * 8_000_000) or {}  # type: ignore[func-returns-value]

    assert soak.summary(list(soak.soak(prepare, range(1, 61))))["growth_percent"] > 1


def test_a_leak_of_tensors_nodes_and_observers_would_be_seen(leaking: list[Any], scene: Any) -> None:
    import torch

    def prepare(number: int) -> Callable[[], dict[str, int]]:
        def leak() -> dict[str, int]:
            leaking.append(torch.zeros(1))
            node = scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
            node.AddObserver("ModifiedEvent", lambda *unused: None)
            return soak.scene_counts()

        return leak

    first, *_, last = readings(prepare, 3)
    assert {name: last.counts[name] - first.counts[name] for name in ("tensors", "nodes")} == {"tensors": 2, "nodes": 2}
    assert last.counts["observers"] >= first.counts["observers"] + 2


def test_the_scene_closed_while_a_registration_computes_shows_nothing_and_the_next_one_works(logic: Any, pelvis: PelvisCase) -> None:
    import slicer

    def nodes() -> tuple[Any, Any]:
        ct, xray = add_ct(pelvis.patient.ct), add_xray(pelvis.pixels())
        logic.setGeometry(xray, CAMERA)
        return xray, ct

    xray, ct = nodes()
    closed = False

    def close(fraction: float, text: str) -> None:
        nonlocal closed
        if fraction > 0.5 and not closed:
            closed = True
            slicer.mrmlScene.Clear(False)

    outcome = logic.prepare(xray, ct, refine=False)(close)
    assert closed
    before = soak.scene_counts()["nodes"]
    with pytest.raises(InputError, match="no longer in the scene"):
        logic.show(outcome)
    assert soak.scene_counts()["nodes"] == before
    result = logic.registerXRay(*nodes(), refine=False)
    assert pelvis.mtre(result.carms[0].pose()) < 20
