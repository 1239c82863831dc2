"""The fixed corpus of what training and registration keep: models, checkpoints, data sets, results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import CArmView, save_view
from XRayRegistrationLib.model import SCALE_SUFFIX, Model, ModelDescription, build_network, save_model

from .corpus_images import CAMERA, POSE, small_ct

SPECIMEN = "17-1882"


def write_models(folder: Path) -> None:
    """A model file, and one with kernels in 8 bits."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    for name in ("plain", "small"):
        (folder / name).mkdir()
    view_range = {"primary_deg": 45.0, "secondary_deg": 25.0, "roll_deg": 15.0, "in_plane_mm": 50.0, "source_to_bone_mm": [600.0, 850.0]}
    description = ModelDescription("ab" * 32, {1: "femur"}, (1.0, 2.0, 3.0), 60.0, CAMERA, (2, 3, 2), 4, {"view_range": view_range})
    torch.manual_seed(0)
    plain = folder / "plain" / "model.safetensors"
    save_model(plain, Model(build_network(description), description))
    with safe_open(plain, "pt") as file:
        weights, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    for name in [name for name, weight in weights.items() if weight.ndim == 4]:
        scale = weights[name].float().abs().amax(dim=(1, 2, 3), keepdim=True) / 127
        weights[name], weights[name + SCALE_SUFFIX] = (weights[name] / scale).round().char(), scale
    save_file(weights, folder / "small" / "model.safetensors", metadata)


def write_checkpoints(folder: Path) -> None:
    """A checkpoint of two tensors."""
    import torch
    from xray_training.checkpoint import save_checkpoint

    (folder / "checkpoint").mkdir()
    tensors = {"network.weight": torch.ones(3, 4), "average.steps": torch.tensor(7)}
    save_checkpoint(folder / "checkpoint" / "checkpoint.safetensors", tensors, {"step": 250, "settings": {"seed": 0, "steps": 1000}})


def write_datasets(folder: Path) -> None:
    """A data set of one patient with two bones and a view."""
    from xray_training.dataset import layout

    ct = small_ct()
    labels = np.where(ct.hu > 300, 1, 0).astype(np.uint8)
    labels[3:][labels[3:] > 0] = 2
    points = np.argwhere(labels > 0)[:, ::-1] * 5.0
    camera = CAMERA.resized((8, 8))
    poses = CArmView(primary_deg=10.0).ras_to_camera(points.mean(axis=0))[None]
    values = {name: np.ones(1) for name in layout.VIEW_VALUES}
    layout.create_root(folder / "dataset")
    group = layout.create_patient(
        folder / "dataset" / layout.ARRAYS / "phantom",
        ct,
        BoneLabels(labels, ct.ijk_to_ras, {1: "radius", 2: "ulna"}),
        points,
        camera,
        poses,
        values,
        {"source": "made up"},
    )
    rng = np.random.default_rng(0)
    group["image"][...] = rng.integers(0, 50000, (1, 8, 8))
    group["depth"][...] = rng.integers(0, 20000, (1, 2, 2, 8, 8))
    group["mask"][...] = rng.random((1, 2, 8, 8)) < 0.5


def write_deepfluoro(folder: Path) -> None:
    """A file in DeepFluoro's layout with one X-ray, which is blank."""
    import h5py

    (folder / "deepfluoro").mkdir()
    ct = small_ct()
    with h5py.File(folder / "deepfluoro" / "small.h5", "w") as file:
        parameters: dict[str, Any] = {"extrinsic": np.eye(4), "intrinsic": [[-850.0, 0, 66], [0, -850, 70], [0, 0, 1]]}
        parameters |= {"num-rows": 140, "num-cols": 136, "pixel-row-spacing": 1.2, "pixel-col-spacing": 1.2}
        for name, value in parameters.items():
            file[f"proj-params/{name}"] = value
        for place, voxels in (("vol", ct.hu.astype(np.int16)), ("vol-seg/image", (ct.hu > 300).astype(np.uint8))):
            group = file.create_group(f"{SPECIMEN}/{place}")
            group["pixels"], group["spacing"], group["origin"], group["dir-mat"] = voxels, np.full((3, 1), 5.0), np.zeros((3, 1)), np.eye(3)
        file[f"{SPECIMEN}/vol-seg/labels-def/1"] = "left-hemipelvis"
        group = file.create_group(f"{SPECIMEN}/projections/000")
        group.create_dataset("image/pixels", data=np.zeros((140, 136), np.uint16), compression="gzip")
        group["gt-poses/cam-to-pelvis-vol"], group["rot-180-for-up"] = np.linalg.inv(POSE), 1


