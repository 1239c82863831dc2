"""How to train: everything that the result of a training depends on, beside the patients."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from DRRSimulatorLib.camera import Camera, ViewRange
from DRRSimulatorLib.errors import InputError

LONGEST_WARM_UP = 200  # steps


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes:
        camera: the camera of the training images; its image size is the network's.
        view_range: the views to train for.
        steps: optimisation steps.
        batch_size: images a step, over all processes.
        parts: equal parts that a batch is made of. Each has random numbers and a patient of its own, whichever process works on it, so
            that a training gives the same on one process, on two, and so on up to as many as there are parts.
        accumulate: so many smaller batches are worked off one after the other in a step and their gradients added, which takes less
            memory. The images are the same, but not what batch normalisation makes of them.
        new_views_per_step: views rendered a step; the rest of the batch comes from the pool, randomised anew.
        pool_size: rendered views kept.
        learning_rate: peak of the schedule (linear warm-up over a tenth of the steps, at most 200, then half a cosine to 0), for
            `Optimiser`.
        weight_decay: of the optimiser.
        average_decay: of the exponential moving average of the weights, which becomes the model.
        checkpoint_every: steps between checkpoints.
        seed: of everything random.
        randomisation: strength of the domain randomisation, 0 (plain images) to 1, in the first 60 % of the steps.
        final_randomisation: share of that strength that is left in the last 20 % of the steps; in between it falls evenly. What was
            learned on hard images stays, and what is lost in precision to them comes back.
        pose_weight: of the pose loss, from 60 % of the steps on; before 40 % of them it is 0, for as long as points are known only
            roughly it hinders the learning of them.
        start: SHA-256 of the model file that the training starts from, in hexadecimal digits; empty for random weights.
    """

    camera: Camera
    view_range: ViewRange = field(default_factory=ViewRange)
    steps: int = 10000
    batch_size: int = 32
    parts: int = 2
    accumulate: int = 1
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

    def __post_init__(self) -> None:
        if self.batch_size % self.parts or self.parts % self.accumulate:
            raise InputError(
                f"A batch of {self.batch_size} images cannot be divided into {self.parts} equal parts, or these into {self.accumulate} "
                "steps of accumulation; choose numbers that divide each other."
            )

    def randomisation_at(self, step: int) -> float:
        """Strength of the randomisation at a step, counted from 0."""
        fallen = min(max((step / self.steps - 0.6) / 0.2, 0.0), 1.0)
        return self.randomisation * (1 + (self.final_randomisation - 1) * fallen)

    def pose_weight_at(self, step: int) -> float:
        """Weight of the pose loss at a step, counted from 0."""
        return self.pose_weight * min(max((step / self.steps - 0.4) / 0.2, 0.0), 1.0)

    def learning_rate_at(self, step: int) -> float:
        """Learning rate at a step, counted from 0."""
        warm_up = max(1, min(LONGEST_WARM_UP, self.steps // 10))
        return self.learning_rate * min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * step / self.steps))
