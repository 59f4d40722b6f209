"""Show drift, alarms and reviews on this machine, with hours that take seconds.

    make drill

It takes about 10 minutes and costs nothing. In each hour couriers send photos, the model classifies
them, people review those below the confidence threshold, MeasureDrift runs, and alarms follow:

1. Baseline: hours without a fault. Their traffic becomes the baseline, as an operator does after
   the first week (docs/operations.md, DriftAlarm). The alarms get no metrics of these hours.
2. Quiet hours: no alarm goes to ALARM.
3. Three faults, with quiet hours after each: photos at night, photos without a vehicle, a broken
   camera. For each, at least one alarm goes to ALARM.

What is real: the stack of template.yaml, the model, FilterInferences and MeasureDrift as they are
deployed, and the thresholds of the alarms. In each hour one photo is uploaded to S3 and classified
by the workflow. In each phase one photo is reviewed over the bus.

What is simulated: the photos are parts of the drawn sample photos. Except one an hour, they are
sent to the model directly, and this script writes their records and reviews, because the workflow
takes a second for each photo on this machine. The local cloud has no metrics: this script publishes
those that MeasureDrift printed. An hour takes 12 seconds, and an alarm's period is 10 seconds
instead of an hour. On AWS an alarm of three periods needs three values; here one is enough.

Ends with a table of the phases and their alarms, and draws .local/drill/timeline.svg. Exits with 1
if an alarm went to ALARM in the first quiet hours, or if no alarm did in a fault.
"""

import base64
import hashlib
import json
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import batched, groupby
from typing import Any

from rich.console import Console
from rich.table import Table

from local.cloud import LocalCloud
from local.command import Parser, Steps, carry_out, prepare
from local.drill_photos import Photo, make_kinds
from local.processes import PROJECT, STATE, LocalCloudError, free_port
from local.timeline import Hour, draw
from operations.stack import EVENT_SOURCE

PHOTOS_AN_HOUR = 120
HOURS = 6  # of each phase
BASELINE, QUIET, AFTERWARDS = "baseline", "quiet", "quiet again"
FAULTS = {"at night": 0.9, "without a vehicle": 0.8, "a broken camera": 0.7}  # share of the photos
PERIOD_SECONDS = 10  # of an alarm's hour: the shortest period that CloudWatch knows
HOUR_SECONDS = 12  # longer, so that three periods hold three hours, and never a fourth
AUDIT_SHARE = 0.1  # of the photos above the threshold that people review as well
PATIENCE = 120  # seconds until a workflow has ended
WRITE_ITEMS = 25  # of one call of BatchWriteItem
ALARMS = ("AccuracyAlarm", "AccuracyDropAlarm", "DriftAlarm", "ReviewRateAlarm")
ALARM_FIELDS = (
    *("AlarmName", "AlarmDescription", "AlarmActions", "OKActions", "MetricName"),
    *("Namespace", "Statistic", "Dimensions", "EvaluationPeriods", "Threshold"),
    *("ComparisonOperator", "TreatMissingData"),
)


def wait_until[T](condition: Callable[[], T], what: str) -> T:
    """The first true value of a condition.

    Raises:
        LocalCloudError: there is none in PATIENCE seconds.

    """
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise LocalCloudError(f"{what} did not end in {PATIENCE} s")
        time.sleep(0.2)
    return value


