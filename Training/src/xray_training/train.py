"""Training of a network, for one CT or over several: the loop, its averaged weights, and its checkpoints."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from DRRSimulatorLib.errors import InputError
from torch.profiler import record_function
from XRayRegistrationLib.model import SEVERAL_CTS, Model, ModelDescription, build_network
from XRayRegistrationLib.network import SceneMaps

from .checkpoint import load_checkpoint, save_checkpoint
from .loss import bone_in_field, scene_coordinate_loss
from .optimiser import Optimiser
from .processes import ONE_PROCESS, Processes
from .randomise import RandomisationRanges
from .settings import TrainingSettings
from .training_patient import TrainingImages, TrainingPatient

CHECKPOINT_NAME = "checkpoint.safetensors"

# Losses are summed up on the device and read once in so many steps: reading them makes the host wait for the device.
READ_LOSSES_EVERY = 20
AVERAGE_EVERY = 5  # steps; averaging costs as much as an optimisation step's update


@dataclass(frozen=True)
class TrainingStatus:
    """Where a training stands: steps done, seconds spent over all its runs, and the losses.

    The losses are means since they were last read, which is at the first step, the last, and every `READ_LOSSES_EVERY` steps.
    """

    step: int
    seconds: float
    losses: dict[str, float]


class Trainer:
    """Trains a network for the bones of one patient, or of several at once.

    A run that was stopped, or killed, goes on from the last checkpoint and ends as if nothing had been.
    """

    def __init__(
        self,
        patients: Sequence[TrainingPatient],
        settings: TrainingSettings,
        device: str,
        folder: Path,
        start: Model | None = None,
        processes: Processes = ONE_PROCESS,
    ) -> None:
        """Prepare the training, or resume the one that left a checkpoint in the folder.

        Args:
            patients: with equally many bones each; they take turns in being a part of a batch.
            settings: see `TrainingSettings`.
            device: torch device, "cpu" or "cuda".
            folder: where the checkpoint is kept.
            start: model whose weights to start from, of any CTs with as many bones; None for random weights.
            processes: that share the work; all give the same arguments.

        Raises:
            InputError: if the folder holds the checkpoint of a different training, the network to start from has other sizes, or the
                patients have not as many bones as each other.
        """
        self.patients, self.settings, self.device, self.processes = patients, settings, device, processes
        self.checkpoint = folder / CHECKPOINT_NAME
        self.parts = processes.share(settings.parts)
        if len(self.parts) % settings.accumulate:
            raise InputError(
                f"The {len(self.parts)} parts of a batch that each process has cannot be divided into {settings.accumulate} steps of "
                "accumulation; choose a larger batch or fewer steps."
            )
        torch.manual_seed(settings.seed)
        self.description = _common_description([patient.description for patient in patients])
        self.network = build_network(self.description).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if start is not None:
            self._copy_weights(start)
        self.averaged = copy.deepcopy(self.network)
        self.forward = processes.distribute(self.network, device)
        self.optimiser = Optimiser(self.network, settings.weight_decay)
        self.bfloat16 = calculates_faster_in_bfloat16(device)
        self.step = 0
        self.seconds = 0.0
        if self.checkpoint.is_file():
            self._resume()
        processes.check_agreement(self.step)

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
            if self.processes.any(cancelled()):
                self.save_checkpoint()
                return False
            start = time.monotonic()
            sums = {name: sums.get(name, 0) + value for name, value in self._train_step().items()}
            self.step += 1
            summed += 1
            if not losses or self.step % READ_LOSSES_EVERY == 0 or self.step == self.settings.steps:
                means = self.processes.mean(torch.stack(list(sums.values())) / summed).tolist()
                losses = dict(zip(sums, means, strict=True))
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
        self.optimiser.zero_grad()
        sums: dict[str, torch.Tensor] = {}
        rounds = self.settings.accumulate
        for number in range(rounds):
            # Gradients are exchanged between processes with the last round only.
            waiting = self.forward.no_sync() if number + 1 < rounds and self.processes.count > 1 else nullcontext()  # type: ignore[operator]
            with waiting:
                for name, value in self._accumulate(list(self.parts[number::rounds]), rounds).items():
                    sums[name] = sums.get(name, 0) + value / rounds
        with record_function("update"):
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimiser.step(self.settings.learning_rate_at(self.step))
            if (self.step + 1) % AVERAGE_EVERY == 0:
                self._average((self.step + 1) // AVERAGE_EVERY)
        return sums

    def _accumulate(self, parts: list[int], rounds: int) -> dict[str, torch.Tensor]:
        """Add the gradients of some parts of the batch, divided by the number of rounds; their mean losses."""
        batch = [self._images(part) for part in parts]
        with record_function("forward"), torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.bfloat16):
            images = torch.cat([seen.images for _, seen in batch])
            maps = self.network.named(self.forward(images.contiguous(memory_format=torch.channels_last)))
        with record_function("losses"):
            each = [self._losses(*of_part, maps_of_part) for of_part, maps_of_part in zip(batch, _split(maps, len(batch)), strict=True)]
            losses = {name: torch.stack([of_part[name] for of_part in each]).mean() for name in each[0]}
        with record_function("backward"):
            (losses["loss"] / rounds).backward()
        return {name: value.detach() for name, value in losses.items()}

    def _images(self, part: int) -> tuple[TrainingPatient, TrainingImages]:
        """The patient and X-rays of a part of this step's batch. The patients take turns, part by part."""
        settings = self.settings
        place = self.step * settings.parts + part
        visit, patient = divmod(place, len(self.patients))
        ranges = RandomisationRanges().at_strength(settings.randomisation_at(self.step))
        seed = settings.seed * 1_000_003 * settings.parts + place
        return self.patients[patient], self.patients[patient].images(part, visit, seed, ranges)

    def _losses(self, patient: TrainingPatient, seen: TrainingImages, maps: SceneMaps) -> dict[str, torch.Tensor]:
        """Losses of a part of a batch; points are told in the patient's own frame."""
        stride = self.description.output_stride
        targets = patient.targets(seen.coordinates)
        bone = bone_in_field(targets, seen.exposed[..., stride // 2 :: stride, stride // 2 :: stride])
        targets = torch.nan_to_num(targets)
        losses = scene_coordinate_loss(maps, targets, bone) | patient.pose_loss(maps, targets, bone, seen.ras_to_camera)
        losses["loss"] = losses["loss"] + self.settings.pose_weight_at(self.step) * losses["pose_loss"]
        losses["coordinate_error_mm"] = losses.pop("coordinate_error") * patient.description.scale_mm
        return losses

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
        """Write everything that the training needs to go on exactly; the first process does."""
        if not self.processes.is_first:
            return
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
        return repr((self.settings, [patient.description for patient in self.patients]))

    def _resume(self) -> None:
        tensors, values = load_checkpoint(self.checkpoint)
        if values.get("identity") != self._identity():
            raise InputError(
                f"The folder {self.checkpoint.parent} holds a training with other settings or of other CTs; "
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


def _common_description(descriptions: Sequence[ModelDescription]) -> ModelDescription:
    """What a network over several patients is for: that of one patient, or of none in particular."""
    first = descriptions[0]
    if any(len(description.labels) != len(first.labels) for description in descriptions):
        counts = sorted({len(description.labels) for description in descriptions})
        raise InputError(f"The CTs have different numbers of bones ({', '.join(map(str, counts))}); give label maps with as many each.")
    if len(descriptions) == 1:
        return first
    scale = sum(description.scale_mm for description in descriptions) / len(descriptions)
    return replace(first, ct_fingerprint=SEVERAL_CTS, centre_ras=(0.0, 0.0, 0.0), scale_mm=scale)


def _split(maps: SceneMaps, count: int) -> Iterator[SceneMaps]:
    """The maps of each part of a batch."""
    parts = zip(maps.mask_logits.chunk(count), maps.coordinates.chunk(count), maps.log_scale.chunk(count), strict=True)
    return (SceneMaps(*part) for part in parts)
