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
from inferences import InvalidInferencesError, read_inferences

MAX_ANSWER_BYTES = 64 * 1024

logger = Logger()
tracer = Tracer(patch_modules=["botocore"])
sagemaker_runtime = boto3.client(
    "sagemaker-runtime",
    # A serverless endpoint may start cold. Retries are the state machine's.
    config=Config(connect_timeout=2, read_timeout=20, retries={"total_max_attempts": 1}),
)


class SerializedPhoto(TypedDict):
    """`image_data`: a JPEG in base64."""

    image_data: str


class Inferences(TypedDict):
    """The probability, 0 to 1, of each label, and the `<name>/<version>` of the model.

    `novelty`, where the model tells it: from 0, like the photos that it was trained on, to 1.
    """

    inferences: dict[str, float]
    model: str
    novelty: NotRequired[float]


class EndpointError(Exception):
    """The endpoint gave no usable answer; the message names the endpoint and the cause."""


@tracer.capture_lambda_handler
@logger.inject_lambda_context
def handler(event: SerializedPhoto, context: LambdaContext) -> Inferences:
    """Ask the endpoint what the photo shows; raises EndpointError where it cannot tell."""
    image = base64.b64decode(event["image_data"], validate=True)
    labels = os.environ["LABELS"].split(",")
    endpoint = os.environ["ENDPOINT_NAME"]
    try:
        answer, model, novelty = invoke_endpoint(endpoint, image)
        inferences: Inferences = {"inferences": read_inferences(answer, labels), "model": model}
    except (BotoCoreError, ClientError, InvalidInferencesError) as error:
        raise EndpointError(f"endpoint {endpoint}: {error}") from error
    if novelty is not None:
        inferences["novelty"] = novelty
    return inferences


def invoke_endpoint(endpoint: str, image: bytes) -> tuple[bytes, str, float | None]:
    """The endpoint's answer to a JPEG, the model that gave it, and the novelty that it told.

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
    return answer, model[1] if model else variant, float(novelty[1]) if novelty else None
