"""A review: recorded once, the photo copied to labelled/, the decision published."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.endpoint import CONFIDENT, UNAVAILABLE
from tests.support.permissions import allowed, refused
from tests.support.repository import REPOSITORY
from tests.support.reviews import (
    BELOW_THRESHOLD,
    noon,
    photo_to_review,
    publish_review,
    record_review,
    review_of,
)
from tests.support.stack import Stack, plain, standard_only
from tests.support.state_machines import tasks


def reviewed_record(stack: Stack, image_id: str) -> dict[str, Any]:
    """The record as plain values, its reviews in order."""
    found = stack.record(image_id)
    assert found is not None
    reviews = found.pop("reviews", {"SS": []})["SS"]
    return {name: plain(value) for name, value in found.items()} | {"reviews": sorted(reviews)}


def labelled_copies(stack: Stack, image_id: str) -> list[str]:
    """Keys of the photo under labelled/."""
    name = hashlib.sha256(image_id.encode()).hexdigest()[:32]
    listed = stack.s3.list_objects_v2(Bucket=stack.bucket, Prefix="labelled/")
    return [each["Key"] for each in listed.get("Contents", []) if name in each["Key"]]


def body(stack: Stack, **where: str) -> bytes:
    content: bytes = stack.s3.get_object(Bucket=stack.bucket, **where)["Body"].read()
    return content


def dead_letters(stack: Stack) -> list[dict[str, Any]]:
    """All reviews that could not be recorded; they are removed from the queue."""
    return stack.dead_letters("ReviewsDeadLetterQueueUrl")


def take_labelled_at(stack: Stack) -> float | None:
    """When a photo was labelled last, in seconds; None if none was since the last call."""
    table, key = stack.outputs["RetrainingTableName"], {"name": {"S": "retraining"}}
    deleted = stack.dynamodb.delete_item(TableName=table, Key=key, ReturnValues="ALL_OLD")
    found = deleted.get("Attributes", {}).get("labelled_at")
    return None if found is None else float(plain(found))


# ── One review ──


@pytest.mark.parametrize(
    ("label", "status", "reason"),
    [
        ("bicycle", "accepted", "bicycle, reviewed by a person"),
        ("motorcycle", "accepted", "motorcycle, reviewed by a person"),
        ("other", "rejected", "the photo shows no bicycle or motorcycle, reviewed by a person"),
    ],
)
def test_a_review_is_recorded_copied_for_training_and_published(
    stack: Stack, label: str, status: str, reason: str
) -> None:
    before = photo_to_review(stack)
    assert publish_review(stack, review_of(before.image_id, label, noon())) == "recorded"

    after = reviewed_record(stack, before.image_id)
    reviewed = {
        "reviewed_label": label,
        "reviewed_by": "anna",
        "reviewed_at": "2026-11-20T12:00:00.000Z",
    }
    unchanged = {name: value for name, value in before.values.items() if name != "review_state"}
    history = [f"2026-11-20T12:00:00.000Z {label} anna"]
    assert after == unchanged | reviewed | {"reviews": history}
    assert before.image_id not in stack.query("to_review", review_state="waiting")

    events = stack.photo_events()[before.image_id]
    decided = {"label": label, "status": status, "reason": reason}
    assert events == [before.events[0], before.events[0] | reviewed | decided]

    [copy] = labelled_copies(stack, before.image_id)
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
def test_a_photo_of_any_name_is_copied(stack: Stack, key: str) -> None:
    photo = photo_to_review(stack, key)
    publish_review(stack, review_of(photo.image_id, "bicycle", noon()))
    [copy] = labelled_copies(stack, photo.image_id)
    assert body(stack, Key=copy) == body(stack, Key=key)
    assert copy.isascii()


@standard_only
def test_the_version_that_was_classified_is_copied(stack: Stack) -> None:
    event = stack.put_unnoticed()
    classified = event["detail"]["object"]
    with stack.endpoint.responding(then=BELOW_THRESHOLD):
        outcome = stack.run(event)
    stack.put(stack.photo(), classified["key"])
    publish_review(stack, review_of(outcome.image_id, "bicycle", noon()))
    [copy] = labelled_copies(stack, outcome.image_id)
    version = body(stack, Key=classified["key"], VersionId=classified["version-id"])
    assert body(stack, Key=copy) == version != body(stack, Key=classified["key"])


@standard_only
def test_two_photos_of_the_same_name_are_two_labelled_photos(stack: Stack) -> None:
    photos = [photo_to_review(stack, "uploads/42/same.jpg") for _ in range(2)]
    for photo in photos:
        publish_review(stack, review_of(photo.image_id, "bicycle", noon()))
    keys = {key for photo in photos for key in labelled_copies(stack, photo.image_id)}
    assert len(keys) == 2


@standard_only
def test_an_accepted_photo_can_be_reviewed(stack: Stack) -> None:
    with stack.endpoint.responding(then=CONFIDENT):
        accepted = stack.upload(stack.photo())
    publish_review(stack, review_of(accepted.image_id, "motorcycle", noon()))
    after = reviewed_record(stack, accepted.image_id)
    assert (after["label"], after["reviewed_label"]) == ("bicycle", "motorcycle")
    assert stack.photo_events()[accepted.image_id][-1]["label"] == "motorcycle"


@standard_only
def test_a_review_of_an_expired_photo_is_recorded(stack: Stack) -> None:
    event = stack.put_unnoticed()
    photo = event["detail"]["object"]
    with stack.endpoint.responding(then=BELOW_THRESHOLD):
        outcome = stack.run(event)
    stack.s3.delete_object(Bucket=stack.bucket, Key=photo["key"], VersionId=photo["version-id"])
    take_labelled_at(stack)
    assert publish_review(stack, review_of(outcome.image_id, "bicycle", noon())) == "recorded"
    assert stack.photo_events()[outcome.image_id][-1]["reviewed_label"] == "bicycle"
    assert labelled_copies(stack, outcome.image_id) == []
    assert take_labelled_at(stack) is None  # no photo to train on


@standard_only
def test_make_review_shows_the_oldest_photo_and_records_the_label(stack: Stack) -> None:
    photo_to_review(stack)
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
    [reviewed] = set(waiting) - set(stack.query("to_review", review_state="waiting"))
    assert waiting[0] == reviewed
    after = reviewed_record(stack, reviewed)
    assert (after["reviewed_label"], after["reviewed_by"]) == ("motorcycle", "anna")


# ── More than one review ──


def test_a_newer_review_corrects_the_label(stack: Stack) -> None:
    photo = photo_to_review(stack)
    reviews = [("bicycle", "anna"), ("motorcycle", "bert"), ("bicycle", "anna")]
    for seconds, (label, by) in enumerate(reviews):
        publish_review(stack, review_of(photo.image_id, label, noon(seconds), by))
        assert [key.split("/")[1] for key in labelled_copies(stack, photo.image_id)] == [label]
        assert stack.photo_events()[photo.image_id][-1]["label"] == label
    after = reviewed_record(stack, photo.image_id)
    assert [line.split(" ", 1)[1] for line in after["reviews"]] == [
        "bicycle anna",
        "motorcycle bert",
        "bicycle anna",
    ]
    assert "review_state" not in after


def test_a_repeated_or_older_review_changes_nothing(stack: Stack) -> None:
    photo = photo_to_review(stack)
    newest = review_of(photo.image_id, "motorcycle", noon(10))
    publish_review(stack, newest)
    before = state_of(stack, photo.image_id)
    for detail in (newest, review_of(photo.image_id, "bicycle", noon(9.9), "bert")):
        assert publish_review(stack, detail) == "already reviewed"
    assert state_of(stack, photo.image_id) == before


def state_of(stack: Stack, image_id: str) -> tuple[dict[str, Any], list[str], list[Any]]:
    """The record of a photo, its copies under labelled/ and its events."""
    events = list(stack.photo_events()[image_id])
    return reviewed_record(stack, image_id), labelled_copies(stack, image_id), events


@standard_only
def test_times_compare_in_every_format(stack: Stack) -> None:
    photo = photo_to_review(stack)
    second = "2026-11-20T12:00:01"
    written = [f"{second}Z", f"{second}.2Z", f"{second}.25+00:00", f"{second}.251999Z"]
    for reviewed_at in written:
        assert (
            publish_review(stack, review_of(photo.image_id, "bicycle", reviewed_at)) == "recorded"
        )
    assert reviewed_record(stack, photo.image_id)["reviewed_at"] == f"{second}.251Z"
    assert (
        publish_review(stack, review_of(photo.image_id, "bicycle", written[2]))
        == "already reviewed"
    )


# ── What starts a retraining ──


def test_only_a_new_label_sets_the_time_of_the_last_label(stack: Stack) -> None:
    photo = photo_to_review(stack)
    take_labelled_at(stack)
    began = time.time() // 1
    for seconds, label in enumerate(("bicycle", "motorcycle")):
        detail = review_of(photo.image_id, label, noon(seconds))
        publish_review(stack, detail)
        assert began <= (take_labelled_at(stack) or 0) <= time.time()
    for wrong in (detail, detail | {"label": "unicycle"}):
        publish_review(stack, wrong)
        assert take_labelled_at(stack) is None


# ── Refused reviews ──


@standard_only
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"image_id": "uploads/42/none.jpg#1"}, "no photo has this image_id"),
        ({"image_id": None}, "image_id must be a text of 1 to 1100 characters"),
        ({"image_id": ""}, "image_id must be a text of 1 to 1100 characters"),
        ({"image_id": {"S": "x"}}, "image_id must be a text of 1 to 1100 characters"),
        ({"label": "unicycle"}, "label is not one of bicycle,motorcycle,other"),
        ({"label": ["bicycle"]}, "label must be a text of 1 to 100 characters"),
        ({"reviewed_by": "  "}, "reviewed_by must be a text of 1 to 200 characters"),
        ({"reviewed_by": "a" * 201}, "reviewed_by must be a text of 1 to 200 characters"),
        ({"reviewed_at": 1763640000}, "reviewed_at must be a text of 1 to 40 characters"),
        ({"reviewed_at": "yesterday"}, "reviewed_at is not a time in UTC"),
        ({"reviewed_at": "2026-11-20T12:00:00+01:00"}, "reviewed_at is not a time in UTC"),
        ({"reviewed_at": "2026-13-20T12:00:00Z"}, "reviewed_at is not a time in UTC"),
        ({"reviewed_at": "9999-01-01T00:00:00Z"}, "reviewed_at is in the future"),
    ],
)
def test_an_invalid_review_is_refused_with_a_reason(
    stack: Stack, wrong: dict[str, Any], reason: str
) -> None:
    photo = photo_to_review(stack)
    detail = review_of(photo.image_id, "bicycle", noon()) | wrong
    assert publish_review(stack, detail) == "refused"
    stack.photo_events()
    refused = stack.other_events["Review Refused"][-1]
    assert refused.pop("reason").startswith(reason)
    assert refused == detail
    assert stack.record(photo.image_id) == photo.record
    assert dead_letters(stack) == []


@standard_only
def test_a_failed_photo_has_to_run_again_before_its_review(stack: Stack) -> None:
    with stack.endpoint.responding(then=UNAVAILABLE):
        failed = stack.upload(stack.photo())
    assert publish_review(stack, review_of(failed.image_id, "bicycle", noon())) == "refused"
    stack.photo_events()
    assert "start ClassifyPhoto again" in stack.other_events["Review Refused"][-1]["reason"]


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
def test_a_review_that_fails_can_be_recorded_later(
    stack: Stack, faults: str, fault: str, error: str, in_the_record: bool
) -> None:
    photo = photo_to_review(stack)
    publish_review(stack, review_of(photo.image_id, "bicycle", noon()))
    correction = review_of(photo.image_id, "motorcycle", noon(1))
    take_labelled_at(stack)
    assert record_review(stack, correction, f"{faults}#{fault}") == error
    if fault == "CopyingFails":  # the time is set only if the copy exists
        assert take_labelled_at(stack) is None
    half = reviewed_record(stack, photo.image_id)
    assert (half.get("review_state") == "recording") == in_the_record

    [kept] = dead_letters(stack)
    assert kept == {"detail": correction}
    assert record_review(stack, kept["detail"]) == "recorded"
    whole = reviewed_record(stack, photo.image_id)
    assert whole["reviewed_label"] == "motorcycle"
    assert len(whole["reviews"]) == 2
    assert "review_state" not in whole
    assert [key.split("/")[1] for key in labelled_copies(stack, photo.image_id)] == ["motorcycle"]
    assert stack.photo_events()[photo.image_id][-1]["label"] == "motorcycle"


@standard_only
def test_a_review_that_a_newer_one_overtakes_leaves_no_copy(stack: Stack, faults: str) -> None:
    """A newer review came while the older one was being recorded. The newer one counts."""
    photo = photo_to_review(stack)
    overtaken = review_of(photo.image_id, "bicycle", noon())
    record_review(stack, overtaken, f"{faults}#FinishingFails")
    dead_letters(stack)
    newer = review_of(photo.image_id, "motorcycle", noon(1))
    assert record_review(stack, newer, f"{faults}#Overtaken") == "recorded"
    assert record_review(stack, overtaken) == "already reviewed"
    assert [key.split("/")[1] for key in labelled_copies(stack, photo.image_id)] == ["motorcycle"]

    late = review_of(photo.image_id, "other", noon(2))
    assert record_review(stack, late, f"{faults}#OvertakenByAnother") == "recorded"
    assert labelled_copies(stack, photo.image_id) == []


# ── Permissions ──


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
    used = {task["Resource"] for task in tasks(json.loads(described["definition"])).values()}
    assert used == {f"arn:aws:states:::{call}" for call in permissions}
    return set().union(*permissions.values())


@standard_only
def test_the_workflow_may_make_its_own_calls_and_no_others(stack: Stack) -> None:
    assert refused(stack, "RecordReviewRole", calls(stack)) == set()
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
def test_the_rule_may_start_only_this_workflow(stack: Stack) -> None:
    role, start_it = "PhotoReviewedRole", "states:StartExecution"
    assert allowed(stack, role, start_it, stack.outputs["RecordReviewStateMachineArn"])
    assert not allowed(stack, role, start_it, stack.state_machine)
