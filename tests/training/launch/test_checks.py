"""What is checked before anything costs money, and errors in one line."""

import json
import shutil
from pathlib import Path
from typing import Any

import boto3
import pytest
from boto3.exceptions import RetriesExceededError

from operations.errors import UserError
from operations.prices import INSTANCE_HOUR
from tests.support.aws import BUCKET, SPOT, Aws, job, refused
from training.launch import deployment, preflight, settings, steps
from training.launch.check import main as look_for_stack
from training.launch.cloud import Cloud
from training.launch.command import costs, main


@pytest.mark.parametrize("step", [[], *([step] for step in settings.STEPS)])
def test_without_a_stack_every_step_says_to_deploy_it_first(
    aws: Aws, step: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.outputs = {}
    assert "there is no stack scones-unlimited" in (said := refused(step, capsys))
    assert "make deploy" in said


def test_the_check_before_torch_is_installed_finds_the_stack_or_says_what_is_missing(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_for_stack(["--photos", "my/photos", "--stack-name", "scones-unlimited"])
    aws.outputs = {}
    with pytest.raises(SystemExit, match=r"there is no stack other .*deploy it with `make deploy`"):
        look_for_stack(["--stack-name", "other"])
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(SystemExit, match="no region: give --region"):
        look_for_stack([])


def test_a_stack_of_an_older_version_is_told_to_be_deployed_again(
    aws: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    del aws.outputs["TrainingBucketName"]
    assert "has no TrainingBucketName: deploy it again" in refused(["stage", "--yes"], capsys)


def test_nothing_is_done_without_a_yes(
    aws: Aws, staged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for answer in ("n", ""):
        monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
        arguments = ["stage", "--dataset", str(staged)]
        assert "--yes" in refused(arguments, capsys)
    changing = ("Create", "Put", "Update", "Delete")
    assert not [name for name, _ in aws.calls if name.startswith(changing)]


def test_prices_are_of_what_will_be_done() -> None:
    following = settings.parse("", ["train", "--job", "scones-launch-1"])
    assert costs(following) == [
        ("train", "follows scones-launch-1", "no more than the job costs already")
    ]
    [(_, what, price)] = costs(settings.parse("", ["deploy", "--instance-type", "ml.c5.large"]))
    assert what == "1 to 2 x ml.c5.large"
    month = 730 * INSTANCE_HOUR["ml.c5.large"]
    assert price.startswith(f"${month:.0f} a month each and $0.20 for its alarms")
    assert "an update doubles the instances" in price
    [(_, _, price)] = costs(settings.parse("", ["publish"]))
    assert "a retraining costs at most $1.87" in price  # 1.408, and 0.23 twice


def test_without_a_quota_it_says_how_to_get_one_or_what_else_will_do(
    aws: Aws, staged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.quotas = {f"ml.g5.xlarge {SPOT}": 0, f"ml.g4dn.xlarge {SPOT}": 2, f"ml.m5.large {SPOT}": 9}
    options = ["train", "--yes", "--dataset", str(staged)]
    with pytest.raises(SystemExit, match="1 of 4 checks failed"):
        main(options)
    [line] = [line for line in capsys.readouterr().out.splitlines() if "PROBLEM" in line]
    assert "request-service-quota-increase" in line
    assert "--quota-code L-0" in line
    assert "--training-instance ml.g4dn.xlarge" in line
    assert not aws.requests("CreateTrainingJob")


def test_a_quota_that_was_never_changed_is_found_among_the_defaults(aws: Aws, cloud: Cloud) -> None:
    kind = "ml.c5.large for endpoint usage"
    with pytest.raises(UserError, match="is it a type"):
        preflight.endpoint_quota(cloud, "ml.c5.large")
    aws.defaults = {kind: 4, f"ml.g5.xlarge {SPOT}": 0}
    assert preflight.endpoint_quota(cloud, "ml.c5.large") == f"4 {kind}"
    aws.quotas[kind] = 0  # what the account has counts
    with pytest.raises(UserError, match="request-service-quota-increase"):
        preflight.endpoint_quota(cloud, "ml.c5.large")


@pytest.mark.usefixtures("aws")
def test_the_endpoint_has_a_quota_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="nothing was started"):
        main(["deploy", "--yes", "--instance-type", "ml.c99.large"])
    assert "'ml.c99.large for endpoint usage'" in capsys.readouterr().out


def test_a_dataset_without_photos_of_each_label_is_not_trained_on(
    aws: Aws, staged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    description = json.loads((staged / "dataset.json").read_text())
    description["counts"]["test"]["bicycle"] = 0
    del description["counts"]["train"]
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    (dataset / "dataset.json").write_text(json.dumps(description))
    arguments = ["--yes", "--dataset", str(dataset)]
    for step in ("train", "evaluate"):
        with pytest.raises(SystemExit, match="nothing was started"):
            main([step, *arguments])
        [line] = [line for line in capsys.readouterr().out.splitlines() if "PROBLEM" in line]
        assert "train bicycle, train motorcycle, train other, test bicycle" in line
        assert "--photos" in line
    for broken in ("{", "[]", '{"version": "1"}'):
        (dataset / "dataset.json").write_text(broken)
        with pytest.raises(UserError, match=r"dataset.json is broken"):
            preflight.dataset(dataset)
    assert not aws.requests("CreateTrainingJob")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--training-instance", "ml.g99.xlarge"], "is it a type?"),
        (["--dataset", "nowhere"], "run the step stage first"),
        (["--on-demand"], "'ml.g5.xlarge for training job usage' is 0"),
    ],
)
@pytest.mark.usefixtures("aws")
def test_a_problem_is_found_before_it_costs(
    arguments: list[str], says: str, staged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="nothing was started"):
        main(["train", "--yes", "--dataset", str(staged), *arguments])
    problems = [line for line in capsys.readouterr().out.splitlines() if "PROBLEM" in line]
    assert any(says in line for line in problems)


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        (["--model-version", "1/2"], "'1/2' is not letters"),
        (["--model-version", "1.2"], "give it a third part"),
        (["--max-minutes", "-5"], "'-5' is not a whole number from 1 on"),
        (["--max-concurrency", "0"], "'0' is not a whole number from 1 to 200"),
        (["--max-concurrency", "201"], "'201' is not a whole number from 1 to 200"),
        (["--max-instances", "0"], "'0' is not a whole number"),
        (["--invocations", "nan"], "'nan' is not a number above 0"),
        (["--instance-type", "c5.large"], "'c5.large' is no instance type such as ml.c5.large"),
        (["--training-instance", "g5"], "'g5' is no instance type"),
        (["--hyperparameter", "stesp=3"], "--hyperparameter: unrecognized arguments: --stesp=3"),
        (["--hyperparameter", "fine-tune=many"], "--hyperparameter: argument --fine-tune: invalid"),
        (["--hyperparameter", "dataset=mine"], "this command sets it itself"),
        (["--model", "nowhere"], "nowhere has no model.onnx"),
    ],
)
def test_arguments_that_would_fail_later_are_refused(
    argument: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        settings.parse("", argument)
    assert says in capsys.readouterr().err


@pytest.mark.usefixtures("aws")
def test_a_region_without_the_training_image_is_named(
    staged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "TORCH_VERSION", "9.9")
    with pytest.raises(SystemExit):
        main(["train", "--yes", "--dataset", str(staged)])
    assert "no PyTorch 9.9 training image" in capsys.readouterr().out


def test_a_bucket_that_is_closed_to_the_caller_is_named(
    aws: Aws, staged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.deny("HeadBucket", "403")
    with pytest.raises(SystemExit):
        main(["stage", "--yes", "--dataset", str(staged)])
    assert f"may not use bucket {BUCKET}" in capsys.readouterr().out


def test_a_check_that_is_not_permitted_does_not_stop(
    aws: Aws, cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.deny("ListServiceQuotas")
    quota = {"quota": lambda: preflight.training_quota(cloud, "ml.g5.xlarge", spot=True)}
    preflight.run_checks(quota)
    assert "not checked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "code", "says"),
    [
        ("GetCallerIdentity", "ExpiredToken", "aws configure"),
        ("ListTrainingJobs", "AccessDeniedException", "ListTrainingJobs is not permitted"),
        ("CreateTrainingJob", "ResourceLimitExceeded", "Service Quotas"),
    ],
)
def test_an_aws_error_is_one_line(
    aws: Aws, staged: Path, call: str, code: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["stage", "--yes", "--dataset", str(staged)])
    aws.deny(call, code)
    assert says in refused(["train", "--yes", "--dataset", str(staged)], capsys)


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "Permission denied", "build"),
        RetriesExceededError(ConnectionError("the line was cut")),
    ],
)
def test_a_file_or_a_line_that_fails_is_one_line(
    aws: Aws, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: dict[str, Any]) -> None:
        raise error

    aws.answers["GetCallerIdentity"] = fail
    assert str(error) in refused(["deploy", "--yes"], capsys)


