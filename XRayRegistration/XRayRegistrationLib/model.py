"""The model file: a network's weights as safetensors, with everything needed to use them as JSON in its header."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, ViewRange
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.files import atomic_path

if TYPE_CHECKING:
    import torch

    from .network import SceneCoordinateNetwork

DEFAULT_MODEL = Path(__file__).parent / "data" / "pelvis.safetensors"  # of the sample CT, DRRSimulatorLib/data/pelvis_ct.nii.gz

# Kernels of at least so many weights are stored in 8 bits, which keeps the file small. They are those of the coarsest level: rounding
# them moved the poses of 16 X-rays by 0.03 mm (median), rounding all kernels by 1 mm.
LARGE_KERNEL = 500_000
SCALE_SUFFIX = ".scale"
LARGEST_HEADER = 10_000_000  # bytes; ours have some thousands
SEVERAL_CTS = "several"  # instead of a fingerprint, of models that others start from
FORMAT = "xray-registration scene-coordinate model, version 1"


@dataclass(frozen=True)
class ModelDescription:
    """What a network was trained for.

    Attributes:
        ct_fingerprint: fingerprint of the CT (`CTVolume.fingerprint`), or `SEVERAL_CTS`.
        labels: name of each bone, by its label, in the order of the network's outputs.
        centre_ras: origin of the network's coordinates, RAS mm.
        scale_mm: their unit, mm.
        camera: the camera whose pixels the network expects; X-rays are resampled to its focal length in pixels.
        channels: feature channels of the U-Net's levels.
        output_stride: image pixels per output pixel.
        training: record of the training: settings, seed, steps, seconds, hardware, versions; no names of files.
    """

    ct_fingerprint: str
    labels: dict[int, str]
    centre_ras: tuple[float, float, float]
    scale_mm: float
    camera: Camera
    channels: tuple[int, ...] = (48, 96, 192, 256, 256)
    output_stride: int = 4
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def view_range(self) -> ViewRange | None:
        """The views that the training drew from; None where its record does not tell them."""
        recorded: Any = self.training.get("view_range")
        try:
            near, far = (float(distance) for distance in recorded["source_to_bone_mm"])
            angles = {name: float(recorded[name]) for name in ("primary_deg", "secondary_deg", "roll_deg", "in_plane_mm")}
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        plausible = 0 < near < far < math.inf and all(map(math.isfinite, angles.values()))
        return ViewRange(source_to_bone_mm=(near, far), **angles) if plausible else None

    def check_ct(self, ct: CTVolume) -> None:
        """Refuse a CT that the model was not trained on.

        Raises:
            InputError: if the CT's fingerprint is another.
        """
        if self.ct_fingerprint == SEVERAL_CTS:
            raise InputError(
                "This model was trained over several CTs, for others to start from; train one for this CT with scr-train --start-from."
            )
        if ct.fingerprint != self.ct_fingerprint:
            raise InputError("This model was trained on another CT; give that CT, or train a model for this one with scr-train.")

    def check_bones(self, bones: BoneLabels) -> None:
        """Refuse bones other than those that the model was trained with, label by label.

        Raises:
            InputError: if a label is missing or new.
        """
        if list(bones.names) != list(self.labels):
            raise InputError(
                f"The model was trained on the labels {_listed(self.labels)}, but the bones here are {_listed(bones.names)}; "
                "give the labels of the training."
            )

    def to_json(self) -> str:
        """The description as one JSON text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelDescription:
        """The description of a JSON text made by `to_json`.

        Raises:
            InputError: if it lacks a value or holds an implausible one.
        """
        try:
            values = json.loads(text)
            x, y, z = (float(v) for v in values["centre_ras"])
            description = cls(
                ct_fingerprint=str(values["ct_fingerprint"]),
                labels={int(label): str(name) for label, name in values["labels"].items()},
                centre_ras=(x, y, z),
                scale_mm=float(values["scale_mm"]),
                camera=Camera.from_dict(values["camera"]),
                channels=tuple(int(c) for c in values["channels"]),
                output_stride=int(values["output_stride"]),
                training=dict(values["training"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            raise InputError(f"The model's description is damaged ({error!r}); train the model again.") from error
        plausible = 0 < description.scale_mm < math.inf and all(map(math.isfinite, description.centre_ras))
        plausible &= 2 <= len(description.channels) <= 8 and all(1 <= c <= 2048 for c in description.channels)
        if not (plausible and 1 <= description.output_stride <= 16 and 1 <= len(description.labels) <= 255):
            raise InputError("The model's description holds implausible network sizes; train the model again.")
        return description


@dataclass(frozen=True)
class Model:
    """A network ready to use, and what it was trained for."""

    network: SceneCoordinateNetwork
    description: ModelDescription


def build_network(description: ModelDescription) -> SceneCoordinateNetwork:
    """An untrained network of the description's size."""
    from .network import SceneCoordinateNetwork

    return SceneCoordinateNetwork(len(description.labels), description.channels, description.output_stride)


def save_model(path: Path, model: Model) -> None:
    """Write a model file, atomically: 16-bit weights, and the few largest kernels as 8-bit integers with a scale per first channel."""
    weights: dict[str, torch.Tensor] = {}
    for name, tensor in model.network.state_dict().items():
        if tensor.numel() < LARGE_KERNEL:
            weights[name] = (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
            continue
        scale = tensor.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12) / 127
        weights[name] = (tensor / scale).round().char().contiguous().cpu()
        weights[name + SCALE_SUFFIX] = scale.contiguous().cpu()
    save_tensors(path, weights, {"format": FORMAT, "description": model.description.to_json()})


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    """Write contiguous tensors of the CPU as a safetensors file, atomically.

    Raises:
        OSError: if it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=metadata)
        except SafetensorError as error:
            raise OSError(f"{path} cannot be written: {error}") from error


def read_description(path: Path) -> ModelDescription:
    """Read what a model was trained for: quickly, since its weights are left out, and without PyTorch.

    Raises:
        InputError: if the file is missing, or not a model file.
    """
    if not path.is_file():
        raise InputError(f"The model file {path} does not exist.")
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")  # of the header, a JSON text
            if size > LARGEST_HEADER:
                raise ValueError("the header is too long")
            metadata = dict(json.loads(file.read(size)).get("__metadata__", {}))
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise InputError(f"The model file {path} cannot be read as safetensors: {error}.") from error
    if metadata.get("format") != FORMAT:
        raise InputError(f"The file {path} is not a scene-coordinate model made by scr-train.")
    return ModelDescription.from_json(metadata.get("description", ""))


def load_model(path: Path, device: str = "cpu") -> Model:
    """Read a model file.

    Raises:
        InputError: if the file is missing, not a model file, or damaged.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    description = read_description(path)
    with torch.device("meta"):  # without memory: what a description claims must not fill it before the weights are seen
        network = build_network(description)
    try:
        network.load_state_dict(_weights(load_file(path), network.state_dict()), assign=True)
    except (SafetensorError, OSError) as error:
        raise InputError(f"The model file {path} cannot be read as safetensors: {error}.") from error
    except (RuntimeError, KeyError) as error:
        raise InputError(f"The weights in {path} do not fit the network that it describes; train the model again.") from error
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as convolutions want them
    return Model(network.eval(), description)


def _listed(labels: Iterable[int]) -> str:
    return ", ".join(map(str, labels))


def _weights(stored: dict[str, torch.Tensor], network: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of what `save_model` stored, in the types of those of a network.

    Raises:
        KeyError, RuntimeError: if there is one that the network does not have, or that is not finite.
    """
    weights = {}
    for name, tensor in stored.items():
        if name.endswith(SCALE_SUFFIX):
            continue
        scale = stored.get(name + SCALE_SUFFIX)
        if scale is not None:
            if scale.shape != (*tensor.shape[:1], 1, 1, 1):
                raise KeyError(f"{name} has a scale of another shape")  # which might make a product of any size
            tensor = tensor.float() * scale
        weights[name] = tensor.to(network[name].dtype)
        if not weights[name].isfinite().all():
            raise KeyError(f"{name} is not finite")
    return weights
