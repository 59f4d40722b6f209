"""Read the inferences in the answer of a SageMaker endpoint, and let nothing else pass."""

import json
import math
from collections.abc import Sequence

SUM_TOLERANCE = 0.01  # endpoints round their probabilities
ROUNDING = 1e-6  # float32: a certain answer may read 1.0000001
SMALLEST = 1e-130  # DynamoDB takes no number between 0 and this one


class InvalidInferencesError(ValueError):
    """The endpoint's answer is not one probability for each label."""


def read_inferences(body: bytes, labels: Sequence[str]) -> dict[str, float]:
    """The probability, 0 to 1, of each of `labels`, in their order.

    `body` is JSON: an object of exactly the labels, or a plain list in the order of `labels`
    (what SageMaker's built-in image classification answers). Raises InvalidInferencesError.
    """
    try:
        answer = json.loads(body, object_pairs_hook=without_duplicates)
    except (ValueError, RecursionError) as error:
        raise InvalidInferencesError(f"the answer is not JSON: {error}") from error
    if isinstance(answer, list):
        if len(answer) != len(labels):
            message = f"{len(answer)} probabilities for {len(labels)} labels"
            raise InvalidInferencesError(message)
        answer = dict(zip(labels, answer, strict=True))
    if not isinstance(answer, dict):
        raise InvalidInferencesError("the answer is neither a JSON object nor a list")
    if answer.keys() != set(labels):
        raise InvalidInferencesError(f"the answer's labels are not {', '.join(labels)}")
    inferences = {label: read_probability(label, answer[label]) for label in labels}
    total = math.fsum(inferences.values())
    if abs(total - 1) > SUM_TOLERANCE:
        raise InvalidInferencesError(f"the probabilities add up to {total:g}, not to 1")
    return inferences


def without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The JSON object of these pairs; raises ValueError where a name comes twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a label comes twice")
    return members


def read_probability(label: str, value: object) -> float:
    """`value` as a float from 0 to 1; raises InvalidInferencesError (NaN and booleans too)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInferencesError(f"{label}: not a number")
    if not -ROUNDING <= value <= 1 + ROUNDING:
        raise InvalidInferencesError(f"{label}: not a probability from 0 to 1")
    return min(without_underflow(float(value)), 1.0)


def without_underflow(value: float) -> float:
    """`value`, or 0 if it is negative or nearer to 0 than DynamoDB can store."""
    return value if value >= SMALLEST else 0.0
