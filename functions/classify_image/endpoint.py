"""What an error of the SageMaker endpoint means."""

from http import HTTPStatus

from botocore.exceptions import ClientError

THROTTLED = {"ThrottlingException", "ModelNotReadyException"}


def is_busy(error: Exception) -> bool:
    """Return whether SageMaker refused the call because of too many calls or a cold start.

    Its status is then 429: ThrottlingException, or ModelNotReadyException during a cold start.
    """
    if not isinstance(error, ClientError):
        return False
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status == HTTPStatus.TOO_MANY_REQUESTS or error.response["Error"]["Code"] in THROTTLED
