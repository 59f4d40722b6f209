"""Run Scones Unlimited on this machine: photos in, decisions and routes out.

    make run                        the sample photos that ship with the project
    make run PHOTOS=~/Pictures      your own: any depth, any file

Builds the functions, starts the local cloud, deploys the stack, uploads each photo as a courier
would, follows it through the workflow, places the sample orders, prints what was decided and who
delivers what, and stops what it started.
"""

import json
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from local.cloud import CONCURRENT_FUNCTIONS, LocalCloud
from local.command import Parser, Steps, add_ports, carry_out, prepare
from local.dispatching import Dispatches, Shop, sample_orders
from local.draw_map import draw
from local.processes import PROJECT, STATE, LocalCloudError

SAMPLE_PHOTOS = PROJECT / "local" / "photos"
DECISION_SECONDS = 90
POLL_SECONDS = 0.1
# The stack rejects such a file unread; the local cloud would have to hold it in memory.
MAX_UPLOAD_BYTES = 200_000_000
MAX_KEY_BYTES = 1024
COLOURS = {"accepted": "green", "review": "yellow", "rejected": "magenta", "failed": "red"}


@dataclass
class Upload:
    """One file on its way through the workflow."""

    path: Path
    name: str
    key: str
    # The version, as AWS names it in its event; or the ETag, as MiniStack does.
    image_ids: tuple[str, ...] = ()
    uploaded_at: datetime | None = None
    record: dict[str, Any] | None = None
    problem: str = ""

    @property
    def milliseconds(self) -> int | None:
        """Milliseconds from the end of the upload to the record; None without a record."""
        if self.record is None or self.uploaded_at is None:
            return None
        recorded_at = datetime.fromisoformat(self.record["recorded_at"]["S"])
        return round((recorded_at - self.uploaded_at) / timedelta(milliseconds=1))


class Follower:
    """Uploads photos, a few at a time, and follows each to its record."""

    def __init__(self, cloud: LocalCloud, outputs: dict[str, str]) -> None:
        """Take the names of the stack's resources from its outputs."""
        self.s3 = cloud.client("s3")
        self.dynamodb = cloud.client("dynamodb")
        self.stepfunctions = cloud.client("stepfunctions")
        self.outputs = outputs
        self.executions: dict[str, str] = {}

    def decide(self, uploads: list[Upload]) -> Iterator[dict[str, str]]:
        """Upload all, at most CONCURRENT_FUNCTIONS undecided at a time.

        Yields:
            After each look: the state that each undecided photo is in, by key.

        """
        waiting = list(reversed(uploads))
        flying: list[Upload] = []
        while waiting or flying:
            while waiting and len(flying) < CONCURRENT_FUNCTIONS:
                upload = waiting.pop()
                if self.upload(upload):
                    flying.append(upload)
            flying = [upload for upload in flying if not self.is_over(upload)]
            yield {upload.key: "waiting" for upload in flying} | self.states()
            time.sleep(POLL_SECONDS)

    def upload(self, upload: Upload) -> bool:
        """Put a file into the bucket; False, and the problem noted, where that cannot be."""
        try:
            if upload.path.stat().st_size > MAX_UPLOAD_BYTES:
                upload.problem = f"larger than {MAX_UPLOAD_BYTES // 10**6} MB"
                return False
            with upload.path.open("rb") as body:
                answer = self.s3.put_object(
                    Bucket=self.outputs["PhotosBucketName"], Key=upload.key, Body=body
                )
        except OSError as error:
            upload.problem = error.strerror or "cannot be read"
            return False
        upload.uploaded_at = datetime.now(UTC)
        versions = answer["VersionId"], answer["ETag"].strip('"')
        upload.image_ids = tuple(f"{upload.key}#{version}" for version in versions)
        return True

    def is_over(self, upload: Upload) -> bool:
        """Whether a photo has its record, or has had its time."""
        table = self.outputs["PredictionsTableName"]
        keys = [{"image_id": {"S": image_id}} for image_id in upload.image_ids]
        answer = self.dynamodb.batch_get_item(
            RequestItems={table: {"Keys": keys, "ConsistentRead": True}}
        )
        if answer["Responses"][table]:
            [upload.record] = answer["Responses"][table]
            return True
        limit = timedelta(seconds=DECISION_SECONDS)
        if upload.uploaded_at and datetime.now(UTC) - upload.uploaded_at > limit:
            upload.problem = f"not decided after {DECISION_SECONDS} s"
            return True
        return False

    def states(self) -> dict[str, str]:
        """The state that each running execution is in, by the key of its photo."""
        running = self.stepfunctions.list_executions(
            stateMachineArn=self.outputs["ClassifyPhotoStateMachineArn"], statusFilter="RUNNING"
        )["executions"]
        return {
            self.key_of(execution["executionArn"]): state
            for execution in running
            if (state := self.state_of(execution["executionArn"]))
        }

    def key_of(self, execution: str) -> str:
        """The key of the photo that an execution is about."""
        if execution not in self.executions:
            described = self.stepfunctions.describe_execution(executionArn=execution)
            event = json.loads(described["input"])
            self.executions[execution] = event["detail"]["object"]["key"]
        return self.executions[execution]

    def state_of(self, execution: str) -> str:
        """The state that an execution entered last; empty where it is in none yet."""
        history = self.stepfunctions.get_execution_history(
            executionArn=execution, reverseOrder=True, maxResults=10
        )["events"]
        names = (
            event["stateEnteredEventDetails"]["name"]
            for event in history
            if "stateEnteredEventDetails" in event
        )
        return next(names, "")


