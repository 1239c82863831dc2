"""Reading a data set: values come back, and nothing that is damaged or malicious is believed."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import FloatArray
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError

pytest.importorskip("zarr")

from small_dataset import CAMERA, POSES, write_small_dataset
from xray_training.dataset import StoredPatient, XRayDataset


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, phantom_ct: CTVolume, two_bones: BoneLabels) -> tuple[Path, FloatArray]:
    folder = tmp_path_factory.mktemp("dataset")
    return folder, write_small_dataset(folder, phantom_ct, two_bones)


@pytest.fixture
def copy(written: tuple[Path, FloatArray], tmp_path: Path) -> Path:
    shutil.copytree(written[0], tmp_path / "copy")
    return tmp_path / "copy"


def patient_of(folder: Path) -> StoredPatient:
    return XRayDataset(folder).patient("phantom")


def edit(file: Path, change: dict[str, object]) -> None:
    metadata = json.loads(file.read_text())
    file.write_text(json.dumps(metadata | change))


def test_scene_coordinates_come_back_within_half_a_step_of_the_depth(written: tuple[Path, FloatArray]) -> None:
    folder, coordinates = written
    patient = patient_of(folder)
    assert len(patient) == POSES
    for number in range(POSES):
        view = patient.view(number)
        assert view.coordinates.shape == (2, 2, 3, *CAMERA.image_size)
        np.testing.assert_array_equal(np.isnan(view.coordinates), np.isnan(coordinates[number]))
        np.testing.assert_array_equal(view.mask, np.isfinite(coordinates[number, :, 0, 0]))
        error = np.linalg.norm(view.coordinates - coordinates[number], axis=2)
        # The step is along z; along a ray to a corner of the detector it is a little longer.
        assert view.mask.any(axis=(1, 2)).all() and np.nanmax(error) < 0.025 * 1.03 + 1e-3


def test_what_is_known_of_a_view_comes_back_by_name(written: tuple[Path, FloatArray]) -> None:
    view = patient_of(written[0]).view(2)
    assert (view.split, view.stratum, view.kilovolts, view.photons) == ("validation", "extreme_angles", 90, 1e5)
    assert view.camera == CAMERA and 0 < view.intensity.min() < 0.5 < view.intensity.max() <= 1


def test_the_ct_comes_back_with_the_same_fingerprint_and_bones(
    written: tuple[Path, FloatArray], phantom_ct: CTVolume, two_bones: BoneLabels
) -> None:
    patient = patient_of(written[0])
    assert patient.ct().fingerprint == phantom_ct.fingerprint == patient.ct_fingerprint
    assert patient.bone_labels().names == {1: "left", 3: "right"}
    np.testing.assert_array_equal(patient.bone_labels().labels, two_bones.labels)


def test_a_view_that_does_not_exist_is_an_index_error(written: tuple[Path, FloatArray]) -> None:
    for number in (-1, POSES):
        with pytest.raises(IndexError):
            patient_of(written[0]).view(number)


@pytest.mark.parametrize("name", ["..", "../phantom", "", "/etc", "phantom/ct", "other"])
def test_no_name_leads_out_of_the_folder(written: tuple[Path, FloatArray], name: str) -> None:
    with pytest.raises(InputError, match="has no patient"):
        XRayDataset(written[0]).patient(name)


def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder of a data set"):
        XRayDataset(tmp_path)


@pytest.mark.parametrize("change", [{"shape": [2**50, 64, 64]}, {"shape": [POSES, 65, 64]}, {"data_type": "float64"}, {"shape": "many"}])
def test_an_array_of_another_shape_or_type_is_refused_before_it_is_read(copy: Path, change: dict[str, object]) -> None:
    edit(copy / "data.zarr" / "phantom" / "image" / "zarr.json", change)
    with pytest.raises(InputError):
        patient_of(copy)


@pytest.mark.parametrize(
    "change", [{"version": 2}, {"format": "other"}, {"camera": {}}, {"bones": {"300": "bone"}}, {"centre_ras": [0]}, {"bones": {}}]
)
def test_a_patient_of_wrong_attributes_is_refused(copy: Path, change: dict[str, object]) -> None:
    file = copy / "data.zarr" / "phantom" / "zarr.json"
    edit(file, {"attributes": json.loads(file.read_text())["attributes"] | change})
    with pytest.raises(InputError):
        patient_of(copy)


def test_a_missing_array_is_named(copy: Path) -> None:
    shutil.rmtree(copy / "data.zarr" / "phantom" / "depth")
    with pytest.raises(InputError, match="depth"):
        patient_of(copy)


@pytest.mark.parametrize("name", ["image", "depth", "mask", "ct", "labels", "ras_to_camera", "split"])
def test_a_flipped_byte_in_an_array_is_noticed_when_it_is_read(copy: Path, name: str) -> None:
    file = next(path for path in (copy / "data.zarr" / "phantom" / name).rglob("*") if path.is_file() and path.name != "zarr.json")
    content = bytearray(file.read_bytes())
    content[20] ^= 1
    file.write_bytes(content)
    patient = patient_of(copy)
    with pytest.raises(InputError, match=name):
        patient.read(name)


def test_links_to_other_places_are_refused(copy: Path, tmp_path: Path) -> None:
    array = copy / "data.zarr" / "phantom" / "kilovolts"
    for place in (next(path for path in array.rglob("*") if path.is_file() and path.name != "zarr.json"), array, array.parent):
        elsewhere = tmp_path / f"elsewhere-{place.name}"
        place.rename(elsewhere)
        place.symlink_to(elsewhere)
        with pytest.raises(InputError, match="is a link to another place"):
            patient_of(copy)
        place.unlink()
        elsewhere.rename(place)
    assert len(patient_of(copy)) == POSES


def test_other_codecs_which_might_unpack_to_any_size_are_refused(copy: Path) -> None:
    file = copy / "data.zarr" / "phantom" / "photons" / "zarr.json"
    codecs = json.loads(file.read_text())["codecs"]
    edit(file, {"codecs": [codecs[0], {"name": "gzip", "configuration": {"level": 1}}, codecs[2]]})
    with pytest.raises(InputError, match="is compressed by"):
        patient_of(copy)


def checked(content: bytes) -> bytes:
    """It with the checksum that Zarr asks for."""
    value = pytest.importorskip("google_crc32c").value
    return content + value(content).to_bytes(4, "little")


@pytest.mark.parametrize(
    "damaged",
    [
        lambda chunk: chunk[:6],  # ended the process, or took what stood behind it in memory for its sizes
        lambda chunk: chunk[:12] + (2**31).to_bytes(4, "little") + chunk[16:],
        lambda chunk: chunk + bytes(100),
        lambda chunk: chunk[:4] + (2**31 - 1).to_bytes(4, "little") + chunk[8:],
    ],
    ids=["cut off", "longer", "followed by others", "unpacks to gigabytes"],
)
def test_chunks_of_other_sizes_than_they_say_are_refused_before_memory_is_taken(copy: Path, damaged: Callable[[bytes], bytes]) -> None:
    (file,) = (path for path in (copy / "data.zarr" / "phantom" / "photons" / "c").rglob("*") if path.is_file())
    file.write_bytes(checked(damaged(file.read_bytes()[:-4])))
    with memory_below(50_000_000), pytest.raises(InputError, match="photons cannot be read"):
        patient_of(copy).read("photons")


def test_an_index_that_leads_beyond_its_shard_is_refused_before_memory_is_taken(copy: Path) -> None:
    file = next(path for path in sorted((copy / "data.zarr" / "phantom" / "depth" / "c").rglob("*")) if path.is_file())
    content = file.read_bytes()
    entries = content[-(32 * 16 + 4) : -4]  # of 32 chunks: offset and size
    file.write_bytes(content[: -len(entries) - 4] + checked(entries[:8] + (2**40).to_bytes(8, "little") + entries[16:]))
    with memory_below(50_000_000), pytest.raises(InputError, match="leads beyond its end"):
        patient_of(copy).read("depth", 0)


@contextmanager
def memory_below(most: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
