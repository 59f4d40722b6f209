"""Batched augmentation of photos on any device: geometry, then light and camera.

Photos come from the street: the object is small or cut off, dark, blurred, noisy, in any light.
All random numbers come from one generator, so a step can be repeated exactly.
"""

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Ranges of the random views."""

    smallest_view: float  # of the photo's side; under 1 crops
    widest_view: float  # over 1 shows surroundings
    rotation: float = 6.0  # degrees, either way
    stretch: float = 0.15  # of the aspect ratio, natural logarithm, either way


VIEWS = Geometry(smallest_view=0.6, widest_view=2.2)
PADDING_COLOUR = (124.0, 116.0, 104.0)  # of serving/preprocess.py


class Random:
    """Random numbers for a batch, from one generator."""

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self.count = count
        self.generator = generator

    def of(self, count: int) -> "Random":
        """Random numbers for another number of photos, from the same generator."""
        return Random(count, self.generator)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        draw = torch.rand(self.count, generator=self.generator, device=self.generator.device)
        return low + (high - low) * draw

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(
            self.count, *shape, generator=self.generator, device=self.generator.device
        )

    def chance(self, share: float) -> Tensor:
        return self.uniform() < share


def random_views(
    photos: Tensor, aspects: Tensor, size: int, random: Random
) -> tuple[Tensor, Tensor]:
    """Random affine views of photos [n, 3, C, C] that are stretched to squares.

    `aspects` [n] are their true width over height. Returns float [n, 3, size, size] and a mask
    [n, 1, size, size], 1 inside the photo.
    """
    undistorted = random.uniform()  # 0: squeezed into the square, 1: true aspect ratio
    span_x = (1 / aspects).clamp(min=1) ** undistorted
    span_y = aspects.clamp(min=1) ** undistorted
    log_low, log_high = math.log(VIEWS.smallest_view), math.log(VIEWS.widest_view)
    scale = random.uniform(log_low, log_high).exp()
    stretch = random.uniform(-VIEWS.stretch, VIEWS.stretch).exp()
    span_x, span_y = span_x * scale * stretch.sqrt(), span_y * scale / stretch.sqrt()
    centre_x = random.uniform(-1, 1) * (1 - span_x).abs()
    centre_y = random.uniform(-1, 1) * (1 - span_y).abs()
    angle = random.uniform(-1, 1) * math.radians(VIEWS.rotation)
    mirror = torch.where(random.chance(0.5), 1.0, -1.0)
    matrix = torch.stack(
        [
            torch.stack([mirror * span_x * angle.cos(), -span_x * angle.sin(), centre_x], 1),
            torch.stack([mirror * span_y * angle.sin(), span_y * angle.cos(), centre_y], 1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(matrix, [len(photos), 3, size, size], align_corners=False)
    mask = (grid.abs() <= 1).all(dim=3).unsqueeze(1).float()
    views = functional.grid_sample(photos, grid, padding_mode="border", align_corners=False)
    return views, mask


def fill_surroundings(views: Tensor, mask: Tensor, backgrounds: Tensor, random: Random) -> Tensor:
    """Replace what is outside the photo.

    It becomes the padding of serving, one random colour, the photo's own stretched border, or
    another photo (`backgrounds`, [m, 3, S, S], of the label `other`).
    """
    kind = random.uniform().view(-1, 1, 1, 1)
    padding, colour_until, border_until = 0.4, 0.5, 0.65
    mean = torch.tensor(PADDING_COLOUR, device=views.device).view(1, 3, 1, 1)
    colour = torch.where(kind < padding, mean, 127 + 60 * random.normal(3, 1, 1).clamp(-2, 2))
    filled = torch.lerp(colour, views, mask)
    if len(backgrounds):
        pick = (random.uniform() * len(backgrounds)).long()
        scene = torch.lerp(backgrounds[pick], views, mask)
        filled = torch.where(kind > border_until, scene, filled)
    return torch.where((kind > colour_until) & (kind <= border_until), views, filled)


def photometric(images: Tensor, random: Random) -> Tensor:
    """Light, colour, blur, noise, compression, missing parts. Pixel values 0 to 255."""
    column = (-1, 1, 1, 1)
    images = images / 255
    grey = images.mean(1, keepdim=True)
    saturation = torch.where(random.chance(0.12), 0.0, random.uniform(0.5, 1.5)).view(column)
    images = grey + (images - grey) * saturation
    images = images * (1 + 0.06 * random.normal(3, 1, 1))
    exposure = torch.where(
        random.chance(0.1), random.uniform(-1.6, -0.4), random.uniform(-0.3, 0.3)
    )
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * random.uniform(0.7, 1.3).view(column) + mean
    images = images.clamp(0, 1) ** random.uniform(-0.3, 0.3).exp().view(column)
    images = images * exposure.exp().view(column)
    images = apply_where(random.chance(0.15), images, lambda part: _blur(part, random))
    images = apply_where(random.chance(0.25), images, lambda part: _low_resolution(part, random))
    noise = torch.where(random.chance(0.25), random.uniform(0, 0.2), 0.0).view(column)
    images = images + noise * random.normal(3, *images.shape[2:])
    images = apply_where(random.chance(0.15), images, lambda part: _compress(part, random))
    images = _erase(images, random)
    return images.clamp(0, 1) * 255


def empty_frames(images: Tensor, random: Random) -> Tensor:
    """Photos as frames that show nothing: blurred beyond recognition, black, or one flat colour."""
    tiny = functional.interpolate(images, size=(3, 3), mode="area")
    blurred = functional.interpolate(tiny, size=images.shape[2:], mode="bilinear")
    darkness = random.uniform(0, 0.05).view(-1, 1, 1, 1)
    dark = (images * darkness + 4 * random.normal(1, *images.shape[2:])).clamp(min=0)
    flat = images.mean((2, 3), keepdim=True).expand_as(images)
    kind = random.uniform().view(-1, 1, 1, 1)
    return torch.where(kind < 0.5, blurred, torch.where(kind < 0.8, dark, flat))  # noqa: PLR2004


def apply_where(rows: Tensor, images: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """`images` with `change` applied to the rows that are true."""
    if rows.any():
        images = images.clone()
        images[rows] = change(images[rows])
    return images


def _one(random: Random, low: float, high: float) -> float:
    return float(low + (high - low) * random.uniform()[0])


def _blur(images: Tensor, random: Random) -> Tensor:
    sigma = _one(random, 0.5, 2.0)
    offsets = torch.arange(-4, 5, device=images.device)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    padded = functional.pad(images, (4, 4, 4, 4), mode="reflect")
    blurred = functional.conv2d(padded, kernel, groups=3)
    return functional.conv2d(blurred, kernel.transpose(2, 3), groups=3)


def _low_resolution(images: Tensor, random: Random) -> Tensor:
    side = int(_one(random, 0.12, 0.8) * images.shape[-1])
    small = functional.interpolate(images, size=(side, side), mode="area")
    return functional.interpolate(small, size=images.shape[2:], mode="bilinear")


def _cosine_blocks() -> Tensor:
    rows = torch.arange(8.0)[:, None]
    basis = torch.cos(math.pi * rows * (torch.arange(8.0)[None] + 0.5) / 8) / 2
    basis[0] /= math.sqrt(2)
    return basis


_DCT = _cosine_blocks()


def _compress(images: Tensor, random: Random) -> Tensor:
    """JPEG's loss: the cosine transform of 8 x 8 blocks, rounded coarser at high frequencies."""
    count, channels, height, width = images.shape
    basis = _DCT.to(images.device)
    frequency = torch.arange(8.0, device=images.device)
    step = _one(random, 0.02, 0.12) * (1 + frequency[:, None] + frequency[None, :]) / 2
    blocks = images.reshape(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    spectrum = (basis @ blocks @ basis.T / step).round() * step
    blocks = basis.T @ spectrum @ basis
    return blocks.transpose(3, 4).reshape(images.shape)


def _erase(images: Tensor, random: Random) -> Tensor:
    """A grey rectangle over a part of a sixth of the images (Zhong et al., 2017)."""
    size = images.shape[-1]
    positions = torch.arange(size, device=images.device)
    covered = []
    for _ in range(2):
        length = random.uniform(0.15, 0.5) * size
        start = random.uniform() * (size - length)
        inside = (positions >= start[:, None]) & (positions < (start + length)[:, None])
        covered.append(inside)
    rectangle = covered[0][:, None, :, None] & covered[1][:, None, None, :]
    rectangle &= random.chance(0.17).view(-1, 1, 1, 1)
    return torch.where(rectangle, random.uniform().view(-1, 1, 1, 1), images)
