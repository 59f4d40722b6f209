"""Permissions of the deployed stack: removed for a while, or evaluated."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.stack import Stack


@contextmanager
def without(stack: Stack, role: str, policy: str, action: str) -> Iterator[None]:
    """Remove an action from a policy of a role."""
    iam = stack.cloud.client("iam")
    names = {"RoleName": stack.physical_name(role), "PolicyName": policy}
    document = iam.get_role_policy(**names)["PolicyDocument"]
    statements = [
        statement | {"Action": remaining}
        for statement in document["Statement"]
        if (remaining := [name for name in actions(statement) if name != action])
    ]
    assert statements != document["Statement"]
    if statements:
        reduced = json.dumps(document | {"Statement": statements})
        iam.put_role_policy(**names, PolicyDocument=reduced)
    else:
        iam.delete_role_policy(**names)
    try:
        yield
    finally:
        iam.put_role_policy(**names, PolicyDocument=json.dumps(document))


def actions(statement: dict[str, Any]) -> list[str]:
    listed = statement["Action"]
    return [listed] if isinstance(listed, str) else listed


def allowed(stack: Stack, role: str, action: str, resource: str) -> bool:
    """Whether the policies of a role allow an action on a resource."""
    return not refused(stack, role, {(action, resource)})


def refused(stack: Stack, role: str, calls: set[tuple[str, str]]) -> set[str]:
    """The actions that the policies of a role do not allow, of these with their resources."""
    iam = stack.cloud.client("iam")
    arn = iam.get_role(RoleName=stack.physical_name(role))["Role"]["Arn"]
    found = set()
    for action, resource in calls:
        [result] = iam.simulate_principal_policy(
            PolicySourceArn=arn, ActionNames=[action], ResourceArns=[resource]
        )["EvaluationResults"]
        if result["EvalDecision"] != "allowed":
            found.add(action)
    return found
