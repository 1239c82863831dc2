"""Training of one CT's network: the loop, its schedule, its averaged weights, and its checkpoints."""

from __future__ import annotations

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
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from XRayRegistrationLib.model import Model, ModelDescription, build_network
from XRayRegistrationLib.network import SceneCoordinateNetwork

from .checkpoint import load_checkpoint, save_checkpoint
from .loss import scene_coordinate_loss
from .randomise import RandomisationRanges, Randomiser
from .views import RenderedViews, ViewPool

CHECKPOINT_NAME = "checkpoint.safetensors"


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
        learning_rate: peak of the schedule (linear warm-up over 200 steps, then half a cosine to 0).
        weight_decay: of AdamW.
        average_decay: of the exponential moving average of the weights, which becomes the model.
        checkpoint_every: steps between checkpoints.
        seed: of everything random.
        randomisation: strength of the domain randomisation, 0 (plain images) to 1.
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
    start: str = ""


@dataclass(frozen=True)
class TrainingStatus:
    """Where a training stands: steps done, seconds spent over all its runs, and the running means of the losses."""

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
        self.averaged = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(settings.average_decay), use_buffers=True)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
        self.generator = torch.Generator(device=device)
        self.randomise = Randomiser(self.generator, RandomisationRanges().at_strength(settings.randomisation))
        self.projector = Projector.from_ct(ct, bones, device)
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
        running: dict[str, float] = {}
        while self.step < self.settings.steps:
            if cancelled():
                self.save_checkpoint()
                return False
            start = time.monotonic()
            losses = self._train_step(self.views.batch(self.step))
            self.step += 1
            self.seconds += time.monotonic() - start
            running = {name: 0.98 * running.get(name, value) + 0.02 * value for name, value in losses.items()}
            if self.step % self.settings.checkpoint_every == 0 or self.step == self.settings.steps:
                self.save_checkpoint()
            report(TrainingStatus(self.step, self.seconds, running))
        return True

    def model(self, record: dict[str, Any]) -> Model:
        """The averaged network as a model, with the training's record added to the description."""
        network = self.averaged.module
        assert isinstance(network, SceneCoordinateNetwork)
        settings = {**asdict(self.settings), "seconds": round(self.seconds, 1), "steps_done": self.step}
        description = ModelDescription(**{**vars(self.description), "training": {**settings, **record}})
        return Model(network.eval(), description)

    def _train_step(self, views: RenderedViews) -> dict[str, float]:
        self.generator.manual_seed(self.settings.seed * 1_000_003 + self.step)
        images, exposed = self.randomise(views.integrals)
        stride = self.description.output_stride
        batch, channels, rows, columns = views.coordinates.shape
        centre = torch.tensor(self.description.centre_ras, device=self.device).view(1, 1, 3, 1, 1)
        targets = (views.coordinates.view(batch, -1, 3, rows, columns) - centre) / self.description.scale_mm
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * self._schedule()
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.startswith("cuda")):
            maps = self.network.scene_maps(images.contiguous(memory_format=torch.channels_last))
        exposed = exposed[..., stride // 2 :: stride, stride // 2 :: stride]
        losses = scene_coordinate_loss(maps, targets.reshape(batch, channels, rows, columns), exposed)
        self.optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.averaged.update_parameters(self.network)
        values = {name: value.item() for name, value in losses.items()}
        values["coordinate_error_mm"] = values.pop("coordinate_error") * self.description.scale_mm
        return values

    def _schedule(self) -> float:
        """Share of the peak learning rate at the present step."""
        return min(1.0, (self.step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * self.step / self.settings.steps))

    def save_checkpoint(self) -> None:
        """Write everything that the training needs to go on exactly."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"averaged.{name}": value for name, value in self.averaged.state_dict().items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": value for name, value in state.items()}
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
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in part("optimiser.").items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = value
        self.optimiser.load_state_dict({"state": state, "param_groups": self.optimiser.state_dict()["param_groups"]})
        self.step, self.seconds = int(values["step"]), float(values["seconds"])
