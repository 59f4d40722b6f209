"""Measure drift: count the predictions of past hours, and compare them with the baseline."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypedDict

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from functions.measure_drift.keys import own_key, traffic_key
from functions.measure_drift.report import METRICS, Baseline, Report, describe
from functions.measure_drift.shares import Senders, Share, highest
from functions.measure_drift.windows import Record, Window

HOUR = "%Y-%m-%dT%H"
# An hour is counted when it is over, and again 1, 3, 7 ... hours later, because reviews come late.
AGES = [2**power for power in range(9)]
DAYS = 7  # a report looks back so far
SHIPPED = Path(__file__).with_name("metadata.json")  # baseline of the shipped model

logger = Logger(use_rfc3339=True)
tracer = Tracer(patch_modules=["botocore"])
metrics = Metrics()
dynamodb = boto3.client("dynamodb")
s3 = boto3.client("s3")


class Request(TypedDict, total=False):
    """`hour`: the newest hour to measure, such as "2026-11-20T14"; default: the last one."""

    hour: str


@tracer.capture_lambda_handler
@logger.inject_lambda_context
def handler(event: Request, context: LambdaContext) -> Report | None:
    """Count the hours again, and report on the model in service; None without predictions."""
    newest = parse_hour(event.get("hour"))
    senders, *_ = [count_hour(hour_before(newest, age - 1)) for age in AGES]
    report_shares(hour_before(newest, 0), senders)
    windows = list(read_windows(newest))
    if not windows or windows[0].hour != hour_before(newest, 0) or not windows[0].models:
        return None
    model = max(windows[0].models, key=lambda name: windows[0].models[name].last_at)
    baseline = read_baseline(model)
    if baseline is None:
        extra = {"model": model, "put_it_at": own_key(model)}
        logger.warning("The model has no baseline", extra=extra)
    report = describe(model, windows, baseline, float(os.environ["MAXIMUM_DRIFT"]))
    keep(report["hour"], report=json.dumps(report))
    publish(report)
    return report


def parse_hour(text: str | None) -> datetime:
    """Read an hour; None is the last complete one. Raises ValueError if the text is not an hour."""
    if text is None:
        now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        return now - timedelta(hours=1)
    try:
        return datetime.strptime(text, HOUR).replace(tzinfo=UTC)
    except (ValueError, TypeError) as error:
        raise ValueError(f'hour is {text!r}, not an hour like "2026-11-20T14"') from error


def hour_before(hour: datetime, hours: int) -> str:
    """Write the hour that is so many hours earlier."""
    return (hour - timedelta(hours=hours)).strftime(HOUR)


def count_hour(hour: str) -> Senders:
    """Count the predictions of an hour, and replace the earlier counts; return them by sender."""
    window, senders = Window(hour), Senders()
    for page in read_predictions(hour):
        window.count(page)
        senders.count(page)
    if window != Window(hour):
        keep(hour, counts=json.dumps(asdict(window)))
    return senders


def report_shares(hour: str, senders: Senders) -> None:
    """Keep and publish which share of each sender's photos shows each label with a topic."""
    labels = list(filter(None, os.environ.get("TOPIC_LABELS", "").split(",")))
    if shares := senders.shares(labels):
        keep(hour, label_shares=json.dumps(shares))
        publish_shares(shares)


def read_predictions(hour: str) -> Iterator[Iterable[Record]]:
    """Read the records of an hour, page by page."""
    names = (
        *("image_id", "status", "label", "confidence", "novelty", "model", "recorded_at"),
        "reviewed_label",
    )
    pages = dynamodb.get_paginator("query").paginate(
        TableName=os.environ["PREDICTIONS_TABLE_NAME"],
        IndexName="by_hour",
        KeyConditionExpression="#hour = :hour",
        ProjectionExpression=", ".join(f"#{name}" for name in names),
        ExpressionAttributeNames={f"#{name}": name for name in ("hour", *names)},
        ExpressionAttributeValues={":hour": {"S": hour}},
    )
    for page in pages:
        yield page["Items"]


def keep(hour: str, **values: str) -> None:
    """Set values in the item of an hour in DriftTable."""
    days = int(os.environ["PREDICTION_RETENTION_DAYS"])
    ends = datetime.strptime(hour, HOUR).replace(tzinfo=UTC) + timedelta(days=days)
    named = {f"#{name}": name for name in values} | {"#expires_at": "expires_at"}
    typed: dict[str, Any] = {f":{name}": {"S": value} for name, value in values.items()}
    dynamodb.update_item(
        TableName=os.environ["DRIFT_TABLE_NAME"],
        Key={"series": {"S": "hourly"}, "hour": {"S": hour}},
        UpdateExpression="SET " + ", ".join(f"{name} = :{name[1:]}" for name in named),
        ExpressionAttributeNames=named,
        ExpressionAttributeValues=typed | {":expires_at": {"N": str(int(ends.timestamp()))}},
    )


def read_windows(newest: datetime) -> Iterator[Window]:
    """Read the counts of the last DAYS, the newest hour first."""
    pages = dynamodb.get_paginator("query").paginate(
        TableName=os.environ["DRIFT_TABLE_NAME"],
        KeyConditionExpression="series = :series AND #hour BETWEEN :oldest AND :newest",
        ExpressionAttributeNames={"#hour": "hour"},
        ExpressionAttributeValues={
            ":series": {"S": "hourly"},
            ":oldest": {"S": hour_before(newest, DAYS * 24 - 1)},
            ":newest": {"S": hour_before(newest, 0)},
        },
        ScanIndexForward=False,
        ConsistentRead=True,
    )
    for page in pages:
        for item in page["Items"]:
            yield Window.from_json(json.loads(item["counts"]["S"]))


def read_baseline(model: str) -> Baseline | None:
    """Read the baseline of a model, `<name>/<version>`: of its traffic, or its own, or None.

    Raises ValueError if a baseline is not complete.
    """
    for key in (traffic_key(model), own_key(model)):
        try:
            response = s3.get_object(Bucket=os.environ["PHOTOS_BUCKET_NAME"], Key=key)
            return Baseline.from_metadata(json.load(response["Body"]))
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
    shipped = json.loads(SHIPPED.read_bytes())
    if f"{shipped['name']}/{shipped['version']}" == model:
        return Baseline.from_metadata(shipped)
    return None


def publish(report: Report) -> None:
    """Emit the known values as metrics, and the report as their metadata in the log."""
    values: Mapping[str, Any] = report
    known = {name: values[key] for key, name in METRICS.items() if values[key] is not None}
    if known:
        for name, value in known.items():
            metrics.add_metric(name=name, unit=MetricUnit.NoUnit, value=value)
        metrics.add_metadata(key="report", value=report)
        metrics.flush_metrics()


def publish_shares(shares: list[Share]) -> None:
    """Emit the share of each label and sender, and for the alarm the highest of each label."""
    dimensions = [
        ({"label": each["label"], "sender": each["sender_id"]}, each["share"]) for each in shares
    ]
    dimensions += [({"label": label}, share) for label, share in highest(shares).items()]
    for names, share in dimensions:
        with single_metric(name="LabelShare", unit=MetricUnit.NoUnit, value=share) as metric:
            for name, value in names.items():
                metric.add_dimension(name=name, value=value)
