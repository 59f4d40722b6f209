"""Measure how long check-ins and orders wait in a burst of photos, on the local cloud.

    .venv/bin/python -m benchmarks.burst --photos 1000

Uploads one small photo for each courier, as fast as S3 accepts them. When half are uploaded, places
ten orders. A check-in waits from the record of its photo to the record of its courier. An order
waits from its event to a plan (a courier, or a reason to wait). Prints seconds.
"""

import argparse
import io
import math
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from PIL import Image
from rich.console import Console

from local.cloud import LocalCloud
from local.command import Steps, add_ports, carry_out, prepare
from local.dispatching import Shop, at
from local.processes import SAMPLE_PHOTOS, STATE

UPLOADERS = 8
ORDERS = 10
MOST_SECONDS = 600


def small_photo() -> bytes:
    """A photo that the model accepts, of a few kilobytes."""
    image = Image.open(SAMPLE_PHOTOS / "bicycle-courier.jpg")
    image.thumbnail((256, 256))
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


def orders(now: datetime) -> list[dict[str, Any]]:
    """Orders one kilometre from the depot, due in an hour."""
    return [
        {"order_id": f"order-{number}", "latitude": 52.0997, "longitude": 5.1214, "boxes": 1}
        | {"ready_at": at(now, -1), "due_from": at(now, -1), "due_until": at(now, 60)}
        for number in range(ORDERS)
    ]


class Watch:
    """When each courier had checked in and each order was planned, by polling the tables."""

    def __init__(self, cloud: LocalCloud, outputs: dict[str, str]) -> None:
        self.dynamodb, self.outputs = cloud.client("dynamodb"), outputs
        self.couriers: dict[str, float] = {}  # seconds from the photo's record
        self.orders: dict[str, float] = {}  # when planned, time.time()
        self.statuses = Counter[str]()  # of the photos

    def items(self, table: str) -> list[dict[str, Any]]:
        """All items of a table."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.outputs[table])
        return [item for page in pages for item in page["Items"]]

    def look(self) -> None:
        """Read the tables, and note what is new."""
        self.statuses = Counter(item["status"]["S"] for item in self.items("PredictionsTableName"))
        for item in self.items("CouriersTableName"):
            if (name := item["courier_id"]["S"]) not in self.couriers:
                _, recorded_at, *_ = item["as_of"]["S"].split(" ")
                recorded = datetime.fromisoformat(recorded_at).timestamp()
                self.couriers[name] = time.time() - recorded
        for item in self.items("OrdersTableName"):
            if item["status"]["S"] != "new":
                self.orders.setdefault(item["order_id"]["S"], time.time())

    def is_over(self, photos: int) -> bool:
        """Whether all photos are recorded, all couriers checked in and all orders planned."""
        all_checked_in = len(self.couriers) == self.statuses["accepted"]
        return self.statuses.total() == photos and all_checked_in and len(self.orders) == ORDERS


def measure(cloud: LocalCloud, photos: int, console: Console) -> int:
    """Start the local cloud, send the burst, and print the waiting times."""
    try:
        outputs = Steps(console).deploy(cloud)
        shop, watch, s3 = Shop(cloud, outputs), Watch(cloud, outputs), cloud.client("s3")
        photo = small_photo()

        def upload(number: int) -> None:
            key = f"uploads/courier-{number}/photo.jpg"
            s3.put_object(Bucket=outputs["PhotosBucketName"], Key=key, Body=photo)

        start = time.time()
        with ThreadPoolExecutor(UPLOADERS) as uploaders:
            list(uploaders.map(upload, range(photos // 2)))
            placed = time.time()
            shop.publish("Order Placed", orders(datetime.now(UTC)))
            list(uploaders.map(upload, range(photos // 2, photos)))
        console.print(f"uploaded {photos} photos in {time.time() - start:.0f} s", highlight=False)
        while time.time() - start < MOST_SECONDS and not watch.is_over(photos):
            time.sleep(0.5)
            watch.look()
        total = time.time() - start
    finally:
        cloud.stop()
    console.print(f"after {total:.0f} s: {dict(watch.statuses)}", highlight=False)
    waits = sorted(watch.couriers.values()) or [math.nan]
    console.print(
        f"{len(watch.couriers)} check-ins waited {statistics.median(waits):.1f} s (median), "
        f"{waits[-1]:.1f} s (most)",
        highlight=False,
    )
    last = max(watch.orders.values(), default=placed) - placed
    console.print(
        f"{len(watch.orders)} of {ORDERS} orders planned, the last after {last:.1f} s",
        highlight=False,
    )
    return 0 if watch.is_over(photos) else 1


def main() -> int:
    """Parse the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--photos", type=int, default=1000, help="in the burst (default: %(default)s)"
    )
    add_ports(parser)
    arguments = parser.parse_args()
    console = Console()
    cloud = LocalCloud(STATE / "burst", arguments.cloud_port, arguments.serving_port)

    def work() -> int:
        prepare(cloud, console)
        return measure(cloud, arguments.photos, console)

    return carry_out(work, cloud, console)


if __name__ == "__main__":
    raise SystemExit(main())
