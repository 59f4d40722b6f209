"""Decide by its inferences what becomes of a photo: a pure rule."""

import math
from collections.abc import Mapping
from typing import Literal, TypedDict

type Status = Literal["accepted", "review", "rejected"]

OTHER = "other"  # the label of everything that is no vehicle


class Prediction(TypedDict):
    """The most probable label, its probability (0 to 1), what follows from it, and why."""

    label: str
    confidence: float
    status: Status
    reason: str


def decide(inferences: Mapping[str, float], threshold: float) -> Prediction:
    """Accept a sure vehicle, reject a sure non-vehicle, leave the rest to a person.

    `inferences` holds the probability of each label; sure is at or over `threshold`. Of equally
    probable labels the first in the alphabet counts. Raises ValueError where there is none, or a
    value is not a probability.
    """
    if not inferences or not all(map(is_probability, inferences.values())):
        raise ValueError(f"not a probability for each label: {inferences}")
    best, *others = sorted(inferences, key=lambda label: (-inferences[label], label))
    confidence = inferences[best]
    status: Status
    if confidence < threshold:
        guesses = [f"{label} {percent(inferences[label])}" for label in [best, *others[:1]]]
        status, reason = "review", f"unsure: {', '.join(guesses)}"
    elif best == OTHER:
        status, reason = "rejected", f"no {' or '.join(sorted(others))} in the photo"
    else:
        status, reason = "accepted", f"{best}, {percent(confidence)} sure"
    return {"label": best, "confidence": confidence, "status": status, "reason": reason}


def is_probability(value: object) -> bool:
    """Whether this is a number from 0 to 1; NaN and booleans are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def percent(probability: float) -> str:
    """The whole percentage, rounded down: nothing under a threshold may read as if it met it."""
    return f"{math.floor(round(100 * probability, 6))}%"
