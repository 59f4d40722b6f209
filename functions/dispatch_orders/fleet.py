"""The depot and the vehicle types of vehicles.json."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VEHICLES = Path(__file__).with_name("vehicles.json")
WAITING_COST = "cost_per_hour_of_waiting"

# The least and the largest value of each number in vehicles.json.
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
class Location:
    """A position on Earth in degrees (WGS 84).

    Raises:
        ValueError: a value is not a number, or out of bounds.

    """

    latitude: float
    longitude: float

    def __post_init__(self) -> None:
        """Check and round the values."""
        check_number("latitude", self.latitude, -90, 90)
        check_number("longitude", self.longitude, -180, 180)
        # 0.1 mm. DynamoDB cannot store every smaller number.
        object.__setattr__(self, "latitude", round(self.latitude, 9))
        object.__setattr__(self, "longitude", round(self.longitude, 9))


@dataclass(frozen=True, slots=True)
class VehicleType:
    """A type of vehicle.

    Attributes:
        label: the label of a photo that shows it.
        loading_bay: where its couriers load.
        speed_kmh: the average in traffic.
        range_km: maximum length of a route, return included.
        capacity_boxes: maximum number of boxes on a route.
        cost_per_km: in the currency of all costs.
        cost_per_hour: the wage, and the cost of the orders that this courier cannot deliver.
        detour_factor: length of the way divided by the great-circle distance.
        minutes_per_stop: from the arrival at a door to the departure.

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
    """The content of vehicles.json.

    Attributes:
        depot: start and end of each route.
        vehicles: vehicle types by label.
        cost_per_hour_of_waiting: of each customer whose order is ready and due. The higher it is,
            the shorter an order is held for others.

    """

    depot: Location
    vehicles: Mapping[str, VehicleType]
    cost_per_hour_of_waiting: float


def read_fleet(path: Path = VEHICLES) -> Fleet:
    """Read the depot and the vehicle types from a file.

    Raises:
        ValueError: one line that names the fault and the field.

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
    """Make a fleet from JSON values; raises ValueError with the fault."""
    fields = fields_of("the file", content, {"depot", "vehicles", WAITING_COST})
    depot = fields_of("depot", fields["depot"], {"latitude", "longitude"})
    if not isinstance(fields["vehicles"], dict) or not fields["vehicles"]:
        raise ValueError("vehicles: must be an object with at least one vehicle type")
    check_number(WAITING_COST, fields[WAITING_COST], *BOUNDS["cost_per_hour"])
    return Fleet(
        Location(depot["latitude"], depot["longitude"]),
        {label: vehicle_of(label, each) for label, each in fields["vehicles"].items()},
        fields[WAITING_COST],
    )


def vehicle_of(label: str, fields: Any) -> VehicleType:
    """Make a vehicle type from its fields; raises ValueError with the wrong field."""
    fields_of(label, fields, {"loading_bay", *BOUNDS})
    bay = fields["loading_bay"]
    if not isinstance(bay, str) or not bay.strip():
        raise ValueError(f"{label}: loading_bay must be a text")
    for name, (least, largest) in BOUNDS.items():
        check_number(f"{label}: {name}", fields[name], least, largest)
    if not isinstance(fields["capacity_boxes"], int):
        raise ValueError(f"{label}: capacity_boxes must be a whole number")  # noqa: TRY004
    return VehicleType(label=label, **fields)


def fields_of(what: str, fields: Any, names: set[str]) -> Mapping[str, Any]:
    """Return the fields; raises ValueError if one is missing or unknown."""
    if not isinstance(fields, dict):
        raise ValueError(f"{what}: must be an object")  # noqa: TRY004
    for name in sorted(names - fields.keys()):
        raise ValueError(f"{what}: {name} is missing")
    for name in sorted(fields.keys() - names):
        raise ValueError(f"{what}: {name} is unknown")
    return fields


def check_number(name: str, value: object, least: float, largest: float) -> None:
    """Raise ValueError if a value is not a number in these bounds; booleans and NaN are not."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value <= largest:  # type: ignore[operator]  # a number, as checked above
        raise ValueError(f"{name} must be a number from {least} to {largest}")
