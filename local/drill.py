"""Watch drift, alarms and reviews at work on this machine.

    make drill

Starts the local cloud and lets hours pass in seconds. Each hour couriers send photos, the model
classifies them, people review those below the confidence threshold, MeasureDrift is invoked, and
alarms follow:

1. Baseline: hours in which nothing is wrong. Their traffic is made the baseline, as an operator
   does after the first week (docs/operations.md, DriftAlarm). Before that the alarms see nothing.
2. Quiet hours: no alarm goes to ALARM.
3. Three faults, with quiet hours after each: photos at night, photos without a vehicle, a broken
   camera. Each must bring at least one alarm to ALARM.

What is real: the stack of template.yaml, the model, FilterInferences and MeasureDrift as they are
deployed, and the thresholds of the alarms. One photo an hour is uploaded to S3 and goes through the
workflow; one of each phase is reviewed over the bus.

What is simulated: the photos are parts of the drawn sample photos. All but one an hour are sent to
the model directly, and this script writes their records, reviews included, because the workflow
takes a second for each on this machine. The local cloud makes no metrics: this script publishes
those that MeasureDrift printed. An hour takes 12 seconds, and so an hour of an alarm is 10 seconds.
On AWS an alarm of three hours needs three values; here it goes to ALARM at the first.

Ends with a table of what each phase brought, and draws .local/drill/timeline.svg. Exits with 1 if
an alarm went to ALARM in the first quiet hours, or a fault was not noticed.
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

from local.cloud import STACK_NAME, LocalCloud
from local.command import Parser, Steps, carry_out, prepare
from local.dispatching import SOURCE
from local.drill_photos import Photo, make_kinds
from local.processes import PROJECT, STATE, LocalCloudError, free_port
from local.timeline import Hour, draw

PHOTOS_AN_HOUR = 120
HOURS = 6  # of each phase
BASELINE, QUIET, AFTERWARDS = "baseline", "quiet", "quiet again"
FAULTS = {"at night": 0.9, "without a vehicle": 0.8, "a broken camera": 0.7}  # share of the photos
PERIOD_SECONDS = 10  # of an alarm's hour: the shortest period that CloudWatch knows
HOUR_SECONDS = 12  # longer, so that three periods hold three hours, and never a fourth
AUDIT_SHARE = 0.1  # of the photos above the threshold that people review as well
PATIENCE = 120  # seconds for a workflow to end
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
    """The deployed stack, and a clock of its own."""

    def __init__(self, cloud: LocalCloud, outputs: dict[str, str]) -> None:
        """Let the alarms count the hours of the drill."""
        self.cloud, self.outputs = cloud, outputs
        self.dynamodb = cloud.client("dynamodb")
        self.functions = cloud.client("lambda")
        self.cloudwatch = cloud.client("cloudwatch")
        self.random = random.Random(1)  # noqa: S311 - the same hours every time
        self.number = 0
        self.filter = self.physical_name("FilterInferencesFunction")
        self.alarms = {self.quicken(name): name for name in ALARMS}

    def physical_name(self, logical_id: str) -> str:
        """The name that a resource of the template has in the cloud."""
        name: str = self.cloud.client("cloudformation").describe_stack_resource(
            StackName=STACK_NAME, LogicalResourceId=logical_id
        )["StackResourceDetail"]["PhysicalResourceId"]
        return name

    def quicken(self, logical_id: str) -> str:
        """Give an alarm of the stack the period of the drill; its name."""
        name = self.physical_name(logical_id)
        [alarm] = self.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        own = {key: alarm[key] for key in ALARM_FIELDS if key in alarm}
        self.cloudwatch.put_metric_alarm(**own, Period=PERIOD_SECONDS)
        return name

    def hour(self, at: datetime, phase: str, kinds: Sequence[tuple[list[Photo], float]]) -> Hour:
        """Let an hour pass.

        Args:
            at: its beginning.
            phase: its name; alarms see its metrics, unless it is BASELINE.
            kinds: photos, and the share of the hour's photos that they are.

        """
        photos, shares = zip(*kinds, strict=True)
        came = [
            self.random.choice(kind)
            for kind in self.random.choices(photos, shares, k=PHOTOS_AN_HOUR)
        ]
        self.upload(came[0])
        predictions = [self.classify(photo) for photo in came]
        items = [
            self.record(photo, prediction, at)
            for photo, prediction in zip(came, predictions, strict=True)
        ]
        for batch in batched(items, WRITE_ITEMS, strict=False):
            requests = [{"PutRequest": {"Item": item}} for item in batch]
            self.dynamodb.batch_write_item(
                RequestItems={self.outputs["PredictionsTableName"]: requests}
            )
        right = sum(
            prediction["label"] == photo.truth
            for photo, prediction in zip(came, predictions, strict=True)
        )
        report, metrics = self.measure(at)
        if phase != BASELINE:
            self.publish(metrics)
        return Hour(phase, right / len(came), report, self.in_alarm())

    def upload(self, photo: Photo) -> tuple[str, str]:
        """Upload a photo as a courier does; its `image_id`, and what it shows."""
        key = f"uploads/drill/{self.number}.jpg"
        put = self.cloud.client("s3").put_object(
            Bucket=self.outputs["PhotosBucketName"], Key=key, Body=photo.jpeg
        )
        return f"{key}#{put['ETag'].strip('"')}", photo.truth

    def classify(self, photo: Photo) -> dict[str, Any]:
        """What the model and FilterInferences say of a photo; asked once for each photo."""
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
        """What MeasureDrift returns about an hour, and the metrics that it prints."""
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
        """Give CloudWatch what it would read from the log on AWS."""
        for metric in metrics:
            self.cloudwatch.put_metric_data(**metric)

    def in_alarm(self) -> set[str]:
        """Logical ids of the alarms that are in ALARM."""
        found = self.cloudwatch.describe_alarms(AlarmNames=list(self.alarms))["MetricAlarms"]
        return {self.alarms[each["AlarmName"]] for each in found if each["StateValue"] == "ALARM"}

    def review(self, photo: Photo) -> None:
        """Upload a photo, and review it over the bus once it is recorded.

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
            "Source": SOURCE,
            "DetailType": "Photo Reviewed",
            "Detail": json.dumps(review | {"reviewed_at": datetime.now(UTC).isoformat()}),
        }
        self.cloud.client("events").put_events(Entries=[entry])
        wait_until(
            lambda: "reviewed_label" in (found := record()) and "review_state" not in found,
            "the recording of a review",
        )

    def adopt_baseline(self) -> str:
        """Make the traffic so far the baseline, as an operator does; what the command printed."""
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
    """What each phase brought, and whether that is what the drill promises."""
    table = Table("hours", "phase", "in ALARM before", "newly in ALARM", box=None, pad_edge=False)
    kept, first = True, 0
    before: set[str] = set()
    for phase, group in groupby(hours, key=lambda hour: hour.phase):
        alarms = [hour.alarms for hour in group]
        new = set().union(
            *(now - then for then, now in zip([before, *alarms], alarms, strict=False))
        )
        kept = kept and not (phase == QUIET and new) and bool(phase not in FAULTS or new)
        numbers = f"{first}-{first + len(alarms) - 1}"
        table.add_row(numbers, phase, " ".join(sorted(before)), " ".join(sorted(new)) or "-")
        before, first = alarms[-1], first + len(alarms)
    return table, kept


