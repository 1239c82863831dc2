"""The model file: what is saved comes back, and what is no model is refused in a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from DRRSimulatorLib.camera import Camera, ViewRange
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError
from safetensors.torch import load_file, save_file
from XRayRegistrationLib.model import FORMAT, LARGE_KERNEL, Model, ModelDescription, build_network, load_model, read_description, save_model

DESCRIPTION = ModelDescription(
    ct_fingerprint="0" * 64,
    labels={1: "femur_left", 4: "hip_right"},
    centre_ras=(1.0, -2.0, 3.5),
    scale_mm=120.0,
    camera=Camera.centred(1020.0, 2.32, (128, 128)),
    channels=(8, 16, 256),
    training={"seed": 3},
)


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    return Model(build_network(DESCRIPTION).eval(), DESCRIPTION)


def test_a_saved_model_says_the_same_of_an_image(model: Model, tmp_path: Path) -> None:
    save_model(tmp_path / "model.safetensors", model)
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.description == DESCRIPTION
    images = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.allclose(loaded.network(images), model.network(images), atol=5e-3)


def test_what_a_model_was_trained_for_is_read_without_pytorch(model: Model, tmp_path: Path) -> None:
    save_model(tmp_path / "model.safetensors", model)
    script = (
        "import sys; sys.modules['torch'] = None; from pathlib import Path; from XRayRegistrationLib.model import read_description; "
        f"print(read_description(Path({str(tmp_path / 'model.safetensors')!r})).to_json())"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == DESCRIPTION.to_json()


def test_only_large_kernels_lose_more_than_16_bits_do(model: Model, tmp_path: Path) -> None:
    save_model(tmp_path / "model.safetensors", model)
    restored = load_model(tmp_path / "model.safetensors").network.state_dict()
    sizes = [tensor.numel() for tensor in restored.values()]
    assert max(sizes) >= LARGE_KERNEL > min(sizes)
    for name, tensor in model.network.state_dict().items():
        error = (restored[name] - tensor).abs()
        if tensor.numel() >= LARGE_KERNEL:
            step = tensor.abs().amax(dim=(1, 2, 3), keepdim=True) / 127
            assert (error <= 0.501 * step).all(), name
        else:
            assert torch.equal(restored[name], tensor.half().float() if tensor.is_floating_point() else tensor), name


def test_maps_have_one_mask_two_points_and_two_scales_per_bone(model: Model) -> None:
    maps = model.network.scene_maps(torch.zeros(3, 1, 64, 96))
    assert maps.mask_logits.shape == (3, 2, 16, 24)
    assert maps.coordinates.shape == (3, 2, 2, 3, 16, 24)
    assert maps.log_scale.shape == (3, 2, 2, 16, 24)


def test_a_model_refuses_another_ct(model: Model) -> None:
    hu = np.zeros((4, 4, 4), dtype=np.float32)
    with pytest.raises(InputError, match="trained on another CT"):
        model.description.check_ct(CTVolume(hu, np.eye(4)))


def write(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> Path:
    save_file(tensors, path, metadata=metadata)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": [4096, 8]}, "implausible"),
        ({"channels": [8]}, "implausible"),
        ({"output_stride": 0}, "implausible"),
        ({"labels": {}}, "implausible"),
        ({"scale_mm": -1.0}, "implausible"),
        ({"centre_ras": [0, 0]}, "damaged"),
        ({"labels": ["bone"]}, "damaged"),
        ({"camera": {"image_size": [0, 0]}}, "damaged|camera"),
        ({"channels": [8, 16, 32]}, "do not fit"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(model: Model, tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, model)
    description = json.dumps(json.loads(DESCRIPTION.to_json()) | changes)
    with pytest.raises(InputError, match=message):
        load_model(write(path, load_file(path), {"format": FORMAT, "description": description}))


def test_files_that_are_no_models_are_refused(model: Model, tmp_path: Path) -> None:
    text = tmp_path / "text.safetensors"
    text.write_text("not a model")
    other = write(tmp_path / "other.safetensors", {"weight": torch.zeros(1)}, {"format": "pt"})
    truncated = tmp_path / "truncated.safetensors"
    save_model(truncated, model)
    truncated.write_bytes(truncated.read_bytes()[:-1000])
    for path, message in ((tmp_path / "none", "does not exist"), (text, "cannot be read"), (other, "not a"), (truncated, "cannot be read")):
        with pytest.raises(InputError, match=message):
            load_model(path)
    for path, message in ((tmp_path / "none", "does not exist"), (text, "cannot be read"), (other, "not a")):
        with pytest.raises(InputError, match=message):
            read_description(path)


def test_saving_over_a_model_that_cannot_be_written_keeps_it(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, model)
    before = path.read_bytes()

    def full_disk(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_model(path, replace(model, description=replace(DESCRIPTION, scale_mm=1.0)))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("recorded", [None, 7, {"primary_deg": 45.0}, "far"])
def test_a_record_without_views_tells_none(recorded: object) -> None:
    assert replace(DESCRIPTION, training={"view_range": recorded}).view_range is None


def test_the_views_of_the_training_are_those_that_were_recorded() -> None:
    views = ViewRange(30.0, 20.0, 10.0, 40.0, (500.0, 700.0))
    recorded = json.loads(json.dumps({"view_range": asdict(views)}))
    assert replace(DESCRIPTION, training=recorded).view_range == views


def test_a_description_of_a_huge_network_takes_no_memory_before_its_weights_are_seen(tmp_path: Path) -> None:
    """Its eight levels of 2048 channels would take some gigabytes."""
    huge = replace(DESCRIPTION, channels=(2048,) * 8)
    path = write(tmp_path / "huge.safetensors", {"weight": torch.zeros(1)}, {"format": FORMAT, "description": huge.to_json()})
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (int(open('/proc/self/statm').read().split()[0]) * 4096 + 2**29,) * 2)"
    load = f"import pathlib, torch, monai.networks.nets, safetensors.torch; {limit}; from XRayRegistrationLib.model import load_model; "
    if not Path("/proc/self/statm").exists():
        pytest.skip("the limit of memory is set in Linux's way")
    run = subprocess.run([sys.executable, "-c", f"{load} load_model(pathlib.Path({str(path)!r}))"], capture_output=True, text=True)
    assert "InputError: The weights in" in run.stderr and "do not fit" in run.stderr


def test_scales_that_would_multiply_weights_to_any_size_are_refused(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, model)
    weights = load_file(path)
    name = next(name for name, weight in weights.items() if weight.ndim == 4)
    weights[name], weights[name + ".scale"] = torch.ones(100_000, 1, 1, 1), torch.ones(1, 100_000, 1, 1)
    with pytest.raises(InputError, match="do not fit"):
        load_model(write(path, weights, {"format": FORMAT, "description": DESCRIPTION.to_json()}))


def test_weights_that_are_not_finite_are_refused(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, model)
    weights = load_file(path)
    next(weight for weight in weights.values() if weight.is_floating_point()).view(-1)[0] = torch.nan
    with pytest.raises(InputError, match="do not fit"):
        load_model(write(path, weights, {"format": FORMAT, "description": DESCRIPTION.to_json()}))


@pytest.mark.parametrize(
    ("old", "new"),
    [('"scale_mm": 120.0', '"scale_mm": 1e999'), ('"1":', f'"{"9" * 5000}":'), ("[8, 16, 256]", "[1e999]"), ("{", "[" * 100_000)],
)
def test_a_description_beyond_all_numbers_is_refused(old: str, new: str) -> None:
    text = DESCRIPTION.to_json()
    assert old in text
    with pytest.raises(InputError):
        ModelDescription.from_json(text.replace(old, new, 1))
