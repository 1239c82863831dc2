"""NVIDIA Warp kernel of the scene coordinates: one source for CPU and CUDA.

It looks for the first and the last crossing of a bone's surface, slice by slice along the axis that a ray crosses fastest, from either
end, and passes over blocks of voxels that are known to hold no bone.
"""

import warp as wp

from .ray_kernels import BLOCK, Rays, block_of, clip_slices, direction_of, main_axis, pixel_of, whole_slices

wp.set_module_options({"enable_backward": False})  # nothing here is differentiated by Warp: half the compilation


@wp.struct
class Surface:
    """The field of a bone whose level 127.5 is its surface.

    Attributes:
        levels: [k, j, i] flat; the outermost voxels are empty, so that rays are clipped to the grid once.
        occupied: whether bone is in or near a block of voxels, [k, j, i] flat.
        size: voxels along i, j and k.
        ijk_to_ras: voxel index to RAS mm.
    """

    levels: wp.array(dtype=wp.uint8)
    occupied: wp.array(dtype=wp.uint8)
    size: wp.vec3i
    ijk_to_ras: wp.mat44


@wp.struct
class SliceRay:
    """A ray at slice s of its main axis is at the voxel indices start + slope * s; it passes slices first to last."""

    main: int
    start: wp.vec3
    slope: wp.vec3
    first: int
    last: int


@wp.func
def ray_in_grid(size: wp.vec3i, main: int, source: wp.vec3, direction: wp.vec3):
    """The part of a ray in front of its source that lies in the grid."""
    u = (main + 1) % 3
    w = (main + 2) % 3
    ray = SliceRay()
    ray.main = main
    ray.slope = direction / direction[main]
    ray.start = source - source[main] * ray.slope
    low, high = clip_slices(0.0, float(size[main] - 1), ray.start[u], ray.slope[u], size[u])
    low, high = clip_slices(low, high, ray.start[w], ray.slope[w], size[w])
    if direction[main] > 0.0:
        low = wp.max(low, source[main])
    else:
        high = wp.min(high, source[main])
    first, last = whole_slices(low, high, size[main])
    ray.first = first
    ray.last = last
    return ray


# Native code, because nearly all the time is spent here: Warp would check every index for being negative.
@wp.func_native("""
    for (int s = start; (stop - s) * step >= 0; s += step) {
        const float u = start_u + slope_u * (float)s, w = start_w + slope_w * (float)s;
        const int whole_u = (int)u, whole_w = (int)w;
        const float f_u = u - (float)whole_u, f_w = w - (float)whole_w;
        const wp::uint8* corner = levels.data + (s * stride_slice + whole_w * stride_w + whole_u * stride_u);
        const float near = (1.0f - f_u) * (float)corner[0] + f_u * (float)corner[stride_u];
        const float far = (1.0f - f_u) * (float)corner[stride_w] + f_u * (float)corner[stride_w + stride_u];
        if ((1.0f - f_w) * near + f_w * far >= 127.5f) return s;
    }
    return -1;
""")
def first_inside(
    levels: wp.array(dtype=wp.uint8),
    stride_slice: int,
    stride_u: int,
    stride_w: int,
    start_u: float,
    slope_u: float,
    start_w: float,
    slope_w: float,
    start: int,
    stop: int,
    step: int,
) -> int:
    """First slice from `start` to `stop` whose bilinear sample on a ray is inside the surface; -1 where there is none."""
    ...


@wp.func
def level_at(surface: Surface, position: wp.vec3):
    """Trilinear sample, minus the surface's level, at a position within the grid."""
    i = wp.min(int(position[0]), surface.size[0] - 2)
    j = wp.min(int(position[1]), surface.size[1] - 2)
    k = wp.min(int(position[2]), surface.size[2] - 2)
    f = position - wp.vec3(float(i), float(j), float(k))
    stride_j = surface.size[0]
    stride_k = surface.size[0] * surface.size[1]
    at = k * stride_k + j * stride_j + i
    level = float(0.0)
    for dk in range(2):
        weight_k = 1.0 - f[2] + float(dk) * (2.0 * f[2] - 1.0)
        for dj in range(2):
            weight = weight_k * (1.0 - f[1] + float(dj) * (2.0 * f[1] - 1.0))
            corner = at + dk * stride_k + dj * stride_j
            level += weight * ((1.0 - f[0]) * float(surface.levels[corner]) + f[0] * float(surface.levels[corner + 1]))
    return level - 127.5


