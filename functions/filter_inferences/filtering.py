"""Decide from its inferences whether a photo is accepted, rejected or reviewed: a pure rule."""

import math
from collections.abc import Iterable, Mapping
from typing import Literal, TypedDict

type Status = Literal["accepted", "review", "rejected"]

OTHER = "other"  # the label of a photo that shows none of the other labels


class Prediction(TypedDict):
    """The most probable label, its probability (0 to 1), the decision, and the reason for it."""

    label: str
    confidence: float
    status: Status
    reason: str


def decide(inferences: Mapping[str, float], threshold: float, subject: str = "") -> Prediction:
    """Accept or reject a photo at or above the threshold; leave the others to a reviewer.

    A photo is rejected if its most probable label is OTHER. If two labels have the same
    probability, the first in the alphabet counts.

    Args:
        inferences: the probability of each label, 0 to 1.
        threshold: the least confidence of a decision without a reviewer, 0.5 to 1.
        subject: what a photo has to show; empty: one of the labels.

    Raises:
        ValueError: there is no label, or a value is not a probability.

    """
    if not inferences or not all(map(is_probability, inferences.values())):
        raise ValueError(f"not a probability for each label: {inferences}")
    best, *others = sorted(inferences, key=lambda label: (-inferences[label], label))
    confidence = inferences[best]
    status: Status
    if confidence < threshold:
        guesses = [f"{label} {percent(inferences[label])}" for label in [best, *others[:1]]]
        status, reason = "review", f"below the confidence threshold: {', '.join(guesses)}"
    elif best == OTHER:
        status, reason = "rejected", f"the photo shows no {subject or listed(others)}"
    else:
        status, reason = "accepted", f"{best}, {percent(confidence)} confidence"
    return {"label": best, "confidence": confidence, "status": status, "reason": reason}


def listed(labels: Iterable[str]) -> str:
    """Write the labels that a photo can show: "a, b or c"; OTHER is none."""
    *names, last = sorted(set(labels) - {OTHER})
    return f"{', '.join(names)} or {last}" if names else last


def is_probability(value: object) -> bool:
    """Return whether this is a number from 0 to 1; NaN and booleans are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def percent(probability: float) -> str:
    """Write a whole percentage, rounded down: a value below a threshold must not look above it."""
    return f"{math.floor(round(100 * probability, 6))}%"
