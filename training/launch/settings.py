"""The settings of a run: the command line as typed, immutable values."""

import argparse
import contextlib
import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operations.errors import UserError
from operations.stack import DEFAULT_STACK
from training.launch import preflight

STEPS = ("stage", "train", "evaluate", "image", "publish", "deploy")


@dataclass(frozen=True)
class Data:
    """The dataset's folder, and the sources that are added to it."""

    dataset: Path
    cifar: Path | None
    photos: tuple[str, ...]

    @property
    def is_staged(self) -> bool:
        """Whether the dataset exists, and no source is added to it."""
        return not (self.cifar or self.photos) and (self.dataset / "manifest.csv").is_file()


@dataclass(frozen=True)
class Training:
    """The training job; `job` is the name of one that runs or has completed."""

    instance: str
    on_demand: bool
    max_minutes: int
    hyperparameters: dict[str, str]
    model_version: str | None
    job: str | None


@dataclass(frozen=True)
class Serving:
    """The endpoint: serverless, or on instances if `instance_type` is given."""

    image_uri: str | None
    memory: int
    max_concurrency: int
    instance_type: str | None
    max_instances: int
    invocations_per_minute: float

    @property
    def variant(self) -> dict[str, Any]:
        """As CreateEndpointConfig takes it."""
        if self.instance_type:
            return {"InstanceType": self.instance_type, "InitialInstanceCount": 1}
        size = {"MemorySizeInMB": self.memory, "MaxConcurrency": self.max_concurrency}
        return {"ServerlessConfig": size}

    @property
    def scaling(self) -> dict[str, Any]:
        """As DeployModel takes it; empty for a serverless endpoint."""
        if not self.instance_type:
            return {}
        scaling = {
            "max_instances": self.max_instances,
            "invocations_per_minute": self.invocations_per_minute,
        }
        return {"scaling": scaling}


@dataclass(frozen=True)
class Settings:
    """All settings of a run. `model` is the folder of a model to deploy, without training."""

    steps: tuple[str, ...]
    yes: bool
    stack: str
    region: str | None
    data: Data
    training: Training
    serving: Serving
    model: Path | None


# ---------------------------------------------------------------- types of arguments


def whole(most: int | None = None) -> Callable[[str], int]:
    """The type of an argument that is a whole number, from 1 to `most`."""

    def parse(text: str) -> int:
        value = int(text) if text.isdecimal() else 0
        if value < 1 or (most and value > most):
            upper = f"from 1 to {most}" if most else "from 1 on"
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {upper}")
        return value

    return parse


