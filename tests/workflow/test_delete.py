"""`make delete` on the local cloud, beside a stack that must stay."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local.cloud import ARTIFACTS_BUCKET, LocalCloud
from tests.support.repository import REPOSITORY
from tests.support.stack import Stack
from tests.support.waiting import wait_until

NAME, ENDPOINT = "scones-delete", "delete-endpoint"
TAGS = [{"Key": "project", "Value": "scones-unlimited"}, {"Key": "endpoint", "Value": ENDPOINT}]
SAM_TEMPLATE = {
    "Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}},
    "Outputs": {"SourceBucket": {"Value": {"Ref": "Bucket"}}},
}
# The queue fails: its stack is rolled back, or left as it is.
BROKEN_TEMPLATE = {
    "Resources": {
        "PhotosBucket": {"Type": "AWS::S3::Bucket"},
        "Queue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {"QueueName": {"Fn::GetAtt": ["PhotosBucket", "Nothing"]}},
        },
    }
}


@dataclass
class Deletion:
    """The command, run against the local cloud."""

    cloud: LocalCloud

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        script = [sys.executable, "-m", "operations.delete"]
        ended = subprocess.run(
            [*script, "--stack-name", NAME, *arguments],
            cwd=REPOSITORY,
            env=self.cloud.environment() | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in ended.stderr
        return ended

    def names(self) -> set[str]:
        """Names of all resources with the name of the stack or the endpoint, in every service."""
        client = self.cloud.client
        found = {bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]}
        found |= set(client("dynamodb").list_tables()["TableNames"])
        groups = client("logs").describe_log_groups()["logGroups"]
        found |= {group["logGroupName"] for group in groups}
        alarms = client("cloudwatch").describe_alarms()["MetricAlarms"]
        found |= {alarm["AlarmName"] for alarm in alarms}
        repositories = client("ecr").describe_repositories()["repositories"]
        found |= {repository["repositoryName"] for repository in repositories}
        functions = client("lambda").list_functions()["Functions"]
        found |= {function["FunctionName"] for function in functions}
        found |= {role["RoleName"] for role in client("iam").list_roles()["Roles"]}
        found |= set(client("sqs").list_queues().get("QueueUrls", []))
        buses = client("events").list_event_buses()["EventBuses"]
        found |= {bus["Name"] for bus in buses}
        schedules = client("scheduler").list_schedules()["Schedules"]
        found |= {schedule["Name"] for schedule in schedules}
        machines = client("stepfunctions").list_state_machines()["stateMachines"]
        found |= {machine["name"] for machine in machines}
        pools = client("cognito-idp").list_user_pools(MaxResults=60)["UserPools"]
        found |= {pool["Name"] for pool in pools}
        found |= {api["Name"] for api in client("apigatewayv2").get_apis()["Items"]}
        return {name for name in found if NAME in name or ENDPOINT in name}


@pytest.fixture
def deletion(deployed: Stack) -> Iterator[Deletion]:
    script = Deletion(deployed.cloud)
    yield script
    script.run("--yes")


def create(cloud: LocalCloud, name: str, template: dict[str, Any], **options: str) -> str:
    """Create a stack from a small template; its status at the end."""
    cloudformation = cloud.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template), **options)

    def ended() -> str | None:
        [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
        status: str = stack["StackStatus"]
        return None if status.endswith("IN_PROGRESS") else status

    return wait_until(ended, f"the end of creating {name}")


def deploy(cloud: LocalCloud) -> dict[str, str]:
    """Deploy the template with another stack name and endpoint; the outputs."""
    cloud.client("s3").create_bucket(Bucket=ARTIFACTS_BUCKET)
    command = ["deploy", "--config-env", "local", "--stack-name", NAME]
    command += ["--config-file", str(REPOSITORY / "samconfig.toml")]
    command += ["--template-file", str(cloud.directory / "build" / "template.yaml")]
    command += ["--parameter-overrides", f"EndpointName={ENDPOINT}"]
    cloud._sam(command, cloud.environment())
    [stack] = cloud.client("cloudformation").describe_stacks(StackName=NAME)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def test_the_stack_and_its_data_are_deleted_and_nothing_else(deletion: Deletion) -> None:
    cloud = deletion.cloud
    s3, logs = cloud.client("s3"), cloud.client("logs")
    outputs = deploy(cloud)
    bucket, training_bucket = outputs["PhotosBucketName"], outputs["TrainingBucketName"]
    # Versions, names that need care in a URL, a delete marker, an unfinished upload.
    for number in range(20):
        for photo in (b"one", b"two"):
            s3.put_object(Bucket=bucket, Key=f"labelled/bicycle/{number} +é%.jpg", Body=photo)
    s3.delete_object(Bucket=bucket, Key="labelled/bicycle/0 +é%.jpg")
    s3.create_multipart_upload(Bucket=bucket, Key="labelled/big.jpg")
    # The local cloud cannot list keys that XML cannot carry: tests/unit/deletion has them.
    for key in ("tab\there", "line\nend", "."):
        s3.put_object(Bucket=bucket, Key=key, Body=b"odd")
    # What the training makes in services that the local cloud offers.
    s3.put_object(Bucket=training_bucket, Key="data/train.tar", Body=b"0" * 2**20)
    logs.create_log_group(logGroupName=f"/aws/sagemaker/Endpoints/{ENDPOINT}")
    # A user of the web pages, whose pool and API have the name of the stack.
    cloud.client("cognito-idp").admin_create_user(UserPoolId=outputs["UserPoolId"], Username="anna")
    # What SAM uploads, for this stack and for another.
    create(cloud, "aws-sam-cli-managed-default", SAM_TEMPLATE)
    [sam] = cloud.client("cloudformation").describe_stacks(StackName="aws-sam-cli-managed-default")[
        "Stacks"
    ]
    [output] = sam["Outputs"]
    for prefix in (NAME, f"{NAME}-2"):
        s3.put_object(Bucket=output["OutputValue"], Key=f"{prefix}/{'0' * 32}", Body=b"zip")
    # What only looks like ours.
    not_ours = f"{NAME}-holiday-photos"
    s3.create_bucket(Bucket=not_ours)

    before = deletion.names()
    listed = deletion.run("--dry-run")
    assert listed.returncode == 0, listed.stderr
    assert deletion.names() == before
    assert "44 object versions, 0.0 MiB, 1 unfinished upload" in listed.stdout
    assert f"endpoint {ENDPOINT}\n" in listed.stdout
    for name in (bucket, training_bucket, f"{output['OutputValue']}/{NAME}/"):
        assert f" {name} " in listed.stdout
    assert not_ours not in listed.stdout

    unanswered = deletion.run()
    assert unanswered.returncode == 1
    assert deletion.names() == before

    cleaned = deletion.run("--yes")
    assert cleaned.returncode == 0, cleaned.stderr
    assert "Checked again, by name and by tag:\nNothing was found.\n" in cleaned.stdout
    assert deletion.names() == {not_ours}
    kept = s3.list_objects_v2(Bucket=output["OutputValue"])["Contents"]
    assert [item["Key"] for item in kept] == [f"{NAME}-2/{'0' * 32}"]

    again = deletion.run("--yes", "--endpoint-name", ENDPOINT)
    assert again.returncode == 0, again.stderr
    assert "deleting" not in again.stdout

    s3.delete_bucket(Bucket=not_ours)


@pytest.mark.parametrize(
    ("options", "status"),
    [({}, "ROLLBACK_COMPLETE"), ({"OnFailure": "DO_NOTHING"}, "CREATE_FAILED")],
)
def test_a_stack_that_failed_to_deploy_is_deleted(
    deletion: Deletion, options: dict[str, str], status: str
) -> None:
    assert create(deletion.cloud, NAME, BROKEN_TEMPLATE, **options) == status
    cleaned = deletion.run("--yes")
    assert cleaned.returncode == 0, cleaned.stderr
    assert status in cleaned.stdout
    assert deletion.names() == set()


def test_if_a_permission_is_missing_the_rest_is_deleted_and_the_exit_status_is_1(
    deletion: Deletion,
) -> None:
    """The user may do everything except look into ECR."""
    cloud, iam = deletion.cloud, deletion.cloud.client("iam")
    user = {"UserName": "cleaner"}
    iam.create_user(**user)
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "ecr:*", "Resource": "*"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(**user, PolicyName="all-but-ecr", PolicyDocument=policy)
    key = iam.create_access_key(**user)["AccessKey"]
    training_bucket = f"{NAME}-training-000000000000-us-east-1"
    cloud.client("s3").create_bucket(Bucket=training_bucket)
    cloud.client("s3").put_bucket_tagging(Bucket=training_bucket, Tagging={"TagSet": TAGS})
    try:
        ended = deletion.run(
            "--yes",
            "--endpoint-name",
            ENDPOINT,
            AWS_ACCESS_KEY_ID=key["AccessKeyId"],
            AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"],
        )
    finally:
        iam.delete_access_key(**user, AccessKeyId=key["AccessKeyId"])
        iam.delete_user_policy(**user, PolicyName="all-but-ecr")
        iam.delete_user(**user)
    assert ended.returncode == 1
    assert "ecr:DescribeRepositories" in ended.stderr
    assert deletion.names() == set()
