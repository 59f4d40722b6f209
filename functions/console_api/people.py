"""Users of the pool: create, list, reset, block."""

import os
import secrets
import string
from http import HTTPStatus
from typing import Any

import boto3
from botocore.exceptions import ClientError

from functions.http_api.http import ProblemError

USER_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
ALPHABET = string.ascii_letters + string.digits
PASSWORD_LENGTH = 16

cognito = boto3.client("cognito-idp")


def list_people(limit: int, cursor: str | None) -> dict[str, Any]:
    """A page of the users with their groups."""
    request: dict[str, Any] = {"UserPoolId": pool(), "Limit": limit}
    if cursor:
        request["PaginationToken"] = cursor
    page = cognito.list_users(**request)
    return {
        "items": [
            {
                "user_name": user["Username"],
                "groups": groups_of(user["Username"]),
                "blocked": not user["Enabled"],
                "state": user["UserStatus"],
            }
            for user in page["Users"]
        ],
        "next": page.get("PaginationToken"),
    }


def groups_of(user_name: str) -> list[str]:
    """The groups of a user."""
    found = cognito.admin_list_groups_for_user(UserPoolId=pool(), Username=user_name)["Groups"]
    return sorted(group["GroupName"] for group in found)


def create(user_name: str, group: str) -> dict[str, Any]:
    """Create a user in a group, with a temporary password.

    Raises:
        ProblemError: 409, the name is taken.

    """
    if user_name == "unknown":
        raise ProblemError(HTTPStatus.CONFLICT, "This name is reserved. Choose another one.")
    password = temporary_password()
    try:
        cognito.admin_create_user(
            UserPoolId=pool(),
            Username=user_name,
            TemporaryPassword=password,
            MessageAction="SUPPRESS",
        )
    except cognito.exceptions.UsernameExistsException:
        raise ProblemError(HTTPStatus.CONFLICT, "The name is taken. Choose another one.") from None
    cognito.admin_add_user_to_group(UserPoolId=pool(), Username=user_name, GroupName=group)
    return {"user_name": user_name, "temporary_password": password}


def reset_password(user_name: str) -> dict[str, Any]:
    """Give a user a temporary password, and end the sessions.

    Raises:
        ProblemError: 404, there is no such user.

    """
    password = temporary_password()
    of_existing(cognito.admin_set_user_password, user_name, Password=password, Permanent=False)
    of_existing(cognito.admin_user_global_sign_out, user_name)
    return {"user_name": user_name, "temporary_password": password}


def block(user_name: str, *, blocked: bool) -> None:
    """Block a user and end the sessions, or unblock; ProblemError (404) without such a user."""
    if not blocked:
        of_existing(cognito.admin_enable_user, user_name)
        return
    of_existing(cognito.admin_disable_user, user_name)
    of_existing(cognito.admin_user_global_sign_out, user_name)


def of_existing(call: Any, user_name: str, **arguments: Any) -> None:
    """Call Cognito about a user who has to exist."""
    try:
        call(UserPoolId=pool(), Username=user_name, **arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] != "UserNotFoundException":
            raise
        raise ProblemError(HTTPStatus.NOT_FOUND, "There is no such user.") from error


def temporary_password() -> str:
    """A random password that the pool takes: letters of both cases and digits."""
    while True:
        password = "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_LENGTH))
        if (
            any(map(str.islower, password))
            and any(map(str.isupper, password))
            and any(map(str.isdigit, password))
        ):
            return password


def pool() -> str:
    """Id of the user pool."""
    return os.environ["USER_POOL_ID"]