def figure(value: float | None) -> str:
    """Two decimals; a dash if unknown."""
    return "    -" if value is None else f"{value:5.2f}"


def watch(drill: Drill, console: Console) -> list[Hour]:
    """Let all hours pass, and print each."""
    kinds = make_kinds()
    phases = plan(kinds)
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start -= timedelta(hours=len(phases) + 24)
    hours: list[Hour] = []
    console.print("\nhour   accuracy                drift  review  photos             in ALARM")
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
    """Start, deploy, let the hours pass, draw; whether the drill kept its promise."""
    steps = Steps(console)
    try:
        cloud.start()
        with steps.step("building the functions", "built the functions"):
            cloud.build()
        with steps.step("starting the local cloud", "started MiniStack and the serving app"):
            cloud.wait_until_ready()
        with steps.step("deploying the stack", "deployed template.yaml"):
            outputs = cloud.deploy()
        hours = watch(Drill(cloud, outputs), console)
    finally:
        cloud.stop()
    table, kept = summarize(hours)
    console.print()
    console.print(table)
    timeline = cloud.directory / "timeline.svg"
    timeline.write_text(draw(hours, ALARMS), "utf-8")
    console.print(f"\nTimeline: {timeline}", highlight=False, soft_wrap=True)
    if not kept:
        console.print("Not as promised: a quiet hour with an alarm, or a fault without one.")
    return kept


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