def write_run_logs(folder: Path) -> None:
    """What a stopped evaluation has left: one case with a pose, one without."""
    from xray_training.case_result import CaseResult, Evidence
    from xray_training.run_log import RunLog
    from XRayRegistrationLib.metrics import PoseError

    (folder / "log").mkdir()
    error = PoseError(**dict.fromkeys(PoseError.__dataclass_fields__, 1.5))
    evidence = Evidence("reliable", 0.5, 0.9, 0.8, 12.0, 0.7, 1.1, 0.2, 0.01)
    found = CaseResult(1, CArmView(10, 5), POSE, POSE, error, error, evidence, 1.0, 0.5, {"pose": 0.5}, "", {"bone": "femur"})
    lost = CaseResult(2, CArmView(), POSE, None, None, None, None, 1.0, 0.5, {}, "no points", {})
    with RunLog(folder / "log" / "e.json", RUN_IDENTITY) as log:
        log.append(found)
        log.append(lost)


RUN_IDENTITY = {"suite": {"name": "some", "seed": 0}, "refined": True}


def write_results(folder: Path) -> None:
    """A view of `save_view`, and the part of a result.json that a registration starts from."""
    for name in ("view", "result"):
        (folder / name).mkdir()
    save_view(folder / "view" / "start.json", CAMERA, POSE)
    view = {"xray": "a.png", "polarity": "intensity", "camera": CAMERA.to_dict(), "ras_to_camera": POSE.tolist()}
    result = {"note": "Research use only", "verdict": {"level": "check", "reasons": ["few points"]}, "views": [view]}
    (folder / "result" / "start.json").write_text(json.dumps(result, indent=1))


def write_reference_poses(folder: Path) -> None:
    """Poses of two bones."""
    (folder / "poses").mkdir()
    sigma = {"rot_deg_x_y_long": [0.19, 0.128, 0.543], "trans_mm_x_y_long": [0.065, 0.096, 0.165]}
    poses = [{"bone": bone, "frame": "0099", "bone_to_world": POSE.tolist(), "sigma": sigma} for bone in ("radius", "ulna")]
    values = {"convention": "mm", "voxel_mm": [0.4, 0.4, 0.625], "poses": poses}
    (folder / "poses" / "reference_poses.json").write_text(json.dumps(values, indent=1))


def write_deform_lists(folder: Path) -> None:
    """The list of two deformed copies of a CT."""
    (folder / "list").mkdir()
    names = [f"ct_deformed_{number}" for number in (1, 2)]
    rows = [f"{name}.nii.gz,{name}_labels.nii.gz,{name},deformed copy of a CT,CC0\n" for name in names]
    (folder / "list" / "patients.csv").write_text("ct,labels,name,source,licence\n" + "".join(rows))


RECORD_KEY = "0123456789abcdef"


def write_records(folder: Path) -> None:
    """Records of a data set that is being made: of a CT and of a shard."""
    from xray_training.dataset.records import Records

    data = folder / "stopped" / "data.zarr" / "phantom"
    data.mkdir(parents=True)
    (folder / "stopped" / ".progress").mkdir()
    for name in ("zarr.json", "shard"):
        (data / name).write_text("{}")
    records = Records(folder / "stopped")
    records.write_patient(RECORD_KEY, {"patient": "phantom", "ct_fingerprint": "ab" * 32}, [data / "zarr.json"])
    records.write_shard("phantom", 0, [data / "shard"])