def find_photos(name: str) -> list[Upload]:
    """All files under a folder, each as the photo of a courier of its own.

    Raises:
        LocalCloudError: there is no such folder, it cannot be read, or there is no file in it.

    """
    folder = Path(name).expanduser()
    if not name:
        raise LocalCloudError("PHOTOS= is empty: give a folder, or leave it out")
    if folder.is_file():
        raise LocalCloudError(f"{folder} is a file: give a folder with PHOTOS=")
    if not folder.is_dir():
        raise LocalCloudError(f"there is no folder {folder}: give one with PHOTOS=")

    def refuse(error: OSError) -> None:
        raise LocalCloudError(f"{error.filename} cannot be read ({error.strerror})") from error

    paths = sorted(
        path
        for parent, _, names in os.walk(folder, onerror=refuse)
        for path in map(Path(parent).joinpath, names)
        if path.is_file()
    )
    if not paths:
        raise LocalCloudError(f"there is no file in {folder}: give another folder with PHOTOS=")
    uploads = []
    for number, path in enumerate(paths, start=1):
        name = str(path.relative_to(folder)).encode("utf-8", "replace").decode()
        key = f"uploads/courier-{number:03d}/{name}"
        if len(key.encode()) > MAX_KEY_BYTES:
            key = f"uploads/courier-{number:03d}/{path.name}"
        uploads.append(Upload(path, name, key))
    return uploads


def percent(confidence: float) -> str:
    """Rounded down, as in the reasons: 89.97% is below a threshold of 90%."""
    return f"{math.floor(confidence * 1000) / 10}%"


def table_of(uploads: list[Upload]) -> Table:
    """One line per file."""
    table = Table(box=None, pad_edge=False)
    for title in ("photo", "label", "confidence", "status", "reason", "ms"):
        right = title in ("confidence", "ms")
        table.add_column(title, justify="right" if right else "left", overflow="fold")
    for upload in uploads:
        record = upload.record or {}
        status = record["status"]["S"] if record else "undecided"
        table.add_row(
            Text(upload.name),
            record.get("label", {}).get("S", ""),
            percent(float(record["confidence"]["N"])) if "confidence" in record else "",
            Text(status, style=COLOURS.get(status, "red")),
            Text(record["reason"]["S"] if record else upload.problem),
            str(upload.milliseconds) if record else "",
        )
    return table


def labels_of_samples(uploads: list[Upload]) -> dict[str, str]:
    """What a person would answer about the sample photos that wait for one, by `image_id`.

    Their names begin with what they show; of other photos nothing is known.
    """
    return {
        upload.record["image_id"]["S"]: upload.name.split("-")[0]
        for upload in uploads
        if upload.path.parent == SAMPLE_PHOTOS
        and upload.record
        and upload.record["status"]["S"] == "review"
    }


