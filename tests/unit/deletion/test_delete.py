"""`operations.delete` removes all that is ours and nothing else, and reports what remains."""

from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.s3.models import s3_backends

from tests.support.account import (
    ACCOUNT,
    BY_STACK,
    ENDPOINT,
    OTHERS,
    OURS,
    PHOTOS_BUCKET_NAME,
    REGION,
    STACK,
    STACK_ID,
    TRAINING_BUCKET,
    Aws,
    Clean,
    RefusedError,
    deploy,
    inventory,
    make_bucket,
    make_table,
    train,
)


def lines(text: str, kind: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(kind)]


@pytest.mark.usefixtures("aws_account")
def test_an_empty_account_is_no_error(clean: Clean) -> None:
    outcome = clean()
    assert outcome.code == 0
    assert "Nothing was found." in outcome.out
    assert not outcome.err


def test_everything_is_deleted_and_a_second_run_finds_nothing(
    aws_account: Aws, clean: Clean
) -> None:
    deploy(aws_account)
    train(ENDPOINT, OURS)
    make_bucket(TRAINING_BUCKET, OURS)
    first = clean("--yes")
    assert first.code == 0, first.err
    assert "Checked again, by name and by tag:\nNothing was found.\n" in first.out
    assert first.out.splitlines()[-1] == (
        "Deleted: 1 autoscaling target, 1 endpoint, 1 training job, 1 processing job, 1 endpoint "
        "configuration, 1 model, 1 model package group, 1 ECR repository, 1 alarm, 2 S3 buckets, "
        "1 stack, 1 DynamoDB table, 2 log groups"
    )
    # SageMaker's log group of all jobs stays. The stream of our job is deleted.
    shared = ["/aws/sagemaker/ProcessingJobs", "/aws/sagemaker/TrainingJobs"]
    assert inventory() == {"log groups": shared}
    assert aws_account.stack is None

    second = clean("--yes")
    assert second.code == 0
    assert "Nothing was found." in second.out
    assert "deleting" not in second.out


def test_a_dry_run_lists_the_costs_and_deletes_nothing(aws_account: Aws, clean: Clean) -> None:
    deploy(aws_account)
    train(ENDPOINT, OURS)
    before = inventory()
    aws_account.calls.clear()
    outcome = clean("--dry-run")
    assert outcome.code == 0
    assert inventory() == before
    assert not [call for call in aws_account.calls if call.startswith(("Delete", "Abort", "Stop"))]
    # Two ml.m5.large at 0.115 dollars an hour, 730 hours; two alarms at 0.10 dollars.
    [endpoint] = lines(outcome.out, "endpoint  ")
    assert endpoint.split()[-1] == "167.90"
    assert "2 x ml.m5.large" in endpoint
    [bucket] = lines(outcome.out, "S3 bucket")
    assert "3 object versions, 1.0 MiB, 1 unfinished upload" in bucket
    [total] = lines(outcome.out, "total")
    assert total.split()[-1] == "168.10"


@pytest.mark.usefixtures("aws_account")
@pytest.mark.parametrize("answer", [None, "", "n", "yes please"])
def test_without_a_yes_nothing_is_deleted(clean: Clean, answer: str | None) -> None:
    make_bucket(TRAINING_BUCKET, OURS)
    before = inventory()
    outcome = clean(answer=answer)
    assert outcome.code == 1
    assert inventory() == before
    assert outcome.err == "delete: nothing was deleted (--yes deletes without asking)\n"


@pytest.mark.usefixtures("aws_account")
def test_everything_is_deleted_after_a_yes(clean: Clean) -> None:
    make_bucket(TRAINING_BUCKET, OURS)
    assert clean(answer="Y").code == 0
    assert inventory() == {}


