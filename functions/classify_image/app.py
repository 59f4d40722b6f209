"""Classify a serialized photo with the SageMaker endpoint."""

import base64
import os
import re
from contextlib import closing
from typing import NotRequired, TypedDict

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from functions.classify_image.endpoint import is_busy
from functions.classify_image.inferences import (
    InvalidInferencesError,
    read_inferences,
    without_underflow,
)

MAX_RESPONSE_BYTES = 64 * 1024

logger = Logger(use_rfc3339=True)
tracer = Tracer(patch_modules=["botocore"])
sagemaker_runtime = boto3.client(
    "sagemaker-runtime",
    # A serverless endpoint may start cold. The state machine retries.
    config=Config(connect_timeout=2, read_timeout=12, retries={"total_max_attempts": 1}),
)


class SerializedPhoto(TypedDict):
    """`image_data`: a JPEG in base64."""

    image_data: str


class Inferences(TypedDict):
    """The result of the endpoint.

    `inferences` is the probability of each label, 0 to 1; `model` is `<name>/<version>`. `novelty`
    is from 0 (like the training photos) to 1; not every model returns it.
    """

    inferences: dict[str, float]
    model: str
    novelty: NotRequired[float]


class EndpointError(Exception):
    """The endpoint gave no valid response. The message names the endpoint and the cause."""


class EndpointBusyError(Exception):
    """The endpoint is throttled, or its container is still starting.

    It is not a subclass of EndpointError: Step Functions compares names, and waits longer for this.
    """


@tracer.capture_lambda_handler
@logger.inject_lambda_context
def handler(event: SerializedPhoto, context: LambdaContext) -> Inferences:
    """Classify the photo with the endpoint; raises EndpointBusyError or EndpointError."""
    image = base64.b64decode(event["image_data"], validate=True)
    labels = os.environ["LABELS"].split(",")
    endpoint = os.environ["ENDPOINT_NAME"]
    try:
        body, model, novelty = invoke_endpoint(endpoint, image)
        inferences: Inferences = {"inferences": read_inferences(body, labels), "model": model}
    except (BotoCoreError, ClientError, InvalidInferencesError) as error:
        kind = EndpointBusyError if is_busy(error) else EndpointError
        raise kind(f"endpoint {endpoint}: {error}") from error
    if novelty is not None:
        inferences["novelty"] = novelty
    return inferences


def invoke_endpoint(endpoint: str, image: bytes) -> tuple[bytes, str, float | None]:
    """Send a JPEG to the endpoint; return the body of the response, the model and the novelty.

    The novelty is None if the model does not return it.

    Raises:
        ClientError, BotoCoreError: the call failed.
        InvalidInferencesError: the response is too long.

    """
    response = sagemaker_runtime.invoke_endpoint(
        EndpointName=endpoint, ContentType="image/jpeg", Accept="application/json", Body=image
    )
    with closing(response["Body"]) as body:
        content = body.read(MAX_RESPONSE_BYTES + 1)
    if len(content) > MAX_RESPONSE_BYTES:
        raise InvalidInferencesError(f"the response is longer than {MAX_RESPONSE_BYTES} bytes")
    attributes = response.get("CustomAttributes", "")
    model = re.search(r"\bmodel=([^,;\s]+)", attributes)
    variant = response.get("InvokedProductionVariant", endpoint)
    novelty = re.search(r"\bnovelty=(0\.\d+|1\.0+)(?![^,;\s])", attributes)
    value = without_underflow(float(novelty[1])) if novelty else None
    return content, model[1] if model else variant, value
