"""Create users of the web pages, reset their passwords, and block them.

    .venv/bin/python -m operations.users create anna couriers    prints a temporary password
    .venv/bin/python -m operations.users reset anna              prints a new temporary password
    .venv/bin/python -m operations.users block anna              ends the sessions too
    .venv/bin/python -m operations.users unblock anna
    .venv/bin/python -m operations.users list

Groups: couriers use the courier's page, reviewers the console, managers the console and its view
of people, which does all of this in the browser. Create the first manager here.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from functions.console_api.people import USER_NAME, Person, Users
from functions.http_api.http import COURIERS, MANAGERS, REVIEWERS, ProblemError
from operations.errors import UserError, explain
from operations.stack import DEFAULT_STACK, require_stack

PAGE = 60  # users, the most that Cognito lists at once


def users_of(stack: str) -> Users:
    """The users of a stack.

    Raises:
        UserError: there is no such stack, or it has no web pages.

    """
    client: Any = boto3.client
    return Users(
        client("cognito-idp"),
        require_stack(client("cloudformation"), stack).output("UserPoolId"),
    )


def carry_out(users: Users, options: argparse.Namespace) -> None:
    """Do what the command line says."""
    match options.action:
        case "create":
            password = users.create(options.name, options.group)
            print(f"{options.name}, temporary password: {password}")
        case "reset":
            print(f"{options.name}, temporary password: {users.reset_password(options.name)}")
        case "block":
            users.block(options.name, blocked=True)
            print(f"{options.name} is blocked; open pages work for an hour at most")
        case "unblock":
            users.block(options.name, blocked=False)
            print(f"{options.name} is not blocked")
        case "list":
            for user in everybody(users):
                state = "blocked" if user["blocked"] else user["state"]
                print(f"{user['user_name']}\t{','.join(user['groups'])}\t{state}")


def everybody(users: Users) -> Iterator[Person]:
    """All users."""
    cursor = None
    while True:
        page = users.page(PAGE, cursor)
        yield from page["items"]
        cursor = page["next"]
        if cursor is None:
            return


def user_name(text: str) -> str:
    """A user name; the argument parser prints the error."""
    if not re.fullmatch(USER_NAME, text):
        raise argparse.ArgumentTypeError(
            "use lower-case letters, digits, dot, hyphen and underscore, at most 64"
        )
    return text


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m operations.users",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stack-name", default=DEFAULT_STACK, help="default: %(default)s")
    actions = parser.add_subparsers(dest="action", required=True)
    for action in ("create", "reset", "block", "unblock"):
        command = actions.add_parser(action)
        command.add_argument("name", type=user_name)
        if action == "create":
            command.add_argument("group", choices=[COURIERS, REVIEWERS, MANAGERS])
    actions.add_parser("list")
    options = parser.parse_args()
    try:
        carry_out(users_of(options.stack_name), options)
    except ProblemError as problem:
        reason = f"{options.name}: {problem.detail}"
    except UserError as error:
        reason = str(error)
    except (ClientError, BotoCoreError) as error:
        reason = explain(error)
    else:
        return 0
    print(f"users: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
