"""A training job: bounded, followed, taken again, and explained if it fails."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.support.aws import (
    BUCKET,
    ENDPOINT,
    REGION,
    ROLE,
    TAGS,
    Aws,
    job,
    read,
    refused,
    register,
    set_job,
)
from training.launch import training_job
from training.launch.command import main


def test_a_spot_job_is_bounded_named_and_keeps_checkpoints(aws: Aws, staged: Path) -> None:
    main(["stage", "--yes", "--dataset", str(staged)])
    options = ["train", "--yes", "--dataset", str(staged), "--max-minutes", "30"]
    main([*options, "--model-version", "1.2.0", "--hyperparameter", "fine-tune=300"])
    [request] = aws.requests("CreateTrainingJob")
    assert re.fullmatch(rf"{ENDPOINT}-launch-\d{{14}}", request["TrainingJobName"])
    assert request["EnableManagedSpotTraining"]
    stop = {"MaxRuntimeInSeconds": 1800, "MaxWaitTimeInSeconds": 3600}
    assert request["StoppingCondition"] == stop
    assert request["CheckpointConfig"]["S3Uri"] == f"s3://{BUCKET}/checkpoints/1.2.0/"
    assert request["HyperParameters"] == {"model-version": "1.2.0", "fine-tune": "300"}
    assert request["RoleArn"] == ROLE
    assert {tag["Key"]: tag["Value"] for tag in request["Tags"]} == TAGS
    image = request["AlgorithmSpecification"]["TrainingImage"]
    assert re.fullmatch(rf"\d+\.dkr\.ecr\.{REGION}\.amazonaws\.com/pytorch:2\.13-cu.*", image)
    channels = {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"]
        for channel in request["InputDataConfig"]
    }
    dataset = json.loads((staged / "dataset.json").read_text())["version"]
    assert channels["training"] == f"s3://{BUCKET}/datasets/{dataset}/"
    assert b"onnxruntime==" in read(f"{channels['code']}/requirements.txt")
    assert read(f"{channels['code']}/training/classifier/train.py")


def test_retraining_trains_as_launch_does(aws: Aws, staged: Path) -> None:
    """The state machine writes the job out; training.launch has the SDK make it."""
    main(["stage", "--yes", "--dataset", str(staged)])
    main(["train", "--yes", "--dataset", str(staged)])
    [request] = aws.requests("CreateTrainingJob")
    file = training_job.TRAINING.parent / "statemachine" / "retrain_model.asl.json"
    [branch] = json.loads(file.read_text())["States"]["Retrain"]["Branches"]
    job = branch["States"]["TrainModel"]["Arguments"]
    for name in ("EnableManagedSpotTraining", "StoppingCondition"):
        assert job[name] == request[name], name
    for name in ("InstanceCount", "VolumeSizeInGB"):
        assert job["ResourceConfig"][name] == request["ResourceConfig"][name], name
    made, launched = job["AlgorithmSpecification"], request["AlgorithmSpecification"]
    assert made["MetricDefinitions"] == launched["MetricDefinitions"]
    assert made["TrainingInputMode"] == launched["TrainingInputMode"]
    assert job["OutputDataConfig"]["S3OutputPath"].endswith("/jobs")
    assert request["OutputDataConfig"]["S3OutputPath"] == f"s3://{BUCKET}/jobs"


def test_a_running_job_is_followed_not_started_twice(
    aws: Aws, staged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = job()
    described = []

    def describe(_: dict[str, Any]) -> None:
        described.append(name)
        if len(described) == 3:
            set_job(name, training_job_status="Completed", secondary_status="Completed")

    aws.answers["DescribeTrainingJob"] = describe
    main(["train", "--yes", "--dataset", str(staged)])
    out = capsys.readouterr().out
    assert out.count("step=500 left_out_accuracy=0.91") == 1
    assert "Installing" not in out
    assert f"{name} completed" in out
    assert not aws.requests("CreateTrainingJob")


@pytest.mark.parametrize(
    "name",
    [f"{ENDPOINT}-20261121003302", f"{ENDPOINT}-v2-launch-20261121003302"],
    ids=["of a retraining", "of another endpoint"],
)
def test_a_job_that_launch_did_not_start_is_left_alone(aws: Aws, staged: Path, name: str) -> None:
    main(["stage", "--yes", "--dataset", str(staged)])
    job(name=name)
    main(["train", "--yes", "--dataset", str(staged)])
    assert len(aws.requests("CreateTrainingJob")) == 1


@pytest.mark.parametrize(
    ("options", "of", "started"),
    [
        ([], {}, 0),
        (["--model-version", "1.2.0"], {}, 0),
        (["--model-version", "1.3.0"], {}, 1),
        (["--hyperparameter", "fine-tune=300"], {}, 1),
        ([], {"dataset": "0123456789ab"}, 1),
        ([], {"environment": {"CODE_COMMIT": "0000000"}}, 1),
    ],
)
def test_a_job_that_completed_meanwhile_is_taken_if_it_is_what_is_asked_for(
    aws: Aws,
    staged: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    of: dict[str, Any],
    started: int,
) -> None:
    monkeypatch.setenv("CODE_COMMIT", "abc1234")
    arguments = ["--yes", "--dataset", str(staged)]
    main(["stage", *arguments])
    this = json.loads((staged / "dataset.json").read_text())["version"]
    name = job(
        "Completed",
        "Completed",
        **{"dataset": this, "environment": {"CODE_COMMIT": "abc1234"}} | of,
    )
    main(["train", *arguments, *options])
    assert len(aws.requests("CreateTrainingJob")) == started
    assert (f"{name} has the same dataset" in capsys.readouterr().out) == (not started)


def test_a_job_whose_model_is_registered_is_not_taken_again(
    aws: Aws, staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_COMMIT", "abc1234")
    arguments = ["--yes", "--dataset", str(staged)]
    main(["stage", *arguments])
    this = json.loads((staged / "dataset.json").read_text())["version"]
    name = job("Completed", "Completed", dataset=this, environment={"CODE_COMMIT": "abc1234"})
    register(f"s3://{BUCKET}/jobs/{name}/output/model.tar.gz")
    main(["train", *arguments])
    assert len(aws.requests("CreateTrainingJob")) == 1


@pytest.mark.parametrize(
    ("status", "secondary", "says"),
    [
        ("Failed", "Failed", "AlgorithmError: out of memory"),
        ("Stopped", "MaxRuntimeExceeded", "--max-minutes"),
        ("Stopped", "MaxWaitTimeExceeded", "--on-demand"),
    ],
)
@pytest.mark.usefixtures("aws")
def test_a_job_that_does_not_complete_says_why_and_how_to_go_on(
    staged: Path,
    status: str,
    secondary: str,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = job(status, secondary, failure_reason="AlgorithmError: out of memory")
    options = ["train", "--job", name, "--yes", "--dataset", str(staged)]
    with pytest.raises(SystemExit) as stop:
        main(options)
    assert says in str(stop.value)
    assert "--model-version 1.2.0" in str(stop.value)
    assert "Installing requirements" in capsys.readouterr().out  # the end of the log


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (KeyboardInterrupt(), "launch: the job continues: run this again"),
        (EndpointConnectionError(endpoint_url="https://aws"), "https://aws"),
    ],
)
def test_a_job_that_cannot_be_followed_any_more_goes_on(
    aws: Aws, staged: Path, error: BaseException, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = job()

    def fail(_: dict[str, Any]) -> None:
        raise error

    aws.answers["DescribeTrainingJob"] = fail
    said = refused(["train", "--yes", "--dataset", str(staged)], capsys)
    assert says in said
    assert f"the job continues: run this again, or with --job {name}, to follow it" in said
    assert f"stop-training-job --training-job-name {name} --region {REGION}" in said


def test_a_job_says_what_it_cost() -> None:
    description = {
        "TrainingTimeInSeconds": 1000,
        "BillableTimeInSeconds": 300,
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge"},
    }
    assert training_job.bill(description) == ": 1000 s, 300 s billed (70% saved by spot), $0.12"