class Drill:
    """The deployed stack, with hours that take HOUR_SECONDS."""

    def __init__(self, cloud: LocalCloud, outputs: dict[str, str]) -> None:
        """Give the alarms the period of the drill."""
        self.cloud, self.outputs = cloud, outputs
        self.dynamodb = cloud.client("dynamodb")
        self.functions = cloud.client("lambda")
        self.cloudwatch = cloud.client("cloudwatch")
        self.random = random.Random(1)  # noqa: S311 - the same hours every time
        self.number = 0
        self.filter = self.cloud.physical_name("FilterInferencesFunction")
        self.alarms = {self.shorten(name): name for name in ALARMS}

    def shorten(self, logical_id: str) -> str:
        """Give an alarm of the stack the period of the drill; return its name."""
        name = self.cloud.physical_name(logical_id)
        [alarm] = self.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        own = {key: alarm[key] for key in ALARM_FIELDS if key in alarm}
        self.cloudwatch.put_metric_alarm(**own, Period=PERIOD_SECONDS)
        return name

    def hour(self, at: datetime, phase: str, kinds: Sequence[tuple[list[Photo], float]]) -> Hour:
        """Simulate an hour.

        Args:
            at: its beginning.
            phase: its name; in BASELINE no metrics are published.
            kinds: photos, and the share of the hour's photos that they are.

        """
        photos, shares = zip(*kinds, strict=True)
        sent = [
            self.random.choice(kind)
            for kind in self.random.choices(photos, shares, k=PHOTOS_AN_HOUR)
        ]
        self.upload(sent[0])
        predictions = [self.classify(photo) for photo in sent]
        items = [
            self.record(photo, prediction, at)
            for photo, prediction in zip(sent, predictions, strict=True)
        ]
        for batch in batched(items, WRITE_ITEMS, strict=False):
            requests = [{"PutRequest": {"Item": item}} for item in batch]
            self.dynamodb.batch_write_item(
                RequestItems={self.outputs["PredictionsTableName"]: requests}
            )
        correct = sum(
            prediction["label"] == photo.truth
            for photo, prediction in zip(sent, predictions, strict=True)
        )
        report, metrics = self.measure(at)
        if phase != BASELINE:
            self.publish(metrics)
        return Hour(phase, correct / len(sent), report, self.in_alarm())

    def upload(self, photo: Photo) -> tuple[str, str]:
        """Upload a photo as a courier does; return its `image_id` and its true label."""
        key = f"uploads/drill/{self.number}.jpg"
        put = self.cloud.client("s3").put_object(
            Bucket=self.outputs["PhotosBucketName"], Key=key, Body=photo.jpeg
        )
        return f"{key}#{put['ETag'].strip('"')}", photo.truth

    def classify(self, photo: Photo) -> dict[str, Any]:
        """The prediction of the model and FilterInferences; requested once for each photo."""
        if photo.prediction is None:
            request = urllib.request.Request(
                f"{self.cloud.serving_url}/invocations", photo.jpeg, {"Content-Type": "image/jpeg"}
            )
            with urllib.request.urlopen(request, timeout=30) as response:
                inferences = json.load(response)
                attributes = response.headers["X-Amzn-SageMaker-Custom-Attributes"]
            custom = dict(each.split("=", 1) for each in attributes.split(","))
            photo.model, photo.novelty = custom["model"], custom["novelty"]
            response = self.functions.invoke(
                FunctionName=self.filter, Payload=json.dumps({"inferences": inferences})
            )
            photo.prediction = dict(json.loads(response["Payload"].read()))
        return photo.prediction

    def record(self, photo: Photo, prediction: dict[str, Any], at: datetime) -> dict[str, Any]:
        """The record of a photo, reviewed if it is below the threshold or audited."""
        self.number += 1
        recorded = (at + timedelta(seconds=self.number % 3600)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        image_id = f"uploads/drill/{self.number}.jpg#1"
        item: dict[str, Any] = {
            "image_id": {"S": image_id},
            "hour": {"S": at.strftime("%Y-%m-%dT%H")},
            "recorded_at": {"S": recorded},
            "status": {"S": prediction["status"]},
            "label": {"S": prediction["label"]},
            "confidence": {"N": str(prediction["confidence"])},
            "novelty": {"N": photo.novelty},
            "model": {"S": photo.model},
        }
        audited = hashlib.sha256(image_id.encode()).digest()[0] < AUDIT_SHARE * 256
        if prediction["status"] == "review" or audited:
            item["reviewed_label"] = {"S": photo.truth}
            item["reviewed_by"] = {"S": "drill"}
            item["reviewed_at"] = {"S": recorded}
        return item

    def measure(self, at: datetime) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The report of MeasureDrift about an hour, and the metrics that it prints."""
        response = self.functions.invoke(
            FunctionName=self.outputs["MeasureDriftFunctionName"],
            Payload=json.dumps({"hour": at.strftime("%Y-%m-%dT%H")}),
            LogType="Tail",
        )
        report: dict[str, Any] = json.loads(response["Payload"].read())
        if "FunctionError" in response:
            raise LocalCloudError(f"MeasureDrift failed ({report['errorMessage']})")
        log = base64.b64decode(response["LogResult"]).decode()
        return report, [*embedded_metrics(log)]

    def publish(self, metrics: list[dict[str, Any]]) -> None:
        """Publish metrics, as CloudWatch does from the log on AWS."""
        for metric in metrics:
            self.cloudwatch.put_metric_data(**metric)

    def in_alarm(self) -> set[str]:
        """Logical ids of the alarms that are in ALARM."""
        found = self.cloudwatch.describe_alarms(AlarmNames=list(self.alarms))["MetricAlarms"]
        return {self.alarms[each["AlarmName"]] for each in found if each["StateValue"] == "ALARM"}

    def review(self, photo: Photo) -> None:
        """Upload a photo, wait for its record, and review it over the bus.

        Raises:
            LocalCloudError: its record or its review did not come in time.

        """
        image_id, truth = self.upload(photo)

        def record() -> dict[str, Any]:
            found: dict[str, Any] = self.dynamodb.get_item(
                TableName=self.outputs["PredictionsTableName"],
                Key={"image_id": {"S": image_id}},
                ConsistentRead=True,
            ).get("Item", {})
            return found

        wait_until(record, "the classification of a photo")
        review = {"image_id": image_id, "label": truth, "reviewed_by": "drill"}
        entry = {
            "EventBusName": self.outputs["EventBusName"],
            "Source": EVENT_SOURCE,
            "DetailType": "Photo Reviewed",
            "Detail": json.dumps(review | {"reviewed_at": datetime.now(UTC).isoformat()}),
        }
        self.cloud.client("events").put_events(Entries=[entry])
        wait_until(
            lambda: "reviewed_label" in (found := record()) and "review_state" not in found,
            "the recording of a review",
        )

    def adopt_baseline(self) -> str:
        """Make the traffic so far the baseline, as an operator does; return what was printed."""
        done = subprocess.run(
            [sys.executable, "-m", "operations.baseline", "--days", "30"],
            cwd=PROJECT,
            env=self.cloud.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LocalCloudError(done.stderr.strip())
        return done.stdout.strip()


def embedded_metrics(log: str) -> Iterator[dict[str, Any]]:
    """The metrics in the lines of a log (embedded metric format), as PutMetricData takes them."""
    for line in log.splitlines():
        if '"CloudWatchMetrics"' not in line:
            continue
        values = json.loads(line)
        for directive in values["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                dimensions = [{"Name": name, "Value": values[name]} for name in names]
                data = [
                    {"MetricName": name, "Dimensions": dimensions, "Value": value}
                    for name in (metric["Name"] for metric in directive["Metrics"])
                    for value in values[name]
                ]
                yield {"Namespace": directive["Namespace"], "MetricData": data}


def plan(kinds: dict[str, list[Photo]]) -> list[tuple[str, list[tuple[list[Photo], float]]]]:
    """The phase of each hour, and its photos with their shares."""
    quiet = [(kinds[QUIET], 1.0)]
    hours = [(BASELINE, quiet)] * HOURS + [(QUIET, quiet)] * HOURS
    for name, share in FAULTS.items():
        hours += [(name, [(kinds[QUIET], 1 - share), (kinds[name], share)])] * HOURS
        hours += [(AFTERWARDS, quiet)] * HOURS
    return hours


def summarize(hours: Sequence[Hour]) -> tuple[Table, bool]:
    """A table of the phases with their alarms, and whether they are as expected."""
    table = Table("hours", "phase", "in ALARM before", "newly in ALARM", box=None, pad_edge=False)
    as_expected, first = True, 0
    before: set[str] = set()
    for phase, group in groupby(hours, key=lambda hour: hour.phase):
        alarms = [hour.alarms for hour in group]
        new = set().union(
            *(now - then for then, now in zip([before, *alarms], alarms, strict=False))
        )
        as_expected = (
            as_expected and not (phase == QUIET and new) and bool(phase not in FAULTS or new)
        )
        numbers = f"{first}-{first + len(alarms) - 1}"
        table.add_row(numbers, phase, " ".join(sorted(before)), " ".join(sorted(new)) or "-")
        before, first = alarms[-1], first + len(alarms)
    return table, as_expected


def figure(value: float | None) -> str:
    """Two decimals; a dash if unknown."""
    return "    -" if value is None else f"{value:5.2f}"


def watch(drill: Drill, console: Console) -> list[Hour]:
    """Simulate all hours, and print each."""
    kinds = make_kinds()
    phases = plan(kinds)
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start -= timedelta(hours=len(phases) + 24)
    hours: list[Hour] = []
    console.print("\nhour   accuracy                drift  review  phase              in ALARM")
    console.print("       true estimated measured         rate")
    for number, (phase, photos) in enumerate(phases):
        began = time.monotonic()
        hour = drill.hour(start + timedelta(hours=number), phase, photos)
        hours.append(hour)
        report = hour.report
        console.print(
            f"{number:4}  {figure(hour.accuracy)}     {figure(report['estimated_accuracy'])}    "
            f"{figure(report['measured_accuracy'])}  {figure(report['drift'])}   "
            f"{figure(report['review_rate'])}  {phase:18} {' '.join(sorted(hour.alarms))}",
            highlight=False,
        )
        if number + 1 == len(phases) or phases[number + 1][0] != phase:
            drill.review(photos[-1][0][number])
            if phase == BASELINE:
                console.print(drill.adopt_baseline(), highlight=False, soft_wrap=True)
        if phase != BASELINE:
            time.sleep(max(0.0, HOUR_SECONDS - (time.monotonic() - began)))
    return hours


def run(cloud: LocalCloud, console: Console) -> bool:
    """Deploy, simulate the hours, draw the timeline; return whether the alarms are as expected."""
    try:
        hours = watch(Drill(cloud, Steps(console).deploy(cloud)), console)
    finally:
        cloud.stop()
    table, as_expected = summarize(hours)
    console.print()
    console.print(table)
    timeline = cloud.directory / "timeline.svg"
    timeline.write_text(draw(hours, ALARMS), "utf-8")
    console.print(f"\nTimeline: {timeline}", highlight=False, soft_wrap=True)
    if not as_expected:
        console.print("Failed: an alarm in the first quiet hours, or a fault without an alarm.")
    return as_expected


def main() -> int:
    """Parse the command line, and run."""
    Parser(description=__doc__.splitlines()[0]).parse_args()
    console = Console(width=160)
    cloud = LocalCloud(STATE / "drill", free_port(), free_port())

    def work() -> int:
        prepare(cloud, console)
        return 0 if run(cloud, console) else 1

    return carry_out(work, cloud, console)


if __name__ == "__main__":
    sys.exit(main())
