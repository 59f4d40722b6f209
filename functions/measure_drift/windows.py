"""Count the predictions of an hour, by model: what is kept of them, however many they are."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

BINS = 100  # of the confidence, each a hundredth wide
ROUNDING = 1e-9  # 0.29 * 100 is 28.999999999999996
STATUSES = ("accepted", "review", "rejected")

type Record = Mapping[str, Mapping[str, Any]]  # as DynamoDB types it


class Stratum(NamedTuple):
    """Predictions of one kind, how many of them people reviewed, how many of these are right."""

    predictions: int
    reviewed: int
    right: int


@dataclass
class Moments:
    """How many values there are, their sum, and the sum of their squares."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation."""
        if not self.count:
            return None
        return math.sqrt(max(0.0, self.squares / self.count - (self.total / self.count) ** 2))

    def add(self, other: "Moments") -> None:
        """Count another's values too."""
        self.count += other.count
        self.total += other.total
        self.squares += other.squares


@dataclass
class Tally:
    """Predictions of one model.

    Attributes:
        labels: predictions by label.
        confidence: predictions by confidence, in hundredths from 0.
        confidence_sum: the sum of all confidences.
        novelty: of all values of the novelty; not every model tells it.
        statuses: predictions by status, and how many of them people reviewed and found right.
        last_at: when the newest was recorded.

    """

    labels: dict[str, int] = field(default_factory=dict)
    confidence: list[int] = field(default_factory=lambda: [0] * BINS)
    confidence_sum: float = 0.0
    novelty: Moments = field(default_factory=Moments)
    statuses: dict[str, Stratum] = field(
        default_factory=lambda: dict.fromkeys(STATUSES, Stratum(0, 0, 0))
    )
    last_at: str = ""

    @property
    def predictions(self) -> int:
        return sum(status.predictions for status in self.statuses.values())

    def stratum(self, *statuses: str) -> Stratum:
        """Predictions of these statuses together."""
        return Stratum(*map(sum, zip(*(self.statuses[name] for name in statuses), strict=True)))

    def add(self, other: "Tally") -> None:
        """Count another's predictions too."""
        for label, count in other.labels.items():
            self.labels[label] = self.labels.get(label, 0) + count
        self.confidence = [a + b for a, b in zip(self.confidence, other.confidence, strict=True)]
        self.confidence_sum += other.confidence_sum
        self.novelty.add(other.novelty)
        for name, status in other.statuses.items():
            both = zip(self.statuses[name], status, strict=True)
            self.statuses[name] = Stratum(*map(sum, both))
        self.last_at = max(self.last_at, other.last_at)


@dataclass
class Window:
    """The predictions of an hour.

    Attributes:
        hour: UTC, such as "2026-11-20T14".
        models: a tally for each `<name>/<version>`.
        unreadable: rejected without asking a model.
        failed: not classified.

    """

    hour: str
    models: dict[str, Tally] = field(default_factory=dict)
    unreadable: int = 0
    failed: int = 0

    def count(self, records: Iterable[Record]) -> None:
        """Count records of PredictionsTable, each once."""
        for record in records:
            status = record["status"]["S"]
            if status == "failed":
                self.failed += 1
            elif "confidence" not in record:
                self.unreadable += 1
            else:
                self.count_prediction(record, status)

    def count_prediction(self, record: Record, status: str) -> None:
        """Count a prediction, and whether a person said that its label is right."""
        tally = self.models.setdefault(record["model"]["S"], Tally())
        label, confidence = record["label"]["S"], float(record["confidence"]["N"])
        tally.labels[label] = tally.labels.get(label, 0) + 1
        tally.confidence[min(BINS - 1, int(confidence * BINS + ROUNDING))] += 1
        tally.confidence_sum += confidence
        if "novelty" in record:
            novelty = float(record["novelty"]["N"])
            tally.novelty.add(Moments(1, novelty, novelty**2))
        predictions, reviewed, right = tally.statuses[status]
        if "reviewed_label" in record:
            reviewed += 1
            right += record["reviewed_label"]["S"] == label
        tally.statuses[status] = Stratum(predictions + 1, reviewed, right)
        tally.last_at = max(tally.last_at, record["recorded_at"]["S"])

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """What `dataclasses.asdict` made, after JSON."""
        models = {}
        for model, tally in kept["models"].items():
            statuses = {name: Stratum(*counts) for name, counts in tally["statuses"].items()}
            novelty = Moments(**tally.get("novelty", {}))  # hours counted before it was told
            models[model] = Tally(**tally | {"statuses": statuses, "novelty": novelty})
        return cls(kept["hour"], models, kept["unreadable"], kept["failed"])