@wp.func
def crossing(surface: Surface, ray: SliceRay, outside: int, inside: int):
    """Where, between an outside slice and the inside one next to it, the trilinear field crosses the surface's level."""
    low = float(outside)
    high = float(inside)
    for _ in range(6):
        middle = 0.5 * (low + high)
        if level_at(surface, ray.start + middle * ray.slope) < 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@wp.func
def no_bone_at(surface: Surface, ray: SliceRay, block: int):
    """Whether a ray meets no bone in a block of slices."""
    middle = ray.start + (float(block * BLOCK) + 0.5 * float(BLOCK - 1)) * ray.slope
    i = block_of(middle[0], surface.size[0])
    j = block_of(middle[1], surface.size[1])
    k = block_of(middle[2], surface.size[2])
    blocks_i = (surface.size[0] - 1) // BLOCK + 1
    blocks_j = (surface.size[1] - 1) // BLOCK + 1
    return surface.occupied[(k * blocks_j + j) * blocks_i + i] == wp.uint8(0)


@wp.func
def first_hit(surface: Surface, ray: SliceRay, start: int, stop: int, step: int):
    """Slice position of the first surface crossing from slice `start` to `stop`; -1 where there is none."""
    u = (ray.main + 1) % 3
    w = (ray.main + 2) % 3
    strides = wp.vec3i(1, surface.size[0], surface.size[0] * surface.size[1])
    stride_slice = strides[ray.main]
    stride_u = strides[u]
    stride_w = strides[w]
    start_u = ray.start[u]
    slope_u = ray.slope[u]
    start_w = ray.start[w]
    slope_w = ray.slope[w]
    s = int(start)
    while (stop - s) * step >= 0:
        block = s // BLOCK
        end = block * BLOCK  # the last slice of the block on the way
        if step > 0:
            end = end + BLOCK - 1
        if not no_bone_at(surface, ray, block):
            if (stop - end) * step < 0:
                end = stop
            inside = first_inside(surface.levels, stride_slice, stride_u, stride_w, start_u, slope_u, start_w, slope_w, s, end, step)
            if inside >= 0:
                if inside == start:
                    return float(start)
                return crossing(surface, ray, inside - step, inside)
        s = end + step
    return float(-1.0)


@wp.kernel
def surface_hits(
    surface: Surface,
    rays: Rays,
    label: int,
    first_thread: int,
    hits: wp.array4d(dtype=wp.float32),
):
    """Entry and exit points, RAS mm, in channels 6 * label to 6 * label + 5 of `hits` (view, channel, row, column); NaN off bone."""
    view, row, column = pixel_of(first_thread + wp.tid(), rays, 0)
    source = rays.sources[view]
    direction = direction_of(rays, view, row, column)
    main = main_axis(direction)
    ray = ray_in_grid(surface.size, main, source, direction)
    entry = float(-1.0)
    near = ray.first
    far = ray.last
    step = int(1)
    if direction[main] < 0.0:
        near = ray.last
        far = ray.first
        step = -1
    if ray.last >= ray.first:
        entry = first_hit(surface, ray, near, far, step)
    if entry < 0.0:
        for axis in range(6):
            hits[view, 6 * label + axis, row, column] = wp.nan
    else:
        leave = first_hit(surface, ray, far, near, -step)
        entry_ras = wp.transform_point(surface.ijk_to_ras, ray.start + entry * ray.slope)
        leave_ras = wp.transform_point(surface.ijk_to_ras, ray.start + leave * ray.slope)
        for axis in range(3):
            hits[view, 6 * label + axis, row, column] = entry_ras[axis]
            hits[view, 6 * label + 3 + axis, row, column] = leave_ras[axis]