@pytest.mark.usefixtures("aws_account")
def test_resources_of_others_stay(clean: Clean) -> None:
    """Resources of another endpoint or region, and resources with our names and other tags."""
    train(f"{ENDPOINT}-2", OTHERS)
    elsewhere = STACK_ID.replace(REGION, "us-east-1")
    make_bucket(
        f"{STACK}-photosbucket-ours-elsewhere",
        [
            {"Key": "aws:cloudformation:stack-name", "Value": STACK},
            {"Key": "aws:cloudformation:stack-id", "Value": elsewhere},
        ],
    )
    make_bucket(f"{STACK}-holiday-photos")
    make_bucket(
        f"{STACK}-2-photosbucket",
        [
            {"Key": "aws:cloudformation:stack-id", "Value": STACK_ID.replace(STACK, f"{STACK}-2")},
        ],
    )
    make_table(f"{STACK}-recipes")
    boto3.client("logs").create_log_group(logGroupName=f"/aws/lambda/{STACK}-2")
    before = inventory()
    outcome = clean("--yes")
    assert outcome.code == 0, outcome.err
    assert inventory() == before
    assert "Nothing was found." in outcome.out


@pytest.mark.usefixtures("aws_account")
def test_resources_that_an_update_of_the_stack_replaced_are_deleted(clean: Clean) -> None:
    make_bucket(f"{STACK}-photosbucket-0old", BY_STACK)
    make_table(f"{STACK}-PredictionsTable-0OLD", BY_STACK)
    outcome = clean("--yes")
    assert outcome.code == 0, outcome.err
    assert inventory() == {}


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "DELETE_FAILED", "CREATE_FAILED"])
def test_a_stack_whose_deployment_failed_is_deleted(
    aws_account: Aws, clean: Clean, status: str
) -> None:
    deploy(aws_account, status)
    assert clean("--yes").code == 0
    assert inventory() == {}
    assert aws_account.stack is None


def test_a_stack_is_deleted_even_if_its_bucket_was_deleted_by_hand(
    aws_account: Aws, clean: Clean
) -> None:
    aws_account.stack = "DELETE_FAILED"
    aws_account.resources = {"PhotosBucket": ("AWS::S3::Bucket", PHOTOS_BUCKET_NAME)}
    aws_account.answers["DeleteStack"] = lambda _: setattr(aws_account, "stack", None) or {}
    assert clean("--yes").code == 0


def test_buckets_are_emptied_in_batches(aws_account: Aws, clean: Clean) -> None:
    """S3 lists and deletes at most 1000 at a time."""
    make_bucket(TRAINING_BUCKET, OURS)
    backend = s3_backends[ACCOUNT]["aws"]  # many times faster than with boto3
    for number in range(1100):
        backend.put_object(TRAINING_BUCKET, f"data/{number}", b"")
    aws_account.calls.clear()
    outcome = clean("--yes")
    assert outcome.code == 0, outcome.err
    assert inventory() == {}
    assert aws_account.calls.count("DeleteObjects") == 2


def test_objects_that_s3_keeps_are_named_and_the_stack_stays(
    aws_account: Aws, clean: Clean
) -> None:
    """AWS would delete all except the bucket. The stack would stay in DELETE_FAILED."""
    deploy(aws_account)
    train(ENDPOINT, OURS)
    error = {"Key": "uploads/7/a +é%.jpg", "Code": "AccessDenied", "Message": "Access Denied"}
    aws_account.answers["DeleteObjects"] = lambda _: {"Errors": [error]}
    outcome = clean("--yes")
    assert outcome.code == 1
    assert "S3 kept 1 object version, first 'uploads/7/a +é%.jpg' (AccessDenied: " in outcome.err
    assert f"bucket {PHOTOS_BUCKET_NAME} is not empty" in outcome.err
    assert "DeleteStack" not in aws_account.calls
    assert set(inventory()) == {"buckets", "tables", "log groups"}
    assert lines(outcome.out.split("Checked again")[1], "stack")

    del aws_account.answers["DeleteObjects"]
    assert clean("--yes").code == 0


