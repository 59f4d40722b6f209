"""The shipped vehicles.json is valid, and a fault in another one is reported in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def fleet(load: Callable[[str, str], ModuleType]) -> Any:
    return load("dispatch_orders", "fleet")


@pytest.fixture
def content(fleet: Any) -> Any:
    return json.loads(fleet.VEHICLES.read_text())


def test_a_location_is_rounded_to_numbers_that_dynamodb_can_store(fleet: Any) -> None:
    assert fleet.Location(52.0907, 1e-200) == fleet.Location(52.0907, 0)


def test_the_vehicle_types_are_labels_of_the_model(fleet: Any) -> None:
    assert fleet.read_fleet().vehicles.keys() == {"bicycle", "motorcycle"}


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("depot", "latitude"), 91, "latitude must be a number from -90 to 90"),
        (("depot", "longitude"), "5", "longitude must be a number from -180 to 180"),
        (("depot", "latitude"), True, "latitude must be a number from -90 to 90"),
        (("depot",), [], "depot: must be an object"),
        (("vehicles",), {}, "vehicles: must be an object with at least one vehicle type"),
        (("vehicles", "bicycle"), None, "bicycle: must be an object"),
        (("vehicles", "bicycle", "speed_kmh"), 0, "bicycle: speed_kmh must be a number from 1 to"),
        (("vehicles", "bicycle", "range_km"), float("nan"), "bicycle: range_km must be a number"),
        (("vehicles", "bicycle", "cost_per_km"), 10**400, "bicycle: cost_per_km must be a number"),
        (("vehicles", "bicycle", "capacity_boxes"), 1.5, "capacity_boxes must be a whole number"),
        (("vehicles", "bicycle", "loading_bay"), " ", "bicycle: loading_bay must be a text"),
        (("vehicles", "bicycle", "colour"), "red", "bicycle: colour is unknown"),
        (("vehicle",), {}, "the file: vehicle is unknown"),
        (("cost_per_hour_of_waiting",), -1, "cost_per_hour_of_waiting must be a number from 0 to"),
        (("cost_per_hour_of_waiting",), "1", "cost_per_hour_of_waiting must be a number from 0"),
    ],
)
def test_a_wrong_field_is_named(
    fleet: Any, content: Any, tmp_path: Path, path: Any, value: Any, problem: str
) -> None:
    *parents, last = path
    fields = content
    for name in parents:
        fields = fields[name]
    fields[last] = value
    file = tmp_path / "vehicles.json"
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"^vehicles.json: .*{problem}"):
        fleet.read_fleet(file)


def test_a_missing_field_is_named(fleet: Any, content: Any, tmp_path: Path) -> None:
    del content["vehicles"]["motorcycle"]["range_km"]
    file = tmp_path / "vehicles.json"
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="motorcycle: range_km is missing"):
        fleet.read_fleet(file)


@pytest.mark.parametrize("text", [None, "", "{", "\ud800"])
def test_a_file_that_is_not_json_is_reported(fleet: Any, tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "vehicles.json"
    if text is not None:
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        fleet.read_fleet(file)