def calls_per_minute(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (value := float(text)) < math.inf:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")


def instance_type(text: str) -> str:
    if not re.fullmatch(r"ml\.[a-z0-9-]+\.[a-z0-9]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no instance type such as ml.c5.large")
    return text


def model_directory(text: str) -> Path:
    try:
        return preflight.model(Path(text))
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def hyperparameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name.removeprefix("--"), value


def version(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not letters, digits, dots and hyphens")
    with contextlib.suppress(ValueError):
        float(text)
        raise argparse.ArgumentTypeError(f"{text!r} is a number: give it a third part, as in 1.2.0")
    return text


# ---------------------------------------------------------------- the command line


def make_parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make launch",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("step", nargs="?", choices=STEPS, help="one step alone (default: all)")
    parser.add_argument("--yes", action="store_true", help="continue without asking")
    target = parser.add_argument_group("account and stack")
    target.add_argument("--region", help="default: that of the AWS CLI")
    target.add_argument("--stack-name", default=DEFAULT_STACK, help="default: %(default)s")
    add_dataset(parser)
    add_training(parser)
    add_endpoint(parser)
    return parser


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the steps stage and publish."""
    data = parser.add_argument_group("dataset")
    data.add_argument(
        "--dataset",
        type=Path,
        default=Path("build/dataset"),
        help="folder of the dataset (default: %(default)s)",
    )
    data.add_argument(
        "--cifar", type=Path, help="archive or folder of CIFAR-100, to build the dataset"
    )
    data.add_argument(
        "--photos",
        action="append",
        default=[],
        help="folder with a folder of photos for each label, to build the dataset; repeatable",
    )


def add_training(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the step train."""
    training = parser.add_argument_group("training")
    training.add_argument(
        "--training-instance",
        type=instance_type,
        default="ml.g5.xlarge",
        help="default: %(default)s",
    )
    training.add_argument(
        "--on-demand", action="store_true", help="use an on-demand instance, not spot"
    )
    training.add_argument(
        "--max-minutes",
        type=whole(),
        default=60,
        help="minutes until the job is stopped; a spot job may wait as long for an instance "
        "(default: %(default)s)",
    )
    training.add_argument(
        "--hyperparameter",
        type=hyperparameter,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the training program, such as fine-tune=600; repeatable",
    )
    training.add_argument(
        "--model-version",
        type=version,
        help="also names the checkpoint that a job continues from (default: the time)",
    )
    training.add_argument("--job", help="continue with this training job (default: start one)")


def add_endpoint(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the steps image and deploy."""
    model = parser.add_argument_group("model and endpoint")
    model.add_argument(
        "--model", type=model_directory, help="deploy the model of this folder, train nothing"
    )
    model.add_argument("--image-uri", help="a serving image in ECR (default: build and push it)")
    model.add_argument(
        "--memory",
        type=int,
        default=1024,
        choices=range(1024, 6145, 1024),
        metavar="MB",
        help="memory of the serverless endpoint, 1024 to 6144 MB (default: %(default)s)",
    )
    model.add_argument(
        "--max-concurrency",
        type=whole(200),
        default=10,
        help="photos at once on the serverless endpoint, up to 200 (default: %(default)s)",
    )
    model.add_argument(
        "--instance-type",
        type=instance_type,
        help="such as ml.c5.large: a real-time endpoint, with autoscaling",
    )
    model.add_argument(
        "--max-instances", type=whole(), default=2, help="of autoscaling (default: %(default)s)"
    )
    model.add_argument(
        "--invocations",
        type=calls_per_minute,
        default=2000,
        help="target of autoscaling: photos per minute and instance (default: %(default)s, half of "
        "what one core classified in benchmarks/serving_app.py)",
    )


def parse(description: str, arguments: list[str] | None = None) -> Settings:
    """Read the command line; exit with a message if something on it is wrong."""
    parser = make_parser(description)
    options = parser.parse_args(arguments)
    hyperparameters = dict(options.hyperparameter)
    if hyperparameters:
        check_hyperparameters(parser, hyperparameters)
    steps: tuple[str, ...] = STEPS
    if options.step:
        steps = (options.step,)
    elif options.model:
        steps = ("image", "deploy")
    return Settings(
        steps=steps,
        yes=options.yes,
        stack=options.stack_name,
        region=options.region,
        data=Data(options.dataset, options.cifar, tuple(options.photos)),
        training=Training(
            instance=options.training_instance,
            on_demand=options.on_demand,
            max_minutes=options.max_minutes,
            hyperparameters=hyperparameters,
            model_version=options.model_version,
            job=options.job,
        ),
        serving=Serving(
            image_uri=options.image_uri,
            memory=options.memory,
            max_concurrency=options.max_concurrency,
            instance_type=options.instance_type,
            max_instances=options.max_instances,
            invocations_per_minute=options.invocations,
        ),
        model=options.model,
    )


def check_hyperparameters(parser: argparse.ArgumentParser, given: dict[str, str]) -> None:
    """Refuse what the training program would refuse, or what this command gives it."""
    from training.classifier.train import parse_arguments  # noqa: PLC0415  (imports torch)

    own = given.keys() & {"dataset", "model-version", "model-dir", "output-dir", "cache-dir"}
    if own:
        parser.error(f"--hyperparameter {min(own)}: this command sets it itself")
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parse_arguments([f"--{name}={value}" for name, value in given.items()])
    except SystemExit:
        parser.error(f"--hyperparameter: {said.getvalue().strip().rpartition('error: ')[2]}")
