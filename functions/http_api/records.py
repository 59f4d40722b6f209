"""What the records of the tables say, for both pages."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from boto3.dynamodb.types import TypeDeserializer
from pydantic import Field

OTHER = "other"  # the label of a photo that shows none of the other labels

type Record = Mapping[str, Any]
type Time = Annotated[  # of a response
    str, Field(description="ISO 8601, UTC", json_schema_extra={"format": "date-time"})
]
type PhotoState = Literal["accepted", "review", "rejected", "failed"]

deserialize = TypeDeserializer().deserialize


def plain(item: Record) -> dict[str, Any]:
    """An item of DynamoDB as Python values; numbers as JSON has them."""
    return {name: number(deserialize(value)) for name, value in item.items()}


def number(value: Any) -> Any:
    """Decimals as int or float, within maps and lists too."""
    if isinstance(value, dict):
        return {name: number(each) for name, each in value.items()}
    if isinstance(value, list):
        return [number(each) for each in value]
    if hasattr(value, "as_integer_ratio"):
        return int(value) if value == int(value) else float(value)
    return value


def is_on_shift(courier: Record, now: datetime) -> bool:
    """Whether a courier has a vehicle, has not gone home, and the shift has not ended."""
    return (
        "vehicle" in courier
        and courier["shift_ends_at"] > text(now)
        and courier.get("off_shift_at", "") < courier["checked_in_at"]
    )


def decision_of(photo: Record) -> tuple[PhotoState, str | None]:
    """State and label of a photo: the review of a person decides over the model."""
    reviewed = photo.get("reviewed_label")
    if reviewed is None:
        return photo["status"], photo.get("label")
    return "rejected" if reviewed == OTHER else "accepted", reviewed


def text(time: datetime) -> str:
    """A time in UTC as the tables have it; its alphabetical order is that in time."""
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")
