"""Upload photos to the local cloud, and follow each through the workflow to its record."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.cloud import CONCURRENT_FUNCTIONS, LocalCloud
from local.processes import LocalCloudError

RECORD_SECONDS = 90
POLL_SECONDS = 0.1
# The stack rejects a larger file unread; the local cloud would hold it in memory.
MAX_UPLOAD_BYTES = 200_000_000
MAX_KEY_BYTES = 1024


@dataclass
class Upload:
    """A file, its upload and its record.

    Attributes:
        path: of the file.
        name: its path in the folder of photos.
        key: its key in the bucket.
        image_ids: the possible keys of its record: MiniStack's event has no version id.
        uploaded_at: end of the upload.
        record: its item in PredictionsTable, as DynamoDB types it.
        problem: why there is no record.

    """

    path: Path
    name: str
    key: str
    image_ids: tuple[str, ...] = ()
    uploaded_at: datetime | None = None
    record: dict[str, Any] | None = None
    problem: str = ""

    @property
    def status(self) -> str:
        """The status of its record; empty without a record."""
        return str(self.record["status"]["S"]) if self.record else ""

    @property
    def milliseconds(self) -> int | None:
        """Milliseconds from the end of the upload to the record; None without a record."""
        if self.record is None or self.uploaded_at is None:
            return None
        recorded_at = datetime.fromisoformat(self.record["recorded_at"]["S"])
        return round((recorded_at - self.uploaded_at) / timedelta(milliseconds=1))


def find_photos(name: str, sender: str = "courier") -> list[Upload]:
    """All files under a folder, each as the photo of another sender: `<sender>-001` and so on.

    Hidden files, such as .DS_Store, are left out.

    Raises:
        LocalCloudError: there is no such folder, it cannot be read, or it has no file.

    """
    folder = Path(name).expanduser()
    if not name:
        raise LocalCloudError("PHOTOS= is empty: give a folder, or leave it out")
    if folder.is_file():
        raise LocalCloudError(f"{folder} is a file: give a folder with PHOTOS=")
    if not folder.is_dir():
        raise LocalCloudError(f"there is no folder {folder}: give one with PHOTOS=")

    def refuse(error: OSError) -> None:
        raise LocalCloudError(f"{error.filename} cannot be read ({error.strerror})") from error

    paths = sorted(
        path
        for parent, _, names in os.walk(folder, onerror=refuse)
        for path in map(Path(parent).joinpath, names)
        if path.is_file() and not path.name.startswith(".")
    )
    if not paths:
        raise LocalCloudError(f"there is no file in {folder}: give another folder with PHOTOS=")
    uploads = []
    for number, path in enumerate(paths, start=1):
        name = str(path.relative_to(folder)).encode("utf-8", "replace").decode()
        key = f"uploads/{sender}-{number:03d}/{name}"
        if len(key.encode()) > MAX_KEY_BYTES:
            key = f"uploads/{sender}-{number:03d}/{path.name}"
        uploads.append(Upload(path, name, key))
    return uploads


class Follower:
    """Uploads photos, a few at a time, and follows each to its record."""

    def __init__(self, cloud: LocalCloud, outputs: dict[str, str]) -> None:
        """Take the names of the stack's resources from its outputs."""
        self.s3 = cloud.client("s3")
        self.dynamodb = cloud.client("dynamodb")
        self.stepfunctions = cloud.client("stepfunctions")
        self.outputs = outputs
        self.keys: dict[str, str] = {}  # of photos, by execution

    def classify(self, uploads: list[Upload]) -> Iterator[dict[str, str]]:
        """Upload all files, at most CONCURRENT_FUNCTIONS at a time.

        Yields:
            After each poll: the state that each running workflow is in, by key of its photo.

        """
        left = list(reversed(uploads))
        running: list[Upload] = []
        while left or running:
            while left and len(running) < CONCURRENT_FUNCTIONS:
                upload = left.pop()
                if self.upload(upload):
                    running.append(upload)
            running = [upload for upload in running if not self.is_over(upload)]
            yield {upload.key: "waiting" for upload in running} | self.states()
            time.sleep(POLL_SECONDS)

    def upload(self, upload: Upload) -> bool:
        """Put a file into the bucket; if that fails, note the problem and return False."""
        try:
            if upload.path.stat().st_size > MAX_UPLOAD_BYTES:
                upload.problem = f"larger than {MAX_UPLOAD_BYTES // 10**6} MB"
                return False
            with upload.path.open("rb") as body:
                put = self.s3.put_object(
                    Bucket=self.outputs["PhotosBucketName"], Key=upload.key, Body=body
                )
        except OSError as error:
            upload.problem = error.strerror or "cannot be read"
            return False
        upload.uploaded_at = datetime.now(UTC)
        versions = put["VersionId"], put["ETag"].strip('"')
        upload.image_ids = tuple(f"{upload.key}#{version}" for version in versions)
        return True

    def is_over(self, upload: Upload) -> bool:
        """Whether a photo has its record, or RECORD_SECONDS have passed."""
        table = self.outputs["PredictionsTableName"]
        keys = [{"image_id": {"S": image_id}} for image_id in upload.image_ids]
        found = self.dynamodb.batch_get_item(
            RequestItems={table: {"Keys": keys, "ConsistentRead": True}}
        )["Responses"][table]
        if found:
            [upload.record] = found
            return True
        limit = timedelta(seconds=RECORD_SECONDS)
        if upload.uploaded_at and datetime.now(UTC) - upload.uploaded_at > limit:
            upload.problem = f"no record after {RECORD_SECONDS} s"
            return True
        return False

    def states(self) -> dict[str, str]:
        """The state that each running execution is in, by the key of its photo."""
        running = self.stepfunctions.list_executions(
            stateMachineArn=self.outputs["ClassifyPhotoStateMachineArn"], statusFilter="RUNNING"
        )["executions"]
        return {
            self.key_of(execution["executionArn"]): state
            for execution in running
            if (state := self.state_of(execution["executionArn"]))
        }

    def key_of(self, execution: str) -> str:
        """The key of the photo that an execution classifies."""
        if execution not in self.keys:
            described = self.stepfunctions.describe_execution(executionArn=execution)
            event = json.loads(described["input"])
            self.keys[execution] = event["detail"]["object"]["key"]
        return self.keys[execution]

    def state_of(self, execution: str) -> str:
        """The state that an execution entered last; empty before the first one."""
        history = self.stepfunctions.get_execution_history(
            executionArn=execution, reverseOrder=True, maxResults=10
        )["events"]
        names = (
            event["stateEnteredEventDetails"]["name"]
            for event in history
            if "stateEnteredEventDetails" in event
        )
        return next(names, "")
