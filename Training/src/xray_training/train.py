"""Training of one CT's network: the loop, its schedule, its averaged weights, and its checkpoints."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, ViewRange
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.projector import Projector
from DRRSimulatorLib.surface import bone_surface
from torch.profiler import record_function
from XRayRegistrationLib.model import Model, ModelDescription, build_network

from .checkpoint import load_checkpoint, save_checkpoint
from .lone_bones import holds_lone_bones, with_continued_shafts
from .loss import bone_in_field, scene_coordinate_loss
from .optimiser import Optimiser
from .pose_loss import PoseLoss
from .randomise import RandomisationRanges, Randomiser
from .views import ViewPool

CHECKPOINT_NAME = "checkpoint.safetensors"

# Losses are summed up on the device and read once in so many steps: reading them makes the host wait for the device.
READ_LOSSES_EVERY = 20
AVERAGE_EVERY = 5  # steps; averaging costs as much as an optimisation step's update


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes:
        camera: the camera of the training images; its image size is the network's.
        view_range: the views to train for.
        steps: optimisation steps.
        batch_size: images a step.
        new_views_per_step: views rendered a step; the rest of the batch comes from the pool, randomised anew.
        pool_size: rendered views kept.
        learning_rate: peak of the schedule (linear warm-up over 200 steps, then half a cosine to 0), for `Optimiser`.
        weight_decay: of the optimiser.
        average_decay: of the exponential moving average of the weights, which becomes the model.
        checkpoint_every: steps between checkpoints.
        seed: of everything random.
        randomisation: strength of the domain randomisation, 0 (plain images) to 1, in the first 60 % of the steps.
        final_randomisation: share of that strength that is left in the last 20 % of the steps; in between it falls evenly. What was
            learned on hard images stays, and what is lost in precision to them comes back.
        pose_weight: of the pose loss, from 60 % of the steps on; before 40 % of them it is 0, for as long as points are known only
            roughly it hinders the learning of them.
        start: name of the model that the training starts from; empty for random weights.
    """

    camera: Camera
    view_range: ViewRange = field(default_factory=ViewRange)
    steps: int = 10000
    batch_size: int = 32
    new_views_per_step: int = 4
    pool_size: int = 2048
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    average_decay: float = 0.998
    checkpoint_every: int = 250
    seed: int = 0
    randomisation: float = 1.0
    final_randomisation: float = 0.4
    pose_weight: float = 0.2
    start: str = ""

    def randomisation_at(self, step: int) -> float:
        """Strength of the randomisation at a step, counted from 0."""
        fallen = min(max((step / self.steps - 0.6) / 0.2, 0.0), 1.0)
        return self.randomisation * (1 + (self.final_randomisation - 1) * fallen)

    def pose_weight_at(self, step: int) -> float:
        """Weight of the pose loss at a step, counted from 0."""
        return self.pose_weight * min(max((step / self.steps - 0.4) / 0.2, 0.0), 1.0)

    def learning_rate_at(self, step: int) -> float:
        """Learning rate at a step, counted from 0."""
        return self.learning_rate * min(1.0, (step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * step / self.steps))


@dataclass(frozen=True)
class TrainingStatus:
    """Where a training stands: steps done, seconds spent over all its runs, and the losses.

    The losses are means since they were last read, which is at the first step, the last, and every `READ_LOSSES_EVERY` steps.
    """

    step: int
    seconds: float
    losses: dict[str, float]


