"""Read the inferences in the response of a SageMaker endpoint, and refuse any other response."""

import json
import math
from collections.abc import Sequence

SUM_TOLERANCE = 0.01  # endpoints round their probabilities
ROUNDING = 1e-6  # float32: a probability of 1 may be 1.0000001
SMALLEST = 1e-130  # DynamoDB stores no number between 0 and this


class InvalidInferencesError(ValueError):
    """The response is not one probability for each label."""


def read_inferences(body: bytes, labels: Sequence[str]) -> dict[str, float]:
    """Return the probability, 0 to 1, of each of `labels`, in their order.

    Args:
        body: JSON: an object with exactly the labels, or a list in the order of `labels` (the
            format of SageMaker's built-in image classification).
        labels: of the endpoint.

    Raises:
        InvalidInferencesError: `body` is anything else.

    """
    try:
        response = json.loads(body, object_pairs_hook=without_duplicates)
    except (ValueError, RecursionError) as error:
        raise InvalidInferencesError(f"the response is not JSON: {error}") from error
    if isinstance(response, list):
        if len(response) != len(labels):
            message = f"{len(response)} probabilities for {len(labels)} labels"
            raise InvalidInferencesError(message)
        response = dict(zip(labels, response, strict=True))
    if not isinstance(response, dict):
        raise InvalidInferencesError("the response is neither a JSON object nor a list")
    if response.keys() != set(labels):
        raise InvalidInferencesError(f"the response's labels are not {', '.join(labels)}")
    inferences = {label: read_probability(label, response[label]) for label in labels}
    total = math.fsum(inferences.values())
    if abs(total - 1) > SUM_TOLERANCE:
        raise InvalidInferencesError(f"the probabilities add up to {total:g}, not to 1")
    return inferences


def without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object of the pairs; raises ValueError if a name is there twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a label is there twice")
    return members


def read_probability(label: str, value: object) -> float:
    """Return `value` as a float from 0 to 1; raises InvalidInferencesError for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInferencesError(f"{label}: not a number")
    if not -ROUNDING <= value <= 1 + ROUNDING:
        raise InvalidInferencesError(f"{label}: not a probability from 0 to 1")
    return min(without_underflow(float(value)), 1.0)


def without_underflow(value: float) -> float:
    """Return `value`, or 0 if it is less than the smallest number that DynamoDB stores."""
    return value if value >= SMALLEST else 0.0
