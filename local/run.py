"""Run Scones Unlimited on this machine: classify photos, and show what follows.

    make run                        the sample photos of the project
    make run PHOTOS=~/Pictures      your own photos: all files in the folder and below it
    make run USE_CASE=scones        another use case of samconfig.toml

Builds the functions, starts the local cloud, deploys the stack, uploads each photo as a sender
does, follows it through the workflow and prints the classifications. With dispatch, it also places
the sample orders, prints the routes and draws a map of them. With topics, it prints what they
received. Stops the local cloud. Costs nothing.
"""

import math
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from local.cloud import LocalCloud
from local.command import Parser, Steps, add_ports, add_use_case, carry_out, prepare
from local.dispatching import Dispatches, Shop, sample_orders
from local.draw_map import draw, time_of_day
from local.processes import SAMPLE_PHOTOS, STATE
from local.topics import Message, Subscriber
from local.uploads import Follower, Upload, find_photos
from local.use_cases import find_use_case

COLOURS = {"accepted": "green", "review": "yellow", "rejected": "magenta", "failed": "red"}
MAP = "dispatch.html"


def classify(
    cloud: LocalCloud, outputs: dict[str, str], uploads: list[Upload], console: Console
) -> None:
    """Upload the photos, and show which state each is in until all have their records."""
    start = time.monotonic()
    progress = Progress(
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    task = progress.add_task("classifying the photos", total=len(uploads))
    with Live(progress, console=console, transient=True) as live:
        for states in Follower(cloud, outputs).classify(uploads):
            over = sum(1 for upload in uploads if upload.record or upload.problem)
            progress.update(task, completed=over)
            lines = Table.grid(padding=(0, 2))
            lines.add_row(progress)
            for upload in uploads:
                if upload.key in states and not upload.record:
                    lines.add_row(Text(f"  {states[upload.key]:<18} {upload.name}"))
            live.update(lines)
    classified = sum(1 for upload in uploads if upload.record)
    console.print(
        f"{time.monotonic() - start:5.1f} s  classified {classified} photos", highlight=False
    )


def labels_of_samples(uploads: list[Upload]) -> dict[str, str]:
    """The labels for sample photos that wait for a review, by `image_id`.

    The names of the sample photos begin with their label. Other photos have no known label.
    """
    return {
        upload.record["image_id"]["S"]: upload.name.split("-")[0]
        for upload in uploads
        if upload.path.parent == SAMPLE_PHOTOS and upload.record and upload.status == "review"
    }


def dispatch(
    cloud: LocalCloud, outputs: dict[str, str], uploads: list[Upload]
) -> tuple[list[dict[str, Any]], Dispatches]:
    """Review the sample photos, wait for the couriers, place the sample orders.

    Returns:
        The orders, and what was planned.

    """
    shop = Shop(cloud, outputs)
    labels = labels_of_samples(uploads)
    shop.review(labels)
    accepted = [upload for upload in uploads if upload.status == "accepted"]
    shop.wait_for_couriers(len(accepted) + len(labels))
    orders = sample_orders(datetime.now(UTC))
    return orders, shop.place(orders)


def percent(confidence: float) -> str:
    """Rounded down, as in the reasons: 89.97% is below a threshold of 90%."""
    return f"{math.floor(confidence * 1000) / 10}%"


def table_with(*titles: str, right: tuple[str, ...] = ()) -> Table:
    """A table without lines; the columns in `right` are aligned to the right."""
    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title, justify="right" if title in right else "left", overflow="fold")
    return table


def table_of_photos(uploads: list[Upload]) -> Table:
    """One line for each file."""
    table = table_with(
        *("photo", "label", "confidence", "status", "reason", "ms"), right=("confidence", "ms")
    )
    for upload in uploads:
        record = upload.record or {}
        status = upload.status or "no record"
        table.add_row(
            Text(upload.name),
            record.get("label", {}).get("S", ""),
            percent(float(record["confidence"]["N"])) if "confidence" in record else "",
            Text(status, style=COLOURS.get(status, "red")),
            Text(record["reason"]["S"] if record else upload.problem),
            str(upload.milliseconds) if record else "",
        )
    return table


