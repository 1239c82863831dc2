"""The contact sheet: which views it shows, and that its colours are places in the patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, CArmView
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError

pytest.importorskip("zarr")

from stored_xrays import write_patient
from xray_training.cli_data import sheet
from xray_training.dataset.layout import STRATA
from xray_training.dataset.selection import choose_views
from xray_training.dataset.sheet import coordinate_pictures, examples
from xray_training.dataset.stored import XRayDataset

CAMERA = Camera.centred(1020.0, 297 / 64, (64, 64))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, phantom_ct: CTVolume, phantom_bones: BoneLabels) -> Path:
    """Two views of each stratum of one patient, and one of each of another."""
    path = tmp_path_factory.mktemp("dataset")
    views = [CArmView()] * 2 * len(STRATA)
    write_patient(path, "first", phantom_ct, phantom_bones, CAMERA, views)
    labels = phantom_bones.labels.copy()
    labels[..., labels.shape[2] // 2 :] *= 2
    two_bones = BoneLabels(labels, phantom_bones.ijk_to_ras, {1: "left", 2: "right"})
    write_patient(path, "second", phantom_ct, two_bones, CAMERA, views[: len(STRATA)])
    return path


def test_a_row_takes_views_of_its_stratum_from_each_patient_in_turn(folder: Path) -> None:
    chosen = choose_views(XRayDataset(folder))
    for place, stratum in enumerate(STRATA):
        shown = [(patient.name, number) for patient, number in examples(chosen, stratum)]
        assert shown == [("first", place), ("second", place), ("first", place + len(STRATA))]
    assert examples(chosen[1:], "none such") == []


@pytest.mark.parametrize("name", ["first", "second"])
def test_colours_are_places_in_the_patient(name: str, folder: Path) -> None:
    """From behind: columns run to the patient's right, rows to the feet, and rays enter at the back."""
    entry, exit_ = coordinate_pictures(XRayDataset(folder).patient(name), 0)
    bone = (entry < 1).any(axis=2)
    assert 0.05 < bone.mean() < 0.5 and (entry[~bone] == 1).all() and entry.min() >= 0
    row, column = np.nonzero(bone)
    red, green, blue = entry[bone].T
    assert np.corrcoef(red, column)[0, 1] > 0.99 and np.corrcoef(blue, row)[0, 1] < -0.99
    assert (exit_[bone][:, 1] >= green - 0.01).all() and (exit_[bone][:, 1] - green).max() > 0.3


def test_the_command_draws_a_picture_of_a_row_for_every_stratum(folder: Path, tmp_path: Path) -> None:
    sheet(folder, tmp_path / "sheet.png")
    picture = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "sheet.png")))[..., :3].astype(int)
    colourful = np.ptp(picture, axis=2) > 40
    rows = np.count_nonzero(np.diff(np.concatenate([[0], colourful.any(axis=1), [0]]).astype(int)) == 1)
    assert rows == len(STRATA)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_what_is_no_data_set_or_no_png_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder of a data set"):
        sheet(tmp_path, tmp_path / "sheet.png")
    with pytest.raises(InputError, match=r"choose a name such as sheet\.png"):
        sheet(folder, tmp_path / "sheet.jpg")
