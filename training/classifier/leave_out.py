"""Leave out whole sources: the only honest way to say what a model does on new ones."""

from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from training.dataset.records import UNKNOWN, Photo

FOLDS = 5


def folds(
    photos: Sequence[Photo], labels: np.ndarray, count: int = FOLDS
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of positions: to train on, and left out. No source is in both.

    Nor is a group: a near-duplicate of a left-out photo is not trained on. If no source is known,
    groups are left out instead.
    """
    groups = [photo.group for photo in photos]
    sources = [photo.source for photo in photos] if names_sources(photos) else groups
    splitter = StratifiedGroupKFold(min(count, len(set(sources))), shuffle=True, random_state=0)
    for train, left_out in splitter.split(np.zeros(len(photos)), labels, sources):
        seen = {groups[at] for at in left_out}
        yield np.array([at for at in train if groups[at] not in seen]), left_out


def names_sources(photos: Sequence[Photo]) -> bool:
    """Whether photos of every label come from two named sources or more.

    With fewer, nothing can be said of photos from a new source.
    """
    of_label: dict[str, set[str]] = {}
    for photo in photos:
        of_label.setdefault(photo.label, set()).add(photo.source)
    return all(len(sources - {UNKNOWN}) >= 2 for sources in of_label.values())  # noqa: PLR2004
