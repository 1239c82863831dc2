"""The reference poses of the real wrist: a whole file is read, a damaged one refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.errors import InputError
from xray_training.reference_poses import read_reference_poses


def values() -> dict[str, Any]:
    pose = {"bone": "radius", "frame": "0099", "bone_to_world": np.eye(4).tolist(), "sigma": {"trans_mm": [0.1, 0.2, 0.3]}}
    return {"voxel_mm": [0.4, 0.4, 0.6], "poses": [pose]}


def written(folder: Path, holds: Any) -> Path:
    path = folder / "reference_poses.json"
    path.write_text(json.dumps(holds))
    return path


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    file = read_reference_poses(written(tmp_path, values()))
    assert file.voxel_mm.tolist() == [0.4, 0.4, 0.6]
    pose = file.of("radius", "0099")
    assert np.array_equal(pose.bone_to_world, np.eye(4)) and pose.sigma == {"trans_mm": [0.1, 0.2, 0.3]}


def test_a_pose_that_is_not_there_once_is_refused(tmp_path: Path) -> None:
    file = read_reference_poses(written(tmp_path, values() | {"poses": values()["poses"] * 2}))
    with pytest.raises(InputError, match="holds 2"):
        file.of("radius", "0099")
    with pytest.raises(InputError, match="holds 0"):
        file.of("ulna", "0099")


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "no voxel size": lambda holds: holds.pop("voxel_mm"),
    "voxels of no size": lambda holds: holds.update(voxel_mm=[0.4, 0.0, 0.6]),
    "voxels of text": lambda holds: holds.update(voxel_mm="small"),
    "voxels beyond all floats": lambda holds: holds.update(voxel_mm=[10**400, 1, 1]),
    "poses that are no list": lambda holds: holds.update(poses=1),
    "a pose of text": lambda holds: holds["poses"].append("radius"),
    "a pose without a frame": lambda holds: holds["poses"][0].pop("frame"),
    "a pose that scales": lambda holds: holds["poses"][0].update(bone_to_world=np.diag([2, 2, 2, 1]).tolist()),
    "a sigma of text": lambda holds: holds["poses"][0].update(sigma="small"),
    "a sigma that is no number": lambda holds: holds["poses"][0].update(sigma={"trans_mm": float("nan")}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    holds = values()
    DAMAGE[damage](holds)
    with pytest.raises(InputError, match="cannot be read"):
        read_reference_poses(written(tmp_path, holds))


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000, b"[]"])
def test_what_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "reference_poses.json").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        read_reference_poses(tmp_path / "reference_poses.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_reference_poses(tmp_path / "missing.json")