def test_the_reason_is_printed_if_aws_keeps_the_stack(aws_account: Aws, clean: Clean) -> None:
    deploy(aws_account)
    s3 = boto3.client("s3")

    def upload_and_delete(arguments: dict[str, Any]) -> dict[str, Any]:
        s3.put_object(Bucket=PHOTOS_BUCKET_NAME, Key="uploads/8/late.jpg", Body=b"late")
        return aws_account.delete_stack(arguments)

    aws_account.answers["DeleteStack"] = upload_and_delete
    outcome = clean("--yes")
    assert outcome.code == 1
    reason = "AWS kept PhotosBucket (The bucket you tried to delete is not empty)"
    assert reason in outcome.err
    again = f"--stack-name {STACK} --endpoint-name {ENDPOINT} --region {REGION}\n"
    assert outcome.err.endswith(again)
    aws_account.answers["DeleteStack"] = aws_account.delete_stack
    aws_account.stuck_on = None
    aws_account.resources = {"PhotosBucket": ("AWS::S3::Bucket", PHOTOS_BUCKET_NAME)}
    assert clean("--yes").code == 0


def test_a_running_training_job_is_stopped_first(aws_account: Aws, clean: Clean) -> None:
    train(ENDPOINT, OURS, status="InProgress")
    listed = clean("--dry-run")
    [job] = lines(listed.out, "training job")
    assert job.split()[-2:] == ["InProgress", "?"]
    assert "at least" in lines(listed.out, "total")[0]
    assert clean("--yes").code == 0
    stop, delete = (aws_account.calls.index(f"{verb}TrainingJob") for verb in ("Stop", "Delete"))
    assert stop < delete


@pytest.mark.usefixtures("aws_account")
def test_the_endpoint_is_deleted_even_without_its_configuration(clean: Clean) -> None:
    train(ENDPOINT, OURS)
    boto3.client("sagemaker").delete_endpoint_config(EndpointConfigName=f"{ENDPOINT}-20261120")
    assert clean("--yes").code == 0
    assert "endpoints" not in inventory()


