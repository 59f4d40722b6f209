"""Ask the endpoint which places of a photo speak for its most probable label."""

import json
import os
from contextlib import closing
from http import HTTPStatus
from typing import Annotated, Any, TypedDict

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError
from pydantic import Field

from functions.classify_image.endpoint import is_busy
from functions.http_api.http import ProblemError

sagemaker_runtime = boto3.client(
    "sagemaker-runtime",
    config=Config(connect_timeout=2, read_timeout=12, retries={"total_max_attempts": 1}),
)


class Explanation(TypedDict):
    """Which places of a photo speak for a label."""

    label: Annotated[str, Field(description="The most probable one to the model in service")]
    activation: Annotated[
        list[Annotated[list[float], Field(min_length=1)]],
        Field(
            min_length=1,
            description="Rows of a grid that covers the photo, in logits. A positive number speaks "
            "for the label, a negative one against it",
        ),
    ]


def explain(jpeg: bytes) -> Explanation:
    """The explanation of the label that is most probable now.

    Raises:
        ProblemError: 422, the model has no activation; 503, the endpoint is busy or starts.
        ClientError, BotoCoreError: the call failed.

    """
    try:
        response = sagemaker_runtime.invoke_endpoint(
            EndpointName=os.environ["ENDPOINT_NAME"],
            ContentType="image/jpeg",
            Accept="application/json",
            CustomAttributes="explain",
            Body=jpeg,
        )
        with closing(response["Body"]) as body:
            return most_probable(json.load(body))
    except (BotoCoreError, ClientError) as error:
        if is_busy(error) or isinstance(error, ReadTimeoutError):
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The endpoint is busy or starts. Try again in a minute.",
            ) from error
        if is_refusal_of_the_model(error):
            raise cannot_explain() from error
        raise


def most_probable(response: Any) -> Explanation:
    """The explanation in a response of the endpoint.

    Raises ProblemError if there is none: other containers ignore the custom attribute.
    """
    if not isinstance(response, dict) or response.keys() != {"probabilities", "activation"}:
        raise cannot_explain()
    probabilities: dict[str, float] = response["probabilities"]
    label = max(probabilities, key=lambda each: probabilities[each])
    return {"label": label, "activation": response["activation"][label]}


def is_refusal_of_the_model(error: Exception) -> bool:
    """Whether the container refused the request (400). The JPEG is ours, so it can be read."""
    original = getattr(error, "response", {}).get("OriginalStatusCode")
    return bool(original == HTTPStatus.BAD_REQUEST)


def cannot_explain() -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "This model cannot explain its labels.")
