"""A person's answer: into the record once, the photo to labelled/, the decision onto the bus."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.permissions import allowed, refused, without
from tests.workflow.conftest import (
    REPOSITORY,
    SURE,
    UNAVAILABLE,
    Outcome,
    Stack,
    plain,
    probabilities,
    standard_only,
    tasks,
    wait_until,
)

UNSURE = probabilities(0.6, 0.3, 0.1)


def at(seconds: float = 0) -> str:
    """So many seconds after the tests' own noon, as a reviewer's tool writes it."""
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    return (noon + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def unsure(stack: Stack, key: str = "uploads/42/bike.jpg") -> Outcome:
    """A photo that waits for a person."""
    with stack.endpoint.answering(then=UNSURE):
        outcome = stack.upload(stack.photo(), key)
    assert outcome.values["review_state"] == "waiting"
    return outcome


def answer(image_id: str, label: str, reviewed_at: str, by: str = "anna") -> dict[str, Any]:
    return {"image_id": image_id, "label": label, "reviewed_by": by, "reviewed_at": reviewed_at}


def executions(stack: Stack) -> set[str]:
    pages = stack.stepfunctions.get_paginator("list_executions").paginate(
        stateMachineArn=stack.outputs["RecordReviewStateMachineArn"]
    )
    return {each["executionArn"] for page in pages for each in page["executions"]}


def review(stack: Stack, detail: dict[str, Any]) -> str:
    """Put `Photo Reviewed` onto the bus; what became of it."""
    before = executions(stack)
    put = stack.cloud.client("events").put_events(
        Entries=[
            {
                "EventBusName": stack.outputs["EventBusName"],
                "Source": "scones-unlimited",
                "DetailType": "Photo Reviewed",
                "Detail": json.dumps(detail),
            }
        ]
    )
    assert put["FailedEntryCount"] == 0
    [execution] = wait_until(lambda: executions(stack) - before, "an execution of RecordReview")
    return result(stack, execution)


def start(stack: Stack, detail: dict[str, Any], machine: str | None = None) -> str:
    """Start the workflow with a review; what became of it."""
    machine = machine or stack.outputs["RecordReviewStateMachineArn"]
    return result(stack, stack.start({"detail": detail}, machine))


def result(stack: Stack, execution: str) -> str:
    """The outcome that the workflow gives, or the error that it ends with."""
    described = stack.ended(execution)
    if described["status"] == "FAILED":
        error: str = described["error"]
        return error
    [output] = json.loads(described["output"])
    outcome: str = output["outcome"]
    return outcome


def record(stack: Stack, image_id: str) -> dict[str, Any]:
    """The record as plain values, its reviews in order."""
    found = stack.record(image_id)
    assert found is not None
    reviews = found.pop("reviews", {"SS": []})["SS"]
    return {name: plain(value) for name, value in found.items()} | {"reviews": sorted(reviews)}


def copies(stack: Stack, image_id: str) -> list[str]:
    """Keys of the photo under labelled/."""
    name = hashlib.sha256(image_id.encode()).hexdigest()[:32]
    listed = stack.s3.list_objects_v2(Bucket=stack.bucket, Prefix="labelled/")
    return [each["Key"] for each in listed.get("Contents", []) if name in each["Key"]]


def body(stack: Stack, **where: str) -> bytes:
    content: bytes = stack.s3.get_object(Bucket=stack.bucket, **where)["Body"].read()
    return content


def dead_letters(stack: Stack) -> list[dict[str, Any]]:
    """All answers that could not be carried out, taken out of the queue."""
    return stack.dead_letters("ReviewsDeadLetterQueueUrl")


def take_note(stack: Stack) -> float | None:
    """When a photo was labelled last, if one was since this was asked."""
    table, key = stack.outputs["RetrainingTableName"], {"name": {"S": "retraining"}}
    deleted = stack.dynamodb.delete_item(TableName=table, Key=key, ReturnValues="ALL_OLD")
    found = deleted.get("Attributes", {}).get("labelled_at")
    return None if found is None else float(plain(found))


# ── An answer ──


@pytest.mark.parametrize(
    ("label", "status", "reason"),
    [
        ("bicycle", "accepted", "bicycle, says a person"),
        ("motorcycle", "accepted", "motorcycle, says a person"),
        ("other", "rejected", "no bicycle or motorcycle in the photo, says a person"),
    ],
)
def test_answer_is_recorded_learned_from_and_published(
    stack: Stack, label: str, status: str, reason: str
) -> None:
    before = unsure(stack)
    assert review(stack, answer(before.image_id, label, at())) == "recorded"

    after = record(stack, before.image_id)
    reviewed = {
        "reviewed_label": label,
        "reviewed_by": "anna",
        "reviewed_at": "2026-11-20T12:00:00.000Z",
    }
    unchanged = {name: value for name, value in before.values.items() if name != "review_state"}
    history = [f"2026-11-20T12:00:00.000Z {label} anna"]
    assert after == unchanged | reviewed | {"reviews": history}
    assert before.image_id not in stack.query("to_review", review_state="waiting")

    events = stack.hear()[before.image_id]
    decided = {"label": label, "status": status, "reason": reason}
    assert events == [before.events[0], before.events[0] | reviewed | decided]

    [copy] = copies(stack, before.image_id)
    courier = hashlib.sha256(b"42").hexdigest()[:16]
    assert copy.startswith(f"labelled/{label}/{courier}/")
    assert copy.endswith(".jpg")
    assert body(stack, Key=copy) == body(stack, Key=before.values["s3_key"])


@standard_only
@pytest.mark.parametrize(
    "key",
    [
        "uploads/42/my bike.jpg",
        "uploads/42/a+b.jpg",
        "uploads/42/100%.jpg",
        "uploads/42/a%2Bb%20c?versionId=1.jpg",
        "uploads/käthe ü/🚲 & 'co' \"x\".JPEG",
        "uploads/42/" + "d/" * 495 + "x.jpg",
        "uploads/42/(1)*!~.heic",
        "uploads/{% 1 %}/$.x",
    ],
)
def test_photos_of_any_name_are_copied(stack: Stack, key: str) -> None:
    photo = unsure(stack, key)
    review(stack, answer(photo.image_id, "bicycle", at()))
    [copy] = copies(stack, photo.image_id)
    assert body(stack, Key=copy) == body(stack, Key=key)
    assert copy.isascii()


@standard_only
def test_version_that_was_classified_is_copied(stack: Stack) -> None:
    event = stack.put_unnoticed()
    classified = event["detail"]["object"]
    with stack.endpoint.answering(then=UNSURE):
        outcome = stack.run(event)
    stack.put(stack.photo(), classified["key"])
    review(stack, answer(outcome.image_id, "bicycle", at()))
    [copy] = copies(stack, outcome.image_id)
    version = body(stack, Key=classified["key"], VersionId=classified["version-id"])
    assert body(stack, Key=copy) == version != body(stack, Key=classified["key"])


@standard_only
def test_same_name_uploaded_twice_is_two_labelled_photos(stack: Stack) -> None:
    photos = [unsure(stack, "uploads/42/same.jpg") for _ in range(2)]
    for photo in photos:
        review(stack, answer(photo.image_id, "bicycle", at()))
    keys = {key for photo in photos for key in copies(stack, photo.image_id)}
    assert len(keys) == 2


@standard_only
def test_photo_that_was_accepted_can_be_reviewed(stack: Stack) -> None:
    with stack.endpoint.answering(then=SURE):
        accepted = stack.upload(stack.photo())
    review(stack, answer(accepted.image_id, "motorcycle", at()))
    after = record(stack, accepted.image_id)
    assert (after["label"], after["reviewed_label"]) == ("bicycle", "motorcycle")
    assert stack.hear()[accepted.image_id][-1]["label"] == "motorcycle"


@standard_only
def test_photo_that_has_expired_is_decided_all_the_same(stack: Stack) -> None:
    event = stack.put_unnoticed()
    photo = event["detail"]["object"]
    with stack.endpoint.answering(then=UNSURE):
        outcome = stack.run(event)
    stack.s3.delete_object(Bucket=stack.bucket, Key=photo["key"], VersionId=photo["version-id"])
    take_note(stack)
    assert review(stack, answer(outcome.image_id, "bicycle", at())) == "recorded"
    assert stack.hear()[outcome.image_id][-1]["reviewed_label"] == "bicycle"
    assert copies(stack, outcome.image_id) == []
    assert take_note(stack) is None  # nothing to learn from


@standard_only
def test_reviewers_tool_shows_the_oldest_and_records_the_answer(stack: Stack) -> None:
    unsure(stack)
    waiting = stack.query("to_review", review_state="waiting")
    done = subprocess.run(
        [sys.executable, "-m", "operations.review", "--name", "anna"],
        cwd=REPOSITORY,
        env=stack.cloud.environment(),
        input="m\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "recorded: 1 of 1 reviews" in done.stdout
    [answered] = set(waiting) - set(stack.query("to_review", review_state="waiting"))
    assert waiting[0] == answered
    after = record(stack, answered)
    assert (after["reviewed_label"], after["reviewed_by"]) == ("motorcycle", "anna")


# ── More than one answer ──


def test_newer_answer_corrects_the_label(stack: Stack) -> None:
    photo = unsure(stack)
    answers = [("bicycle", "anna"), ("motorcycle", "bert"), ("bicycle", "anna")]
    for seconds, (label, by) in enumerate(answers):
        review(stack, answer(photo.image_id, label, at(seconds), by))
        assert [key.split("/")[1] for key in copies(stack, photo.image_id)] == [label]
        assert stack.hear()[photo.image_id][-1]["label"] == label
    after = record(stack, photo.image_id)
    assert [line.split(" ", 1)[1] for line in after["reviews"]] == [
        "bicycle anna",
        "motorcycle bert",
        "bicycle anna",
    ]
    assert "review_state" not in after


def test_repeated_or_older_answer_changes_nothing(stack: Stack) -> None:
    photo = unsure(stack)
    newest = answer(photo.image_id, "motorcycle", at(10))
    review(stack, newest)
    before = record(stack, photo.image_id), copies(stack, photo.image_id), stack.hear()
    events = list(stack.hear()[photo.image_id])
    for detail in (newest, answer(photo.image_id, "bicycle", at(9.9), "bert")):
        assert review(stack, detail) == "already reviewed"
    after = record(stack, photo.image_id), copies(stack, photo.image_id), stack.hear()
    assert after == before
    assert stack.hear()[photo.image_id] == events


@standard_only
def test_times_compare_however_they_are_written(stack: Stack) -> None:
    photo = unsure(stack)
    second = "2026-11-20T12:00:01"
    written = [f"{second}Z", f"{second}.2Z", f"{second}.25+00:00", f"{second}.251999Z"]
    for reviewed_at in written:
        assert review(stack, answer(photo.image_id, "bicycle", reviewed_at)) == "recorded"
    assert record(stack, photo.image_id)["reviewed_at"] == f"{second}.251Z"
    assert review(stack, answer(photo.image_id, "bicycle", written[2])) == "already reviewed"


# ── What a retraining asks for ──


def test_labels_and_corrections_are_noted_and_nothing_else_is(stack: Stack) -> None:
    photo = unsure(stack)
    take_note(stack)
    began = time.time() // 1
    for seconds, label in enumerate(("bicycle", "motorcycle")):
        detail = answer(photo.image_id, label, at(seconds))
        review(stack, detail)
        assert began <= (take_note(stack) or 0) <= time.time()
    for wrong in (detail, detail | {"label": "unicycle"}):
        review(stack, wrong)
        assert take_note(stack) is None


# ── Answers that do not count ──


@standard_only
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"image_id": "uploads/42/none.jpg#1"}, "no photo has this image_id"),
        ({"image_id": None}, "image_id is missing"),
        ({"image_id": ""}, "image_id is missing"),
        ({"image_id": {"S": "x"}}, "image_id is missing"),
        ({"label": "unicycle"}, "label is none of bicycle,motorcycle,other"),
        ({"label": ["bicycle"]}, "label is missing"),
        ({"reviewed_by": "  "}, "reviewed_by is missing"),
        ({"reviewed_by": "a" * 201}, "reviewed_by is missing"),
        ({"reviewed_at": 1763640000}, "reviewed_at is missing"),
        ({"reviewed_at": "yesterday"}, "reviewed_at is no time in UTC"),
        ({"reviewed_at": "2026-11-20T12:00:00+01:00"}, "reviewed_at is no time in UTC"),
        ({"reviewed_at": "2026-13-20T12:00:00Z"}, "reviewed_at is no time in UTC"),
        ({"reviewed_at": "9999-01-01T00:00:00Z"}, "reviewed_at is in the future"),
    ],
)
def test_wrong_answer_is_refused_in_words(stack: Stack, wrong: dict[str, Any], reason: str) -> None:
    photo = unsure(stack)
    detail = answer(photo.image_id, "bicycle", at()) | wrong
    assert review(stack, detail) == "refused"
    stack.hear()
    refused = stack.others["Review Refused"][-1]
    assert refused.pop("reason").startswith(reason)
    assert refused == detail
    assert stack.record(photo.image_id) == photo.record
    assert dead_letters(stack) == []


@standard_only
def test_photo_that_failed_is_to_be_run_again_first(stack: Stack) -> None:
    with stack.endpoint.answering(then=UNAVAILABLE):
        failed = stack.upload(stack.photo())
    assert review(stack, answer(failed.image_id, "bicycle", at())) == "refused"
    stack.hear()
    assert "run it again" in stack.others["Review Refused"][-1]["reason"]


# ── A step fails ──


@pytest.fixture
def faults(stack: Stack) -> Iterator[str]:
    """A copy of the state machine, by the name under which faults.json makes steps of it fail."""
    true = stack.stepfunctions.describe_state_machine(
        stateMachineArn=stack.outputs["RecordReviewStateMachineArn"]
    )
    copy: str = stack.stepfunctions.create_state_machine(
        name="review-faults", **{name: true[name] for name in ("definition", "roleArn", "type")}
    )["stateMachineArn"]
    yield copy
    stack.stepfunctions.delete_state_machine(stateMachineArn=copy)


@pytest.mark.parametrize(
    ("fault", "error", "in_the_record"),
    [
        ("SavingFails", "DynamoDB.InternalServerError", False),
        ("CopyingFails", "S3.S3Exception", True),
        ("NotingFails", "DynamoDB.InternalServerError", True),
        ("RemovingFails", "S3.S3Exception", True),
        ("PublishingFails", "EventBridge.FailedEntry", True),
        ("FinishingFails", "DynamoDB.InternalServerError", True),
    ],
)
def test_review_is_kept_and_can_be_completed_later(
    stack: Stack, faults: str, fault: str, error: str, in_the_record: bool
) -> None:
    photo = unsure(stack)
    review(stack, answer(photo.image_id, "bicycle", at()))
    correction = answer(photo.image_id, "motorcycle", at(1))
    take_note(stack)
    assert start(stack, correction, f"{faults}#{fault}") == error
    if fault == "CopyingFails":  # what is noted can be learned from
        assert take_note(stack) is None
    half = record(stack, photo.image_id)
    assert (half.get("review_state") == "recording") == in_the_record

    [kept] = dead_letters(stack)
    assert kept == {"detail": correction}
    assert start(stack, kept["detail"]) == "recorded"
    whole = record(stack, photo.image_id)
    assert whole["reviewed_label"] == "motorcycle"
    assert len(whole["reviews"]) == 2
    assert "review_state" not in whole
    assert [key.split("/")[1] for key in copies(stack, photo.image_id)] == ["motorcycle"]
    assert stack.hear()[photo.image_id][-1]["label"] == "motorcycle"


@standard_only
def test_answer_that_is_overtaken_leaves_no_copy(stack: Stack, faults: str) -> None:
    """While it was carried out a newer one came: the record is theirs, so is the only copy."""
    photo = unsure(stack)
    overtaken = answer(photo.image_id, "bicycle", at())
    start(stack, overtaken, f"{faults}#FinishingFails")
    dead_letters(stack)
    newer = answer(photo.image_id, "motorcycle", at(1))
    assert start(stack, newer, f"{faults}#Overtaken") == "recorded"
    assert start(stack, overtaken) == "already reviewed"
    assert [key.split("/")[1] for key in copies(stack, photo.image_id)] == ["motorcycle"]

    late = answer(photo.image_id, "other", at(2))
    assert start(stack, late, f"{faults}#OvertakenByAnother") == "recorded"
    assert copies(stack, photo.image_id) == []


# ── Who may do what ──


def calls(stack: Stack) -> set[tuple[str, str]]:
    """Action and resource of every call that the workflow makes."""
    photo = f"arn:aws:s3:::{stack.bucket}/"
    described = stack.stepfunctions.describe_state_machine(
        stateMachineArn=stack.outputs["RecordReviewStateMachineArn"]
    )
    table, bus = stack.outputs["PredictionsTableName"], stack.outputs["EventBusName"]
    notes = stack.outputs["RetrainingTableName"]
    queue = stack.sqs.get_queue_attributes(
        QueueUrl=stack.outputs["ReviewsDeadLetterQueueUrl"], AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    permissions = {
        "dynamodb:updateItem": {
            ("dynamodb:UpdateItem", f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}"),
            ("dynamodb:UpdateItem", f"arn:aws:dynamodb:us-east-1:000000000000:table/{notes}"),
        },
        "dynamodb:getItem": {
            ("dynamodb:GetItem", f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}")
        },
        "aws-sdk:s3:copyObject": {
            ("s3:GetObject", f"{photo}uploads/42/a.jpg"),
            ("s3:GetObjectVersion", f"{photo}uploads/42/a.jpg"),
            ("s3:PutObject", f"{photo}labelled/bicycle/a.jpg"),
            ("s3:ListBucket", photo.removesuffix("/")),
        },
        "aws-sdk:s3:deleteObject": {("s3:DeleteObject", f"{photo}labelled/bicycle/a.jpg")},
        "events:putEvents": {
            ("events:PutEvents", f"arn:aws:events:us-east-1:000000000000:event-bus/{bus}")
        },
        "sqs:sendMessage": {("sqs:SendMessage", queue)},
    }
    used = {task["Resource"] for task in tasks(json.loads(described["definition"]))}
    assert used == {f"arn:aws:states:::{call}" for call in permissions}
    return set().union(*permissions.values())


@standard_only
def test_workflow_may_do_what_it_does_and_no_more(stack: Stack) -> None:
    for action, resource in calls(stack):
        assert allowed(stack, "RecordReviewRole", action, resource), action
    photo = f"arn:aws:s3:::{stack.bucket}/"
    for action, resource in (
        ("dynamodb:DeleteItem", next(arn for call, arn in calls(stack) if "dynamodb" in call)),
        ("s3:PutObject", f"{photo}uploads/42/a.jpg"),
        ("s3:DeleteObject", f"{photo}uploads/42/a.jpg"),
        ("s3:GetObject", f"{photo}labelled/bicycle/a.jpg"),
        ("events:PutEvents", "arn:aws:events:us-east-1:000000000000:event-bus/default"),
    ):
        assert not allowed(stack, "RecordReviewRole", action, resource), action


@standard_only
@pytest.mark.parametrize(
    ("policy", "action"),
    [
        ("RecordReviews", "dynamodb:UpdateItem"),
        ("RecordReviews", "dynamodb:GetItem"),
        ("NoteLabels", "dynamodb:UpdateItem"),
        ("CopyUploads", "s3:GetObject"),
        ("CopyUploads", "s3:GetObjectVersion"),
        ("CopyUploads", "s3:PutObject"),
        ("CopyUploads", "s3:DeleteObject"),
        ("CopyUploads", "s3:ListBucket"),
        ("PublishReviews", "events:PutEvents"),
        ("KeepReviews", "sqs:SendMessage"),
    ],
)
def test_workflow_needs_every_policy(stack: Stack, policy: str, action: str) -> None:
    with without(stack, "RecordReviewRole", policy, action):
        assert refused(stack, "RecordReviewRole", calls(stack)) == {action}


@standard_only
def test_rule_may_start_this_workflow_only(stack: Stack) -> None:
    role, start_it = "PhotoReviewedRole", "states:StartExecution"
    assert allowed(stack, role, start_it, stack.outputs["RecordReviewStateMachineArn"])
    assert not allowed(stack, role, start_it, stack.state_machine)
