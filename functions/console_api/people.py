"""Users of the pool: create, list, reset, block."""

import secrets
import string
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, TypedDict

from botocore.exceptions import ClientError

from functions.http_api.http import RESERVED_NAME, ProblemError

USER_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
ALPHABET = string.ascii_letters + string.digits
PASSWORD_LENGTH = 16

type Group = Literal["couriers", "reviewers", "managers"]


class Person(TypedDict):
    """A user of the pool; `state` is that of Cognito, such as CONFIRMED."""

    user_name: str
    groups: list[Group]
    blocked: bool
    state: str


class People(TypedDict):
    """A page of users; `next` is the cursor of the page after it."""

    items: list[Person]
    next: str | None


class Password(TypedDict):
    """A temporary password, which is shown once."""

    user_name: str
    temporary_password: str


@dataclass(frozen=True)
class Users:
    """The users of a pool; `cognito` is a boto3 client."""

    cognito: Any
    pool: str

    def page(self, limit: int, cursor: str | None = None) -> People:
        """A page of the users with their groups."""
        request: dict[str, Any] = {"UserPoolId": self.pool, "Limit": limit}
        if cursor:
            request["PaginationToken"] = cursor
        found = self.cognito.list_users(**request)
        return {
            "items": [
                {
                    "user_name": user["Username"],
                    "groups": self.groups_of(user["Username"]),
                    "blocked": not user["Enabled"],
                    "state": user["UserStatus"],
                }
                for user in found["Users"]
            ],
            "next": found.get("PaginationToken"),
        }

    def groups_of(self, user_name: str) -> list[Group]:
        """The groups of a user."""
        found = self.cognito.admin_list_groups_for_user(UserPoolId=self.pool, Username=user_name)
        return sorted(group["GroupName"] for group in found["Groups"])

    def create(self, user_name: str, group: str) -> str:
        """Create a user in a group; the temporary password.

        Raises:
            ProblemError: 409, the name is taken.

        """
        if user_name == RESERVED_NAME:
            raise ProblemError(HTTPStatus.CONFLICT, "This name is reserved. Choose another one.")
        password = temporary_password()
        try:
            self.cognito.admin_create_user(
                UserPoolId=self.pool,
                Username=user_name,
                TemporaryPassword=password,
                MessageAction="SUPPRESS",
            )
        except self.cognito.exceptions.UsernameExistsException:
            raise ProblemError(
                HTTPStatus.CONFLICT, "The name is taken. Choose another one."
            ) from None
        self.of_existing("admin_add_user_to_group", user_name, GroupName=group)
        return password

    def reset_password(self, user_name: str) -> str:
        """End a user's sessions; the new temporary password.

        Raises:
            ProblemError: 404, there is no such user.

        """
        password = temporary_password()
        self.of_existing("admin_set_user_password", user_name, Password=password, Permanent=False)
        self.of_existing("admin_user_global_sign_out", user_name)
        return password

    def block(self, user_name: str, *, blocked: bool) -> None:
        """Block a user and end the sessions, or unblock; ProblemError (404) without the user.

        An access token that was given before is valid until it expires, within an hour.
        """
        self.of_existing("admin_disable_user" if blocked else "admin_enable_user", user_name)
        if blocked:
            self.of_existing("admin_user_global_sign_out", user_name)

    def of_existing(self, call: str, user_name: str, **arguments: Any) -> None:
        """Call Cognito about a user who has to exist."""
        try:
            getattr(self.cognito, call)(UserPoolId=self.pool, Username=user_name, **arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] != "UserNotFoundException":
                raise
            raise ProblemError(HTTPStatus.NOT_FOUND, "There is no such user.") from error


def temporary_password() -> str:
    """A random password that the pool takes: letters of both cases and digits."""
    while True:
        password = "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_LENGTH))
        kinds = str.islower, str.isupper, str.isdigit
        if all(any(map(kind, password)) for kind in kinds):
            return password
