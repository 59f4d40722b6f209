"""The output of `make run`: a line for each photo, each stop, and each order without a route."""

import io
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from local.processes import SAMPLE_PHOTOS
from local.run import labels_of_samples, table_of_photos, table_of_routes, table_of_waiting
from local.uploads import Upload, find_photos

STOP = {
    "order_id": "order-1",
    "arrives_at": "2026-05-04T14:10:00+02:00",
    "distance_km": 1.42,
    "reason": "assigned: bicycle within 1.4 km",
}
ROUTE = {
    "courier_id": "courier-001",
    "vehicle": "bicycle",
    "loading_bay": "A",
    "departs_at": "2026-05-04T12:05:00+00:00",
    "returns_at": "2026-05-04T12:20:00+00:00",
    "distance_km": 2.8,
    "stops": [STOP, STOP | {"order_id": "order-2"}],
}


def lines(table: Table) -> list[list[str]]:
    """The words of each line of a printed table, without its titles."""
    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(table)
    return [line.split() for line in console.export_text().splitlines()[1:]]


def upload(name: str, status: str = "", folder: Path = SAMPLE_PHOTOS, **fields: str) -> Upload:
    """An upload, with a record if it has a status."""
    found = Upload(folder / name, name, f"uploads/1/{name}", uploaded_at=datetime.now(UTC))
    if status:
        found.record = {"status": {"S": status}, "image_id": {"S": f"{found.key}#1"}}
        found.record |= {
            "reason": {"S": "why"},
            "recorded_at": {"S": datetime.now(UTC).isoformat()},
        }
        found.record |= {key: {"N" if key == "confidence" else "S": fields[key]} for key in fields}
    return found


def test_each_photo_has_a_line_with_its_result_or_its_problem() -> None:
    late = upload("late.jpg")
    late.problem = "no record after 90 s"
    classified = upload("bike.jpg", "review", label="bicycle", confidence="0.8997")
    [first, second] = lines(table_of_photos([classified, late]))
    # Rounded down: 89.97% is below a threshold of 90%.
    assert first[:5] == ["bike.jpg", "bicycle", "89.9%", "review", "why"]
    assert second == ["late.jpg", "no", "record", "no", "record", "after", "90", "s"]


def test_each_stop_has_a_line_and_a_route_ends_at_the_depot() -> None:
    first, second, last = lines(table_of_routes([ROUTE]))
    assert first[:7] == ["courier-001", "bicycle", "A", "12:05", "order-1", "12:10", "1.4"]
    assert second[:3] == ["order-2", "12:10", "1.4"]
    assert last == ["depot", "12:20", "2.8"]


def test_each_order_on_no_route_has_a_line_with_its_reason() -> None:
    assert lines(table_of_waiting({"order-9": "waiting: not due before 14:00 UTC"})) == [
        ["order-9", "waiting:", "not", "due", "before", "14:00", "UTC"]
    ]


def test_only_sample_photos_that_wait_are_reviewed_and_with_the_label_of_their_name() -> None:
    photos = [
        upload("bicycle-sideways.jpg", "review"),
        upload("motorcycle-roadster.jpg", "accepted"),
        upload("bicycle-mine.jpg", "review", folder=Path("/home/ann")),
        upload("bicycle-late.jpg"),
    ]
    assert labels_of_samples(photos) == {"uploads/1/bicycle-sideways.jpg#1": "bicycle"}


def test_hidden_files_are_no_photos(tmp_path: Path) -> None:
    for name in (".DS_Store", "bike.jpg"):
        (tmp_path / name).touch()
    assert [upload.path.name for upload in find_photos(str(tmp_path))] == ["bike.jpg"]
