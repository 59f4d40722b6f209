"""Augmentation: repeatable, within pixel values, and true to what it says."""

import pytest
import torch

from training.classifier import augmentation
from training.classifier.augmentation import Random


def random(count: int, seed: int = 0) -> Random:
    return Random(count, torch.Generator().manual_seed(seed))


def views(seed: int, size: int = 40):
    """Views of red photos with a yellow left half, some wide, some tall."""
    photos = torch.zeros(8, 3, 48, 48)
    photos[:, 0] = 200
    photos[:, 1, :, :24] = 200
    return augmentation.random_views(photos, torch.linspace(0.5, 2, 8), size, random(8, seed))


def test_views_are_of_the_photo_and_the_mask_says_where():
    images, mask = views(0)
    assert images.shape == (8, 3, 40, 40)
    assert mask.shape == (8, 1, 40, 40)
    assert images[:, 0].min() == pytest.approx(200, abs=1)
    assert images[:, 2].abs().max() == pytest.approx(0, abs=1)
    assert set(mask.unique().tolist()) == {0, 1}


def test_half_the_views_are_mirrored():
    left = 0
    for seed in range(20):
        images, _ = views(seed)
        left += int((images[:, 1, :, :10].mean((1, 2)) > images[:, 1, :, -10:].mean((1, 2))).sum())
    assert 50 < left < 110  # of 160


def test_surroundings_replace_only_what_is_outside():
    images = torch.full((400, 3, 8, 8), 10.0)
    mask = torch.zeros(400, 1, 8, 8)
    mask[:, :, 2:6, 2:6] = 1
    scenes = torch.full((3, 3, 8, 8), 99.0)
    filled = augmentation.fill_surroundings(images, mask, scenes, random(400))
    assert (filled[:, :, 2:6, 2:6] == 10).all()
    outside = filled[:, 0, 0, 0]
    assert 0.25 < (outside == 99).float().mean() < 0.45  # other photos
    assert 0.08 < (outside == 10).float().mean() < 0.25  # its own border
    assert 0.3 < (outside == 124).float().mean() < 0.5  # the padding that serving uses


def test_light_and_camera_are_repeatable_and_stay_pixel_values():
    images = torch.rand(64, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 255
    once = augmentation.photometric(images, random(64, 5))
    again = augmentation.photometric(images, random(64, 5))
    other = augmentation.photometric(images, random(64, 6))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert once.min() >= 0
    assert once.max() <= 255
    assert torch.isfinite(once).all()
    assert once.mean((1, 2, 3)).min() < 60  # low light happens


def test_empty_frames_show_nothing():
    stripes = torch.zeros(200, 3, 32, 32)
    stripes[:, :, :, ::4] = 255
    empty = augmentation.empty_frames(stripes, random(200))
    detail = (empty[:, :, :, 1:] - empty[:, :, :, :-1]).abs().mean((1, 2, 3))
    assert detail.max() < 10  # of 128 before
    brightness = empty.mean((1, 2, 3))
    assert 0.1 < (brightness < 25).float().mean() < 0.5


def test_a_change_is_applied_to_the_chosen_rows_alone():
    images = torch.ones(4, 3, 2, 2)
    rows = torch.tensor([True, False, True, False])
    changed = augmentation.apply_where(rows, images, lambda part: part * 5)
    assert changed[:, 0, 0, 0].tolist() == [5, 1, 5, 1]
    assert (images == 1).all()
