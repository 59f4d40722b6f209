"""All objects are deleted, with any key, and SAM's artifacts, in any folder."""

from typing import Any
from urllib.parse import quote_plus
from xml.etree import ElementTree as ET

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.s3.models import s3_backends

from operations.deletion import buckets
from operations.deletion.account import Account
from operations.errors import UserError
from tests.support.account import (
    ACCOUNT,
    OTHERS,
    OURS,
    REGION,
    STACK,
    TRAINING_BUCKET,
    Aws,
    Clean,
    deploy,
    inventory,
)

ODD_KEYS = ["\x01", "a\x0b\x1fb", "tab\there", "line\nend\r", "\ufffe", "\x7f", "é +%41&<>\"'", "."]
ONE, TWO, THREE = "0" * 32, "1" * 32, "2" * 32


def make_bucket(name: str, tags: list[dict[str, str]] | None = None) -> None:
    """A versioned bucket with nothing in it."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags or OURS})


def put(bucket: str, *keys: str) -> None:
    for key in keys:
        boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=b"zip")


def keys_in(bucket: str) -> list[str]:
    listed = boto3.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    return [item["Key"] for item in listed]


def list_versions(_: dict[str, Any]) -> dict[str, Any]:
    """List keys in URL encoding, as S3 does. Moto fails at keys that XML cannot represent."""
    keys = s3_backends[ACCOUNT]["aws"].get_bucket(TRAINING_BUCKET).keys
    versions = [
        {"Key": quote_plus(key), "VersionId": version.version_id, "Size": 3}
        for key in keys
        for version in keys.getlist(key)
    ]
    return {"EncodingType": "url", "IsTruncated": False, "Versions": versions}


def test_keys_that_xml_cannot_carry_are_deleted_one_by_one(aws_account: Aws, clean: Clean) -> None:
    make_bucket(TRAINING_BUCKET, OURS)
    put(TRAINING_BUCKET, *ODD_KEYS, *ODD_KEYS, "plain")
    aws_account.answers["ListObjectVersions"] = list_versions
    aws_account.calls.clear()
    outcome = clean("--yes")
    assert outcome.code == 0, outcome.err
    assert inventory() == {}
    assert aws_account.calls.count("DeleteObjects") == 1


@given(key=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_every_key_of_a_batch_can_be_parsed_again(key: str) -> None:
    if not buckets.NOT_IN_XML.search(key):
        element = ET.Element("Key")
        element.text = key
        assert ET.fromstring(ET.tostring(element, "utf-8")).text == key


@pytest.mark.usefixtures("aws_account")
def test_unfinished_uploads_of_any_key_are_aborted() -> None:
    make_bucket(TRAINING_BUCKET)
    s3 = boto3.client("s3")
    for key in ("a +%41é", "plain"):
        s3.create_multipart_upload(Bucket=TRAINING_BUCKET, Key=key)
    buckets.empty(Account(STACK), TRAINING_BUCKET, remove=True)
    assert inventory() == {}


def test_uploads_are_listed_in_url_encoding_over_all_pages(aws_account: Aws) -> None:
    """Respond to EncodingType=url as S3 does. Moto does not know it."""
    make_bucket(TRAINING_BUCKET)
    requests: list[Any] = []
    client = Account(STACK).client
    keys = ["a%01b", "c+d%2B"]

    class S3:
        def list_multipart_uploads(self, **request: Any) -> dict[str, Any]:
            requests.append(request)
            at = len(requests) - 1
            return {
                "EncodingType": "url",
                "Uploads": [{"Key": keys[at], "UploadId": str(at)}],
                "IsTruncated": at == 0,
                "NextKeyMarker": keys[at],
                "NextUploadIdMarker": str(at),
            }

    account = Account(STACK)
    account.client = lambda name: S3() if name == "s3" else client(name)
    assert [upload["Key"] for upload in buckets.uploads(account, "b")] == ["a\x01b", "c d+"]
    assert (requests[1]["KeyMarker"], requests[1]["UploadIdMarker"]) == ("a\x01b", "0")


def test_a_key_that_s3_keeps_is_named_and_the_rest_of_its_batch_is_deleted(
    aws_account: Aws,
) -> None:
    make_bucket(TRAINING_BUCKET)
    put(TRAINING_BUCKET, "a", "b\x01", "c")
    aws_account.answers["ListObjectVersions"] = list_versions
    aws_account.deny("DeleteObject")
    with pytest.raises(UserError, match=r"kept 1 object version, first 'b\\x01'"):
        buckets.empty(Account(STACK), TRAINING_BUCKET)
    assert list(s3_backends[ACCOUNT]["aws"].get_bucket(TRAINING_BUCKET).keys) == ["b\x01"]


def test_the_command_ends_with_a_message_if_s3_lists_a_version_for_ever(aws_account: Aws) -> None:
    """Respond like an emulator whose XML changes a key."""
    make_bucket(TRAINING_BUCKET)
    listed = [{"Key": "line%0Aend", "VersionId": "1", "Size": 3}]
    page = {"EncodingType": "url", "IsTruncated": False, "Versions": listed}
    aws_account.answers["ListObjectVersions"] = lambda _: dict(page, Versions=[*map(dict, listed)])
    with pytest.raises(UserError, match=r"still lists 'line\\nend'"):
        buckets.empty(Account(STACK), TRAINING_BUCKET)


# ── SAM's artifacts ──


@pytest.fixture
def sam_bucket(aws_account: Aws) -> str:
    """SAM's bucket, with artifacts of another application in it."""
    make_bucket("sam-source", OTHERS)
    deploy(aws_account)
    describe = aws_account.describe_stacks

    def describe_stacks(arguments: dict[str, Any]) -> dict[str, Any]:
        if arguments["StackName"] != buckets.SAM_STACK:
            return describe(arguments)
        output = {"OutputKey": "SourceBucket", "OutputValue": "sam-source"}
        stack = {"StackId": "sam", "StackStatus": "CREATE_COMPLETE", "Outputs": [output]}
        return {"Stacks": [stack]}

    aws_account.answers["DescribeStacks"] = describe_stacks
    put("sam-source", f"another-app/{ONE}", THREE)
    return "sam-source"


