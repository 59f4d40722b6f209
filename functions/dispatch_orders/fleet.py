"""The depot and the vehicles, as vehicles.json describes them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VEHICLES = Path(__file__).with_name("vehicles.json")
WAITING_COST = "cost_per_hour_of_waiting"

# What may stand in vehicles.json: the least and the largest of each number.
BOUNDS = {
    "speed_kmh": (1, 130),
    "range_km": (0.1, 1000),
    "capacity_boxes": (1, 99),  # a route is one transaction: its courier and at most 99 orders
    "cost_per_km": (0, 100),
    "cost_per_hour": (0, 1000),
    "detour_factor": (1, 5),
    "minutes_per_stop": (0, 60),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A position on Earth in degrees (WGS 84).

    Raises:
        ValueError: a value is no number, or is off the globe.

    """

    latitude: float
    longitude: float

    def __post_init__(self) -> None:
        """Keep what is no position out of everything that computes with one."""
        check_number("latitude", self.latitude, -90, 90)
        check_number("longitude", self.longitude, -180, 180)
        # A tenth of a millimetre; what is nearer to 0 than that, DynamoDB may not hold.
        object.__setattr__(self, "latitude", round(self.latitude, 9))
        object.__setattr__(self, "longitude", round(self.longitude, 9))


@dataclass(frozen=True, slots=True)
class Vehicle:
    """What a courier with this vehicle can do, and what it costs.

    Speed is the average in traffic; distances are the great circle times `detour_factor`;
    `range_km` bounds a whole route, back at the depot; `minutes_per_stop` is from stopping at the
    door to leaving it. Costs are in one currency, whichever; an hour costs the wage and what is
    not delivered meanwhile, because this courier is out.
    """

    label: str
    loading_bay: str
    speed_kmh: float
    range_km: float
    capacity_boxes: int
    cost_per_km: float
    cost_per_hour: float
    detour_factor: float
    minutes_per_stop: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """Where routes start and end, the vehicles by label, and what a customer's waiting costs.

    `cost_per_hour_of_waiting` is for each customer whose order is ready and due, in the currency of
    the vehicles' costs: the more it costs, the less is an order held for others to join it.
    """

    depot: Place
    vehicles: Mapping[str, Vehicle]
    cost_per_hour_of_waiting: float


def read_fleet(path: Path = VEHICLES) -> Fleet:
    """The depot and the vehicles of a configuration file.

    Raises:
        ValueError: one line on what is wrong with the file, and where.

    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path.name}: cannot be read as JSON: {error}") from None
    try:
        return fleet_of(content)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def fleet_of(content: Any) -> Fleet:
    """The depot and the vehicles as JSON has them; ValueError says what is wrong."""
    fields = fields_of("the file", content, {"depot", "vehicles", WAITING_COST})
    depot = fields_of("depot", fields["depot"], {"latitude", "longitude"})
    if not isinstance(fields["vehicles"], dict) or not fields["vehicles"]:
        raise ValueError("vehicles: must be an object with one vehicle at least")
    check_number(WAITING_COST, fields[WAITING_COST], *BOUNDS["cost_per_hour"])
    return Fleet(
        Place(depot["latitude"], depot["longitude"]),
        {label: vehicle_of(label, each) for label, each in fields["vehicles"].items()},
        fields[WAITING_COST],
    )


def vehicle_of(label: str, fields: Any) -> Vehicle:
    """A vehicle by its fields; ValueError says which is wrong."""
    fields_of(label, fields, {"loading_bay", *BOUNDS})
    bay = fields["loading_bay"]
    if not isinstance(bay, str) or not bay.strip():
        raise ValueError(f"{label}: loading_bay must be a text")
    for name, (least, largest) in BOUNDS.items():
        check_number(f"{label}: {name}", fields[name], least, largest)
    if not isinstance(fields["capacity_boxes"], int):
        raise ValueError(f"{label}: capacity_boxes must be a whole number")  # noqa: TRY004
    return Vehicle(label=label, **fields)


def fields_of(what: str, fields: Any, names: set[str]) -> Mapping[str, Any]:
    """The fields, where they are just these; ValueError says which is missing or unknown."""
    if not isinstance(fields, dict):
        raise ValueError(f"{what}: must be an object")  # noqa: TRY004
    for name in sorted(names - fields.keys()):
        raise ValueError(f"{what}: {name} is missing")
    for name in sorted(fields.keys() - names):
        raise ValueError(f"{what}: {name} is unknown")
    return fields


def check_number(name: str, value: object, least: float, largest: float) -> None:
    """Raise ValueError where a value is no number in these bounds; booleans and NaN are none."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value <= largest:  # type: ignore[operator]
        raise ValueError(f"{name} must be a number from {least} to {largest}")
