"""Classify a serialized photo with the SageMaker endpoint."""

import base64
import os
import re
from contextlib import closing
from http import HTTPStatus
from typing import NotRequired, TypedDict

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from functions.classify_image.inferences import (
    InvalidInferencesError,
    read_inferences,
    without_underflow,
)

MAX_ANSWER_BYTES = 64 * 1024
THROTTLED = {"ThrottlingException", "ModelNotReadyException"}

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
    """The probability, 0 to 1, of each label, and the `<name>/<version>` of the model.

    `novelty`, if the model has it: from 0, like the photos that it was trained on, to 1.
    """

    inferences: dict[str, float]
    model: str
    novelty: NotRequired[float]


class EndpointError(Exception):
    """The endpoint gave no usable answer. The message names the endpoint and the cause."""


class EndpointBusyError(Exception):
    """The endpoint takes no more photos at the moment, or its container is still starting.

    Not a kind of EndpointError: Step Functions compares names, and waits longer for this one.
    """


@tracer.capture_lambda_handler
@logger.inject_lambda_context
def handler(event: SerializedPhoto, context: LambdaContext) -> Inferences:
    """Ask the endpoint what the photo shows; raises EndpointBusyError or EndpointError."""
    image = base64.b64decode(event["image_data"], validate=True)
    labels = os.environ["LABELS"].split(",")
    endpoint = os.environ["ENDPOINT_NAME"]
    try:
        answer, model, novelty = invoke_endpoint(endpoint, image)
        inferences: Inferences = {"inferences": read_inferences(answer, labels), "model": model}
    except (BotoCoreError, ClientError, InvalidInferencesError) as error:
        kind = EndpointBusyError if is_busy(error) else EndpointError
        raise kind(f"endpoint {endpoint}: {error}") from error
    if novelty is not None:
        inferences["novelty"] = novelty
    return inferences


def is_busy(error: Exception) -> bool:
    """Whether SageMaker refused the call because of too many calls, or of a cold start.

    It answers 429 then: ThrottlingException, or ModelNotReadyException while it provisions.
    """
    if not isinstance(error, ClientError):
        return False
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status == HTTPStatus.TOO_MANY_REQUESTS or error.response["Error"]["Code"] in THROTTLED


def invoke_endpoint(endpoint: str, image: bytes) -> tuple[bytes, str, float | None]:
    """The endpoint's answer to a JPEG, the model that gave it, and the novelty, if it has one.

    Raises ClientError, BotoCoreError, or InvalidInferencesError for an answer that is too long.
    """
    response = sagemaker_runtime.invoke_endpoint(
        EndpointName=endpoint, ContentType="image/jpeg", Accept="application/json", Body=image
    )
    with closing(response["Body"]) as body:
        answer = body.read(MAX_ANSWER_BYTES + 1)
    if len(answer) > MAX_ANSWER_BYTES:
        raise InvalidInferencesError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    attributes = response.get("CustomAttributes", "")
    model = re.search(r"\bmodel=([^,;\s]+)", attributes)
    variant = response.get("InvokedProductionVariant", endpoint)
    novelty = re.search(r"\bnovelty=(0\.\d+|1\.0+)(?![^,;\s])", attributes)
    novel = without_underflow(float(novelty[1])) if novelty else None
    return answer, model[1] if model else variant, novel