@pytest.mark.parametrize("folder", [STACK, "scones-of-another-name", "deep/er"])
def test_the_artifacts_folder_that_the_stack_used_is_deleted(
    aws_account: Aws, clean: Clean, sam_bucket: str, folder: str
) -> None:
    put(sam_bucket, f"{folder}/{ONE}", f"{folder}/{TWO}.template", f"{folder}/notes.txt")
    aws_account.templates[STACK] = f"CodeUri: s3://{sam_bucket}/{folder}/{ONE}"
    outcome = clean("--yes")
    assert outcome.code == 0, outcome.err
    # An object that SAM did not upload is not ours.
    assert keys_in(sam_bucket) == sorted([f"another-app/{ONE}", THREE, f"{folder}/notes.txt"])


def test_artifacts_that_another_stack_uses_stay(
    aws_account: Aws, clean: Clean, sam_bucket: str
) -> None:
    put(sam_bucket, *(f"shared/{name}" for name in (ONE, TWO, THREE)))
    aws_account.templates |= {
        STACK: f"CodeUri: s3://{sam_bucket}/shared/{ONE}",
        "scones-kitchen": f"DefinitionUri:\n  Bucket: {sam_bucket}\n  Key: shared/{TWO}\n",
        "scones-social": str({"Uri": {"Bucket": sam_bucket, "Key": f"shared/{THREE}"}}),
    }
    outcome = clean("--yes")
    assert outcome.code == 0, outcome.err
    assert keys_in(sam_bucket) == sorted(
        [THREE, f"another-app/{ONE}", f"shared/{TWO}", f"shared/{THREE}"]
    )


def test_only_artifacts_of_the_template_are_deleted_if_there_is_no_folder(
    aws_account: Aws, clean: Clean, sam_bucket: str
) -> None:
    put(sam_bucket, ONE, TWO)
    aws_account.templates[STACK] = f"CodeUri: s3://{sam_bucket}/{ONE}"
    assert clean("--yes").code == 0
    assert keys_in(sam_bucket) == sorted([TWO, THREE, f"another-app/{ONE}"])


def test_the_artifacts_folder_is_deleted_even_if_the_stack_is_gone(
    aws_account: Aws, clean: Clean, sam_bucket: str
) -> None:
    clean("--yes")
    put(sam_bucket, f"{STACK}/{ONE}", f"{STACK}-2/{ONE}")
    assert clean("--yes").code == 0
    assert keys_in(sam_bucket) == sorted([THREE, f"another-app/{ONE}", f"{STACK}-2/{ONE}"])
