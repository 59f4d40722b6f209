"""Find photos that are the same, or nearly the same, by perceptual hash."""

from collections.abc import Iterator

import numpy as np
from scipy import fft
from tqdm import tqdm

SIDE = 32  # pixels of the grey photo that is hashed
HASH_BITS = 256
NEAR_DUPLICATE_BITS = 40  # of 256; unrelated photos differ in about 128
BLOCK = 2048  # photos that are compared with all others at once


def perceptual_hashes(grey: np.ndarray) -> np.ndarray:
    """The DCT perceptual hash of grey photos [n, 32, 32]: bool [n, 256].

    A bit says whether one of the 16 x 16 lowest frequencies (except the mean) is above their
    median, after https://www.hackerfactor.com/blog/index.php?/archives/432-Looks-Like-It.html.
    """
    spectrum = fft.dctn(grey.astype(np.float32), axes=(1, 2))[:, :16, :16]
    flat = spectrum.reshape(len(grey), HASH_BITS)
    flat[:, 0] = 0
    return np.asarray(flat > np.median(flat, axis=1, keepdims=True))


def near_duplicates(grey: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of positions of photos [n, 32, 32] that are nearly equal, or mirror images."""
    signs = perceptual_hashes(grey).astype(np.float32) * 2 - 1
    mirrored = perceptual_hashes(grey[:, :, ::-1]).astype(np.float32) * 2 - 1
    least_agreement = HASH_BITS - 2 * NEAR_DUPLICATE_BITS
    for start in tqdm(range(0, len(signs), BLOCK), desc="comparing", unit="block", disable=None):
        rows = signs[start : start + BLOCK]
        for others in (signs[start:], mirrored[start:]):
            first, second = np.nonzero(rows @ others.T >= least_agreement)
            for a, b in zip(first + start, second + start, strict=True):
                if a < b:
                    yield int(a), int(b)
