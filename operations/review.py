"""Label the photos on which the model is below the confidence threshold.

    make review                                 the photos that wait, oldest first
    python -m operations.review --name anna     with another name than the user of this machine

Shows each photo in the terminal; one key labels it. A review goes to the stack's bus as
`Photo Reviewed`, and the workflow RecordReview carries it out. Several people can review at once.
Credentials and region are those of the AWS CLI; after `make up`, with the variables that it prints,
the photos are those of the local cloud.
"""

import argparse
import functools
import getpass
import json
import os
import re
import shutil
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from functions.serialize_image.photo import UnreadablePhotoError, read
from operations.errors import UserError, explain
from operations.stack import DEFAULT_STACK, require_stack

LINK_SECONDS = 300
RECORDING_SECONDS = 20  # to wait until the last reviews are recorded
POLL_SECONDS = 0.5
COUNTED = 1000  # photos that wait are counted up to this
SKIP, UNDO, VIEW, QUIT = "s", "u", "v", "q"
COMMANDS = {SKIP: "skip", UNDO: "undo", VIEW: "view", QUIT: "quit"}
LARGEST_PICTURE = 72, 56  # columns, and half rows
RESET = "\033[0m"


# ── What a reviewer does, in a terminal or elsewhere ──


@dataclass(frozen=True)
class Photo:
    """A photo that waits for a review.

    Attributes:
        image_id: key of its record.
        bucket, key, version: the object in S3; without a version the newest is meant.
        reason: what the model answered, in words.
        recorded_at: when it was classified, ISO 8601, UTC.

    """

    image_id: str
    bucket: str
    key: str
    version: str | None
    reason: str
    recorded_at: str

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Photo":
        """From a record of PredictionsTable, as DynamoDB types it."""
        key, image_id = record["s3_key"]["S"], record["image_id"]["S"]
        version = image_id[len(key) + 1 :]
        is_etag = re.fullmatch(r"[0-9a-f]{32}(-\d+)?", version)
        return cls(
            image_id=image_id,
            bucket=record["s3_bucket"]["S"],
            key=key,
            version=None if is_etag else version,
            reason=record["reason"]["S"],
            recorded_at=record["recorded_at"]["S"],
        )

    @property
    def object(self) -> dict[str, str]:
        """What S3 calls it."""
        where = {"Bucket": self.bucket, "Key": self.key}
        return where | ({"VersionId": self.version} if self.version else {})


@dataclass(frozen=True)
class Review:
    """The label that a person gave to a photo, and when: ISO 8601, UTC, in milliseconds."""

    label: str
    by: str
    at: str