def table_of_routes(routes: list[dict[str, Any]]) -> Table:
    """One line for each stop, courier by courier."""
    table = table_with(
        *("courier", "vehicle", "bay", "departs", "stop", "arrives", "km", "reason"), right=("km",)
    )
    for route in routes:
        departs = time_of_day(route["departs_at"])
        courier = route["courier_id"], route["vehicle"], route["loading_bay"], departs
        for stop in route["stops"]:
            arrives, km = time_of_day(stop["arrives_at"]), f"{stop['distance_km']:.1f}"
            table.add_row(*map(Text, (*courier, stop["order_id"], arrives, km, stop["reason"])))
            courier = "", "", "", ""
        returns, km = time_of_day(route["returns_at"]), f"{route['distance_km']:.1f}"
        table.add_row(*courier, "depot", returns, km)
    return table


def table_of_waiting(waiting: dict[str, str]) -> Table:
    """One line for each order that is on no route."""
    table = table_with("order on no route", "reason")
    for order_id, reason in sorted(waiting.items()):
        table.add_row(Text(order_id), Text(reason))
    return table


def table_of_messages(messages: list[Message]) -> Table:
    """One line for each photo that a topic received."""
    table = table_with("topic", "sender", "photo", "reason")
    for message in messages:
        table.add_row(*map(Text, (message.topic, message.sender_id, message.photo, message.reason)))
    return table


def run(cloud: LocalCloud, uploads: list[Upload], console: Console) -> bool:
    """Classify the photos, and show what follows; True if every photo was classified."""
    steps = Steps(console)
    tables: list[Table] = []
    notes: list[str] = []
    try:
        outputs = steps.deploy(cloud)
        subscriber = Subscriber(cloud, outputs)
        classify(cloud, outputs, uploads, console)
        tables.append(table_of_photos(uploads))
        if cloud.use_case.topic_labels:
            with steps.step("receiving from the topics", "received from the topics"):
                messages = subscriber.receive(
                    [each for each in uploads if each.status == "accepted"]
                )
            tables.append(table_of_messages(messages))
        if cloud.use_case.has_dispatch:
            with steps.step("planning the sample orders", "planned the sample orders"):
                orders, found = dispatch(cloud, outputs, uploads)
            tables += [table_of_routes(found.routes), table_of_waiting(found.waiting)]
            notes = ["All times are UTC.", f"Map of the routes: {draw_page(cloud, orders, found)}"]
    finally:
        cloud.stop()
    for table in tables:
        if table.row_count:
            console.print()
            console.print(table)
    console.print()
    seconds = time.monotonic() - steps.start
    notes.append(f"Finished in {seconds:.1f} s; the local cloud is stopped. Logs: {cloud.logs}")
    for line in notes:
        console.print(line, highlight=False, soft_wrap=True)
    return all(upload.status not in ("", "failed") for upload in uploads)


def draw_page(cloud: LocalCloud, orders: list[dict[str, Any]], found: Dispatches) -> Path:
    """Draw the map of the routes into a page; its path."""
    waiting = [
        order | {"reason": found.waiting[order["order_id"]]}
        for order in orders
        if order["order_id"] in found.waiting
    ]
    page = cloud.directory / MAP
    page.write_text(draw(found.routes, waiting), "utf-8")
    return page


def main() -> int:
    """Parse the command line, and run."""
    parser = Parser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--photos", metavar="FOLDER", help="default: those of the use case")
    add_use_case(parser)
    add_ports(parser)
    arguments = parser.parse_args()

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    cloud = LocalCloud(STATE / "run", arguments.cloud_port, arguments.serving_port)

    def follow() -> int:
        cloud.use_case = find_use_case(arguments.use_case)
        folder = cloud.use_case.photos if arguments.photos is None else arguments.photos
        uploads = find_photos(str(folder), cloud.use_case.sender)
        prepare(cloud, console)
        return 0 if run(cloud, uploads, console) else 1

    return carry_out(follow, cloud, console)


if __name__ == "__main__":
    sys.exit(main())
