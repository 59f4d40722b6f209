"""Augmentation: repeatable, within pixel values, and true to what it says."""

import pytest
import torch

from training.source import augmentation
from training.source.augmentation import Dice, Photos


def dice(count: int, seed: int = 0) -> Dice:
    return Dice(count, torch.Generator().manual_seed(seed))


def photos(count: int = 8, side: int = 48) -> Photos:
    """Red photos with a green left half, some wide, some tall."""
    full = torch.zeros(count, 3, side, side, dtype=torch.uint8)
    full[:, 0] = 200
    full[:, 1, :, : side // 2] = 200
    return Photos(full, full[:, :, ::2, ::2], torch.linspace(0.5, 2, count))


def views(seed: int, geometry: augmentation.Geometry, size: int = 40):
    source = photos()
    return augmentation.random_views(source, torch.arange(8), size, geometry, dice(8, seed))


@pytest.mark.parametrize("size", [40, 16])  # 16: from the half-size photos
def test_views_are_of_the_photo_and_the_mask_says_where(size):
    images, mask = views(0, augmentation.PHOTO_VIEWS, size)
    assert images.shape == (8, 3, size, size)
    assert mask.shape == (8, 1, size, size)
    assert images[:, 0].min() == pytest.approx(200, abs=1)
    assert images[:, 2].abs().max() == pytest.approx(0, abs=1)
    assert set(mask.unique().tolist()) == {0, 1}


def test_a_crop_fills_the_view():
    crop = augmentation.Geometry(smallest_view=0.2, widest_view=0.25, rotation=0)
    _, mask = views(1, crop)
    assert mask.min() == 1


def test_half_the_views_are_mirrored():
    whole = augmentation.Geometry(smallest_view=0.9, widest_view=1.0, rotation=0, stretch=0)
    green_left = 0
    for seed in range(20):
        images, _ = views(seed, whole)
        green_left += int(
            (images[:, 1, :, :10].mean((1, 2)) > images[:, 1, :, -10:].mean((1, 2))).sum()
        )
    assert 50 < green_left < 110


def test_surroundings_replace_only_what_is_outside():
    images = torch.full((400, 3, 8, 8), 10.0)
    mask = torch.zeros(400, 1, 8, 8)
    mask[:, :, 2:6, 2:6] = 1
    scenes = torch.full((3, 3, 8, 8), 99.0)
    filled = augmentation.fill_surroundings(images, mask, scenes, dice(400))
    assert (filled[:, :, 2:6, 2:6] == 10).all()
    outside = filled[:, 0, 0, 0]
    assert 0.25 < (outside == 99).float().mean() < 0.45  # other photos
    assert 0.08 < (outside == 10).float().mean() < 0.25  # its own border
    assert 0.3 < (outside == 124).float().mean() < 0.5  # the padding that serving uses


def test_light_and_camera_are_repeatable_and_stay_pixel_values():
    images = torch.rand(64, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 255
    once = augmentation.photometric(images, dice(64, 5))
    again = augmentation.photometric(images, dice(64, 5))
    other = augmentation.photometric(images, dice(64, 6))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert once.min() >= 0
    assert once.max() <= 255
    assert torch.isfinite(once).all()
    assert once.mean((1, 2, 3)).min() < 60  # low light happens


def test_spoiled_frames_show_nothing():
    stripes = torch.zeros(200, 3, 32, 32)
    stripes[:, :, :, ::4] = 255
    spoiled = augmentation.spoil(stripes, dice(200))
    detail = (spoiled[:, :, :, 1:] - spoiled[:, :, :, :-1]).abs().mean((1, 2, 3))
    assert detail.max() < 10  # of 128 before
    brightness = spoiled.mean((1, 2, 3))
    assert 0.1 < (brightness < 25).float().mean() < 0.5


def test_a_change_is_applied_to_the_chosen_rows_alone():
    images = torch.ones(4, 3, 2, 2)
    rows = torch.tensor([True, False, True, False])
    changed = augmentation.apply_where(rows, images, lambda part: part * 5)
    assert changed[:, 0, 0, 0].tolist() == [5, 1, 5, 1]
    assert (images == 1).all()
