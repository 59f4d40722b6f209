"""Give each photo its split: train, or test for the gate of a retraining.

Photos of one original, and near-duplicates, never straddle train and test. A photo keeps its split
if photos are added, because the split is a hash of its group and an earlier split stays.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from training.dataset.records import Photo

TEST_SHARE = 0.10  # of the groups of photos


def assign_splits(
    photos: list[Photo], links: Iterable[tuple[int, int]], test_share: float = TEST_SHARE
) -> dict[int, str]:
    """Set the split and the group of every photo; return positions to exclude, with the reason.

    `links` are pairs of near-duplicates. A photo whose split is set keeps it. If a near-duplicate
    of it is in the other split, then the one in train is excluded.
    """
    excluded: dict[int, str] = {}
    for cluster in clusters(photos, links):
        group = min(photos[at].group for at in cluster)
        fixed = {photos[at].split for at in cluster} - {""}
        split = next(
            (name for name in ("test", "train") if name in fixed), hashed_split(group, test_share)
        )
        for at in cluster:
            if photos[at].split in ("", split):
                photos[at].split, photos[at].group = split, group
            else:
                excluded[at] = f"near-duplicate of a {split} photo"
    return excluded


def clusters(photos: list[Photo], links: Iterable[tuple[int, int]]) -> Iterable[list[int]]:
    """Positions of photos that one group or a link joins, directly or through others."""
    first: dict[str, int] = {}
    pairs = [(at, first.setdefault(photo.group, at)) for at, photo in enumerate(photos)]
    one, other = np.array([*pairs, *links]).reshape(-1, 2).T
    graph = coo_array((np.ones(len(one)), (one, other)), shape=(len(photos),) * 2)
    _, numbers = connected_components(graph, directed=False)
    members = defaultdict(list)
    for at, number in enumerate(numbers):
        members[number].append(at)
    return members.values()


def hashed_split(key: str, test_share: float) -> str:
    """Train or test by a hash of `key`: the same on every machine, for ever."""
    position = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64
    return "test" if position < test_share else "train"
