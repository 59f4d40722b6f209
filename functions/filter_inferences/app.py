"""Filter inferences by the confidence threshold: accept, reject, or leave to a reviewer."""

import os
from typing import TypedDict

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.filter_inferences.filtering import Prediction, decide

logger = Logger(use_rfc3339=True)
tracer = Tracer(auto_patch=False)  # this function makes no call
metrics = Metrics()


class Inferences(TypedDict):
    """The probability, 0 to 1, of each label."""

    inferences: dict[str, float]


@metrics.log_metrics
@tracer.capture_lambda_handler
@logger.inject_lambda_context
def handler(event: Inferences, context: LambdaContext) -> Prediction:
    """Decide from the inferences, and count the predictions of each status."""
    prediction = decide(event["inferences"], confidence_threshold(), os.environ.get("SUBJECT", ""))
    metrics.add_dimension(name="status", value=prediction["status"])
    metrics.add_metric(name="Predictions", unit=MetricUnit.Count, value=1)
    return prediction


def confidence_threshold() -> float:
    """`CONFIDENCE_THRESHOLD`, 0.5 to 1; raises ValueError for any other value."""
    threshold = float(os.environ["CONFIDENCE_THRESHOLD"])
    if not 0.5 <= threshold <= 1:  # noqa: PLR2004
        raise ValueError(f"CONFIDENCE_THRESHOLD is {threshold}, not from 0.5 to 1")
    return threshold
