"""Make the traffic of the last days the baseline that drift is measured against.

    python -m operations.baseline --days 7   of a week in which reviews found nothing wrong
    python -m operations.baseline --reset    back to the model's own validation photos

The photos that a model was validated on have another mix than those of your couriers. This reads
the counts of MeasureDrift in DriftTable, and puts `baselines/<name>/<version>/traffic.json` into
the bucket, for the model that answered last; the model's own, `baselines/<name>/<version>.json`,
stays. It says what it found, and refuses where too little was reviewed. Credentials and region are
those of the AWS CLI.
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
from functions.measure_drift.windows import BINS, Tally, Window
from operations.errors import UserError, code_of, explain
from operations.stack import DEFAULT_STACK, Stack, require_stack

SHIPPED = json.loads(
    (Path(__file__).parents[1] / "models" / "vehicles" / "metadata.json").read_text()
)
FEWEST_PREDICTIONS = 500
FEWEST_REVIEWS = 20  # of what the model was sure of, and as many of the rest


def describe_traffic(tally: Tally) -> dict[str, Any]:
    """The baseline, as metadata.json of a model holds it, that the counts of some hours make.

    Raises:
        UserError: too little was predicted or reviewed to tell.

    """
    count = tally.predictions
    if count < FEWEST_PREDICTIONS:
        raise UserError(f"{count} predictions are too few: {FEWEST_PREDICTIONS} are needed")
    sure, unsure = tally.stratum("accepted", "rejected"), tally.stratum("review")
    for kind, part in (("sure", sure), ("unsure", unsure)):
        if part.predictions and part.reviewed < min(FEWEST_REVIEWS, part.predictions):
            raise UserError(
                f"{part.reviewed} reviews are too few of photos that the model was {kind} of: "
                f"{FEWEST_REVIEWS} are needed (`make review`, or a longer time)"
            )
    known = [part for part in (sure, unsure) if part.reviewed]
    parts = {"accepted": sure, "review": unsure, "rejected": sure}
    statuses = {
        name: {
            "share": round(tally.statuses[name].predictions / count, 4),
            # What is accepted and what is rejected are audited alike, and told together.
            "accuracy": round(part.right / part.reviewed, 4) if part.reviewed else None,
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
            sum(part.right / part.reviewed * part.predictions / count for part in known), 4
        ),
        "statuses": statuses,
    }


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def read_traffic(table: str, since: datetime) -> tuple[str, Tally]:
    """The model that answered last, and its counts since then.

    Raises:
        UserError: there are none.

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
        raise UserError("no predictions were counted in that time")
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
    """Set or reset the baseline in the bucket of a stack; what was done, in a line.

    Raises:
        UserError: too little is known.

    """
    since = datetime.now(UTC) - timedelta(days=days)
    model, tally = read_traffic(stack.output("DriftTableName"), since)
    bucket = stack.output("PhotosBucketName")
    s3 = boto3.client("s3")
    if reset:
        s3.delete_object(Bucket=bucket, Key=traffic_key(model))
        if has_own(model, bucket):
            return f"{model} is measured against its own validation photos again"
        return (
            f"{model} is measured against nothing from now on: it has no baseline of its own; put "
            f"its metadata.json at s3://{bucket}/{own_key(model)}"
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
        f"{model} is measured against {baseline['count']} predictions from now on: accuracy "
        f"{baseline['accuracy']:.3f}, mean confidence {baseline['mean_confidence']:.3f}, labels "
        + ", ".join(f"{label} {share:.0%}" for label, share in baseline["labels"].items())
    )


def main() -> int:
    """Parse the command line, and say plainly what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stack-name", default=DEFAULT_STACK, help="default: %(default)s")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--days", type=float, default=7, help="to look back (default: %(default)s)")
    how.add_argument("--reset", action="store_true", help="the model's own baseline again")
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
