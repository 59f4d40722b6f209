"""The record of a photo, checked whole."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.schemas import assert_record
from tests.support.stack import Outcome

SECOND = timedelta(seconds=1)
UPLOAD = {"image_id", "sender_id", "s3_bucket", "s3_key", "uploaded_at", "execution"}
DECISION = {"status", "reason", "recorded_at"}
INFERENCES = {"inferences", "model"}
PREDICTION = {"label", "confidence"}
FAULT = {"error", "cause"}
STORED = {"hour", "expires_at"}  # only in the record, not in the event
# All others are strings.
TYPES = {"novelty": "N", "confidence": "N", "expires_at": "N", "inferences": "M"}
RETENTION_DAYS = 400


def assert_recorded(outcome: Outcome, status: str, events: int = 1) -> dict[str, Any]:
    """Exactly one record of this status, whole and well-typed, and its event; its values.

    Args:
        outcome: of an execution that has ended.
        status: accepted, review, rejected or failed.
        events: how many events there are, the newest of which is the record.
    """
    assert outcome.record is not None
    record = outcome.values
    assert_record(record)
    assert record["status"] == status
    fields = UPLOAD | DECISION | STORED
    if "inferences" in record:
        fields |= INFERENCES
        if status != "failed" and not record["model"].startswith("chosen/"):
            fields |= {"novelty"}  # which the shipped model returns
    if "label" in record:
        fields |= PREDICTION
    if status == "failed":
        fields |= FAULT
    else:
        assert ("inferences" in record) == ("label" in record)
    if status == "review":
        fields |= {"review_state"}
    assert record.keys() == fields
    assert {name: [*value] for name, value in outcome.record.items()} == {
        name: [TYPES.get(name, "S")] for name in fields
    }
    assert record["image_id"].startswith(f"{record['s3_key']}#")

    recorded_at = datetime.fromisoformat(record["recorded_at"])
    assert recorded_at.tzinfo == UTC
    assert abs(datetime.now(UTC) - recorded_at) < timedelta(hours=1)
    assert datetime.fromisoformat(record["uploaded_at"]) <= recorded_at
    assert record["hour"] == recorded_at.strftime("%Y-%m-%dT%H")
    expires_at = datetime.fromtimestamp(int(record["expires_at"]), UTC)
    assert timedelta() <= recorded_at + timedelta(days=RETENTION_DAYS) - expires_at < SECOND

    assert len(outcome.events) == events
    assert outcome.events[-1] == {
        name: value for name, value in record.items() if name not in {*STORED, "review_state"}
    }
    return record