class Reviews:
    """The photos of a stack that wait for a review, and their reviews."""

    def __init__(self, stack: str) -> None:
        """Find the stack's table and bus.

        Raises:
            UserError: there is no such stack.

        """
        client: Any = functools.cache(boto3.client)
        self.dynamodb, self.events, self.s3 = client("dynamodb"), client("events"), client("s3")
        found = require_stack(client("cloudformation"), stack)
        self.table = found.output("PredictionsTableName")
        self.bus = found.output("EventBusName")
        self.labels = found.parameter("Labels").split(",")

    def query(self, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Pages of the photos that wait, oldest first."""
        pages: Iterator[dict[str, Any]] = self.dynamodb.get_paginator("query").paginate(
            TableName=self.table,
            IndexName="to_review",
            KeyConditionExpression="review_state = :waiting",
            ExpressionAttributeValues={":waiting": {"S": "waiting"}},
            **arguments,
        )
        return pages

    def count(self) -> int:
        """How many photos wait; counted up to COUNTED."""
        return sum(
            page["Count"]
            for page in self.query(Select="COUNT", PaginationConfig={"MaxItems": COUNTED})
        )

    def waiting(self) -> Iterator[Photo]:
        """The photos that wait, oldest first. Those that others label meanwhile are left out."""
        for page in self.query(PaginationConfig={"PageSize": 50}):
            for record in page["Items"]:
                if self.newest_review(record["image_id"]["S"]) is None:
                    yield Photo.of(record)

    def newest_review(self, image_id: str) -> Review | None:
        """The newest review of a photo; None while it waits."""
        record = self.dynamodb.get_item(
            TableName=self.table, Key={"image_id": {"S": image_id}}, ConsistentRead=True
        ).get("Item", {})
        if "reviewed_at" not in record:
            return None
        names = ("reviewed_label", "reviewed_by", "reviewed_at")
        return Review(*(record[name]["S"] for name in names))

    def link(self, photo: Photo) -> str:
        """A link to a photo that works for LINK_SECONDS."""
        url: str = self.s3.generate_presigned_url(
            "get_object", Params=photo.object, ExpiresIn=LINK_SECONDS
        )
        return url

    def photo(self, photo: Photo) -> Image.Image:
        """A photo as the model saw it: upright, at most 256 pixels.

        Raises:
            UserError: it is gone, or cannot be read.

        """
        try:
            body = self.s3.get_object(**photo.object)["Body"].read()
            return read(body)
        except ClientError as error:
            # Who may not list the bucket is denied what is not there.
            if error.response["Error"]["Code"] not in (
                "NoSuchKey",
                "NoSuchVersion",
                "AccessDenied",
            ):
                raise
            raise UserError("the photo has been deleted, or may not be read") from error
        except UnreadablePhotoError as error:
            raise UserError(str(error)) from error

    def publish(self, photo: Photo, label: str, reviewer: str) -> Review:
        """Put a review on the bus.

        Raises:
            UserError: the bus did not take it.

        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        given = Review(label, reviewer, now)
        detail = {"image_id": photo.image_id, "label": given.label}
        detail |= {"reviewed_by": given.by, "reviewed_at": given.at}
        entry = {"Source": "scones-unlimited", "DetailType": "Photo Reviewed"}
        entry |= {"EventBusName": self.bus, "Detail": json.dumps(detail)}
        [result] = self.events.put_events(Entries=[entry])["Entries"]
        if "ErrorCode" in result:
            raise UserError(
                f"the bus refused the review ({result['ErrorCode']}): press the key again"
            )
        return given


# ── In a terminal ──


def draw(image: Image.Image, columns: int, rows: int) -> str:
    """An image as text: each character is two pixels, one above the other."""
    image = image.convert("RGB")
    image.thumbnail((columns, 2 * rows))
    image = image.resize((image.width, image.height + image.height % 2))
    pixels: Any = image.load()
    lines = []
    for top in range(0, image.height, 2):
        cells = []
        for column in range(image.width):
            upper, lower = pixels[column, top], pixels[column, top + 1]
            cells.append(
                f"\033[38;2;{upper[0]};{upper[1]};{upper[2]}m"
                f"\033[48;2;{lower[0]};{lower[1]};{lower[2]}m▀"
            )
        lines.append("".join(cells) + RESET)
    return "\n".join(lines)


def keys_of(labels: list[str]) -> dict[str, str]:
    """One key for each label: its first letter, or a digit where that is taken."""
    initials = [label[0] for label in labels]
    if len({*initials, *COMMANDS}) < len(initials) + len(COMMANDS):
        return {str(number): label for number, label in enumerate(labels, start=1)}
    return dict(zip(initials, labels, strict=True))


def printable(text: str) -> str:
    """Names are chosen by couriers: nothing in them may steer the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def read_key() -> str:
    """The next key; of a pipe, the first character of the next line, and QUIT at its end."""
    if not sys.stdin.isatty():
        return (sys.stdin.readline() or QUIT).strip()[:1].lower()
    import termios  # noqa: PLC0415 (there is none where there is no terminal)
    import tty  # noqa: PLC0415

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        pressed = os.read(sys.stdin.fileno(), 32)
        return pressed.decode(errors="ignore")[:1].lower() if pressed else QUIT
    except OSError:  # the terminal was closed
        return QUIT
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


@dataclass
class Session:
    """One reviewer at work.

    Attributes:
        shown: the photos shown so far; `position` is the one that is asked about.
        given: the last review that was sent from here of each photo, by image_id.
        overtaken: photos that somebody else labelled while they were shown here.

    """

    reviews: Reviews
    reviewer: str
    read: Callable[[], str] = read_key
    shown: list[Photo] = field(default_factory=list)
    position: int = 0
    given: dict[str, Review] = field(default_factory=dict)
    overtaken: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Go through the photos that wait, until there is none or the reviewer has had enough."""
        total = self.reviews.count()
        waiting = self.reviews.waiting()
        keys = keys_of(self.reviews.labels)
        while True:
            if self.position == len(self.shown):
                photo = next(waiting, None)
                if photo is None:
                    print("no photo waits for a review any more")
                    return
                self.shown.append(photo)
            self.show(self.shown[self.position], total)
            if not self.ask(self.shown[self.position], keys):
                return

    def show(self, photo: Photo, total: int) -> None:
        """Print a photo, and what is known of it."""
        most = f"{total}{'+' if total == COUNTED else ''}"
        print(f"\n{self.position + 1} of {most}  {printable(photo.key)}  {photo.recorded_at[:16]}")
        print(f"the model says: {photo.reason}")
        columns, rows = shutil.get_terminal_size()
        if sys.stdout.isatty():
            try:
                photo = self.reviews.photo(photo)
            except UserError as error:
                print(f"no photo: {error}")
            else:
                most_columns, most_rows = LARGEST_PICTURE
                fitting = min(columns, most_columns), min(rows - 6, most_rows // 2)
                print(draw(photo, max(8, fitting[0]), max(4, fitting[1])))
        else:
            print(self.reviews.link(photo))

    def ask(self, photo: Photo, keys: dict[str, str]) -> bool:
        """Read keys until one settles a photo; False: the reviewer has had enough."""
        choices = keys | COMMANDS
        help_text = "  ".join(f"[{key}] {name}" for key, name in choices.items())
        while True:
            print(help_text, end=" > ", flush=True)
            key = self.read()
            print(choices.get(key, "?"))
            if key == QUIT:
                return False
            if key == VIEW:
                webbrowser.open(self.reviews.link(photo))
            elif key == UNDO and self.position == 0:
                print("this is the first one")
            elif key == UNDO:
                self.position -= 1
                return True
            elif key == SKIP or (key in keys and self.label(photo, keys[key])):
                self.position += 1
                return True

    def label(self, photo: Photo, label: str) -> bool:
        """Send a review; False if it has to be sent again."""
        if not {photo.image_id} & (self.given.keys() | self.overtaken):
            other = self.reviews.newest_review(photo.image_id)
            if other:
                print(f"{printable(other.by)} has just labelled it {other.label}; [u] corrects it")
                self.overtaken.add(photo.image_id)
                return True
        try:
            self.given[photo.image_id] = self.reviews.publish(photo, label, self.reviewer)
        except UserError as error:
            print(error)
            return False
        return True

    def settle(self) -> list[str]:
        """Wait until all reviews are recorded; image_ids of those that are not."""
        deadline = time.monotonic() + RECORDING_SECONDS
        left = list(self.given)
        while left := [image_id for image_id in left if not self.is_recorded(image_id)]:
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        return left

    def is_recorded(self, image_id: str) -> bool:
        """Whether the review from here, or a newer one, is in the record."""
        recorded = self.reviews.newest_review(image_id)
        return recorded is not None and recorded.at >= self.given[image_id].at


def review(session: Session) -> int:
    """Review, then report which reviews are recorded; the exit code."""
    try:
        session.run()
    except (KeyboardInterrupt, EOFError):
        print()
    try:
        missing = session.settle()
    except KeyboardInterrupt:
        missing = [image_id for image_id in session.given if not session.is_recorded(image_id)]
    if session.given:
        print(f"recorded: {len(session.given) - len(missing)} of {len(session.given)} reviews")
    for image_id in missing:
        print(
            f"not recorded: {printable(image_id)} as {session.given[image_id].label} (it is on "
            "its way, was refused, or is in ReviewsDeadLetterQueue)",
            file=sys.stderr,
        )
    return 1 if missing else 0


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m operations.review",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stack-name", default=DEFAULT_STACK, help="default: %(default)s")
    parser.add_argument("--name", help="who reviews (default: the user of this machine)")
    options = parser.parse_args()
    try:
        return review(Session(Reviews(options.stack_name), reviewer_name(options.name)))
    except KeyboardInterrupt:
        reason = "interrupted"
    except UserError as error:
        reason = str(error)
    except (ClientError, BotoCoreError) as error:
        reason = explain(error)
    print(f"review: {reason}{local_hint()}", file=sys.stderr)
    return 1


def reviewer_name(given: str | None) -> str:
    """The name that is recorded with each review.

    Raises:
        UserError: no name was given, and this machine's user has none.

    """
    try:
        name = (getpass.getuser() if given is None else given).strip()
    except OSError:
        name = ""
    if not name:
        raise UserError("say who reviews: give --name")
    return name


def local_hint() -> str:
    """What somebody may have forgotten who reviews on the local cloud."""
    if "AWS_ENDPOINT_URL" in os.environ:
        return ""
    return "; to review on the local cloud, first run the export lines that `make up` printed"


if __name__ == "__main__":
    sys.exit(main())
