"""The benchmark's workers and the measuring of them, without the peers' environment."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.peers.engine import DRR, SCENE_COORDINATES, NotOfferedError, Patient, answer, serve
from benchmarks.peers.engine_process import CONTESTANTS, Contestant, Rendered
from benchmarks.peers.measure import Measurer, Reference, centred_camera
from benchmarks.peers.patients import PreparedCT, prepare, subsampled
from benchmarks.peers.rows import Row
from benchmarks.peers.worker_ours import Ours
from benchmarks.peers.worker_plastimatch import along_lps, read_pfm, write_mha
from DRRSimulatorLib.camera import Camera, FloatArray, transform_points
from DRRSimulatorLib.ct import CTVolume

SIDE = 24


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> PreparedCT:
    """A ball of bone beside a ball of water in air, on a grid of left-handed axes."""
    k, j, i = np.indices((40, 44, 48))
    hu = np.full(k.shape, -1000, dtype=np.float32)
    hu[(i - 22) ** 2 + (j - 20) ** 2 + (k - 18) ** 2 < 15**2] = 0
    hu[(i - 30) ** 2 + (j - 24) ** 2 + (k - 22) ** 2 < 8**2] = 1200
    matrix = np.diag([-4.0, 4.0, 4.0, 1.0])
    matrix[:3, 3] = 70, -60, 900
    return prepare(CTVolume(hu, matrix), tmp_path_factory.mktemp("ct"))


class InThisProcess:
    """A worker's answers without its process; `wrong` moves what it is shown."""

    def __init__(self, contestant: Contestant, wrong_mm: float = 0.0) -> None:
        self.contestant, self.engine, self.wrong_mm = contestant, Ours(), wrong_mm

    def show(self, ct: PreparedCT, camera: Camera, ras_to_camera: FloatArray) -> None:
        shift = np.eye(4)
        shift[0, 3] = self.wrong_mm
        self.ask(
            command="set_patient", attenuation=str(ct.attenuation), occupancy=str(ct.occupancy), ijk_to_ras=(shift @ ct.ijk_to_ras).tolist()
        )
        self.ask(command="set_view", camera=asdict(camera), ras_to_camera=ras_to_camera.tolist())

    def render(self, work: str, image: Path | None = None) -> Rendered:
        return Rendered(**self.ask(command="render", work=work, **({"image": str(image)} if image else {})))

    def ask(self, **request: Any) -> dict[str, Any]:
        reply = answer(self.engine, json.loads(json.dumps(request)))
        if "not_offered" in reply:
            raise NotOfferedError(reply["not_offered"])
        return reply


def test_a_worker_answers_lines_with_lines_and_writes_its_image(ct: PreparedCT, tmp_path: Path) -> None:
    camera = centred_camera(SIDE)
    requests = [
        {"command": "version"},
        {
            "command": "set_patient",
            "attenuation": str(ct.attenuation),
            "occupancy": str(ct.occupancy),
            "ijk_to_ras": ct.ijk_to_ras.tolist(),
        },
        {"command": "set_view", "camera": asdict(camera), "ras_to_camera": ct.pose.tolist()},
        {"command": "render", "work": DRR, "image": str(tmp_path / "image.npy")},
        {"command": "render", "work": SCENE_COORDINATES},
    ]
    answers = io.StringIO()
    serve(Ours(), map(json.dumps, requests), answers)
    version, patient, view, drr, scene = map(json.loads, answers.getvalue().splitlines())
    assert version["version"].startswith("this project")
    assert patient == view == {}
    assert drr["seconds"] > 0 and scene["seconds"] > 0 and drr["peak_bytes"] > 0
    assert Reference.of(ct, camera).relative_rms_error(np.load(tmp_path / "image.npy").astype(np.float64)) < 0.01


def test_rows_come_of_rounds_and_a_wrong_geometry_stops_the_run_by_name(ct: PreparedCT, tmp_path: Path) -> None:
    loose = Contestant("ours", "", (), Path(), 0.01)
    lines: list[str] = []
    rows = list(Measurer(tmp_path, lines.append).measure([InThisProcess(loose)], ct, SIDE, 2))
    assert rows[0] == Row("ours", "24x24", "48x44x40", 2, False, rows[0].median_seconds, rows[0].relative_rms_error, 9)
    assert [row.scene_coordinates for row in rows] == [False, True]
    with pytest.raises(RuntimeError, match="mirrored's image differs"):
        wrong = Contestant("mirrored", "", (), Path(), 0.01)
        list(Measurer(tmp_path, lines.append).measure([InThisProcess(wrong, wrong_mm=2.0)], ct, SIDE, 2))


