"""From photos to an endpoint: stage, publish, image, deploy. DeployModel is played."""

import json
import shutil
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.sagemaker.models import sagemaker_backends

from operations.errors import UserError
from tests.support.aws import (
    ACCOUNT,
    BUCKET,
    ENDPOINT,
    EXECUTION,
    REGION,
    REPOSITORY,
    REPOSITORY_URI,
    ROLE,
    Aws,
    keep_artifact,
    read,
    refused,
)
from training.launch import deployment, serving_image
from training.launch.cloud import Cloud
from training.launch.command import main


@pytest.mark.usefixtures("aws")
def test_staging_uploads_the_dataset_below_its_version(staged: Path) -> None:
    arguments = ["stage", "--yes", "--dataset", str(staged)]
    main(arguments)
    main(arguments)  # again is fine
    version = json.loads((staged / "dataset.json").read_text())["version"]
    keys = [item["Key"] for item in boto3.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]]
    here = {file.relative_to(staged).as_posix() for file in staged.rglob("*") if file.is_file()}
    assert set(keys) == {f"datasets/{version}/{name}" for name in here}


def test_the_stack_can_retrain_with_what_is_published(aws: Aws, staged: Path) -> None:
    arguments = ["publish", "--yes", "--dataset", str(staged), "--image-uri", "serving:1"]
    main(arguments)
    run = published()
    version = json.loads((staged / "dataset.json").read_text())["version"]
    assert (run["dataset"], run["serving_image"]) == (version, "serving:1")
    assert run["training_image"].startswith("763104351884.dkr.ecr.eu-central-1.")
    keys = [item["Key"] for item in boto3.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]]
    code = f"code/{run['training_code']}/"
    uploaded = {key.removeprefix(code) for key in keys if key.startswith(code)}
    assert {"job.sh", "training/classifier/train.py", "serving/preprocess.py"} <= uploaded
    assert f"datasets/{version}/dataset.json" in keys
    main(arguments)
    assert published() == run  # the same code, the same version


def published() -> dict[str, str]:
    answer = boto3.client("ssm").get_parameter(Name="/scones-unlimited/training-run")
    return dict(json.loads(answer["Parameter"]["Value"]))


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("serving/app.py", True),
        ("serving/Dockerfile", True),
        ("serving/requirements.txt", True),
        ("functions/serialize_image/photo.py", True),
        ("functions/serialize_image/heif.py", True),
        ("functions/serialize_image/app.py", False),
    ],
)
def test_the_tag_of_the_image_changes_with_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, changes: bool
) -> None:
    before = serving_image.tag()
    for folder in ("serving", "functions/serialize_image"):
        shutil.copytree(serving_image.REPOSITORY / folder, tmp_path / folder)
    monkeypatch.setattr(serving_image, "REPOSITORY", tmp_path)
    monkeypatch.setattr(serving_image, "DOCKERFILE", tmp_path / "serving/Dockerfile")
    assert serving_image.tag() == before
    with (tmp_path / part).open("a") as file:
        file.write("# changed\n")
    assert (serving_image.tag() != before) is changes


def test_the_image_is_pushed_once(cloud: Cloud, docker: Path) -> None:
    uri = serving_image.push(cloud)
    assert uri == f"{REPOSITORY_URI}:{serving_image.tag()}"
    login, build, push = docker.read_text().splitlines()
    assert login == f"login --username AWS --password-stdin {uri.partition('/')[0]}"
    target = f"--tag {uri} --file {serving_image.DOCKERFILE} {serving_image.REPOSITORY}"
    assert build == f"build --platform linux/amd64 {target}"
    assert push == f"push {uri}"
    boto3.client("ecr").put_image(
        repositoryName=REPOSITORY,
        imageManifest="{}",
        imageManifestMediaType="application/vnd.oci.image.manifest.v1+json",
        imageTag=serving_image.tag(),
    )
    docker.unlink()
    assert serving_image.push(cloud) == uri
    assert not docker.exists()


@pytest.mark.usefixtures("docker", "invocations")
def test_all_steps_end_in_a_serving_endpoint(
    aws: Aws, staged: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep_artifact(aws, tiny_model)
    main(["--yes", "--dataset", str(staged)])

    out = capsys.readouterr().out
    # An hour of ml.g5.xlarge costs 1.408 dollars.
    assert "at most $1.41; spot costs up to 90% less" in out
    assert "nothing at rest; $0.00002 a second" in out  # 1 GiB
    assert f"endpoint {ENDPOINT} classified a photo" in out

    [given] = aws.deployments()
    [job] = aws.requests("CreateTrainingJob")
    name = job["TrainingJobName"]
    image = f"{REPOSITORY_URI}:{serving_image.tag()}"
    metadata = json.loads((tiny_model / "metadata.json").read_text())
    assert given["approval"]["accepted"] is True
    assert given["variant"] == {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 10}}
    assert "scaling" not in given
    model = given["model"]
    assert (model["name"], model["version"]) == (metadata["name"], metadata["version"])
    assert model["artifact"] == f"s3://{BUCKET}/jobs/{name}/output/model.tar.gz"
    assert model["image"] == published()["serving_image"] == image
    report = f"s3://{BUCKET}/{model['report']}"
    assert read(f"{report}/metadata.json") == (tiny_model / "metadata.json").read_bytes()
    measures = json.loads(read(f"{report}/evaluation.json"))
    accuracy = str(measures["accuracy_all"]["value"])
    assert model["properties"]["test_accuracy_all"] == accuracy


