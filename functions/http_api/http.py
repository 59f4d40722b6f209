"""The user of a request, problem details (RFC 9457), ETags, the document of the API."""

import base64
import hashlib
import json
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import ServiceError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from pydantic import Field

COURIERS, REVIEWERS, MANAGERS = "couriers", "reviewers", "managers"
PROBLEM = "application/problem+json"
RESERVED_NAME = "unknown"  # sender_id of a photo that is in nobody's folder
MAX_NAME_BYTES = 128

type Reply = dict[str, Any]  # of a Lambda function to an HTTP API, format 2.0


class FieldError(TypedDict):
    """What is wrong with a field of a request."""

    field: str
    detail: str


class Problem(TypedDict):
    """Problem details (RFC 9457)."""

    type: Literal["about:blank"]
    title: Annotated[str, Field(description="Name of the status")]
    status: int
    detail: Annotated[str, Field(description="One line for the user, that says what to do")]
    errors: NotRequired[list[FieldError]]


class ProblemError(Exception):
    """A request that is refused: a status, and one line for the user."""

    def __init__(
        self, status: HTTPStatus, detail: str, errors: list[FieldError] | None = None
    ) -> None:
        """`errors` name the fields that are wrong."""
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors


@dataclass(frozen=True, slots=True)
class User:
    """Who sends a request: the user name, which is the courier_id, and the groups."""

    name: str
    groups: frozenset[str]

    def require(self, *groups: str) -> None:
        """Raise ProblemError (403) if the user is in none of the groups."""
        if not self.groups & {*groups}:
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                f"This is for {' and '.join(groups)}. Ask a manager to add you to the group.",
            )


def table_of_dispatch(variable: str) -> str:
    """The name of a table of the dispatch; raises ProblemError (404) if the stack has none."""
    if name := os.environ[variable]:
        return name
    raise ProblemError(HTTPStatus.NOT_FOUND, "This stack has no dispatch: no orders and no routes.")


def user_of(event: Mapping[str, Any]) -> User:
    """The user of an access token that API Gateway has verified.

    API Gateway passes a list as text: "[couriers managers]".

    Raises:
        ProblemError: 403, the token is no access token, or the name cannot be a folder in S3.

    """
    claims = event["requestContext"].get("authorizer", {}).get("jwt", {}).get("claims", {})
    if claims.get("token_use") != "access":
        raise ProblemError(HTTPStatus.FORBIDDEN, "Send the access token, not another one.")
    name = claims.get("username", "")
    if not is_folder_name(name):
        raise ProblemError(
            HTTPStatus.FORBIDDEN, "This user name cannot be used. Ask a manager for another one."
        )
    return User(name, frozenset(claims.get("cognito:groups", "").strip("[]").split()))


def is_folder_name(name: str) -> bool:
    """Whether a user name can be a folder under uploads/ that is no other user's."""
    return (
        0 < len(name.encode()) <= MAX_NAME_BYTES
        and name.isprintable()
        and "/" not in name
        and name not in (".", "..", RESERVED_NAME)
        and unicodedata.is_normalized("NFC", name)
    )


def resolver() -> APIGatewayHttpResolver:
    """A resolver that checks types and returns errors as problem details."""
    app = APIGatewayHttpResolver(enable_validation=True)

    @app.exception_handler(ProblemError)  # type: ignore[untyped-decorator]  # Powertools has no type for it
    def refuse(error: ProblemError) -> Response[str]:
        return problem(error)

    @app.exception_handler(RequestValidationError)  # type: ignore[untyped-decorator]  # Powertools has no type for it
    def refuse_fields(error: RequestValidationError) -> Response[str]:
        errors: list[FieldError] = [
            {
                "field": ".".join(map(str, each["loc"][1:])) or "body",
                "detail": each["msg"].removeprefix("Value error, "),
            }
            for each in error.errors()
        ]
        detail = "; ".join(f"{each['field']}: {each['detail']}" for each in errors)
        return problem(ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors))

    @app.exception_handler(ServiceError)  # type: ignore[untyped-decorator]  # Powertools has no type for it
    def refuse_service(error: ServiceError) -> Response[str]:
        return problem(ProblemError(HTTPStatus(error.status_code), str(error.msg)))

    @app.not_found
    def refuse_path(_: Exception) -> Response[str]:
        return problem(ProblemError(HTTPStatus.NOT_FOUND, "There is nothing at this path."))

    return app


def described(
    description: str, model: Any = None, *problems: int, status: int = HTTPStatus.OK
) -> dict[int, OpenAPIResponse]:
    """What docs/openapi.yaml says about the responses of an operation; no use at run time.

    `model`: the type of a JSON body. `problems`: statuses of errors. docs/generate.py adds what all
    operations have: 403, 304 for GET, and 422 if there is input.
    """
    content: Any = {"application/json": {"model": model}} if model else {}
    found: dict[int, OpenAPIResponse] = {status: {"description": description, "content": content}}
    return found | {
        each: {"description": "Problem details", "content": {PROBLEM: {}}} for each in problems
    }


def problem(error: ProblemError) -> Response[str]:
    """An error as problem details."""
    body: Problem = {
        "type": "about:blank",
        "title": error.status.phrase,
        "status": error.status.value,
        "detail": error.detail,
    }
    if error.errors:
        body["errors"] = error.errors
    return Response(error.status.value, PROBLEM, dumps(body))


def reply(app: APIGatewayHttpResolver, event: Mapping[str, Any], context: Any, *groups: str) -> Any:
    """Answer a request of a user who is in one of the groups."""
    try:
        user = user_of(event)
        user.require(*groups)
    except ProblemError as error:
        refused = problem(error)
        return {
            "statusCode": refused.status_code,
            "headers": {"Content-Type": PROBLEM, "Cache-Control": "no-store"},
            "body": refused.body,
        }
    app.context["user"] = user
    return not_modified(event, app.resolve(dict(event), context))


def not_modified(event: Mapping[str, Any], response: Reply) -> Reply:
    """The response with an ETag, or 304 without a body if the client has the same already."""
    headers = response.setdefault("headers", {})
    headers.setdefault("Cache-Control", "no-store")
    method = event["requestContext"]["http"]["method"]
    if method != "GET" or response["statusCode"] != HTTPStatus.OK:
        return response
    return with_etag(event, response)


def with_etag(event: Mapping[str, Any], response: Reply) -> Reply:
    """Add the ETag of the body; 304 if it is the one that the client names."""
    body = response["body"]
    content = base64.b64decode(body) if response.get("isBase64Encoded") else body.encode()
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    response["headers"] |= {"ETag": etag, "Cache-Control": "private, no-cache"}
    known = event.get("headers", {}).get("if-none-match", "")
    if etag in {each.strip().removeprefix("W/") for each in known.split(",")}:
        response |= {
            "statusCode": HTTPStatus.NOT_MODIFIED.value,
            "body": "",
            "isBase64Encoded": False,
        }
    return response


def dumps(body: Any) -> str:
    """JSON that browsers read: UTF-8, no spaces."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def now_text() -> str:
    """The time in milliseconds, as events have it: `2026-11-20T12:00:00.000Z`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
