"""Whether an X-ray fits its CT better mirrored or turned: found by registering it each way round."""

from __future__ import annotations

from dataclasses import replace

from DRRSimulatorLib.ct import CTVolume

from .model import Model
from .orientation import AS_SEEN, ORIENTATIONS, Orientation
from .pose import PoseNotFoundError
from .refine import Refiner
from .register import Registration, register
from .trust import judge
from .view import View


def likely_orientation(view: View, ct: CTVolume, model: Model, refiner: Refiner) -> Orientation | None:
    """How an X-ray whose registration is not reliable may be stored: the way round in which its registration is.

    Each way is registered by the network and one refinement, without a search. If several are reliable, that of the largest
    similarity is taken. Nothing is changed: it is for the user to say what the picture shows.

    Args:
        view: the X-ray, as it is stored.
        ct: of the patient.
        model: of that CT.
        refiner: of that CT.

    Returns:
        None if no other way round makes the registration reliable.
    """
    found: list[tuple[float, Orientation]] = []
    for orientation in ORIENTATIONS:
        if orientation == AS_SEEN:
            continue
        registration = _registered(_as_seen(view, orientation), ct, model, refiner)
        if registration is not None and judge(registration).level == "reliable":
            found.append((registration.similarity, orientation))
    return max(found, key=lambda scored: scored[0])[1] if found else None


def offer_in_words(orientation: Orientation) -> str:
    """What to do about an X-ray that may be stored this way."""
    return (
        f"The X-ray fits the CT if it is taken to be stored {orientation.words}. That was not done; if it is so, register again with "
        f"{orientation.options}."
    )


def _registered(view: View, ct: CTVolume, model: Model, refiner: Refiner) -> Registration | None:
    """The network's pose, refined; None where it finds none."""
    try:
        seen = register([view], ct, model)
    except PoseNotFoundError:
        return None
    refinement = refiner.refine([view], seen.ras_to_rig)
    return replace(seen, ras_to_rig=refinement.ras_to_rig, start=refinement.start, refinement=refinement)


def _as_seen(view: View, orientation: Orientation) -> View:
    """The view turned back; its camera is that of the image as the source sees it already, as in `read_views`, if it has that size."""
    xray, camera = view.xray, view.camera
    pixels, field = orientation.as_seen(xray.pixels).copy(), orientation.as_seen(xray.field).copy()
    fitting = camera if camera.image_size == pixels.shape else orientation.as_seen_camera(camera)
    return View(replace(xray, pixels=pixels, field=field, camera=None), fitting)
