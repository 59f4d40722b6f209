r"""Write the sample events and the environment of the functions for a deployed stack.

    make events
    aws events put-events --entries file://build/events/order_placed.json
    sam local invoke SerializeImageFunction --event build/events/serialize_image.json \
        --env-vars build/events/environment.json

`environment.json` has the variables of the deployed functions. The events are those of events/,
with the newest photo, the account and the region of the stack, and today's date.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local.use_cases import DEFAULT, UseCase
from operations.errors import UserError, explain
from operations.stack import DEFAULT_STACK, Stack, require_stack

PROJECT = Path(__file__).resolve().parents[1]
EVENTS = PROJECT / "events"
FILES = PROJECT / "build" / "events"


@dataclass(frozen=True)
class Photo:
    """An upload: `etag` without quotes, `version_id` empty in a bucket without versions."""

    bucket: str
    key: str
    etag: str
    version_id: str
    size: int
    uploaded_at: datetime
    account: str
    region: str


def newest_photo(s3: Any, stack: Stack) -> Photo:
    """The newest of the first thousand uploads of a stack.

    Raises:
        UserError: there is none.

    """
    bucket = stack.output("PhotosBucketName")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="uploads/").get("Contents", [])
    if not listed:
        use_case = UseCase(stack.parameters.get("UseCase", DEFAULT), stack.name, stack.parameters)
        raise UserError(
            "the stack has no photo yet: upload one with `aws s3 cp "
            f"{use_case.sample_photo} s3://{bucket}/uploads/42/`"
        )
    newest = max(listed, key=lambda each: each["LastModified"])
    head = s3.head_object(Bucket=bucket, Key=newest["Key"])
    _, _, _, region, account, _ = stack.id.split(":", 5)
    return Photo(
        bucket,
        newest["Key"],
        head["ETag"].strip('"'),
        head.get("VersionId", ""),
        head["ContentLength"],
        head["LastModified"].astimezone(UTC),
        account,
        region,
    )


def sample_event(name: str, photo: Photo, now: datetime) -> Any:
    """The event events/<name>.json, with the values of a photo and today's date.

    The values to replace are those of events/s3_object_created.json and events/measure_drift.json.
    """
    created = json.loads((EVENTS / "s3_object_created.json").read_text("utf-8"))
    measured = json.loads((EVENTS / "measure_drift.json").read_text("utf-8"))
    upload = created["detail"]["object"]
    values = {
        created["detail"]["bucket"]["name"]: photo.bucket,
        upload["key"]: photo.key,
        upload["etag"]: photo.etag,
        upload["version-id"]: photo.version_id,
        created["account"]: photo.account,
        created["region"]: photo.region,
        created["time"]: f"{photo.uploaded_at:%Y-%m-%dT%H:%M:%SZ}",
        measured["hour"]: f"{photo.uploaded_at:%Y-%m-%dT%H}",
        created["time"][:10]: f"{now:%Y-%m-%d}",
    }
    text = (EVENTS / f"{name}.json").read_text("utf-8")
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, json.dumps(values[value])[1:-1])
    event = json.loads(text)
    if name == "s3_object_created":
        event["detail"]["object"]["size"] = photo.size
        if not photo.version_id:
            del event["detail"]["object"]["version-id"]
    return event


def environment(cloudformation: Any, functions: Any, stack: Stack) -> dict[str, dict[str, str]]:
    """The variables of each deployed function, by its name in the template."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack.name)
    return {
        resource["LogicalResourceId"]: functions.get_function_configuration(
            FunctionName=resource["PhysicalResourceId"]
        )["Environment"]["Variables"]
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::Lambda::Function"
    }


def write_files(client: Any, stack_name: str, folder: Path = FILES) -> list[Path]:
    """Write the environment and all events into a folder; their paths.

    `client` makes the boto3 client of a service.
    """
    cloudformation = client("cloudformation")
    stack = require_stack(cloudformation, stack_name)
    photo = newest_photo(client("s3"), stack)
    contents: dict[str, Any] = {"environment": environment(cloudformation, client("lambda"), stack)}
    for path in sorted(EVENTS.glob("*.json")):
        contents[path.stem] = sample_event(path.stem, photo, datetime.now(UTC))
    contents["order_placed"][0]["EventBusName"] = stack.output("EventBusName")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in contents.items():
        paths.append(folder / f"{name}.json")
        paths[-1].write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return paths


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--stack-name", default=DEFAULT_STACK, help="default: %(default)s")
    parser.add_argument("--region", help="AWS region; default: that of the AWS configuration")
    arguments = parser.parse_args()
    try:
        session = boto3.Session(region_name=arguments.region)
        for path in write_files(session.client, arguments.stack_name):
            print(f"wrote {path.relative_to(PROJECT)}")
    except UserError as error:
        print(f"Stopped: {error}", file=sys.stderr)
        return 1
    except (BotoCoreError, ClientError) as error:
        print(f"Stopped: {explain(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
