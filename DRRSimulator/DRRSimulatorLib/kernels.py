"""NVIDIA Warp kernels of the ray caster: one source for CPU and CUDA.

Both kernels march along the grid axis that a ray crosses fastest, one sample a slice, interpolated within the slice (Joseph, IEEE
TMI 1(3):192-196, 1982). Volumes are flat arrays in [k, j, i] order whose outermost voxels are empty, so that rays are clipped to
the grid once and no sample needs a bounds check. Positions are voxel indices (i, j, k) of that grid.

One thread is one pixel; threads are numbered view by view and row by row, starting at `first_thread`, so that a launch can be
divided over CPU threads.
"""

import warp as wp

wp.set_module_options({"enable_backward": False})  # nothing here is differentiated by Warp: half the compilation


@wp.struct
class Grid:
    """Size of a volume and the linear part of its index-to-millimetre transform."""

    size: wp.vec3i
    ijk_to_mm: wp.mat33


@wp.struct
class Ray:
    """A ray in the frame (main axis, second, third), where it advances by one slice a step.

    At slice s it is at (s, start_u + slope_u * s, start_w + slope_w * s); the last two slices are where it leaves the grid.
    """

    main_axis: int
    stride_main: int
    stride_u: int
    stride_w: int
    start_u: float
    slope_u: float
    start_w: float
    slope_w: float
    step_mm: float
    first_slice: int
    last_slice: int
    forward: int


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
def make_ray(grid: Grid, source: wp.vec3, direction: wp.vec3):
    """The ray from a source along a direction, both in voxel indices, clipped to the grid."""
    size = grid.size
    main = int(0)
    if wp.abs(direction[1]) > wp.abs(direction[main]):
        main = 1
    if wp.abs(direction[2]) > wp.abs(direction[main]):
        main = 2
    u = (main + 1) % 3
    w = (main + 2) % 3
    strides = wp.vec3i(1, size[0], size[0] * size[1])
    ray = Ray()
    ray.main_axis = main
    ray.stride_main = strides[main]
    ray.stride_u = strides[u]
    ray.stride_w = strides[w]
    ray.slope_u = direction[u] / direction[main]
    ray.slope_w = direction[w] / direction[main]
    ray.start_u = source[u] - source[main] * ray.slope_u
    ray.start_w = source[w] - source[main] * ray.slope_w
    ray.step_mm = wp.length(grid.ijk_to_mm * direction) / wp.abs(direction[main])
    low, high = clip_slices(0.0, float(size[main] - 1), ray.start_u, ray.slope_u, size[u])
    low, high = clip_slices(low, high, ray.start_w, ray.slope_w, size[w])
    # The beam starts at the source: slices behind it do not count.
    ray.forward = 1
    if direction[main] > 0.0:
        low = wp.max(low, source[main])
    else:
        high = wp.min(high, source[main])
        ray.forward = -1
    # Rays that miss the grid may leave it at slices beyond the integers.
    ray.first_slice = int(wp.ceil(wp.min(low, float(size[main]))))
    ray.last_slice = int(wp.floor(wp.max(high, -1.0)))
    return ray


