"""Ids and times as events write them."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta

# What ISO 8601 and RFC 3339 allow, and datetime does not: the end of a day, and a leap second.
END_OF_DAY = re.compile(r"(?<=T)24(?=:?00(?::?00(?:[.,]0+)?)?(?:Z|[+-]|$))")
LEAP_SECOND = re.compile(r"(?<=T\d\d:\d\d:)60|(?<=T\d{4})60")


def id_of(name: str, value: object) -> str:
    """An id in Unicode's form NFC, so that one id has one spelling; ValueError where it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{name} must be a text: write the number in quotes")  # noqa: TRY004
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a text that is not empty")
    return unicodedata.normalize("NFC", value)


def time_of(name: str, value: object) -> datetime:
    """A time in UTC: ISO 8601 or RFC 3339 with an offset.

    A leap second is the second after it, as for most clocks.

    Raises:
        ValueError: one line on what is wrong with it.

    """
    needed = f"{name} must be a time with an offset, such as 2026-05-04T12:30:00Z"
    if not isinstance(value, str):
        raise ValueError(needed)  # noqa: TRY004
    text = value.upper().replace(" ", "T")
    text, ends_of_day = END_OF_DAY.subn("00", text)
    text, leap_seconds = LEAP_SECOND.subn("59", text)
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        found = str(error)
        raise ValueError(needed if found.startswith("Invalid") else f"{needed}: {found}") from None
    if time.tzinfo is None:
        raise ValueError(needed)
    try:
        time = time.astimezone(UTC) + timedelta(days=ends_of_day, seconds=leap_seconds)
    except OverflowError:
        raise ValueError(f"{name} must be a time in the years 1 to 9999, UTC") from None
    if leap_seconds and (time.hour, time.minute, time.second) != (0, 0, 0):
        raise ValueError(f"{name} has a second 60, which is only before midnight UTC")
    return time
