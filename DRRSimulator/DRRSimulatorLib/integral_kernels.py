"""NVIDIA Warp kernels of the line integrals and their derivatives by the pose: one source for CPU and CUDA.

They march along the grid axis that a ray crosses fastest, one sample a slab of one or more slices, interpolated within the slab
(Joseph, IEEE TMI 1(3):192-196, 1982). `slabs.py` says how the slabs are stored.

The innermost loop is native code, because the shape of it decides the speed: on a CPU one vector instruction serves all eight values
that a sample is interpolated from, on a GPU every thread is a lane by itself and reads the two materials of a voxel as one word.
"""

import warp as wp

from .ray_kernels import BLOCK, Rays, block_of, clip_slices, direction_of, is_main_axis, pixel_of, whole_slices

# Nothing here is differentiated by Warp, which halves the compilation; products may be fused with sums, as CUDA does by itself.
wp.set_module_options({"enable_backward": False, "cpu_compiler_flags": f"{wp.config.cpu_compiler_flags} -ffp-contract=fast"})

vec6 = wp.types.vector(6, wp.float32)


@wp.struct
class Slabs:
    """Attenuation of soft tissue and bone, summed over slabs along one axis.

    Attributes:
        values: [slab, w, u] flat; a word holds soft tissue in its lower and bone in its upper 16 bits. The outermost voxels of w and u
            are empty, so that rays are clipped to the grid once and no sample needs a bounds check.
        occupied: whether anything is in or near a block of voxels, [slab, w, u] flat.
        size: slabs, and voxels along w and u with the empty ones.
        thickness: slices in a slab.
        soft_unit: attenuation of soft tissue's unit, 1/mm.
        bone_unit: attenuation of bone's unit, 1/mm.
    """

    values: wp.array(dtype=wp.uint32)
    occupied: wp.array(dtype=wp.uint8)
    size: wp.vec3i
    thickness: int
    soft_unit: float
    bone_unit: float


@wp.struct
class SlabRay:
    """A ray at slab s is at (start_u + slope_u * s, start_w + slope_w * s); it passes the slabs from first to last."""

    start_u: float
    slope_u: float
    start_w: float
    slope_w: float
    first: int
    last: int


@wp.func
def nothing_at(slabs: Slabs, ray: SlabRay, s: int):
    """Whether a ray meets nothing in the block of slabs around slab s."""
    block = s // BLOCK
    middle = float(block * BLOCK) + 0.5 * float(BLOCK - 1)
    w = block_of(ray.start_w + ray.slope_w * middle, slabs.size[1])
    u = block_of(ray.start_u + ray.slope_u * middle, slabs.size[2])
    blocks_w = (slabs.size[1] - 1) // BLOCK + 1
    blocks_u = (slabs.size[2] - 1) // BLOCK + 1
    return slabs.occupied[(block * blocks_w + w) * blocks_u + u] == wp.uint8(0)


