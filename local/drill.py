"""Watch the loop at work on this machine: quiet traffic, three things going wrong, what follows.

    make drill      real photos where ../shared/data is, drawn ones where not

Starts the local cloud and lets hours pass in seconds. Each hour couriers come; the model judges
their photos; people review what waits for them; MeasureDrift is invoked; alarms follow. After the
first hours, in which nothing is wrong, their traffic is made the baseline. Then couriers come at
night, then in a new kind of vehicle, then with a broken camera. A model that is retrained after the
night is refused, one after the broken camera goes into service.

What is real: the stack of template.yaml, the model, FilterInferences and MeasureDrift as they are
deployed, and the alarms. One photo of every hour goes all the way, uploaded to S3, and so does a
person's answer to the newest of them before each retraining, which needs one. The others are asked
of the model and written into PredictionsTable as the workflows write them, reviews included, since
the local cloud takes a second for each. It makes no metrics of what functions print: this script
puts what MeasureDrift answers with put_metric_data, and lets the alarms count its own hours. An
alarm of three hours rings here at the first that it knows of; on AWS it waits for the third.
RetrainModel is the stack's, with seconds for its waits; what SageMaker answers is played back, and
the same model goes on serving.

The model was trained on most of the real photos: what it makes of them is better than what it makes
of a courier's. Leaves .local/drill/timeline.svg, and prints what happened.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

from cloud import PROJECT, STACK_NAME, STATE, LocalCloud, LocalCloudError, free_port
from PIL import Image, ImageEnhance, ImageOps
from pillow_heif import register_heif_opener
from rich.console import Console
from run import Steps, plainly

sys.path.insert(0, str(PROJECT / "functions" / "measure_drift"))
from report import METRICS

DATA = Path(os.environ.get("SCONES_DATA", PROJECT.parent / "shared" / "data")) / "photos"
PHOTOS_AN_HOUR = 60
PHOTOS_OF_A_KIND = 80  # different ones
HOURS_OF_A_PHASE = 6
FEWEST_QUIET_HOURS = 9  # of which operations.baseline makes a baseline
SECONDS = 10  # of an hour of the alarms: the shortest period that CloudWatch knows
HOUR_SECONDS = 12  # longer, so that three periods hold three hours, and never a fourth
AUDIT = 0.1
NEW_VEHICLES = ("kick_scooter", "vehicle_other", "wheelchair")
PLAYED = PROJECT / "tests" / "workflow" / "faults.json"  # what SageMaker answers
RETRAINING = {  # that there is a workflow that retrains; no SageMaker sees these
    "TrainingRoleArn": "arn:aws:iam::000000000000:role/scones-sagemaker",
    "TrainingImage": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.13-gpu",
    "TrainingCode": "0123456789abcdef",
    "TrainingDataset": "3bb5f2a2c1aa",
}
PATIENCE = 120  # seconds for a workflow to end
TRAINING_BUCKET = f"{STACK_NAME}-training-000000000000-us-east-1"
MODEL_ALARMS = ("AccuracyAlarm", "AccuracyDropAlarm", "DriftAlarm")  # these start a retraining
ALARMS = (*MODEL_ALARMS, "ReviewRateAlarm")


@dataclass
class Photo:
    """A photo, what it shows, and what the model says of it."""

    jpeg: bytes
    truth: str
    prediction: dict[str, Any] | None = None
    model: str = ""
    novelty: str = ""


@dataclass
class Hour:
    """What an hour of the drill brought."""

    phase: str
    accuracy: float
    report: dict[str, Any]
    ringing: set[str]
    then: str = ""  # what was done about it, in a few words


# ── Photos ──


def as_jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.thumbnail((256, 256))
    image.convert("RGB").save(file, "JPEG", quality=90)
    return file.getvalue()


def at_night(image: Image.Image) -> Image.Image:
    """Dark, with the noise of a small sensor."""
    dark = ImageEnhance.Brightness(image.convert("RGB")).enhance(0.15)
    noise = Image.merge("RGB", [Image.effect_noise(dark.size, 40) for _ in range(3)])
    return Image.blend(dark, noise, 0.2)


def broken(image: Image.Image) -> Image.Image:
    """A camera that fails after its first lines."""
    image = image.convert("RGB")
    width, height = image.size
    grey = Image.new("RGB", (width, height - height // 4), (118, 122, 120))
    image.paste(grey, (0, height // 4))
    return image


def views(paths: list[Path], dice: random.Random) -> list[tuple[Image.Image, str]]:
    """Parts of drawn photos, with the first word of their names: some are hard to tell."""
    photos = []
    for path in paths:
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        image.thumbnail((800, 800))
        photos.append((image, path.name.partition("-")[0]))
    found = []
    for number in range(PHOTOS_OF_A_KIND):
        image, name = photos[number % len(photos)]
        share = dice.uniform(0.45, 0.95)
        left, top = (dice.uniform(0, 1 - share) * side for side in image.size)
        width, height = (share * side for side in image.size)
        part = image.crop((int(left), int(top), int(left + width), int(top + height)))
        found.append((ImageEnhance.Brightness(part).enhance(dice.uniform(0.6, 1.3)), name))
    return found


def read_photos() -> tuple[list[tuple[Image.Image, str]], list[tuple[Image.Image, str]]]:
    """Photos of couriers' vehicles, and of a kind of vehicle that is new."""
    dice = random.Random(0)  # noqa: S311 - the same photos every time
    if not (DATA / "manifest.csv").is_file():
        drawn = sorted((PROJECT / "local" / "photos").iterdir())
        vehicles = [path for path in drawn if path.name.startswith(("bicycle", "motorcycle"))]
        new = [path for path in drawn if path.name.startswith("no-vehicle")]
        return views(vehicles, dice), [(image, "other") for image, _ in views(new, dice)]
    with (DATA / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    dice.shuffle(rows)
    known_rows = [row for row in rows if row["label"] != "other" and row["style"] != "studio"]
    new_rows = [row for row in rows if row["sublabel"] in NEW_VEHICLES]
    others = [row for row in rows if row["sublabel"] in ("scene", "object")]
    known_rows = known_rows[:PHOTOS_OF_A_KIND] + others[: PHOTOS_OF_A_KIND // 10]
    return (
        [(Image.open(DATA / row["file"]), row["label"]) for row in known_rows],
        [(Image.open(DATA / row["file"]), "other") for row in new_rows[:PHOTOS_OF_A_KIND]],
    )


def make_kinds() -> dict[str, list[Photo]]:
    """Photos of each phase of the drill."""
    known, new = read_photos()
    quiet = [Photo(as_jpeg(image.copy()), truth) for image, truth in known]
    scooters = [Photo(as_jpeg(image.copy()), truth) for image, truth in new]
    return {
        "quiet": quiet,
        "at night": [Photo(as_jpeg(at_night(image.copy())), truth) for image, truth in known],
        "a new kind of vehicle": scooters,
        "a broken camera": [Photo(as_jpeg(broken(image.copy())), "other") for image, _ in known],
    }


# ── The drill ──


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
        self.cloud, self.outputs = cloud, outputs
        self.dynamodb = cloud.client("dynamodb")
        self.functions = cloud.client("lambda")
        self.cloudwatch = cloud.client("cloudwatch")
        self.dice = random.Random(1)  # noqa: S311 - the same hours every time
        self.number = 0
        self.newest: tuple[str, str] | None = None  # of the photos sent: image_id, and the truth
        self.filter = self.physical_name("FilterInferencesFunction")
        self.alarms = {name: self.quicken(name) for name in ALARMS}

    def physical_name(self, logical_id: str) -> str:
        """The name that a resource of the template has in the cloud."""
        name: str = self.cloud.client("cloudformation").describe_stack_resource(
            StackName=STACK_NAME, LogicalResourceId=logical_id
        )["StackResourceDetail"]["PhysicalResourceId"]
        return name

    def quicken(self, logical_id: str) -> str:
        """Let an alarm of the stack count hours of the drill; its name."""
        name = self.physical_name(logical_id)
        [alarm] = self.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        kept = (
            *("AlarmName", "AlarmDescription", "AlarmActions", "OKActions", "MetricName"),
            *("Namespace", "Statistic", "Dimensions", "EvaluationPeriods", "Threshold"),
            *("ComparisonOperator", "TreatMissingData"),
        )
        own = {key: alarm[key] for key in kept if key in alarm}
        self.cloudwatch.put_metric_alarm(**own, Period=SECONDS)
        return name

    def ask(self, photo: Photo) -> None:
        """Ask the model about a photo, and the function what follows."""
        request = urllib.request.Request(
            f"{self.cloud.serving_url}/invocations",
            photo.jpeg,
            {"Content-Type": "image/jpeg"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            inferences = json.load(answer)
            attributes = answer.headers["X-Amzn-SageMaker-Custom-Attributes"]
        told = dict(each.split("=", 1) for each in attributes.split(","))
        photo.model, photo.novelty = told["model"], told["novelty"]
        decided = self.functions.invoke(
            FunctionName=self.filter, Payload=json.dumps({"inferences": inferences})
        )
        photo.prediction = json.loads(decided["Payload"].read())

    def send(self, photo: Photo) -> None:
        """Let a courier upload a photo: it goes all the way."""
        key = f"uploads/drill/{self.number}.jpg"
        put = self.cloud.client("s3").put_object(
            Bucket=self.outputs["PhotosBucketName"], Key=key, Body=photo.jpeg
        )
        self.newest = f"{key}#{put['ETag'].strip('"')}", photo.truth

    def hour(self, at: datetime, phase: str, kinds: list[tuple[list[Photo], float]]) -> Hour:
        """Let an hour pass: each kind of photos comes as often as its share says."""
        came = [
            self.dice.choice(photos)
            for photos in self.dice.choices(
                [photos for photos, _ in kinds],
                [share for _, share in kinds],
                k=PHOTOS_AN_HOUR,
            )
        ]
        self.send(came[0])
        right = 0
        requests = []
        for photo in came:
            if photo.prediction is None:
                self.ask(photo)
            item, is_right = self.record(photo, at)
            requests.append({"PutRequest": {"Item": item}})
            right += is_right
        for start in range(0, len(requests), 25):
            table = self.outputs["PredictionsTableName"]
            self.dynamodb.batch_write_item(RequestItems={table: requests[start : start + 25]})
        report = self.measure(at)
        return Hour(phase, right / len(came), report, self.ringing(report))

    def record(self, photo: Photo, at: datetime) -> tuple[dict[str, Any], bool]:
        """The record of a photo, reviewed where it would wait for a person, and if it is right."""
        self.number += 1
        assert photo.prediction is not None  # noqa: S101 - ask() set it
        prediction = photo.prediction
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
        audited = hashlib.sha256(image_id.encode()).digest()[0] < AUDIT * 256
        if prediction["status"] == "review" or audited:
            item["reviewed_label"] = {"S": photo.truth}
            item["reviewed_by"] = {"S": "drill"}
            item["reviewed_at"] = {"S": recorded}
        return item, bool(prediction["label"] == photo.truth)

    def measure(self, at: datetime) -> dict[str, Any]:
        """What MeasureDrift answers about an hour."""
        answer = self.functions.invoke(
            FunctionName=self.outputs["MeasureDriftFunctionName"],
            Payload=json.dumps({"hour": at.strftime("%Y-%m-%dT%H")}),
        )
        report: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise LocalCloudError(f"MeasureDrift failed ({report['errorMessage']})")
        return report

    def retrain(self, case: str, event: dict[str, Any]) -> tuple[str, str]:
        """Retrain, as PLAYED lets SageMaker answer in this case; who asked, and the outcome.

        Raises:
            LocalCloudError: it failed, or did not end in time.

        """
        stepfunctions, s3 = self.cloud.client("stepfunctions"), self.cloud.client("s3")
        own = stepfunctions.describe_state_machine(
            stateMachineArn=self.outputs["RetrainModelStateMachineArn"]
        )
        quick = json.loads(own["definition"])
        for state in quick["States"].values():
            if state["Type"] == "Wait":
                state["Seconds"] = 1
        copy = stepfunctions.create_state_machine(
            name="retraining", definition=json.dumps(quick), roleArn=own["roleArn"]
        )["stateMachineArn"]
        execution = stepfunctions.start_execution(
            stateMachineArn=f"{copy}#{case}", input=json.dumps(event)
        )["executionArn"]
        started = stepfunctions.describe_execution(executionArn=execution)["startDate"]
        # Where the evaluation of the challenger leaves its baseline, to the second.
        metadata = (PROJECT / "models" / "vehicles" / "metadata.json").read_bytes()
        s3.create_bucket(Bucket=TRAINING_BUCKET)
        for second in (-1, 0, 1):
            stamp = (started + timedelta(seconds=second)).strftime("%Y%m%d%H%M%S")
            s3.put_object(
                Bucket=TRAINING_BUCKET, Key=f"retraining/{stamp}/metadata.json", Body=metadata
            )

        def described() -> dict[str, Any]:
            found: dict[str, Any] = stepfunctions.describe_execution(executionArn=execution)
            return {} if found["status"] == "RUNNING" else found

        ended = wait_until(described, "the retraining")
        stepfunctions.delete_state_machine(stateMachineArn=copy)
        if ended["status"] != "SUCCEEDED":
            raise LocalCloudError(f"retraining failed ({ended.get('cause')})")
        turn = self.dynamodb.get_item(
            TableName=self.outputs["RetrainingTableName"], Key={"name": {"S": "retraining"}}
        )["Item"]
        return turn["started_by"]["S"], turn["outcome"]["S"]

    def label(self) -> None:
        """Answer for a person what the newest photo that was sent shows.

        Raises:
            LocalCloudError: it was not classified, or the answer not recorded, in time.

        """
        assert self.newest is not None  # noqa: S101 - an hour has passed
        image_id, truth = self.newest
        key = {"image_id": {"S": image_id}}

        def record() -> dict[str, Any]:
            found: dict[str, Any] = self.dynamodb.get_item(
                TableName=self.outputs["PredictionsTableName"], Key=key, ConsistentRead=True
            ).get("Item", {})
            return found

        wait_until(record, "the classification of a photo")
        answer = {"image_id": image_id, "label": truth, "reviewed_by": "drill"}
        self.cloud.client("events").put_events(
            Entries=[
                {
                    "EventBusName": self.outputs["EventBusName"],
                    "Source": "scones-unlimited",
                    "DetailType": "Vehicle Reviewed",
                    "Detail": json.dumps(answer | {"reviewed_at": datetime.now(UTC).isoformat()}),
                }
            ]
        )
        wait_until(
            lambda: "reviewed_label" in (found := record()) and "review_state" not in found,
            "the recording of an answer",
        )

    def adopt_baseline(self) -> str:
        """Make the traffic so far the baseline, as an operator would."""
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

    def ringing(self, report: dict[str, Any]) -> set[str]:
        """Put the report's metrics, and see which alarms ring then."""
        data = [
            {
                "MetricName": name,
                "Value": report[key],
                "Dimensions": [{"Name": "service", "Value": STACK_NAME}],
            }
            for key, name in METRICS.items()
            if report[key] is not None
        ]
        self.cloudwatch.put_metric_data(Namespace="SconesUnlimited", MetricData=data)
        names = {name: logical for logical, name in self.alarms.items()}
        found = self.cloudwatch.describe_alarms(AlarmNames=list(names))["MetricAlarms"]
        return {names[each["AlarmName"]] for each in found if each["StateValue"] == "ALARM"}


def phases(kinds: dict[str, list[Photo]], quiet: int) -> Iterator[tuple[str, list[Any]]]:
    """What comes in each hour: kinds of photos and their shares."""
    for _ in range(quiet):
        yield "quiet", [(kinds["quiet"], 1.0)]
    wrong = {"at night": 0.9, "a new kind of vehicle": 0.8, "a broken camera": 0.7}
    for name, share in wrong.items():
        for _ in range(HOURS_OF_A_PHASE):
            yield name, [(kinds["quiet"], 1 - share), (kinds[name], share)]
        for _ in range(HOURS_OF_A_PHASE):
            yield "quiet again", [(kinds["quiet"], 1.0)]


# Between which hours a model is retrained, and how SageMaker answers. First an alarm asks, if one
# rings; then a person, since alarms start one a day at most.
RETRAININGS = {
    ("at night", "quiet again"): "Refused",
    ("a broken camera", "quiet again"): "Serves",
}


# ── The picture ──

WIDTH, LEFT, PANEL = 1000, 100, 130
COLOURS = {
    "at night": "#dbe4ff",
    "a new kind of vehicle": "#ffe8cc",
    "a broken camera": "#ffe3e3",
}


def draw(hours: list[Hour]) -> str:
    """The timeline as SVG: what was wrong, what was measured, what rang."""
    step = (WIDTH - LEFT - 20) / len(hours)
    middle = 'text-anchor="middle"'
    parts = []
    for number, hour in enumerate(hours):
        if hour.phase in COLOURS:
            x = LEFT + number * step
            parts.append(
                f'<rect x="{x:.1f}" y="30" width="{step + 0.5:.1f}" height="{3 * PANEL + 120}" '
                f'fill="{COLOURS[hour.phase]}"/>'
            )
            if hours[number - 1].phase != hour.phase:
                parts.append(f'<text x="{x:.1f}" y="22">{escape(hour.phase)}</text>')
    panels = [
        (
            "accuracy",
            (0.4, 1.0),
            [
                ("true", "#868e96", [hour.accuracy for hour in hours]),
                ("estimated", "#1971c2", [hour.report["estimated_accuracy"] for hour in hours]),
                ("measured", "#2f9e44", [hour.report["measured_accuracy"] for hour in hours]),
            ],
        ),
        ("drift", (0.0, 2.0), [("index", "#e8590c", [hour.report["drift"] for hour in hours])]),
        (
            "review rate",
            (0.0, 1.0),
            [("unsure", "#9c36b5", [hour.report["review_rate"] for hour in hours])],
        ),
    ]
    for at, (title, (low, high), lines) in enumerate(panels):
        top = 40 + at * PANEL
        parts.append(f'<text x="8" y="{top + 14}" font-weight="bold">{title}</text>')
        for value in (low, high):
            y = top + (PANEL - 20) * (high - value) / (high - low)
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
            parts.append(
                f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ced4da"/>'
            )
        for nth, (name, colour, values) in enumerate(lines):
            line, last = "", None  # broken where nothing is known
            for number, value in enumerate(values):
                if value is not None:
                    share = (high - min(high, max(low, value))) / (high - low)
                    x, y = LEFT + (number + 0.5) * step, top + (PANEL - 20) * share
                    line += f"M{x:.1f},{y:.1f}h0" if last is None else f"L{x:.1f},{y:.1f}"
                last = value
            parts.append(
                f'<path d="{line}" fill="none" stroke="{colour}" stroke-width="2" '
                'stroke-linecap="round"/>'
            )
            parts.append(f'<text x="8" y="{top + 34 + 16 * nth}" fill="{colour}">{name}</text>')
    for nth, alarm in enumerate(ALARMS):
        y = 50 + 3 * PANEL + nth * 22
        parts.append(f'<text x="8" y="{y + 12}">{alarm.removesuffix("Alarm")}</text>')
        parts += [
            f'<rect x="{LEFT + number * step:.1f}" y="{y}" width="{step + 0.5:.1f}" height="14" '
            'fill="#e03131"/>'
            for number, hour in enumerate(hours)
            if alarm in hour.ringing
        ]
    bottom = 50 + 3 * PANEL + 22 * len(ALARMS)
    parts.append(f'<text x="8" y="{bottom + 12}">hour</text>')
    for number, hour in enumerate(hours):
        x = LEFT + number * step
        if number % 6 == 0:
            parts.append(f'<text x="{x + step / 2:.1f}" y="{bottom + 12}" {middle}>{number}</text>')
        if hour.then:
            x += step
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="30" y2="{bottom + 18}" stroke="#495057" '
                'stroke-dasharray="4 3"/>'
                f'<text x="{x:.1f}" y="{bottom + 32}" {middle}>{escape(hour.then)}</text>'
            )
    height = bottom + 40
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        + "".join(parts)
        + "</svg>\n"
    )


# ── The run ──


def told(value: float | None) -> str:
    return "    -" if value is None else f"{value:5.2f}"


def run(cloud: LocalCloud, quiet: int, console: Console) -> None:
    """Start, deploy, let the hours pass, draw."""
    steps = Steps(console)
    kinds = make_kinds()
    try:
        cloud.start()
        with steps.step("building the functions", "built the functions"):
            cloud.build()
        with steps.step("starting the local cloud", "started MiniStack and the serving app"):
            cloud.wait_until_ready()
        with steps.step("deploying the stack", "deployed template.yaml"):
            outputs = cloud.deploy(**RETRAINING)
        drill = Drill(cloud, outputs)
        plan = list(phases(kinds, quiet))
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        start -= timedelta(hours=len(plan) + 24)
        hours: list[Hour] = []
        console.print("\nhour  true  est.  meas.  drift  unsure  what comes, and what rings")
        for number, (phase, shares) in enumerate(plan):
            began = time.monotonic()
            hour = drill.hour(start + timedelta(hours=number), phase, shares)
            hours.append(hour)
            report = hour.report
            console.print(
                f"{number:4}  {hour.accuracy:.2f} {told(report['estimated_accuracy'])} "
                f"{told(report['measured_accuracy'])}  {told(report['drift'])}   "
                f"{told(report['review_rate'])}  {phase:22} {' '.join(sorted(hour.ringing))}",
                highlight=False,
            )
            following = plan[number + 1][0] if number + 1 < len(plan) else ""
            if number + 1 == quiet:
                hour.then = "own baseline"
                console.print(drill.adopt_baseline(), highlight=False, soft_wrap=True)
            if (phase, following) in RETRAININGS:
                drill.label()
                case = RETRAININGS[phase, following]
                rings = [drill.alarms[name] for name in MODEL_ALARMS if name in hour.ringing]
                by_alarm = case == "Refused" and rings
                event = {"detail": {"alarmName": rings[0]}} if by_alarm else {"by": "drill"}
                started_by, outcome = drill.retrain(case, event)
                hour.then = f"retrained: {outcome.partition(':')[0]}"
                console.print(
                    f"retrained, {started_by}: {outcome}", highlight=False, soft_wrap=True
                )
            time.sleep(max(0.0, HOUR_SECONDS - (time.monotonic() - began)))
    finally:
        cloud.stop()
    picture = cloud.directory / "timeline.svg"
    picture.write_text(draw(hours))
    console.print(f"\nThe timeline is in {picture}", soft_wrap=True)


def quiet_hours(text: str) -> int:
    if not text.isdecimal() or int(text) < FEWEST_QUIET_HOURS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number from {FEWEST_QUIET_HOURS} on: a baseline takes 500 "
            f"predictions, and an hour has {PHOTOS_AN_HOUR}"
        )
    return int(text)


def main() -> int:
    """Parse the command line, and run."""
    register_heif_opener()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quiet-hours",
        type=quiet_hours,
        default=12,
        help=f"at first, {FEWEST_QUIET_HOURS} or more (default %(default)s)",
    )
    arguments = parser.parse_args()
    console = Console(width=160)
    os.environ["SFN_MOCK_CONFIG"] = str(PLAYED)
    directory = STATE / "drill"
    directory.mkdir(parents=True, exist_ok=True)
    cloud = LocalCloud(directory, free_port(), free_port())

    def watch() -> int:
        run(cloud, arguments.quiet_hours, console)
        return 0

    return plainly(watch, cloud, console)


if __name__ == "__main__":
    sys.exit(main())
