"""vehicles.json: what ships is sound, and what is wrong with another is said in one line."""

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


def test_a_place_is_one_that_the_tables_can_hold(fleet: Any) -> None:
    assert fleet.Place(52.0907, 1e-200) == fleet.Place(52.0907, 0)


def test_the_vehicles_are_those_that_the_model_tells_apart(fleet: Any) -> None:
    assert fleet.read_fleet().vehicles.keys() == {"bicycle", "motorcycle"}


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("depot", "latitude"), 91, "latitude must be a number from -90 to 90"),
        (("depot", "longitude"), "5", "longitude must be a number from -180 to 180"),
        (("depot", "latitude"), True, "latitude must be a number from -90 to 90"),
        (("depot",), [], "depot: must be an object"),
        (("vehicles",), {}, "vehicles: must be an object with one vehicle at least"),
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
def test_what_is_wrong_is_named(
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
def test_what_is_no_json_is_said(fleet: Any, tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "vehicles.json"
    if text is not None:
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        fleet.read_fleet(file)