@wp.func
def ray_through(slabs: Slabs, source: wp.vec3, direction: wp.vec3):
    """The part of a ray in front of its source that lies in the slabs, without the empty ones at its ends.

    Source and direction are voxel indices along the main axis, w and u.
    """
    thickness = float(slabs.thickness)
    a_slice = 1.0 / direction[0]
    first_middle = 0.5 * (thickness - 1.0) - source[0]  # from the source to the middle of slab 0, slices
    ray = SlabRay()
    # The empty voxel at the border shifts u and w by one.
    ray.start_u = source[2] + 1.0 + first_middle * direction[2] * a_slice
    ray.start_w = source[1] + 1.0 + first_middle * direction[1] * a_slice
    ray.slope_u = thickness * direction[2] * a_slice
    ray.slope_w = thickness * direction[1] * a_slice
    low, high = clip_slices(0.0, float(slabs.size[0] - 1), ray.start_u, ray.slope_u, slabs.size[2])
    low, high = clip_slices(low, high, ray.start_w, ray.slope_w, slabs.size[1])
    # The beam starts at the source: slabs behind it do not count.
    if direction[0] > 0.0:
        low = wp.max(low, -first_middle / thickness)
    else:
        high = wp.min(high, -first_middle / thickness)
    first, last = whole_slices(low, high, slabs.size[0])
    while first <= last:
        if not nothing_at(slabs, ray, first):
            break
        first = (first // BLOCK + 1) * BLOCK
    while first <= last:
        if not nothing_at(slabs, ray, last):
            break
        last = last // BLOCK * BLOCK - 1
    ray.first = first
    ray.last = last
    return ray


# On the CPU eight slabs at a time: first the positions of all eight, then for each the eight values that it lies amid, which are soft
# tissue and bone at u and u + 1, near (w) and far (w + 1). With the fractions f of u and w, all that is asked for are sums of the
# values, of f_u, of f_w and of f_u f_w times the values; for gradients those sums weighted by the slab, too.
@wp.func_native("""
    float soft, bone, by_u = 0.0f, by_u_slab = 0.0f, by_w = 0.0f, by_w_slab = 0.0f;
    const float middle = 0.5f * (float)(first + last);
#if defined(__CUDA_ARCH__) || defined(ONE_LANE)
    soft = 0.0f;
    bone = 0.0f;
    for (int s = first; s <= last; ++s) {
        const float u = start_u + slope_u * (float)s, w = start_w + slope_w * (float)s;
        const int whole_u = (int)u, whole_w = (int)w;
        const float f_u = u - (float)whole_u, f_w = w - (float)whole_w;
        const wp::uint32* corner = values.data + (s * stride_slab + whole_w * stride_w + whole_u);
        const wp::uint32 words[4] = {corner[0], corner[1], corner[stride_w], corner[stride_w + 1]};
        float soft_at[4], bone_at[4], both_at[4];
        for (int n = 0; n < 4; ++n) {
            soft_at[n] = (float)(words[n] & 0xffffu);
            bone_at[n] = (float)(words[n] >> 16);
            both_at[n] = soft_unit * soft_at[n] + bone_unit * bone_at[n];
        }
        soft += (1.0f - f_w) * ((1.0f - f_u) * soft_at[0] + f_u * soft_at[1]) + f_w * ((1.0f - f_u) * soft_at[2] + f_u * soft_at[3]);
        bone += (1.0f - f_w) * ((1.0f - f_u) * bone_at[0] + f_u * bone_at[1]) + f_w * ((1.0f - f_u) * bone_at[2] + f_u * bone_at[3]);
        if (gradient) {
            const float rise_u = (1.0f - f_w) * (both_at[1] - both_at[0]) + f_w * (both_at[3] - both_at[2]);
            const float rise_w = (1.0f - f_u) * (both_at[2] - both_at[0]) + f_u * (both_at[3] - both_at[1]);
            by_u += rise_u;
            by_w += rise_w;
            by_u_slab += rise_u * ((float)s - middle);
            by_w_slab += rise_w * ((float)s - middle);
        }
    }
#else
    typedef float lanes __attribute__((ext_vector_type(8)));
    typedef int whole_lanes __attribute__((ext_vector_type(8)));
    typedef unsigned short neighbours __attribute__((ext_vector_type(4), aligned(4)));
    const whole_lanes ahead = {0, 1, 2, 3, 4, 5, 6, 7};
    lanes sum = 0.0f, sum_u = 0.0f, sum_w = 0.0f, sum_uw = 0.0f, slab_sum = 0.0f, slab_sum_u = 0.0f, slab_sum_w = 0.0f;
    for (int s = first; s <= last; s += 8) {
        const lanes slab = __builtin_convertvector(s + ahead, lanes), from_middle = slab - middle;
        const lanes u = start_u + slope_u * slab, w = start_w + slope_w * slab;
        const whole_lanes whole_u = __builtin_convertvector(u, whole_lanes), whole_w = __builtin_convertvector(w, whole_lanes);
        const lanes f_u = u - __builtin_convertvector(whole_u, lanes), f_w = w - __builtin_convertvector(whole_w, lanes);
        const lanes f_uw = f_u * f_w;
        const whole_lanes at = (s + ahead) * stride_slab + whole_w * stride_w + whole_u;
        const int count = last - s < 7 ? last - s + 1 : 8;
        for (int n = 0; n < count; ++n) {
            const wp::uint32* corner = values.data + at[n];
            const neighbours near = *(const neighbours*)corner, far = *(const neighbours*)(corner + stride_w);
            const lanes value = __builtin_convertvector(__builtin_shufflevector(near, far, 0, 1, 2, 3, 4, 5, 6, 7), lanes);
            sum += value;
            sum_u += f_u[n] * value;
            sum_w += f_w[n] * value;
            sum_uw += f_uw[n] * value;
            if (gradient) {
                const lanes weighted = from_middle[n] * value;
                slab_sum += weighted;
                slab_sum_u += f_u[n] * weighted;
                slab_sum_w += f_w[n] * weighted;
            }
        }
    }
    const lanes here = sum - sum_u - sum_w + sum_uw, next = sum_u - sum_uw, beyond = sum_w - sum_uw;
    soft = here[0] + next[2] + beyond[4] + sum_uw[6];
    bone = here[1] + next[3] + beyond[5] + sum_uw[7];
    if (gradient) {
        const lanes unit = {soft_unit, bone_unit, soft_unit, bone_unit, soft_unit, bone_unit, soft_unit, bone_unit};
        const lanes near_u = unit * (sum - sum_w), far_u = unit * sum_w, near_w = unit * (sum - sum_u), far_w = unit * sum_u;
        by_u = near_u[2] + near_u[3] - near_u[0] - near_u[1] + far_u[6] + far_u[7] - far_u[4] - far_u[5];
        by_w = near_w[4] + near_w[5] - near_w[0] - near_w[1] + far_w[6] + far_w[7] - far_w[2] - far_w[3];
        const lanes slab_near_u = unit * (slab_sum - slab_sum_w), slab_far_u = unit * slab_sum_w;
        const lanes slab_near_w = unit * (slab_sum - slab_sum_u), slab_far_w = unit * slab_sum_u;
        by_u_slab = slab_near_u[2] + slab_near_u[3] - slab_near_u[0] - slab_near_u[1]
                  + slab_far_u[6] + slab_far_u[7] - slab_far_u[4] - slab_far_u[5];
        by_w_slab = slab_near_w[4] + slab_near_w[5] - slab_near_w[0] - slab_near_w[1]
                  + slab_far_w[6] + slab_far_w[7] - slab_far_w[2] - slab_far_w[3];
    }
#endif
    wp::vec_t<6, float> sums;
    sums[0] = soft * soft_unit;
    sums[1] = bone * bone_unit;
    sums[2] = by_u;
    sums[3] = by_u_slab;
    sums[4] = by_w;
    sums[5] = by_w_slab;
    return sums;
""")
def sums_along(
    values: wp.array(dtype=wp.uint32),
    soft_unit: float,
    bone_unit: float,
    stride_slab: int,
    stride_w: int,
    start_u: float,
    slope_u: float,
    start_w: float,
    slope_w: float,
    first: int,
    last: int,
    gradient: bool,
) -> vec6:
    """Sums over the slabs of a ray: soft tissue; bone; and, if asked for, of both together the derivatives along u and along w, each
    also times the distance from the middle slab, in slabs."""  # fmt: skip
    ...


@wp.func
def march(slabs: Slabs, ray: SlabRay, gradient: bool):
    """`sums_along` a ray."""
    stride_w = slabs.size[2]
    stride_slab = slabs.size[1] * stride_w
    return sums_along(
        slabs.values,
        slabs.soft_unit,
        slabs.bone_unit,
        stride_slab,
        stride_w,
        ray.start_u,
        ray.slope_u,
        ray.start_w,
        ray.slope_w,
        ray.first,
        ray.last,
        gradient,
    )


@wp.func
def is_oblique(direction: wp.vec3, limit: float):
    """Whether a ray moves sideways by more voxels a slice than the limit."""
    return wp.max(wp.abs(direction[1]), wp.abs(direction[2])) > limit * wp.abs(direction[0])


@wp.func
def slice_length(voxel_to_mm: wp.mat33, direction: wp.vec3):
    """Length of a ray between two slices, mm."""
    return wp.length(voxel_to_mm * direction) / wp.abs(direction[0])


@wp.kernel
def line_integrals(
    thin: Slabs,
    thick: Slabs,
    thick_limit: float,
    axes: wp.vec3i,
    voxel_to_mm: wp.mat33,
    rays: Rays,
    first_thread: int,
    image: wp.array4d(dtype=wp.float32),
):
    """Line integrals (view, material, row, column) of soft tissue and bone, for the pixels whose rays have the main axis `axes[0]`.

    Rays that are less oblique than the limit are cast through the thick slabs, the others through the thin ones. All voxel indices are
    in the order of `axes`: along the main axis, w and u.
    """
    view, row, column = pixel_of(first_thread + wp.tid(), rays, 2)
    source = rays.sources[view]
    direction = direction_of(rays, view, row, column)
    if not is_main_axis(direction, axes):
        return
    sums = vec6()
    if is_oblique(direction, thick_limit):
        sums = march(thin, ray_through(thin, source, direction), False)
    else:
        sums = march(thick, ray_through(thick, source, direction), False)
    slice_mm = slice_length(voxel_to_mm, direction)
    image[view, 0, row, column] = sums[0] * slice_mm
    image[view, 1, row, column] = sums[1] * slice_mm


@wp.struct
class Motions:
    """What the derivatives by the pose need of each view.

    Attributes:
        camera_to_voxel: linear part of the transform from camera coordinates (mm) to voxel indices in the order main axis, w, u.
        pixel_to_ray: inverse camera matrix: a pixel (column, row, 1) to the direction of its ray in camera coordinates.
        pivots: point that rotations leave in place, camera coordinates, mm.
    """

    camera_to_voxel: wp.array(dtype=wp.mat33)
    pixel_to_ray: wp.array(dtype=wp.mat33)
    pivots: wp.array(dtype=wp.vec3)


@wp.kernel
def derivatives(
    thin: Slabs,
    thick: Slabs,
    thick_limit: float,
    axes: wp.vec3i,
    voxel_to_mm: wp.mat33,
    rays: Rays,
    motions: Motions,
    first_thread: int,
    result: wp.array4d(dtype=wp.float32),
):
    """Line integral of both materials, and its derivatives by a motion of the patient: (view, 7, row, column).

    With x = source + t direction, scaled to one slice a step, the integral is I = slice_mm * sum over slices s of
    f(u(s), w(s)), where u(s) = source_u + (s - source_main) slope_u and likewise w. When the patient moves by a rotation vector about
    the pivot and a translation, source and direction move the other way in the patient, and by the chain rule

        dI = slice_mm * sum (f_u du(s) + f_w dw(s)) + d slice_mm * sum f,
        du(s) = d source_u - slope_u d source_main + (s - source_main) d slope_u.
    """
    view, row, column = pixel_of(first_thread + wp.tid(), rays, 2)
    source = rays.sources[view]
    direction = direction_of(rays, view, row, column)
    if not is_main_axis(direction, axes):
        return
    sums = vec6()
    middle = float(0.0)  # slice in the middle of the ray
    thickness = float(thin.thickness)
    if is_oblique(direction, thick_limit):
        ray = ray_through(thin, source, direction)
        sums = march(thin, ray, True)
        middle = middle_slice(thin, ray)
    else:
        ray = ray_through(thick, source, direction)
        sums = march(thick, ray, True)
        middle = middle_slice(thick, ray)
        thickness = float(thick.thickness)
    both = sums[0] + sums[1]
    # Sums weighted by the distance from the source, in slices.
    from_source_u = sums[3] * thickness + (middle - source[0]) * sums[2]
    from_source_w = sums[5] * thickness + (middle - source[0]) * sums[4]
    slope_u = direction[2] / direction[0]
    slope_w = direction[1] / direction[0]
    slice_mm = slice_length(voxel_to_mm, direction)
    result[view, 0, row, column] = both * slice_mm
    to_voxel = motions.camera_to_voxel[view]
    seen = motions.pixel_to_ray[view] * wp.vec3(float(column), float(row), 1.0)
    for axis in range(3):
        unit = wp.vec3()
        unit[axis] = 1.0
        moved = -(to_voxel * unit)  # of the source, per mm
        change = sums[2] * (moved[2] - slope_u * moved[0]) + sums[4] * (moved[1] - slope_w * moved[0])
        result[view, 4 + axis, row, column] = change * slice_mm
        moved = to_voxel * wp.cross(unit, motions.pivots[view])  # of the source, per radian
        turned = -(to_voxel * wp.cross(unit, seen)) / direction[0]  # of the direction, per radian and slice
        change = sums[2] * (moved[2] - slope_u * moved[0]) + sums[4] * (moved[1] - slope_w * moved[0])
        change += from_source_u * (turned[2] - slope_u * turned[0]) + from_source_w * (turned[1] - slope_w * turned[0])
        result[view, 1 + axis, row, column] = (change - both * turned[0]) * slice_mm


@wp.func
def middle_slice(slabs: Slabs, ray: SlabRay):
    """Slice, as a real number, in the middle of the slabs that a ray passes."""
    return float(slabs.thickness) * (0.5 * float(ray.first + ray.last) + 0.5) - 0.5