def dispatch(
    cloud: LocalCloud, outputs: dict[str, str], uploads: list[Upload]
) -> tuple[list[dict[str, Any]], Dispatches]:
    """Place the sample orders once all couriers are there; the orders, and what became of them."""
    shop = Shop(cloud, outputs)
    answers = labels_of_samples(uploads)
    shop.review(answers)
    accepted = [
        each for each in uploads if each.record and each.record["status"]["S"] == "accepted"
    ]
    shop.wait_for_couriers(len(accepted) + len(answers))
    orders = sample_orders(datetime.now(UTC))
    return orders, shop.place(orders)


def routes_of(found: Dispatches) -> Table:
    """One line per stop, courier by courier; then the orders that wait."""
    table = Table(box=None, pad_edge=False)
    for title in ("courier", "vehicle", "bay", "leaves", "order", "arrives", "km", "reason"):
        table.add_column(title, justify="right" if title == "km" else "left", overflow="fold")
    for route in found.routes:
        own = (
            route["courier_id"],
            route["vehicle"],
            route["loading_bay"],
            clock(route["departs_at"]),
        )
        for stop in route["stops"]:
            what = stop["order_id"], clock(stop["arrives_at"]), f"{stop['distance_km']:.1f}"
            table.add_row(*map(Text, (*own, *what, stop["reason"])))
            own = "", "", "", ""
        table.add_row(
            "", "", "", "", "back", clock(route["returns_at"]), f"{route['distance_km']:.1f}"
        )
    for order_id, reason in sorted(found.waiting.items()):
        table.add_row("", "", "", "", *map(Text, (order_id, "", "", reason)))
    return table


def clock(time: str) -> str:
    """Hours and minutes, UTC."""
    return f"{datetime.fromisoformat(time).astimezone(UTC):%H:%M}"


def run(cloud: LocalCloud, uploads: list[Upload], console: Console) -> bool:
    """Build, start, deploy, decide; True if every photo was decided."""
    steps = Steps(console)
    try:
        cloud.start()
        with steps.step("building the functions", "built the functions"):
            cloud.build()
        with steps.step("starting the local cloud", "started MiniStack and the serving app"):
            cloud.wait_until_ready()
        with steps.step("deploying the stack", "deployed template.yaml"):
            outputs = cloud.deploy()
        start = time.monotonic()
        progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        task = progress.add_task("photos decided", total=len(uploads))
        with Live(progress, console=console, transient=True) as live:
            for states in Follower(cloud, outputs).decide(uploads):
                over = sum(1 for upload in uploads if upload.record or upload.problem)
                progress.update(task, completed=over)
                lines = Table.grid(padding=(0, 2))
                lines.add_row(progress)
                for upload in uploads:
                    if upload.key in states and not upload.record:
                        lines.add_row(Text(f"  {states[upload.key]:<18} {upload.name}"))
                live.update(lines)
        console.print(
            f"{time.monotonic() - start:5.1f} s  decided {len(uploads)} photos", highlight=False
        )
        with steps.step("dispatching the sample orders", "dispatched the sample orders\n"):
            orders, found = dispatch(cloud, outputs, uploads)
    finally:
        cloud.stop()
    console.print(table_of(uploads))
    console.print()
    console.print(routes_of(found))
    waiting = [
        order | {"reason": found.waiting[order["order_id"]]}
        for order in orders
        if order["order_id"] in found.waiting
    ]
    page = cloud.directory / "dispatch.html"
    page.write_text(draw(found.routes, waiting), "utf-8")
    console.print(f"\nMap of the routes: {page}", highlight=False, soft_wrap=True)
    console.print(
        f"{time.monotonic() - steps.start:.1f} s in all. Logs: {cloud.logs}",
        highlight=False,
        soft_wrap=True,
    )
    return all(upload.record and upload.record["status"]["S"] != "failed" for upload in uploads)


def main() -> int:
    """Parse the command line, and run."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", default=str(SAMPLE_PHOTOS), metavar="FOLDER")
    add_ports(parser)
    arguments = parser.parse_args()

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    cloud = LocalCloud(STATE / "run", arguments.cloud_port, arguments.serving_port)

    def follow() -> int:
        uploads = find_photos(arguments.photos)
        prepare(cloud, console)
        return 0 if run(cloud, uploads, console) else 1

    return carry_out(follow, cloud, console)


if __name__ == "__main__":
    sys.exit(main())
