"""The readers that are fuzzed: the corpus of each, what damages its files, and how one of them is read to the last value."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from DRRSimulatorLib.bone import read_labels
from DRRSimulatorLib.calibration import read_calibration
from DRRSimulatorLib.camera import Camera, FloatArray, is_rigid, load_view, save_view
from DRRSimulatorLib.ct import CTVolume, read_ct
from DRRSimulatorLib.view_list import read_views
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay, read_xray

from . import corpus_images as images
from . import corpus_learning as learning
from . import corpus_scene as scenes
from . import formats, misbehaving, stage
from .damage import Damage, damaged_bytes, damaged_text
from .guard import check

_BY_SUFFIX: Mapping[str, Damage] = {
    ".json": formats.damaged_json,
    ".jsonl": formats.damaged_json_lines,
    ".csv": damaged_text,
    ".txt": damaged_text,
    ".yml": damaged_text,
    ".safetensors": formats.damaged_safetensors,
    ".nii.gz": formats.within_gzip(damaged_bytes),
    ".nrrd": formats.damaged_header,
    ".nhdr": damaged_text,
    ".mha": formats.damaged_header,
    ".mhd": damaged_text,
    ".png": formats.damaged_png,
    ".dcm": formats.damaged_dicom,
}


@dataclass(frozen=True)
class Reader:
    """A reader of files.

    Attributes:
        name: for the command.
        write_corpus: writes its whole files into a folder, each with what belongs to it in a folder of its own.
        read: reads what is in one of these folders, and checks that what was accepted makes sense.
    """

    name: str
    write_corpus: Callable[[Path], None]
    read: Callable[[Path], object]

    def damage_of(self, name: str) -> Damage:
        """What damages a file of a name."""
        if "/c/" in name:  # Zarr's chunks have numbers for names
            return formats.damaged_chunk
        return next((damage for suffix, damage in _BY_SUFFIX.items() if name.endswith(suffix)), damaged_bytes)


def find_reader(name: str) -> Reader:
    """A reader by its name."""
    return READERS[name] if name in READERS else Reader(name, misbehaving.write_corpus, misbehaving.READERS[name])


def _write_cameras(folder: Path) -> None:
    for name, pose in (("with-pose", images.POSE), ("without", None)):
        (folder / name).mkdir()
        save_view(folder / name / "view.json", images.CAMERA, pose)


def _write_calibrations(folder: Path) -> None:
    rows = {
        "image size": [[36, 40]],
        "camera matrix": images.CAMERA.matrix.tolist(),
        "rotation": images.POSE[:3, :3].tolist(),
        "translation": images.POSE[:3, 3:].tolist(),
    }
    for name, separator in (("commas", ","), ("blanks", " ")):
        (folder / name).mkdir()
        sections = [f"{title}\n" + "".join(separator.join(map(repr, row)) + "\n" for row in lines) for title, lines in rows.items()]
        (folder / name / "calibration.txt").write_text("\n".join(sections))
    (folder / "json").mkdir()
    save_view(folder / "json" / "calibration.json", images.CAMERA, images.POSE)
    for name, text in _calibrations_in_yaml().items():
        (folder / name).mkdir()
        (folder / name / "calibration.yml").write_text(text)


def _calibrations_in_yaml() -> dict[str, str]:
    """As OpenCV writes it, with matrices of rows, columns and type; and plain, with the rotation as a vector."""
    from scipy.spatial.transform import Rotation

    camera, rotation, translation = images.CAMERA.matrix, images.POSE[:3, :3], images.POSE[:3, 3]
    vector = Rotation.from_matrix(rotation).as_rotvec()
    matrices = {"camera_matrix": camera, "rotation": rotation, "translation": translation[:, None], "dist_coeffs": np.zeros((1, 5))}
    opencv = ["%YAML:1.0", "---", "image_width: 36", "image_height: 40"]
    for name, matrix in matrices.items():
        rows, columns = matrix.shape
        data = ", ".join(map(repr, matrix.ravel().tolist()))
        opencv += [f"{name}: !!opencv-matrix", f"   rows: {rows}", f"   cols: {columns}", "   dt: d", f"   data: [ {data} ]"]
    plain = [
        f"K: {camera.tolist()}",
        "# of the camera",
        f"rvec: {vector.tolist()}",
        f"tvec: {translation.tolist()}",
        "image_size: [36, 40]",
    ]
    return {"opencv": "\n".join(opencv) + "\n", "plain": "\n".join(plain) + "\n"}


def _write_view_lists(folder: Path) -> None:
    for name in ("csv", "json"):
        (folder / name).mkdir()
    (folder / "csv" / "views.csv").write_text("primary_deg,secondary_deg,source_to_bone_mm\n10,-5,700\n-20,0,\n")
    (folder / "json" / "views.json").write_text('[{"primary_deg": 10, "roll_deg": 2.5}, {"offset_x_mm": -7, "source_to_bone_mm": 650}]')


def _write_ct_lists(folder: Path) -> None:
    (folder / "list").mkdir()
    text = "ct,labels,name,source,licence\na/ct.nrrd,a/bones.nrrd,first,made up,CC0\nb,,,,\n"
    (folder / "list" / "cts.csv").write_text(text)


def _write_batch_lists(folder: Path) -> None:
    lists = {
        "cameras": "xray,camera\nap.dcm,ap.json\nlateral.dcm,calibration/lateral.txt\n",
        "distances": "xray,sdd,pixel_spacing\na/xray.png,1020,0.4\nb/xray.png,980.5,0.31\nc/xray.dcm,,\n",
    }
    for name, text in lists.items():
        (folder / name).mkdir()
        (folder / name / "list.csv").write_text(text)


def _only_file(folder: Path) -> Path:
    """The file of a folder, or the header where the voxels lie beside it; `Path("missing")` where it is gone."""
    files = sorted(folder.iterdir(), key=lambda path: path.suffix in (".raw", ".gz", ".zraw"))
    return files[0] if files else folder / "missing"


def _check_camera(camera: Camera, pose: FloatArray | None) -> None:
    check(np.isfinite(camera.matrix).all() and (pose is None or is_rigid(pose, 1e-3)))


def _check_ct(ct: CTVolume) -> None:
    check(np.isfinite(ct.hu).all() and ct.hu.min() >= -1000 and np.isfinite(ct.ijk_to_ras).all())
    check(min(ct.spacing) > 0 and np.isfinite(np.linalg.inv(ct.ijk_to_ras)).all())


def _read_camera(folder: Path) -> None:
    _check_camera(*load_view(_only_file(folder)))


def _read_calibration(folder: Path) -> None:
    _check_camera(*read_calibration(_only_file(folder), images.CAMERA.image_size))


def _read_views(folder: Path) -> None:
    check(all(np.isfinite(view.ras_to_camera(np.zeros(3))).all() for view in read_views(_only_file(folder))))


def _read_volume(folder: Path) -> None:
    _check_ct(read_ct(_only_file(folder)))


def _read_labels(folder: Path) -> None:
    bones = read_labels(folder / "bones.nrrd", images.small_ct())
    check(bones.names and all(isinstance(name, str) for name in bones.names.values()))
    check(set(np.unique(bones.labels)) - {0} == set(bones.names))


def _read_series(folder: Path) -> None:
    _check_ct(read_ct(folder))


def _read_xray(folder: Path) -> None:
    xray: XRay = read_xray(_only_file(folder))
    if xray.camera:
        _check_camera(xray.camera, None)


def _read_dicom_registration(folder: Path) -> None:
    from XRayRegistrationLib.dicom_registration import read_registration

    placed = read_registration(folder / "registration.dcm")
    check(is_rigid(placed.ras_to_camera))


def _read_model(folder: Path) -> None:
    from XRayRegistrationLib.model import load_model

    model = load_model(_only_file(folder))
    check(model.description.view_range is None or model.description.view_range.source_to_bone_mm[0] > 0)


def _read_checkpoint(folder: Path) -> None:
    from xray_training.checkpoint import load_checkpoint

    load_checkpoint(_only_file(folder))


def _read_dataset(folder: Path) -> None:
    from xray_training.dataset.stored import XRayDataset

    dataset = XRayDataset(folder)
    for name in dataset.patients:
        patient = dataset.patient(name)
        patient.bone_labels()
        patient.ct()
        for number in range(len(patient)):
            patient.view(number)


def _read_deepfluoro(folder: Path) -> None:
    from xray_training.deepfluoro import open_deepfluoro

    with open_deepfluoro(_only_file(folder)) as file:
        for specimen in file.specimens:
            ct = file.ct(specimen)
            _check_ct(ct)
            file.pelvis(specimen, ct)
            for name in file.projections(specimen):
                projection = file.projection(specimen, name)
                _check_camera(projection.camera, projection.ras_to_camera)


def _read_run_log(folder: Path) -> None:
    from xray_training.run_log import RunLog

    json.dumps([result.to_row() for result in RunLog(folder / "e.json", learning.RUN_IDENTITY).results])


@cache
def _view() -> View:
    return View(XRay.from_pixels(images.picture()), images.CAMERA)


def _read_start(folder: Path) -> None:
    from XRayRegistrationLib.view_files import read_start

    check(is_rigid(read_start(folder / "start.json", [_view()])))


def _read_batch_list(folder: Path) -> None:
    stage.start_host()
    from XRayRegistrationSlicer.jobs import folderNames, jobsOfTable

    jobs = jobsOfTable(folder / "list.csv")
    names = folderNames(jobs)
    check(len(set(names)) == len(names) and all(name not in ("", "..") and Path(name).name == name for name in names))
    for job in jobs:
        if job.sourceToDetector is not None and job.pixelSpacing is not None:
            _check_camera(Camera.centred(job.sourceToDetector, job.pixelSpacing, images.CAMERA.image_size), None)


def _read_reference_poses(folder: Path) -> None:
    from xray_training.reference_poses import read_reference_poses

    file = read_reference_poses(folder / "reference_poses.json")
    check(np.isfinite(file.voxel_mm).all() and is_rigid(file.of("radius", "0099").bone_to_world))


def _read_deform_list(folder: Path) -> None:
    from xray_training.cli_deform import COLUMNS, read_list

    for name, row in read_list(folder / "patients.csv").items():
        check(name == row["name"] and set(row) == set(COLUMNS) and all(isinstance(value, str) for value in row.values()))


def _read_records(folder: Path) -> None:
    from xray_training.dataset.records import Records

    records = Records(folder)
    record = records.patient(learning.RECORD_KEY)
    check(record is None or isinstance(record["patient"] + record["ct_fingerprint"], str))
    records.has_shard("phantom", 0)
    check(all(isinstance(checksum, str) for checksum in records.checksums().values()))


def _read_ct_list(folder: Path) -> None:
    from xray_training.dataset.sources import read_sources

    for source in read_sources([folder / "cts.csv"]):
        check(source.patient_name("ab" * 32))


READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        Reader("camera", _write_cameras, _read_camera),
        Reader("calibration", _write_calibrations, _read_calibration),
        Reader("view-list", _write_view_lists, _read_views),
        Reader("start", learning.write_results, _read_start),
        Reader("volume", images.write_volumes, _read_volume),
        Reader("labels", images.write_label_maps, _read_labels),
        Reader("ct-series", images.write_ct_series, _read_series),
        Reader("xray-picture", images.write_pictures, _read_xray),
        Reader("xray-dicom", images.write_dicom_xrays, _read_xray),
        Reader("registration-dicom", images.write_dicom_registrations, _read_dicom_registration),
        Reader("model", learning.write_models, _read_model),
        Reader("checkpoint", learning.write_checkpoints, _read_checkpoint),
        Reader("run-log", learning.write_run_logs, _read_run_log),
        Reader("ct-list", _write_ct_lists, _read_ct_list),
        Reader("dataset", learning.write_datasets, _read_dataset),
        Reader("deepfluoro", learning.write_deepfluoro, _read_deepfluoro),
        Reader("scene", scenes.write_scenes, stage.read_scene),
        Reader("batch-list", _write_batch_lists, _read_batch_list),
        Reader("reference-poses", learning.write_reference_poses, _read_reference_poses),
        Reader("deform-list", learning.write_deform_lists, _read_deform_list),
        Reader("progress-records", learning.write_records, _read_records),
    )
}