def test_the_command_waits_for_an_endpoint_that_is_being_updated(
    aws_account: Aws, clean: Clean, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(ENDPOINT, OURS)
    endpoint = aws_account.sagemaker.endpoints[ENDPOINT]
    endpoint.endpoint_status = "Updating"

    def delete(arguments: dict[str, Any]) -> dict[str, Any]:
        if endpoint.endpoint_status == "Updating":
            raise RefusedError("ValidationException", "Cannot update in-progress endpoint")
        aws_account.sagemaker.delete_endpoint(arguments["EndpointName"])
        return {}

    aws_account.answers["DeleteEndpoint"] = delete
    monkeypatch.setattr("time.sleep", lambda _: setattr(endpoint, "endpoint_status", "Failed"))
    outcome = clean("--yes")
    assert outcome.code == 0, outcome.err
    assert f"endpoint {ENDPOINT} is Updating: waiting until" in outcome.out


def test_model_and_configuration_stay_if_the_endpoint_cannot_be_deleted(
    aws_account: Aws, clean: Clean
) -> None:
    train(ENDPOINT, OURS)
    make_bucket(TRAINING_BUCKET, OURS)
    before = inventory()
    aws_account.deny("DeleteEndpoint")
    outcome = clean("--yes")
    assert outcome.code == 1
    assert "the rest was not deleted" in outcome.err
    assert inventory() == {kind: names for kind, names in before.items() if kind != "scaling"}
    del aws_account.answers["DeleteEndpoint"]
    assert clean("--yes").code == 0
    assert set(inventory()) == {"log groups"}


def test_another_region_can_be_given(
    aws_account: Aws, clean: Clean, environment: pytest.MonkeyPatch
) -> None:
    train(ENDPOINT, OURS)
    environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert "Nothing was found." in clean("--dry-run").out
    aws_account.deny("DeleteEndpoint")
    assert f" --region {REGION}\n" in clean("--yes", "--region", REGION).err
    del aws_account.answers["DeleteEndpoint"]
    assert clean("--yes", "--region", REGION).code == 0
    environment.setenv("AWS_DEFAULT_REGION", REGION)
    assert set(inventory()) == {"log groups"}


@pytest.mark.parametrize(
    ("denied", "stays"),
    [
        ("DescribeRepositories", {"repositories"}),
        ("ListEndpoints", {"endpoints"}),
        ("ListBuckets", {"buckets"}),
        ("DeleteRepository", {"repositories"}),
    ],
)
def test_a_service_without_permission_does_not_stop_the_rest(
    aws_account: Aws, clean: Clean, denied: str, stays: set[str]
) -> None:
    train(ENDPOINT, OURS)
    make_bucket(TRAINING_BUCKET, OURS)
    aws_account.deny(denied)
    outcome = clean("--yes")
    assert outcome.code == 1
    assert f"is not authorized to perform: {denied}" in outcome.err
    del aws_account.answers[denied]
    assert set(inventory()) - {"log groups"} == stays


def test_nothing_is_deleted_if_the_stack_cannot_be_read(aws_account: Aws, clean: Clean) -> None:
    deploy(aws_account)
    train(ENDPOINT, OURS)
    before = inventory()
    aws_account.deny("DescribeStacks")
    outcome = clean("--yes")
    assert outcome.code == 1
    assert "obstacle: the stack cannot be read: DescribeStacks is not perm" in outcome.err
    assert inventory() == before


def test_a_fault_of_aws_is_not_taken_for_a_service_that_is_not_offered(
    aws_account: Aws, clean: Clean
) -> None:
    def fail(_: dict[str, Any]) -> dict[str, Any]:
        raise RefusedError("503", "Service Unavailable")

    aws_account.answers["ListBuckets"] = fail
    outcome = clean("--dry-run")
    assert outcome.code == 1
    assert "not checked: " in outcome.err


@pytest.mark.usefixtures("aws_account")
def test_a_resource_that_only_its_tags_show_is_named(clean: Clean) -> None:
    topic = boto3.client("sns").create_topic(Name="by-hand", Tags=OURS)["TopicArn"]
    outcome = clean("--yes")
    assert outcome.code == 1
    assert topic in outcome.out.split("Checked again")[1]


def test_deleted_resources_that_the_tag_index_still_lists_are_ignored(
    aws_account: Aws, clean: Clean
) -> None:
    """The index still has a queue. CloudFormation knows that the stack has deleted it."""
    aws_account.resources = {"Replaced": ("AWS::SQS::Queue", "https://queue")}
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{STACK}-Queue-1ABC"
    index = {"ResourceTagMappingList": [{"ResourceARN": arn, "Tags": BY_STACK}]}
    aws_account.answers["GetResources"] = lambda _: index
    assert clean().code == 0
    aws_account.resources = {}  # kept: the deleted stack does not know of it
    assert arn in clean("--dry-run").out


def test_a_service_that_a_local_cloud_lacks_is_named(aws_account: Aws, clean: Clean) -> None:
    def unsupported(_: dict[str, Any]) -> dict[str, Any]:
        raise RefusedError("400", "")

    for call in ("ListEndpoints", "ListTrainingJobs", "ListEndpointConfigs", "ListModels"):
        aws_account.answers[call] = unsupported
    outcome = clean()
    assert outcome.code == 0
    assert outcome.out.count("SageMaker is not offered here: not checked.") == 1


@pytest.mark.usefixtures("aws_account")
def test_stack_and_endpoint_can_have_other_names(clean: Clean) -> None:
    tags = [OURS[0], {"Key": "endpoint", "Value": "my-endpoint"}]
    train("my-endpoint", tags)
    make_bucket(f"my-stack-training-{ACCOUNT}-{REGION}", tags)
    outcome = clean("--yes", "--stack-name", "my-stack", "--endpoint-name", "my-endpoint")
    assert outcome.code == 0, outcome.err
    shared = ["/aws/sagemaker/ProcessingJobs", "/aws/sagemaker/TrainingJobs"]
    assert inventory() == {"log groups": shared}


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], "no AWS credentials"),
        (["AWS_DEFAULT_REGION"], "no region"),
    ],
)
def test_missing_credentials_or_region_are_reported_in_one_line(
    environment: pytest.MonkeyPatch, clean: Clean, tmp_path: Path, missing: list[str], reason: str
) -> None:
    environment.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in missing:
        environment.delenv(name)
    outcome = clean("--dry-run")
    assert outcome.code == 1
    assert outcome.err.startswith(f"delete: {reason}")
    assert outcome.err.count("\n") == 1
