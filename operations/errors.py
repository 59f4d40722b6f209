"""Errors for the user of a command: one line that says what to do."""

from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError

DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
EXPIRED = (
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
)


class UserError(Exception):
    """Something that the user of a command can fix; the message is one line that says how."""


def code_of(error: Exception) -> str:
    """The code of an AWS error, such as "AccessDenied"; "" for any other error."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


def is_not_offered(error: Exception) -> bool:
    """Whether a local cloud says that it does not offer a service: it has no AWS code for that."""
    code = code_of(error)
    return code.isdigit() and code not in ("500", "502", "503", "504")


def explain(error: Exception) -> str:
    """Say in one line what an AWS error asks of the user."""
    message = " ".join(str(error).split())
    if isinstance(error, NoRegionError):
        message = "no region: give --region, set AWS_DEFAULT_REGION or run `aws configure`"
    elif isinstance(error, NoCredentialsError):
        message = "no AWS credentials: run `aws configure`, or set AWS_PROFILE"
    elif isinstance(error, ClientError):
        code, reason = code_of(error), error.response["Error"].get("Message", "")
        if code in EXPIRED:
            message = "AWS refuses the credentials: run `aws configure` or `aws sso login` again"
        elif code in DENIED:
            message = f"{error.operation_name} is not permitted: {reason or 'ask for permission'}"
        elif code == "ResourceLimitExceeded":
            message = f"{reason} (ask for more in the Service Quotas console)"
    return message
