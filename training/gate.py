"""Whether a new model may replace the one in service: pure rules on a test set that both saw.

The challenger must classify more photos correctly than chance explains, and no label may lose
accuracy for it. Both models classify the same photos, so their labels are compared in pairs (an
exact McNemar test): a photo on which both are correct, or both are wrong, says nothing.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

SIGNIFICANCE = 0.05  # largest p-value that counts as better
LABEL_LOSS = 0.03  # of a label's photos that may become wrong, on balance
LEAST_PHOTOS = 100  # with fewer, the comparison says too little


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The decision of the gate, with its reason.

    Attributes:
        accepted: whether the challenger may serve.
        reason: in one line for a person.
        photos: how many both judged.
        champion, challenger: shares of them that each classifies correctly.
        better, worse: photos that only the challenger, or only the champion, classifies correctly.
        p_value: that so many or more are better by chance (one-sided exact sign test).
        labels: for each label, the change of its accuracy, challenger minus champion.

    """

    accepted: bool
    reason: str
    photos: int
    champion: float
    challenger: float
    better: int
    worse: int
    p_value: float
    labels: dict[str, float]


def better_by_chance(better: int, worse: int) -> float:
    """The chance of at least `better` heads in better + worse throws of a coin.

    The exact form of McNemar's test (1947), one-sided.
    """
    count = better + worse
    return float(sum(math.comb(count, heads) for heads in range(better, count + 1)) / 2**count)


def judge(truth: Sequence[str], champion: Sequence[str], challenger: Sequence[str]) -> Verdict:
    """Compare the labels that two models gave the same photos.

    Raises:
        ValueError: the three are not of one length.

    """
    pairs = [
        (label, old == label, new == label)
        for label, old, new in zip(truth, champion, challenger, strict=True)
    ]
    better = sum(new and not old for _, old, new in pairs)
    worse = sum(old and not new for _, old, new in pairs)
    changes = {}
    for label in sorted(set(truth)):
        of_label = [new - old for name, old, new in pairs if name == label]
        changes[label] = round(sum(of_label) / len(of_label), 4)
    p_value = better_by_chance(better, worse)
    lost = [label for label, change in changes.items() if change < -LABEL_LOSS]
    counts = f"{better} of {len(pairs)} photos are classified better, {worse} worse"
    if len(pairs) < LEAST_PHOTOS:
        reason = f"{len(pairs)} test photos are too few to tell, at least {LEAST_PHOTOS} are needed"
    elif p_value > SIGNIFICANCE:
        reason = f"no better than chance explains: {counts} (p = {p_value:.3f})"
    elif lost:
        words = ", ".join(f"{label} by {-100 * changes[label]:.1f} points" for label in lost)
        reason = f"worse at {words}, though {counts}"
    else:
        reason = f"{counts} (p = {p_value:.3f}), and no label suffers"
    return Verdict(
        accepted=len(pairs) >= LEAST_PHOTOS and p_value <= SIGNIFICANCE and not lost,
        reason=reason,
        photos=len(pairs),
        champion=round(sum(old for _, old, _ in pairs) / len(pairs), 4) if pairs else 0.0,
        challenger=round(sum(new for _, _, new in pairs) / len(pairs), 4) if pairs else 0.0,
        better=better,
        worse=worse,
        p_value=round(p_value, 6),
        labels=changes,
    )


def properties(metadata: dict[str, Any], evaluation: dict[str, Any]) -> dict[str, str]:
    """A model's version, data and measures, as a model package keeps them."""
    measures = {
        f"test_{name}": str(entry["value"] if isinstance(entry, dict) else entry)
        for name, entry in evaluation.items()
    }
    about = {"version": metadata["version"], "dataset": metadata["data"]["dataset"]}
    return about | {"threshold": str(metadata["threshold"])} | measures
