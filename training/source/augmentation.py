"""Batched augmentation on tensors: geometry, then light and camera, on whichever device.

Couriers' photos come from the street: the vehicle small or cut, dark, blurred, noisy, in any
light. All randomness comes from one generator, so a step can be repeated exactly.
"""

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from training.source.network import MEAN


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Ranges of the random views."""

    smallest_view: float  # of the photo's side; under 1 crops
    widest_view: float  # over 1 shows surroundings
    rotation: float = 6.0  # degrees, either way
    stretch: float = 0.15  # of the aspect ratio, natural logarithm, either way


PHOTO_VIEWS = Geometry(smallest_view=0.6, widest_view=1.4)
CIFAR_VIEWS = Geometry(smallest_view=0.8, widest_view=1.15)


class Dice:
    """Random numbers for a batch, from one generator."""

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self.count = count
        self.generator = generator

    def of(self, count: int) -> "Dice":
        """Dice for another number of photos, from the same generator."""
        return Dice(count, self.generator)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        draw = torch.rand(self.count, generator=self.generator, device=self.generator.device)
        return low + (high - low) * draw

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(
            self.count, *shape, generator=self.generator, device=self.generator.device
        )

    def chance(self, share: float) -> Tensor:
        return self.uniform() < share


@dataclasses.dataclass
class Photos:
    """Photos stretched to squares."""

    full: Tensor  # uint8 [n, 3, C, C]
    half: Tensor  # the same at half size, for views that would alias
    aspects: Tensor  # [n], their true width over height


def random_views(
    photos: Photos, chosen: Tensor, size: int, geometry: Geometry, dice: Dice
) -> tuple[Tensor, Tensor]:
    """Random affine views of the chosen photos.

    Returns float [n, 3, size, size] and a mask [n, 1, size, size], 1 inside the photo.
    """
    aspects = photos.aspects[chosen]
    undistorted = dice.uniform()  # 0: squashed into the square, 1: true aspect ratio
    span_x = (1 / aspects).clamp(min=1) ** undistorted
    span_y = aspects.clamp(min=1) ** undistorted
    log_low, log_high = math.log(geometry.smallest_view), math.log(geometry.widest_view)
    scale = dice.uniform(log_low, log_high).exp()
    stretch = dice.uniform(-geometry.stretch, geometry.stretch).exp()
    span_x, span_y = span_x * scale * stretch.sqrt(), span_y * scale / stretch.sqrt()
    centre_x = dice.uniform(-1, 1) * (1 - span_x).abs()
    centre_y = dice.uniform(-1, 1) * (1 - span_y).abs()
    angle = dice.uniform(-1, 1) * math.radians(geometry.rotation)
    mirror = torch.where(dice.chance(0.5), 1.0, -1.0)
    matrix = torch.stack(
        [
            torch.stack([mirror * span_x * angle.cos(), -span_x * angle.sin(), centre_x], 1),
            torch.stack([mirror * span_y * angle.sin(), span_y * angle.cos(), centre_y], 1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(matrix, [len(chosen), 3, size, size], align_corners=False)
    mask = (grid.abs() <= 1).all(dim=3).unsqueeze(1).float()
    views = torch.empty(len(chosen), 3, size, size, device=grid.device)
    coarse = torch.maximum(span_x, span_y) * photos.full.shape[-1] / size > 2  # noqa: PLR2004
    for rows, source in ((~coarse, photos.full), (coarse, photos.half)):
        if rows.any():
            views[rows] = functional.grid_sample(
                source[chosen[rows]].float(), grid[rows], padding_mode="border", align_corners=False
            )
    return views, mask


def fill_surroundings(views: Tensor, mask: Tensor, backgrounds: Tensor, dice: Dice) -> Tensor:
    """Replace what is outside the photo.

    It becomes the serving padding, one random colour, the photo's own stretched border, or
    another photo (`backgrounds`, [m, 3, S, S], none a vehicle).
    """
    kind = dice.uniform().view(-1, 1, 1, 1)
    padding, colour_until, border_until = 0.4, 0.5, 0.65
    mean = torch.tensor(MEAN, device=views.device).view(1, 3, 1, 1)
    colour = torch.where(kind < padding, mean, 127 + 60 * dice.normal(3, 1, 1).clamp(-2, 2))
    filled = torch.lerp(colour, views, mask)
    if len(backgrounds):
        pick = (dice.uniform() * len(backgrounds)).long()
        scene = torch.lerp(backgrounds[pick], views, mask)
        filled = torch.where(kind > border_until, scene, filled)
    return torch.where((kind > colour_until) & (kind <= border_until), views, filled)


def photometric(images: Tensor, dice: Dice) -> Tensor:
    """Light, colour, blur, noise, compression, missing parts. Pixel values 0 to 255."""
    column = (-1, 1, 1, 1)
    images = images / 255
    grey = images.mean(1, keepdim=True)
    saturation = torch.where(dice.chance(0.12), 0.0, dice.uniform(0.5, 1.5)).view(column)
    images = grey + (images - grey) * saturation
    images = images * (1 + 0.06 * dice.normal(3, 1, 1))
    exposure = torch.where(dice.chance(0.1), dice.uniform(-1.6, -0.4), dice.uniform(-0.3, 0.3))
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * dice.uniform(0.7, 1.3).view(column) + mean
    images = images.clamp(0, 1) ** dice.uniform(-0.3, 0.3).exp().view(column)
    images = images * exposure.exp().view(column)
    images = apply_where(dice.chance(0.15), images, lambda part: _blur(part, dice))
    images = apply_where(dice.chance(0.15), images, lambda part: _low_resolution(part, dice))
    noise = torch.where(dice.chance(0.2), dice.uniform(0, 0.08), 0.0).view(column)
    images = images + noise * dice.normal(1, *images.shape[2:])
    images = apply_where(dice.chance(0.15), images, lambda part: _compress(part, dice))
    images = _erase(images, dice)
    return images.clamp(0, 1) * 255


def spoil(images: Tensor, dice: Dice) -> Tensor:
    """Frames that show nothing: blurred beyond recognition, black, or one flat colour."""
    tiny = functional.interpolate(images, size=(3, 3), mode="area")
    blurred = functional.interpolate(tiny, size=images.shape[2:], mode="bilinear")
    darkness = dice.uniform(0, 0.05).view(-1, 1, 1, 1)
    dark = (images * darkness + 4 * dice.normal(1, *images.shape[2:])).clamp(min=0)
    flat = images.mean((2, 3), keepdim=True).expand_as(images)
    kind = dice.uniform().view(-1, 1, 1, 1)
    return torch.where(kind < 0.5, blurred, torch.where(kind < 0.8, dark, flat))  # noqa: PLR2004


def apply_where(rows: Tensor, images: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """`images` with `change` applied to the rows that are true."""
    if rows.any():
        images = images.clone()
        images[rows] = change(images[rows])
    return images


def _one(dice: Dice, low: float, high: float) -> float:
    return float(low + (high - low) * dice.uniform()[0])


def _blur(images: Tensor, dice: Dice) -> Tensor:
    sigma = _one(dice, 0.5, 2.0)
    offsets = torch.arange(-4, 5, device=images.device)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    padded = functional.pad(images, (4, 4, 4, 4), mode="reflect")
    blurred = functional.conv2d(padded, kernel, groups=3)
    return functional.conv2d(blurred, kernel.transpose(2, 3), groups=3)


def _low_resolution(images: Tensor, dice: Dice) -> Tensor:
    side = int(_one(dice, 0.35, 0.8) * images.shape[-1])
    small = functional.interpolate(images, size=(side, side), mode="area")
    return functional.interpolate(small, size=images.shape[2:], mode="bilinear")


def _cosine_blocks() -> Tensor:
    rows = torch.arange(8.0)[:, None]
    basis = torch.cos(math.pi * rows * (torch.arange(8.0)[None] + 0.5) / 8) / 2
    basis[0] /= math.sqrt(2)
    return basis


_DCT = _cosine_blocks()


def _compress(images: Tensor, dice: Dice) -> Tensor:
    """JPEG's loss: the cosine transform of 8 x 8 blocks, rounded coarser at high frequencies."""
    count, channels, height, width = images.shape
    basis = _DCT.to(images.device)
    frequency = torch.arange(8.0, device=images.device)
    step = _one(dice, 0.02, 0.12) * (1 + frequency[:, None] + frequency[None, :]) / 2
    blocks = images.reshape(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    spectrum = (basis @ blocks @ basis.T / step).round() * step
    blocks = basis.T @ spectrum @ basis
    return blocks.transpose(3, 4).reshape(images.shape)


def _erase(images: Tensor, dice: Dice) -> Tensor:
    """A grey rectangle over a part of a sixth of the images (Zhong et al., 2017)."""
    size = images.shape[-1]
    positions = torch.arange(size, device=images.device)
    covered = []
    for _ in range(2):
        length = dice.uniform(0.15, 0.5) * size
        start = dice.uniform() * (size - length)
        inside = (positions >= start[:, None]) & (positions < (start + length)[:, None])
        covered.append(inside)
    rectangle = covered[0][:, None, :, None] & covered[1][:, None, None, :]
    rectangle &= dice.chance(0.17).view(-1, 1, 1, 1)
    return torch.where(rectangle, dice.uniform().view(-1, 1, 1, 1), images)
