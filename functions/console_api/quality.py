"""Read the reports of drift, the deliveries, the model in service and the alarms."""

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from functions.http_api.records import plain, text

ALARM_SECONDS = 60  # alarms are read as often: each call costs money

dynamodb = boto3.client("dynamodb")
cloudwatch = boto3.client("cloudwatch")
alarms_read: list[tuple[datetime, list[dict[str, Any]]]] = []


def read_reports(hours: int) -> list[dict[str, Any]]:
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
        {"hour": each["hour"], "report": json.loads(each["report"])}
        for each in found
        if "report" in each
    ]


def read_alarms() -> list[dict[str, Any]]:
    """The stack's alarms, those in ALARM first; at most ALARM_SECONDS old."""
    now = datetime.now(UTC)
    if alarms_read and now - alarms_read[0][0] < timedelta(seconds=ALARM_SECONDS):
        return alarms_read[0][1]
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=f"{os.environ['STACK_NAME']}-"
    )
    found = [
        {
            "name": alarm["AlarmName"],
            "state": alarm["StateValue"],
            "description": alarm.get("AlarmDescription", ""),
            "since": text(alarm["StateUpdatedTimestamp"].astimezone(UTC)),
        }
        for page in pages
        for alarm in page["MetricAlarms"]
    ]
    found.sort(key=lambda alarm: (alarm["state"] != "ALARM", alarm["name"]))
    alarms_read[:] = [(now, found)]
    return found