@pytest.mark.usefixtures("aws")
def test_a_model_without_an_evaluation_is_not_deployed(
    tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--model", str(tiny_model), "--image-uri", "image", "--yes"]
    for step in ([], ["deploy"]):
        with pytest.raises(SystemExit, match="nothing was started"):
            main([*step, *given])
        assert "run the step evaluate first" in capsys.readouterr().out


@pytest.fixture
def evaluated(tiny_model: Path, tmp_path: Path) -> list[str]:
    """The arguments that deploy a model that came with its evaluation, as the shipped one."""
    shipped = tmp_path / "shipped"
    shutil.copytree(tiny_model, shipped)
    metadata = json.loads((shipped / "metadata.json").read_text())
    metadata["metrics"]["test"] = {"accuracy_all": {"value": 0.95}}
    (shipped / "metadata.json").write_text(json.dumps(metadata))
    return ["--model", str(shipped), "--image-uri", "image", "--yes"]


@pytest.mark.usefixtures("invocations")
def test_the_shipped_model_is_deployed_without_training(aws: Aws, evaluated: list[str]) -> None:
    main(evaluated)
    [given] = aws.deployments()
    model = given["model"]
    assert model["properties"]["test_accuracy_all"] == "0.95"
    assert read(model["artifact"]) == deployment.pack(Path(evaluated[1]))
    assert not aws.requests("CreateTrainingJob")


@pytest.mark.usefixtures("invocations")
def test_an_endpoint_on_instances_is_deployed_with_its_scaling(
    aws: Aws, evaluated: list[str]
) -> None:
    aws.quotas["ml.c5.large for endpoint usage"] = 2
    main([*evaluated, "--instance-type", "ml.c5.large", "--max-instances", "3"])
    [given] = aws.deployments()
    assert given["variant"] == {"InstanceType": "ml.c5.large", "InitialInstanceCount": 1}
    assert given["scaling"] == {"max_instances": 3, "invocations_per_minute": 2000}


@pytest.mark.usefixtures("invocations")
def test_a_deployment_is_followed_state_by_state(
    aws: Aws, evaluated: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(evaluated)
    out = capsys.readouterr().out
    assert f"following deployment {EXECUTION}" in out
    assert out.count("RegisterModel") == 1
    assert out.index("RegisterModel") < out.index("WatchAlarms")


@pytest.mark.parametrize(
    ("status", "output", "says"),
    [
        ("SUCCEEDED", {"outcome": "rolled back", "reason": "the latency alarm"}, "rolled back"),
        ("FAILED", {}, "the deployment is FAILED: EndpointFailed: the container did not answer"),
        ("TIMED_OUT", {}, "the deployment is TIMED_OUT"),
    ],
)
def test_a_deployment_that_does_not_serve_is_one_line(
    aws: Aws,
    evaluated: list[str],
    status: str,
    output: dict[str, str],
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    aws.status, aws.output = status, output
    assert says in refused(evaluated, capsys)


def test_a_deployment_that_cannot_be_followed_any_more_continues(
    aws: Aws, evaluated: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.deny("DescribeExecution")
    said = refused(evaluated, capsys)
    assert "the deployment continues" in said
    assert f"describe-execution --execution-arn {EXECUTION} --region {REGION}" in said


@pytest.mark.usefixtures("aws")
def test_an_endpoint_that_answers_nothing_is_not_called_done(
    evaluated: list[str],
    serving: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", f"{serving}/nowhere")
    assert "a photo failed" in (said := refused(evaluated, capsys))
    assert "log group" in said


@pytest.mark.usefixtures("invocations")
def test_an_answer_of_another_version_is_not_the_new_models(cloud: Cloud) -> None:
    with pytest.raises(UserError, match=r"version 9.9.9 was deployed"):
        deployment.try_out(cloud, "9.9.9")


# ---------------------------------------------------------------- the endpoint before


def make_endpoint(variant: dict[str, Any], status: str = "InService") -> None:
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_model(
        ModelName="old", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "image"}
    )
    variants = [{"VariantName": "AllTraffic", "ModelName": "old"} | variant]
    sagemaker.create_endpoint_config(EndpointConfigName="old", ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName="old")
    sagemaker_backends[ACCOUNT][REGION].endpoints[ENDPOINT].endpoint_status = status


SERVERLESS = {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 10}}
INSTANCES = {"InstanceType": "ml.c5.large", "InitialInstanceCount": 1}


@pytest.mark.parametrize(
    ("variant", "status", "says"),
    [
        (SERVERLESS, "Updating", "when it is InService"),
        (SERVERLESS, "Failed", "delete-endpoint"),
        (INSTANCES, "InService", "give --instance-type"),
    ],
)
def test_an_endpoint_that_cannot_be_updated_as_asked_is_left_alone(
    aws: Aws, cloud: Cloud, variant: dict[str, Any], status: str, says: str
) -> None:
    make_endpoint(variant, status)
    with pytest.raises(UserError, match=says):
        deployment.check(cloud, None)


def test_an_endpoint_is_made_or_updated(cloud: Cloud) -> None:
    assert deployment.check(cloud, None) == f"{ENDPOINT} will be created"
    make_endpoint(SERVERLESS)
    assert deployment.check(cloud, None) == f"{ENDPOINT} is InService and will be updated"


def test_two_deployments_do_not_run_at_once(aws: Aws, cloud: Cloud) -> None:
    aws.running = True
    with pytest.raises(UserError, match="a deployment is running: wait until"):
        deployment.check(cloud, None)
