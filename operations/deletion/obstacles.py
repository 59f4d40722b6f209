"""Look for all that would refuse to be deleted, before anything is deleted.

Each obstacle is a line that says what refuses and how to change that.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from operations.deletion.account import Account, Found, tolerating
from operations.deletion.buckets import versions
from operations.errors import DENIED, code_of, explain, is_not_offered
from operations.policies import EVERYONE, Statement, statements

DELETES = ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:DeleteBucket")


def stack_obstacles(account: Account) -> Iterator[str]:
    try:
        stack = account.stack
    except ClientError as error:
        yield f"the stack cannot be looked at: {explain(error)}"
        return
    if stack is None:
        return
    if stack.is_protected:
        yield (
            f"stack {stack.name} has termination protection: switch it off with `aws "
            "cloudformation update-termination-protection --no-enable-termination-protection "
            f"--stack-name {stack.name} --region {account.region}`"
        )
    # A stack that is being created can be deleted, and one that is being deleted is waited for.
    if stack.status.endswith("_IN_PROGRESS") and not stack.status.startswith(("CREATE", "DELETE")):
        yield f"stack {stack.name} is {stack.status}: run this again when that has ended"


def bucket_obstacles(account: Account, bucket: str) -> Iterator[str]:
    client = account.client("s3")
    with tolerating("NoSuchBucketPolicy"):
        for found in statements(client.get_bucket_policy(Bucket=bucket)["Policy"]):
            denied = [action for action in DELETES if found.covers(action)]
            if found.effect == "Deny" and denied and applies_to(account, found):
                yield (
                    f"the policy of bucket {bucket} denies {denied[0]} (statement "
                    f"{found.sid or 'without Sid'}): remove that statement"
                )
    if client.get_bucket_versioning(Bucket=bucket).get("MFADelete") == "Enabled":
        yield f"bucket {bucket} has MFA delete: the root user of the account has to switch it off"
    with tolerating("ObjectLockConfigurationNotFoundError"):
        lock = client.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
        if lock.get("ObjectLockEnabled") == "Enabled":
            yield from locked_versions(account, bucket)


def applies_to(account: Account, statement: Statement) -> bool:
    """Whether an unconditional statement applies to the caller.

    A condition may exempt the caller: S3 decides that when it is asked.
    """
    root = f"arn:{account.partition}:iam::{account.id}:root"
    us = {account.caller, role_of(account.caller), root, account.id}
    if statement.has_condition:
        return False
    if statement.not_principals is not None:
        return not us & set(statement.not_principals.get("AWS", []))
    return bool((us | {EVERYONE}) & set((statement.principals or {}).get("AWS", [])))


def role_of(caller: str) -> str:
    """The ARN of the role of an assumed-role session, or else the caller's own ARN."""
    if ":assumed-role/" not in caller:
        return caller
    session, _, role = caller.partition(":assumed-role/")
    return f"{session.replace(':sts:', ':iam:')}:role/{role.split('/')[0]}"


def locked_versions(account: Account, bucket: str) -> Iterator[str]:
    """The first version that Object Lock keeps; one is enough for the bucket to stay."""
    client, now = account.client("s3"), datetime.now(UTC)
    for version in versions(account, bucket):
        if "Size" not in version:  # delete markers are never locked
            continue
        item = {"Key": version["Key"], "VersionId": version["VersionId"]}
        head = client.head_object(Bucket=bucket, **item)
        until = head.get("ObjectLockRetainUntilDate")
        if head.get("ObjectLockLegalHoldStatus") == "ON":
            yield f"Object Lock keeps {item['Key']!r} in bucket {bucket}: remove its legal hold"
            return
        if until and until > now:
            yield (
                f"Object Lock keeps {item['Key']!r} in bucket {bucket} until "
                f"{until:%Y-%m-%d %H:%M} UTC: run this again after that"
            )
            return


def table_obstacles(account: Account, table: str) -> Iterator[str]:
    found = account.client("dynamodb").describe_table(TableName=table)["Table"]
    if found.get("DeletionProtectionEnabled"):
        yield (
            f"table {table} has deletion protection: switch it off with `aws dynamodb "
            f"update-table --no-deletion-protection-enabled --table-name {table} "
            f"--region {account.region}`"
        )


def log_group_obstacles(account: Account, name: str) -> Iterator[str]:
    answer = account.client("logs").describe_log_groups(logGroupNamePrefix=name)
    for group in answer["logGroups"]:
        if group["logGroupName"] == name and group.get("deletionProtectionEnabled"):
            yield (
                f"log group {name} has deletion protection: switch it off with `aws logs "
                "put-log-group-deletion-protection --no-deletion-protection-enabled "
                f"--log-group-identifier {name} --region {account.region}`"
            )


def bus_obstacles(account: Account) -> Iterator[str]:
    """Rules of others on the stack's event bus: AWS deletes no bus that has rules."""
    # CloudFormation names a rule on a bus of its own `<bus>|<rule>`.
    ours = {re.split(r"[|/]", name)[-1] for name in account.in_stack("AWS::Events::Rule")}
    for bus in account.in_stack("AWS::Events::EventBus"):
        for rule in account.pages("events", "list_rules", "Rules", EventBusName=bus):
            if rule["Name"] not in ours:
                yield (
                    f"rule {rule['Name']} on event bus {bus} is not the stack's: delete it, or "
                    "move it to another bus"
                )


def permission_obstacles(account: Account, found: list[Found]) -> Iterator[str]:
    """Missing permissions, if the caller may ask IAM for them and no condition is involved."""
    if account.caller.endswith(":root"):
        return
    client, source = account.client("iam"), caller_in_iam(account)
    for item in found:
        for action, resource in item.needs:
            answer = client.simulate_principal_policy(
                PolicySourceArn=source, ActionNames=[action], ResourceArns=[resource]
            )
            for result in answer["EvaluationResults"]:
                is_known = not result.get("MissingContextValues")
                if result["EvalDecision"] != "allowed" and is_known:
                    yield f"{source} is not permitted to {action} on {resource}: ask for it"


def caller_in_iam(account: Account) -> str:
    """The ARN by which IAM knows the caller: a role's has a path, its session's has none."""
    role = role_of(account.caller)
    if role == account.caller:
        return role
    name = role.rpartition("/")[2]
    return str(account.client("iam").get_role(RoleName=name)["Role"]["Arn"])


def find_obstacles(account: Account, found: list[Found]) -> list[str]:
    """All obstacles. What the caller is not permitted to look at is not looked at."""
    looks: list[Iterator[str]] = [stack_obstacles(account), bus_obstacles(account)]
    of_kind: dict[str, Any] = {
        "S3 bucket": bucket_obstacles,
        "DynamoDB table": table_obstacles,
        "log group": log_group_obstacles,
    }
    looks += [of_kind[item.kind](account, item.name) for item in found if item.kind in of_kind]
    looks.append(permission_obstacles(account, found))
    obstacles: list[str] = []
    for look in looks:
        try:
            obstacles += look
        except ClientError as error:
            is_gone = code_of(error).startswith("NoSuch")
            if code_of(error) not in DENIED and not is_not_offered(error) and not is_gone:
                raise
    return obstacles
