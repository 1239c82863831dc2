"""The numbers of `XRayRegistrationLib.trust`, from right and wrong poses of simulated X-rays of the sample pelvis.

Every X-ray is simulated from seeds that no training has seen, by the simulator and randomisation that trainings use, or shows something
else; it is registered with a model and refined. A pose is wrong if its mTRE is over 2 mm, or if no pose could be right. The suites
pelvis-2700 and pelvis-two-view, of other physics, then test what was learned.

    python Testing/benchmarks/trust_calibration.py [--model MODEL] [--other-ct CT] [--other-xrays FILE ...] [--rows FILE.csv]

Measured with the default model on a CPU, without another CT or X-rays of other anatomy:

                                   X-rays  no pose   right: reliable  check  rejected   wrong: reliable  check  rejected
    plain                              25        0                25      0         0                 0      0         0
    realistic                          80        2                52      9         0                 1      2        14
    randomised, strength 0.25          25        0                23      0         0                 0      1         1
    randomised, strength 0.5           25        0                18      5         0                 0      0         2
    randomised, strength 0.75          25        0                11      4         0                 1      1         8
    randomised, strength 1             25        0                13      8         0                 0      2         2
    truncated                          30        9                18      1         0                 0      0         2
    collimated                         20       11                 8      0         0                 0      0         1
    steep                              15       13                 0      0         0                 0      0         2
    turned                              8        8                 0      0         0                 0      0         0
    wrong polarity                     12        0                 0      0         0                 0      0        12
    mirrored                           30        0                 0      0         0                 0     15        15
    mirrored, strength 0.25            20        0                 0      0         0                 0      5        15
    noise                               8        8                 0      0         0                 0      0         0
    nearly blank                        8        8                 0      0         0                 0      0         0
    pixel spacing at the patient       10        1                 0      0         0                 5      2         2
    distance wrong by a tenth          10        0                 0      0         0                10      0         0
    all                               376       60               168     27         0                17     28        76

The table is of the verdicts by the coefficients that came out. Of the poses with the right geometry the chance of being wrong, by a fit
to the other four fifths of them, has an AUROC of 0.984; below 0.1 it is for none of 92 that are off by more than 5 mm and for 90 % of
those under 1 mm. The two wrong poses called reliable are off by 2 to 5 mm. Geometry that is given wrong shows in nothing: 15 of 19 are
called reliable. The certainty of the network, a feature at first, got the coefficient 0 and was left out.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, ViewRange, sample_poses, transform_points
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.exposed_field import Collimation
from DRRSimulatorLib.physics import realistic, simulate_xray
from DRRSimulatorLib.progress import print_progress
from DRRSimulatorLib.tools import sample_tools
from scipy.stats import rankdata
from xray_training.evaluate import DEFAULT_MODEL
from xray_training.randomise import RandomisationRanges, Randomiser
from xray_training.suites import PELVIS_CT, Patient
from XRayRegistrationLib.metrics import pose_error
from XRayRegistrationLib.model import load_model
from XRayRegistrationLib.refine import Refiner
from XRayRegistrationLib.register import register
from XRayRegistrationLib.trust import WRONG_MM, features, judge
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay, read_xray

CAMERA = Camera.centred(1020.0, 0.58, (512, 512))
TRAINING_CAMERA = Camera.centred(1020.0, 297 / 128, (128, 128))

WRONG_GEOMETRY = ("pixel spacing at the patient", "distance wrong by a tenth")  # which nothing in the images tells

Maker = Callable[[np.random.Generator], tuple[View, FloatArray | None]]  # an X-ray and its true ras_to_camera, where it has one


@dataclass(frozen=True)
class Row:
    """What became of one X-ray.

    Attributes:
        kind: of the X-ray.
        number: within the kind.
        level: of the verdict, or "no pose".
        mtre_mm: of the refined pose; infinite where no pose is right.
        expected_mm: mTRE that was expected.
        precision_mm: of the refinement.
        features: as `trust.features` gives them; empty where there is no pose.
    """

    kind: str
    number: int
    level: str = "no pose"
    mtre_mm: float = float("inf")
    expected_mm: float = float("nan")
    precision_mm: float = float("nan")
    features: tuple[float, ...] = ()


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

    def realistic(self, rng: np.random.Generator) -> tuple[View, FloatArray]:
        """Of a tube's spectrum with scatter, some with little dose, tools, a collimator, or processed for display."""
        pose = self.pose(rng)
        depth = float(transform_points(pose, self.patient.centroid[None])[0, 2])
        size = rng.uniform(150, 297, 2).tolist()
        shape: Literal["round", "rectangular"] = "round" if rng.random() < 0.5 else "rectangular"
        collimation = Collimation(shape, *size) if rng.random() < 0.3 else None
        acquisition = replace(
            realistic(int(rng.choice([60, 90, 120]))),
            photons=float(np.exp(rng.uniform(np.log(2e3), np.log(1e5)))),
            collimation=collimation,
            tools=sample_tools(int(rng.integers(0, 3)), CAMERA, depth, rng),
        )
        integrals = self.patient.projector.line_integrals(CAMERA, pose[None]).numpy()[0]
        return View(XRay.from_pixels(simulate_xray(integrals, CAMERA, rng, acquisition), "intensity"), CAMERA), pose

    def randomised(self, strength: float, inversion: bool = True) -> Maker:
        """As in the training, at a strength of the randomisation and in the training's pixels."""

        def make(rng: np.random.Generator) -> tuple[View, FloatArray]:
            pose = self.pose(rng)
            ranges = RandomisationRanges().at_strength(strength)
            integrals = torch.from_numpy(self.patient.projector.line_integrals(TRAINING_CAMERA, pose[None]).numpy())
            randomise = Randomiser(torch.Generator().manual_seed(int(rng.integers(2**31))))
            images, _ = randomise(integrals, ranges if inversion else replace(ranges, inversion=0))
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
    every: list[tuple[str, list[Maker]]] = [("plain", [pelvis.plain] * 25), ("realistic", [pelvis.realistic] * 80)]
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

    def __init__(self, patient: Patient, model: Path) -> None:
        self.patient = patient
        self.model = load_model(model)
        self.refiner = Refiner(patient.projector, self.model.description.centre_ras, patient.ct)

    def row(self, kind: str, number: int, maker: Maker) -> Row:
        """Measure one X-ray; its random numbers depend on its kind and number alone."""
        view, truth = maker(np.random.default_rng([*kind.encode(), number]))
        try:
            found = register([view], self.patient.ct, self.model, self.refiner)
        except InputError:
            return Row(kind, number)
        points, told = self.patient.surface_points, judge(found)
        assert found.refinement is not None
        error = pose_error(found.ras_to_rig, truth, view.camera, points, self.patient.centroid).mtre_mm if truth is not None else np.inf
        expected = told.expected_error_mm if told.expected_error_mm is not None else np.nan
        values = tuple(features(found).tolist())
        return Row(kind, number, told.level, error, expected, found.refinement.precision_mm, values)


