"""Delete from AWS everything that the stack and the training made.

    .venv/bin/python -m operations.delete --dry-run    list it, with its cost a month at rest
    .venv/bin/python -m operations.delete              list it, ask, delete it, check again

Credentials and region are those of the AWS CLI (AWS_PROFILE, AWS_DEFAULT_REGION, `aws configure`).
The command deletes the resources of the stack, and everything that has the project's tags. If
something cannot be deleted, such as a stack with termination protection, it deletes nothing and
reports what to do. It can be run again after a failure: a resource that is gone is no error.
"""

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from operations.deletion import buckets, endpoint, resources
from operations.deletion.account import Account, Found, count
from operations.deletion.obstacles import find_obstacles
from operations.errors import UserError, explain, is_not_offered
from operations.stack import DEFAULT_ENDPOINT, DEFAULT_STACK

# In the order in which they have to be deleted. The SAM artifacts come before the stack: its
# template lists them.
FINDERS = (
    ("Step Functions", resources.find_executions),
    ("Application Auto Scaling", endpoint.find_scaling),
    ("SageMaker", endpoint.find_endpoint),
    ("SageMaker", endpoint.find_jobs),
    ("SageMaker", endpoint.find_configurations_and_models),
    ("SageMaker", endpoint.find_model_packages),
    ("ECR", resources.find_repositories),
    ("CloudWatch", resources.find_alarms),
    ("S3", buckets.find_buckets),
    ("S3", buckets.find_sam_artifacts),
    ("CloudFormation", resources.find_the_stack),
    ("DynamoDB", resources.find_tables),
    ("CloudWatch Logs", resources.find_log_groups),
    ("Resource Groups Tagging", resources.find_tagged),
)


class Deletion:
    """Finds, lists and deletes; `problems` is what could not be checked."""

    def __init__(self, account: Account, status: Status) -> None:
        self.account, self.status = account, status
        self.problems: dict[str, None] = {}  # each once, in order
        self.not_offered: dict[str, None] = {}

    @contextmanager
    def noting(self, service: str) -> Iterator[None]:
        """Note an error of a service, and continue."""
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            if is_not_offered(error):
                self.not_offered[service] = None
            else:
                self.problems[one_line(error)] = None

    def find(self) -> list[Found]:
        """What exists now, in the order in which it has to be deleted."""
        self.problems.clear()
        self.account.look_again()
        found: list[Found] = []
        with self.status:
            for service, finder in FINDERS:
                self.account.progress(f"checking {service}")
                with self.noting(service):
                    found += finder(self.account)
        return found

    def report(self, found: list[Found]) -> None:
        """Print what was found, with its cost, and what could not be checked."""
        if found:
            print_table(found)
            print("List prices of us-east-1; free tiers, requests and running jobs not included.")
        else:
            print("Nothing was found.")
        for service in self.not_offered:
            print(f"{service} is not offered here: not checked.")
        for problem in self.problems:
            print(f"not checked: {problem}", file=sys.stderr)

    def delete(self, found: list[Found]) -> None:
        """Delete what was found, and print what could not be deleted.

        If the endpoint cannot be deleted, everything after it stays: the endpoint may need it.
        """
        for item in found:
            if item.delete is None:
                continue
            print(f"deleting {item.kind} {item.name}", flush=True)
            try:
                self.account.progress(f"deleting {item.kind} {item.name}")
                with self.status:
                    item.delete()
            except (ClientError, BotoCoreError, UserError) as error:
                reason = one_line(error)
                print(f"not deleted: {item.kind} {item.name}: {reason}", file=sys.stderr)
                if item.kind == "endpoint":
                    print("the rest was not deleted: the endpoint may need it", file=sys.stderr)
                    return

    def run(self, *, dry_run: bool, yes: bool) -> bool:
        """List, ask, delete, check again; return whether nothing is left.

        Raises:
            UserError: nothing was deleted, because of an obstacle or because nobody confirmed.

        """
        account, names = self.account, self.account.names
        print(f"Account {account.id}, {account.region}: stack {names.stack}, endpoint ", end="")
        print(f"{names.endpoint}\n", flush=True)
        found = self.find()
        self.report(found)
        obstacles = find_obstacles(account, found) if found else []
        for obstacle in obstacles:
            print(f"obstacle: {obstacle}", file=sys.stderr)
        if dry_run or not found:
            return not self.problems and not obstacles
        if obstacles:
            raise UserError("nothing was deleted: remove the obstacles, and run this again")
        question = "\nDelete all of it? It cannot be restored. [y/N] "
        if not yes and input_or_nothing(question) not in ("y", "yes"):
            raise UserError("nothing was deleted (--yes deletes without asking)")
        print()
        if any(item.kind == "endpoint" for item in found):
            endpoint.settle_endpoint(account)
        self.delete(found)
        print("\nChecked again, by name and by tag:")
        left = self.find()
        self.report(left)
        summarize(found, left)
        done = not left and not self.problems
        if not done:  # without the stack, its endpoint's name is unknown: give it
            again = f"--stack-name {names.stack} --endpoint-name {names.endpoint}"
            again += f" --region {account.region}"
            print(f"To continue: python -m operations.delete {again}", file=sys.stderr)
        return done


def print_table(found: list[Found]) -> None:
    """Print kind, name, contents and monthly cost of each, and the total cost."""
    known = sum(item.monthly for item in found if not math.isnan(item.monthly))
    at_least = "at least" if any(math.isnan(item.monthly) for item in found) else ""
    table = Table(box=None, pad_edge=False, show_footer=True)
    table.add_column("what", footer="total", no_wrap=True)
    table.add_column("name", overflow="fold")
    table.add_column("holds", footer=at_least, overflow="fold")
    table.add_column("$ a month", footer=f"{known:,.2f}", justify="right", no_wrap=True)
    for item in found:
        price = "?" if math.isnan(item.monthly) else f"{item.monthly:,.2f}"
        table.add_row(item.kind, Text(item.name), Text(item.holds), price)
    # In a file or a pipe, one line for each.
    Console(width=None if sys.stdout.isatty() else 250).print(table)


def summarize(found: list[Found], left: list[Found]) -> None:
    """Print how many of each kind are gone."""
    still = {(item.kind, item.name) for item in left}
    gone = [item for item in found if (item.kind, item.name) not in still]
    kinds = Counter(item.kind for item in gone)
    print("Deleted:", ", ".join(count(kinds[kind], kind) for kind in kinds) or "nothing")


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def input_or_nothing(question: str) -> str:
    try:
        return input(question).strip().lower()
    except EOFError:
        return ""


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m operations.delete", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--stack-name", default=DEFAULT_STACK, help="default: %(default)s")
    default = f"default: the stack's; without a stack, {DEFAULT_ENDPOINT}"
    parser.add_argument("--endpoint-name", help=default)
    parser.add_argument("--region", help="default: that of the AWS CLI")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="list, delete nothing")
    how.add_argument("--yes", action="store_true", help="delete without asking")
    arguments = parser.parse_args()
    status = Status("", console=Console(stderr=True))
    try:
        account = Account(
            arguments.stack_name,
            arguments.endpoint_name,
            arguments.region,
            progress=lambda text: status.update(Text(text)),
        )
        deletion = Deletion(account, status)
        return 0 if deletion.run(dry_run=arguments.dry_run, yes=arguments.yes) else 1
    except KeyboardInterrupt:
        reason = "interrupted; run it again to continue"
    except UserError as error:
        reason = one_line(error)
    except (ClientError, BotoCoreError) as error:  # of the first calls, before any finder
        reason = explain(error)
    print(f"delete: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
