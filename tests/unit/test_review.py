"""The reviewer's tool: what it shows and sends, and how several people use it at once."""

import contextlib
import io
import json
import os
import termios
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from PIL import Image

from operations import review
from operations.errors import UserError
from tests.support.tables import schema

LOCAL_FLAGS = 3  # in what termios.tcgetattr returns
STACK = {
    "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/scones-unlimited/1",
    "StackName": "scones-unlimited",
    "StackStatus": "CREATE_COMPLETE",
    "Parameters": [{"ParameterKey": "Labels", "ParameterValue": "bicycle,motorcycle,other"}],
    "Outputs": [
        {"OutputKey": "PredictionsTableName", "OutputValue": "predictions"},
        {"OutputKey": "EventBusName", "OutputValue": "bus"},
    ],
}


def describe_stacks(**_: Any) -> tuple[SimpleNamespace, dict[str, Any]]:
    """Moto's CloudFormation needs packages that nothing else here needs."""
    return SimpleNamespace(status_code=200), {"Stacks": [STACK]}


class Desk:
    """A deployed stack, with the workflow RecordReview played by `carry_out`."""

    def __init__(self) -> None:
        boto3.setup_default_session()
        session: Any = boto3.DEFAULT_SESSION
        session.events.register("before-call.cloudformation.DescribeStacks", describe_stacks)
        session.client("s3").create_bucket(
            Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        session.client("s3").put_bucket_versioning(
            Bucket="photos", VersioningConfiguration={"Status": "Enabled"}
        )
        session.client("events").create_event_bus(Name="bus")
        session.client("dynamodb").create_table(
            TableName="predictions", **schema("PredictionsTable")
        )
        self.reviews = review.Reviews("scones-unlimited")
        self.sent: list[dict[str, Any]] = []
        put_events = self.reviews.events.put_events

        def put_and_carry_out(**request: list[dict[str, str]]) -> Any:
            for entry in request["Entries"]:
                assert (entry["Source"], entry["DetailType"]) == (
                    "scones-unlimited",
                    "Photo Reviewed",
                )
                self.carry_out(json.loads(entry["Detail"]))
            return put_events(**request)

        self.reviews.events.put_events = put_and_carry_out

    def add(self, key: str, minute: int, body: bytes | None = None) -> str:
        """A photo that waits."""
        if body is None:
            photo = io.BytesIO()
            Image.new("RGB", (400, 300), (200, 100, minute)).save(photo, "PNG")
            body = photo.getvalue()
        put = boto3.client("s3").put_object(Bucket="photos", Key=key, Body=body)
        image_id = f"{key}#{put['VersionId']}"
        record = {
            "image_id": image_id,
            "s3_bucket": "photos",
            "s3_key": key,
            "reason": "below the confidence threshold: bicycle 60%, other 30%",
            "recorded_at": f"2026-11-20T12:{minute:02}:00.000Z",
            "review_state": "waiting",
        }
        item = {name: {"S": value} for name, value in record.items()}
        self.reviews.dynamodb.put_item(TableName=self.reviews.table, Item=item)
        return image_id

    def carry_out(self, detail: dict[str, str]) -> None:
        """What the workflow does to the record."""
        self.sent.append(detail)
        self.reviews.dynamodb.update_item(
            TableName=self.reviews.table,
            Key={"image_id": {"S": detail["image_id"]}},
            UpdateExpression="SET reviewed_label = :label, reviewed_by = :by, reviewed_at = :at "
            "REMOVE review_state",
            ExpressionAttributeValues={
                ":label": {"S": detail["label"]},
                ":by": {"S": detail["reviewed_by"]},
                ":at": {"S": detail["reviewed_at"]},
            },
        )

    def work(self, keys: str, reviewer: str = "anna") -> int:
        """Press these keys, then leave."""
        pressed = iter(keys + "q")
        session = review.Session(self.reviews, reviewer, read=lambda: next(pressed))
        code: int = review.review(session)
        return code

    @property
    def labels(self) -> list[tuple[str, str]]:
        """Key and label of what was sent."""
        return [(each["image_id"].partition("#")[0], each["label"]) for each in self.sent]


@pytest.fixture
def desk(aws: None, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(review, "RECORDING_SECONDS", 0)
    return Desk()


def test_photos_are_labelled_oldest_first_with_one_key_each(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    for key, minute in (("uploads/1/c", 30), ("uploads/1/a", 10), ("uploads/1/b", 20)):
        desk.add(key, minute)
    assert desk.work("bmo") == 0
    assert desk.labels == [
        ("uploads/1/a", "bicycle"),
        ("uploads/1/b", "motorcycle"),
        ("uploads/1/c", "other"),
    ]
    said = capsys.readouterr().out
    assert "3 of 3" in said
    assert "below the confidence threshold: bicycle 60%, other 30%" in said
    assert "no photo waits for a review" in said
    assert "recorded: 3 of 3 reviews" in said


def test_the_published_review_matches_its_schema(desk: Desk) -> None:
    image_id = desk.add("uploads/1/a", 1)
    desk.work("b", reviewer="käthe")
    [detail] = desk.sent
    assert detail.pop("reviewed_at").endswith("Z")
    assert detail == {"image_id": image_id, "label": "bicycle", "reviewed_by": "käthe"}


def test_a_reviewer_can_skip_and_undo_and_unknown_keys_do_nothing(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    for minute, key in enumerate("abc"):
        desk.add(key, minute)
    desk.work("uxbumso")
    assert desk.labels == [("a", "bicycle"), ("a", "motorcycle"), ("c", "other")]
    assert "this is the first photo" in capsys.readouterr().out


def test_a_photo_that_somebody_else_has_labelled_is_not_shown(desk: Desk) -> None:
    first, second = desk.add("a", 1), desk.add("b", 2)
    theirs = {"label": "other", "reviewed_by": "bert", "reviewed_at": "2026-11-20T13:00:00.000Z"}
    waiting = desk.reviews.waiting()
    assert next(waiting).image_id == first
    desk.carry_out(theirs | {"image_id": second})
    assert list(waiting) == []


def test_a_label_does_not_count_if_somebody_else_labels_the_photo_first(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    image_id = desk.add("a", 1)
    theirs = {"label": "other", "reviewed_by": "bert", "reviewed_at": "2026-11-20T13:00:00.000Z"}

    def read() -> str:
        desk.carry_out(theirs | {"image_id": image_id})
        return "b"

    assert review.review(review.Session(desk.reviews, "anna", read=read)) == 0
    assert desk.labels == [("a", "other")]
    assert "bert labelled it other already" in capsys.readouterr().out


def test_a_photo_is_shown_again_if_the_bus_refuses_its_review(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.add("a", 1)
    put_events = desk.reviews.events.put_events
    refusals = iter([{"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}])
    desk.reviews.events.put_events = lambda **call: next(refusals, None) or put_events(**call)
    assert desk.work("bm") == 0
    assert desk.labels == [("a", "motorcycle")]
    assert "refused the review (InternalFailure)" in capsys.readouterr().out


def test_a_photo_whose_review_was_not_recorded_is_named(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    image_id = desk.add("a", 1)
    desk.carry_out = desk.sent.append  # type: ignore[method-assign]
    assert desk.work("b") == 1
    assert image_id in capsys.readouterr().err


def test_the_link_opens_the_version_of_the_photo_and_expires(desk: Desk) -> None:
    image_id = desk.add("uploads/42/käthe's bike+1.jpg", 1)
    [photo] = desk.reviews.waiting()
    link = desk.reviews.link(photo)
    assert f"versionId={image_id.rpartition('#')[2]}" in link
    assert "X-Amz-Expires=300" in link or "Expires=" in link


def test_an_etag_of_the_local_cloud_is_not_a_version() -> None:
    names = {
        "s3_bucket": "photos",
        "s3_key": "a#b",
        "reason": "not confident",
        "recorded_at": "2026",
    }
    record = {name: {"S": value} for name, value in names.items()}
    etag = record | {"image_id": {"S": "a#b#0cc175b9c0f1b6a831c399e269772661"}}
    version = record | {"image_id": {"S": "a#b#3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrH"}}
    assert review.Photo.of(etag).version is None
    assert review.Photo.of(version).version == "3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrH"


def test_the_drawn_photo_fits_the_terminal_and_has_the_right_colours(desk: Desk) -> None:
    desk.add("a", 7)
    [photo] = desk.reviews.waiting()
    lines = review.draw(desk.reviews.image(photo), 40, 20).splitlines()
    assert len(lines) == 15
    assert all(line.count("▀") == 40 for line in lines)
    red, green, blue = map(int, lines[0].removeprefix("\033[38;2;").partition("m")[0].split(";"))
    assert (abs(red - 200), abs(green - 100), abs(blue - 7)) <= (8, 8, 8)


@pytest.mark.parametrize("size", [(1, 1), (1, 999), (999, 1), (3, 3)])
def test_a_photo_of_any_shape_is_drawn(size: tuple[int, int]) -> None:
    assert "▀" in review.draw(Image.new("RGB", size), 8, 4)


def test_a_photo_that_is_missing_or_unreadable_is_reported(desk: Desk) -> None:
    desk.add("gone", 1)
    desk.add("text", 2, b"not a photo")
    gone, text = desk.reviews.waiting()
    boto3.client("s3").delete_object(**gone.object)
    for photo, words in ((gone, "deleted"), (text, "not a photo")):
        with pytest.raises(UserError, match=words):
            desk.reviews.image(photo)


def test_a_missing_photo_is_skipped_without_permission_to_list_the_bucket(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.add("gone", 1)
    [gone] = desk.reviews.waiting()
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "denied"}}, "GetObject")

    def get_object(**_: str) -> None:
        raise denied

    monkeypatch.setattr(desk.reviews.s3, "get_object", get_object)
    with pytest.raises(UserError, match="deleted, or may not be read"):
        desk.reviews.image(gone)


def test_control_characters_in_a_key_are_not_printed(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.add("uploads/1/\033[2Jx\u202e.jpg", 1)
    desk.work("")
    said = capsys.readouterr().out
    assert "\033" not in said.replace(review.RESET, "")
    assert "\u202e" not in said


@pytest.mark.parametrize(
    ("labels", "keys"),
    [
        (["bicycle", "motorcycle", "other"], "bmo"),
        (["bicycle", "bus"], "12"),
        (["scooter", "other"], "12"),
    ],
)
def test_each_label_has_its_own_key(labels: list[str], keys: str) -> None:
    assert review.keys_of(labels) == dict(zip(keys, labels, strict=True))


def test_a_missing_stack_is_reported_in_one_line(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = {"Error": {"Code": "ValidationError", "Message": "Stack with id x does not exist"}}
    answer = SimpleNamespace(status_code=400), error
    session: Any = boto3.DEFAULT_SESSION
    session.events.register_first("before-call.cloudformation.DescribeStacks", lambda **_: answer)
    monkeypatch.setattr("sys.argv", ["review.py"])
    assert review.main() == 1
    said = capsys.readouterr().err
    assert said.startswith("review: there is no stack scones-unlimited in eu-west-1: deploy it")
    assert "first run the export lines that `make up` printed" in said
    assert said.count("\n") == 1


def test_keys_can_come_from_a_pipe(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.add("a", 1)
    desk.add("b", 2)
    monkeypatch.setattr("sys.stdin", io.StringIO("b\n"))
    assert review.review(review.Session(desk.reviews, "anna")) == 0
    assert desk.labels == [("a", "bicycle")]
    assert "https://" in capsys.readouterr().out


@pytest.mark.parametrize("missing", ["AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"])
def test_missing_credentials_are_reported_in_one_line(
    environment: pytest.MonkeyPatch,
    tmp_path: Path,
    missing: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        environment.setenv(name, str(tmp_path / "none"))
    environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
    environment.delenv(missing)
    environment.delenv("AWS_SECRET_ACCESS_KEY")
    environment.setattr("sys.argv", ["review"])
    assert review.main() == 1
    said = capsys.readouterr().err
    assert "first run the export lines that `make up` printed" in said
    assert said.count("\n") == 1


def test_ctrl_c_ends_with_the_number_of_recorded_reviews(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the question, and again while the command waits for the last reviews."""
    desk.add("a", 1)
    desk.add("b", 2)
    pressed = iter("b")

    def read() -> str:
        for key in pressed:
            return key
        raise KeyboardInterrupt

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    carry_out, late = desk.carry_out, []
    desk.carry_out = late.append  # type: ignore[method-assign]
    monkeypatch.setattr(review, "RECORDING_SECONDS", 60)
    monkeypatch.setattr("time.sleep", interrupt)
    assert review.review(review.Session(desk.reviews, "anna", read=read)) == 1
    assert "recorded: 0 of 1 reviews" in capsys.readouterr().out
    assert len(late) == 1
    carry_out(late[0])


def test_ctrl_c_at_the_start_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(review, "Reviews", interrupt)
    monkeypatch.setattr("sys.argv", ["review"])
    assert review.main() == 1
    assert capsys.readouterr().err.startswith("review: interrupted")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal as standard input; what is written to it are the keys."""
    keyboard, screen = os.openpty()
    with os.fdopen(screen) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield keyboard
        with contextlib.suppress(OSError):
            os.close(keyboard)


def test_a_key_is_read_and_the_settings_of_the_terminal_are_restored(terminal: int) -> None:
    before = termios.tcgetattr(terminal)

    def press() -> None:
        while termios.tcgetattr(terminal)[LOCAL_FLAGS] & termios.ICANON:
            pass  # keys that come before the question are dropped
        os.write(terminal, b"B")

    person = Thread(target=press)
    person.start()
    assert review.read_key() == "b"
    person.join()
    assert termios.tcgetattr(terminal) == before


def test_the_review_ends_if_the_terminal_is_closed(terminal: int) -> None:
    os.close(terminal)
    assert review.read_key() == review.QUIT


def test_two_reviewers_at_once_record_each_photo_once(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    for minute in range(4):
        desk.add(f"{minute}", minute)
    bert = review.Session(desk.reviews, "bert", read=lambda: "m")
    keys = iter("bb")

    def read() -> str:
        bert.run()  # at the same time, in another terminal
        return next(keys, review.QUIT)

    assert review.review(review.Session(desk.reviews, "anna", read=read)) == 0
    assert sorted(image for image, _ in desk.labels) == ["0", "1", "2", "3"]
    assert {each["reviewed_by"] for each in desk.sent} == {"bert"}
    assert "bert labelled it motorcycle already" in capsys.readouterr().out


@pytest.mark.parametrize("given", ["", "  "])
def test_a_review_needs_a_name(given: str) -> None:
    with pytest.raises(UserError, match="give --name"):
        review.reviewer_name(given)
