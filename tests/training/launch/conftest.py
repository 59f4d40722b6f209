"""An account with a deployed stack, a Docker that notes, and a serving app as the endpoint."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.support.aws import BUCKET, REGION, REPOSITORY, Aws
from training.launch import deployment, serving_image, training_job
from training.launch.cloud import Cloud


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Aws]:
    """An account with a deployed stack."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training_job, "POLL_SECONDS", 0)
    monkeypatch.setattr(deployment, "POLL_SECONDS", 0)
    account = Aws()
    make_session = boto3.Session

    def session(**arguments: Any) -> Any:
        made = make_session(**arguments)
        made.events.register("before-call", account.intercept)
        return made

    with mock_aws():
        where = {"LocationConstraint": REGION}
        boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
        boto3.client("ecr").create_repository(repositoryName=REPOSITORY)
        monkeypatch.setattr(boto3, "Session", session)
        yield account


@pytest.fixture
def cloud(aws: Aws) -> Cloud:
    made = Cloud("scones-unlimited")
    aws.calls.clear()
    return made


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker that notes its arguments and pushes to moto's ECR; the real one builds elsewhere
    (tests/serving/test_container.py)."""
    notes = tmp_path / "docker.txt"
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >>{notes}\n[ "$1" = version ] && echo 29.0\nexit 0\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return notes


@pytest.fixture(scope="module")
def serving(tiny_model: Path) -> Iterator[str]:
    """The URL of the serving app with the tiny model."""
    command = [sys.executable, "-m", "serving.app", "--port", "0"]
    with subprocess.Popen(
        [*command, "--model-dir", tiny_model],
        cwd=serving_image.REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()


@pytest.fixture
def invocations(aws: Aws, serving: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the endpoint is answered by the serving app."""
    del aws  # which clears the environment first
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", serving)
