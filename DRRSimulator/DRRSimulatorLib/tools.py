"""Metal in the beam: wires, screws and plates as cylinders and boxes in camera coordinates, and what rays meet of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np

from .camera import Camera, FloatArray, FloatImage
from .errors import InputError
from .spectrum import METALS

Point = tuple[float, float, float]

_CUBE = np.array(list(product((-1.0, 1.0), repeat=3)))
_NEARLY_0 = 1e-18  # instead of 0 for rays along a plane or an axis: they meet it very far away


class Tool(Protocol):
    """A solid body of one metal."""

    @property
    def metal(self) -> str:
        """One of `spectrum.METALS`."""

    @property
    def corners(self) -> FloatArray:
        """Points (N, 3) whose convex hull holds the body, camera coordinates, mm."""

    def path_mm(self, directions: FloatArray) -> FloatArray:
        """Length that rays from the source, of unit directions (..., 3), have within the body, mm (...)."""


@dataclass(frozen=True)
class Cylinder:
    """A wire, or the shaft or head of a screw.

    Attributes:
        start: middle of one end, camera coordinates, mm.
        end: middle of the other end.
        diameter_mm: of the cylinder.
        metal: one of `spectrum.METALS`.

    Raises:
        InputError: if the cylinder has no volume, or the metal is unknown.
    """

    start: Point
    end: Point
    diameter_mm: float
    metal: str = "steel"

    def __post_init__(self) -> None:
        _check_metal(self.metal)
        if not (0 < math.dist(self.start, self.end) < math.inf and 0 < self.diameter_mm < math.inf):
            raise InputError(f"A cylinder needs two different ends and a positive diameter, but this was given: {self}.")

    @property
    def corners(self) -> FloatArray:
        """The corners (16, 3) of two cubes round the ends."""
        return np.concatenate([np.array(end) + self.diameter_mm / 2 * _CUBE for end in (self.start, self.end)])

    def path_mm(self, directions: FloatArray) -> FloatArray:
        """Length of the rays within the cylinder: between the planes of its ends and within its round wall."""
        start = np.array(self.start)
        length = math.dist(self.start, self.end)
        axis = (np.array(self.end) - start) / length
        along = directions @ axis
        across = directions - along[..., None] * axis
        offset = (start @ axis) * axis - start  # from the axis to the source, across
        # Where the ray is at the radius: a t^2 + 2 b t + c = 0. It never is, and both solutions are made equal, where it misses the wall.
        a, b, c = np.maximum((across**2).sum(-1), _NEARLY_0), across @ offset, offset @ offset - self.diameter_mm**2 / 4
        root = np.sqrt(np.maximum(b**2 - a * c, 0))
        return _overlap(np.stack([-b - root, -b + root]) / a, _between_planes(along, float(start @ axis), length))


@dataclass(frozen=True)
class Box:
    """A plate.

    Attributes:
        centre: of the box, camera coordinates, mm.
        size_mm: along its three axes.
        rotation_deg: rotations about the camera's x, y and z axis, one after the other, that turn the box from these axes.
        metal: one of `spectrum.METALS`.

    Raises:
        InputError: if the box has no volume, or the metal is unknown.
    """

    centre: Point
    size_mm: Point
    rotation_deg: Point = (0.0, 0.0, 0.0)
    metal: str = "titanium"

    def __post_init__(self) -> None:
        _check_metal(self.metal)
        if not (all(0 < size < math.inf for size in self.size_mm) and all(map(math.isfinite, (*self.centre, *self.rotation_deg)))):
            raise InputError(f"A box needs positive sizes and a finite place, but this was given: {self}.")

    @property
    def axes(self) -> FloatArray:
        """The box's axes as the columns of a matrix, camera coordinates."""
        from scipy.spatial.transform import Rotation

        return np.asarray(Rotation.from_euler("xyz", self.rotation_deg, degrees=True).as_matrix())

    @property
    def corners(self) -> FloatArray:
        """The corners (8, 3) of the box."""
        return np.array(self.centre) + np.array(self.size_mm) / 2 * _CUBE @ self.axes.T

    def path_mm(self, directions: FloatArray) -> FloatArray:
        """Length of the rays within the box: between three pairs of planes."""
        pairs = [
            _between_planes(directions @ axis, float(np.array(self.centre) @ axis) - size / 2, size)
            for axis, size in zip(self.axes.T, self.size_mm, strict=True)
        ]
        return _overlap(*pairs)


def screw(head: Point, tip: Point, diameter_mm: float, metal: str = "titanium") -> tuple[Cylinder, Cylinder]:
    """A screw: a head as high as the shaft is thick, and 1.7 times as wide; the shaft goes on from it to the tip."""
    direction = (np.array(tip) - np.array(head)) / math.dist(head, tip)
    x, y, z = (np.array(head) + diameter_mm * direction).tolist()
    return Cylinder(head, (x, y, z), 1.7 * diameter_mm, metal), Cylinder((x, y, z), tip, diameter_mm, metal)


