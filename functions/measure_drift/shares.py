"""Which share of the photos of each sender shows a label: pure rules."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypedDict

from functions.measure_drift.windows import Record

OTHER = "other"  # photos that show none of the labels do not count
MIN_PHOTOS = 10  # of a sender, for a share that may set an alarm to ALARM
MAX_SENDERS = 50  # those with most photos: each is a metric, and DynamoDB takes 400 kB


class Share(TypedDict):
    """The share, 0 to 1, of the photos of a sender in an hour that show a label."""

    label: str
    sender_id: str
    photos: int
    share: float


class Senders:
    """The photos of an hour by sender and label. If there is a review, its label counts."""

    def __init__(self) -> None:
        """Begin without photos."""
        self.photos: dict[str, Counter[str]] = {}

    def count(self, records: Iterable[Record]) -> None:
        """Count records of PredictionsTable; those without a label are left out."""
        for record in records:
            label = record.get("reviewed_label", record.get("label", {"S": OTHER}))["S"]
            if label != OTHER:
                sender = sender_of(record["image_id"]["S"])
                self.photos.setdefault(sender, Counter())[label] += 1

    def shares(self, labels: Sequence[str]) -> list[Share]:
        """The shares of these labels, for the MAX_SENDERS with most photos."""
        busiest = sorted(self.photos, key=lambda sender: (-self.photos[sender].total(), sender))
        return [
            {
                "label": label,
                "sender_id": sender,
                "photos": (total := self.photos[sender].total()),
                "share": self.photos[sender][label] / total,
            }
            for label in labels
            for sender in busiest[:MAX_SENDERS]
        ]


def highest(shares: Iterable[Share]) -> dict[str, float]:
    """The highest share of each label among the senders with MIN_PHOTOS or more."""
    found: dict[str, float] = {}
    for each in shares:
        if each["photos"] >= MIN_PHOTOS:
            found[each["label"]] = max(each["share"], found.get(each["label"], 0.0))
    return found


def sender_of(image_id: str) -> str:
    """The second part of the key, as the workflow takes it."""
    parts = image_id.split("/")
    return parts[1] if len(parts) > 2 else "unknown"  # noqa: PLR2004