class Slow:
    """A projector that takes long and needs much memory."""

    def __init__(self, image: FloatArray, seconds: float, grown_bytes: int) -> None:
        self.contestant = Contestant("slow", "", (), Path(), 0.1)
        self.image, self.rendered = image, Rendered(seconds, 10**9, grown_bytes)

    def show(self, *_: Any) -> None:
        pass

    def render(self, work: str, image: Path | None = None) -> Rendered:
        if image:
            np.save(image, self.image)
        return self.rendered


@pytest.mark.parametrize(("seconds", "grown_bytes", "reason"), [(25.0, 0, "100 s a render"), (8.0, 2 * 10**9, "8 GiB")])
def test_what_would_take_too_much_is_left_out_with_the_reason(
    ct: PreparedCT, tmp_path: Path, seconds: float, grown_bytes: int, reason: str
) -> None:
    process = InThisProcess(CONTESTANTS[0])
    process.show(ct, centred_camera(SIDE), ct.pose)
    process.render(DRR, tmp_path / "image.npy")
    slow = Slow(np.load(tmp_path / "image.npy"), seconds, grown_bytes)
    lines: list[str] = []
    measurer = Measurer(tmp_path, lines.append)
    (row,) = measurer.measure([slow], ct, SIDE, 2)
    assert (row.runs, row.median_seconds) == (max(1, int(20 / seconds)), seconds)
    assert list(measurer.measure([slow], ct, 2 * SIDE, 2)) == []
    assert any("left out" in line and reason in line for line in lines)
    assert list(measurer.measure([slow], ct, 4 * SIDE, 2)) == []  # not tried either, although nothing is known of half of it


def test_subsampled_voxels_are_the_means_of_blocks_at_their_places() -> None:
    k, j, i = np.indices((7, 8, 12)).astype(np.float32)
    matrix = np.diag([-1.0, 2.0, 3.0, 1.0])
    small = subsampled(CTVolume(100 * k + 10 * j + i, matrix), (4, 2, 3))
    assert small.hu.shape == (2, 4, 3)
    for ijk in ((0, 0, 0), (2, 3, 1)):
        old = transform_points(np.linalg.inv(matrix) @ small.ijk_to_ras, np.array([ijk]))[0]
        assert small.hu[ijk[::-1]] == pytest.approx(old @ [1, 10, 100])


def test_plastimatch_gets_volumes_turned_along_its_axes() -> None:
    volume = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    matrix = np.array([[0, -2.0, 0, 5], [0, 0, 3.0, 6], [4.0, 0, 0, 7], [0, 0, 0, 1]])
    turned, to_lps = along_lps(Patient(volume, volume, matrix))
    assert (np.diag(to_lps)[:3] > 0).all()
    place = np.diag([-1, -1, 1, 1]) @ matrix @ [3, 1, 0, 1]
    ijk = np.rint(np.linalg.inv(to_lps) @ place).astype(int)
    assert turned[tuple(ijk[2::-1])] == volume[0, 1, 3]
    matrix[:2, :2] = [[1, 1], [1, -1]]
    with pytest.raises(NotOfferedError, match="oblique"):
        along_lps(Patient(volume, volume, matrix))


def test_plastimatch_files(tmp_path: Path) -> None:
    import SimpleITK as sitk

    volume = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    matrix = np.diag([1.5, 2.0, 2.5, 1.0])
    matrix[:3, 3] = 1, -2, 3
    write_mha(tmp_path / "volume.mha", volume, matrix)
    image = sitk.ReadImage(str(tmp_path / "volume.mha"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume)
    assert (image.GetSpacing(), image.GetOrigin()) == ((1.5, 2.0, 2.5), (1, -2, 3))
    (tmp_path / "image.pfm").write_bytes(b"Pf\n4 3\n-1\n" + volume[0].tobytes())
    np.testing.assert_array_equal(read_pfm(tmp_path / "image.pfm", (3, 4)), volume[0])
