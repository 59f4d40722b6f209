"""Copy a staged dataset to S3, below its version."""

import concurrent.futures
import json
from pathlib import Path

import boto3
from botocore.config import Config
from tqdm import tqdm

from training.dataset.records import DatasetError, read_manifest

REQUESTS_AT_ONCE = 16


def upload(dataset: Path, destination: str) -> str:
    """Copy a staged dataset to destination/<version>/ and return that S3 URI.

    What is there already, by key and size, is not sent again. dataset.json is last: if it is
    there, the dataset is complete.

    Raises:
        DatasetError: the destination is not an S3 URI.

    """
    bucket, _, prefix = destination.removeprefix("s3://").partition("/")
    if not destination.startswith("s3://") or not bucket:
        raise DatasetError(f"{destination} is not an S3 URI: give s3://bucket/prefix")
    version = json.loads((dataset / "dataset.json").read_text())["version"]
    prefix = "/".join(part for part in (prefix.strip("/"), version) if part)
    s3 = boto3.client("s3", config=Config(max_pool_connections=REQUESTS_AT_ONCE))
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    present = {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", [])}
    photos = sorted({photo.file for photo in read_manifest(dataset)})
    files = [dataset / name for name in ("manifest.csv", "excluded.csv", *photos)]

    def send(path: Path) -> None:
        key = f"{prefix}/{path.relative_to(dataset).as_posix()}"
        if present.get(key) != path.stat().st_size:
            s3.upload_file(str(path), bucket, key)

    with concurrent.futures.ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        for _ in tqdm(pool.map(send, files), total=len(files), desc="upload", disable=None):
            pass
    s3.upload_file(str(dataset / "dataset.json"), bucket, f"{prefix}/dataset.json")
    return f"s3://{bucket}/{prefix}/"
