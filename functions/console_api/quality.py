"""Read the reports of drift, the deliveries, the model in service and the alarms."""

import json
import os
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Annotated, Any, Literal, TypedDict

import boto3
from pydantic import Field

from functions.console_api.days import ModelDay, by_day_and_model
from functions.http_api.records import Time, plain, text
from functions.measure_drift.windows import Window

DAYS = 7  # are shown by model, today included
RETRAININGS = 5  # are shown
ALARM_SECONDS = 60  # alarms are read as often: each call costs money

dynamodb = boto3.client("dynamodb")
cloudwatch = boto3.client("cloudwatch")


class LabelShare(TypedDict):
    """The share of the photos of a sender that show a label with a topic."""

    label: str
    sender_id: str
    photos: int
    share: Annotated[float, Field(ge=0, le=1)]


class QualityHour(TypedDict):
    """A report of drift."""

    hour: Annotated[str, Field(description="2026-11-20T14, UTC")]
    report: Annotated[
        dict[str, Any], Field(description="The report of MeasureDrift as it is in DriftTable")
    ]
    label_shares: list[LabelShare]


class Deliveries(TypedDict):
    """The deliveries of the hours."""

    delivered: int
    late: Annotated[int, Field(description="Of those, after due_until")]
    median_minutes_late: Annotated[float | None, Field(description="Of the late ones")]


class Retraining(TypedDict):
    """A retraining that has ended."""

    ended_at: Time
    outcome: Annotated[str, Field(description="Such as: rejected, with the reason of the gate")]


class Alarm(TypedDict):
    """An alarm of the stack."""

    name: str
    state: Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
    description: Annotated[str, Field(description="What to do")]
    since: Time


class Quality(TypedDict):
    """What the view "Quality" shows. Days, hours and retrainings: newest first."""

    days: Annotated[
        list[ModelDay], Field(description=f"The last {DAYS} days, UTC, today included, by model")
    ]
    hours: list[QualityHour]
    deliveries: Deliveries
    retrainings: list[Retraining]
    alarms: list[Alarm]


alarms_read: list[tuple[datetime, list[Alarm]]] = []


def read_quality(hours: int) -> Quality:
    """What the view "Quality" shows."""
    return {
        "days": read_days(),
        "hours": read_reports(hours),
        "deliveries": read_deliveries(hours),
        "retrainings": read_retrainings(),
        "alarms": read_alarms(),
    }


def read_reports(hours: int) -> list[QualityHour]:
    """The newest reports of MeasureDrift, newest first."""
    page = dynamodb.query(
        TableName=os.environ["DRIFT_TABLE_NAME"],
        KeyConditionExpression="series = :series",
        ExpressionAttributeValues={":series": {"S": "hourly"}},
        ScanIndexForward=False,
        Limit=hours,
    )
    found = map(plain, page["Items"])
    return [
        {
            "hour": each["hour"],
            "report": json.loads(each["report"]),
            "label_shares": json.loads(each.get("label_shares", "[]")),
        }
        for each in found
        if "report" in each
    ]


def read_days() -> list[ModelDay]:
    """The last DAYS, UTC, by model, newest first. The newest one is not over."""
    first = datetime.now(UTC).date() - timedelta(days=DAYS - 1)
    pages = dynamodb.get_paginator("query").paginate(
        TableName=os.environ["DRIFT_TABLE_NAME"],
        KeyConditionExpression="series = :series AND #hour >= :first",
        ExpressionAttributeNames={"#hour": "hour"},
        ExpressionAttributeValues={
            ":series": {"S": "hourly"},
            ":first": {"S": f"{first}T00"},
        },
    )
    found = [plain(item) for page in pages for item in page["Items"]]
    return by_day_and_model(
        (Window.from_json(json.loads(each["counts"])), json.loads(each.get("report", "{}")))
        for each in found
        if "counts" in each
    )


def read_retrainings() -> list[Retraining]:
    """The last retrainings, newest first: when each ended, and why its model serves or does not."""
    record = plain(
        dynamodb.get_item(
            TableName=os.environ["RETRAINING_TABLE_NAME"],
            Key={"name": {"S": "retraining"}},
            ProjectionExpression="history",
        ).get("Item", {})
    )
    return [
        {
            "ended_at": text(datetime.fromtimestamp(each["ended_at"], UTC)),
            "outcome": each["outcome"],
        }
        for each in record.get("history", [])[:RETRAININGS]
    ]


def read_deliveries(hours: int) -> Deliveries:
    """How many orders were delivered in the last hours, how many of them late, and how late."""
    table = os.environ["ORDERS_TABLE_NAME"]
    if not table:  # without dispatch
        return {"delivered": 0, "late": 0, "median_minutes_late": None}
    now = datetime.now(UTC)
    since = now - timedelta(hours=hours)
    # An order may be delivered on the day before the one on which it is due.
    days = [since.date() + timedelta(days=day) for day in range((now - since).days + 3)]
    found = [
        order
        for day in days
        for page in dynamodb.get_paginator("query").paginate(
            TableName=table,
            IndexName="by_day",
            KeyConditionExpression="#day = :day",
            FilterExpression="delivered_at > :since",
            ExpressionAttributeNames={"#day": "day"},
            ExpressionAttributeValues={
                ":day": {"S": day.isoformat()},
                ":since": {"S": text(since)},
            },
            ProjectionExpression="delivered_at, due_until",
        )
        for order in map(plain, page["Items"])
    ]
    minutes = [
        (datetime.fromisoformat(order["delivered_at"]) - due).total_seconds() / 60
        for order in found
        if (due := datetime.fromisoformat(order["due_until"]))
    ]
    late = [each for each in minutes if each > 0]
    return {
        "delivered": len(found),
        "late": len(late),
        "median_minutes_late": round(median(late), 1) if late else None,
    }


def read_alarms() -> list[Alarm]:
    """The stack's alarms, those in ALARM first; at most ALARM_SECONDS old."""
    now = datetime.now(UTC)
    if alarms_read and now - alarms_read[0][0] < timedelta(seconds=ALARM_SECONDS):
        return alarms_read[0][1]
    prefix = f"{os.environ['STACK_NAME']}-"
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix)
    found: list[Alarm] = [
        {
            "name": alarm["AlarmName"],
            "state": alarm["StateValue"],
            "description": alarm.get("AlarmDescription", ""),
            "since": text(alarm["StateUpdatedTimestamp"].astimezone(UTC)),
        }
        for page in pages
        for alarm in page["MetricAlarms"]
        # Not of a stack with a longer name: <logical id>-<random> is the rest of the name.
        if alarm["AlarmName"].removeprefix(prefix).count("-") <= 1
    ]
    found.sort(key=lambda alarm: (alarm["state"] != "ALARM", alarm["name"]))
    alarms_read[:] = [(now, found)]
    return found
