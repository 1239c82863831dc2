"""What the pixels of a lone X-ray image tell: the exposed part of the detector, and whether bone is dark or bright."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Polarity = Literal["intensity", "attenuation"]  # bone dark, as the detector measures; -log, bone bright
Image = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

_GRID = 256  # larger images are searched on every n-th pixel: fields have no finer detail, and the search takes time
_RAYS = 360
_HALF_STEP = 2  # pixels of the grid to either side of an edge, between which an exposure falls
# Shares of the open beam that are added before logarithms are taken: a small one shows the edge of dim anatomy, a large one hides noise.
_OFFSETS = (0.1, 0.02, 0.005)
_FALL = 0.3  # of the logarithm, at an edge
_SHARE = 0.35  # of the outline that must be sharp: images without a border reach 0.2, radiographs with blurred blades 0.4, others 0.7


def exposed_field(pixels: Image, polarity: Polarity) -> Mask:
    """The exposed part of the detector: within collimator blades, a round image intensifier, or a uniform border.

    Such fields are convex, hold the image's middle and end abruptly. So on rays from the middle outwards the place is sought behind
    which the exposure falls most and stays low, and the field is the convex hull of these places: it bridges dense anatomy whose
    end does not show. It is taken for a field if enough of its outline is sharp, which means that the exposure falls at once and
    little further behind. Skin beside open beam is not, because the body thickens gradually.
    In the same way a border of one exact value is sought, as digital shutters and padding draw it; there the image must end without
    fading to that value. Open beam that has it too, as black beside a black shutter, is not told from it and left out.

    Args:
        pixels: finite image [row, column].
        polarity: of the pixels.

    Returns:
        Mask [row, column], cut back all round by a hundredth of the image's longer side; all True where there is no border.
    """
    from scipy import ndimage

    coarse, step = _coarse(pixels)
    rays = _Rays.of(coarse)
    borders = [
        *_unexposed_borders(coarse if polarity == "intensity" else -coarse, rays),
        _digital_border(coarse - coarse.min(), rays),
        _digital_border(coarse.max() - coarse, rays),
    ]
    shares = [_sharp_share(border, rays) for border in borders]
    best = int(np.argmax(shares))
    if shares[best] < _SHARE:
        return np.ones(pixels.shape, dtype=np.bool_)
    region = _filled(_hull(borders[best].rims, rays), coarse)
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    eroded: Mask = depth > max(2.0, 0.01 * max(region.shape))
    return eroded.repeat(step, axis=0).repeat(step, axis=1)[: pixels.shape[0], : pixels.shape[1]]


def guess_polarity(pixels: Image) -> Polarity:
    """Best guess of an image's polarity, for files that do not state it.

    The open beam passes beside the patient and so near the field's edge: where the brightest tenth of the pixels lies nearer to the
    edge than the darkest tenth, the image is an intensity. It is only a guess, wrong where the densest parts stand at the edge,
    as on a hip radiograph with open beam between the thighs.

    Args:
        pixels: finite image [row, column].
    """
    from scipy import ndimage

    coarse, _ = _coarse(pixels)
    field = exposed_field(coarse, "intensity") & exposed_field(coarse, "attenuation")
    depth = ndimage.distance_transform_edt(np.pad(field, 1))[1:-1, 1:-1][field]
    values = coarse[field]
    darkest, brightest = np.percentile(values, (10, 90))
    return "intensity" if depth[values >= brightest].mean() <= depth[values <= darkest].mean() else "attenuation"


def _coarse(pixels: Image) -> tuple[Floats, int]:
    step = -(-max(pixels.shape) // _GRID)
    return pixels[::step, ::step].astype(np.float64), step


@dataclass(frozen=True)
class _Rays:
    """Rays from an image's middle outwards, with a sample every pixel; behind the image's edge the last one goes on."""

    directions: Floats  # (rays, 2) unit vectors (column, row)
    samples: Indices  # (rays, samples) places in the flat image
    ends: Indices  # (rays,) last sample before the image's edge

    @classmethod
    def of(cls, image: Image) -> _Rays:
        rows, columns = image.shape
        angles = np.linspace(0, 2 * np.pi, _RAYS, endpoint=False)
        directions = np.column_stack([np.cos(angles), np.sin(angles)])
        middle = np.array([columns - 1, rows - 1]) / 2
        ends = (middle / np.maximum(abs(directions), 1e-9)).min(axis=1)
        distances = np.minimum(np.arange(np.hypot(rows, columns) / 2 + 2 * _HALF_STEP), ends[:, None])
        column, row = np.rint(middle + directions[:, None] * distances[..., None]).astype(np.intp).transpose(2, 0, 1)
        return cls(directions, row * columns + column, ends.astype(np.intp))

    def along(self, image: Image) -> Floats:
        """Samples (rays, samples) of an image, without what is bright and narrow, as noise and letters in the border."""
        from scipy import ndimage

        across = ndimage.median_filter(image.ravel()[self.samples], (7, 1), mode="wrap")
        return np.asarray(ndimage.grey_opening(across, (1, 5), mode="nearest"), dtype=np.float64)


@dataclass(frozen=True)
class _Border:
    """What the rays show of a border, in samples from the middle; 0 where they show nothing."""

    edges: Indices  # (rays,) where the field ends
    rims: Indices  # (rays,) where its blurred rim begins, at most as far out
    sharp: Mask  # (rays,)


def _unexposed_borders(exposure: Image, rays: _Rays) -> Iterator[_Border]:
    """What the rays show of an unexposed border, at each offset."""
    from scipy import ndimage

    low = exposure.min()
    span = np.percentile(exposure, 99) - low or np.ptp(exposure) or 1.0
    samples = ndimage.uniform_filter1d(rays.along((exposure - low) / span), 3, mode="nearest")
    beyond = np.maximum.accumulate(samples[:, ::-1], axis=1)[:, ::-1]  # brightest from here on
    ray, place = np.arange(_RAYS), np.arange(_HALF_STEP, beyond.shape[1] - _HALF_STEP)
    before, behind = place - _HALF_STEP, place + _HALF_STEP
    possible = (behind <= rays.ends[:, None]) & (beyond[:, behind] < 0.5)
    for offset in _OFFSETS:
        log = np.log(beyond + offset)
        falls = np.where(possible, log[:, before] - log[:, behind], 0.0)
        fall, edges = falls.max(axis=1), place[falls.argmax(axis=1)]
        further = log[ray, edges + _HALF_STEP] - log[ray, np.minimum(edges + _HALF_STEP + 8, rays.ends)]
        # Blades far from the detector cast a wide penumbra. It is cut off where it is darker than 0.4 of what lies a tenth of the image in.
        lit = beyond >= 0.4 * beyond[ray, np.maximum(edges - max(exposure.shape) // 10, 0)][:, None]
        rims = np.minimum(np.count_nonzero(lit, axis=1) - 1, edges)
        # Where no edge shows, the field reaches the image's edge if something is bright there.
        found, none = fall > _FALL, np.where(beyond[ray, rays.ends] > offset, rays.ends, 0)
        yield _Border(np.where(found, edges, none), np.where(found, rims, none), found & (further < 0.5 * fall))


def _digital_border(height: Image, rays: _Rays) -> _Border:
    """The border whose height is 0. Samples near its edge must be about as high as those further in."""
    samples, ray = rays.along(height), np.arange(_RAYS)
    edges = np.minimum(np.where(samples > 0, np.arange(samples.shape[1]), 0).max(axis=1), rays.ends)
    return _Border(edges, edges, samples[ray, np.maximum(edges - 1, 0)] > 0.8 * samples[ray, np.maximum(edges - 5, 0)])


def _hull(distances: Indices, rays: _Rays) -> Floats:
    """Convex hull (edges, 3) of the rays' points: a column + b row + c <= 0 inside, from the image's middle, for every a, b, c."""
    from scipy.spatial import ConvexHull

    return np.asarray(ConvexHull(rays.directions * np.maximum(distances, 1)[:, None]).equations, dtype=np.float64)


def _sharp_share(border: _Border, rays: _Rays) -> float:
    """Share of the hull's outline that has a sharp edge; 0 if next to nothing of it lies within the image."""
    hull = _hull(border.edges, rays)
    outwards = rays.directions @ hull[:, :2].T
    outline = -hull[:, 2] / np.where(outwards > 0, outwards, np.nan)
    reach = np.nanmin(outline, axis=1)
    within = reach < rays.ends - 4
    if within.mean() < 0.1:
        return 0.0
    return float((border.sharp & (abs(border.edges - reach) < 2))[within].mean())


def _filled(hull: Floats, image: Image) -> Mask:
    """Mask of an image's pixels within a hull."""
    rows, columns = image.shape
    row = np.arange(rows)[:, None] - (rows - 1) / 2
    column = np.arange(columns) - (columns - 1) / 2
    a, b, c = hull.T
    rounding = 1e-6
    a = np.where(abs(a) < 1e-9, 1e-9, a)
    crossing = (rounding - b * row - c) / a  # column where the edge's line crosses the row
    left = np.where(a < 0, crossing, -np.inf).max(axis=1, keepdims=True)
    right = np.where(a > 0, crossing, np.inf).min(axis=1, keepdims=True)
    return np.asarray((column >= left) & (column <= right))