@wp.kernel
def line_integrals(
    volume: wp.array(dtype=wp.vec2),
    grid: Grid,
    sources: wp.array(dtype=wp.vec3),
    pixel_to_direction: wp.array(dtype=wp.mat33),
    first_thread: int,
    image: wp.array4d(dtype=wp.float32),
):
    """Line integrals (view, material, row, column) of the two materials of a volume in 1/mm."""
    thread = first_thread + wp.tid()
    column = thread % image.shape[3]
    row = (thread // image.shape[3]) % image.shape[2]
    view = thread // (image.shape[3] * image.shape[2])
    direction = pixel_to_direction[view] * wp.vec3(float(column), float(row), 1.0)
    ray = make_ray(grid, sources[view], direction)
    total = wp.vec2(0.0, 0.0)
    for s in range(ray.first_slice, ray.last_slice + 1):
        u = ray.start_u + ray.slope_u * float(s)
        w = ray.start_w + ray.slope_w * float(s)
        iu = int(u)
        iw = int(w)
        fu = u - float(iu)
        fw = w - float(iw)
        at = s * ray.stride_main + iu * ray.stride_u + iw * ray.stride_w
        near = volume[at] * (1.0 - fu) + volume[at + ray.stride_u] * fu
        at = at + ray.stride_w
        far = volume[at] * (1.0 - fu) + volume[at + ray.stride_u] * fu
        total = total + near * (1.0 - fw) + far * fw
    image[view, 0, row, column] = total[0] * ray.step_mm
    image[view, 1, row, column] = total[1] * ray.step_mm


@wp.func
def level_in_slice(volume: wp.array(dtype=wp.uint8), ray: Ray, s: int, u: float, w: float):
    """Bilinear sample, minus the surface's level, at (u, w) of slice s."""
    iu = int(u)
    iw = int(w)
    fu = u - float(iu)
    fw = w - float(iw)
    at = s * ray.stride_main + iu * ray.stride_u + iw * ray.stride_w
    near = float(volume[at]) * (1.0 - fu) + float(volume[at + ray.stride_u]) * fu
    at = at + ray.stride_w
    far = float(volume[at]) * (1.0 - fu) + float(volume[at + ray.stride_u]) * fu
    return near * (1.0 - fw) + far * fw - 127.5


@wp.func
def crossing(volume: wp.array(dtype=wp.uint8), ray: Ray, outside: int, inside: int):
    """Where, between an outside slice and the inside one next to it, the trilinear field crosses the surface's level."""
    low = float(outside)
    high = float(inside)
    slice_below = wp.min(outside, inside)
    for _ in range(6):
        middle = 0.5 * (low + high)
        u = ray.start_u + ray.slope_u * middle
        w = ray.start_w + ray.slope_w * middle
        f = middle - float(slice_below)
        level = level_in_slice(volume, ray, slice_below, u, w) * (1.0 - f)
        level += level_in_slice(volume, ray, slice_below + 1, u, w) * f
        if level < 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@wp.func
def first_hit(volume: wp.array(dtype=wp.uint8), ray: Ray, start: int, stop: int, step: int):
    """Slice position of the first surface crossing from slice `start` to `stop`; -1 where there is none."""
    for n in range(0, (stop - start) * step + 1):
        s = start + n * step
        if level_in_slice(volume, ray, s, ray.start_u + ray.slope_u * float(s), ray.start_w + ray.slope_w * float(s)) >= 0.0:
            if n == 0:
                return float(s)
            return crossing(volume, ray, s - step, s)
    return float(-1.0)


@wp.func
def to_ras(ray: Ray, s: float, ijk_to_ras: wp.mat44):
    """RAS position of a ray at a slice position."""
    ijk = wp.vec3()
    ijk[ray.main_axis] = s
    ijk[(ray.main_axis + 1) % 3] = ray.start_u + ray.slope_u * s
    ijk[(ray.main_axis + 2) % 3] = ray.start_w + ray.slope_w * s
    return wp.transform_point(ijk_to_ras, ijk)


@wp.kernel
def surface_hits(
    occupancy: wp.array(dtype=wp.uint8),
    grid: Grid,
    ijk_to_ras: wp.mat44,
    sources: wp.array(dtype=wp.vec3),
    pixel_to_direction: wp.array(dtype=wp.mat33),
    first_thread: int,
    label: int,
    hits: wp.array4d(dtype=wp.float32),
):
    """Entry and exit points, RAS mm, in channels 6 * label to 6 * label + 5 of `hits` (view, channel, row, column); NaN off bone."""
    thread = first_thread + wp.tid()
    column = thread % hits.shape[3]
    row = (thread // hits.shape[3]) % hits.shape[2]
    view = thread // (hits.shape[3] * hits.shape[2])
    direction = pixel_to_direction[view] * wp.vec3(float(column), float(row), 1.0)
    ray = make_ray(grid, sources[view], direction)
    near = ray.first_slice
    far = ray.last_slice
    if ray.forward < 0:
        near = ray.last_slice
        far = ray.first_slice
    entry = float(-1.0)
    if ray.last_slice >= ray.first_slice:
        entry = first_hit(occupancy, ray, near, far, ray.forward)
    if entry < 0.0:
        for axis in range(6):
            hits[view, 6 * label + axis, row, column] = wp.nan
    else:
        leave = first_hit(occupancy, ray, far, near, -ray.forward)
        entry_ras = to_ras(ray, entry, ijk_to_ras)
        exit_ras = to_ras(ray, leave, ijk_to_ras)
        for axis in range(3):
            hits[view, 6 * label + axis, row, column] = entry_ras[axis]
            hits[view, 6 * label + 3 + axis, row, column] = exit_ras[axis]
