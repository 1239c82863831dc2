"""A data set in PyTorch: the network's images and coordinates, whoever reads them and in whatever order."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, CArmView, transform_points
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.projector import Projector
from torch.utils.data import DataLoader

pytest.importorskip("zarr")

from stored_xrays import COLLIMATED, write_patient
from xray_training.dataset.augmentation import StoredXRayAugmentation
from xray_training.dataset.stored import XRayDataset
from xray_training.dataset.torch_dataset import TorchViews
from xray_training.randomise import RandomisationRanges
from XRayRegistrationLib.correspondences import network_image
from XRayRegistrationLib.model import Model
from XRayRegistrationLib.xray import XRay, normalised

SIZE = 192
CAMERA = Camera.centred(1020.0, 297 / SIZE, (SIZE, SIZE))
VIEWS = [CArmView(primary, 8.0, 5.0, (4.0, -9.0)) for primary in (0.0, 25.0, -40.0, 70.0, 10.0)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, phantom_ct: CTVolume, two_bones: BoneLabels) -> Path:
    path = tmp_path_factory.mktemp("dataset")
    write_patient(path, "first", phantom_ct, two_bones, CAMERA, VIEWS)
    write_patient(path, "second", replace(phantom_ct, hu=phantom_ct.hu - 10), two_bones, CAMERA, VIEWS[::-1])
    return path


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(torch.nan_to_num(one[name]), torch.nan_to_num(other[name])) for name in one)


def test_splits_and_patients_divide_the_views(folder: Path) -> None:
    counts = {split: len(TorchViews(folder, split)) for split in ("train", "validation", "test")}
    assert counts == {"train": 6, "validation": 2, "test": 2} and len(TorchViews(folder)) == 10
    chosen = TorchViews(folder, "train", ["second"])
    assert chosen.patients == ["second"]
    assert [(int(item["patient"]), int(item["view"])) for item in map(chosen.__getitem__, range(3))] == [(0, 0), (0, 1), (0, 2)]
    # The second patient's views are those of the first in another order.
    expected = VIEWS[::-1][1].ras_to_camera(XRayDataset(folder).patient("second").centre_ras)
    np.testing.assert_allclose(chosen[1]["ras_to_camera"], expected, atol=1e-9)


@pytest.mark.parametrize("number", [0, COLLIMATED])
def test_images_are_those_that_the_registration_makes(folder: Path, number: int, untrained_model: Model) -> None:
    """The model is for images of 128 pixels; a data set of 192 is none of its size, so a model of 64 stands for it."""
    model = replace(untrained_model, description=replace(untrained_model.description, camera=CAMERA.resized((64, 64))))
    view = XRayDataset(folder).patient("first").view(number)
    whole = XRay(view.intensity, np.ones((SIZE, SIZE), dtype=bool), "intensity")
    xray = XRay.from_pixels(view.intensity, "intensity") if number == COLLIMATED else whole
    assert xray.field.all() == (number != COLLIMATED)
    expected, camera = network_image(normalised(xray), CAMERA, model)
    item = TorchViews(folder, image_size=64)[number]
    torch.testing.assert_close(item["image"], expected[0], rtol=0, atol=1e-4)
    np.testing.assert_allclose(item["camera_matrix"], camera.matrix)


@pytest.mark.parametrize("image_size", [192, 96, 64])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_coordinates_are_those_of_the_output_pixels_rays(
    folder: Path, phantom_ct: CTVolume, two_bones: BoneLabels, image_size: int, stride: int
) -> None:
    """Factors 1 to 12. An output pixel's ray runs through a pixel where they are odd, and between four where they are even."""
    dataset = TorchViews(folder, patients=["first"], image_size=image_size, output_stride=stride)
    camera = CAMERA.resized((image_size // stride,) * 2)
    projector = Projector.from_ct(phantom_ct, two_bones)
    for item in (dataset[0], dataset[3]):
        pose = item["ras_to_camera"].numpy()
        found = item["coordinates"].numpy()
        true = projector.scene_coordinates(camera, pose[None]).numpy().reshape(2, 2, 3, *camera.image_size)
        # Every point lies on the ray of its own pixel ...
        row, column = np.indices(camera.image_size)
        on_bone = np.isfinite(found)
        for points in np.moveaxis(found, 2, -1).reshape(4, -1, 3):
            projected = camera.project(transform_points(pose, points)).reshape(*camera.image_size, 2)
            hit = np.isfinite(projected[..., 0])
            np.testing.assert_allclose(projected[hit], np.stack([column, row], axis=-1)[hit], atol=1e-3)
        # ... as deep as the ray caster says: to half a step of the stored depths where the rays are the same; else most points to that
        # step, and nine of ten to a pixel of the X-ray, which is 1.1 mm at the bone ...
        both = on_bone & np.isfinite(true)
        distance = np.linalg.norm(np.where(both, found - true, 0), axis=2)[both[:, :, 0]]
        odd = (SIZE // image_size * stride) % 2
        assert distance.max() < 0.03 if odd else np.median(distance) < 0.05 and np.percentile(distance, 90) < 1.1
        # ... and the outlines differ by less than one pixel of the X-ray.
        differing = (on_bone != np.isfinite(true))[:, 0, 0]
        assert differing.sum() == 0 if odd else differing.mean() < 0.02
        assert torch.equal(item["mask"], torch.from_numpy(on_bone[:, 0, 0]))


def test_between_bone_and_bone_behind_it_there_is_no_point() -> None:
    """Two planes, 600 and 700 mm deep, whose edge runs between pixels that an output pixel's ray passes between."""
    from xray_training.dataset.coarse_coordinates import coarse_depths

    depth = np.full((8, 8), 600 / 0.05)
    depth[:, 6:] = 700 / 0.05
    depth[0:2] = 0
    found = coarse_depths(np.rint(depth).astype(np.uint16), 4)
    np.testing.assert_allclose(found, [[600, 600], [600, 600]], atol=1e-9)  # columns 1, 2 | 5, 6 of rows 1, 2 | 5, 6


def test_a_plane_across_the_rays_keeps_its_depth_exactly() -> None:
    """Of a tilted plane n x = d the inverse depth is linear over the image."""
    from xray_training.dataset.coarse_coordinates import coarse_depths

    normal, distance = np.array([0.5, -0.3, 1.0]), 700.0

    def depth(camera: Camera) -> np.ndarray:
        row, column = np.indices(camera.image_size)
        return distance / (camera.back_project(np.stack([column, row], axis=-1), 1.0) @ normal)

    found = coarse_depths(np.rint(depth(CAMERA) / 0.05).astype(np.uint16), 8)
    assert np.abs(found - depth(CAMERA.resized((24, 24)))).max() <= 0.026


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_workers_give_the_same_items_as_none(folder: Path, method: str) -> None:
    dataset = TorchViews(folder, image_size=64, augmentation=StoredXRayAugmentation(), seed=3)
    dataset[0]  # files are open before the workers start
    alone = [dataset[item] for item in range(len(dataset))]
    loader = DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context=method)
    for ours, theirs in zip(alone, loader, strict=True):
        assert same(ours, theirs)


def test_batches_stack_views_and_pickling_leaves_the_files_closed(folder: Path) -> None:
    dataset = TorchViews(folder, "train", image_size=96)
    dataset[0]
    again = pickle.loads(pickle.dumps(dataset))
    assert not again._opened and same(again[5], dataset[5])
    batch = next(iter(DataLoader(again, batch_size=6)))
    assert batch["image"].shape == (6, 1, 96, 96) and batch["coordinates"].shape == (6, 2, 2, 3, 24, 24)
    assert batch["patient"].tolist() == [0, 0, 0, 1, 1, 1]


def test_augmentation_depends_on_seed_epoch_and_item_alone(folder: Path) -> None:
    def image(seed: int, epoch: int, item: int) -> torch.Tensor:
        dataset = TorchViews(folder, image_size=64, augmentation=StoredXRayAugmentation(), seed=seed)
        dataset.set_epoch(epoch)
        return dataset[item]["image"]

    assert torch.equal(image(1, 2, 3), image(1, 2, 3))
    images = [image(1, 2, 3), image(2, 2, 3), image(1, 3, 3), image(1, 2, 4)]
    assert len({one.numpy().tobytes() for one in images}) == 4
    for one in images:
        assert one.isfinite().all() and one.min() >= -0.5 and one.max() <= 1.5


def test_an_epoch_reaches_workers_that_live_on(folder: Path) -> None:
    dataset = TorchViews(folder, image_size=64, augmentation=StoredXRayAugmentation())
    loader = DataLoader(dataset, batch_size=None, num_workers=1, persistent_workers=True, multiprocessing_context="fork")
    first = [item["image"] for item in loader]
    dataset.set_epoch(1)
    second = [item["image"] for item in loader]
    assert not any(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert torch.equal(second[2], dataset[2]["image"])


def test_augmentation_without_strength_leaves_the_image_and_its_field(folder: Path) -> None:
    """But for the percentiles, which are then of averaged pixels, where noise spreads them less."""
    plain = replace(RandomisationRanges().at_strength(0.0), photons_log=(1e12, 1e12))
    augmented = TorchViews(folder, image_size=64, augmentation=StoredXRayAugmentation(plain))[COLLIMATED]["image"]
    image = TorchViews(folder, image_size=64)[COLLIMATED]["image"]
    outside = augmented == 0
    assert 0.1 < outside.float().mean() < 0.6
    a, b = image[~outside].numpy(), augmented[~outside].numpy()
    gain, offset = np.polyfit(a, b, 1)
    assert 0.9 < gain < 1.2 and abs(offset) < 0.1
    inside = (a > 0.02) & (a < 0.98)
    assert np.abs(b - (gain * a + offset))[inside].max() < 0.02


def test_sizes_that_do_not_divide_and_empty_choices_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="cannot be made 100 x 100"):
        TorchViews(folder, image_size=100)
    with pytest.raises(InputError, match="stride of 5"):
        TorchViews(folder, output_stride=5)
    with pytest.raises(InputError, match="no split 'exam'"):
        TorchViews(folder, "exam")
    with pytest.raises(InputError, match="has no patient 'third'"):
        TorchViews(folder, patients=["third"])