class Trainer:
    """Trains a network for the bones of one CT; a run that was stopped, or killed, goes on from the last checkpoint."""

    def __init__(
        self, ct: CTVolume, bones: BoneLabels, settings: TrainingSettings, device: str, folder: Path, start: Model | None = None
    ) -> None:
        """Prepare the training, or resume the one that left a checkpoint in the folder.

        Args:
            ct: the CT that the model is for.
            bones: its bones; every label gets maps of its own.
            settings: see `TrainingSettings`.
            device: torch device, "cpu" or "cuda".
            folder: where the checkpoint is kept.
            start: model whose weights to start from, of this CT or another with as many bones; None for random weights.

        Raises:
            InputError: if the folder holds the checkpoint of a different training, or the network to start from has other sizes.
        """
        self.settings, self.device, self.checkpoint = settings, device, folder / CHECKPOINT_NAME
        torch.manual_seed(settings.seed)
        points = bone_surface(bones).sample(4000, np.random.default_rng(settings.seed)).astype(np.float64)
        centre = points.mean(axis=0)
        self.description = ModelDescription(
            ct_fingerprint=ct.fingerprint,
            labels=dict(bones.names),
            centre_ras=(float(centre[0]), float(centre[1]), float(centre[2])),
            scale_mm=float(np.sqrt(((points - centre) ** 2).sum(axis=1).mean())),
            camera=settings.camera,
        )
        self.network = build_network(self.description).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if start is not None:
            self._copy_weights(start)
        self.averaged = copy.deepcopy(self.network)
        self.optimiser = Optimiser(self.network, settings.weight_decay)
        self.generator = torch.Generator(device=device)
        lone_bones = holds_lone_bones(ct, bones)
        self.randomiser = Randomiser(self.generator, lone_bones)
        self.centre = torch.tensor(self.description.centre_ras, device=device).view(1, 1, 3, 1, 1)
        self.pose_loss = PoseLoss(self.description, points, device)
        self.bfloat16 = calculates_faster_in_bfloat16(device)
        self.projector = Projector.from_ct(*(with_continued_shafts(ct, bones) if lone_bones else (ct, bones)), device)
        self.views = ViewPool(
            self.projector,
            settings.camera,
            self.description.output_stride,
            points,
            settings.view_range,
            settings.seed,
            settings.batch_size,
            settings.new_views_per_step,
            settings.pool_size,
        )
        self.step = 0
        self.seconds = 0.0
        if self.checkpoint.is_file():
            self._resume()

    def run(self, report: Callable[[TrainingStatus], None] = lambda status: None, cancelled: Callable[[], bool] = lambda: False) -> bool:
        """Train to the last step; True when it is reached, False when cancelled (the checkpoint then holds all that was done).

        Args:
            report: called after every step.
            cancelled: asked before every step.
        """
        self.network.train()
        sums: dict[str, torch.Tensor] = {}
        losses: dict[str, float] = {}
        summed = 0
        while self.step < self.settings.steps:
            if cancelled():
                self.save_checkpoint()
                return False
            start = time.monotonic()
            sums = {name: sums.get(name, 0) + value for name, value in self._train_step().items()}
            self.step += 1
            summed += 1
            if not losses or self.step % READ_LOSSES_EVERY == 0 or self.step == self.settings.steps:
                losses = {name: value.item() / summed for name, value in sums.items()}
                sums, summed = {}, 0
            self.seconds += time.monotonic() - start
            if self.step % self.settings.checkpoint_every == 0 or self.step == self.settings.steps:
                self.save_checkpoint()
            report(TrainingStatus(self.step, self.seconds, losses))
        return True

    def model(self, record: dict[str, Any]) -> Model:
        """The averaged network as a model, with the training's record added to the description."""
        settings = {**asdict(self.settings), "seconds": round(self.seconds, 1), "steps_done": self.step}
        description = ModelDescription(**{**vars(self.description), "training": {**settings, **record}})
        return Model(self.averaged.eval(), description)

    def _train_step(self) -> dict[str, torch.Tensor]:
        """One step; its losses, on the device. On CUDA the host waits for nothing and copies nothing, but when views are rendered.

        The names of the parts are for PyTorch's profiler.
        """
        settings, stride = self.settings, self.description.output_stride
        self.generator.manual_seed(settings.seed * 1_000_003 + self.step)
        with record_function("views"):
            views = self.views.batch(self.step, self.generator)
        with record_function("randomise"):
            ranges = RandomisationRanges().at_strength(settings.randomisation_at(self.step))
            images, exposed = self.randomiser(views.integrals, ranges)
        with record_function("forward"), torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.bfloat16):
            maps = self.network.scene_maps(images.contiguous(memory_format=torch.channels_last))
        with record_function("losses"):
            targets = ((views.coordinates.unflatten(1, (-1, 3)) - self.centre) / self.description.scale_mm).flatten(1, 2)
            bone = bone_in_field(targets, exposed[..., stride // 2 :: stride, stride // 2 :: stride])
            targets = torch.nan_to_num(targets)
            losses = scene_coordinate_loss(maps, targets, bone) | self.pose_loss(maps, targets, bone, views.ras_to_camera)
            losses["loss"] = losses["loss"] + settings.pose_weight_at(self.step) * losses["pose_loss"]
        with record_function("backward"):
            self.optimiser.zero_grad()
            losses["loss"].backward()
        with record_function("update"):
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimiser.step(settings.learning_rate_at(self.step))
            if (self.step + 1) % AVERAGE_EVERY == 0:
                self._average((self.step + 1) // AVERAGE_EVERY)
        losses["coordinate_error_mm"] = losses.pop("coordinate_error") * self.description.scale_mm
        return {name: value.detach() for name, value in losses.items()}

    @torch.no_grad()
    def _average(self, count: int) -> None:
        """Move the averaged weights towards the present ones, the further the fewer averages were made before."""
        decay = min(self.settings.average_decay**AVERAGE_EVERY, count / (count + 10))
        for average, present in zip(self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True):
            if average.is_floating_point():
                average.lerp_(present, 1 - decay)
            else:
                average.copy_(present)

    def save_checkpoint(self) -> None:
        """Write everything that the training needs to go on exactly."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"averaged.{name}": value for name, value in self.averaged.state_dict().items()}
        tensors |= {f"optimiser.{name}": value for name, value in self.optimiser.state().items()}
        values = {"identity": self._identity(), "step": self.step, "seconds": self.seconds}
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        save_checkpoint(self.checkpoint, tensors, values)

    def _copy_weights(self, start: Model) -> None:
        try:
            self.network.load_state_dict(start.network.state_dict())
        except RuntimeError as error:
            raise InputError(
                "The model to start from has a network of other sizes, or another number of bones; choose another model."
            ) from error

    def _identity(self) -> str:
        """What has to be equal for a checkpoint to belong to this training."""
        return repr((self.settings, self.description))

    def _resume(self) -> None:
        tensors, values = load_checkpoint(self.checkpoint)
        if values.get("identity") != self._identity():
            raise InputError(
                f"The folder {self.checkpoint.parent} holds a training with other settings or another CT; "
                "repeat its settings to go on, or choose another output to begin anew."
            )

        def part(prefix: str) -> dict[str, torch.Tensor]:
            return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

        self.network.load_state_dict(part("network."))
        self.averaged.load_state_dict(part("averaged."))
        self.optimiser.load_state(part("optimiser."))
        self.step, self.seconds = int(values["step"]), float(values["seconds"])


def calculates_faster_in_bfloat16(device: str) -> bool:
    """Whether a device has instructions for 16-bit floating point numbers; without them they are slower than 32-bit ones."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # PyTorch tells this of CPUs in functions of its own only, and older versions not at all.
    supported = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return any(function() for function in supported if function is not None)
