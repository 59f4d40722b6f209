"""Users of the web pages of a deployed stack."""

import secrets
from dataclasses import dataclass

from functions.console_api.people import Users, temporary_password
from tests.support.stack import Stack


@dataclass(frozen=True)
class Accounts:
    """Creates users who can sign in."""

    users: Users

    @classmethod
    def of(cls, stack: Stack) -> "Accounts":
        return cls(Users(stack.cloud.client("cognito-idp"), stack.outputs["UserPoolId"]))

    def create(self, group: str) -> tuple[str, str]:
        """Name and password of a new user of a group."""
        name = f"{group[:4]}-{secrets.token_hex(4)}"
        self.users.create(name, group)
        return name, self.set_password(name)

    def set_password(self, name: str) -> str:
        """The new password of a user."""
        password = temporary_password()
        self.users.of_existing("admin_set_user_password", name, Password=password, Permanent=True)
        return password
