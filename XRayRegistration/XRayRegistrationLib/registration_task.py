"""A registration as a user asks for it: of all bones as one or each by itself, with the offer to turn an X-ray round that does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import FloatArray
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.patient import surface_points
from DRRSimulatorLib.projector import Projector
from DRRSimulatorLib.surface import Surface

from .body import CastsRays
from .model import Model
from .orientation import AS_SEEN, Orientation
from .orientation_trial import likely_orientation, offer_in_words
from .pose import PoseNotFoundError
from .refine import Refiner
from .register import Registration, register
from .register_bones import bones_in_place, register_bones, together
from .search import search_range
from .trust import judge
from .view import View


@dataclass(frozen=True)
class Found:
    """What a registration found, and what shows it.

    Attributes:
        whole: the registration; that of all bones together where each was registered by itself.
        bones: of each bone by its name; empty where all move as one.
        centres: middle of each bone, RAS mm (3,), by the same names; "" is the name of all as one.
        body: casts rays through the bones where they are relative to the first.
        surfaces: the bones' surfaces there, by their names.
    """

    whole: Registration
    bones: Mapping[str, Registration]
    centres: Mapping[str, FloatArray]
    body: CastsRays
    surfaces: Mapping[str, Surface]

    @property
    def by_name(self) -> Mapping[str, Registration]:
        """What was registered by itself, by the names of `centres`."""
        return self.bones or {"": self.whole}


@dataclass(frozen=True)
class RegistrationTask:
    """What to register, and how.

    Attributes:
        views: the X-rays, turned back if they were said to be `stored` so.
        stored: which way round the X-rays were said to be stored.
        ct: of the patient.
        bones: in the CT.
        surfaces: of the bones, by their names.
        model: of the CT, if there is one.
        start: 4x4 ras_to_rig to start from without a model; the pose is searched for where there is none either.
        refine: whether poses are sharpened by the images' intensities; without a model they must be.
        per_bone: whether each bone gets a pose of its own, which takes a model and refinement.
        sdd_unknown: whether the source-to-detector distance is found as well.
        device: "cpu" or "cuda".
    """

    views: Sequence[View]
    stored: Orientation
    ct: CTVolume
    bones: BoneLabels
    surfaces: Mapping[str, Surface]
    model: Model | None
    start: FloatArray | None
    refine: bool
    per_bone: bool
    sdd_unknown: bool
    device: str

    def run(self) -> Found:
        """Register.

        Raises:
            InputError: as `register` and `register_bones` do; where no pose is found, with the offer to turn the X-ray round.
        """
        return self._each_bone(self.model) if self.per_bone and self.model else self._as_one()

    def offer(self, whole: Registration) -> str:
        """How else an X-ray may be stored whose registration is not reliable, in words; empty if no other way round fits better."""
        return "" if judge(whole).level == "reliable" else self._offer()

    def _each_bone(self, model: Model) -> Found:
        refiner = Refiner.of_bones(self.ct, self.bones, self.device)
        bones = register_bones(self.views, self.ct, self.bones, model, refiner)
        centres = {name: body.centre_ras for name, body in zip(bones, refiner.bodies, strict=True)}
        return Found(together(list(bones.values())), bones, centres, *bones_in_place(bones, refiner, self.surfaces))

    def _as_one(self) -> Found:
        first = self.model or (search_range(self.views) if self.start is None else self.start)
        refiner = self._refiner
        try:
            whole = register(self.views, self.ct, first, refiner if self.refine else None, sdd_unknown=self.sdd_unknown)
        except PoseNotFoundError as error:
            if offer := self._offer():
                raise InputError(f"{error} {offer}") from error
            raise
        return Found(whole, {}, {"": refiner.centre_ras}, refiner.projector, self.surfaces)

    @cached_property
    def _refiner(self) -> Refiner:
        """Of all bones as one."""
        centre = np.array(self.model.description.centre_ras) if self.model else surface_points(self.bones).mean(axis=0)
        return Refiner(Projector.from_ct(self.ct, self.bones, self.device), centre, self.ct)

    def _offer(self) -> str:
        """The way round in which a lone X-ray, taken as it was stored, fits the CT; only a network finds the other poses soon enough."""
        if self.model is None or self.per_bone or not self.refine or len(self.views) > 1 or self.stored != AS_SEEN:
            return ""
        other = likely_orientation(self.views[0], self.ct, self.model, self._refiner)
        return offer_in_words(other) if other else ""
