"""Make the traffic of the last days the baseline that drift is measured against.

    .venv/bin/python -m operations.baseline --days 7   the last days, if reviews showed no fault
    .venv/bin/python -m operations.baseline --reset    the model's own validation photos

The labels of a model's validation photos have other shares than those of your couriers. This
command reads the counts of MeasureDrift in DriftTable. It puts
`baselines/<name>/<version>/traffic.json` into the bucket, for the model that was used last. The
model's own baseline, `baselines/<name>/<version>.json`, stays. The command ends with an error if
too few photos were reviewed. Credentials and region are those of the AWS CLI.
"""

import argparse
import json
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from functions.measure_drift.keys import own_key, traffic_key
from functions.measure_drift.windows import ABOVE_THRESHOLD, BELOW_THRESHOLD, BINS, Tally, Window
from operations.errors import UserError, code_of, explain
from operations.stack import DEFAULT_STACK, Stack, require_stack

SHIPPED = json.loads(
    (Path(__file__).parents[1] / "models" / "vehicles" / "metadata.json").read_text()
)
FEWEST_PREDICTIONS = 500
MOST_DAYS = 3650
FEWEST_REVIEWS = 20  # above the confidence threshold, and as many below it


def describe_traffic(tally: Tally) -> dict[str, Any]:
    """The baseline that the counts of some hours make, as metadata.json of a model has it.

    Raises:
        UserError: too few predictions or reviews.

    """
    count = tally.predictions
    if count < FEWEST_PREDICTIONS:
        raise UserError(f"{count} predictions are too few: {FEWEST_PREDICTIONS} are needed")
    above, below = tally.stratum(*ABOVE_THRESHOLD), tally.stratum(*BELOW_THRESHOLD)
    for side, part in (("above", above), ("below", below)):
        if part.predictions and part.reviewed < min(FEWEST_REVIEWS, part.predictions):
            raise UserError(
                f"{part.reviewed} reviews are too few of photos {side} the confidence threshold: "
                f"{FEWEST_REVIEWS} are needed (`make review`, or a longer time)"
            )
    known = [part for part in (above, below) if part.reviewed]
    parts = {"accepted": above, "review": below, "rejected": above}
    statuses = {
        name: {
            "share": round(tally.statuses[name].predictions / count, 4),
            # The same share of accepted and rejected photos is audited: one accuracy for both.
            "accuracy": round(part.correct / part.reviewed, 4) if part.reviewed else None,
            "reviewed": tally.statuses[name].reviewed,
        }
        for name, part in parts.items()
    }
    edges = SHIPPED["baseline"]["confidence_edges"]
    hundredths = [round(edge * BINS) for edge in edges]
    bins = [sum(tally.confidence[low:high]) for low, high in pairwise(hundredths)]
    return {
        "count": count,
        "labels": {label: round(each / count, 4) for label, each in sorted(tally.labels.items())},
        "confidence_edges": edges,
        "confidence": [round(each / count, 4) for each in bins],
        "mean_confidence": round(tally.confidence_sum / count, 4),
        "mean_novelty": rounded(tally.novelty.mean),
        "novelty_deviation": rounded(tally.novelty.deviation),
        "accuracy": round(
            sum(part.correct / part.reviewed * part.predictions / count for part in known), 4
        ),
        "statuses": statuses,
    }


def rounded(value: float | None) -> float | None:
    """Four decimals; None stays None."""
    return None if value is None else round(value, 4)


def read_traffic(table: str, since: datetime) -> tuple[str, Tally]:
    """The model that was used last, and its counts since a time.

    Raises:
        UserError: there are no counts.

    """
    pages = (
        boto3.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=table,
            KeyConditionExpression="series = :series AND #hour >= :since",
            ExpressionAttributeNames={"#hour": "hour"},
            ExpressionAttributeValues={
                ":series": {"S": "hourly"},
                ":since": {"S": since.strftime("%Y-%m-%dT%H")},
            },
        )
    )
    windows = [
        Window.from_json(json.loads(item["counts"]["S"]))
        for page in pages
        for item in page["Items"]
    ]
    newest = {name: tally.last_at for window in windows for name, tally in window.models.items()}
    if not newest:
        raise UserError("no predictions were counted in that time: give more --days")
    model = max(newest, key=lambda name: newest[name])
    total = Tally()
    for window in windows:
        if model in window.models:
            total.add(window.models[model])
    return model, total


def has_own(model: str, bucket: str) -> bool:
    """Whether a model's own baseline is in the bucket, or in the function's package."""
    if model == f"{SHIPPED['name']}/{SHIPPED['version']}":
        return True
    try:
        boto3.client("s3").head_object(Bucket=bucket, Key=own_key(model))
    except ClientError as error:
        if code_of(error) != "404":
            raise
        return False
    return True


def set_baseline(stack: Stack, days: float, *, reset: bool) -> str:
    """Set or reset the baseline in the bucket of a stack; return what was done, in one line.

    Raises:
        UserError: too few predictions or reviews.

    """
    since = datetime.now(UTC) - timedelta(days=days)
    model, tally = read_traffic(stack.output("DriftTableName"), since)
    bucket = stack.output("PhotosBucketName")
    s3 = boto3.client("s3")
    if reset:
        s3.delete_object(Bucket=bucket, Key=traffic_key(model))
        if has_own(model, bucket):
            return f"the baseline of {model} is its own validation photos again"
        return (
            f"{model} has no baseline now, so drift is not measured: put its metadata.json at "
            f"s3://{bucket}/{own_key(model)}"
        )
    name, _, version = model.partition("/")
    baseline = describe_traffic(tally)
    metadata = {"name": name, "version": version, "baseline": baseline}
    s3.put_object(
        Bucket=bucket,
        Key=traffic_key(model),
        Body=json.dumps(metadata, indent=2),
        ContentType="application/json",
    )
    return (
        f"the baseline of {model} is {baseline['count']} predictions now: accuracy "
        f"{baseline['accuracy']:.3f}, mean confidence {baseline['mean_confidence']:.3f}, labels "
        + ", ".join(f"{label} {share:.0%}" for label, share in baseline["labels"].items())
    )


def positive_days(text: str) -> float:
    """A number of days that the records can reach back."""
    days = float(text)
    if not 0 < days <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0 and at most {MOST_DAYS}")
    return days


def main() -> int:
    """Parse the command line, and report errors in one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stack-name", default=DEFAULT_STACK, help="default: %(default)s")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--days", type=positive_days, default=7, help="until now (default: %(default)s)"
    )
    how.add_argument("--reset", action="store_true", help="use the model's own baseline again")
    arguments = parser.parse_args()
    try:
        stack = require_stack(boto3.client("cloudformation"), arguments.stack_name)
        print(set_baseline(stack, arguments.days, reset=arguments.reset))
    except UserError as error:
        print(f"baseline: {error}", file=sys.stderr)
    except (ClientError, BotoCoreError) as error:
        print(f"baseline: {explain(error)}", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