def test_broken_files_are_one_line(
    aws: Aws,
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = job("Completed", "Completed")
    arguments = ["--yes", "--image-uri", "image"]
    archive = f"jobs/{name}/output/model.tar.gz"
    for body in (b"no archive", deployment.pack(tiny_model)[:2000]):
        boto3.client("s3").put_object(Bucket=BUCKET, Key=archive, Body=body)
        assert "is damaged" in refused(["deploy", "--job", name, *arguments], capsys)
    report = steps.report_directory(tiny_model) / "evaluation.json"
    report.parent.mkdir(parents=True)
    report.write_text('{"photos_three_way": {"val')
    with pytest.raises(UserError, match="run the step evaluate again"):
        steps.evaluation_of(tiny_model)
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    for metadata in ("{", "[]", '{"name": "scones"}'):
        (model / "metadata.json").write_text(metadata)
        with pytest.raises(UserError, match=r"metadata.json is broken"):
            preflight.model(model)
    assert not aws.requests("StartExecution")


@pytest.mark.usefixtures("aws")
def test_without_credentials_or_region_it_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "aws configure" in refused(["deploy"], capsys)
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert "--region" in refused(["deploy"], capsys)


@pytest.mark.usefixtures("aws")
def test_docker_is_needed_or_an_image(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit):
        main(["image", "--yes"])
    assert "--image-uri" in capsys.readouterr().out
    main(["image", "--yes", "--image-uri", "1.dkr.ecr.eu-central-1.amazonaws.com/mine:1"])