def fitted(rows: Sequence[Row], count: int) -> tuple[FloatArray, FloatArray]:
    """Coefficients (count,) of the first so many features for the odds of being wrong, and the chance of it for every row.

    The chances are those of a fit to the other four fifths of the rows, so that none is judged by what was learned from it.
    """
    from scipy.optimize import minimize

    values = np.array([row.features[:count] for row in rows])
    wrong = np.array([row.mtre_mm > WRONG_MM for row in rows])

    def fit(chosen: npt.NDArray[np.bool_]) -> FloatArray:
        x, sign = values[chosen], np.where(wrong[chosen], -1.0, 1.0)

        def loss(coefficients: FloatArray) -> float:
            return float(np.logaddexp(0, sign * (x @ coefficients)).sum() + 0.02 * (coefficients[1:] ** 2).sum())

        # Whatever is worse must not lower the odds.
        return minimize(loss, np.zeros(count), bounds=[(None, None)] + [(0, None)] * (count - 1)).x

    chances = np.empty(len(rows))
    fold = np.random.default_rng(0).permutation(len(rows)) % 5
    for number in range(5):
        chances[fold == number] = 1 / (1 + np.exp(-values[fold == number] @ fit(fold != number)))
    return fit(np.ones(len(rows), dtype=np.bool_)), chances


def coefficients(rows: Sequence[Row]) -> Iterator[str]:
    """Lines: the numbers that trust.py holds, and how well they tell wrong poses."""
    judged = [row for row in rows if len(row.features) == 5 and row.kind not in WRONG_GEOMETRY]
    mtre = np.array([row.mtre_mm for row in judged])
    for name, count in (("ODDS_WITH_MODEL", 5), ("ODDS_WITHOUT_MODEL", 4)):
        odds, chance = fitted(judged, count)
        yield f"{name} = ({', '.join(f'{value:.2f}' for value in odds)})"
        ranks = rankdata(chance)
        wrong = mtre > WRONG_MM
        auroc = (ranks[wrong].sum() - wrong.sum() * (wrong.sum() + 1) / 2) / (wrong.sum() * (~wrong).sum())
        yield f"    {len(judged)} poses, {wrong.sum()} wrong; AUROC in the parts left out {auroc:.3f}"
        for limit in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.9):
            bad, good = chance[mtre > 5] < limit, chance[mtre < 1] < limit
            yield f"    chance below {limit:4}: {bad.mean():7.2%} of those over 5 mm, {good.mean():6.1%} of those under 1 mm"
    right = mtre < WRONG_MM
    slope, value = np.polyfit(np.log([row.precision_mm for row in np.array(judged, dtype=object)[right]]), np.log(mtre[right]), 1)
    yield f"RIGHT_ERROR = ({value:.2f}, {slope:.2f}); median of wrong poses {np.median(mtre[np.isfinite(mtre) & ~right]):.0f} mm"


def table(rows: list[Row]) -> Iterator[str]:
    """Lines: of each kind, right and wrong poses by verdict."""
    levels = "reliable", "check", "rejected"
    header = "".join(f"{f'{truth}: reliable':>18}{'check':>7}{'rejected':>10}" for truth in ("right", "wrong"))
    yield f"{'':30}{'X-rays':>7}{'no pose':>9}{header}"
    for kind in [*dict.fromkeys(row.kind for row in rows), ""]:
        chosen = [row for row in rows if kind in ("", row.kind)]
        line = f"{kind or 'all':30}{len(chosen):7}{sum(row.level == 'no pose' for row in chosen):9}"
        for right in (True, False):
            found = [row.level for row in chosen if (row.mtre_mm <= WRONG_MM) == right]
            line += "".join(f"{found.count(level):{width}}" for level, width in zip(levels, (18, 7, 10), strict=True))
        yield line


def main() -> None:
    """Measure every kind and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--other-ct", type=Path, help="CT of another anatomy")
    parser.add_argument("--other-xrays", type=Path, nargs="*", default=[], help="X-rays of other anatomies")
    parser.add_argument("--rows", type=Path, help="file for the numbers of every X-ray")
    arguments = parser.parse_args()
    pelvis = Patient.load(PELVIS_CT)
    measurement = Measurement(pelvis, arguments.model)
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
    print("\n".join([*table(rows), "", *coefficients(rows)]))


if __name__ == "__main__":
    main()
