"""What the pixels of a lone X-ray image tell: the exposed part of the detector, and whether bone is dark or bright."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Polarity = Literal["intensity", "attenuation"]  # bone dark, as the detector measures; -log, bone bright
Image = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

_GRID = 256  # larger images are searched on every n-th pixel: fields have no finer detail, and the search takes time
_LEVELS = (0.3, 0.2, 0.1, 0.05, 0.02, 0.01)  # of the range from unexposed to the open beam


def exposed_field(pixels: Image, polarity: Polarity) -> Mask:
    """The exposed part of the detector: within collimator blades, a round image intensifier, or a uniform border.

    Such fields are convex and hold the image's middle, and what surrounds them is mostly flat. So levels are sought that cut the
    image into one nearly convex exposed piece and a flat unexposed surrounding. Among levels that do this about equally well the highest
    is taken, because it also cuts the blurred rim off; dense anatomy at the rim is bridged by the piece's convex hull.
    Failing that, a border of one exact value on the open beam's side is sought (black beside attenuation, white beside
    intensity), as digital shutters and padding draw it; next to open beam it cannot be told from it and stays in the field.

    Args:
        pixels: finite image [row, column].
        polarity: of the pixels.

    Returns:
        Mask [row, column], cut back all round by a hundredth of the image's longer side; all True where there is no border.
    """
    from scipy import ndimage

    coarse, step = _coarse(pixels)
    exposure = coarse if polarity == "intensity" else -coarse
    region = _unexposed_border(exposure)
    if region is None:
        region = _digital_border(exposure)
    if region is None:
        return np.ones(pixels.shape, dtype=np.bool_)
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


def _coarse(pixels: Image) -> tuple[Image, int]:
    step = -(-max(pixels.shape) // _GRID)
    return pixels[::step, ::step].astype(np.float64), step


def _unexposed_border(exposure: Image) -> Mask | None:
    low, high = exposure.min(), np.percentile(exposure, 99)
    regions = []
    for level in _LEVELS:
        region, fill = _convex_region(exposure > low + level * (high - low))
        if region is not None and fill > 0.9 and np.percentile(exposure[~region], 90) < low + 0.1 * (high - low):
            regions.append((region, fill))
    best = max((fill for _, fill in regions), default=0.0)
    return next((region for region, fill in regions if fill > best - 0.02), None)


def _digital_border(exposure: Image) -> Mask | None:
    inside = exposure < exposure.max()
    # The body against air fades out; a digital border ends abruptly: hardly a pixel inside comes close to its value.
    clearly_inside = exposure < exposure.max() - 0.2 * np.ptp(exposure)
    if np.count_nonzero(clearly_inside) < 0.98 * np.count_nonzero(inside):
        return None
    region, fill = _convex_region(inside)
    return region if fill > 0.97 else None


def _convex_region(inside: Mask) -> tuple[Mask | None, float]:
    """Convex hull of the mask and the share of it that is filled, if it is one piece around the image's middle and leaves a border."""
    from scipy import ndimage

    radius = 2  # removes noise, and letters in the border, which would stretch the hull
    opened = ndimage.binary_opening(np.pad(inside, radius, mode="edge"), iterations=radius)[radius:-radius, radius:-radius]
    labels, _ = ndimage.label(opened)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    if sizes.max() <= 0.9 * sizes.sum():
        return None, 0.0
    piece = ndimage.binary_fill_holes(labels == sizes.argmax())
    hull = _convex_hull(piece)
    rows, columns = hull.shape
    if not hull[rows // 2, columns // 2] or not 0.1 < hull.mean() < 0.99:
        return None, 0.0
    return hull, float(piece.sum() / hull.sum())


def _convex_hull(piece: Mask) -> Mask:
    """Filled convex hull of a mask that holds more than one line of pixels."""
    from scipy import ndimage
    from scipy.spatial import ConvexHull

    rows, columns = np.nonzero(piece & ~ndimage.binary_erosion(piece))
    a, b, c = ConvexHull(np.column_stack([columns, rows])).equations.T  # inside: a column + b row + c <= 0 at every edge
    row = np.arange(piece.shape[0])[:, None]
    column = np.arange(piece.shape[1])
    crossing = -(b * row + c) / np.where(a == 0, np.nan, a)  # column where the edge's line crosses the row
    left = np.where(a < 0, crossing, -np.inf).max(axis=1, keepdims=True)
    right = np.where(a > 0, crossing, np.inf).min(axis=1, keepdims=True)
    rounding = 1e-6
    within_rows = (row >= rows.min()) & (row <= rows.max())
    return np.asarray(within_rows & (column >= left - rounding) & (column <= right + rounding))