def thicknesses_mm(tools: Iterable[Tool], camera: Camera) -> dict[str, FloatImage]:
    """Millimetres of each metal on the way to each pixel, float32 (rows, columns).

    Tools are looked at one by one: where two overlap in space, both count.
    """
    images: dict[str, FloatImage] = {}
    for tool in tools:
        image = images.setdefault(tool.metal, np.zeros(camera.image_size, dtype=np.float32))
        part = _shaded_part(tool, camera)
        rows, columns = np.mgrid[part]
        directions = camera.back_project(np.stack([columns, rows], axis=-1), 1.0)
        image[part] += tool.path_mm(directions / np.linalg.norm(directions, axis=-1, keepdims=True))
    return images


def sample_tools(count: int, camera: Camera, depth_mm: float, rng: np.random.Generator) -> tuple[Tool, ...]:
    """Random wires, screws, and plates with screws, as orthopaedic surgery uses them.

    Args:
        count: how many.
        camera: the tools lie over its image.
        depth_mm: distance from the source about which they lie, usually that of the bone.
        rng: source of the choices.

    Returns:
        The bodies that make up the tools; a plate or a screw is several.
    """
    return tuple(body for _ in range(count) for body in _sample_tool(camera, depth_mm, rng))


def _sample_tool(camera: Camera, depth_mm: float, rng: np.random.Generator) -> tuple[Tool, ...]:
    rows, columns = camera.image_size
    pixel = rng.uniform(0.1, 0.9, 2) * (columns, rows)
    middle = camera.back_project(pixel, depth_mm * rng.uniform(0.92, 1.08))
    kind, metal = rng.choice(["wire", "screw", "plate"]), str(rng.choice(["steel", "titanium"]))
    if kind == "plate":
        return _plate_with_screws(middle, metal, rng)
    direction = rng.standard_normal(3)
    half = direction / np.linalg.norm(direction) * (rng.uniform(50, 140) if kind == "wire" else rng.uniform(10, 45))
    ends = _point(middle - half), _point(middle + half)
    return (Cylinder(*ends, rng.uniform(1.0, 3.0), metal),) if kind == "wire" else screw(*ends, rng.uniform(3.5, 7.0), metal)


def _plate_with_screws(middle: FloatArray, metal: str, rng: np.random.Generator) -> tuple[Tool, ...]:
    size = rng.uniform((50, 9, 2), (160, 16, 4.5))
    turn_x, turn_y, turn_z = rng.uniform(-180, 180, 3)
    plate = Box(_point(middle), _point(size), (turn_x, turn_y, turn_z), metal)
    along, _, normal = plate.axes.T
    screws: list[Tool] = []
    for place in np.linspace(-0.42, 0.42, rng.integers(2, 7)):
        head = middle + place * size[0] * along + size[2] / 2 * normal
        screws += screw(_point(head + 3.5 * normal), _point(head - rng.uniform(18, 45) * normal), 3.5, metal)
    return (plate, *screws)


def _point(values: FloatArray) -> Point:
    x, y, z = values.tolist()
    return x, y, z


def _shaded_part(tool: Tool, camera: Camera) -> tuple[slice, slice]:
    """Rows and columns that a tool may shade; all where it reaches up to the source."""
    size = np.array(camera.image_size)
    shadow = camera.project(tool.corners)[:, ::-1]  # NaN for corners that are not in front of the source
    first, last = np.floor(shadow.min(axis=0)), np.ceil(shadow.max(axis=0)) + 1
    if not (np.isfinite(first).all() and np.isfinite(last).all()):
        return slice(0, camera.image_size[0]), slice(0, camera.image_size[1])
    (top, left), (bottom, right) = np.clip(first, 0, size).astype(int).tolist(), np.clip(last, 0, size).astype(int).tolist()
    return slice(top, bottom), slice(left, right)


def _check_metal(metal: str) -> None:
    if metal not in METALS:
        raise InputError(f"There is no attenuation of {metal}; the metals are {', '.join(METALS)}.")


def _between_planes(along: FloatArray, first: float, thickness: float) -> FloatArray:
    """Distances (2, ...) at which rays enter and leave the space between two parallel planes.

    Args:
        along: component of the rays' directions along the planes' normal (...).
        first: distance of the nearer plane from the source along the normal, mm.
        thickness: distance of the planes, mm.
    """
    along = np.where(np.abs(along) < _NEARLY_0, _NEARLY_0, along)
    return np.sort(np.stack([first / along, (first + thickness) / along]), axis=0)


def _overlap(*intervals: FloatArray) -> FloatArray:
    """Length that intervals (2, ...) of the same rays have in common in front of the source."""
    entry = np.maximum.reduce([interval[0] for interval in intervals])
    leave = np.minimum.reduce([interval[1] for interval in intervals])
    return np.maximum(leave - np.maximum(entry, 0), 0)
