"""What the Warp kernels of the ray caster share: which pixel a thread has, and where its ray passes the slices of a grid.

One source serves CPU and CUDA. Positions are voxel indices (i, j, k) of a grid. A ray is followed along its main axis, the grid axis
that it crosses fastest, and is described by its position on the two other axes, u and w, at each slice of the main one. The axis u
is the one along which the slices lie contiguously in memory.
"""

import warp as wp

BLOCK = wp.constant(8)  # side of the blocks of voxels that are known to be empty or not; see `blocks.py`


@wp.struct
class Rays:
    """The rays of all pixels of a batch of views.

    Attributes:
        sources: of each view, voxel indices.
        pixel_to_direction: of each view; a pixel (column, row, 1) to the direction of its ray in voxel indices.
        views: numbers of the views to cast.
        rows: of an image.
        columns: of an image.
    """

    sources: wp.array(dtype=wp.vec3)
    pixel_to_direction: wp.array(dtype=wp.mat33)
    views: wp.array(dtype=wp.int32)
    rows: int
    columns: int


@wp.func
def pixel_of(thread: int, rays: Rays, axis_u: int):
    """View, row and column of a thread; `axis_u` is the place of the axis u among the voxel indices.

    Neighbouring threads have neighbouring pixels along that side of the image which runs most nearly along u: they read the same
    lines of the cache, or the same segments of a GPU's memory.
    """
    pixels = rays.rows * rays.columns
    view = rays.views[thread // pixels]
    pixel = thread % pixels
    to_direction = rays.pixel_to_direction[view]
    if wp.abs(to_direction[axis_u, 0]) >= wp.abs(to_direction[axis_u, 1]):
        return view, pixel // rays.columns, pixel % rays.columns
    return view, pixel % rays.rows, pixel // rays.rows


@wp.func
def direction_of(rays: Rays, view: int, row: int, column: int):
    """Direction of a pixel's ray, voxel indices."""
    return rays.pixel_to_direction[view] * wp.vec3(float(column), float(row), 1.0)


@wp.func
def main_axis(direction: wp.vec3):
    """The axis along which a direction advances fastest; the first of equal ones."""
    main = int(0)
    if wp.abs(direction[1]) > wp.abs(direction[main]):
        main = 1
    if wp.abs(direction[2]) > wp.abs(direction[main]):
        main = 2
    return main


@wp.func
def is_main_axis(direction: wp.vec3, axes: wp.vec3i):
    """Whether the first of three axes, which a direction's components belong to, is the one that `main_axis` gives."""
    main = wp.abs(direction[0])
    second = wp.abs(direction[1])
    third = wp.abs(direction[2])
    before_second = main > second or (main == second and axes[0] < axes[1])
    before_third = main > third or (main == third and axes[0] < axes[2])
    return before_second and before_third


@wp.func
def clip_slices(low: float, high: float, start: float, slope: float, size: int):
    """The part of [low, high] where start + slope * s lies in [0, size - 1)."""
    upper = float(size) - 1.001
    if wp.abs(slope) > 1.0e-9:
        a = -start / slope
        b = (upper - start) / slope
        return wp.max(low, wp.min(a, b)), wp.min(high, wp.max(a, b))
    if start < 0.0 or start > upper:
        return low, low - 1.0
    return low, high


@wp.func
def whole_slices(low: float, high: float, count: int):
    """First and last whole slice in [low, high], within what integers hold: rays that miss a grid may leave it anywhere."""
    return int(wp.ceil(wp.min(low, float(count)))), int(wp.floor(wp.max(high, -1.0)))


@wp.func
def block_of(position: float, size: int):
    """Index of the block around a position on an axis of `size` voxels."""
    return wp.clamp(int(position), 0, size - 1) // BLOCK
