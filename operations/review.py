"""Label the photos on which the model is below the confidence threshold.

    make review                                        the photos that wait, oldest first
    .venv/bin/python -m operations.review --name anna   with another name than your login

Shows each photo in the terminal; one key labels it. A review goes to the stack's bus as
`Photo Reviewed`, and the workflow RecordReview records it. Several people can review at once.
Credentials and region are those of the AWS CLI; after `make up`, with the variables that it prints,
the photos are those of the local cloud.
"""

import argparse
import getpass
import os
import shutil
import sys
import time
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from operations.errors import UserError, explain
from operations.reviews import COUNTED, Photo, Review, Reviews
from operations.stack import DEFAULT_STACK

RECORDING_SECONDS = 20  # to wait until the last reviews are recorded
POLL_SECONDS = 0.5
SKIP, UNDO, VIEW, QUIT = "s", "u", "v", "q"
COMMANDS = {SKIP: "skip", UNDO: "undo", VIEW: "view", QUIT: "quit"}
LARGEST_DRAWING = 72, 28  # columns and rows of the terminal
RESET = "\033[0m"


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
    """One key for each label: its first letter, or a digit if letters are taken twice."""
    initials = [label[0] for label in labels]
    if len({*initials, *COMMANDS}) < len(initials) + len(COMMANDS):
        return {str(number): label for number, label in enumerate(labels, start=1)}
    return dict(zip(initials, labels, strict=True))


def printable(text: str) -> str:
    """Text without control characters: couriers choose names, and none may control the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def read_key() -> str:
    """The next key; of a pipe, the first character of the next line, and QUIT at its end."""
    if not sys.stdin.isatty():
        return (sys.stdin.readline() or QUIT).strip()[:1].lower()
    import termios  # noqa: PLC0415 (Windows has no such module)
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
    """A reviewer in a terminal.

    Attributes:
        shown: the photos shown so far; `position` is the current one.
        given: the last review that this session sent of each photo, by image_id.
        overtaken: photos that somebody else labelled after they were shown here.

    """

    reviews: Reviews
    reviewer: str
    read: Callable[[], str] = read_key
    shown: list[Photo] = field(default_factory=list)
    position: int = 0
    given: dict[str, Review] = field(default_factory=dict)
    overtaken: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Show the photos that wait, one by one, until there is none or the reviewer quits."""
        total = self.reviews.count()
        waiting = self.reviews.waiting()
        keys = keys_of(self.reviews.labels)
        while True:
            if self.position == len(self.shown):
                photo = next(waiting, None)
                if photo is None:
                    print("no photo waits for a review")
                    return
                self.shown.append(photo)
            self.show(self.shown[self.position], total)
            if not self.ask(self.shown[self.position], keys):
                return

    def show(self, photo: Photo, total: int) -> None:
        """Print a photo, its key, its time and the reason of its status."""
        most = f"{total}{'+' if total == COUNTED else ''}"
        print(f"\n{self.position + 1} of {most}  {printable(photo.key)}  {photo.recorded_at[:16]}")
        print(f"reason: {photo.reason}")
        columns, rows = shutil.get_terminal_size()
        if sys.stdout.isatty():
            try:
                image = self.reviews.image(photo)
            except UserError as error:
                print(f"no photo: {error}")
            else:
                most_columns, most_rows = LARGEST_DRAWING
                fitting = min(columns, most_columns), min(rows - 6, most_rows)
                print(draw(image, max(8, fitting[0]), max(4, fitting[1])))
        else:
            print(self.reviews.link(photo))

    def ask(self, photo: Photo, keys: dict[str, str]) -> bool:
        """Read keys until one of them labels or skips the photo; False if the reviewer quits."""
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
                print("this is the first photo")
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
                print(f"{printable(other.by)} labelled it {other.label} already; [u] corrects it")
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
            f"not recorded: {printable(image_id)} as {session.given[image_id].label} (not yet "
            "recorded, refused, or in ReviewsDeadLetterQueue)",
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
    """The reviewer's name, which is recorded with each review.

    Raises:
        UserError: no name was given, and this machine's user has none.

    """
    try:
        name = (getpass.getuser() if given is None else given).strip()
    except OSError:
        name = ""
    if not name:
        raise UserError("who reviews? give --name")
    return name


def local_hint() -> str:
    """How to review on the local cloud; empty if the variables for it are set."""
    if "AWS_ENDPOINT_URL" in os.environ:
        return ""
    return "; to review on the local cloud, first run the export lines that `make up` printed"


if __name__ == "__main__":
    sys.exit(main())
