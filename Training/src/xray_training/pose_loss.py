"""The pose loss: how far off the pose would be that the predicted points give.

An error that all points of an image share, such as a scale wrong by one per cent, hardly shows in the likelihood of single points, but
moves the bone by millimetres along the beam. This loss sees it: it asks how a least-squares fit as in `XRayRegistrationLib.pose`,
weighted by the predicted sigma, would move the true pose, to first order (one Gauss-Newton step, which has a closed form).
"""

from __future__ import annotations

import torch
from DRRSimulatorLib.camera import FloatArray
from XRayRegistrationLib.model import ModelDescription
from XRayRegistrationLib.network import SIGMA_PER_LAPLACE_SCALE, SceneMaps
from XRayRegistrationLib.pose import CAUCHY_DEVIATIONS
from XRayRegistrationLib.reprojection import PIXEL_NOISE

# Pose errors count by their logarithm above this, in proportion below: halving an error is worth the same for an easy and a hard view.
PROPORTIONAL_BELOW_MM = 2.0


class PoseLoss:
    """Pose loss of the predictions for one CT and camera. Lengths inside are in the network's unit, angles in rad."""

    def __init__(self, description: ModelDescription, bone_points: FloatArray, device: str) -> None:
        """Prepare what is the same for all images.

        Args:
            description: of the network.
            bone_points: (N, 3) points of the bone's surface, RAS mm, over which errors are averaged.
            device: torch device.
        """
        rows, columns = (size // description.output_stride for size in description.camera.image_size)
        camera = description.camera.resized((rows, columns))
        row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        rays = camera.back_project(torch.stack([column, row], dim=-1).reshape(-1, 2).numpy(), 1.0)[:, :2]
        self.rays = torch.tensor(rays.T, dtype=torch.float32, device=device).repeat(1, 2 * len(description.labels))  # x/z and y/z
        self.noise_per_depth = PIXEL_NOISE / min(camera.focal_lengths)
        self.centre = torch.tensor(description.centre_ras, dtype=torch.float32, device=device)
        self.scale_mm = description.scale_mm
        arms = torch.tensor(bone_points, dtype=torch.float32, device=device).sub(self.centre) / self.scale_mm
        self.spread = arms.T @ arms / len(arms)

    def __call__(self, maps: SceneMaps, targets: torch.Tensor, bone: torch.Tensor, ras_to_camera: torch.Tensor) -> dict[str, torch.Tensor]:
        """Loss of a batch.

        Args:
            maps: what the network says.
            targets: true coordinates (B, 6 * L, h, w) in the network's unit; anything but NaN off bone.
            bone: where points count, (B, L, h, w), bool.
            ras_to_camera: true poses (B, 4, 4), float32, mm.

        Returns:
            "pose_loss", a scalar, and "pose_error_mm", the mean over the batch of the root mean square error (as an mTRE) of the poses.
        """
        rotation = ras_to_camera[:, :3, :3]
        centre_depth = (ras_to_camera[:, 2, :3] @ self.centre + ras_to_camera[:, 2, 3]) / self.scale_mm
        true = _points_in_rows(targets)
        arms = rotation @ true
        error = rotation @ (maps.coordinates.flatten(1, 2).movedim(2, 1).flatten(2) - true)
        residuals = error[:, :2] - self.rays * error[:, 2:]  # beside the ray, at the point's depth
        sigma = SIGMA_PER_LAPLACE_SCALE * maps.log_scale.flatten(1).exp()
        variance = sigma.square() + (self.noise_per_depth * (arms[:, 2] + centre_depth[:, None])).square()
        # The weights of the Cauchy loss of the fit (Holland and Welsch, 1977), as they stand.
        robust = 1 + residuals.square().sum(dim=1).detach() / variance.detach() / CAUCHY_DEVIATIONS**2
        weights = bone[:, :, None].expand(-1, -1, 2, -1, -1).flatten(1) / (variance * robust)
        motion = self._motion(arms, residuals, weights)
        pose_error = self._bone_error(motion, rotation) * self.scale_mm
        return {"pose_loss": torch.log1p(pose_error / PROPORTIONAL_BELOW_MM).mean(), "pose_error_mm": pose_error.mean()}

    def _motion(self, arms: torch.Tensor, residuals: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Least-squares motion (B, 6), a rotation vector about the bone's centre and a translation, that explains the residuals.

        Args:
            arms: (B, 3, N) from the bone's centre to the true points, camera frame.
            residuals: (B, 2, N) beside the rays.
            weights: (B, N).
        """
        x, y, z = arms.unbind(dim=1)
        u, v = (ray.expand_as(x) for ray in self.rays)
        one, zero = torch.ones_like(x), torch.zeros_like(x)
        # A motion moves a point by rotation x arm + translation, and the residual by its x and y less the ray times its z.
        columns = [-u * y, z + u * x, -y, one, zero, -u, -z - v * y, v * x, x, zero, one, -v]
        jacobian = torch.stack(columns, dim=1).unflatten(1, (2, 6)).transpose(1, 2).flatten(2)  # (B, 6, 2 * N)
        weighted = jacobian * weights.repeat(1, 2)[:, None]
        # One unit is the standard deviation that is assumed of the motion beforehand: only views of next to no points feel it.
        normal = weighted @ jacobian.transpose(1, 2) + torch.eye(6, device=arms.device)
        moment = (weighted @ residuals.flatten(1)[..., None])[..., 0]
        return torch.linalg.solve_ex(normal, moment).result  # `solve` would look at the result and so wait for CUDA

    def _bone_error(self, motion: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
        """Root mean square length (B,) of how motions (B, 6) move the bone's points, which lie about its centre.

        The mean of |w x a + t|^2 is |t|^2 + w . (trace(S) I - S) w, with S the mean of a a^T.
        """
        turn, shift = motion[:, :3], motion[:, 3:]
        turn_ras = (rotation.transpose(1, 2) @ turn[..., None])[..., 0]
        turned = turn.square().sum(dim=1) * self.spread.trace() - ((turn_ras @ self.spread) * turn_ras).sum(dim=1)
        return (shift.square().sum(dim=1) + turned).add(1e-10).sqrt()


def _points_in_rows(maps: torch.Tensor) -> torch.Tensor:
    """Points (B, 3, 2 * L * h * w) of maps (B, 6 * L, h, w)."""
    return maps.unflatten(1, (-1, 3)).movedim(2, 1).flatten(2)
