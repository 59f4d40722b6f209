"""S3: every version, every delete marker and every unfinished upload, whatever its key is."""

import re
from collections.abc import Iterator
from functools import partial
from itertools import batched, islice
from typing import Any
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from operations.deletion.account import Account, Found, cost, count, mib, tolerating
from operations.errors import UserError, code_of
from operations.prices import S3_GIB
from operations.stack import find_stack

MOST_IN_A_BATCH = 1000  # that S3 lists or deletes at once
SAM_STACK = "aws-sam-cli-managed-default"
# DeleteObjects and ListParts carry keys in XML 1.0, which has no such characters, however escaped.
NOT_IN_XML = re.compile("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SAM_ARTIFACT = re.compile(r"[0-9a-f]{32}(\.\w+)?")  # SAM names what it uploads by its content
S3_URI = re.compile(r"s3://([a-z0-9.-]+)/([\w./-]+)")
S3_LOCATION = re.compile(  # in YAML, or in a dictionary's text
    r"""\bBucket['"]?:\s*['"]?([a-z0-9.-]+)['"]?,?\s+['"]?Key['"]?:\s*['"]?([\w./-]+)"""
)
PROJECT = "Scones Unlimited"  # the template's description begins with it


def find_buckets(account: Account) -> Iterator[Found]:
    """The stack's and the training's buckets, and any that an update of the stack has left."""
    in_stack = account.in_stack("AWS::S3::Bucket")
    everything = [bucket["Name"] for bucket in account.pages("s3", "list_buckets", "Buckets")]
    for name in sorted(everything, key=lambda name: name not in in_stack):
        prefix = f"{account.stack_name}-"
        if name in in_stack or (name.startswith(prefix) and is_tagged(account, name)):
            holds, monthly = contents(account, name)
            delete = partial(empty, account, name, remove=name not in in_stack)
            arn = f"arn:{account.partition}:s3:::{name}"
            needs = (("s3:DeleteObject", f"{arn}/*"), ("s3:DeleteObjectVersion", f"{arn}/*"))
            yield Found("S3 bucket", name, holds, monthly, delete, needs)


def is_tagged(account: Account, bucket: str) -> bool:
    with tolerating("NoSuchTagSet", "NoSuchBucket"):
        return account.is_ours(account.client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"])
    return False


def versions(account: Account, bucket: str, prefix: str = "") -> Iterator[dict[str, Any]]:
    """All versions and delete markers."""
    paginator = account.client("s3").get_paginator("list_object_versions")
    for page in paginator.paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Versions", [])
        yield from page.get("DeleteMarkers", [])


def uploads(account: Account, bucket: str) -> Iterator[dict[str, str]]:
    """All unfinished multipart uploads.

    Their keys are asked for in URL encoding, and decoded here: botocore does that for objects only.
    """
    client = account.client("s3")
    markers: dict[str, str] = {}
    while True:
        page = client.list_multipart_uploads(Bucket=bucket, EncodingType="url", **markers)
        decode = unquote_plus if page.get("EncodingType") == "url" else str
        for upload in page.get("Uploads", []):
            yield {"Bucket": bucket, "Key": decode(upload["Key"]), "UploadId": upload["UploadId"]}
        if not page.get("IsTruncated"):
            return
        markers = {
            "KeyMarker": decode(page["NextKeyMarker"]),
            "UploadIdMarker": page["NextUploadIdMarker"],
        }


def contents(account: Account, bucket: str) -> tuple[str, float]:
    """What is in a bucket, and its dollars a month."""
    number = stored = unfinished = 0
    for version in versions(account, bucket):
        number, stored = number + 1, stored + version.get("Size", 0)
        if number % 1000 == 0:
            account.progress(f"looking into {bucket}: {number:,} object versions")
    for upload in uploads(account, bucket):
        unfinished += 1
        if not NOT_IN_XML.search(upload["Key"]):
            parts = account.pages("s3", "list_parts", "Parts", **upload)
            stored += sum(part["Size"] for part in parts)
    holds = f"{count(number, 'object version')}, {mib(stored)}"
    holds += f", {count(unfinished, 'unfinished upload')}" if unfinished else ""
    return holds, cost(stored, S3_GIB)


def empty(account: Account, bucket: str, *, remove: bool = False) -> None:
    """Delete what is in a bucket, and the bucket too if `remove`.

    Raises:
        UserError: S3 kept some of it.

    """
    client = account.client("s3")
    with tolerating("NoSuchBucket"):
        for upload in uploads(account, bucket):
            with tolerating("NoSuchUpload"):
                client.abort_multipart_upload(**upload)
        done, before = 0, None
        while batch := list(islice(versions(account, bucket), MOST_IN_A_BATCH)):
            if batch == before:
                raise UserError(f"S3 still lists {batch[0]['Key']!r}, which it said is deleted")
            delete_versions(account, bucket, batch)
            done, before = done + len(batch), batch
            account.progress(f"deleting in {bucket}: {done:,} object versions")
        if remove:
            client.delete_bucket(Bucket=bucket)


def delete_versions(account: Account, bucket: str, items: list[dict[str, Any]]) -> None:
    """Delete versions and delete markers, in batches if XML can carry their keys.

    Raises:
        UserError: S3 kept some of them.

    """
    client = account.client("s3")
    objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in items]
    in_xml = [item for item in objects if not NOT_IN_XML.search(item["Key"])]
    kept: list[dict[str, str]] = []
    for batch in batched(in_xml, MOST_IN_A_BATCH, strict=False):
        request = {"Objects": list(batch), "Quiet": True}
        kept += client.delete_objects(Bucket=bucket, Delete=request).get("Errors", [])
    for item in objects:
        if NOT_IN_XML.search(item["Key"]):
            try:
                client.delete_object(Bucket=bucket, **item)
            except ClientError as error:
                kept.append({"Key": item["Key"], "Code": code_of(error), "Message": str(error)})
    if kept:
        first = f"{kept[0]['Key']!r} ({kept[0]['Code']}: {kept[0].get('Message', '')})"
        raise UserError(f"S3 kept {count(len(kept), 'object version')}, first {first}")


# ── What `sam deploy` uploaded ──


def find_sam_artifacts(account: Account) -> Iterator[Found]:
    """What `sam deploy` uploaded for our stack, but for what another stack of this project uses.

    In a folder (s3_prefix) that is all that SAM ever uploaded there; without a folder it is what
    the stack's template refers to.
    """
    ours = locations(account, account.stack.id) if account.stack else set()
    folders = {(bucket, key.rpartition("/")[0]) for bucket, key in ours}
    sam = find_stack(account.client("cloudformation"), SAM_STACK)
    if sam and "SourceBucket" in sam.outputs:
        folders.add((sam.outputs["SourceBucket"], account.stack_name))
    others: set[tuple[str, str]] | None = None
    for bucket, folder in sorted(folders):
        prefix = f"{folder}/" if folder else ""
        items = [
            item
            for item in versions(account, bucket, prefix)
            if SAM_ARTIFACT.fullmatch(item["Key"].removeprefix(prefix))
            and (folder or (bucket, item["Key"]) in ours)
        ]
        if items and others is None:
            others = locations_of_others(account)
        items = [item for item in items if (bucket, item["Key"]) not in (others or ())]
        if items:
            stored = sum(item.get("Size", 0) for item in items)
            holds = f"{count(len(items), 'object version')}, {mib(stored)}"
            delete = partial(delete_versions, account, bucket, items)
            yield Found(
                "SAM artifact folder", f"{bucket}/{prefix}", holds, cost(stored, S3_GIB), delete
            )


def locations(account: Account, stack: str) -> set[tuple[str, str]]:
    """Bucket and key of all that a stack's template refers to in S3."""
    answer = account.client("cloudformation").get_template(
        StackName=stack, TemplateStage="Original"
    )
    text = str(answer["TemplateBody"])
    return {*S3_URI.findall(text), *S3_LOCATION.findall(text)}


def locations_of_others(account: Account) -> set[tuple[str, str]]:
    """The same of all other stacks of this project."""
    found: set[tuple[str, str]] = set()
    for stack in account.pages("cloudformation", "list_stacks", "StackSummaries"):
        is_other = stack["StackName"] != account.stack_name
        is_there = stack["StackStatus"] != "DELETE_COMPLETE"
        if is_other and is_there and stack.get("TemplateDescription", PROJECT).startswith(PROJECT):
            found |= locations(account, stack["StackId"])
    return found
