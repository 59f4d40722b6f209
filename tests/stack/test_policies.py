"""The permissions of the stack: a test fails if one is added, removed or widened."""

from typing import Any

from tests.stack.permissions import (
    MANAGED_POLICIES,
    MANAGED_POLICY_OF,
    RESOURCE_POLICIES,
    ROLES,
)
from tests.support.template import Resources


def text(value: Any) -> str:
    """A string or an intrinsic function, as Fn::Sub would write it."""
    match value:
        case str():
            return value
        case {"Ref": name}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"${{{name}.{attribute}}}"
        case {"Fn::Sub": str(template)}:
            return template
        case _:
            raise TypeError(value)


def each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def condition(statement: dict[str, Any]) -> str:
    """The condition of a statement, empty without one."""
    return "".join(
        f" if {operator} {key} {','.join(map(text, each(value)))}"
        for operator, keys in statement.get("Condition", {}).items()
        for key, value in keys.items()
    )


def statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    """All statements. It fails if one has a field that the tests do not compare."""
    known = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
    found = []
    for statement in document["Statement"]:
        if "Fn::If" in statement:
            _, statement, otherwise = statement["Fn::If"]  # noqa: PLW2901
            assert otherwise == {"Ref": "AWS::NoValue"}
        assert statement.keys() <= known
        found.append(statement)
    return found


def permissions(document: dict[str, Any]) -> list[tuple[str, str]]:
    """The permissions of a document: action, with its condition, and resource."""
    assert all(statement["Effect"] == "Allow" for statement in statements(document))
    return [
        (action + condition(statement), text(resource))
        for statement in statements(document)
        for action in each(statement["Action"])
        for resource in each(statement["Resource"])
    ]


def principals(statement: dict[str, Any]) -> list[str]:
    principal = statement["Principal"]
    if principal == "*":
        return ["*"]
    return [text(principal["AWS"])] if "AWS" in principal else each(principal["Service"])


def grants(document: dict[str, Any]) -> list[str]:
    """The permissions in the policy of a resource: principal, action and resource."""
    return [
        f"{statement['Effect']} {principal} {action} {text(resource)}{condition(statement)}"
        for statement in statements(document)
        for principal in principals(statement)
        for action in each(statement["Action"])
        for resource in each(statement["Resource"])
    ]


def test_each_role_has_exactly_the_listed_permissions(resources: Resources) -> None:
    roles = {
        name: resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::IAM::Role"
    }
    assert roles.keys() == ROLES.keys()
    for name, (trusted, allowed) in ROLES.items():
        policies = [
            # What a role may do with the dispatch, it may only if there is a dispatch.
            policy["Fn::If"][1] if "Fn::If" in policy else policy
            for policy in roles[name].get("Policies", [])
        ]
        documents = [policy["PolicyDocument"] for policy in policies]
        found = [permission for document in documents for permission in permissions(document)]
        assert sorted(found) == sorted(allowed), name
        [trust] = statements(roles[name]["AssumeRolePolicyDocument"])
        assert (trust["Effect"], each(trust["Action"])) == ("Allow", ["sts:AssumeRole"])
        [principal] = principals(trust)
        assert principal + condition(trust) == trusted, name
        managed = MANAGED_POLICY_OF.get(trusted, [])
        assert roles[name].get("ManagedPolicyArns", []) == managed, name


def test_each_managed_policy_has_exactly_the_listed_permissions(resources: Resources) -> None:
    found = {
        name: sorted(permissions(resource["Properties"]["PolicyDocument"]))
        for name, resource in resources.items()
        if resource["Type"] == "AWS::IAM::ManagedPolicy"
    }
    assert found == {name: sorted(allowed) for name, allowed in MANAGED_POLICIES.items()}


def test_each_policy_of_a_resource_has_exactly_the_listed_statements(resources: Resources) -> None:
    kinds = {"AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"}
    found = {
        name: sorted(grants(resource["Properties"]["PolicyDocument"]))
        for name, resource in resources.items()
        if resource["Type"] in kinds
    }
    assert found == {name: sorted(lines) for name, lines in RESOURCE_POLICIES.items()}


def test_no_resource_has_another_kind_of_permission(resources: Resources) -> None:
    """The tests above compare every kind of resource that grants permissions."""
    compared = {
        "AWS::IAM::Role",
        "AWS::IAM::ManagedPolicy",
        "AWS::S3::BucketPolicy",
        "AWS::SQS::QueuePolicy",
        "AWS::SNS::TopicPolicy",
        "AWS::Lambda::Permission",  # in test_web.py
    }
    granting = {
        resource["Type"]
        for resource in resources.values()
        if "::IAM::" in resource["Type"] or resource["Type"].endswith(("Policy", "Permission"))
    }
    assert granting == compared


def test_each_function_and_workflow_has_the_role_of_its_name(resources: Resources) -> None:
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Lambda::Function":
            role = name.removesuffix("Function") + "Role"
            assert resource["Properties"]["Role"] == {"Fn::GetAtt": [role, "Arn"]}
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            role = name.removesuffix("StateMachine") + "Role"
            assert resource["Properties"]["RoleArn"] == {"Fn::GetAtt": [role, "Arn"]}
